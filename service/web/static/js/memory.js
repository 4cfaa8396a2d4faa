// What fine-tuning took on the device, against what its chip has.

import { h } from "./dom.js";
import { bytes, millijoules } from "./format.js";

// L2 of a GAP9-class chip.
const L2_BYTES = 1_500_000;

// `runs`: every adaptation that is shown, for what they took together.
export function memoryCard(message, runs) {
  const card = h("section", { class: "card", "aria-label": "Memory" }, h("h2", {}, "Memory of the last fine-tuning"));
  if (!message?.memory) {
    card.append(h("p", { class: "empty" }, "Told after the first fine-tuning on the device."));
    return card;
  }
  const { total_bytes: total, resident_bytes: resident, l2_bytes: used } = message.memory;
  const energy = runs.map((one) => one.ended?.energy_mj).filter((value) => value != null);
  const share = (value) => `${Math.min(100, (100 * value) / L2_BYTES).toFixed(2)}%`;
  const piece = (kind, value) => {
    const element = h("span", { class: kind });
    element.style.width = share(value);
    return element;
  };
  const row = (kind, name, value) => [h("dt", {}, kind ? h("span", { class: `swatch ${kind}` }) : null, name), h("dd", {}, bytes(value))];
  card.append(
    h("div", { class: "bar", role: "img", "aria-label": `${bytes(total + resident)} of ${bytes(L2_BYTES)}` }, piece("total", total), piece("resident", resident)),
    h("dl", { class: "pairs" },
      row("total", "Training state at its peak", total), row("resident", "Weights in use, tables, stacks", resident),
      row(null, "Counted by the device", used), row(null, "The chip's L2", L2_BYTES),
      energy.length ? [h("dt", {}, `Energy of ${energy.length} fine-tunings, by the plan's model`), h("dd", {}, millijoules(energy.reduce((sum, value) => sum + value, 0)))] : null));
  return card;
}
