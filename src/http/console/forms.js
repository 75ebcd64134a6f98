// The dialogs: a new task, and what is asked before a task is changed.
//
// A token or password is in its field, and in the request, and nowhere else:
// commands show a variable of the shell in its place, and a dialog that is
// closed is emptied.

import {$, el, icon, put, show} from './util.js';
import {Command, curl, paths, request} from './api.js';

const SLOW = 60;                 // seconds: the server looks at both clusters

// What all dialogs do: cancel, send once, say what went wrong.
class Dialog {
  constructor(id) {
    this.dialog = $(id);
    this.form = $('form', this.dialog);
    this.failed = $('.failed', this.dialog);
    this.go = $('[value=go]', this.dialog);
    this.command = new Command($('.curl', this.dialog));

    $('[value=cancel]', this.dialog).addEventListener(
      'click', () => this.dialog.close());
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  async run(work) {
    if (this.busy) {
      return;
    }
    this.busy = true;
    this.dialog.setAttribute('aria-busy', 'true');
    put(this.failed, '');
    try {
      await work();
    } catch (error) {
      put(this.failed, error.message);
    } finally {
      this.busy = false;
      this.dialog.removeAttribute('aria-busy');
    }
  }
}

// ---- pause, resume, delete

const ACTIONS = {
  pause: {
    text: 'Nothing is applied to the target until it is resumed; then it '
      + 'goes on where it stopped. The source has to keep its log for '
      + 'that long.',
    button: 'Pause', done: 'paused',
  },
  resume: {
    text: 'It goes on where it stopped.',
    button: 'Resume', done: 'resumed',
  },
  delete: {
    text: 'The target keeps what it has and follows no longer. This '
      + 'cannot be taken back: a new task goes on from its own creation, '
      + 'and what was written in between stays missing.',
    button: 'Delete', done: 'deleted',
  },
};

export class Ask extends Dialog {
  constructor(done) {
    super('#ask');
    this.done = done;
  }

  open(action, task) {
    const words = ACTIONS[action];

    this.action = action;
    this.task = task;
    put($('#ask-title'), `${words.button} this task?`);
    put($('#ask-text'), `${task.task_id}: ${words.text}`);
    put(this.go, words.button);
    this.go.className = action === 'delete' ? 'danger' : 'primary';
    put(this.failed, '');
    this.command.show(curl(action, {task_id: task.task_id}));
    this.dialog.showModal();
  }

  submit() {
    this.run(async () => {
      const id = this.task.task_id;
      await request(this.action, {task_id: id});
      this.dialog.close();
      this.done(`Task ${id} is ${ACTIONS[this.action].done}.`);
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

  const plain = Object.keys(chosen).every((name) => name === 'default')
    && !(chosen.default || []).some((info) => info.name === '*');

  return plain ? {collection_infos: chosen.default || []}
    : {db_collections: chosen};
}

// "db -> other", "db.name -> other.name"
function mapping(text) {
  const found = [];

  for (const line of lines(text)) {
    const [from, to, ...rest] = line.split('->').map((s) => s.trim());
    if (!from || !to || rest.length) {
      throw new Error(`"${line}" should be: name -> other name`);
    }
    const whole = !from.includes('.') && !to.includes('.');
    const [source, name] = whole ? [from] : split(from);
    const [target, other] = whole ? [to] : split(to);
    let row = found.find((r) => r.source_db === source
      && r.target_db === target);
    if (!row) {
      row = {source_db: source, target_db: target};
      found.push(row);
    }
    if (!whole) {
      (row.collection_mapping ??= {})[name] = other;
    }
  }

  return found;
}

export class Create extends Dialog {
  constructor(done) {
    super('#create');
    this.done = done;
    this.findings = $('#findings');

    const {api} = this.form.elements;
    api.append(...paths.map((path) => el('option', {value: path}, path)));
    show($('#from'), paths.length > 1);

    this.form.addEventListener('input', () => this.changed());
    $('[value=check]', this.dialog).addEventListener(
      'click', () => this.check());
    this.dialog.addEventListener('close', () => this.clear());
    this.form.addEventListener('invalid', ({target}) => {
      target.closest('details')?.setAttribute('open', '');
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
    const field = this.form.elements[name];
    return field.type === 'checkbox' ? field.checked
      : ['token', 'password'].includes(name) ? field.value
        : field.value.trim();
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
    const number = (name) => field(name) === ''
      ? {} : {[name]: Number(field(name))};

    const dial = some('server_name', 'ca_pem_path', 'client_pem_path',
      'client_key_path');
    const connect = {
      ...(field('form') === 'uri' ? some('uri', 'token') : {
        ...some('host'), ...number('port'),
        ...some('username', 'password', 'enable_tls'),
      }),
      ...number('connect_timeout'),
      ...some('ignore_partition'),
    };
    if (Object.keys(dial).length) {
      connect.dial_config = dial;
    }

    const data = {milvus_connect_param: connect, ...selection(field),
      ...some('log_gap', 'disable_auto_start', 'task_id')};
    const names = mapping(field('mapping'));
    const left = lines(field('exclude'));

    if (left.length) {
      data.exclude_collections = left;
    }
    if (names.length) {
      data.name_mapping = names;
    }
    if (field('rpc_channel')) {
      data.rpc_channel_info = {name: field('rpc_channel')};
    }
    if (field('enable_user_role')) {
      data.extra_info = {enable_user_role: true};
    }
    return data;
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
    const row = (f) => el(
      'li', {class: f.ok ? 'good' : f.level},
      icon(f.ok ? 'live' : f.level === 'error' ? 'stopped' : 'held'),
      el('div', null, el('strong', null, f.ok ? f.check
        : `${f.level}: ${f.check}`),
        f.text && el('p', null, f.text),
        !f.ok && f.cure && el('p', {class: 'cure'}, `Cure: ${f.cure}`)));

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
