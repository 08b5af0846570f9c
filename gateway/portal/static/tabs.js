// Comfort only: while people sign in in another tab, this one notices and goes on by itself. Without it, sending the
// form (however old) does the same.
"use strict";

const step = document.querySelector("form[data-step]");
const others = "BroadcastChannel" in window ? new BroadcastChannel("auth-gateway") : null;

function withHash(where) {
  return where.includes("#") ? where : where + location.hash; // the server never hears of it
}

async function look() {
  if (step.dataset.sent) return; // this tab is on its way already
  const where = `${step.dataset.tab}?rd=${encodeURIComponent(step.elements.rd.value)}`;
  const answer = await fetch(where, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const now = await answer.json();
  if (now.step !== step.dataset.step && !step.dataset.sent) location.replace(withHash(now.location));
}

function lookSoon() {
  look().catch(() => {}); // offline for a moment: the next look, or the form itself, will tell
}

if (step) {
  // What another tab said while this page was loading was heard by nobody.
  [1500, 6000, 20000].forEach((wait) => setTimeout(lookSoon, wait));
  step.addEventListener("submit", () => others?.postMessage("sent"));
  addEventListener("pageshow", () => others?.postMessage("arrived"));
  if (others) {
    // The answer to the other tab's form is not in yet: look when it may be, and once more for slow ones.
    others.onmessage = () => [0, 700, 2000, 5000, 12000].forEach((wait) => setTimeout(lookSoon, wait));
  }
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") lookSoon();
  });
}
