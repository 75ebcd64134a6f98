// One task: what is said of it, and everything that is known about it.

import {bytes, count, el, icon, moment, percent, put, rate, seconds, set,
  setIcon, show} from './util.js';
import {Command, curl} from './api.js';
import {Plot, ofTen, ofTime} from './plot.js';

const BY_REQUEST = ['', 'manually pause through http interface',
  'the task is disabled auto start'];
const SILENT = 10;                                // seconds without a report
const AT_ONCE = 5;                                // seconds between two sorts

// The kinds, the worst first.
export const WORDS = {
  stopped: 'stopped by an error', held: 'held up', behind: 'catching up',
  copying: 'copying', starting: 'starting', live: 'live', paused: 'paused',
};

export const KINDS = Object.keys(WORDS);

export const BAD = new Set(['stopped', 'held']);

const ago = (task, ms) =>
  ms ? seconds((task.now_ms - ms) / 1000) : null;

// {kind, text}: the sentence about a task
export function verdict(task) {
  const list = (...parts) => parts.filter(Boolean).join(', ');
  const speed = task.rows_per_second >= 0.5
    ? `${rate(task.rows_per_second)} rows/s` : 'idle';
  const lag = task.lag_seconds == null
    ? null : `${seconds(task.lag_seconds)} behind`;
  const left = task.catch_up_seconds == null
    ? null : `about ${seconds(task.catch_up_seconds)} to go`;

  if (task.state === 'Paused') {
    return BY_REQUEST.includes(task.reason || '')
      ? {kind: 'paused', text: list(
        `Paused for ${ago(task, task.since_ms) || 'some time'}`, lag)}
      : {kind: 'stopped', text: `Stopped ${
        ago(task, task.since_ms) || 'some time'} ago: ${task.reason}`};
  }
  if (task.state !== 'Running') {
    return {kind: 'starting', text: 'Starting'};
  }
  if (task.degraded) {
    return {kind: 'held', text: `Held up for ${
      ago(task, task.degraded.since_ms)}: ${task.degraded.cause}`};
  }
  if (silent(task)) {
    return {kind: 'held', text: 'Its replicator has not reported for '
      + seconds(task.report_age_seconds ?? age(task))};
  }
  if (task.report_age_seconds == null) {
    return {kind: 'starting', text: 'Starting'};
  }
  if (task.live) {
    return {kind: 'live', text: list('Live', lag, speed)};
  }
  if (task.initial_copy_percent != null && task.initial_copy_percent < 100) {
    return {kind: 'copying', text: list(
      `Copying what is there, ${percent(task.initial_copy_percent)}`,
      speed, left)};
  }
  return {kind: 'behind', text: list(
    'Catching up', lag,
    task.backlog_bytes == null ? null : `${bytes(task.backlog_bytes)} left`,
    left)};
}

const age = (task) => (task.now_ms - task.since_ms) / 1000;

const silent = (task) => task.state === 'Running' && age(task) > SILENT
  && (task.report_age_seconds ?? age(task)) > SILENT;

const place = (database, name) => `${database || 'default'}.${name}`;

const copied = (c) => {
  const to = place(c.target_database ?? c.database, c.target_name ?? c.name);
  return to === place(c.database, c.name) ? null : to;
};

// ---- source, replicator, target

class Line {
  constructor() {
    this.parts = ['Source', 'Replicator', 'Target'].map((name) => {
      const part = {icon: icon('unknown'), state: el('span'),
        title: el('strong'), more: el('span')};
      part.node = el('li', null, el('span', {class: 'what'}, name),
        part.title, part.more,
        el('span', {class: 'state'}, part.icon,
          part.state));
      return part;
    });
    this.flows = ['reads', 'writes'].map((name) => {
      const rate = el('span');
      return {node: el('li', {class: 'flow'},
        el('span', {class: 'hidden'}, name), rate), rate};
    });
    const [source, replicator, target] = this.parts;
    this.node = el('ol', {class: 'line',
      'aria-label': 'From source to target'},
      source.node, this.flows[0].node, replicator.node,
      this.flows[1].node, target.node);
  }

  part(i, kind, word, title, more) {
    const part = this.parts[i];
    set(part.node, 'class', kind);
    put(part.title, title);
    put(part.more, more);
    put(part.state, word);
    setIcon(part.icon, {good: 'live', bad: 'stopped'}[kind] || 'paused');
  }

  update(task, rates) {
    const running = task.state === 'Running';
    const rest = [running ? 'idle' : 'rest', running ? 'Not known'
      : task.state === 'Paused' ? 'At rest' : 'Starting'];
    const side = (s) => !s || s.ok == null ? rest
      : !s.ok ? ['bad', 'Broken'] : running ? ['good', 'OK'] : rest;
    const {source, target, helper} = task;
    const [from, to] = [side(source), side(target)];
    const self = silent(task) ? ['bad', 'Silent']
      : !running ? rest
        : helper ? ['good', 'OK'] : ['idle', 'Starting'];

    this.part(0, ...from, source?.name ?? null,
      [source && ({rocksmq: 'RocksMQ', kafka: 'Kafka'}[source.kind]
        || source.kind),
        task.channels != null && `${task.channels} channel${
          task.channels === 1 ? '' : 's'}`]
          .filter(Boolean).join(', '));
    this.part(1, ...self, helper ? `process ${helper.pid}` : 'no process',
      helper ? `${bytes(helper.rss_bytes)}, ${
        rates.cpu == null ? `${seconds(helper.cpu_seconds)} CPU`
          : `${Math.round(rates.cpu * 100)} % CPU`}` : '');
    this.part(2, ...to, target?.uri ?? null,
      target?.version ? `Milvus ${target.version}` : '');

    [[from, rates.in], [to, task.bytes_per_second]]
      .forEach(([[kind], rate], i) => {
        set(this.flows[i].node, 'class',
          `flow ${kind === 'good' ? self[0] : kind}`);
        put(this.flows[i].rate, kind === 'bad' ? 'broken'
          : running && rate != null ? `${bytes(rate)}/s` : '');
      });
  }
}

// ---- figures

const FIGURES = [
  ['Rows read', (t) => count(t.rows_in)],
  ['Rows applied', (t) => count(t.rows_out)],
  ['First copy', (t) => percent(t.initial_copy_percent)],
  ['To catch up', (t) => t.live && !t.catch_up_seconds ? 'nothing'
    : seconds(t.catch_up_seconds)],
  ['Bytes read', (t) => bytes(t.bytes_in)],
  ['Bytes applied', (t) => bytes(t.bytes_out)],
  ['Backlog', (t) => bytes(t.backlog_bytes)],
  ['In flight', (t) => bytes(t.buffered_bytes)],
  ['Checkpoint', (t) => t.checkpoint_age_seconds == null
    ? null : `${seconds(t.checkpoint_age_seconds)} ago`],
  ['Log kept for', (t) => t.retention_left_seconds == null
    ? null : `${seconds(t.retention_left_seconds)} more`],
  ['Requests', (t) => count(t.requests)],
  ['Tried again', (t) => count(t.retries)],
  ['Operations', (t) => count(t.operations)],
  ['Restarts', (t) => count(t.restarts)],
  ['Rows settled', (t) => count(t.rows_settled)],
  ['Rows skipped', (t) => count(t.rows_skipped)],
  ['Parked', (t) => count(t.parked)],
  ['Last operation', ({last_operation: last, ...t}) => last
    ? `${last.name} ${last.object}, ${ago(t, last.at_ms)} ago` : 'none'],
  ['Last error', ({last_error: last, ...t}) => last
    ? `${ago(t, last.at_ms)} ago: ${last.text}` : 'none'],
];

class Figures {
  constructor() {
    this.values = FIGURES.map(() => el('dd'));
    this.node = el('dl', {class: 'figures'}, ...FIGURES.map(
      ([name], i) => el('div', {class: i < 4 ? 'large'
        : name.startsWith('Last ') ? 'wide' : null},
        el('dt', null, name), this.values[i])));
  }

  update(task) {
    FIGURES.forEach(([, value], i) => put(this.values[i], value(task)));
  }
}

// ---- collections

const COLUMNS = [
  ['Collection', (c) => place(c.database, c.name), (v) => v],
  ['State', (c) => c.state, (v) => v],
  ['Behind', (c) => c.lag_seconds, seconds],
  ['Rows read', (c) => c.rows_in, count],
  ['Rows applied', (c) => c.rows_out, count],
  ['Bytes applied', (c) => c.bytes_out, bytes],
  ['First copy', (c) => c.initial_copy_percent, percent],
];

class Table {
  constructor() {
    this.by = 2;
    this.down = true;
    this.rows = new Map();
    this.sorted = 0;

    this.query = el('input', {type: 'search', autocomplete: 'off',
      spellcheck: 'false', placeholder: 'Filter',
      'aria-label': 'Filter collections',
      oninput: () => this.draw(true)});
    this.heads = COLUMNS.map(([name], i) => el(
      'th', {scope: 'col', class: i > 1 ? 'number' : null},
      el('button', {type: 'button', onclick: () => this.sort(i)}, name)));
    this.body = el('tbody');
    this.note = el('p', {class: 'muted'});
    this.node = el('section', {'aria-labelledby': 'h-collections'},
      el('div', {class: 'bar'},
        el('h3', {id: 'h-collections'}, 'Collections'),
        this.note, this.query),
      // it scrolls by itself, also by the keyboard
      el('div', {class: 'scroll', tabindex: 0, role: 'group',
        'aria-labelledby': 'h-collections'},
        el('table', {'aria-labelledby': 'h-collections'},
          el('thead', null, el('tr', null, ...this.heads)),
          this.body)));
    this.mark();
  }

  mark() {
    this.heads.forEach((head, i) => set(
      head, 'aria-sort', i !== this.by ? null
        : this.down ? 'descending' : 'ascending'));
  }

  sort(i) {
    this.down = i === this.by ? !this.down : i > 1;
    this.by = i;
    this.mark();
    this.draw(true);
  }

  update(task) {
    this.all = task.collections || [];
    this.total = task.collections_total ?? this.all.length;
    this.now = task.now_ms;
    // rows that change places each second cannot be read
    this.draw(this.now - this.sorted > AT_ONCE * 1000);
  }

  row(key) {
    let row = this.rows.get(key);
    if (!row) {
      const cells = COLUMNS.map((_, i) => (
        i ? el('td', {class: i > 1 ? 'number' : null})
          : el('th', {scope: 'row'}, el('span'),
            el('small'))));
      row = {cells, node: el('tr', null, ...cells)};
      this.rows.set(key, row);
    }
    return row;
  }

  draw(again) {
    const wanted = this.query.value.trim().toLowerCase();
    const value = COLUMNS[this.by][1];
    const keys = new Set();

    for (const c of this.all) {
      const key = place(c.database, c.name);
      const {cells, node} = this.row(key);
      const to = copied(c);

      keys.add(key);
      put(cells[0].firstChild, key);
      put(cells[0].lastChild, to ? `as ${to}` : '');
      COLUMNS.slice(1).forEach(([, of, text], i) => put(
        cells[i + 1], text(of(c)) ?? '–'));
      show(node, `${key} ${to || ''}`.toLowerCase().includes(wanted));
    }

    for (const [key, row] of this.rows) {
      if (!keys.has(key)) {
        row.node.remove();
        this.rows.delete(key);
        again = true;
      }
    }

    if (again || this.body.children.length !== this.all.length) {
      const turn = this.down ? -1 : 1;
      const order = [...this.all].sort((a, b) => {
        const [x, y] = [value(a) ?? -1, value(b) ?? -1];
        return x < y ? -turn : x > y ? turn
          : place(a.database, a.name) < place(b.database, b.name)
            ? -1 : 1;
      }).map((c) => this.rows.get(place(c.database, c.name)).node);

      order.forEach((node, i) => {
        if (this.body.children[i] !== node) {
          this.body.insertBefore(node, this.body.children[i] || null);
        }
      });
      this.sorted = this.now;
    }

    const shown = this.all.length;
    put(this.note, !this.total ? 'none yet'
      : shown < this.total
        ? `${shown} of ${count(this.total)}, those furthest behind`
        : count(this.total));
    show(this.query, shown > 1);
  }
}

// ---- what happened

class Events {
  constructor() {
    this.list = el('ol', {class: 'events', tabindex: 0,
      'aria-labelledby': 'h-events'});
    this.node = el('section', {'aria-labelledby': 'h-events'},
      el('h3', {id: 'h-events'}, 'What happened'), this.list);
  }

  update(task) {
    const events = [...(task.events || [])].reverse();
    const key = JSON.stringify(events);
    if (key === this.key) {
      return;
    }
    this.key = key;
    this.list.replaceChildren(...events.map((e) => el(
      'li', {class: e.kind},
      el('time', {datetime: new Date(e.at_ms).toISOString()},
        moment(e.at_ms, task.now_ms)),
      el('strong', null, e.kind.replaceAll('_', ' ')),
      el('span', null, e.text || ''))));
    if (!events.length) {
      this.list.append(el('li', {class: 'muted'}, 'nothing yet'));
    }
  }
}

// ---- all of it

export class View {
  // ask(action, task): the dialog of an action
  constructor(id, ask) {
    this.id = id;
    this.icon = icon('unknown');
    this.text = el('span');
    this.sentence = el('p', {class: 'sentence'}, this.icon, this.text);
    this.next = el('p', {class: 'muted'});
    this.line = new Line();
    this.figures = new Figures();
    this.lag = new Plot('Behind', seconds, ofTime, 1);
    this.rate = new Plot('Rows per second', rate, ofTen, 10);
    this.table = new Table();
    this.events = new Events();
    this.raw = this.answer();

    this.buttons = Object.fromEntries(
      ['pause', 'resume', 'delete'].map((action) => [
        action, el('button', {type: 'button', 'data-action': action,
          onclick: () => ask(action, this.task)},
          action[0].toUpperCase() + action.slice(1))]));

    this.nodes = [
      el('div', {class: 'head'},
        el('h2', {tabindex: -1}, el('span', {class: 'muted'}, 'Task '),
          id),
        el('div', {class: 'buttons'}, ...Object.values(this.buttons))),
      this.sentence, this.next, this.line.node,
      el('div', {class: 'plots'}, this.lag.node, this.rate.node),
      this.figures.node, this.table.node, this.events.node, this.raw];
  }

  // stands still while it is open, so that it can be read
  answer() {
    const place = el('div', {class: 'curl'});
    const json = el('pre', {tabindex: 0, 'aria-label': 'The answer'});

    new Command(place).show(curl('progress', {task_id: this.id}));
    return el('details', {ontoggle: () =>
      put(json, JSON.stringify(this.task, null, 2))},
    el('summary', null, 'As the API answers'), place, json);
  }

  update(task, history) {
    const {kind, text} = verdict(task);
    const wait = task.degraded?.next_try_ms
      ? (task.degraded.next_try_ms - task.now_ms) / 1000 : null;

    this.task = task;
    set(this.sentence, 'class', `sentence ${kind}`);
    setIcon(this.icon, kind);
    put(this.text, text);
    put(this.next, wait == null ? '' : wait > 0.5
      ? `Next try in ${Math.ceil(wait)} s.` : 'Trying again now.');
    show(this.next, wait != null && task.state === 'Running');

    show(this.buttons.pause, task.state !== 'Paused');
    show(this.buttons.resume, task.state === 'Paused');

    this.line.update(task, history.rates);
    this.figures.update(task);
    this.lag.show(history.lag, task.now_ms);
    this.rate.show(history.rate, task.now_ms);
    this.table.update(task);
    this.events.update(task);
  }
}

// What plots and rates need of the answers before: 5 minutes.

export class History {
  constructor() {
    this.lag = [];
    this.rate = [];
    this.rates = {};
  }

  add(task) {
    const before = this.task;
    const passed = before ? (task.now_ms - before.now_ms) / 1000 : 0;

    if (before && passed <= 0) {
      return;
    }

    // a tab that slept has no values for that time
    for (const [list, value] of [[this.lag, task.lag_seconds],
      [this.rate, task.rows_per_second]]) {
      if (passed > 12) {
        list.push({at: before.now_ms + 1, value: null});
      }
      list.push({at: task.now_ms, value});
      while (list[0].at < task.now_ms - 310000) {
        list.shift();
      }
    }

    const {helper} = task;
    const smooth = (old, now) =>
      old == null ? now : old + (now - old) * Math.min(1, passed / 4);

    if (before) {
      this.rates.in = task.bytes_in == null ? null : smooth(
        this.rates.in,
        Math.max(0, task.bytes_in - before.bytes_in) / passed);
      this.rates.cpu = helper && before.helper?.pid === helper.pid
        ? smooth(this.rates.cpu,
          Math.max(0, helper.cpu_seconds
            - before.helper.cpu_seconds) / passed)
        : null;
    }
    this.task = task;
  }
}
