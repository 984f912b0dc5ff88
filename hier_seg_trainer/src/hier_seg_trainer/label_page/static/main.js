// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// Begins: reads what the folder is, and gives keys to the mode that is shown.

import { Frames } from './frames.js';
import { ask, byId, element, say } from './page.js';
import { Signs } from './signs.js';
import { getJson, pause, post } from './server.js';

class App {
  constructor(folder) {
    this.folder = folder;
    this.nodes = new Map(folder.nodes.map((node) => [node.name, node]));
    this.nodeOfId = new Map(folder.nodes.map((node) => [node.id, node]));
    this.author = sessionStorage.getItem('author') ?? folder.author;
    this.inside = new Map();
    byId('folder-name').textContent = folder.name;
    document.title = `${folder.name} · label`;
    byId('author').textContent = this.author;
    this.signs = new Signs(this);
    this.frames = new Frames(this);
    byId('show-signs').onclick = () => this.show('signs');
    byId('show-frames').onclick = () => this.show('frames');
    byId('help').onclick = () => byId('help-dialog').showModal();
    byId('author').onclick = () => this.askAuthor();
    byId('write').onclick = () => this.write();
    addEventListener('keydown', (event) => this.key(event));
    addEventListener('keyup', (event) => this.mode === 'frames' && this.frames.keyUp(event));
    addEventListener('beforeunload', (event) => {
      if (this.signs.outbox.items.length || this.frames.isUnsaved()) event.preventDefault();
    });
  }

  /** Return the classes below a node, in the tree's order. */
  below(name) {
    if (!this.inside.has(name)) {
      const under = (node) => node.parent !== null && (node.parent === name || under(this.nodes.get(node.parent)));
      this.inside.set(name, this.folder.nodes.filter(under));
    }
    return this.inside.get(name);
  }

  /** Return all classes, each followed by those below it. */
  tree(parent = null) {
    const children = this.folder.nodes.filter((node) => node.parent === parent);
    return children.flatMap((node) => [node, ...this.tree(node.name)]);
  }

  async show(mode, image) {
    this.mode = mode;
    for (const name of ['signs', 'frames']) {
      byId(name).hidden = name !== mode;
      byId(`show-${name}`).setAttribute('aria-pressed', name === mode);
    }
    document.activeElement?.blur();
    if (mode === 'frames') await this.frames.open(image ?? this.signs.current?.image);
    else this.signs.draw();
  }

  async askAuthor() {
    const name = await ask('Who labels? The name goes into the log.', this.author);
    if (!name) return;
    this.author = name;
    sessionStorage.setItem('author', name);
    byId('author').textContent = name;
  }

  async write() {
    try {
      await this.frames.save();
      say((await post('/api/results', {})).written);
    } catch (error) {
      say(error.message, true);
    }
  }

  key(event) {
    const typing = event.target.closest('input:not([type=range]):not([type=checkbox]), select, textarea');
    if (typing || document.querySelector('dialog[open]') || event.metaKey) return;
    const undoes = event.ctrlKey && ['z', 'y'].includes(event.key.toLowerCase());
    if ((event.ctrlKey && !undoes) || (event.altKey && this.mode === 'signs')) return;
    // A button that has the focus is pressed by these, as anywhere.
    if (event.target.closest('button') && [' ', 'Enter'].includes(event.key)) return;
    if (event.key === '?') byId('help-dialog').showModal();
    else if (!this[this.mode].key(event)) return;
    event.preventDefault();
  }
}

async function begin() {
  for (;;) {
    try {
      const folder = await getJson('/api/folder');
      const app = new App(folder);
      const [, kind, place] = /^#(sign|frame)-(.+)$/.exec(decodeURIComponent(location.hash)) ?? [];
      await app.show('signs');
      await app.signs.start(kind === 'sign' && /^\d+$/.test(place) ? Number(place) : null);
      if (kind === 'frame') await app.show('frames', place);
      performance.measure('open', { start: 0, end: performance.now() });
      document.documentElement.dataset.ready = 'yes';
      return;
    } catch (error) {
      say(error.message, true);
      if (error.status) throw error;
      await pause(1000);
    }
  }
}

begin();
