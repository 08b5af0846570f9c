// Talks to security keys and passkeys: the options come with the form, the answer goes back in its hidden field.
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const known = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

function creation(options) {
  const user = { ...options.user, id: bytes(options.user.id) };
  return { ...options, user, challenge: bytes(options.challenge), excludeCredentials: known(options.excludeCredentials) };
}

function request(options) {
  return { ...options, challenge: bytes(options.challenge), allowCredentials: known(options.allowCredentials) };
}

function packed(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response });
}

async function ask(form) {
  const options = JSON.parse(form.dataset.options);
  if (form.dataset.webauthn === "create") return navigator.credentials.create({ publicKey: creation(options) });
  return navigator.credentials.get({ publicKey: request(options) });
}

// Passkeys among the names that the browser offers to fill in (conditional mediation). Options are asked for only where
// a browser can do that; whatever fails leaves the page as it was.
const ROUND = 4 * 60 * 1000; // a challenge lives for five minutes
async function autofill(form) {
  if (!(await window.PublicKeyCredential?.isConditionalMediationAvailable?.())) return;
  for (let round = 0; round < 15; round++) {
    const answer = await fetch(form.dataset.autofill, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const publicKey = request(await answer.json());
    const ends = new AbortController();
    const timer = setTimeout(() => ends.abort(), ROUND);
    try {
      const found = await navigator.credentials.get({ publicKey, mediation: "conditional", signal: ends.signal });
      form.elements.credential.value = packed(found);
      const keep = document.querySelector("input[name=keep_signed_in]");
      if (keep?.checked) form.append(keep.cloneNode());
      if (location.hash && !form.elements.rd.value.includes("#")) form.elements.rd.value += location.hash;
      form.submit();
      return;
    } catch (error) {
      if (!ends.signal.aborted) return;
    } finally {
      clearTimeout(timer);
    }
  }
}
for (const form of document.querySelectorAll("form[data-autofill]")) autofill(form).catch(() => {});

for (const form of document.querySelectorAll("form[data-webauthn]")) {
  const problem = form.querySelector("[data-problem]");
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value || (event.submitter && event.submitter.name)) return; // done, or another way
    event.preventDefault();
    problem.hidden = true;
    try {
      form.elements.credential.value = packed(await ask(form));
      form.submit();
    } catch (error) {
      problem.textContent = problem.dataset.problem.replace("{error}", error.name);
      problem.hidden = false;
    }
  });
}
