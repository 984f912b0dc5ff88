// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// Photographs, decoded before they are needed.

import { get } from './server.js';

// Of a camera's size, each takes 4 MB.
const MOST_KEPT = 8;

const kept = new Map();

/** Return a promise of the ImageBitmap of a photograph; it is kept while others come and go. */
export function photograph(name) {
  const known = kept.get(name);
  kept.delete(name);
  const promise = known ?? loaded(name);
  kept.set(name, promise);
  for (const [other, bitmap] of kept) {
    if (kept.size <= MOST_KEPT) break;
    kept.delete(other);
    // Somebody may still be drawing it.
    bitmap.then((image) => setTimeout(() => image.close(), 2000), () => {});
  }
  return promise;
}

async function loaded(name) {
  try {
    const response = await get(`/images/${encodeURIComponent(name)}`);
    return await createImageBitmap(await response.blob());
  } catch (error) {
    kept.delete(name);
    throw error;
  }
}
