// Keeps the line about a code's delivery up to date while its page is open. Without this file a reload does.
"use strict";

const line = document.querySelector("[data-delivery]");
const PAUSE = 2000;
const LONGEST = 10 * 60 * 1000;

async function look() {
  const answer = await fetch(line.dataset.delivery, { headers: { Accept: "application/json" } });
  if (!answer.ok) return true; // signed in elsewhere, or the session has ended
  const { state, text, final } = await answer.json();
  if (line.textContent !== text) line.textContent = text; // a live region: read out only when it changes
  line.classList.toggle("bad", state === "failed");
  return final;
}

if (line) {
  const until = Date.now() + LONGEST;
  const timer = setInterval(async () => {
    if (document.hidden) return;
    const done = await look().catch(() => false); // offline for a moment: ask again
    if (done || Date.now() > until) clearInterval(timer);
  }, PAUSE);
}
