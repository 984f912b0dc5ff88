// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The labels of a frame while they are painted: brush, polygon, fill, and what takes them back.
// Nothing here draws: every tool returns the rectangle that it has changed, or null.

const MOST_STEPS = 200;

/** A rectangle of pixels; right and bottom are exclusive. */
export function joined(a, b) {
  if (!a || !b) return a ?? b;
  return {
    left: Math.min(a.left, b.left), top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right), bottom: Math.max(a.bottom, b.bottom),
  };
}

export class LabelMap {
  /** Begin with `ids` (Uint8Array of width × height node ids, 255 = unlabelled). */
  constructor(width, height, ids) {
    this.width = width;
    this.height = height;
    this.ids = ids;
    this.done = [];
    this.undone = [];
    this.begun = null;
    this.changed = null;
  }

  /** Begin a step that `finish` ends: what is painted between them is taken back as one. */
  begin() {
    this.begun = this.ids.slice();
    this.changed = null;
  }

  /** End the step; return whether it has changed anything. */
  finish() {
    const { begun, changed } = this;
    this.begun = this.changed = null;
    if (!changed) return false;
    const { before, after } = { before: this.cut(begun, changed), after: this.cut(this.ids, changed) };
    if (before.every((value, place) => value === after[place])) return false;
    this.done.push({ rectangle: changed, before, after });
    if (this.done.length > MOST_STEPS) this.done.shift();
    this.undone = [];
    return true;
  }

  /** Take the last step back; return what changed, null where there is none. */
  undo() {
    const step = this.done.pop();
    if (!step) return null;
    this.undone.push(step);
    this.put(step.before, step.rectangle);
    return step.rectangle;
  }

  /** Do the step that was taken back last again. */
  redo() {
    const step = this.undone.pop();
    if (!step) return null;
    this.done.push(step);
    this.put(step.after, step.rectangle);
    return step.rectangle;
  }

  cut(ids, { left, top, right, bottom }) {
    const part = new Uint8Array((right - left) * (bottom - top));
    for (let y = top; y < bottom; y++) {
      part.set(ids.subarray(y * this.width + left, y * this.width + right), (y - top) * (right - left));
    }
    return part;
  }

  put(part, { left, top, right, bottom }) {
    for (let y = top; y < bottom; y++) {
      const row = (y - top) * (right - left);
      this.ids.set(part.subarray(row, row + right - left), y * this.width + left);
    }
  }

  /** Give the pixels x0 ≤ x < x1 of a row an id, as far as they are inside. */
  span(y, x0, x1, id) {
    const from = Math.max(0, x0);
    const to = Math.min(this.width, x1);
    if (y < 0 || y >= this.height || from >= to) return;
    this.ids.fill(id, y * this.width + from, y * this.width + to);
  }

  note(left, top, right, bottom) {
    const rectangle = {
      left: Math.max(0, left), top: Math.max(0, top),
      right: Math.min(this.width, right), bottom: Math.min(this.height, bottom),
    };
    if (rectangle.left >= rectangle.right || rectangle.top >= rectangle.bottom) return null;
    this.changed = joined(this.changed, rectangle);
    return rectangle;
  }

  /**
   * Paint a stroke of a round brush from one place to another, both in pixels (the middle of the
   * first pixel is 0.5, 0.5); a diameter of 1 paints the pixel under the pointer.
   */
  stroke(x0, y0, x1, y1, diameter, id) {
    const radius = Math.max(0.5, diameter / 2);
    const top = Math.floor(Math.min(y0, y1) - radius);
    const bottom = Math.ceil(Math.max(y0, y1) + radius);
    const dx = x1 - x0;
    const dy = y1 - y0;
    const length2 = dx * dx + dy * dy;
    for (let y = Math.max(0, top); y < Math.min(this.height, bottom); y++) {
      // The row's part of a stroke is convex: two discs and what lies between them.
      let low = Infinity;
      let high = -Infinity;
      const middle = y + 0.5;
      for (const [cx, cy] of [[x0, y0], [x1, y1]]) {
        const half2 = radius * radius - (middle - cy) ** 2;
        if (half2 < 0) continue;
        low = Math.min(low, cx - Math.sqrt(half2));
        high = Math.max(high, cx + Math.sqrt(half2));
      }
      if (length2 > 0) {
        // Where the row crosses the rectangle between the discs.
        const length = Math.sqrt(length2);
        const nx = (-dy / length) * radius;
        const ny = (dx / length) * radius;
        const corners = [[x0 + nx, y0 + ny], [x1 + nx, y1 + ny], [x1 - nx, y1 - ny], [x0 - nx, y0 - ny]];
        corners.forEach(([ax, ay], index) => {
          const [bx, by] = corners[(index + 1) % 4];
          if ((ay <= middle) === (by <= middle)) return;
          const x = ax + ((middle - ay) / (by - ay)) * (bx - ax);
          low = Math.min(low, x);
          high = Math.max(high, x);
        });
      }
      if (low <= high) this.span(y, Math.ceil(low - 0.5), Math.floor(high - 0.5) + 1, id);
    }
    // A brush that is smaller than the gaps between pixels still paints the pixel under it.
    this.span(Math.floor(y1), Math.floor(x1), Math.floor(x1) + 1, id);
    return this.note(
      Math.floor(Math.min(x0, x1) - radius) - 1, top - 1,
      Math.ceil(Math.max(x0, x1) + radius) + 1, bottom + 1,
    );
  }

  /** Fill a polygon, a list of [x, y], by the even-odd rule; a pixel counts by its middle. */
  polygon(points, id) {
    const xs = points.map(([x]) => x);
    const ys = points.map(([, y]) => y);
    const top = Math.floor(Math.min(...ys));
    const bottom = Math.ceil(Math.max(...ys));
    for (let y = Math.max(0, top); y < Math.min(this.height, bottom); y++) {
      const crossings = [];
      points.forEach(([ax, ay], index) => {
        const [bx, by] = points[(index + 1) % points.length];
        if ((ay <= y + 0.5) === (by <= y + 0.5)) return;
        crossings.push(ax + ((y + 0.5 - ay) / (by - ay)) * (bx - ax));
      });
      crossings.sort((a, b) => a - b);
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        this.span(y, Math.ceil(crossings[pair] - 0.5), Math.ceil(crossings[pair + 1] - 0.5), id);
      }
    }
    return this.note(Math.floor(Math.min(...xs)), top, Math.ceil(Math.max(...xs)), bottom);
  }

  /**
   * Fill the connected pixels (by their sides) that look the same as the one at x, y.
   * `shown` says what an id looks like: a table of 256 entries.
   */
  fill(x, y, id, shown) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return null;
    const { width, height, ids } = this;
    const seen = new Uint8Array(width * height);
    const wanted = shown[ids[y * width + x]];
    const fits = (place) => !seen[place] && shown[ids[place]] === wanted;
    const waiting = [y * width + x];
    const found = { left: x, top: y, right: x + 1, bottom: y + 1 };
    while (waiting.length) {
      const place = waiting.pop();
      if (!fits(place)) continue;
      const row = place - (place % width);
      let left = place;
      while (left > row && fits(left - 1)) left--;
      let right = place + 1;
      while (right < row + width && fits(right)) right++;
      seen.fill(1, left, right);
      found.left = Math.min(found.left, left - row);
      found.right = Math.max(found.right, right - row);
      found.top = Math.min(found.top, row / width);
      found.bottom = Math.max(found.bottom, row / width + 1);
      for (const next of [row - width, row + width]) {
        if (next < 0 || next >= width * height) continue;
        for (let column = left - row; column < right - row; column++) {
          // One place for each run is enough.
          if (fits(next + column) && (column === left - row || !fits(next + column - 1))) {
            waiting.push(next + column);
          }
        }
      }
    }
    for (let row = found.top; row < found.bottom; row++) {
      for (let place = row * width + found.left; place < row * width + found.right; place++) {
        if (seen[place]) ids[place] = id;
      }
    }
    return this.note(found.left, found.top, found.right, found.bottom);
  }
}
