// The lists of what happened and of alerts.

import { h } from "./dom.js";
import { count, dayTime, time } from "./format.js";
import { happening } from "./words.js";

const AT_MOST = 80;

export function happenings(events) {
  const items = events.map(happening).filter(Boolean).reverse().slice(0, AT_MOST);
  if (!items.length) return h("p", { class: "empty" }, "Nothing yet: the stream is steady.");
  return h("ul", { class: "list" }, items.map((item) =>
    h("li", { class: "happening" },
      h("span", { class: `mark ${item.tone}`, "aria-hidden": "true" }, item.sign),
      h("div", {},
        h("strong", {}, item.title),
        item.text ? h("p", { class: "text" }, item.text) : null,
        h("span", { class: "when" }, item.window === null ? time(item.time) : `window ${count(item.window)} · ${time(item.time)}`)))));
}

const TONES = { info: "", warning: "drift", critical: "bad" };

export function alertList(items) {
  if (!items.length) return h("p", { class: "empty" }, "No alerts.");
  return h("ul", { class: "list" }, items.map(({ alert }) =>
    h("li", {},
      h("div", {}, h("span", { class: `badge ${TONES[alert.severity] ?? ""}` }, alert.severity),  null),
      h("p", { class: "text" }, alert.message), h("span", { class: "when" }, dayTime(alert.time)))));
}
