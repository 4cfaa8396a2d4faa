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
