// Sensor quality, channel by channel: how many windows were good, and what was wrong with the others.

import { h } from "./dom.js";
import { count, percent } from "./format.js";
import { FAULTS } from "./words.js";

// Newest windows that are looked at.
const NEWEST = 1000;

// { windows, channels: [{ name, good, faults: [[fault, windows], ...], active: [fault, ...] }] } of the newest windows.
export function channelQuality(rows, events, names) {
  let windows = 0;
  const found = new Map(names.map((name) => [name, new Map()]));
  for (let place = rows.length - 1; place >= 0 && windows < NEWEST; place -= 1) {
    windows += rows[place].windows;
    for (const [name, faults] of Object.entries(rows[place].channel_faults ?? {})) {
      const of = found.get(name) ?? found.set(name, new Map()).get(name);
      for (const [fault, number] of Object.entries(faults)) of.set(fault, (of.get(fault) ?? 0) + number);
    }
  }
  const active = new Map();
  for (const { kind, message } of events)
    if (kind === "fault")
      for (const name of message.channels ?? []) {
        const of = active.get(name) ?? active.set(name, new Set()).get(name);
        if (message.active) of.add(message.fault);
        else of.delete(message.fault);
      }
  const channels = [...found].map(([name, faults]) => {
    // Two faults may be seen in one window: the most frequent one says at least how many were bad.
    const bad = Math.max(0, ...faults.values());
    return { name, good: windows ? Math.max(0, 1 - bad / windows) : null, faults: [...faults].sort((a, b) => b[1] - a[1]), active: [...(active.get(name) ?? [])] };
  });
  return { windows, channels };
}

export function qualityCard(rows, events, names) {
  const { windows, channels } = channelQuality(rows, events, names);
  const card = h("section", { class: "card", "aria-label": "Sensor quality" }, h("h2", {}, "Sensor quality"));
  if (!channels.length || !windows) {
    card.append(h("p", { class: "empty" }, "Told with the first windows."));
    return card;
  }
  const bar = (good) => {
    const filled = h("span", { class: good > 0.95 ? "state-running" : good > 0.8 ? "state-no_answer" : "state-failed" });
    filled.style.width = `${100 * good}%`;
    return h("span", { class: "bar thin" }, filled);
  };
  card.append(
    h("p", { class: "hint" }, `Of the newest ${count(windows)} windows. What is faulty is predicted, and never trained on.`),
    h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Sensor quality, one channel in a row" }, h("table", { class: "runs channels" },
      h("thead", {}, h("tr", {}, ["Channel", "Good", "What was wrong"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, channels.map(({ name, good, faults, active }) => h("tr", {},
        h("th", { scope: "row" }, name),
        h("td", {}, bar(good), percent(good)),
        h("td", {}, active.map((fault) => h("span", { class: "badge bad" }, `now: ${FAULTS[fault] ?? fault}`)), faults.length ? faults.map(([fault, number]) => `${FAULTS[fault] ?? fault}, ${count(number)}`).join("; ") : active.length ? null : "–")))))));
  return card;
}
