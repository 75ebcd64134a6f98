// A line over the last minutes, as SVG that grows with its place.

import {clock, el, put, set, svg} from './util.js';

const HEIGHT = 150;
const LEFT = 58;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 22;
const SPAN = 300;  // seconds

// The top of an axis, of which the half is round as well.

const above = (value, power, steps) =>
  power * steps.find((step) => step * power >= value * 0.9999);

export const ofTen = (value) => above(
  value, 10 ** Math.floor(Math.log10(value)), [1, 2, 3, 4, 5, 6, 8, 10]);

export const ofTime = (value) => value <= 6 ? ofTen(value)
  : value > 86400 ? 86400 * ofTen(value / 86400)
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
    const over = (at) => {
      this.at = at;
      this.point();
    };
    this.svg = svg('svg', {role: 'img', height: HEIGHT,
      onpointermove: (event) => over(event.offsetX),
      onpointerleave: () => over(null)},
    this.grid, this.area, this.line, this.mark);
    this.value = el('output', {'aria-live': 'off'});
    this.node = el('figure', null,
      el('figcaption', null, el('span', null, title), this.value),
      this.svg);

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
    return LEFT + (this.width - LEFT - RIGHT)
      * (1 - (this.now - at) / 1000 / SPAN);
  }

  y(value) {
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / this.top);
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
    const pieces = [[]];
    for (const p of this.points) {
      if (p.value == null) {
        pieces.push([]);
      } else {
        pieces.at(-1).push(`${Math.max(this.x(p.at), LEFT).toFixed(1)} ${
          this.y(p.value).toFixed(1)}`);
      }
    }

    const path = (text) => pieces.filter((points) => points.length)
      .map(text).join('') || null;
    const foot = (point) => `${point.split(' ')[0]} ${this.y(0)}`;
    set(this.line, 'd', path((points) => `M${points.join('L')}`));
    set(this.area, 'd', path((points) => `M${foot(points[0])}L${
      points.join('L')}L${foot(points.at(-1))}Z`));

    const last = this.points.at(-1);
    const text = last?.value != null
      ? `now ${this.format(last.value)}, at most ${
        this.format(Math.max(...values))}`
      : 'not known now';

    // a screen reader reads it when it comes by
    set(this.svg, 'aria-label', `${this.title}, last 5 minutes: ${text}`);
    this.point();
  }

  axes() {
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
      this.grid.append(svg('text', {x, y: HEIGHT - 5,
        'text-anchor': minute ? 'middle' : 'end'},
      minute ? `-${minute} min` : 'now'));
    }
  }

  // the value under the pointer, else the newest
  point() {
    const away = (p) => Math.abs(this.x(p.at) - this.at);
    const p = this.at == null ? this.points.at(-1)
      : this.points.reduce((a, b) => (away(b) < away(a) ? b : a));
    const known = p?.value != null;

    set(this.mark, 'visibility', known ? null : 'hidden');
    put(this.value, known ? this.format(p.value)
      + (this.at == null ? '' : ` at ${clock(p.at)}`) : null);

    if (known) {
      const x = this.x(p.at);
      const [line, circle] = this.mark.children;
      set(line, 'x1', x);
      set(line, 'x2', x);
      set(line, 'visibility', this.at == null ? 'hidden' : null);
      set(circle, 'cx', x);
      set(circle, 'cy', this.y(p.value));
    }
  }
}
