// Alerts of the whole fleet, or of one device: newest first, taken up and resolved here.

import * as api from "./api.js";
import { h } from "./dom.js";
import { dayTime } from "./format.js";

const TONES = { info: "", warning: "drift", critical: "bad" };
const RULES = {
  drift: "Drift", adaptation_failed: "Adaptation failed", adaptation_rolled_back: "Rolled back", sensor_fault: "Sensor fault",
  device_silent: "Silent", low_battery: "Low battery", messages_missing: "Messages missing", rollout_stopped: "Roll-out stopped",
  trust_refused: "Refused, not trusted", keys_lost: "Keys lost", keys_missing: "No keys",
};
const STATES = { open: ["open", "bad"], acknowledged: ["taken up", "busy"], resolved: ["resolved", "good"] };
const CHOICES = [["Open", ["open"]], ["Not resolved", ["open", "acknowledged"]], ["All", []]];
const PAGE = 50;

// `changed` is called after a press of a button; `withDevice` names the device of each.
export function alertList(items, { changed, withDevice = false }) {
  if (!items.length) return h("p", { class: "empty" }, "No alerts.");
  return h("ul", { class: "list" }, items.map((item) => one(item, changed, withDevice)));
}

function one({ id, alert, state, count, acknowledged_by: by, resolved_by: resolver }, changed, withDevice) {
  const [words, tone] = STATES[state];
  const hint = h("span", { class: "hint bad", role: "status" });
  const press = async (what) => {
    try {
      await api.changeAlert(id, what);
      changed();
    } catch (error) {
      hint.textContent = error.message;
    }
  };
  const who = state === "acknowledged" ? ` by ${by}` : state === "resolved" && resolver !== "device" ? ` by ${resolver}` : "";
  const label = `${RULES[alert.rule] ?? alert.rule}${withDevice ? ` of ${alert.device}` : ""}`;
  return h("li", {},
    h("div", { class: "alert-head" },
      h("strong", {}, withDevice ? h("a", { href: `#/${encodeURIComponent(alert.site)}/${encodeURIComponent(alert.device)}` }, alert.device) : null, withDevice ? " · " : null, RULES[alert.rule] ?? alert.rule),
      h("span", { class: `badge ${TONES[alert.severity] ?? ""}` }, alert.severity),
      h("span", { class: `badge ${tone}` }, `${words}${who}`),
      count > 1 ? h("span", { class: "badge" }, `${count} times`) : null),
    h("p", { class: "text" }, alert.message),
    h("div", { class: "alert-foot" }, h("span", { class: "when" }, dayTime(alert.time)),
      state === "open" ? h("button", { type: "button", class: "small", "aria-label": `Take up: ${label}`, onclick: () => press("acknowledge") }, "Take up") : null,
      state !== "resolved" ? h("button", { type: "button", class: "small", "aria-label": `Resolve: ${label}`, onclick: () => press("resolve") }, "Resolve") : null,
      hint));
}

export class AlertView {
  constructor(root) {
    this.root = root;
    this.states = CHOICES[1][1];
    this.items = [];
    this.choices = h("div", { class: "choices" });
    this.list = h("div", { class: "card" });
    this.more = h("button", { type: "button", onclick: () => this.loadMore() }, "Older ones");
    root.replaceChildren(h("div", { class: "stack" }, h("div", { class: "title" }, h("h1", {}, "Alerts"), this.choices), this.list, this.more));
    document.title = "Alerts · biotrain";
  }

  async load() {
    const { states } = this;
    const { items } = await api.fleetAlerts(states, PAGE);
    if (states !== this.states) return; // somebody has chosen others meanwhile
    this.items = items;
    this.full = this.items.length === PAGE;
    this.draw();
  }

  async loadMore() {
    const { items } = await api.fleetAlerts(this.states, PAGE, this.items.at(-1).id);
    this.items.push(...items);
    this.full = items.length === PAGE;
    this.draw();
  }

  draw() {
    const same = (states) => states.join() === this.states.join();
    this.choices.replaceChildren(h("span", { class: "choice", role: "group", "aria-label": "Alerts shown" },
      CHOICES.map(([name, states]) => h("button", { type: "button", "aria-pressed": String(same(states)), onclick: () => { this.states = states; this.load(); } }, name))));
    this.list.replaceChildren(alertList(this.items, { changed: () => this.load(), withDevice: true }));
    this.more.hidden = !this.full;
  }

  onEvent(event) {
    if (event.kind === "alert") this.waiting ??= setTimeout(() => { this.waiting = null; this.load().catch(() => {}); }, 300);
  }

  close() {
    clearTimeout(this.waiting);
  }
}
