// Accuracy above, drift statistic below, on one axis of window numbers, with what happened marked on both.

import { h, s } from "./dom.js";
import { count, figure, percent, time } from "./format.js";
import { adaptations, faultSpans } from "./model.js";
import { courses } from "./courses.js";
import { linear, path, thin, ticks } from "./scale.js";

const LEFT = 46, RIGHT = 14, FLAGS = 48, ACCURACY = 230, BETWEEN = 34, STATISTIC = 110, AXIS = 40;
const TOP_STATISTIC = FLAGS + ACCURACY + BETWEEN;
// With more flags than this, signs stand for words; they are those of the list below the chart.
const CROWDED = 7;
// Fits closer to each other than this share of the windows shown are one course.
const NEAR = 0.03;
const SIGNS = { "signal changed": "!", "fine-tuning": "▸", committed: "✓", "rolled back": "↩", failed: "×" };
const ENDS = { committed: ["good", "committed"], rolled_back: ["bad", "rolled back"], failed: ["bad", "failed"] };
const BOTTOM = TOP_STATISTIC + STATISTIC;
const HEIGHT = BOTTOM + AXIS;

export class Chart {
  constructor() {
    this.svg = s("svg", { height: HEIGHT, role: "img", tabindex: "0" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.spoken = h("span", { class: "hidden-text", "aria-live": "polite" });
    this.element = h("div", { class: "chart" }, this.svg, this.tip, this.spoken);
    this.points = [];
    this.chosen = null;
    this.svg.addEventListener("pointermove", (event) => this.pointAt(event.clientX));
    this.svg.addEventListener("pointerleave", () => this.choose(null));
    this.svg.addEventListener("blur", () => this.choose(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  show(points, events, label) {
    Object.assign(this, { points, events });
    this.svg.setAttribute("aria-label", label);
    this.draw();
  }

  draw() {
    const width = this.element.clientWidth;
    if (!width || !this.events) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const [first, last] = this.points.length ? [this.points[0].window, this.points.at(-1).window] : [0, 100];
    this.x = linear(first, Math.max(last, first + 1), LEFT, width - RIGHT);
    this.right = width - RIGHT;
    this.inside = (window) => window >= first && window <= last;
    this.courses = courses(adaptations(this.events), NEAR * (last - first));
    const shown = thin(this.points, Math.max(200, Math.round(width)));
    this.svg.replaceChildren(
      ...this.bands(), ...this.accuracyAxis(), ...this.windowAxis(first, last, width), ...this.accuracyLines(shown),
      ...this.statisticPanel(shown), ...this.marks(), (this.cross = s("g", {})),
    );
    if (this.chosen !== null) this.choose(Math.min(this.chosen, this.points.length - 1));
  }

  accuracyAxis() {
    this.accuracy = linear(0, 1, FLAGS + ACCURACY, FLAGS);
    return [0, 0.25, 0.5, 0.75, 1].flatMap((value) => [
      s("line", { class: "grid", x1: LEFT, x2: this.right, y1: this.accuracy(value), y2: this.accuracy(value) }),
      s("text", { class: "tick", x: LEFT - 8, y: this.accuracy(value) + 4, "text-anchor": "end" }, `${100 * value} %`),
    ]);
  }

  windowAxis(first, last, width) {
    const nearest = (window) => this.points[this.indexOf(window)];
    return ticks(first, last, width / 110).filter((value) => Number.isInteger(value)).flatMap((value) => [
      s("text", { class: "tick", x: this.x(value), y: BOTTOM + 18, "text-anchor": "middle" }, count(value)),
      this.points.length && s("text", { class: "tick time", x: this.x(value), y: BOTTOM + 33, "text-anchor": "middle" }, time(nearest(value).time)),
    ]).filter(Boolean);
  }

  accuracyLines(shown) {
    const x = (point) => this.x(point.window);
    const y = (value) => (value === null ? null : this.accuracy(value));
    const both = shown.filter((point) => point.accuracy !== null && point.frozen !== null);
    const out = [];
    if (both.length > 1) {
      const upper = both.map((p) => `${x(p).toFixed(1)},${y(Math.max(p.accuracy, p.frozen)).toFixed(1)}`);
      const lower = both.map((p) => `${x(p).toFixed(1)},${y(p.frozen).toFixed(1)}`).reverse();
      out.push(s("polygon", { class: "gain", points: [...upper, ...lower].join(" ") }));
    }
    if (shown.length <= 400)
      out.push(...shown.filter((p) => p.raw !== null).map((p) => s("circle", { class: "raw", cx: x(p), cy: y(p.raw), r: 2.2 })));
    out.push(s("path", { class: "line frozen", d: path(shown, x, (p) => y(p.frozen)) }));
    out.push(s("path", { class: "line adapted", d: path(shown, x, (p) => y(p.accuracy)) }));
    return out;
  }

  statisticPanel(shown) {
    const values = shown.flatMap((point) => [point.statistic, point.threshold]).filter((value) => value !== null);
    const out = [s("text", { class: "panel-name", x: LEFT, y: TOP_STATISTIC - 9 }, "Drift statistic")];
    if (!values.length) {
      out.push(s("text", { class: "tick", x: LEFT, y: TOP_STATISTIC + 24 }, "not published by this device"));
      return out;
    }
    const [low, high] = [Math.min(0, ...values), Math.max(...values, 1e-9)];
    this.statistic = linear(low, high * 1.08, BOTTOM, TOP_STATISTIC);
    for (const value of ticks(low, high * 1.08, 3))
      out.push(
        s("line", { class: "grid", x1: LEFT, x2: this.right, y1: this.statistic(value), y2: this.statistic(value) }),
        s("text", { class: "tick", x: LEFT - 8, y: this.statistic(value) + 4, "text-anchor": "end" }, figure(value)),
      );
    const x = (point) => this.x(point.window);
    const y = (value) => (value === null ? null : this.statistic(value));
    out.push(s("path", { class: "line threshold", d: path(shown, x, (p) => y(p.threshold)) }));
    out.push(s("path", { class: "line statistic", d: path(shown, x, (p) => y(p.statistic)) }));
    return out;
  }

  bands() {
    const rect = (kind, from, to) => {
      const left = Math.max(LEFT, this.x(from));
      const right = Math.min(this.right, to === null ? this.right : this.x(to));
      return right < LEFT || left > this.right ? null
        : s("rect", { class: kind, x: left, y: FLAGS, width: Math.max(3, right - left), height: BOTTOM - FLAGS });
    };
    return [
      ...faultSpans(this.events).map((span) => rect("fault-band", span.from, span.to)),
      ...this.courses.flatMap((course) => course.many ? [rect("band", course.from, course.to)]
        : course.members.filter((one) => one.started).map((one) => rect("band", one.started.window, one.ended ? one.ended.window : null))),
    ].filter(Boolean);
  }

  marks() {
    const wanted = this.events.filter(({ kind }) => kind === "drift").map(({ message }) => [message.window, "drift", "signal changed"]);
    const strip = [];
    for (const course of this.courses) {
      if (course.many) strip.push(...this.strip(course));
      else for (const one of course.members) {
        if (one.started) wanted.push([one.started.window, "busy", "fine-tuning"]);
        if (one.ended) wanted.push([one.ended.window, ...ENDS[one.ended.phase]]);
      }
    }
    const visible = wanted.filter(([window]) => this.inside(window));
    // Flags that would stand on each other take the row below, and the least important goes without.
    const order = { drift: 0, good: 1, bad: 1, busy: 2 };
    const rows = [[], []];
    const flags = [...visible].sort((a, b) => order[a[1]] - order[b[1]]).map(([window, tone, text]) => {
      const words = visible.length > CROWDED ? SIGNS[text] : text;
      const width = words.length * 6.6 + (words.length > 1 ? 16 : 12);
      const middle = Math.min(Math.max(this.x(window), LEFT + width / 2), this.right - width / 2);
      const isFree = (row) => row.every(([left, right]) => middle - width / 2 > right + 3 || middle + width / 2 < left - 3);
      const row = rows.findIndex(isFree);
      if (row < 0) return null;
      rows[row].push([middle - width / 2, middle + width / 2]);
      const top = 1 + 22 * row;
      return s("g", { class: `flag ${tone}` },
        s("rect", { x: middle - width / 2, y: top, width, height: 19 }), s("text", { x: middle, y: top + 13.5 }, words), s("title", {}, `${text}, window ${count(window)}`));
    });
    const lines = visible.map(([window, tone]) =>
      s("line", { class: `at ${tone}`, x1: this.x(window), x2: this.x(window), y1: FLAGS - 4, y2: BOTTOM }));
    return [...strip, ...lines, ...flags.filter(Boolean)];
  }

  // A stroke for each fit of a long course, between the two panels, and how many there were.
  strip(course) {
    const top = FLAGS + ACCURACY + 5;
    const strokes = course.members.filter((one) => one.ended && this.inside(one.ended.window)).map((one) =>
      s("line", { class: `stroke ${ENDS[one.ended.phase][0]}`, x1: this.x(one.ended.window), x2: this.x(one.ended.window), y1: top, y2: top + 9 }));
    const left = Math.max(LEFT, this.x(course.from));
    const right = course.to === null ? this.right : Math.min(this.right, this.x(course.to));
    if (right - left < 60) return strokes;
    const text = `${count(course.committed)} committed` + (course.others ? `, ${count(course.others)} not` : "");
    strokes.push(s("text", { class: "course", x: right - 6, y: FLAGS + ACCURACY - 7, "text-anchor": "end" }, right - left < 150 ? `✓ ${count(course.committed)}` : text));
    return strokes;
  }

  // Index of the point nearest to a window.
  indexOf(window) {
    let low = 0, high = this.points.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.points[middle].window < window) low = middle + 1;
      else high = middle;
    }
    return low > 0 && window - this.points[low - 1].window < this.points[low].window - window ? low - 1 : low;
  }

  pointAt(clientX) {
    if (!this.points.length) return;
    const box = this.svg.getBoundingClientRect();
    const [first, last] = [this.points[0].window, this.points.at(-1).window];
    const share = (clientX - box.left - LEFT) / (this.right - LEFT);
    this.choose(this.indexOf(first + share * (last - first)));
  }

  key(event) {
    if (!this.points.length) return;
    const end = this.points.length - 1;
    const at = this.chosen ?? end;
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: end, PageUp: at - 10, PageDown: at + 10 }[event.key];
    if (event.key === "Escape") this.choose(null);
    if (next === undefined) return;
    event.preventDefault();
    const point = this.choose(Math.max(0, Math.min(end, next)));
    this.spoken.textContent = `Window ${count(point.window)}, accuracy ${percent(point.accuracy)}` + (point.frozen === null ? "" : `, never adapted ${percent(point.frozen)}`);
  }

  choose(index) {
    this.chosen = index;
    this.cross?.replaceChildren();
    this.tip.hidden = index === null;
    if (index === null || !this.cross) return null;
    const point = this.points[index];
    const x = this.x(point.window);
    this.cross.append(s("line", { class: "cross", x1: x, x2: x, y1: FLAGS, y2: BOTTOM }));
    const row = (name, kind, value) => h("div", {}, h("span", { class: kind }, name), h("b", {}, value));
    this.tip.replaceChildren(
      h("div", { class: "tip-title" }, h("span", {}, `Window ${count(point.window)}`), h("span", {}, time(point.time))),
      row("in use", "adapted", percent(point.accuracy)),
      ...(point.frozen === null ? [] : [row("never adapted", "frozen", percent(point.frozen))]),
      ...(point.statistic === null ? [] : [row("drift statistic", "statistic", figure(point.statistic))]),
      row("weights", "", `version ${point.version}`),
    );
    const wide = this.tip.offsetWidth;
    this.tip.style.transform = `translate(${x + 14 + wide > this.right ? x - wide - 14 : x + 14}px, ${FLAGS + 8}px)`;
    return point;
  }
}
