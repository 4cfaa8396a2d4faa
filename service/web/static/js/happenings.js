// The list of what happened.

import { h } from "./dom.js";
import { count, time } from "./format.js";
import { MANY } from "./courses.js";
import { happening } from "./words.js";

const AT_MOST = 80;

// Fits that follow each other with nothing else between them are told in one piece.
function told(events) {
  const items = [];
  let fits = [];
  const close = () => {
    const ends = fits.filter(({ message }) => ["committed", "rolled_back", "failed"].includes(message.phase));
    items.push(...(ends.length < MANY ? fits.map(happening) : [course(ends)]));
    fits = [];
  };
  for (const event of events) {
    if (event.kind === "adaptation") { fits.push(event); continue; }
    const item = happening(event);
    if (!item) continue;
    // adapting, online, adapting: of the same course
    if (fits.length && event.kind === "state" && ["adapting", "online"].includes(event.message.state)) continue;
    close();
    items.push(item);
  }
  close();
  return items.filter(Boolean);
}

function course(ends) {
  const [first, last] = [ends[0].message, ends.at(-1).message];
  const committed = ends.filter(({ message }) => message.phase === "committed").length;
  const guard = last.guard?.held_out ? ` On the newest ${count(last.guard.held_out)} windows kept aside, ${count(last.guard.after_correct)} were right; without them it would have been ${count(last.guard.before_correct)}.` : "";
  return {
    tone: committed ? "good" : "bad", sign: committed ? "✓" : "↩", title: `${count(ends.length)} short fine-tunings followed each other`,
    text: `Windows ${count(first.window)} to ${count(last.window)}: ${count(committed)} gave new weights, ${count(ends.length - committed)} were rolled back.${guard}`,
    window: last.window, time: last.time,
  };
}

export function happenings(events) {
  const items = told(events).reverse().slice(0, AT_MOST);
  if (!items.length) return h("p", { class: "empty" }, "Nothing yet: the stream is steady.");
  return h("ul", { class: "list" }, items.map((item) =>
    h("li", { class: "happening" },
      h("span", { class: `mark ${item.tone}`, "aria-hidden": "true" }, item.sign),
      h("div", {},
        h("strong", {}, item.title),
        item.text ? h("p", { class: "text" }, item.text) : null,
        h("span", { class: "when" }, item.window === null ? time(item.time) : `window ${count(item.window)} · ${time(item.time)}`)))));
}
