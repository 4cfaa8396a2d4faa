// The fleet: a card for each device.

import * as api from "./api.js";
import { h } from "./dom.js";
import { ago, percent } from "./format.js";
import { DeviceModel, points } from "./model.js";
import { spark } from "./spark.js";
import { stateWords } from "./words.js";

const ROWS = 400;
// Lines are fetched for so many devices; the others show their state.
const WITH_LINES = 60;

export class Overview {
  constructor(root) {
    this.root = root;
    this.cards = new Map();
    this.fleet = h("div", { class: "fleet" });
    this.note = h("p", { class: "meta" });
    this.root.replaceChildren(h("div", { class: "stack" }, h("div", {}, h("h1", {}, "Fleet"), this.note), this.fleet));
    document.title = "biotrain";
  }

  async load() {
    const { items } = await api.devices();
    await Promise.all(items.map((known, index) => this.loadOne(known, index < WITH_LINES)));
    this.draw();
    this.clock ??= setInterval(() => this.draw(), 10_000);
  }

  async loadOne(known, withLines) {
    const model = new DeviceModel(known.site, known.device);
    this.cards.set(`${known.site}/${known.device}`, { known, model });
    if (known.state) model.add("state", known.state);
    if (!withLines) return;
    const [telemetry, drift] = await Promise.all([
      api.series(known.site, known.device, "telemetry", ROWS), api.series(known.site, known.device, "drift", 50)]);
    telemetry.items.forEach(({ message }) => model.add("telemetry", message));
    drift.items.forEach(({ message }) => model.add("drift", message));
  }

  onEvent(event) {
    const card = this.cards.get(`${event.site}/${event.device}`);
    if (!card) {
      // A device that was never heard before.
      if (event.kind !== "alert" && !this.reload) this.reload = setTimeout(() => { this.reload = null; this.load(); }, 300);
      return;
    }
    if (event.kind === "alert" || !card.model.add(event.kind, event.message)) return;
    card.known.online = event.message.seq > 0 && !["offline", "finished"].includes(card.model.state?.state);
    card.known.last_seen = new Date().toISOString();
    if (!this.waiting) this.waiting = setTimeout(() => { this.waiting = null; this.draw(); }, 250);
  }

  draw() {
    const cards = [...this.cards.values()];
    const online = cards.filter(({ known }) => known.online).length;
    this.note.textContent = cards.length
      ? `${cards.length} ${cards.length === 1 ? "device" : "devices"}, ${online} connected. Choose one to see its accuracy, its drift and its adaptations.`
      : "No device has been heard yet. Start one with: biotrain agent";
    this.fleet.replaceChildren(...cards.map((card) => this.card(card)));
  }

  card({ known, model }) {
    const run = model.runs().at(-1);
    const all = points(run.rows);
    const [words, tone] = stateWords(model.state, known.online, known.last_seen);
    const last = all.at(-1);
    const drifts = run.events.filter(({ kind }) => kind === "drift").length;
    return h("a", { class: "card device", href: `#/${encodeURIComponent(known.site)}/${encodeURIComponent(known.device)}` },
      h("div", { class: "device-head" },
        h("div", {}, h("h2", {}, known.device), h("p", { class: "meta" }, [known.site, known.wearer && `worn by ${known.wearer}`].filter(Boolean).join(" · "))),
        h("span", { class: `badge ${tone}` }, words)),
      h("div", { class: "big" }, percent(last?.accuracy), h("span", { class: "hidden-text" }, " accuracy")),
      spark(all, run.events),
      h("div", { class: "device-foot" }, h("span", {}, last?.frozen != null ? `never adapted: ${percent(last.frozen)}` : "accuracy of the model in use"),
        h("span", {}, drifts ? `${drifts} drift ${drifts === 1 ? "alert" : "alerts"}` : `heard ${ago(known.last_seen)}`)));
  }

  close() {
    clearInterval(this.clock);
    clearTimeout(this.waiting);
    clearTimeout(this.reload);
  }
}
