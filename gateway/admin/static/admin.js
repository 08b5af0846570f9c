// Keeps the table of sessions up to date while its page is open and nobody is using it. Without this file a reload does.
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
