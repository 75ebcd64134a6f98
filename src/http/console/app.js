// The page: asks for the progress once a second and shows what it is told.

import {$, arrange, capital, clock, el, icon, plural, put, set, setIcon, show}
  from './util.js';
import {request} from './api.js';
import {BAD, History, KINDS, View, WORDS, verdict} from './task.js';
import {Ask, Create} from './forms.js';

const EVERY = 1000;  // ms
const MANY = 8;  // tasks: beyond, all are asked for less often
const RARELY = 5;  // answers about one between those about all

const tasks = new Map();  // id -> the last answer
const histories = new Map();
const items = new Map();  // id -> entry of the list
let kinds = new Map();  // id -> kind, as announced

let view = null;
let chosen = null;
let turn = 0;
let fresh = 0;  // time of the last answer

function notice(text, more = []) {
  const node = $('#notice');
  node.replaceChildren(
    el('p', null, text),
    el('ul', null, ...more.map((line) => el('li', null, line))),
    el('button', {'aria-label': 'Dismiss', onclick: () => {
      show(node, false);
      $('#main').focus();
    }}, '×'));
  show(node, true);
}

const create = new Create((text, id, warnings) => {
  notice(text, warnings);
  location.hash = encodeURIComponent(id);
  again();
});

const ask = new Ask((text) => {
  notice(text);
  view?.parked.outdated();
  again();
  // the button that was pressed may be gone
  $('#main').focus();
});

// ---- the list of tasks

const order = (a, b) =>
  KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind)
    || a.task.created_ms - b.task.created_ms
    || (a.id < b.id ? -1 : 1);

function item(id) {
  let entry = items.get(id);
  if (!entry) {
    entry = {icon: icon('unknown'), text: el('span'),
      link: el('a', {href: `#${encodeURIComponent(id)}`})};
    entry.link.append(entry.icon, el('strong', null, id), entry.text);
    entry.node = el('li', null, entry.link);
    items.set(id, entry);
  }
  return entry;
}

function list(rows) {
  const wanted = $('#query').value.trim().toLowerCase();

  for (const {id, kind, text, task} of rows) {
    const entry = item(id);
    set(entry.link, 'class', kind);
    set(entry.link, 'aria-current', id === chosen ? 'page' : null);
    setIcon(entry.icon, kind);
    put(entry.text, text);
    show(entry.node, `${id} ${text} ${task.target?.uri}`.toLowerCase()
      .includes(wanted));
  }
  arrange($('#list'), rows.map(({id}) => items.get(id).node));

  for (const [id, entry] of items) {
    if (!tasks.has(id)) {
      entry.node.remove();
      items.delete(id);
    }
  }

  show($('#tasks'), rows.length > 1);
  show($('#query'), rows.length > 6);
}

function summary(rows) {
  const number = (kind) => rows.filter((row) => row.kind === kind).length;
  const parts = KINDS.filter(number)
    .map((kind) => `${number(kind)} ${WORDS[kind]}`);
  const bad = BAD.reduce((n, kind) => n + number(kind), 0);

  put($('#summary'), rows.length
    ? `${plural(rows.length, 'task')}: ${parts.join(', ')}` : 'No tasks');
  set($('#summary'), 'class', bad ? 'bad' : null);
  document.title = bad ? `${bad} in trouble – Milvus CDC` : 'Milvus CDC';
}

// Only what matters is announced, never a number that moves.
function announce(rows) {
  const news = rows.filter(({id, kind}) => kinds.has(id)
    && kinds.get(id) !== kind).map(({id, kind}) => `${id} is ${WORDS[kind]}`);

  kinds = new Map(rows.map(({id, kind}) => [id, kind]));
  if (news.length) {
    put($('#said'), `${news.slice(0, 3).join('. ')}.`);
  }
}

// ---- what is shown

function draw() {
  const rows = [...tasks].map(([id, task]) => ({id, task, ...verdict(task)}))
    .sort(order);
  const wanted = [...tasks.keys()].find(
    (id) => `#${encodeURIComponent(id)}` === location.hash);

  if (wanted) {
    chosen = wanted;
  } else if (!tasks.has(chosen)) {
    chosen = rows.length ? rows[0].id : null;
  }

  summary(rows);
  announce(rows);
  list(rows);
  show($('#empty'), !rows.length);
  show($('#task'), rows.length > 0);

  if (!chosen) {
    view = null;
    $('#task').replaceChildren();
    return;
  }
  if (view?.id !== chosen) {
    view = new View(chosen, (...what) => ask.open(...what));
    $('#task').replaceChildren(...view.nodes);
  }
  view.update(tasks.get(chosen), histories.get(chosen));
}

function take(task) {
  const id = task.task_id;
  tasks.set(id, task);
  histories.set(id, histories.get(id) || new History());
  histories.get(id).add(task);
}

// ---- the requests

async function look() {
  const one = tasks.size > MANY && chosen && turn % RARELY
    ? {task_id: chosen} : undefined;
  turn += 1;

  const answer = await request('progress', one);

  answer.tasks.forEach(take);
  if (!one) {
    const left = new Set(answer.tasks.map((task) => task.task_id));
    [...tasks.keys()].filter((id) => !left.has(id)).forEach((id) => {
      tasks.delete(id);
      histories.delete(id);
    });
  }

  fresh = Date.now();
  document.body.classList.remove('stale');
  put($('#alarm'), '');
  put($('#clock'), `as of ${clock(fresh)}`);
  draw();
}

let timer = null;
let busy = false;

async function tick() {
  const begun = Date.now();

  busy = true;
  clearTimeout(timer);
  try {
    await look();
  } catch (error) {
    // a task that is gone is no trouble: the next answer is about all
    if (turn % RARELY === 1 || tasks.size <= MANY) {
      document.body.classList.add('stale');
      put($('#alarm'), `${capital(error.message)}. ${fresh
        ? `What is shown is from ${clock(fresh)}. ` : ''}Trying again.`);
    }
    turn = 0;
  }
  busy = false;
  timer = setTimeout(tick, document.hidden ? 5 * EVERY
    : Math.max(100, EVERY - (Date.now() - begun)));
}

// at once, about all of them
function again() {
  turn = 0;
  if (!busy) {
    tick();
  }
}

// a hash is a task
$('.skip').onclick = (event) => {
  event.preventDefault();
  $('#main').focus();
};
$('#new').onclick = $('#first').onclick = () => create.open();
$('#query').oninput = draw;
window.onhashchange = () => {
  draw();
  $('#task h2')?.focus();
};
document.onvisibilitychange = () => {
  if (!document.hidden) {
    again();
  }
};

tick();
