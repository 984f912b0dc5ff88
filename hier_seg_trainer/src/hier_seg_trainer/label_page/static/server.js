// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// What the page asks the server, and what it keeps until the server has it.

const RETRY_MILLISECONDS = 1000;

/** What the server answers where it does not do what it was asked. */
export class Refused extends Error {
  constructor(status, content) {
    super(content.error ?? `the server answers with ${status}`);
    this.status = status;
    this.content = content;
  }
}

/** The name of this window, by which the server tells people apart; a reload keeps it. */
export const session = remembered(sessionStorage, 'session', () =>
  [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, '0')).join(''));

function remembered(storage, key, make) {
  const value = storage.getItem(key) ?? make();
  storage.setItem(key, value);
  return value;
}

export async function get(path) {
  return checked(await fetch(path, { credentials: 'same-origin' }));
}

export async function getJson(path) {
  return (await get(path)).json();
}

/** Post JSON, or bytes, and return what the answer's JSON says. */
export async function post(path, content) {
  const bytes = content instanceof Uint8Array || content instanceof Blob;
  const response = await fetch(path, {
    method: 'POST',
    credentials: 'same-origin',
    headers: { 'Content-Type': bytes ? 'application/octet-stream' : 'application/json' },
    body: bytes ? content : JSON.stringify(content),
  });
  return (await checked(response)).json();
}

async function checked(response) {
  if (response.ok) return response;
  let content = {};
  try {
    content = await response.json();
  } catch {
    // Not from our server: the status says all.
  }
  throw new Refused(response.status, content);
}

/** Whether a request may be sent again: the server is away, or its disk is full. */
export function isPassing(error) {
  return !(error instanceof Refused) || error.status >= 500;
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * What is to be written, one after the other. Each item stays here, in the browser's storage, too,
 * until the server has it; a server that is away or cannot write is asked again.
 */
export class Outbox {
  /**
   * `send` gets an item and returns what the server says; `settled` gets the item and that;
   * `failed` gets the item and what the server refused it with; `waiting` hears of every change:
   * how many items wait, and the reason why the first does not get through, or null.
   */
  constructor({ send, settled, failed, waiting }) {
    Object.assign(this, { send, settled, failed, waiting });
    this.key = `outbox-${session}`;
    this.items = JSON.parse(sessionStorage.getItem(this.key) ?? '[]');
    this.running = false;
  }

  add(item) {
    this.items.push(item);
    this.keep();
    this.run();
  }

  /** Remove the newest item that is not on its way and return it, or undefined. */
  takeBack() {
    if (this.items.length < (this.running ? 2 : 1)) return undefined;
    const item = this.items.pop();
    this.keep();
    return item;
  }

  keep(reason = null) {
    sessionStorage.setItem(this.key, JSON.stringify(this.items));
    this.waiting(this.items.length, reason);
  }

  async run() {
    if (this.running) return;
    this.running = true;
    while (this.items.length) {
      const [item] = this.items;
      try {
        const answer = await this.send(item);
        this.items.shift();
        this.keep();
        this.settled(item, answer);
      } catch (error) {
        if (isPassing(error)) {
          this.keep(error instanceof Refused ? error.message : 'the server does not answer');
          await pause(RETRY_MILLISECONDS);
        } else {
          this.items.shift();
          this.keep();
          this.failed(item, error);
        }
      }
    }
    this.running = false;
  }
}
