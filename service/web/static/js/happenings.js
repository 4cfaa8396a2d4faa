// The list of what happened.

import { h } from "./dom.js";
import { count, time } from "./format.js";
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
