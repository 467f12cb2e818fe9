// The picture is an <img> of an endless answer; the figures come as server-sent events. Whatever
// breaks, the server or the network, both are tried again until they are back.
"use strict";

const SILENCE_MS = 5000;   // without figures the connection is dead, whatever the browser thinks
const RETRY_MS = 2000;
const MISSES = 4;          // figures in a row that say our picture is not being sent
const MOST_CLASSES = 12;
const viewer = Math.random().toString(36).slice(2, 12);

const WORDS = { waiting: "waiting", live: "live", stalled: "stalled", reconnecting: "reconnecting", offline: "no connection" };
const NOTICES = {
  waiting: "Waiting for the first picture",
  stalled: "No new picture: the last one is shown",
  reconnecting: "The source is gone, trying again",
  offline: "No connection to the board, trying again",
};

const at = (id) => document.getElementById(id);
let events = null, silence = 0, retry = 0, misses = 0, tries = 0;

function make(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}

function listen() {
  stop();
  events = new EventSource(`events?viewer=${viewer}`);
  events.addEventListener("about", (event) => { about(JSON.parse(event.data)); look(); });
  events.addEventListener("figures", (event) => { heard(); figures(JSON.parse(event.data)); });
  events.onerror = () => lost();
  heard();
}

function heard() {
  clearTimeout(silence);
  silence = setTimeout(lost, SILENCE_MS);
}

function lost() {
  stop();
  status("offline");
  retry = setTimeout(listen, RETRY_MS);
}

function stop() {
  clearTimeout(silence);
  clearTimeout(retry);
  if (events) events.close();
  events = null;
}

function look() {
  misses = 0;
  at("picture").src = `stream.mjpg?viewer=${viewer}&try=${++tries}`;
}

function about(what) {
  const classes = Array.isArray(what.classes) ? `${what.classes.length} classes` : undefined;
  const parts = [what.model, what.engine, what.precision, classes, what.source];
  at("about").textContent = parts.filter((part) => part !== undefined && part !== null && part !== "").join(" · ");
}

function status(name, problem) {
  const badge = at("status");
  if (badge.dataset.status !== name || badge.textContent !== WORDS[name]) {
    badge.dataset.status = name;
    badge.textContent = WORDS[name];  // only when it changes: it is read aloud
  }
  at("view").classList.toggle("stale", name !== "live");
  notice(name === "live" ? "" : problem || NOTICES[name]);
}

function notice(text) {
  at("notice").hidden = !text;
  if (at("notice").textContent !== text) at("notice").textContent = text;
}

function figures(now) {
  status(now.status, now.problem);
  misses = now.watching || !now.frames ? 0 : misses + 1;
  if (misses >= MISSES) look();
  if (misses > 1 && now.status === "live") notice("The picture stopped, trying again; perhaps too many are watching");
  at("fps").textContent = now.fps.toFixed(1);
  latency(now.latency);
  detections(now.classes);
  places(now.places, now.events);
  source(now);
  board(now.board);
}

function latency(all) {
  const digits = (ms) => ms.toFixed(ms < 10 ? 1 : 0);
  at("p50").textContent = all ? digits(all.p50_ms) : "–";
  at("p90").textContent = all ? digits(all.p90_ms) : "–";
  if (!all) { at("histogram").replaceChildren(); return; }
  at("latency").textContent = all.of === "capture" ? "Latency, from camera to boxes" : "Latency, of the computation";
  at("upper").textContent = `${all.upper_ms} ms`;
  const most = Math.max(...all.counts, 1), width = 240 / all.counts.length;
  at("histogram").replaceChildren(...all.counts.map((count, index) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const height = count ? Math.max(1.5, 58 * count / most) : 0;
    for (const [key, value] of Object.entries({ x: index * width + 0.6, y: 60 - height, width: width - 1.2, height })) {
      bar.setAttribute(key, value);
    }
    return bar;
  }));
}

function detections(classes) {
  const seen = classes.filter((each) => each.now || each.mean > 0)
    .sort((a, b) => b.mean - a.mean || a.name.localeCompare(b.name)).slice(0, MOST_CLASSES);
  const most = Math.max(1, ...seen.map((each) => each.mean));
  at("nothing").hidden = seen.length > 0;
  at("classes").hidden = seen.length === 0;
  at("classes").tBodies[0].replaceChildren(...seen.map((each) => {
    const row = make("tr"), name = make("th", each.name), cell = make("td"), bar = make("span", undefined, "bar");
    const part = make("i");
    name.scope = "row";
    part.style.width = `${100 * each.mean / most}%`;
    bar.append(part);
    cell.append(bar);
    row.append(name, cell, make("td", each.mean.toFixed(each.mean < 10 ? 2 : 0), "number"), make("td", each.now, "number now"));
    return row;
  }));
}

function places(all, last) {
  at("events").hidden = all.length + last.length === 0;
  at("places").replaceChildren(...all.map((each) => {
    const row = make("div");
    row.append(make("dt", each.name), make("dd", each.type === "zone" ? `${each.inside} inside` : `${each.in} in · ${each.out} out`));
    return row;
  }));
  at("last").replaceChildren(...last.map((each) => {
    const what = [each.label, each.id === undefined ? "" : `#${each.id}`, each.direction ?? each.event ?? "", each.name];
    return make("li", `${Math.round(each.age_s)} s ago: ${what.filter(Boolean).join(" ")}`);
  }));
}

function entries(list, items) {
  list.replaceChildren(...items.filter((item) => item).map(([name, value, style]) => {
    const row = make("div");
    row.append(make("dt", name), make("dd", value, style));
    return row;
  }));
}

function source(now) {
  entries(at("source"), [
    ["frames", now.frames.toLocaleString("en")],
    now.source.dropped > 0 && ["skipped", now.source.dropped.toLocaleString("en")],
    now.source.reconnects > 0 && ["reconnects", now.source.reconnects],
    ["viewers", now.viewers],
  ]);
}

function board(now) {
  entries(at("board"), [
    now.model && ["board", now.model],
    now.celsius != null && ["temperature", `${now.celsius.toFixed(0)} °C`],
    now.throttled === "yes" && ["throttled", now.reason, "warn"],
    now.throttled === "no" && ["throttled", "no"],
    now.cpu_mhz != null && ["clock", `${(now.cpu_mhz / 1000).toFixed(1)} GHz`],
    now.watts != null && ["power", `${now.watts.toFixed(1)} W (${now.measures})`],
  ]);
}

at("picture").addEventListener("error", () => {
  // Not at once: the server may be full, and says so by this.
  if (events) setTimeout(() => { if (events) misses = Math.max(misses, 2); }, 0);
});

// A hidden tab costs the board nothing, and a browser opens only six connections to one host.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stop();
    at("picture").removeAttribute("src");
  } else {
    listen();
  }
});

if (!document.hidden) listen();
