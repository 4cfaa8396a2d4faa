// Roll-outs: how far each has come, what it has done to accuracy, and where its devices are.

import * as api from "./api.js";
import { h } from "./dom.js";
import { count, dayTime, percent } from "./format.js";

const STATES = { running: ["under way", "busy"], paused: ["paused", "drift"], returning: ["returning", "bad"], stopped: ["stopped and returned", "bad"], done: ["done", "good"] };
// In the order of the bar: what has come furthest is on the left.
const DEVICES = {
  running: ["has it", "good"], asked: ["asked", "busy"], no_answer: ["away", "drift"], failed: ["failed to take it", "bad"],
  returning: ["returning", "drift"], not_returned: ["not returned yet", "bad"], returned: ["returned", ""], waiting: ["not asked yet", ""],
};
// A second press within this time confirms.
const CONFIRM_MS = 4000;

export class RolloutView {
  constructor(root) {
    this.list = h("div", { class: "stack" });
    this.begin = h("div", {});
    this.message = h("p", { class: "hint", role: "status" });
    root.replaceChildren(h("div", { class: "stack" },
      h("div", {}, h("h1", {}, "Roll-outs"), h("p", { class: "meta" }, "A new plan goes to a canary share first. Each device is compared with itself before, and with those that do not have it yet; when accuracy falls, the plan comes back by itself.")),
      this.message, this.list, this.begin));
    document.title = "Roll-outs · biotrain";
  }

  async load() {
    const [{ items }, plans] = await Promise.all([api.rollouts(), api.plans()]);
    const whole = await Promise.all(items.slice(0, 5).map(({ id }) => api.rollout(id)));
    const drawn = JSON.stringify([whole, items.length, plans.items.length]);
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      const open = new Set([...this.list.querySelectorAll("details[open]")].map((one) => one.dataset.id));
      this.list.replaceChildren(...(items.length ? [...whole.map((one) => this.card(one, open)), this.older(items.slice(5))] : [h("p", { class: "card empty" }, "None yet.")]));
      if (!this.begin.contains(document.activeElement)) this.begin.replaceChildren(this.form(plans.items));
    }
    this.timer = setTimeout(() => this.load().catch(() => {}), 3000);
  }

  card(one, open) {
    const [words, tone] = STATES[one.state] ?? [one.state, ""];
    const detail = h("details", { "data-id": one.id, open: open.has(String(one.id)) || one.devices.length <= 12 }, h("summary", {}, `${count(one.devices.length)} devices`), deviceTable(one.devices));
    return h("section", { class: "card", "aria-label": `Roll-out ${one.id}` },
      h("div", { class: "title" }, h("h2", {}, `${one.plan_name} to ${one.site}, ${one.group === "all" ? "all devices" : `group ${one.group}`}`), h("span", { class: `badge ${tone}` }, words), h("span", { class: "badge" }, `stage ${one.stage} of ${one.stages}`)),
      h("p", { class: "meta" }, `Roll-out ${one.id}, begun ${dayTime(one.created)}${one.created_by ? ` by ${one.created_by}` : ""}.`),
      one.reason ? h("p", { class: "text" }, one.reason) : null,
      progress(one.counts), comparison(one), this.buttons(one), detail);
  }

  buttons(one) {
    const button = (what, name, primary) => h("button", { type: "button", class: primary ? "small primary" : "small", "aria-label": `${name}: roll-out ${one.id}`, onclick: () => this.act(one.id, what) }, name);
    if (!["running", "paused"].includes(one.state)) return null;
    const stop = h("button", { type: "button", class: "small", "aria-label": `Stop and return: roll-out ${one.id}`, onclick: () => this.confirm(stop, one.id) }, "Stop and return");
    return h("div", { class: "row-buttons" }, one.state === "running" ? button("pause", "Pause") : button("resume", "Resume", true), button("advance", "Next stage now"), stop);
  }

  confirm(button, id) {
    if (button.classList.contains("warn")) return this.act(id, "stop");
    button.classList.add("warn");
    button.textContent = "Really stop and return?";
    setTimeout(() => { button.classList.remove("warn"); button.textContent = "Stop and return"; }, CONFIRM_MS);
    return null;
  }

  async act(id, what) {
    this.say("");
    try {
      await api.actOnRollout(id, what);
    } catch (error) {
      this.say(error.message, true);
    }
    await this.again();
  }

  form(plans) {
    if (!plans.length) return h("p", { class: "hint" }, "Hand in a plan first: biotrain fleet add NAME --plan FILE --weights FILE");
    const plan = h("select", { id: "rollout-plan" }, plans.map((one) => h("option", { value: one.id }, `${one.name} (${one.model})`)));
    const site = h("input", { id: "rollout-site", required: true, pattern: "[A-Za-z0-9][A-Za-z0-9_.\\-]*" });
    const group = h("input", { id: "rollout-group", required: true, value: "all" });
    const field = (name, element) => h("div", {}, h("label", { for: element.id }, name), element);
    const submit = async (event) => {
      event.preventDefault();
      this.say("");
      try {
        await api.beginRollout({ plan: Number(plan.value), site: site.value, group: group.value });
      } catch (error) {
        this.say(error.message, true);
      }
      await this.again();
    };
    return h("form", { class: "card", "aria-label": "Begin a roll-out", onsubmit: submit }, h("h2", {}, "Begin one"),
      h("div", { class: "fields" }, field("Plan", plan), field("Site", site), field("Group", group)),
      h("button", { type: "submit", class: "primary" }, "Begin with a canary share"),
      h("p", { class: "hint" }, "5 % of the devices first, then 25 %, then all; an hour and 300 labelled windows at least for each. Other shares and limits: biotrain fleet rollout --help"));
  }

  again() {
    clearTimeout(this.timer);
    return this.load();
  }

  older(items) {
    return items.length ? h("p", { class: "hint" }, "Older ones: /api/rollouts") : h("span", {});
  }

  say(text, bad) {
    this.message.className = bad ? "hint bad" : "hint";
    this.message.textContent = text;
  }

  onEvent(event) {
    if (event.kind === "reply") this.waiting ??= setTimeout(() => { this.waiting = null; this.again().catch(() => {}); }, 500);
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.waiting);
  }
}

function progress(counts) {
  const all = Object.values(counts).reduce((sum, value) => sum + value, 0);
  const order = Object.keys(DEVICES).filter((state) => counts[state]);
  const piece = (state) => {
    const element = h("span", { class: `state-${state}` });
    element.style.width = `${(100 * counts[state]) / all}%`;
    return element;
  };
  const words = order.map((state) => `${count(counts[state])} ${DEVICES[state][0]}`).join(", ");
  return h("div", {}, h("div", { class: "bar", role: "img", "aria-label": words }, order.map(piece)), h("p", { class: "text" }, words));
}

function comparison({ comparison: found, settings, state }) {
  if (!found) return h("p", { class: "hint" }, ["running", "paused"].includes(state) ? "Nothing to compare yet: labelled windows before and after are needed." : "");
  const points = (value) => `${value >= 0 ? "+" : "−"}${Math.abs(100 * value).toFixed(1)}`;
  const box = (name, value, note, tone) => h("dl", { class: `figure ${tone ?? ""}` }, h("dt", {}, name), h("dd", {}, value, h("small", {}, note)));
  return h("div", { class: "figures" },
    box("Accuracy, because of the plan", `${points(found.difference)}`, `points, ± ${(100 * found.standard_error).toFixed(1)}; ${(100 * settings.margin).toFixed(0)} less are allowed`),
    box("Chance that it is harmless", found.p_value < 0.001 ? "< 0.001" : found.p_value.toFixed(3), `stops at ${found.threshold.toPrecision(2)}, look ${found.look}`),
    box("Seen", count(found.labelled), `labelled windows on ${count(found.devices)} ${found.devices === 1 ? "device" : "devices"}`),
    box("Beside", count(found.others), "devices that do not have it yet"));
}

function deviceTable(devices) {
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Devices of the roll-out" }, h("table", { class: "runs" },
    h("thead", {}, h("tr", {}, ["Device", "Stage", "State", "Accuracy: before → after", "Said"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, devices.map((one) => {
      const [words, tone] = DEVICES[one.state] ?? [one.state, ""];
      return h("tr", {}, h("th", { scope: "row" }, one.device), h("td", {}, one.stage), h("td", {}, h("span", { class: `badge ${tone}` }, words)),
        h("td", {}, one.after === null ? "–" : `${percent(one.before)} → ${percent(one.after)} of ${count(one.labelled)}`), h("td", {}, one.detail));
    }))));
}
