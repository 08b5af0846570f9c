// Search and arrow keys for the page of apps. Without this file it is a plain list.
"use strict";

const search = document.getElementById("search");
const apps = [...document.querySelectorAll(".app")];
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const shown = () => apps.filter((app) => !app.hidden).map((app) => app.querySelector("a"));

function filter() {
  const words = plain(search.value).split(/\s+/);
  for (const app of apps) app.hidden = !words.every((word) => plain(app.textContent).includes(word));
  for (const section of document.querySelectorAll("section.apps")) section.hidden = !section.querySelector(".app:not([hidden])");
  document.getElementById("none").hidden = shown().length > 0;
}

// Up and down go by rows as they are on the screen.
function below(links, from, step) {
  const at = from.getBoundingClientRect();
  const rows = links.filter((one) => Math.sign(one.getBoundingClientRect().top - at.top) === step);
  const distance = (one) => Math.abs(one.getBoundingClientRect().top - at.top) * 1000 + Math.abs(one.getBoundingClientRect().left - at.left);
  return rows.sort((a, b) => distance(a) - distance(b))[0];
}

const [forward, backward] =
  document.documentElement.dir === "rtl" ? ["ArrowLeft", "ArrowRight"] : ["ArrowRight", "ArrowLeft"];

function move(event) {
  const links = shown();
  const here = links.indexOf(document.activeElement);
  if (event.key === "/" && document.activeElement !== search) search.focus();
  else if (event.key === "Escape" && search.value) filter((search.value = ""));
  else if (event.key === "Enter" && document.activeElement === search) links[0]?.click();
  else if (event.key === "ArrowDown" && document.activeElement === search) links[0]?.focus();
  else if (here < 0) return;
  else if (event.key === forward) links[here + 1]?.focus();
  else if (event.key === backward) links[here - 1]?.focus();
  else if (event.key === "ArrowDown") below(links, links[here], 1)?.focus();
  else if (event.key === "ArrowUp") (below(links, links[here], -1) || search).focus();
  else return;
  event.preventDefault();
}

if (search && apps.length) {
  document.querySelector(".search").hidden = false;
  search.addEventListener("input", filter);
  document.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) move(event);
  });
}
