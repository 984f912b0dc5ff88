// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// One proposal at a time: its picture, the guesses, and keys that answer.

import { ClassList, face } from './classes.js';
import { decodeMask, outline } from './masks.js';
import { ask, byId, choose, element, say, showSaved } from './page.js';
import { photograph } from './pictures.js';
import { Outbox, getJson, post, session } from './server.js';

// Proposals that are asked for at once: the one that is shown, and those whose pictures are loaded.
const AHEAD = 6;
const MOST_GUESSES = 9;
// How many times as wide as the proposal the view is.
const [NEAREST, USUAL, FARTHEST] = [1.3, 3, 40];
// The least width of the usual view, in pixels of the photograph.
const LEAST_VIEW = 32;
// A longer look is a pause, and says nothing about the time that is left.
const MOST_SECONDS = 60;
const MOST_PAST = 200;

export class Signs {
  /** `app` has the folder's nodes, the author, and the way to the other mode. */
  constructor(app) {
    this.app = app;
    this.queue = [];
    this.current = null;
    this.kind = 'open';
    this.past = [];
    // The numbers of this window's answers, the newest last: what undo takes back.
    this.numbers = JSON.parse(sessionStorage.getItem(`numbers-${session}`) ?? '[]');
    this.seconds = [];
    this.recent = [];
    this.factor = USUAL;
    this.outlined = true;
    this.counts = app.folder.counts;
    this.list = new ClassList(byId('sign-classes'), {
      kind: 'grid',
      chosen: (node) => this.label(node),
      left: () => document.activeElement?.blur(),
    });
    this.outbox = new Outbox({
      send: (item) => this.send(item),
      settled: (item, answer) => this.settled(item, answer),
      failed: (item, error) => this.failed(item, error),
      waiting: showSaved,
    });
    const actions = {
      unknown: () => this.answer('unknown'), nothing: () => this.answer('nothing'),
      parent: () => this.label(app.nodes.get(this.current?.parent)), skip: () => this.answer('skip'),
      flag: () => this.flag(), undo: () => this.undo(), nearer: () => this.zoom(1 / 1.4),
      farther: () => this.zoom(1.4), 'again-skip': () => this.again('skip'),
      'again-flag': () => this.again('flag'), 'finished-frames': () => app.show('frames'),
    };
    for (const [id, action] of Object.entries(actions)) {
      byId(id).onclick = () => { byId(id).blur(); action(); };
    }
    this.followPointers(byId('crop'));
    new ResizeObserver(() => this.draw()).observe(byId('view'));
    this.showCounts();
  }

  /** Show the proposal with this number first, or else the first that is open. */
  async start(number = null) {
    this.outbox.run();
    const [first, answer] = await Promise.all([
      number === null ? null : getJson(`/api/proposals/${number}`).catch((error) => say(error.message, true)),
      post('/api/queue', this.request()),
    ]);
    this.take(answer);
    if (first) this.present(first);
    else this.advance();
  }

  request() {
    const after = this.kind === 'open' ? 0 : this.position ?? 0;
    return { session, kind: this.kind, after, count: AHEAD + this.outbox.items.length };
  }

  /** Take what the server says comes next; what waits to be sent is answered already. */
  take({ queue, counts }) {
    const waiting = new Set(this.outbox.items.map((item) => item.proposal));
    this.queue = queue.filter(({ id }) => !waiting.has(id) && id !== this.current?.id);
    this.counts = counts;
    for (const { image } of this.queue) photograph(image).catch(() => {});
    this.showCounts();
  }

  advance() {
    const next = this.queue.shift();
    if (next) {
      this.present(next);
    } else if (this.outbox.items.length) {
      // What comes next is in the answer to what is on its way.
      this.current = null;
    } else {
      this.finish();
    }
  }

  async present(proposal) {
    this.current = proposal;
    this.position = proposal.position;
    this.since = performance.now();
    byId('view').hidden = false;
    byId('finished').hidden = true;
    this.showGuesses();
    this.showWords();
    const [left, top, right, bottom] = proposal.box;
    const size = [bottom - top, right - left];
    this.path = outline(size, decodeMask(size, proposal.mask.counts));
    try {
      const image = await photograph(proposal.image);
      if (this.current !== proposal) return;
      this.image = image;
      this.draw();
      if (this.asked) {
        // From the key until the browser has something new to show.
        const start = this.asked;
        this.asked = null;
        requestAnimationFrame(() => performance.measure('next proposal', { start, end: performance.now() }));
      }
    } catch (error) {
      if (this.current !== proposal) return;
      this.image = null;
      this.draw();
      say(`${proposal.image}: ${error.message}`, true);
    }
  }

  finish() {
    this.current = null;
    const { skip, flag, all } = this.counts;
    byId('view').hidden = true;
    byId('finished').hidden = false;
    byId('guesses').replaceChildren();
    this.list.offer([]);
    byId('finished-text').textContent = [
      `Of ${all} proposals none is open.`,
      skip || flag ? `${skip} skipped and ${flag} flagged ones can be looked at again.` : '',
      'Ending the program writes the label files.',
    ].join(' ');
    byId('again-skip').hidden = !skip;
    byId('again-flag').hidden = !flag;
  }

  async again(kind) {
    this.kind = kind;
    this.position = 0;
    await this.start();
  }

  // Answers

  label(node) {
    if (!node || !this.current) return;
    this.recent = [node, ...this.recent.filter((other) => other !== node)].slice(0, MOST_GUESSES);
    this.answer('label', { class: node.name });
  }

  async flag() {
    const proposal = this.current;
    if (!proposal) return;
    const comment = await ask('Why? (may stay empty)');
    if (comment !== null && this.current === proposal) this.answer('flag', comment ? { comment } : {});
  }

  answer(action, more = {}) {
    const proposal = this.current;
    if (!proposal) return;
    this.asked = performance.now();
    this.seconds = [...this.seconds, (performance.now() - this.since) / 1000]
      .filter((seconds) => seconds < MOST_SECONDS).slice(-30);
    this.past = [...this.past, proposal].slice(-MOST_PAST);
    const seen = proposal.answer?.number ?? 0;
    this.outbox.add({ proposal: proposal.id, action, ...more, seen });
    this.current = null;
    this.advance();
    say(`${this.words(action, more.class)} — Z takes it back`);
  }

  undo() {
    const shown = this.current;
    const newest = this.outbox.takeBack();
    const before = this.past.pop();
    if (newest && newest.action !== 'undo') {
      if (shown) this.queue.unshift(shown);
      this.present(before);
    } else if (newest || before || this.numbers.length || this.outbox.items.length) {
      if (newest) this.outbox.add(newest);
      if (shown) this.queue.unshift(shown);
      this.outbox.add({ action: 'undo' });
      if (before) this.present({ ...before, answer: null });
      else this.current = null;
    } else {
      say('Nothing to take back');
      return;
    }
    say('Taken back');
  }

  async send(item) {
    const common = { session, author: this.app.author, ...this.request() };
    if (item.action !== 'undo') return post('/api/answer', { ...common, ...item });
    // Known by now: what it takes back has been sent before. Kept, so that a second try means it.
    item.number ??= this.numbers.at(-1) ?? null;
    this.outbox.keep();
    return post('/api/undo', { ...common, number: item.number });
  }

  settled(item, answer) {
    if (item.action === 'undo') this.numbers = this.numbers.filter((number) => number !== item.number);
    else this.numbers = [...this.numbers, answer.entry.number].slice(-MOST_PAST);
    sessionStorage.setItem(`numbers-${session}`, JSON.stringify(this.numbers));
    this.take(answer);
    const { proposal } = answer;
    // It may have another answer by now, which waits to be sent.
    const isAnswered = proposal && this.outbox.items.some((other) => other.proposal === proposal.id);
    if (proposal && !isAnswered && this.current === null) {
      this.present(proposal);
    } else if (proposal && this.current?.id === proposal.id) {
      this.current.answer = proposal.answer;
      this.showWords();
    } else if (this.current === null) {
      this.advance();
    }
  }

  async failed(item, error) {
    if (error.status === 409 && error.content.theirs) {
      const { theirs } = error.content;
      const answer = await choose(
        `${theirs.author} says: ${this.words(theirs.action, theirs.class)}. `
        + `You say: ${this.words(item.action, item.class)}.`,
      );
      if (answer === 'mine') this.outbox.add({ ...item, seen: theirs.number });
    } else {
      say(error.message, true);
    }
    if (this.current === null && !this.outbox.items.length) {
      this.take(await post('/api/queue', this.request()));
      this.advance();
    }
  }

  // What is on the page

  words(action, name) {
    const title = this.app.nodes.get(name)?.title;
    const all = { label: title, unknown: 'none of the classes', nothing: 'not one at all' };
    return all[action] ?? { skip: 'skipped', flag: 'flagged' }[action];
  }

  showWords() {
    const { id, image, box, parent, confidence, answer, put_off: putOff } = this.current;
    const node = this.app.nodes.get(parent);
    const [left, top, right, bottom] = box;
    const small = element('small', {}, `${image} · ${right - left} × ${bottom - top} pixels · number ${id}`
      + (confidence ? ` · the guess is ${Math.round(100 * confidence)} % sure` : ''));
    byId('question').replaceChildren(`Which ${node.title} is this?`, small);
    const [unknown, nothing, told] = ['unknown', 'nothing', 'parent'].map((key) => byId(key).lastElementChild);
    unknown.textContent = `None of the ${this.app.below(parent).length}`;
    nothing.textContent = parent.includes('traffic-sign') ? 'Not a sign' : `No ${node.title}`;
    told.textContent = 'Cannot tell which';
    const standing = answer ?? putOff;
    byId('standing').hidden = !standing;
    if (standing) {
      const said = standing.comment ? `: “${standing.comment}”` : '';
      byId('standing').textContent = `${standing.author}: ${this.words(standing.action, standing.class)}${said}`;
    }
    if (this.offered !== parent || !this.list.nodes.length) {
      this.offered = parent;
      this.list.offer(this.app.below(parent));
    }
  }

  /** Return the classes of the number keys: the guesses, then what was chosen last. */
  choices() {
    const { guesses, parent } = this.current;
    const guessed = guesses.map(({ name, probability }) => ({ node: this.app.nodes.get(name), probability }));
    const below = new Set(this.app.below(parent));
    const known = new Set(guessed.map(({ node }) => node));
    const others = this.recent.filter((node) => below.has(node) && !known.has(node));
    return [...guessed, ...others.map((node) => ({ node }))].slice(0, MOST_GUESSES);
  }

  showGuesses() {
    byId('guesses').replaceChildren(...this.choices().map(({ node, probability }, place) => {
      const percent = probability === undefined ? 'recent' : `${Math.round(100 * probability)} %`;
      const bar = element('i');
      bar.style.width = `${100 * (probability ?? 0)}%`;
      const words = [element('b', {}, node.title), element('em', {}, percent)];
      return element(
        'button', { class: 'guess', title: node.name, onclick: () => this.label(node) },
        element('kbd', {}, String(place + 1)), face(node), ...words, bar,
      );
    }));
  }

  showCounts() {
    const { all, open, label, unknown, nothing, skip, flag } = this.counts;
    // Those that wait to be sent count as answered.
    const left = Math.max(0, open - this.outbox.items.filter((item) => item.action !== 'undo').length);
    byId('bar').value = all ? (all - left) / all : 1;
    const more = element('span', { class: 'more' }, ` · ${label + unknown + nothing} answered`
      + (skip ? ` · ${skip} skipped` : '') + (flag ? ` · ${flag} flagged` : ''));
    byId('counts').replaceChildren(`${left} of ${all} left${this.timeLeft(left)}`, more);
  }

  timeLeft(left) {
    if (this.seconds.length < 3 || !left) return '';
    const median = [...this.seconds].sort((a, b) => a - b)[this.seconds.length >> 1];
    const minutes = (median * left) / 60;
    if (minutes < 1) return ', under a minute';
    return minutes < 90 ? `, about ${Math.round(minutes)} min` : `, about ${Math.round(minutes / 60)} h`;
  }

  zoom(factor) {
    this.factor = Math.min(FARTHEST, Math.max(NEAREST, this.factor * factor));
    this.draw();
  }

  /** Draw the proposal in the middle, with as much around it as fits. */
  draw() {
    const canvas = byId('crop');
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext('2d', { alpha: false });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = '#0b0d10';
    context.fillRect(0, 0, width, height);
    byId('whole').hidden = !this.current || !this.image;
    if (!this.current || !this.image) return;
    const [left, top, right, bottom] = this.current.box;
    const usual = Math.max(LEAST_VIEW, USUAL * Math.max(right - left, bottom - top));
    const side = (usual * this.factor) / USUAL;
    const scale = Math.min(width, height) / side;
    const x = width / 2 - scale * ((left + right) / 2);
    const y = height / 2 - scale * ((top + bottom) / 2);
    context.setTransform(scale, 0, 0, scale, x, y);
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.image, 0, 0);
    if (this.outlined) {
      context.translate(left, top);
      context.lineCap = 'square';
      for (const [color, line] of [['#000c', 5], ['#ffe14d', 2]]) {
        context.strokeStyle = color;
        context.lineWidth = (line * ratio) / scale;
        context.stroke(this.path);
      }
    }
    this.drawWhole({ left: -x / scale, top: -y / scale, width: width / scale, height: height / scale });
  }

  /** Show where in the photograph the view is. */
  drawWhole(view) {
    const canvas = byId('whole');
    const ratio = devicePixelRatio || 1;
    const width = Math.round(250 * ratio);
    const scale = width / this.image.width;
    // Setting the size clears it; the same photograph stays.
    if (this.drawn !== this.image || canvas.width !== width) {
      this.drawn = this.image;
      const small = new OffscreenCanvas(width, Math.max(1, Math.round(this.image.height * scale)));
      const context = small.getContext('2d');
      context.imageSmoothingQuality = 'medium';
      context.drawImage(this.image, 0, 0, small.width, small.height);
      this.small = small;
      Object.assign(canvas, { width, height: small.height });
    }
    const context = canvas.getContext('2d');
    context.drawImage(this.small, 0, 0);
    context.fillStyle = '#0007';
    context.fillRect(0, 0, canvas.width, canvas.height);
    const seen = [view.left, view.top, view.width, view.height].map((value) => value * scale);
    context.save();
    context.beginPath();
    context.rect(...seen);
    context.clip();
    context.drawImage(this.small, 0, 0);
    context.restore();
    context.strokeStyle = '#ffe14d';
    context.lineWidth = 2 * ratio;
    context.strokeRect(...seen);
  }

  /** The wheel and two fingers change how much is seen. */
  followPointers(canvas) {
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY / 400));
    }, { passive: false });
    const fingers = new Map();
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    canvas.onpointerdown = (event) => fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    canvas.onpointermove = (event) => {
      if (!fingers.has(event.pointerId)) return;
      const before = fingers.size === 2 ? spread() : 0;
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (before) this.zoom(before / Math.max(1, spread()));
    };
    canvas.onpointerup = canvas.onpointercancel = canvas.onpointerleave = (event) => fingers.delete(event.pointerId);
  }

  key(event) {
    const { key } = event;
    if (/^[1-9]$/.test(key)) {
      const choice = this.current && this.choices()[Number(key) - 1];
      if (choice) {
        byId('guesses').children[Number(key) - 1]?.classList.add('pressed');
        this.label(choice.node);
      } else {
        say(`There is no guess ${key}`);
      }
      return true;
    }
    const actions = {
      '0': () => this.answer('unknown'),
      x: () => this.answer('nothing'),
      t: () => this.label(this.app.nodes.get(this.current?.parent)),
      ' ': () => this.answer('skip'),
      f: () => this.flag(),
      z: () => this.undo(),
      backspace: () => this.undo(),
      '/': () => this.list.focus(),
      enter: () => this.list.focus(),
      '+': () => this.zoom(1 / 1.4),
      '=': () => this.zoom(1 / 1.4),
      '-': () => this.zoom(1.4),
      v: () => { this.outlined = !this.outlined; this.draw(); },
      m: () => this.app.show('frames', this.current?.image),
    };
    const action = actions[key.toLowerCase()];
    action?.();
    return Boolean(action);
  }
}
