// Every fine-tuning run: its loss curve, what the held-out windows said before and after, memory and time.

import { h } from "./dom.js";
import { bytes, count, millijoules, time } from "./format.js";
import { lossCurve } from "./spark.js";

const AT_MOST = 20;
const ENDS = { committed: ["committed", "good"], rolled_back: ["rolled back", "bad"], failed: ["failed", "bad"] };

export function adaptationTable(events) {
  const runs = new Map();
  for (const { kind, message } of events) {
    if (kind !== "adaptation") continue;
    const run = runs.get(message.adaptation_id) ?? { steps: [], last: message, ended: null };
    if (message.loss != null && message.step > (run.steps.at(-1)?.step ?? -1)) run.steps.push({ step: message.step, loss: message.loss });
    if (message.phase in ENDS) run.ended = message;
    run.last = message;
    runs.set(message.adaptation_id, run);
  }
  const shown = [...runs.values()].slice(-AT_MOST).reverse();
  if (!shown.length) return h("p", { class: "empty" }, "None yet.");
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Adaptations, one in a row" }, h("table", { class: "runs" },
    h("thead", {}, h("tr", {}, ["When", "Because of", "Loss", "Held out: before → after", "Memory", "Energy", "Took", "Ended"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, shown.map(({ steps, last, ended }) => {
      const guard = ended?.guard;
      const [words, tone] = ended ? ENDS[ended.phase] : ["running", "busy"];
      return h("tr", {},
        h("th", { scope: "row" }, time(last.time)), h("td", {}, last.trigger), h("td", {}, lossCurve(steps)),
        h("td", {}, guard?.held_out ? `${count(guard.before_correct)} → ${count(guard.after_correct)} of ${count(guard.held_out)}` : "–"),
        h("td", {}, ended?.memory ? bytes(ended.memory.total_bytes) : "–"),
        h("td", {}, millijoules(ended?.energy_mj)),
        h("td", {}, ended?.duration_s != null ? `${ended.duration_s.toFixed(1)} s` : "–"),
        h("td", {}, h("span", { class: `badge ${tone}` }, words)));
    }))));
}
