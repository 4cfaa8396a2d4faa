// Adapt now, roll back, and what the device said to it.

import * as api from "./api.js";
import { h } from "./dom.js";
import { time } from "./format.js";

const NAMES = { adapt: "Adapt now", roll_back: "Roll back", ping: "Ping", push_plan: "Push a plan" };
const STATUS = {
  created: ["on its way", ""], sent: ["sent, waiting for the device", "busy"], not_sent: ["not sent: no broker", "bad"],
  no_reply: ["no reply in time", "bad"], accepted: ["accepted, working on it", "busy"], done: ["done", "good"],
  refused: ["refused", "drift"], failed: ["failed", "bad"],
};
// A second press within this time confirms.
const CONFIRM_MS = 4000;

export class Controls {
  constructor(site, device) {
    this.site = site;
    this.device = device;
    this.adapt = h("button", { class: "primary", type: "button", onclick: () => this.send("adapt") }, "Adapt now");
    this.back = h("button", { type: "button", onclick: () => this.confirmBack() }, "Roll back");
    this.pause = h("button", { type: "button", onclick: () => this.setPaused() }, "Pause");
    this.step = h("p", { class: "hint" });
    this.message = h("p", { class: "hint", role: "status" });
    this.list = h("ul", { class: "list", "aria-label": "Commands and replies" });
    this.element = h("section", { class: "card", "aria-label": "Commands" },
      h("h2", {}, "Commands"),
      h("div", { class: "buttons" }, this.adapt, this.back, this.pause),
      h("p", { class: "hint" }, "Adapt now fine-tunes on the device with its newest labelled windows. Roll back returns to the weights from before the last commit, byte for byte."),
      this.planForm(), this.step, this.message, this.list);
  }

  planForm() {
    this.plan = h("select", { id: "push-plan", "aria-label": "Plan to push" });
    this.push = h("button", { type: "button", class: "small", onclick: () => this.pushPlan() }, "Push this plan");
    this.runs = h("p", { class: "hint" });
    return h("details", { ontoggle: () => this.fillPlans() }, h("summary", {}, "Push a plan"), this.runs, h("div", { class: "row-buttons" }, this.plan, this.push));
  }

  async fillPlans() {
    const chosen = this.plan.value;
    const { items } = await api.plans();
    this.plan.replaceChildren(...items.map((one) => h("option", { value: one.id, selected: String(one.id) === chosen }, `${one.name} (${one.model})`)), h("option", { value: "back" }, "the plan from before"));
  }

  async pushPlan() {
    const body = this.plan.value === "back" ? { back: true } : { plan: Number(this.plan.value) };
    this.push.disabled = true;
    this.message.className = "hint";
    this.message.textContent = "";
    try {
      await api.pushPlan(this.site, this.device, body);
    } catch (error) {
      this.message.className = "hint bad";
      this.message.textContent = error.message;
    }
    this.push.disabled = false;
    await this.refresh();
  }

  // Kept for the device: one that is away finds it when it comes back.
  async setPaused() {
    try {
      const { version, settings } = this.wanted;
      this.showDesired(await api.setDesired(this.site, this.device, version, { ...settings, paused: !settings.paused }));
    } catch (error) {
      this.message.className = "hint bad";
      this.message.textContent = error.message;
      await this.refresh();
    }
  }

  showDesired(wanted) {
    this.wanted = wanted;
    const plan = wanted.reported?.plan;
    this.runs.textContent = plan?.plan_hash ? `Plan ${plan.plan_hash.slice(0, 12)} runs with weights version ${plan.weights_version}.${plan.step !== "running" && plan.detail ? ` ${plan.detail}` : ""}` : "The device has not told which plan runs.";
    this.pause.textContent = wanted.settings.paused ? "Resume" : "Pause";
    this.step.textContent = wanted.settings.paused
      ? `Paused: no adaptation begins by itself.${wanted.in_step ? "" : " The device has not confirmed it yet."}`
      : wanted.in_step ? "" : "The device has not confirmed its newest settings yet.";
    clearTimeout(this.stepTimer);
    if (!wanted.in_step) this.stepTimer = setTimeout(() => this.refresh().catch(() => {}), 2000);
  }

  async send(verb) {
    this.adapt.disabled = this.back.disabled = true;
    this.message.className = "hint";
    this.message.textContent = "";
    try {
      await api.command(this.site, this.device, verb);
    } catch (error) {
      this.message.className = "hint bad";
      this.message.textContent = error.message;
    }
    this.adapt.disabled = this.back.disabled = false;
    await this.refresh();
  }

  confirmBack() {
    if (this.armed) {
      this.disarm();
      this.send("roll_back");
      return;
    }
    this.back.textContent = "Really roll back?";
    this.back.classList.add("warn");
    this.armed = setTimeout(() => this.disarm(), CONFIRM_MS);
  }

  disarm() {
    clearTimeout(this.armed);
    this.armed = null;
    this.back.textContent = "Roll back";
    this.back.classList.remove("warn");
  }

  async refresh() {
    const [{ items }, wanted] = await Promise.all([api.commands(this.site, this.device), api.desired(this.site, this.device)]);
    this.showDesired(wanted);
    this.list.replaceChildren(...items.map((item) => {
      const [words, tone] = STATUS[item.status] ?? [item.status, ""];
      return h("li", {},
        h("div", {}, h("strong", {}, NAMES[item.verb] ?? item.verb), " ", h("span", { class: `badge ${tone}` }, words)),
        item.detail ? h("p", { class: "text" }, item.detail) : null,
        h("span", { class: "when" }, time(item.time)));
    }));
    // One that is still open may run out of time without a word.
    clearTimeout(this.timer);
    if (items.some((item) => ["created", "sent"].includes(item.status))) this.timer = setTimeout(() => this.refresh(), 5000);
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.stepTimer);
    clearTimeout(this.armed);
  }
}
