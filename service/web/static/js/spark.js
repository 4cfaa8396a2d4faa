// A small accuracy line for the overview.

import { s } from "./dom.js";
import { linear, path, thin } from "./scale.js";

const WIDTH = 300, HEIGHT = 56;

export function spark(points, events) {
  const svg = s("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  if (points.length < 2) return svg;
  const x = linear(points[0].window, points.at(-1).window, 1, WIDTH - 1);
  const y = linear(0, 1, HEIGHT - 2, 2);
  const shown = thin(points, WIDTH);
  for (const { kind, message } of events)
    if (kind === "drift" && message.window >= points[0].window)
      svg.append(s("line", { class: "at drift", x1: x(message.window), x2: x(message.window), y1: 0, y2: HEIGHT }));
  const line = (name, of) => s("path", { class: `line ${name}`, "vector-effect": "non-scaling-stroke", d: path(shown, (p) => x(p.window), (p) => (of(p) === null ? null : y(of(p)))) });
  svg.append(line("frozen", (p) => p.frozen), line("adapted", (p) => p.accuracy));
  return svg;
}

// Values between 0 and 1 at equal steps, missing ones left out; for the rows of the table.
export function trend(values) {
  const svg = s("svg", { class: "trend", viewBox: "0 0 96 20", preserveAspectRatio: "none", "aria-hidden": "true" });
  const shown = values.map((value, index) => ({ value, index }));
  const dots = shown.filter(({ value }, index) => value !== null && (shown[index - 1]?.value ?? null) === null && (shown[index + 1]?.value ?? null) === null);
  svg.append(
    s("path", { class: "line adapted", "vector-effect": "non-scaling-stroke", d: path(shown, ({ index }) => 1 + index * 4, ({ value }) => (value === null ? null : 19 - 18 * value)) }),
    ...dots.map(({ value, index }) => s("circle", { cx: 1 + index * 4, cy: 19 - 18 * value, r: 1.6, class: "dot" })));
  return svg;
}

// A loss curve: [step, loss], from its largest value down to zero.
export function lossCurve(steps) {
  const svg = s("svg", { class: "loss", viewBox: "0 0 120 28", preserveAspectRatio: "none", role: "img", "aria-label": steps.length ? `loss from ${steps[0].loss.toPrecision(2)} to ${steps.at(-1).loss.toPrecision(2)}` : "no loss was reported" });
  if (steps.length < 2) return svg;
  const x = linear(steps[0].step, steps.at(-1).step, 1, 119);
  const y = linear(0, Math.max(...steps.map(({ loss }) => loss)), 27, 1);
  svg.append(s("path", { class: "line statistic", "vector-effect": "non-scaling-stroke", d: path(steps, ({ step }) => x(step), ({ loss }) => y(loss)) }));
  return svg;
}
