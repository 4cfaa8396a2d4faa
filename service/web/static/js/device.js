// One device: its lines, what happened, and its commands.

import * as api from "./api.js";
import { Chart } from "./chart.js";
import { Controls } from "./controls.js";
import { h } from "./dom.js";
import { ago, count, time } from "./format.js";
import { adaptationTable } from "./adaptations.js";
import { alertList } from "./alerts.js";
import { happenings } from "./happenings.js";
import { figures, lead, summary } from "./headline.js";
import { explanation, legend, table } from "./legend.js";
import { memoryCard } from "./memory.js";
import { qualityCard } from "./quality.js";
import { DeviceModel, adaptations, points } from "./model.js";
import { batteryWords, stateWords, trustWords } from "./words.js";

const RANGES = [["All", Infinity], ["Last 500", 500], ["Last 200", 200]];
// [path, kind, rows]
const HISTORY = [["telemetry", "telemetry", 5000], ["drift", "drift", 500], ["adaptations", "adaptation", 2000], ["faults", "fault", 500], ["states", "state", 200]];

export class DeviceView {
  constructor(root, site, device) {
    Object.assign(this, { root, site, device, range: Infinity, chosenRun: null, alerts: [], known: null });
    this.model = new DeviceModel(site, device);
    this.chart = new Chart();
    this.controls = new Controls(site, device);
    this.parts = Object.fromEntries(["head", "lead", "figures", "choices", "legend", "table", "memory", "quality", "alerts", "runs", "events"].map((name) => [name, h("div", {})]));
    this.build();
  }

  build() {
    const p = this.parts;
    const scroll = (name) => { Object.assign(p[name], { className: "scroll", tabIndex: 0 }); p[name].setAttribute("role", "group"); p[name].setAttribute("aria-label", `${name}, newest first`); return p[name]; };
    this.root.replaceChildren(h("div", { class: "stack" }, p.head, p.lead, p.figures,
      h("div", { class: "columns" },
        h("div", { class: "stack" },
          h("section", { class: "card", "aria-label": "Accuracy and drift" },
            h("div", { class: "chart-head" }, h("h2", {}, "Accuracy, window by window"), p.choices),
            p.legend, this.chart.element, explanation(), h("details", {}, h("summary", {}, "The newest points as a table"), p.table)),
          h("section", { class: "card", "aria-label": "Adaptations" }, h("h2", {}, "Adaptations"), p.runs),
          h("section", { class: "card", "aria-label": "What happened" }, h("h2", {}, "What happened"), scroll("events"))),
        h("div", { class: "stack" }, this.controls.element, p.quality, p.memory,
          h("section", { class: "card", "aria-label": "Alerts" }, h("h2", {}, "Alerts"), scroll("alerts"))))));
  }

  async load() {
    this.known = await api.device(this.site, this.device);
    const loaded = await Promise.all(HISTORY.map(([path, , limit]) => api.series(this.site, this.device, path, limit)));
    loaded.forEach(({ items }, index) => items.forEach(({ message }) => this.model.add(HISTORY[index][1], message)));
    if (this.known.state) this.model.add("state", this.known.state);
    await Promise.all([this.loadAlerts(), this.controls.refresh()]);
    this.draw();
    this.clock ??= setInterval(() => this.parts.head.replaceChildren(this.head()), 10_000);
  }

  async loadAlerts() {
    this.alerts = (await api.alerts(this.site, this.device)).items;
    this.parts.alerts.replaceChildren(alertList(this.alerts, { changed: () => this.loadAlerts() }));
  }

  onEvent(event) {
    if (event.site !== this.site || event.device !== this.device) return;
    if (event.kind === "alert") this.loadAlerts();
    else if (event.kind === "reply") this.controls.refresh();
    else if (this.model.add(event.kind, event.message)) {
      if (this.known) {
        this.known.online = event.message.seq > 0 && !["offline", "finished"].includes(this.model.state?.state);
        this.known.last_seen = new Date().toISOString();
      }
      this.drawSoon();
    }
  }

  // Messages may come by the hundred: the page is drawn once a frame.
  drawSoon() {
    if (this.waiting || !this.known) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = null; this.draw(); });
  }

  draw() {
    const runs = this.model.runs();
    const run = runs[this.chosenRun ?? runs.length - 1] ?? runs.at(-1);
    const all = points(run.rows);
    const found = summary(run);
    const last = all.at(-1)?.window ?? 0;
    const shown = this.range === Infinity ? all : all.filter((point) => point.window > last - this.range);
    const lastMemory = adaptations(run.events).map((one) => one.ended).filter((ended) => ended?.memory).at(-1);
    this.parts.head.replaceChildren(this.head());
    this.parts.lead.replaceChildren(lead(run, found));
    this.parts.figures.replaceChildren(figures(run, all, found));
    this.drawChoices(runs);
    this.parts.legend.replaceChildren(legend(all.some((point) => point.frozen !== null)));
    this.chart.show(shown, run.events, `Accuracy and drift statistic over ${count(shown.length)} reports. ${this.parts.lead.textContent} Arrow keys move along the line.`);
    this.parts.table.replaceChildren(table(shown));
    this.parts.memory.replaceChildren(memoryCard(lastMemory, adaptations(run.events)));
    this.parts.quality.replaceChildren(qualityCard(run.rows, run.events, this.model.state?.channels ?? []));
    this.parts.runs.replaceChildren(adaptationTable(run.events));
    this.parts.events.replaceChildren(happenings(run.events));
  }

  head() {
    const { known, model } = this;
    const [words, tone] = stateWords(model.state ?? known.state, known.online, known.last_seen);
    const facts = [known.wearer && `worn by ${known.wearer}`, model.state?.model, model.health?.wearable?.firmware && `firmware ${model.health.wearable.firmware}`, batteryWords(model.health?.wearable ?? known.health?.wearable), trustWords(model.health?.wearable ?? known.health?.wearable), `heard ${ago(known.last_seen)}`];
    document.title = `${this.device} · biotrain`;
    return h("div", {},
      h("nav", { class: "crumb", "aria-label": "Breadcrumb" }, h("a", { href: "#/" }, "Fleet"), ` / ${this.site}`),
      h("div", { class: "title" }, h("h1", {}, this.device), h("span", { class: `badge ${tone}` }, words)),
      h("p", { class: "meta" }, facts.filter(Boolean).join(" · ")));
  }

  drawChoices(runs) {
    const key = `${runs.length} ${this.range} ${this.chosenRun}`;
    if (this.choicesKey === key) return;
    this.choicesKey = key;
    const pick = (value) => { this.range = value; this.draw(); };
    const buttons = h("span", { class: "choice", role: "group", "aria-label": "Windows shown" },
      RANGES.map(([name, value]) => h("button", { type: "button", "aria-pressed": String(this.range === value), onclick: () => pick(value) }, name)));
    const select = runs.length < 2 ? null : h("select", { "aria-label": "Run", onchange: (event) => { this.chosenRun = Number(event.target.value); this.draw(); } },
      runs.map((run, index) => h("option", { value: index, selected: index === (this.chosenRun ?? runs.length - 1) }, `Run ${index + 1}, from ${time(run.from.time)}`)));
    this.parts.choices.replaceChildren(h("div", { class: "choices" }, select, buttons));
  }

  close() {
    clearInterval(this.clock);
    this.controls.close();
    if (this.waiting) cancelAnimationFrame(this.waiting);
  }
}
