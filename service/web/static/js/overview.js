// The fleet: a card for each device while they are few, a table with filters when they are many.

import * as api from "./api.js";
import { h } from "./dom.js";
import { ago, percent } from "./format.js";
import { DeviceModel, points } from "./model.js";
import { spark, trend } from "./spark.js";
import { stateWords } from "./words.js";

const ROWS = 400;
// Up to so many devices have a card with its own line; of more, only the rows of the table are fetched.
const CARDS = 60;

export class Overview {
  constructor(root) {
    this.root = root;
    this.rows = new Map();
    this.fleet = h("div", {});
    this.note = h("p", { class: "meta" });
    this.filter = h("input", { type: "search", placeholder: "Find a device, site or wearer", "aria-label": "Find a device, site or wearer", oninput: () => this.draw() });
    this.onlyAlerts = h("input", { type: "checkbox", id: "only-alerts", onchange: () => this.draw() });
    this.tools = h("div", { class: "tools" }, this.filter, h("label", { for: "only-alerts" }, this.onlyAlerts, " only with alerts"));
    this.root.replaceChildren(h("div", { class: "stack" }, h("div", {}, h("h1", {}, "Fleet"), this.note), this.tools, this.fleet));
    document.title = "biotrain";
  }

  async load() {
    const { items } = await api.overview();
    this.many = items.length > CARDS;
    this.rows.clear();
    for (const known of items) this.rows.set(`${known.site}/${known.device}`, { known, model: new DeviceModel(known.site, known.device) });
    if (!this.many) await Promise.all([...this.rows.values()].map((row) => this.loadLine(row)));
    this.draw();
    this.clock ??= setInterval(() => (this.many ? this.refresh() : this.draw()), 15_000);
  }

  // A thousand devices say something new every few seconds: their numbers are asked for, in one piece.
  async refresh() {
    const { items } = await api.overview();
    for (const known of items) {
      const row = this.rows.get(`${known.site}/${known.device}`);
      if (row) row.known = known;
      else this.rows.set(`${known.site}/${known.device}`, { known, model: new DeviceModel(known.site, known.device) });
    }
    this.draw();
  }

  async loadLine({ known, model }) {
    const [device, telemetry, drift] = await Promise.all([api.device(known.site, known.device),
      api.series(known.site, known.device, "telemetry", ROWS), api.series(known.site, known.device, "drift", 50)]);
    if (device.state) model.add("state", device.state);
    telemetry.items.forEach(({ message }) => model.add("telemetry", message));
    drift.items.forEach(({ message }) => model.add("drift", message));
  }

  onEvent(event) {
    const row = this.rows.get(`${event.site}/${event.device}`);
    if (!row || event.kind === "alert") {
      // A device that was never heard before, or another number of alerts.
      this.reload ??= setTimeout(() => { this.reload = null; (row ? this.refresh() : this.load()).catch(() => {}); }, 500);
      return;
    }
    const { known, model } = row;
    if (event.kind === "state" && event.message.seq > 0) known.state = event.message.state;
    known.online = event.message.seq > 0 && !["offline", "finished"].includes(known.state);
    known.last_seen = new Date().toISOString();
    if (this.many) return;
    if (model.add(event.kind, event.message)) this.waiting ??= setTimeout(() => { this.waiting = null; this.draw(); }, 250);
  }

  draw() {
    const all = [...this.rows.values()];
    const online = all.filter(({ known }) => known.online).length;
    const alerts = all.reduce((sum, { known }) => sum + known.alerts, 0);
    this.note.textContent = all.length
      ? `${all.length} ${all.length === 1 ? "device" : "devices"}, ${online} connected, ${alerts} ${alerts === 1 ? "alert" : "alerts"} not resolved. Choose one to see its accuracy, its drift and its adaptations.`
      : "No device has been heard yet. Start one with: biotrain agent";
    this.tools.hidden = all.length < 6;
    const wanted = this.filter.value.trim().toLowerCase();
    const shown = all.filter(({ known }) => (!this.onlyAlerts.checked || known.alerts > 0)
      && (!wanted || `${known.site}/${known.device} ${known.wearer ?? ""}`.toLowerCase().includes(wanted)));
    this.fleet.className = this.many ? "card wide" : "fleet";
    this.fleet.replaceChildren(...(this.many ? [this.table(shown)] : shown.map((row) => this.card(row))));
  }

  table(shown) {
    return h("table", { class: "fleet-table" },
      h("caption", { class: "hidden-text" }, "Devices"),
      h("thead", {}, h("tr", {}, ["Device", "State", "Accuracy", "Last 24 hours", "Alerts", "Battery", "Heard"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, shown.map(({ known }) => {
        const [words, tone] = stateWords(known.state && { state: known.state }, known.online, known.last_seen);
        return h("tr", {},
          h("th", { scope: "row" }, h("a", { href: address(known) }, known.device), h("small", {}, [known.site, known.wearer].filter(Boolean).join(" · "))),
          h("td", {}, h("span", { class: `badge ${tone}` }, words)),
          h("td", {}, percent(known.accuracy)), h("td", {}, trend(known.trend)),
          h("td", {}, known.alerts ? h("span", { class: "badge bad" }, known.alerts) : "–"),
          h("td", {}, percent(known.battery)), h("td", {}, ago(known.last_seen)));
      })));
  }

  card({ known, model }) {
    const run = model.runs().at(-1);
    const all = points(run.rows);
    const [words, tone] = stateWords(model.state ?? (known.state && { state: known.state }), known.online, known.last_seen);
    const last = all.at(-1);
    return h("a", { class: "card device", href: address(known) },
      h("div", { class: "device-head" },
        h("div", {}, h("h2", {}, known.device), h("p", { class: "meta" }, [known.site, known.wearer && `worn by ${known.wearer}`].filter(Boolean).join(" · "))),
        h("span", { class: `badge ${tone}` }, words)),
      h("div", { class: "big" }, percent(last?.accuracy ?? known.accuracy), h("span", { class: "hidden-text" }, " accuracy")),
      spark(all, run.events),
      h("div", { class: "device-foot" }, h("span", {}, last?.frozen != null ? `never adapted: ${percent(last.frozen)}` : "accuracy of the model in use"),
        h("span", {}, [known.battery != null && `battery ${percent(known.battery)}`, known.alerts ? `${known.alerts} ${known.alerts === 1 ? "alert" : "alerts"}` : `heard ${ago(known.last_seen)}`].filter(Boolean).join(" · "))));
  }

  close() {
    clearInterval(this.clock);
    clearTimeout(this.waiting);
    clearTimeout(this.reload);
  }
}

const address = (known) => `#/${encodeURIComponent(known.site)}/${encodeURIComponent(known.device)}`;
