// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The classes to choose among, with their pictures and a search.

import { element } from './page.js';

/** Return what shows a class: its sign's face, or a patch of its colour. */
export function face(node) {
  if (node.picture) {
    return element('img', { class: 'face', src: `/classes/${node.id}.png`, alt: '', loading: 'lazy' });
  }
  const swatch = element('span', { class: 'swatch' });
  swatch.style.background = `rgb(${node.color})`;
  return swatch;
}

/** Return whether every word of a search begins a word of a class's names, or is within one. */
export function fits(node, search) {
  const text = `${node.title} ${node.name}`.toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** Order those that fit: first those with a word that begins as the search does. */
function found(nodes, search) {
  if (!search) return nodes;
  const begins = (node) => node.title.toLowerCase().split(/[^\p{L}\p{N}]+/u)
    .some((word) => word === search.toLowerCase() || word.startsWith(search.toLowerCase()));
  const those = nodes.filter((node) => fits(node, search));
  return [...those.filter(begins), ...those.filter((node) => !begins(node))];
}

export class ClassList {
  /**
   * `place` gets the search and the classes; `kind` is 'grid' (pictures) or 'list' (the tree);
   * `chosen` hears which node it is, and `left` that the search is over.
   */
  constructor(place, { kind, chosen, left }) {
    Object.assign(this, { chosen, left, nodes: [], buttons: new Map(), marked: 0 });
    this.search = element('input', {
      class: 'classes-search', type: 'search', placeholder: 'Search a class  ( / )',
      'aria-label': 'Search a class', autocomplete: 'off', spellcheck: 'false',
      oninput: () => this.filter(), onkeydown: (event) => this.key(event),
      onblur: () => this.mark(-1), onfocus: () => this.mark(0),
    });
    this.list = element('div', { class: `classes ${kind}`, role: 'listbox', 'aria-label': 'Classes' });
    place.replaceChildren(this.search, this.list);
  }

  /** Offer other nodes. */
  offer(nodes) {
    this.nodes = nodes;
    this.buttons = new Map(nodes.map((node) => [node, element('button', {
      class: `depth-${node.depth}`, role: 'option', tabindex: '-1', title: node.name,
      onclick: () => this.take(node),
    }, face(node), element('span', {}, node.title))]));
    this.search.value = '';
    this.filter();
  }

  filter() {
    this.shown = found(this.nodes, this.search.value.trim());
    this.list.replaceChildren(...this.shown.map((node) => this.buttons.get(node)));
    this.mark(document.activeElement === this.search ? 0 : -1);
  }

  focus() {
    this.search.focus();
    this.search.select();
  }

  mark(place) {
    this.marked = Math.max(-1, Math.min(place, this.shown.length - 1));
    this.shown.forEach((node, index) => {
      this.buttons.get(node).setAttribute('aria-selected', index === this.marked);
    });
    const button = this.buttons.get(this.shown[this.marked]);
    // Not scrollIntoView, which moves the page of a phone, too.
    if (button && this.list.scrollHeight > this.list.clientHeight) {
      const { top, bottom } = button.getBoundingClientRect();
      const frame = this.list.getBoundingClientRect();
      if (top < frame.top) this.list.scrollTop += top - frame.top;
      if (bottom > frame.bottom) this.list.scrollTop += bottom - frame.bottom;
    }
  }

  key(event) {
    const columns = getComputedStyle(this.list).gridTemplateColumns.split(' ').length;
    const steps = { ArrowDown: columns, ArrowUp: -columns };
    if (event.key === 'Enter' && this.shown.length) {
      event.preventDefault();
      this.take(this.shown[Math.max(0, this.marked)]);
    } else if (event.key === 'Escape') {
      this.leave();
    } else if (event.key in steps) {
      event.preventDefault();
      this.mark(Math.max(0, this.marked + steps[event.key]));
    } else {
      return;
    }
    event.stopPropagation();
  }

  take(node) {
    this.leave();
    this.chosen(node);
  }

  leave() {
    this.search.value = '';
    this.search.blur();
    this.filter();
    this.left();
  }
}
