// The few helpers that the page is made with: elements, and numbers as text.

const SVG = 'http://www.w3.org/2000/svg';

export const $ = (selector, from = document) => from.querySelector(selector);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) {
      node.addEventListener(name.slice(2), value);
    } else {
      set(node, name, value);
    }
  }

  node.append(...children.filter((child) => child != null));
  return node;
}

export const el = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// Nodes are touched only by what has changed: a selection, the focus and a
// screen reader's place survive the next second.

export function put(node, text) {
  const value = String(text ?? 'not known');

  if (node.textContent !== value) {
    node.textContent = value;
    node.classList.toggle('unknown', text == null);
  }
}

export function set(node, name, value) {
  const text = value === true ? '' : String(value);

  if (value == null || value === false) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== text) {
    node.setAttribute(name, text);
  }
}

export const show = (node, shown) => set(node, 'hidden', !shown);

// The children in this order; what stands right is not touched.
export const arrange = (place, nodes) => nodes.forEach((node, i) => {
  if (place.children[i] !== node) {
    place.insertBefore(node, place.children[i] || null);
  }
});

// Each state has a shape and a word, not only a colour.

const SHAPES = {
  live: 'M2.5 8.5l3.5 3.5 7.5-8',
  copying: 'M8 2v9M4 7.5L8 11.5l4-4M2 14.5h12',
  behind: 'M3 3.5L7.5 8 3 12.5M9 3.5l4.5 4.5L9 12.5',
  starting: 'M8 1.5a6.5 6.5 0 1 1-6.5 6.5M8 4v4l3 2',
  paused: 'M5 3v10M11 3v10',
  held: 'M8 1.5L15 14H1zM8 6v4M8 11.5v1',
  stopped: 'M3 3l10 10M13 3L3 13',
  unknown: 'M3 8h10',
};

export const setIcon = (node, kind) =>
  set(node.firstChild, 'd', SHAPES[kind] || SHAPES.unknown);

export function icon(kind) {
  const node = svg('svg', {class: 'icon', viewBox: '0 0 16 16',
    'aria-hidden': 'true'}, svg('path'));
  setIcon(node, kind);
  return node;
}

// A part of the page with a heading that names it.
export const section = (id, title, ...more) =>
  el('section', {'aria-labelledby': `h-${id}`},
    el('h3', {id: `h-${id}`}, title), ...more);

export const count = (n) =>
  n == null ? null : Math.round(n).toLocaleString('en-US');

// three digits: the others are never the same twice
export const rate = (n) =>
  n == null ? null : count(n < 1000 ? n : n.toPrecision(3));

export function bytes(n) {
  if (n == null) {
    return null;
  }

  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let i = 0;

  for (; n >= 999.5 && i < units.length - 1; i++) {
    n /= 1000;
  }

  return `${i && n < 9.95 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

export function seconds(s) {
  if (s == null) {
    return null;
  }
  if (s < 9.95) {
    return `${Math.max(s, 0).toFixed(1)} s`;
  }
  if (s < 59.5) {
    return `${Math.round(s)} s`;
  }

  const [n, of, unit, small] = s < 600 ? [Math.floor(s), 60, 'min', 's']
    : s < 48 * 3600 ? [Math.round(s / 60), 60, 'h', 'min']
      : [Math.floor(s / 3600), 24, 'd', 'h'];
  return [[Math.floor(n / of), unit], [n % of, small]]
    .filter(([part]) => part).map((part) => part.join(' ')).join(' ');
}

export const percent = (n) =>
  n == null ? null : `${n >= 100 ? 100 : Math.floor(n * 10) / 10} %`;

export const capital = (text) => text[0].toUpperCase() + text.slice(1);

export const plural = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;

export const clock = (ms) => new Date(ms).toTimeString().slice(0, 8);

// the day as well where it is not today's
export function moment(ms, now) {
  const day = new Date(ms).toDateString();
  return day === new Date(now).toDateString()
    ? clock(ms) : `${day.slice(4, 10)}, ${clock(ms)}`;
}
