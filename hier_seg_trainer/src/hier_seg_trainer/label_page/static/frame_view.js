// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// A frame on the screen: the photograph, the labels over it, and where in it the view is.

import { byId } from './page.js';
import { joined } from './label_map.js';

const MOST_SCALE = 60;
// From here on the pixels of the photograph are seen as squares.
const NEAR = 4;

export class FrameView {
  /** `colors`: for each of 256 ids 0xAABBGGRR, as a canvas stores it. */
  constructor() {
    this.stage = byId('stage');
    this.world = byId('world');
    this.labels = byId('labels').getContext('2d');
    this.scale = 1;
    this.x = this.y = 0;
    this.dirty = null;
    this.fitted = true;
    new ResizeObserver(() => this.fitted && this.fit()).observe(this.stage);
  }

  /** Show a photograph (an ImageBitmap) with a label map over it. */
  show(image, map, colors) {
    this.map = map;
    for (const id of ['photo', 'labels']) Object.assign(byId(id), { width: map.width, height: map.height });
    if (image) byId('photo').getContext('2d').drawImage(image, 0, 0, map.width, map.height);
    this.pixels = new ImageData(map.width, map.height);
    this.words = new Uint32Array(this.pixels.data.buffer);
    this.recolor(colors);
    this.fit();
  }

  recolor(colors) {
    this.colors = colors;
    this.refresh({ left: 0, top: 0, right: this.map.width, bottom: this.map.height });
  }

  /** Draw a rectangle of the labels anew, with the browser's next picture. */
  refresh(rectangle) {
    if (!rectangle) return;
    if (!this.dirty) requestAnimationFrame(() => this.paint());
    this.dirty = joined(this.dirty, rectangle);
  }

  paint() {
    const { left, top, right, bottom } = this.dirty;
    this.dirty = null;
    const { width, ids } = this.map;
    for (let y = top; y < bottom; y++) {
      for (let place = y * width + left; place < y * width + right; place++) {
        this.words[place] = this.colors[ids[place]];
      }
    }
    this.labels.putImageData(this.pixels, 0, 0, left, top, right - left, bottom - top);
  }

  /** Show all of the frame. */
  fit() {
    if (!this.map || !this.stage.clientWidth) return;
    const { clientWidth, clientHeight } = this.stage;
    this.scale = Math.min(clientWidth / this.map.width, clientHeight / this.map.height);
    this.least = Math.min(1, this.scale) / 2;
    this.x = (clientWidth - this.map.width * this.scale) / 2;
    this.y = (clientHeight - this.map.height * this.scale) / 2;
    this.move(0, 0);
    this.fitted = true;
  }

  move(dx, dy) {
    const { clientWidth, clientHeight } = this.stage;
    // At least a strip of the frame stays in view.
    const kept = (value, length, room) => Math.min(room - 60, Math.max(60 - length, value));
    this.x = kept(this.x + dx, this.map.width * this.scale, clientWidth);
    this.y = kept(this.y + dy, this.map.height * this.scale, clientHeight);
    this.fitted = false;
    this.world.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.world.classList.toggle('near', this.scale >= NEAR);
    this.moved?.();
  }

  /** Zoom by a factor around a place on the stage; its middle, where none is given. */
  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const scale = Math.min(MOST_SCALE, Math.max(this.least, this.scale * factor));
    const real = scale / this.scale;
    this.scale = scale;
    this.move((x - this.x) * (1 - real), (y - this.y) * (1 - real));
  }

  /** Return the place in the frame, in its pixels, of a place in the window. */
  place(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return [(event.clientX - left - this.x) / this.scale, (event.clientY - top - this.y) / this.scale];
  }

  /** Return the place on the stage of one in the frame. */
  onStage([x, y]) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }
}
