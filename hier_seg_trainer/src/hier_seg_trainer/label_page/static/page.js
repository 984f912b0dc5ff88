// Copyright 2026 The hier_seg_ros authors
// SPDX-License-Identifier: Apache-2.0
// What both modes have in common: elements, messages, questions.

export const byId = (id) => document.getElementById(id);

/** Return a new element with attributes (properties where they are functions) and children. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

let fading;

/** Say something at the lower edge for a moment; a fault stays longer. */
export function say(text, fault = false) {
  const toast = byId('toast');
  toast.textContent = text;
  toast.classList.toggle('fault', fault);
  toast.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { toast.hidden = true; }, fault ? 8000 : 2200);
}

/** Ask for a line of text; return it, or null where the question is cancelled. */
export function ask(question, value = '') {
  const dialog = byId('asked');
  byId('asked-text').textContent = question;
  byId('asked-value').value = value;
  dialog.showModal();
  byId('asked-value').select();
  return new Promise((done) => {
    const end = (event) => {
      // At once: the browser's own way leaves the dialog open for keys that follow quickly.
      event.preventDefault();
      done(byId('asked-value').value.trim());
      dialog.close();
    };
    dialog.querySelector('form').onsubmit = end;
    byId('asked-value').onkeydown = (event) => { if (event.key === 'Enter') end(event); };
    byId('asked-cancel').onclick = () => dialog.close();
    dialog.onclose = () => done(null);
  });
}

/** Show two answers; return a promise of 'theirs' or 'mine'. */
export function choose(text) {
  const dialog = byId('conflict');
  byId('conflict-text').textContent = text;
  dialog.showModal();
  return new Promise((done) => {
    const end = (answer) => { done(answer); dialog.close(); };
    byId('theirs').onclick = () => end('theirs');
    byId('mine').onclick = () => end('mine');
    dialog.onkeydown = (event) => {
      const answer = { t: 'theirs', m: 'mine' }[event.key.toLowerCase()];
      if (answer) end(answer);
      event.stopPropagation();
    };
    dialog.onclose = () => done('theirs');
  });
}

/** Show what has been written, or why it waits. */
export function showSaved(waiting, reason) {
  const saved = byId('saved');
  saved.classList.toggle('waiting', Boolean(reason));
  if (reason) saved.textContent = `${waiting} kept here: ${reason}`;
  else saved.textContent = waiting ? 'Saving…' : 'Saved';
}
