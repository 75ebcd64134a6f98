// What a page lacks for a keyboard, a screen reader or weak eyes: a list of
// sentences, empty when nothing is found.  Run in the page by a suite.

(() => {
  const found = [];
  const shown = (node) => node.checkVisibility({visibilityProperty: true});
  const name = (node) => `${node.tagName.toLowerCase()}${
    node.id ? `#${node.id}` : ''}${node.name ? `[${node.name}]` : ''} "${
    (node.textContent || '').trim().slice(0, 30)}"`;
  const all = (selector) => [...document.querySelectorAll(selector)];

  // ---- names and references

  for (const node of all('input, select, textarea').filter(shown)) {
    const labels = [...node.labels].map((l) => l.innerText.trim()).join('');
    if (!labels && !node.getAttribute('aria-label')) {
      found.push(`no label: ${name(node)}`);
    }
  }
  for (const node of all('button, a[href], summary').filter(shown)) {
    if (!node.innerText.trim() && !node.getAttribute('aria-label')) {
      found.push(`no name: ${name(node)}`);
    }
  }
  for (const node of all('svg')) {
    if (node.getAttribute('aria-hidden') !== 'true'
        && !(node.getAttribute('role') === 'img'
             && node.getAttribute('aria-label'))) {
      found.push('a picture is neither named nor hidden');
    }
  }
  for (const attribute of ['aria-labelledby', 'aria-describedby', 'for']) {
    for (const node of all(`[${attribute}]`)) {
      for (const id of node.getAttribute(attribute).split(/\s+/)) {
        if (!document.getElementById(id)) {
          found.push(`${attribute} of ${name(node)}: there is no ${id}`);
        }
      }
    }
  }
  const ids = all('[id]').map((node) => node.id);
  for (const id of ids.filter((one, i) => ids.indexOf(one) !== i)) {
    found.push(`two elements with the id ${id}`);
  }

  // ---- landmarks and headings

  for (const [selector, n] of [['main', 1], ['h1', 1], ['body > header', 1]]) {
    if (all(selector).length !== n) {
      found.push(`${all(selector).length} of ${selector}`);
    }
  }
  if (!document.documentElement.lang) {
    found.push('no language');
  }
  if (!document.title) {
    found.push('no title');
  }
  for (const node of all('nav, dialog')) {
    if (!node.getAttribute('aria-label')
        && !node.getAttribute('aria-labelledby')) {
      found.push(`not named: ${name(node)}`);
    }
  }
  let level = 0;
  for (const node of all('h1, h2, h3, h4').filter(shown)) {
    const own = Number(node.tagName[1]);
    if (own > level + 1) {
      found.push(`after a heading of level ${level}: ${name(node)}`);
    }
    level = own;
  }
  for (const node of all('[tabindex]')) {
    if (node.tabIndex > 0) {
      found.push(`it changes the order of Tab: ${name(node)}`);
    }
  }

  // ---- what scrolls has to be reached by the keyboard

  for (const node of all('body *').filter(shown)) {
    const style = getComputedStyle(node);
    const scrolls = (/auto|scroll/.test(style.overflowX)
        && node.scrollWidth > node.clientWidth + 1)
      || (/auto|scroll/.test(style.overflowY)
        && node.scrollHeight > node.clientHeight + 1);
    if (scrolls && node.tabIndex < 0 && !node.querySelector(
      'a[href], button, input, select, textarea, [tabindex="0"]')) {
      found.push(`scrolls, and cannot be focused: ${name(node)}`);
    }
  }
  const {scrollWidth, clientWidth} = document.documentElement;
  if (scrollWidth > clientWidth) {
    found.push(`wider than the window: ${scrollWidth} of ${clientWidth}`);
  }

  // ---- contrast: 4.5, or 3 for large text

  const rgba = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return {r, g, b, a};
  };
  const over = (top, under) => ({
    r: top.r * top.a + under.r * (1 - top.a),
    g: top.g * top.a + under.g * (1 - top.a),
    b: top.b * top.a + under.b * (1 - top.a), a: 1});
  const light = ({r, g, b}) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255).map(
      (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (node) => {
    const layers = [];
    for (let up = node; up; up = up.parentElement) {
      const colour = rgba(getComputedStyle(up).backgroundColor);
      if (colour.a) {
        layers.push(colour);
      }
      if (colour.a === 1) {
        break;
      }
    }
    return layers.reverse().reduce((under, top) => over(top, under),
      {r: 255, g: 255, b: 255, a: 1});
  };
  const seen = new Set();
  const measure = (node, colour, what) => {
    const style = getComputedStyle(node);
    const back = behind(node);
    const [a, b] = [light(over(rgba(colour), back)), light(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      const text = `contrast ${ratio.toFixed(2)}: ${what} on ${
        JSON.stringify(back)} ${colour}`;
      if (!seen.has(text)) {
        seen.add(text);
        found.push(text);
      }
    }
  };

  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (walk.currentNode.data.trim() && shown(node)
        && !['SCRIPT', 'NOSCRIPT', 'OPTION'].includes(node.tagName)) {
      const style = getComputedStyle(node);
      measure(node, node.closest('svg') ? style.fill : style.color,
        name(node));
    }
  }
  for (const node of all('input, textarea, select').filter(shown)) {
    measure(node, getComputedStyle(node).color, name(node));
    if (node.placeholder) {
      measure(node, getComputedStyle(node, '::placeholder').color,
        `placeholder of ${name(node)}`);
    }
  }

  return found.slice(0, 8);
})()
