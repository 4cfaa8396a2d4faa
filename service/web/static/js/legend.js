// Names of the lines, the explanation for newcomers, and the same data as a table.

import { h } from "./dom.js";
import { count, figure, percent, time } from "./format.js";
import { MEAN_OF } from "./model.js";

const item = (kind, text) => h("li", {}, h("span", { class: `key ${kind}` }), text);

export const legend = (hasFrozen) => h("ul", { class: "legend" },
  item("adapted", "model in use"), hasFrozen ? item("frozen", "never-adapted copy") : null, item("change", "signal changed"),
  item("box", "fine-tuning on the device"), item("statistic", "drift statistic"), item("threshold", "alert threshold"));

export const explanation = () => h("details", { class: "explain" }, h("summary", {}, "What am I looking at?"),
  h("p", {}, "Each ", h("b", {}, "window"), ` is a short piece of the wearer's signal that the device classifies. The upper lines show how many of the last ${MEAN_OF} labelled windows were right, tested before anything was trained on them; the faint dots are single reports.`),
  h("p", {}, h("b", {}, "The signal changes"), " when electrodes move, skin dries, or a new day begins. A detector on the stream adds up evidence (lower line); where it passes the threshold, it raises an alert."),
  h("p", {}, h("b", {}, "Fine-tuning"), " then runs on the wearable itself, through the whole network, while new windows are still classified first. The result is used only if it is better on windows kept aside; otherwise the device goes back to exactly the weights it had. Where many short runs follow each other, each is a stroke between the two panels: green for new weights, red for a way back."),
  h("p", {}, "The ", h("b", {}, "never-adapted copy"), " sees the same windows and shows what would have happened without it. No raw signal leaves the wearer: this page sees counts and means only."));

export function table(points) {
  const head = ["Window", "Time", "In use", "Never adapted", "Drift statistic", "Weights"];
  const body = h("tbody", {}, points.slice(-20).reverse().map((p) =>
    h("tr", {}, [count(p.window), time(p.time), percent(p.accuracy), percent(p.frozen), figure(p.statistic), p.version].map((cell) => h("td", {}, String(cell))))));
  return h("table", {}, h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))), body);
}
