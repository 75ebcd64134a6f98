// Requests to the API, and each of them as a command for a shell.

import {el, put} from './util.js';

// Where the API is: as the configuration says, else the parent of this page.

const given = document.documentElement.dataset.api.split(' ').filter(Boolean);
const parent = new URL('..', location.href).pathname.replace(/(.)\/$/, '$1');

export const paths = given.length ? given : [parent];

export async function request(type, data, path = paths[0], wait = 10) {
  let response;
  try {
    response = await fetch(path, {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({request_type: type, request_data: data}),
      cache: 'no-store',
      signal: AbortSignal.timeout(wait * 1000),
    });
  } catch (error) {
    throw new Error(error.name === 'TimeoutError'
      ? `the server has not answered within ${wait} s`
      : 'the server does not answer');
  }

  const answer = await response.json().catch(() => null);

  if (answer?.code === 200) {
    return answer.data;
  }
  throw new Error(answer?.message
    || `the server answers with status ${response.status}`);
}

// What is secret stands as a variable of the shell in a command.

const SECRETS = {token: 'MILVUS_TOKEN', username: 'MILVUS_USER',
  password: 'MILVUS_PASSWORD'};

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function curl(type, data, path = paths[0]) {
  const hidden = (name, value) =>
    SECRETS[name] && value ? `\u0001${SECRETS[name]}\u0002` : value;
  const json = JSON.stringify({request_type: type, request_data: data}, hidden)
    .replaceAll('\\u0001', '\u0001').replaceAll('\\u0002', '\u0002');

  return `curl -sS ${quoted(new URL(path, location.href).href)} \\\n`
    + "  -H 'Content-Type: application/json' \\\n  -d "
    + quoted(json).replaceAll(/\u0001(\w+)\u0002/g, '\'"$$$1"\'');
}

// A command in a box, with a button that copies it.
export class Command {
  constructor(place) {
    this.text = el('pre', {tabindex: 0, 'aria-label': 'As a command'});
    this.button = el('button', {type: 'button', onclick: () => this.copy()});
    place.replaceChildren(this.text, this.button);
  }

  show(text) {
    put(this.text, text);
    put(this.button, 'Copy');
  }

  // the clipboard is there on https and localhost only, selecting is always
  async copy() {
    getSelection().selectAllChildren(this.text);
    const copied = await navigator.clipboard?.writeText(this.text.textContent)
      .then(() => true, () => false) || document.execCommand('copy');
    put(this.button, copied ? 'Copied' : 'Selected');
  }
}
