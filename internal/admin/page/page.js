// Keeps the page current without a reload: asks again with If-None-Match, and changes in place only what differs, so
// that focus, opened details, the place on the page and a screen reader's position stay. Nothing here is needed to read it.
"use strict";

const every = 3000; // milliseconds between questions
const slowest = 15000; // while nobody answers
const patience = 10000; // for one answer

const main = document.getElementById("main");
const live = document.getElementById("live");
const lost = document.getElementById("lost");
const news = document.getElementById("news");
let etag = "";
let ahead = 0; // milliseconds by which the reader's clock is ahead of pdhook's, where that is more than a minute
let since = 0; // when pdhook was last heard of, while it is lost
let heard = now();
let failures = 0;
let timer = 0;
let asking = false;

// Times: the page says when, the reader's clock says how long ago. One that is wrong is corrected by pdhook's.

function now() {
  return Date.now() - ahead;
}

function setClock(answer) {
  const before = ahead;
  const off = Date.now() - Date.parse(answer.headers.get("Date"));
  ahead = Math.abs(off) > 60000 ? off : 0;
  if (Math.abs(ahead - before) > 10000) tick();
}

function span(ms) {
  const minutes = Math.floor(ms / 60000);
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return minutes + " min";
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return hours + " h" + (minutes % 60 && hours < 12 ? " " + (minutes % 60) + " min" : "");
  return Math.floor(hours / 24) + " days";
}

function clock(at) {
  const sameDay = at.toDateString() === new Date(now()).toDateString();
  return at.toLocaleString([], sameDay ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

function tell(time) {
  const at = new Date(time.dateTime);
  const left = at - now();
  switch (time.dataset.as) {
    case "ago": return left > 0 ? "in " + span(left) : span(-left) + " ago";
    case "in": return left > 0 ? "in " + span(left) : "now";
    case "left": return left > 0 ? span(left) + " (until " + clock(at) + ")" : "none: ended at " + clock(at);
    default: return clock(at) + ", " + (left > 0 ? "in " + span(left) : span(-left) + " ago");
  }
}

function tick() {
  for (const time of document.querySelectorAll("time")) {
    const text = tell(time);
    if (time.textContent !== text) time.textContent = text;
    time.title = new Date(time.dateTime).toLocaleString();
  }
  if (since) lost.querySelector("span").textContent = clock(new Date(since));
}

// morph makes an element like another. Children with an id are recognised by it.

function morph(old, fresh) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "title") old.removeAttribute(name);
  }
  if (old.localName === "time") return; // tick writes it
  const wantedIDs = new Set([...fresh.children].map((c) => c.id));
  for (const child of [...old.children]) {
    if (child.id && !wantedIDs.has(child.id)) child.remove(); // so that those behind it need not move
  }
  const known = new Map([...old.children].filter((c) => c.id).map((c) => [c.id, c]));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    let found = wanted.id ? known.get(wanted.id) : place;
    if (!wanted.id && place && (place.id || place.nodeName !== wanted.nodeName)) found = null;
    if (!found) {
      old.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    if (found === place) place = place.nextSibling;
    else old.insertBefore(found, place);
    morph(found, wanted);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// keeping changes the page and leaves the reader where he is: what he looks at does not move, and the focus stays
// with its request, also when that goes from one list to another.
function keeping(change) {
  const focused = document.activeElement;
  const request = focused.closest("article, li")?.id;
  const seen = scrollY > 0 && [...main.querySelectorAll("[id]")].find((e) => e.getBoundingClientRect().top >= 0);
  const top = seen && seen.getBoundingClientRect().top;
  change();
  if (seen && seen.isConnected) scrollBy({ top: seen.getBoundingClientRect().top - top, behavior: "instant" });
  if (!focused.isConnected) (document.getElementById(request)?.querySelector("a") ?? main).focus({ preventScroll: true });
  else if (document.activeElement !== focused) focused.focus({ preventScroll: true });
}

function show(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const content = fresh.getElementById("main");
  if (!content) throw new Error("somebody else answered"); // an ingress, say
  if (fresh.documentElement.dataset.version !== document.documentElement.dataset.version) {
    location.reload(); // pdhook was replaced by another version: this script may not fit its page
    return;
  }
  const before = summary();
  keeping(() => {
    document.title = fresh.title;
    morph(main, content);
    tick();
  });
  if (summary() !== before) news.textContent = summary();
}

// summary is what a screen reader is told of a change: not more than a sentence.
function summary() {
  const pill = document.querySelector(".full .card-head .pill");
  return document.getElementById("headline").textContent + (pill ? ": " + pill.textContent.trim() : "");
}

function state(name, text) {
  if (document.hidden) [name, text] = ["paused", "Paused"];
  live.dataset.live = name;
  if (live.textContent !== text) live.textContent = text;
}

function gone(what) {
  if (!since) {
    since = heard;
    lost.replaceChildren(what + " What you see is from ", document.createElement("span"), ".");
    lost.hidden = false;
  }
  state("lost", "Not live");
  tick();
}

function back() {
  heard = now();
  failures = 0;
  since = 0;
  lost.hidden = true;
  state("live", "Live");
}

async function ask() {
  clearTimeout(timer);
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(location.origin + location.pathname, { // its address may hold the token
      headers: { "Pdhook-News": "1", ...(etag && { "If-None-Match": etag }) },
      cache: "no-store", signal: AbortSignal.timeout(patience),
    });
    setClock(answer);
    if (answer.status === 401) {
      failures++;
      gone("pdhook refuses the token now: reload the page to give the new one.");
    } else if (answer.status === 304) {
      back();
    } else {
      show(await answer.text());
      etag = answer.headers.get("ETag") || "";
      back();
    }
  } catch {
    failures++;
    gone("No connection to pdhook.");
  } finally {
    asking = false;
    timer = setTimeout(ask, Math.min(every * (failures || 1), slowest));
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer);
    state();
  } else {
    tick();
    ask();
  }
});
addEventListener("online", ask);
addEventListener("pageshow", (event) => event.persisted && ask());
setInterval(() => document.hidden || tick(), 10000);
tick();
ask();
