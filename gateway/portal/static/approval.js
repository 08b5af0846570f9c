// Waits for the other device while its page is open. Without this file, the buttons on both pages do the same.
"use strict";

const waiting = document.querySelector("[data-wait]");
const PAUSE = 1000;
const LONGEST = 10 * 60 * 1000;

async function changed() {
  const answer = await fetch(waiting.dataset.wait, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error("the session has ended");
  return (await answer.json()).changed;
}

async function wait() {
  const until = Date.now() + LONGEST;
  while (Date.now() < until) {
    if (!(await changed())) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE)); // should a proxy between us answer at once
      continue;
    }
    if (waiting.dataset.next) location.replace(waiting.dataset.next + location.hash);
    else if (!waiting.dataset.sent) waiting.requestSubmit();
    return;
  }
}

if (waiting) wait().catch(() => {}); // the button is still there
