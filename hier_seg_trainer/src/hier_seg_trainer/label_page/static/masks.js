// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The region of a proposal: its pixels from run lengths, and its outline as a path.

/**
 * Return the pixels of a mask, row by row: 1 inside, 0 outside.
 * `counts` are lengths of runs, row by row, which begin with zeros.
 */
export function decodeMask([height, width], counts) {
  const mask = new Uint8Array(height * width);
  let place = 0;
  counts.forEach((length, index) => {
    if (index % 2) mask.fill(1, place, place + length);
    place += length;
  });
  return mask;
}

/**
 * Return the outline of a mask as a Path2D in pixels of its box: every side between a pixel that
 * is inside and one that is not, neighbouring sides joined.
 */
export function outline([height, width], mask) {
  const path = new Path2D();
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x] === 1;
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x < width; x++) {
      if (inside(x, y) === inside(x, y - 1)) continue;
      const start = x;
      while (x < width && inside(x, y) !== inside(x, y - 1)) x++;
      path.moveTo(start, y);
      path.lineTo(x, y);
    }
  }
  for (let x = 0; x <= width; x++) {
    for (let y = 0; y < height; y++) {
      if (inside(x, y) === inside(x - 1, y)) continue;
      const start = y;
      while (y < height && inside(x, y) !== inside(x - 1, y)) y++;
      path.moveTo(x, start);
      path.lineTo(x, y);
    }
  }
  return path;
}
