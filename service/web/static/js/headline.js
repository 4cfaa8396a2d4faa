// The run in two sentences, and its figures.

import { h } from "./dom.js";
import { bytes, count, percent } from "./format.js";
import { MEAN_OF, adaptations } from "./model.js";
import { part } from "./words.js";

const tally = (rows, of) => {
  const counted = rows.filter((row) => of(row) !== null && of(row) !== undefined);
  const labelled = counted.reduce((sum, row) => sum + row.labelled, 0);
  return labelled ? counted.reduce((sum, row) => sum + of(row), 0) / labelled : null;
};

// Accuracy of whole stretches of the run: before the first alert, and after the first commit of both models.
export function summary(run) {
  const drift = run.events.find(({ kind }) => kind === "drift")?.message ?? null;
  const all = adaptations(run.events);
  const committed = all.map((one) => one.ended).filter((ended) => ended?.phase === "committed");
  const calm = drift ? run.rows.filter((row) => row.last_window < drift.since_window) : run.rows;
  const first = committed.find((message) => message.trigger !== "calibration") ?? null;
  const after = first ? run.rows.filter((row) => row.first_window > first.window) : [];
  return {
    drift, committed, first, running: all.find((one) => one.started && !one.ended) ?? null,
    rolledBack: all.filter((one) => one.ended && one.ended.phase !== "committed").length,
    before: tally(calm, (row) => row.correct) ?? drift?.accuracy_reference ?? null,
    after: tally(after, (row) => row.correct),
    frozenAfter: tally(after, (row) => row.frozen_correct),
  };
}

export function lead(run, found) {
  const b = (text) => h("b", {}, text);
  if (!run.rows.length) return h("p", { class: "lead" }, "Nothing has been streamed yet.");
  const parts = [];
  if (!found.drift) parts.push("The signal is steady", ...(found.before === null ? [] : [": the model is right on ", b(percent(found.before)), " of the labelled windows"]), ". ");
  else parts.push("The signal changed at window ", b(count(found.drift.window)), ...(found.before === null ? [] : [`; until then the model was right on ${percent(found.before)}`]), ". ");
  if (found.running) parts.push(`Now ${part(found.running.started.mode)} is being fine-tuned on the device, while the stream goes on. `);
  if (found.first) {
    const memory = found.first.memory ? ` in ${bytes(found.first.memory.total_bytes)} of memory` : "";
    parts.push(`${found.first.mode === "full" ? "The whole network" : part(found.first.mode)} was fine-tuned on the device${memory}. `);
    if (found.after !== null) parts.push("Since then it is right on ", b(percent(found.after)));
    if (found.after !== null && found.frozenAfter !== null) parts.push("; a copy that never adapted gets ", b(percent(found.frozenAfter)), " of the same windows");
    if (found.after !== null) parts.push(".");
  }
  return h("p", { class: "lead" }, parts);
}

export function figures(run, shown, found) {
  const last = shown.at(-1) ?? null;
  const total = (of) => run.rows.reduce((sum, row) => sum + of(row), 0);
  const box = (kind, name, value, note) => h("div", { class: `figure ${kind}` }, h("dt", {}, name), h("dd", {}, value, note ? h("small", {}, note) : null));
  const gain = last && last.accuracy !== null && last.frozen !== null ? Math.round(100 * (last.accuracy - last.frozen)) : null;
  const dropped = total((row) => row.windows_dropped);
  return h("dl", { class: "figures" },
    box("adapted", "Accuracy now", percent(last?.accuracy), `last ${MEAN_OF} labelled windows`),
    last?.frozen != null ? box("frozen", "Never adapted", percent(last.frozen), "a frozen copy, same windows") : null,
    gain === null ? null : box(gain > 0 ? "good" : "", "Gain", `${gain > 0 ? "+" : gain < 0 ? "−" : ""}${Math.abs(gain)}`, "percentage points"),
    box("", "Adaptations", `${found.committed.length}`, found.rolledBack ? `committed; ${found.rolledBack} not` : "committed"),
    box("", "Windows", count(total((row) => row.windows)), dropped ? `${count(dropped)} dropped` : "none dropped"));
}
