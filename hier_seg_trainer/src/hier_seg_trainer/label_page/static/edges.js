// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The edges between the classes of a prediction, for polygons to snap to: places are corners of
// pixels, and an edge is a side between two pixels of different classes.

// A way along the edges that is longer than this many times the straight one is a detour.
const DETOUR = 2;
const MOST_CORNERS = 60_000;

export class Edges {
  /** `ids`: Uint8Array of width × height. */
  constructor(width, height, ids) {
    this.width = width;
    this.height = height;
    this.ids = ids;
  }

  at(x, y) {
    return x < 0 || y < 0 || x >= this.width || y >= this.height ? -1 : this.ids[y * this.width + x];
  }

  /** Return the corners that an edge leads to from one; none at corners without an edge. */
  neighbours(x, y) {
    const a = this.at(x - 1, y - 1);
    const b = this.at(x, y - 1);
    const c = this.at(x - 1, y);
    const d = this.at(x, y);
    const found = [];
    // The border of the image is no edge between classes.
    if (a !== b && a >= 0 && b >= 0) found.push([x, y - 1]);
    if (c !== d && c >= 0 && d >= 0) found.push([x, y + 1]);
    if (a !== c && a >= 0 && c >= 0) found.push([x - 1, y]);
    if (b !== d && b >= 0 && d >= 0) found.push([x + 1, y]);
    return found;
  }

  /** Return the corner on an edge that is nearest to a place, or null beyond `reach` pixels. */
  nearest(x, y, reach) {
    let best = null;
    let least = reach * reach;
    for (let row = Math.ceil(y - reach); row <= y + reach; row++) {
      for (let column = Math.ceil(x - reach); column <= x + reach; column++) {
        const distance = (column - x) ** 2 + (row - y) ** 2;
        if (distance > least || !this.neighbours(column, row).length) continue;
        least = distance;
        best = [column, row];
      }
    }
    return best;
  }

  /**
   * Return the corners of the shortest way along edges from one corner to another, without the
   * first; null where there is none that is not a detour.
   */
  way(from, to) {
    const straight = Math.hypot(to[0] - from[0], to[1] - from[1]);
    // A slanting edge is a stair, which is up to 1.42 times as long.
    const most = Math.ceil(straight * DETOUR) + 4;
    const key = ([x, y]) => y * (this.width + 1) + x;
    const before = new Map([[key(from), null]]);
    let front = [from];
    for (let length = 0; length < most && front.length && before.size < MOST_CORNERS; length++) {
      const next = [];
      for (const corner of front) {
        for (const other of this.neighbours(...corner)) {
          if (before.has(key(other))) continue;
          before.set(key(other), corner);
          if (other[0] === to[0] && other[1] === to[1]) return this.traced(before, other, key);
          next.push(other);
        }
      }
      front = next;
    }
    return null;
  }

  traced(before, last, key) {
    const way = [];
    for (let corner = last; before.get(key(corner)); corner = before.get(key(corner))) way.push(corner);
    return way.reverse();
  }
}
