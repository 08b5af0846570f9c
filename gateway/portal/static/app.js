// Comfort only; every page works without this file. It fills in codes from SMS (WebOTP), sends a complete code,
// counts down until another code may be sent.
"use strict";

const code = document.querySelector("input.code[inputmode=numeric]");

// A form goes out once: the second of two posts would meet a code that is used up and a session that is gone.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent; // came back by the browser's history
});

// What is behind # stays in the browser. A form without an address of its own keeps it; so do these links.
for (const link of location.hash.length > 1 ? document.querySelectorAll("a[data-onward]") : []) {
  const to = new URL(link.href);
  const rd = to.searchParams.get("rd");
  if (rd && !rd.includes("#")) to.searchParams.set("rd", rd + location.hash);
  else if (!rd && !to.hash) to.hash = location.hash;
  link.href = to.href;
}
// What is ticked in the form holds for the other ways to sign in, too.
const keep = document.querySelector("input[name=keep_signed_in]");
function takeAlong() {
  for (const link of document.querySelectorAll("a[data-keep]")) {
    const to = new URL(link.href);
    if (keep.checked) to.searchParams.set("keep", link.dataset.keep);
    else to.searchParams.delete("keep");
    link.href = to.href;
  }
}
if (keep) {
  keep.addEventListener("change", takeAlong);
  addEventListener("pageshow", takeAlong); // browsers remember ticks when somebody comes back
}
// Who came from a page elsewhere goes back there.
const back = document.querySelector("a[data-back]");
const ours = location.origin + location.pathname.replace(/[^/]*$/, "");
if (back && history.length > 1 && document.referrer && !document.referrer.startsWith(ours)) {
  back.parentElement.hidden = false;
  back.addEventListener("click", (event) => {
    event.preventDefault();
    history.back();
  });
}
// Recovery codes: copied and printed by script, downloaded without one.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const lines = document.querySelectorAll(`${button.dataset.copy} li`);
    await navigator.clipboard.writeText([...lines].map((line) => line.textContent.trim()).join("\n"));
    button.textContent = document.querySelector("[data-said]").textContent = button.dataset.copied;
  });
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
document.querySelector("a.skip")?.addEventListener("click", (event) => {
  event.preventDefault(); // to the content without another # in the address
  document.getElementById("main").focus();
});

if (code && code.dataset.autoSubmit) {
  // WCAG 3.2.2: say so before it happens.
  document.getElementById("hint").append(" " + code.dataset.autoSubmit);
  code.addEventListener("input", () => {
    const digits = code.value.normalize("NFKC").replace(/[\s.·-]/g, "");
    if (digits.length === Number(code.dataset.digits) && /^\p{Nd}+$/u.test(digits)) code.form.requestSubmit();
  });
}

if (code && "OTPCredential" in window) {
  const waiting = new AbortController();
  code.form.addEventListener("submit", () => waiting.abort());
  navigator.credentials
    .get({ otp: { transport: ["sms"] }, signal: waiting.signal })
    .then((otp) => {
      code.value = otp.code;
      code.dispatchEvent(new Event("input", { bubbles: true }));
    })
    .catch(() => {}); // no SMS, no permission, or sent by hand: the field is still there
}

for (const pause of document.querySelectorAll("[data-resend-after]")) {
  const until = Date.now() + Number(pause.dataset.resendAfter) * 1000;
  pause.querySelector("a").remove();
  const timer = setInterval(() => {
    const left = Math.ceil((until - Date.now()) / 1000);
    pause.querySelector("[data-seconds]").textContent = String(Math.max(left, 0));
    if (left > 0) return;
    clearInterval(timer);
    pause.replaceWith(pause.nextElementSibling.content.cloneNode(true));
  }, 1000);
}

// An app waits for this answer (response_mode=form_post). Not again when somebody comes back by the history.
const answer = document.querySelector("form[data-send-at-once]");
if (answer && performance.getEntriesByType("navigation")[0]?.type !== "back_forward") answer.requestSubmit();

// A page that leads on by itself, with what is behind #. Not again when somebody comes back by the history.
const elsewhere = document.querySelector("a[data-at-once]");
if (elsewhere && performance.getEntriesByType("navigation")[0]?.type !== "back_forward") location.replace(elsewhere.href);
