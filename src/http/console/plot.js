// A line over the last minutes, as SVG that grows with its place.

import {$, clock, el, set, svg} from './util.js';

const HEIGHT = 150;
const LEFT = 58;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 22;
const SPAN = 300;                               // seconds

// The top of an axis, of which the half is round as well.

const above = (value, power, steps) =>
  power * steps.find((step) => step * power >= value * 0.9999);

export const ofTen = (value) => above(
  value, 10 ** Math.floor(Math.log10(value)), [1, 2, 3, 4, 5, 6, 8, 10]);

export const ofTime = (value) => value <= 6 || value > 86400
  ? value <= 6 ? ofTen(value) : 86400 * ofTen(value / 86400)
  : above(value, 1, [10, 20, 30, 60, 120, 240, 600, 1200, 1800, 3600, 7200,
    14400, 28800, 43200, 86400]);

export class Plot {
  // "format" makes text of a value; "ceiling" and "least": the axis's top
  constructor(title, format, ceiling, least) {
    this.title = title;
    this.format = format;
    this.ceiling = ceiling;
    this.least = least;
    this.points = [];
    this.width = 0;

    this.grid = svg('g', {class: 'grid'});
    this.area = svg('path', {class: 'area'});
    this.line = svg('path', {class: 'line'});
    this.mark = svg('g', {class: 'mark'},
      svg('line', {y1: TOP, y2: HEIGHT - BOTTOM}),
      svg('circle', {r: 3.5}));
    this.svg = svg('svg', {role: 'img', height: HEIGHT},
      this.grid, this.area, this.line, this.mark);
    this.value = el('output', {'aria-live': 'off'});
    this.node = el('figure', null,
      el('figcaption', null, el('span', null, title),
        this.value),
      this.svg);

    this.svg.addEventListener('pointermove', (event) => {
      this.at = event.offsetX;
      this.point();
    });
    this.svg.addEventListener('pointerleave', () => {
      this.at = null;
      this.point();
    });

    new ResizeObserver(([entry]) => {
      this.width = Math.floor(entry.contentRect.width);
      this.draw();
    }).observe(this.svg);
  }

  show(points, now) {
    this.points = points.filter((p) => p.at > now - SPAN * 1000 - 2000);
    this.now = now;
    this.draw();
  }

  x(at) {
    const wide = this.width - LEFT - RIGHT;
    return LEFT + wide * (1 - (this.now - at) / 1000 / SPAN);
  }

  y(value) {
    const high = HEIGHT - TOP - BOTTOM;
    return TOP + high * (1 - value / this.top);
  }

  draw() {
    if (this.width < LEFT + RIGHT + 20 || !this.now) {
      return;
    }

    const values = this.points.map((p) => p.value)
      .filter((value) => value != null);
    const highest = Math.max(this.least, ...values);

    this.top = this.ceiling(highest);
    this.axes();

    // one piece for each run of known values
    let line = '';
    let area = '';
    let open = null;
    const close = () => {
      if (open != null) {
        area += `L${open} ${this.y(0)}Z`;
      }
      open = null;
    };
    let first = null;

    for (const p of this.points) {
      if (p.value == null) {
        close();
        continue;
      }

      const x = Math.max(this.x(p.at), LEFT).toFixed(1);
      const y = this.y(p.value).toFixed(1);

      if (open == null) {
        line += `M${x} ${y}`;
        area += `M${x} ${this.y(0)}L${x} ${y}`;
        first = x;
      } else {
        line += `L${x} ${y}`;
        area += `L${x} ${y}`;
      }
      open = x;
    }

    close();
    set(this.line, 'd', line || null);
    set(this.area, 'd', area || null);

    const last = this.points.at(-1);
    const text = last && last.value != null
      ? `now ${this.format(last.value)}, at most ${
        this.format(Math.max(...values))}`
      : 'not known now';

    // a screen reader reads it when it comes by
    set(this.svg, 'aria-label', `${this.title}, last 5 minutes: ${text}`);
    this.point(first);
  }

  axes() {
    const key = `${this.width} ${this.top}`;
    if (this.drawn === key) {
      return;
    }
    this.drawn = key;
    this.grid.replaceChildren();

    for (let i = 0; i <= 4; i += 2) {
      const value = this.top * i / 4;
      const y = this.y(value);
      this.grid.append(
        svg('line', {x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y}),
        svg('text', {x: LEFT - 8, y: y + 4, 'text-anchor': 'end'},
          value ? this.format(value) : '0'));
    }

    const step = this.width < 420 ? 2 : 1;
    for (let minute = 6 - step; minute >= 0; minute -= step) {
      const x = this.x(this.now - minute * 60000);
      this.grid.append(svg(
        'text', {x, y: HEIGHT - 5,
          'text-anchor': minute ? 'middle' : 'end'},
        minute ? `-${minute} min` : 'now'));
    }
  }

  // the value under the pointer, else the newest
  point() {
    let p = this.points.at(-1);

    if (this.at != null) {
      const away = (q) => Math.abs(this.x(q.at) - this.at);
      p = this.points.reduce((a, b) => (away(b) < away(a) ? b : a), p);
    }

    const known = p && p.value != null;
    set(this.mark, 'visibility', known ? null : 'hidden');

    if (!known) {
      this.value.textContent = 'not known';
      return;
    }

    const x = this.x(p.at);
    set($('line', this.mark), 'x1', x);
    set($('line', this.mark), 'x2', x);
    set($('line', this.mark), 'visibility',
      this.at == null ? 'hidden' : null);
    set($('circle', this.mark), 'cx', x);
    set($('circle', this.mark), 'cy', this.y(p.value));

    this.value.textContent = this.format(p.value)
      + (this.at == null ? '' : ` at ${clock(p.at)}`);
  }
}
