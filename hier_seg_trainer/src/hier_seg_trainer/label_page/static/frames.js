// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// Whole frames: tools that paint labels, saved as they change.

import { ClassList, face } from './classes.js';
import { Edges } from './edges.js';
import { FrameView } from './frame_view.js';
import { LabelMap } from './label_map.js';
import { byId, choose, element, say, showSaved } from './page.js';
import { photograph } from './pictures.js';
import { get, getJson, isPassing, pause, post, session } from './server.js';

const UNLABELLED = { id: 255, name: '', title: 'Unlabelled', color: [90, 90, 90], depth: 1 };
const SAVE_AFTER_MILLISECONDS = 700;
const RETRY_MILLISECONDS = 1000;
const AT_HAND = 9;
// How near to an edge a corner snaps to it, in pixels of the screen.
const SNAP = 12;
const CLOSE = 10;
const PEN_ERASER = 32;

export class Frames {
  constructor(app) {
    this.app = app;
    this.view = new FrameView();
    this.view.moved = () => this.draw();
    this.tool = 'brush';
    this.size = 16;
    this.node = UNLABELLED;
    this.hand = [];
    this.polygon = [];
    this.fingers = new Map();
    this.version = this.savedVersion = 0;
    this.list = new ClassList(byId('frame-classes'), {
      kind: 'list', chosen: (node) => this.take(node), left: () => document.activeElement?.blur(),
    });
    const deepest = app.folder.levels.length;
    byId('level').replaceChildren(...Array.from({ length: deepest }, (_, index) => element(
      'option', { value: String(deepest - index) }, index ? `level ${deepest - index}` : 'finest classes',
    )));
    this.listen();
  }

  listen() {
    for (const button of document.querySelectorAll('[data-tool]')) {
      button.onclick = () => { button.blur(); this.choose(button.dataset.tool); };
    }
    const clicks = {
      'frame-undo': () => this.undo(), 'frame-redo': () => this.redo(), fit: () => this.view.fit(),
      'previous-frame': () => this.step(-1), 'next-frame': () => this.step(1),
    };
    for (const [id, action] of Object.entries(clicks)) byId(id).onclick = () => { byId(id).blur(); action(); };
    byId('frame-name').onchange = () => { byId('frame-name').blur(); this.open(byId('frame-name').value); };
    byId('opacity').oninput = () => this.showOpacity();
    byId('size').oninput = () => this.resize(Number(byId('size').value));
    byId('level').onchange = () => { byId('level').blur(); this.view.recolor(this.colors()); };
    const stage = byId('stage');
    stage.addEventListener('wheel', (event) => {
      event.preventDefault();
      const { left, top } = stage.getBoundingClientRect();
      this.view.zoom(Math.exp(-event.deltaY / 400), event.clientX - left, event.clientY - top);
    }, { passive: false });
    stage.onpointerdown = (event) => this.down(event);
    stage.onpointermove = (event) => this.moveTo(event);
    stage.onpointerup = (event) => this.up(event);
    stage.onpointercancel = (event) => this.up(event);
    stage.onpointerleave = () => { this.pointer = null; this.draw(); };
    stage.ondblclick = () => this.closePolygon();
    stage.oncontextmenu = (event) => event.preventDefault();
    addEventListener('visibilitychange', () => document.hidden && this.save());
    this.choose('brush');
    this.showOpacity();
  }

  /** Show a frame; without a name the one that is shown, or the first. */
  async open(name) {
    const images = await getJson('/api/images');
    const wanted = images.some((image) => image.name === name) ? name : this.name ?? images[0]?.name;
    this.images = images;
    byId('frame-name').replaceChildren(...images.map((image) => element(
      'option', { value: image.name }, `${image.frame ? '● ' : ''}${image.name}`,
    )));
    if (!wanted) return say('This folder has no pictures', true);
    byId('frame-name').value = wanted;
    if (wanted === this.name) return this.view.fit();
    await this.save();
    return this.load(wanted);
  }

  async load(name) {
    try {
      const [image, newest, prediction] = await Promise.all([
        photograph(name).catch((error) => say(`${name}: ${error.message}`, true)),
        labels(name, 'newest'), labels(name, 'prediction'),
      ]);
      this.name = name;
      this.base = newest.entry;
      this.version = this.savedVersion = 0;
      this.map = new LabelMap(newest.width, newest.height, newest.ids);
      this.edges = new Edges(prediction.width, prediction.height, prediction.ids);
      this.polygon = [];
      this.list.offer([UNLABELLED, ...this.app.tree()]);
      this.view.show(image, this.map, this.colors());
      this.layHands();
      const next = this.images[this.images.findIndex((other) => other.name === name) + 1];
      if (next) photograph(next.name).catch(() => {});
      document.documentElement.dataset.frame = name;
    } catch (error) {
      say(`${name}: ${error.message}`, true);
    }
  }

  step(by) {
    const place = this.images.findIndex((image) => image.name === this.name) + by;
    if (this.images[place]) this.open(this.images[place].name);
    else say(by > 0 ? 'This is the last frame' : 'This is the first frame');
  }

  // Classes

  colors() {
    const level = this.app.folder.levels[Number(byId('level').value) - 1];
    this.shown = level;
    const colors = new Uint32Array(256);
    for (let id = 0; id < 255; id++) {
      const node = this.app.nodeOfId.get(level[id]);
      if (node) colors[id] = (0xff000000 | (node.color[2] << 16) | (node.color[1] << 8) | node.color[0]) >>> 0;
    }
    return colors;
  }

  /** Put the classes at hand that have the most pixels. */
  layHands() {
    const counts = new Uint32Array(256);
    for (const id of this.map.ids) counts[id]++;
    const ids = [...counts.keys()].filter((id) => counts[id] && id !== 255).sort((a, b) => counts[b] - counts[a]);
    this.hand = ids.map((id) => this.app.nodeOfId.get(id)).filter(Boolean).slice(0, AT_HAND);
    if (this.node === UNLABELLED || !this.hand.includes(this.node)) [this.node = UNLABELLED] = this.hand;
    this.showHand();
  }

  take(node) {
    this.node = node;
    if (node !== UNLABELLED && !this.hand.includes(node)) this.hand = [...this.hand.slice(0, AT_HAND - 1), node];
    if (!['brush', 'polygon', 'fill'].includes(this.tool)) this.choose('brush');
    this.showHand();
  }

  showHand() {
    byId('palette').replaceChildren(...this.hand.map((node, place) => element(
      'button', { 'aria-pressed': String(node === this.node), title: node.name, onclick: () => this.take(node) },
      element('kbd', {}, String(place + 1)), face(node), element('span', {}, node.title),
    )));
    this.draw();
  }

  // Tools

  choose(tool) {
    this.tool = tool;
    for (const button of document.querySelectorAll('[data-tool]')) {
      button.setAttribute('aria-pressed', button.dataset.tool === tool);
    }
    byId('stage').className = tool;
    if (tool !== 'polygon') this.polygon = [];
    this.draw();
  }

  resize(size) {
    this.size = Math.min(120, Math.max(1, Math.round(size)));
    byId('size').value = this.size;
    byId('size-text').textContent = this.size;
    this.draw();
  }

  showOpacity() {
    byId('labels').style.opacity = this.hiding ? 0 : Number(byId('opacity').value) / 100;
  }

  down(event) {
    if (!this.map) return;
    document.activeElement?.blur();
    byId('stage').setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (event.pointerType === 'touch' && this.fingers.size === 2) {
      // What the first finger has begun was the beginning of a pinch.
      this.drop();
      return;
    }
    if (this.fingers.size > 1) return;
    event.preventDefault();
    if (this.tool === 'pan' || this.holding || event.button === 1) {
      this.panning = true;
      byId('stage').style.cursor = 'grabbing';
      return;
    }
    if (event.button === 2) return;
    const place = this.view.place(event);
    const erases = this.tool === 'eraser' || (event.buttons & PEN_ERASER) !== 0;
    if (this.tool === 'brush' || erases) {
      this.map.begin();
      this.stroke = { id: erases ? 255 : this.node.id, last: place };
      this.view.refresh(this.map.stroke(...place, ...place, this.size, this.stroke.id));
    } else if (this.tool === 'fill') {
      this.map.begin();
      const [x, y] = place.map(Math.floor);
      this.view.refresh(this.map.fill(x, y, this.node.id, this.shown));
      this.finish();
    } else if (this.tool === 'pick') {
      this.pick(place);
    } else {
      this.addCorner(place, !event.altKey && byId('snap').checked, event.pointerType);
    }
  }

  moveTo(event) {
    if (!this.map) return;
    const before = this.fingers.get(event.pointerId);
    if (before) {
      const now = { x: event.clientX, y: event.clientY };
      if (this.fingers.size === 2) this.pinch(event.pointerId, now);
      else if (this.panning) this.view.move(now.x - before.x, now.y - before.y);
      this.fingers.set(event.pointerId, now);
    }
    if (this.stroke && this.fingers.size === 1) {
      // All places between two pictures of the screen, so that fast strokes are round.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) {
        const place = this.view.place(each);
        this.view.refresh(this.map.stroke(...this.stroke.last, ...place, this.size, this.stroke.id));
        this.stroke.last = place;
      }
    }
    this.pointer = event;
    this.draw();
    this.showUnder(this.view.place(event));
  }

  up(event) {
    this.fingers.delete(event.pointerId);
    if (this.fingers.size) return;
    if (this.stroke) this.finish();
    this.stroke = null;
    this.panning = false;
    byId('stage').style.cursor = '';
    if (event.pointerType === 'touch') this.pointer = null;
    this.draw();
  }

  /** Two fingers move and zoom. */
  pinch(id, now) {
    const [other] = [...this.fingers].filter(([key]) => key !== id).map(([, place]) => place);
    const before = this.fingers.get(id);
    const { left, top } = byId('stage').getBoundingClientRect();
    const spread = (a) => Math.max(10, Math.hypot(a.x - other.x, a.y - other.y));
    this.view.move((now.x - before.x) / 2, (now.y - before.y) / 2);
    this.view.zoom(spread(now) / spread(before), (now.x + other.x) / 2 - left, (now.y + other.y) / 2 - top);
  }

  /** Take back a stroke that has only begun. */
  drop() {
    if (!this.stroke) return;
    this.stroke = null;
    if (this.map.finish()) {
      this.view.refresh(this.map.undo());
      this.map.undone.pop();
    }
  }

  pick([x, y]) {
    const node = this.app.nodeOfId.get(this.edges.at.call(this.map, Math.floor(x), Math.floor(y)));
    if (node) this.take(node);
    this.choose('brush');
  }

  // Polygons: corners that were clicked, with the way along edges that leads to each of them.

  addCorner(place, snaps, kind) {
    const [first] = this.polygon;
    if (first && this.polygon.length > 2) {
      const [a, b] = [this.view.onStage(first.corner), this.view.onStage(place)];
      const reach = kind === 'touch' ? 2 * CLOSE : CLOSE;
      if (Math.hypot(a[0] - b[0], a[1] - b[1]) < reach) return this.closePolygon();
    }
    this.polygon.push(this.corner(place, snaps));
    return this.draw();
  }

  /** Return a corner: where it is, and the way to it from the one before. */
  corner(place, snaps) {
    const corner = (snaps && this.edges.nearest(...place, SNAP / this.view.scale)) || place;
    const before = this.polygon.at(-1);
    const onEdge = corner !== place;
    const way = onEdge && before?.onEdge ? this.edges.way(before.corner, corner) : null;
    return { corner, onEdge, way: way ?? [corner] };
  }

  points() {
    const points = this.polygon.flatMap(({ way }) => way);
    const [first] = this.polygon;
    const last = this.polygon.at(-1);
    // The last side follows the edge, too.
    const back = first?.onEdge && last.onEdge ? this.edges.way(last.corner, first.corner) : null;
    return back ? [...points, ...back.slice(0, -1)] : points;
  }

  closePolygon() {
    // A double click has added its place twice.
    const corners = new Set(this.polygon.map(({ corner }) => String(corner)));
    if (corners.size > 2) {
      const points = this.points();
      this.map.begin();
      this.view.refresh(this.map.polygon(points, this.node.id));
      this.finish();
      this.polygon = [];
    }
    this.draw();
  }

  // What is taken back, and what is saved

  finish() {
    if (!this.map.finish()) return;
    this.changed();
  }

  undo() {
    if (this.polygon.length) {
      this.polygon.pop();
      this.draw();
      return;
    }
    this.moveInHistory(this.map?.undo(), 'Nothing to take back');
  }

  redo() {
    this.moveInHistory(this.map?.redo(), 'Nothing to do again');
  }

  moveInHistory(rectangle, otherwise) {
    if (!rectangle) return say(otherwise);
    this.view.refresh(rectangle);
    return this.changed();
  }

  changed() {
    this.version++;
    byId('saved').textContent = 'Saving…';
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.save(), SAVE_AFTER_MILLISECONDS);
  }

  isUnsaved() {
    return this.version !== this.savedVersion;
  }

  /** Save what has changed; it is tried until the server has it or refuses it. */
  async save() {
    // One after the other: the next one is painted on what this one has written.
    while (this.saving) await this.saving;
    if (!this.isUnsaved()) return;
    this.saving = this.send();
    await this.saving;
    this.saving = null;
  }

  async send() {
    clearTimeout(this.waiting);
    for (;;) {
      const { version, name, map, base } = this;
      try {
        const query = new URLSearchParams({ base, session, author: this.app.author });
        const { entry } = await post(`/api/frames/${encodeURIComponent(name)}?${query}`, await packed(map.ids));
        this.base = entry.number;
        this.savedVersion = version;
        showSaved(0, null);
        if (!this.isUnsaved()) return;
      } catch (error) {
        if (error.status === 409) {
          if (await this.settle(error.content.theirs)) return;
        } else if (isPassing(error)) {
          showSaved(1, error.status ? error.message : 'the server does not answer');
          await pause(RETRY_MILLISECONDS);
        } else {
          this.savedVersion = this.version;
          say(error.message, true);
          return;
        }
      }
    }
  }

  /** Ask whose labels count; return whether the others' are shown now. */
  async settle(theirs) {
    const answer = await choose(`${theirs.author} has saved other labels of this frame since you opened it.`);
    this.base = theirs.number;
    if (answer === 'mine') return false;
    const { ids, entry } = await labels(this.name, 'newest');
    this.map.begin();
    this.map.ids.set(ids);
    this.view.refresh(this.map.note(0, 0, this.map.width, this.map.height));
    this.map.finish();
    this.base = entry;
    this.savedVersion = this.version;
    showSaved(0, null);
    return true;
  }

  // What lies over the frame: the brush's size, the polygon

  draw() {
    const { pointer, view } = this;
    if (!view.map) return;
    const round = pointer && !this.panning && !this.holding && ['brush', 'eraser'].includes(this.tool);
    const cursor = byId('cursor');
    cursor.setAttribute('r', round ? Math.max(1.5, (this.size / 2) * view.scale) : 0);
    if (pointer) {
      const { left, top } = byId('stage').getBoundingClientRect();
      cursor.setAttribute('cx', pointer.clientX - left);
      cursor.setAttribute('cy', pointer.clientY - top);
    }
    let points = this.polygon.flatMap(({ way }) => way);
    if (this.polygon.length && pointer) {
      const snaps = !pointer.altKey && byId('snap').checked;
      points = [...points, ...this.corner(view.place(pointer), snaps).way];
    }
    const path = points.map((point, index) => `${index ? 'L' : 'M'}${view.onStage(point).map((v) => v.toFixed(1))}`).join('');
    byId('line').setAttribute('d', path);
    byId('line-halo').setAttribute('d', path);
    byId('corners').replaceChildren(...this.polygon.map(({ corner }) => {
      const [x, y] = view.onStage(corner);
      const square = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
      for (const [key, value] of Object.entries({ x: x - 4, y: y - 4, width: 8, height: 8 })) square.setAttribute(key, value);
      return square;
    }));
  }

  showUnder([x, y]) {
    const id = x < 0 || y < 0 || x >= this.map.width || y >= this.map.height
      ? null : this.map.ids[Math.floor(y) * this.map.width + Math.floor(x)];
    const titles = [];
    for (let node = this.app.nodeOfId.get(id); node; node = this.app.nodes.get(node.parent)) titles.push(node.title);
    byId('under').textContent = id === null ? '' : titles.join(' ‹ ') || UNLABELLED.title;
  }

  key(event) {
    const { key } = event;
    if (/^[1-9]$/.test(key)) {
      const node = this.hand[Number(key) - 1];
      if (node) this.take(node);
      return true;
    }
    if (key === ' ') {
      if (!event.repeat) { this.holding = true; byId('stage').style.cursor = 'grab'; this.draw(); }
      return true;
    }
    const opacity = byId('opacity');
    const shade = (by) => { opacity.value = Number(opacity.value) + by; this.showOpacity(); };
    const tools = { b: 'brush', p: 'polygon', f: 'fill', e: 'eraser', h: 'pan', i: 'pick' };
    const actions = {
      '0': () => this.view.fit(), '+': () => this.view.zoom(1.4), '=': () => this.view.zoom(1.4),
      '-': () => this.view.zoom(1 / 1.4),
      '[': () => this.resize(this.size / 1.3 - 0.5), ']': () => this.resize(this.size * 1.3 + 0.5),
      o: () => shade(event.shiftKey ? 15 : -15), v: () => { this.hiding = !this.hiding; this.showOpacity(); },
      z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo(),
      backspace: () => this.undo(), enter: () => this.closePolygon(),
      escape: () => { this.polygon = []; this.draw(); },
      ',': () => this.step(-1), '.': () => this.step(1), '/': () => this.list.focus(),
      m: () => this.app.show('signs'),
    };
    const tool = tools[key.toLowerCase()];
    // Where the eyedropper has a key, it takes what is under the pointer at once.
    if (tool === 'pick' && this.pointer) this.pick(this.view.place(this.pointer));
    else if (tool) this.choose(tool);
    const action = actions[key.toLowerCase()];
    action?.();
    return Boolean(tool || action);
  }

  keyUp(event) {
    if (event.key !== ' ') return;
    this.holding = false;
    if (!this.panning) byId('stage').style.cursor = '';
    this.draw();
  }
}

/** Read a frame's labels: its newest, or the prediction. */
async function labels(name, of) {
  const response = await get(`/api/frames/${encodeURIComponent(name)}?of=${of}`);
  const [width, height, entry] = ['X-Width', 'X-Height', 'X-Entry'].map((key) => Number(response.headers.get(key)));
  return { width, height, entry, ids: new Uint8Array(await response.arrayBuffer()) };
}

async function packed(ids) {
  const stream = new Blob([ids]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Response(stream).blob();
}
