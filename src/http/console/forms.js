// The dialogs: a new task, and what is asked before a task is changed.
//
// A token or password is in its field, and in the request, and nowhere else:
// commands show a variable of the shell in its place, and a dialog that is
// closed is emptied.

import {$, capital, el, icon, put, set, show} from './util.js';
import {Command, curl, paths, request} from './api.js';

const SLOW = 60;  // seconds: the server looks at both clusters

// What all dialogs do: cancel, send once, say what went wrong.
class Dialog {
  constructor(id) {
    this.dialog = $(id);
    this.form = $('form', this.dialog);
    this.failed = $('.failed', this.dialog);
    this.go = $('[value=go]', this.dialog);
    this.command = new Command($('.curl', this.dialog));

    $('[value=cancel]', this.dialog).onclick = () => this.dialog.close();
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.submit();
    };
  }

  async run(work) {
    if (this.busy) {
      return;
    }
    this.busy = true;
    set(this.dialog, 'aria-busy', 'true');
    put(this.failed, '');
    try {
      await work();
    } catch (error) {
      put(this.failed, error.message);
    } finally {
      this.busy = false;
      set(this.dialog, 'aria-busy');
    }
  }
}

// ---- pause, resume, delete

const ACTIONS = {
  pause: {
    text: 'Nothing is applied to the target until it is resumed; then it '
      + 'goes on where it stopped. The source has to keep its log for '
      + 'that long.',
  },
  resume: {text: 'It goes on where it stopped.'},
  delete: {
    text: 'The target keeps what it has and follows no longer. This '
      + 'cannot be taken back: a new task goes on from its own creation, '
      + 'and what was written in between stays missing.',
    danger: true,
  },
  parked_retry: {
    text: 'When the task is resumed. One that was passed comes after all '
      + 'that was behind it.',
    button: 'Try again', done: 'to be tried again',
  },
  parked_drop: {
    text: 'It is not applied: the target lacks what it holds. For one that '
      + 'was passed this cannot be taken back.',
    button: 'Drop', done: 'dropped', danger: true,
  },
};

export class Ask extends Dialog {
  constructor(done) {
    super('#ask');
    this.done = done;
  }

  open(action, {task_id}, more) {
    const {text, danger, button = capital(action), done = `${action}d`}
      = ACTIONS[action];

    this.action = action;
    this.past = done;
    this.data = {task_id, ...more};
    put($('#ask-title'),
      `${button} ${more ? `message ${more.id}` : 'this task'}?`);
    put($('#ask-text'), `${task_id}: ${text}`);
    put(this.go, button);
    this.go.className = danger ? 'danger' : 'primary';
    put(this.failed, '');
    this.command.show(curl(action, this.data));
    this.dialog.showModal();
  }

  submit() {
    this.run(async () => {
      const {task_id, id} = this.data;
      await request(this.action, this.data);
      this.dialog.close();
      this.done(`${id == null ? 'Task' : `Message ${id} of task`} ${task_id} `
        + `is ${this.past}.`);
    });
  }
}

// ---- create

const lines = (text) =>
  text.split('\n').map((line) => line.trim()).filter(Boolean);

function split(name) {
  const dot = name.indexOf('.');
  return dot < 0 ? ['default', name]
    : [name.slice(0, dot) || 'default', name.slice(dot + 1)];
}

function selection(field) {
  if (field('scope') === 'all') {
    return {collection_infos: [{name: '*'}]};
  }

  const chosen = {};
  for (const name of lines(field('names'))) {
    const [database, collection] = split(name);
    const info = {name: collection};
    if (field('use_start_position') && collection !== '*') {
      info.use_start_position = true;
    }
    (chosen[database] ??= []).push(info);
  }

  const {default: plain = [], ...others} = chosen;
  return filled(others) || plain.some((info) => info.name === '*')
    ? {db_collections: chosen} : {collection_infos: plain};
}

// "db -> other", "db.name -> other.name"
function mapping(text) {
  const found = {};

  for (const line of lines(text)) {
    const [from, to, ...rest] = line.split('->').map((s) => s.trim());
    if (!from || !to || rest.length) {
      throw new Error(`"${line}" should be: name -> other name`);
    }
    const whole = !`${from}${to}`.includes('.');
    const [source_db, name] = whole ? [from] : split(from);
    const [target_db, other] = whole ? [to] : split(to);
    const row = found[`${source_db} ${target_db}`] ??= {source_db, target_db};
    if (!whole) {
      (row.collection_mapping ??= {})[name] = other;
    }
  }

  return Object.values(found);
}

// without any, there is no such member in the request
const filled = (some) => Object.keys(some).length ? some : undefined;

export class Create extends Dialog {
  constructor(done) {
    super('#create');
    this.done = done;
    this.findings = $('#findings');

    const {api} = this.form.elements;
    api.append(...paths.map((path) => el('option', {value: path}, path)));
    show($('#from'), paths.length > 1);

    this.form.oninput = () => this.changed();
    this.dialog.onclose = () => this.clear();
    $('[value=check]', this.dialog).onclick = () => this.check();
    this.form.addEventListener('invalid', ({target}) => {
      target.closest('details')?.toggleAttribute('open', true);
    }, true);
  }

  open() {
    this.clear();
    this.dialog.showModal();
    this.form.elements.uri.focus();
  }

  clear() {
    this.form.reset();
    put(this.failed, '');
    this.findings.replaceChildren();
    this.changed();
  }

  field(name) {
    const {type, value, checked} = this.form.elements[name];
    return type === 'checkbox' ? checked : type === 'password' ? value
      : type === 'number' && value ? Number(value) : value.trim();
  }

  changed() {
    for (const node of this.form.querySelectorAll('[data-when]')) {
      const [name, value] = node.dataset.when.split('=');
      show(node, this.field(name) === value);
      node.disabled = node.hidden;
    }
    this.findings.replaceChildren();
    try {
      this.command.show(curl('create', this.data(), this.field('api')));
    } catch (error) {
      this.command.show(`# ${error.message}`);
    }
  }

  data() {
    const field = (name) => this.field(name);
    const some = (...names) => Object.fromEntries(
      names.map((name) => [name, field(name)])
        .filter(([, value]) => value !== '' && value !== false));

    return {
      milvus_connect_param: {
        ...(field('form') === 'uri' ? some('uri', 'token')
          : some('host', 'port', 'username', 'password', 'enable_tls')),
        ...some('connect_timeout', 'ignore_partition'),
        dial_config: filled(some('server_name', 'ca_pem_path',
          'client_pem_path', 'client_key_path')),
      },
      ...selection(field),
      ...some('log_gap', 'on_poison', 'disable_auto_start', 'task_id'),
      exclude_collections: filled(lines(field('exclude'))),
      name_mapping: filled(mapping(field('mapping'))),
      rpc_channel_info: field('rpc_channel')
        ? {name: field('rpc_channel')} : undefined,
      extra_info: filled(some('enable_user_role')),
    };
  }

  check() {
    if (!this.form.reportValidity()) {
      return;
    }
    this.run(async () => {
      put(this.findings, 'Looking at source and target…');
      try {
        this.list(await request('check', this.data(),
          this.field('api'), SLOW));
      } catch (error) {
        this.findings.replaceChildren();
        throw error;
      }
    });
  }

  list({ok, findings}) {
    const bad = findings.filter((f) => !f.ok);
    const good = findings.filter((f) => f.ok);
    const errors = bad.filter((f) => f.level === 'error').length;
    const row = (f) => el('li', {class: f.ok ? 'good' : f.level},
      icon(f.ok ? 'live' : f.level === 'error' ? 'stopped' : 'held'),
      el('div', null,
        el('strong', null, f.ok ? f.check : `${f.level}: ${f.check}`),
        el('p', null, f.text),
        !f.ok && f.cure ? el('p', {class: 'cure'}, `Cure: ${f.cure}`) : null));

    this.findings.replaceChildren(
      el('p', {class: ok ? 'good' : 'bad'}, el('strong', null, ok
        ? `Nothing stands in the way of this task${
          bad.length ? `; ${bad.length} to know about` : ''}.`
        : `${errors || bad.length} in the way of this task.`)),
      el('ul', null, ...bad.map(row)),
      good.length ? el('details', null,
        el('summary', null, `${good.length} in order`),
        el('ul', null, ...good.map(row))) : null);
    this.findings.scrollIntoView({block: 'nearest'});
  }

  submit() {
    this.run(async () => {
      const answer = await request('create', this.data(),
        this.field('api'), SLOW);
      this.dialog.close();
      this.done(`Task ${answer.task_id} is created.`, answer.task_id,
        answer.warnings);
    });
  }
}
