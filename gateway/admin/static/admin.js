// Comfort only; every page works without this file. It keeps the table of sessions up to date while its page is open and
// nobody is using it, and listens to keyboard shortcuts.
"use strict";

const live = document.querySelector("[data-live]");
const PAUSE = 5000;

async function refresh() {
  if (document.hidden || live.contains(document.activeElement)) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector(`[data-live="${live.dataset.live}"]`);
  if (fresh) live.replaceChildren(...fresh.childNodes);
}

if (live) setInterval(() => refresh().catch(() => {}), PAUSE); // offline for a moment: the next one will do

// Shortcuts of single letters can be turned off (WCAG 2.1.4), and are never heard inside fields.
const keys = document.getElementById("keys");
const OFF = "admin-keys-off";
const TOGETHER = 1500; // milliseconds between g and the letter after it
let began = 0;

function stored() {
  try {
    return localStorage.getItem(OFF) !== null;
  } catch {
    return false; // storage is forbidden: they are on, until the page is left
  }
}

let off = stored();

function remember() {
  try {
    if (off) localStorage.setItem(OFF, "1");
    else localStorage.removeItem(OFF);
  } catch {} // as above
}

function pressed(event) {
  const field = event.target.closest("input, select, textarea, [contenteditable], dialog");
  if (off || field || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const second = event.timeStamp - began < TOGETHER;
  began = 0;
  if (event.key === "g" && !second) began = event.timeStamp;
  else if (event.key === "?") keys.showModal();
  else if (event.key === "/") {
    const search = document.querySelector("main input[type=search], main form[method=get] input:not([type=hidden])");
    if (!search) return;
    event.preventDefault();
    search.focus();
  } else if (second) document.querySelector(`.menu [data-key="${CSS.escape(event.key)}"]`)?.click();
}

if (keys) {
  const opener = document.querySelector("[data-keys]");
  const on = keys.querySelector("[data-keys-on]");
  opener.hidden = false;
  on.checked = !off;
  opener.addEventListener("click", () => keys.showModal());
  on.addEventListener("change", () => {
    off = !on.checked;
    remember();
  });
  document.addEventListener("keydown", pressed);
}
