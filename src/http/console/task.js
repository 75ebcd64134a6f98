// One task: what is said of it, and everything that is known about it.

import {arrange, bytes, capital, count, el, icon, moment, percent, plural, put,
  rate, seconds, section, set, setIcon, show} from './util.js';
import {Command, curl, request} from './api.js';
import {Plot, ofTen, ofTime} from './plot.js';

const BY_REQUEST = ['', 'manually pause through http interface',
  'the task is disabled auto start'];
const SILENT = 10;  // seconds without a report
const RARELY = 5000;  // ms between two sorts

// The kinds, the worst first.
export const WORDS = {
  stopped: 'stopped by an error', held: 'held up', behind: 'catching up',
  copying: 'copying', starting: 'starting', live: 'live', paused: 'paused',
};

export const KINDS = Object.keys(WORDS);

export const BAD = ['stopped', 'held'];

const ago = (task, ms) =>
  ms ? seconds((task.now_ms - ms) / 1000) : null;

const and = (known, unit) => known == null ? null : known + unit;

// {kind, text}: the sentence about a task
export function verdict(task) {
  const list = (...parts) => parts.filter(Boolean).join(', ');
  const speed = task.rows_per_second >= 0.5
    ? `${rate(task.rows_per_second)} rows/s` : 'idle';
  const lag = and(seconds(task.lag_seconds), ' behind');
  const left = and(seconds(task.catch_up_seconds), ' to go');
  const starting = {kind: 'starting', text: 'Starting'};

  if (task.state === 'Paused') {
    const time = ago(task, task.since_ms) || 'some time';
    return BY_REQUEST.includes(task.reason || '')
      ? {kind: 'paused', text: list(`Paused for ${time}`, lag)}
      : {kind: 'stopped', text: `Stopped ${time} ago: ${task.reason}`};
  }
  if (task.state !== 'Running') {
    return starting;
  }
  if (task.degraded) {
    return {kind: 'held', text: `${task.live ? 'Live, but' : 'Held up'} for ${
      ago(task, task.degraded.since_ms)}: ${task.degraded.cause}`};
  }
  if (silent(task)) {
    return {kind: 'held', text:
      `Its replicator has not reported for ${seconds(quiet(task))}`};
  }
  if (task.report_age_seconds == null) {
    return starting;
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
    'Catching up', lag, and(bytes(task.backlog_bytes), ' left'), left)};
}

const age = (task) => (task.now_ms - task.since_ms) / 1000;

const quiet = (task) => task.report_age_seconds ?? age(task);

const silent = (task) => task.state === 'Running' && age(task) > SILENT
  && quiet(task) > SILENT;

// Is this another value than the last time?
const changed = (part, value) =>
  part.key !== (part.key = JSON.stringify(value));

const place = (c) => `${c.database || 'default'}.${c.name}`;

// on the target, where it is another
const copied = (c) => {
  const to = place({database: c.target_database, name: c.target_name});
  return to === place(c) ? null : to;
};

// ---- source, replicator, target

class Line {
  constructor() {
    this.parts = ['Source', 'Replicator', 'Target'].map((name) => {
      const part = {icon: icon('unknown'), state: el('span'),
        title: el('strong'), more: el('span')};
      part.node = el('li', null, el('span', {class: 'what'}, name),
        part.title, part.more,
        el('span', {class: 'state'}, part.icon, part.state));
      return part;
    });
    this.flows = ['reads', 'writes'].map((name) => el('li', null,
      el('span', {class: 'hidden'}, name), el('span')));
    const [source, replicator, target] = this.parts;
    this.node = el('ol', {class: 'line',
      'aria-label': 'From source to target'}, source.node, this.flows[0],
    replicator.node, this.flows[1], target.node);
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

    [
      [...from, source?.name, [source && ({rocksmq: 'RocksMQ',
        kafka: 'Kafka'}[source.kind] || source.kind),
      task.channels != null && plural(task.channels, 'channel')]
        .filter(Boolean).join(', ')],
      [...self, helper ? `process ${helper.pid}` : 'no process',
        helper ? `${bytes(helper.rss_bytes)}, ${rates.cpu == null
          ? `${seconds(helper.cpu_seconds)} CPU`
          : `${Math.round(rates.cpu * 100)} % CPU`}` : ''],
      [...to, target?.uri, target?.version ? `Milvus ${target.version}` : ''],
    ].forEach(([kind, word, title, more], i) => {
      const part = this.parts[i];
      set(part.node, 'class', kind);
      put(part.title, title);
      put(part.more, more);
      put(part.state, word);
      setIcon(part.icon, {good: 'live', bad: 'stopped'}[kind] || 'paused');
    });

    [[from, rates.in], [to, task.bytes_per_second]]
      .forEach(([[kind], rate], i) => {
        set(this.flows[i], 'class',
          `flow ${kind === 'good' ? self[0] : kind}`);
        put(this.flows[i].lastChild, kind === 'bad' ? 'broken'
          : running && and(bytes(rate), '/s') || '');
      });
  }
}

// ---- figures

const FIGURES = [
  ['Rows read', 'rows_in', count],
  ['Rows applied', 'rows_out', count],
  ['First copy', 'initial_copy_percent', percent],
  ['To catch up', 'catch_up_seconds', (s, task) =>
    task.live && !s ? 'nothing' : seconds(s)],
  ['Bytes read', 'bytes_in', bytes],
  ['Bytes applied', 'bytes_out', bytes],
  ['Backlog', 'backlog_bytes', bytes],
  ['In flight', 'buffered_bytes', bytes],
  ['Checkpoint', 'checkpoint_age_seconds', (s) => and(seconds(s), ' ago')],
  ['Log kept for', 'retention_left_seconds',
    (s) => and(seconds(s), ' more')],
  ['Requests', 'requests', count],
  ['Tried again', 'retries', count],
  ['Operations', 'operations', count],
  ['Restarts', 'restarts', count],
  ['Rows settled', 'rows_settled', count],
  ['Rows skipped', 'rows_skipped', count],
  ['Parked', 'parked', count],
  ['Last operation', 'last_operation', (last, task) => last
    ? `${last.name} ${last.object}, ${ago(task, last.at_ms)} ago` : 'none'],
  ['Last error', 'last_error', (last, task) => last
    ? `${ago(task, last.at_ms)} ago: ${last.text}` : 'none'],
];

class Figures {
  constructor() {
    this.values = FIGURES.map(() => el('dd'));
    this.node = el('dl', {class: 'figures'}, ...FIGURES.map(([name], i) =>
      el('div', {class: i < 4 ? 'large' : name.startsWith('Last ') && 'wide'},
        el('dt', null, name), this.values[i])));
  }

  update(task) {
    FIGURES.forEach(([, member, text], i) =>
      put(this.values[i], text(task[member], task)));
  }
}

// ---- messages that could not be applied

const WHERE = {
  held: 'the task stands in front of it', parked: 'it was passed',
  drop: 'dropped when the task is resumed',
  retry: 'tried again when the task is resumed',
};

class Parked {
  constructor(ask) {
    this.ask = ask;
    this.hint = el('p', {class: 'muted'});
    this.list = el('ul', {id: 'parked'});
    this.node = section('parked', 'Messages that could not be applied',
      this.hint, this.list);
  }

  outdated() {
    this.key = null;
  }

  // of a paused task the number may be that of a replicator long gone
  async update(task) {
    const paused = task.state === 'Paused';
    if (!changed(this, [paused, task.since_ms, task.parked])) {
      return;
    }
    const answer = task.parked || paused
      ? await request('parked', {task_id: task.task_id})
        .catch(() => this.outdated()) : {parked: []};
    if (answer) {
      this.draw(task, answer.parked, paused);
    }
  }

  draw(task, parked, paused) {
    put(this.hint, paused ? 'What is chosen here is done when the task is '
      + 'resumed.' : 'To try again or drop one, pause the task first.');
    this.list.replaceChildren(...parked.map((m) => el('li', null,
      el('div', null,
        el('strong', null, `${m.id}: `, [m.operation, m.collection]
          .filter(Boolean).join(' ') || 'a message', `, ${WHERE[m.state]}`),
        el('p', null, m.reason),
        el('small', null, `${m.topic} at ${m.position}, ${bytes(m.bytes)}, ${
          moment(m.at_ms, task.now_ms)}`)),
      ...[['parked_retry', 'Try again'], ['parked_drop', 'Drop']].map(
        ([action, word]) => el('button', {disabled: !paused,
          'data-action': action, 'aria-label': `${word} message ${m.id}`,
          onclick: () => this.ask(action, task, {id: m.id})}, word)))));
  }
}

// ---- collections

const COLUMNS = [
  ['Collection', place, (v) => v],
  ['State', (c) => c.state, (v) => v],
  ['Behind', (c) => c.lag_seconds, seconds],
  ['Rows read', (c) => c.rows_in, count],
  ['Rows applied', (c) => c.rows_out, count],
  ['Bytes applied', (c) => c.bytes_out, bytes],
  ['First copy', (c) => c.initial_copy_percent, percent],
  ['Last operation', (c) => c.last_operation?.at_ms ?? 0,
    (at, c, now) => at ? `${c.last_operation.name}, ${moment(at, now)}`
      : 'none'],
  ['Last error', (c) => c.last_error?.at_ms ?? 0,
    (at, c, now) => at ? `${moment(at, now)}: ${c.last_error.text ?? ''}`
      : 'none'],
];

// figures stand at the right
const number = (i) => i > 1 && i < 7 && 'number';

class Table {
  constructor() {
    this.rows = new Map();
    this.all = [];
    this.query = el('input', {type: 'search', autocomplete: 'off',
      placeholder: 'Filter', 'aria-label': 'Filter collections',
      oninput: () => this.draw(true)});
    this.heads = COLUMNS.map(([name], i) => el(
      'th', {scope: 'col', class: number(i)},
      el('button', {onclick: () => this.sort(i)}, name)));
    this.body = el('tbody');
    this.note = el('p', {class: 'muted'});
    this.node = section('collections', 'Collections',
      el('div', {class: 'bar'}, this.note, this.query),
      // it scrolls by itself, also by the keyboard
      el('div', {class: 'scroll', tabindex: 0, role: 'group',
        'aria-labelledby': 'h-collections'},
        el('table', {'aria-labelledby': 'h-collections'},
          el('thead', null, el('tr', null, ...this.heads)),
          this.body)));
    this.sort(2);
  }

  sort(by) {
    this.down = by === this.by ? !this.down : by > 1;
    this.by = by;
    this.heads.forEach((head, i) => set(head, 'aria-sort',
      i === by && (this.down ? 'descending' : 'ascending')));
    this.draw(true);
  }

  update(task) {
    this.all = task.collections;
    this.total = task.collections_total;
    this.now = task.now_ms;
    // rows that change places each second cannot be read
    this.draw(!(this.now - this.sorted < RARELY));
  }

  row(key) {
    let row = this.rows.get(key);
    if (!row) {
      const cells = COLUMNS.map((_, i) => (
        i ? el('td', {class: number(i)})
          : el('th', {scope: 'row'}, el('span'), el('small'))));
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
      const key = place(c);
      const {cells, node} = this.row(key);
      const to = copied(c);

      keys.add(key);
      put(cells[0].firstChild, key);
      put(cells[0].lastChild, to ? `as ${to}` : '');
      COLUMNS.slice(1).forEach(([, of, text], i) => put(
        cells[i + 1], text(of(c), c, this.now) ?? '–'));
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
      arrange(this.body, [...this.all].sort((a, b) => {
        const [x, y] = [value(a) ?? -1, value(b) ?? -1];
        return x < y ? -turn : x > y ? turn : place(a) < place(b) ? -1 : 1;
      }).map((c) => this.rows.get(place(c)).node));
      this.sorted = this.now;
    }

    const shown = this.all.length;
    put(this.note, !this.total ? 'none yet' : shown < this.total
      ? `${shown} of ${count(this.total)}, those furthest behind`
      : `${count(this.total)} in all`);
    show(this.query, shown > 1);
  }
}

// ---- what happened

class Events {
  constructor() {
    this.list = el('ol', {class: 'events', tabindex: 0,
      'aria-labelledby': 'h-events'});
    this.node = section('events', 'What happened', this.list);
  }

  update(task) {
    if (!changed(this, task.events)) {
      return;
    }
    this.list.replaceChildren(...task.events.map((e) => el(
      'li', {class: e.kind},
      el('time', null, moment(e.at_ms, task.now_ms)),
      el('strong', null, e.kind.replaceAll('_', ' ')),
      el('span', null, e.text))).reverse());
  }
}

// ---- all of it

export class View {
  // ask(action, task, more): the dialog of an action
  constructor(id, ask) {
    this.id = id;
    this.icon = icon('unknown');
    this.text = el('span');
    this.sentence = el('p', null, this.icon, this.text);
    this.next = el('p', {class: 'muted'});
    this.line = new Line();
    this.figures = new Figures();
    this.lag = new Plot('Behind', seconds, ofTime, 1);
    this.rate = new Plot('Rows per second', rate, ofTen, 10);
    this.table = new Table();
    this.events = new Events();
    this.parked = new Parked(ask);

    this.buttons = Object.fromEntries(
      ['pause', 'resume', 'delete'].map((action) => [
        action, el('button', {'data-action': action,
          onclick: () => ask(action, this.task)},
          capital(action))]));

    this.nodes = [
      el('div', {class: 'head'},
        el('h2', {tabindex: -1}, el('span', {class: 'muted'}, 'Task '),
          id),
        el('div', {class: 'buttons'}, ...Object.values(this.buttons))),
      this.sentence, this.next, this.line.node,
      this.parked.node,
      el('div', {class: 'plots'}, this.lag.node, this.rate.node),
      this.figures.node, this.table.node, this.events.node, this.answer()];
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
    const next = task.degraded?.next_try_ms;
    const wait = Math.ceil((next - task.now_ms) / 1000);

    this.task = task;
    set(this.sentence, 'class', `sentence ${kind}`);
    setIcon(this.icon, kind);
    put(this.text, text);
    put(this.next, wait > 0 ? `Next try in ${wait} s.` : 'Trying again now.');
    show(this.next, next && task.state === 'Running');

    show(this.buttons.pause, task.state !== 'Paused');
    show(this.buttons.resume, task.state === 'Paused');

    this.line.update(task, history.rates);
    this.parked.update(task);
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

    // what has grown, a second, smoothed
    const grown = (old, now, then) => {
      const fresh = Math.max(0, now - then) / passed;
      return old == null ? fresh
        : old + (fresh - old) * Math.min(1, passed / 4);
    };
    const {helper, bytes_in: read} = task;

    if (before) {
      this.rates.in = read == null ? null
        : grown(this.rates.in, read, before.bytes_in);
      this.rates.cpu = helper?.pid !== before.helper?.pid ? null : helper
        && grown(this.rates.cpu, helper.cpu_seconds,
          before.helper.cpu_seconds);
    }
    this.task = task;
  }
}
