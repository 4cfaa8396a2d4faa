// What happened, in plain words.

import { bytes, count, figure, percent } from "./format.js";

const PARTS = { full: "the whole network", "last-layer": "the last layer", "norm-only": "the normalisation", "bias-only": "the biases" };
const TRIGGERS = { drift: "because the signal had changed", command: "because somebody asked for it", calibration: "to get to know the wearer" };
const STATES = {
  starting: ["Starting", ""], calibrating: ["Getting to know the wearer", "busy"], online: ["Online", "good"],
  adapting: ["Fine-tuning on the device", "busy"], wearable_lost: ["Wearable not reachable", "bad"],
  finished: ["Finished", ""], offline: ["Offline", ""],
};
export const FAULTS = {
  flat_line: "An electrode gives a flat line", saturation: "The amplifier is saturated", not_finite: "Values are not numbers",
  mains_hum: "Mains hum", windows_lost: "Windows were lost", wearable_lost: "The wearable is not reachable",
  disconnected: "An electrode is off", electrode_pop: "An electrode jumps", swapped_electrodes: "Two electrodes are exchanged",
  clock_gap: "The clock jumps, or nothing came for a long time",
  link_corrupt: "The link delivers damaged frames", disk_full: "The disk is full",
  source_silent: "The source gives no samples",
};

export const part = (mode) => PARTS[mode] ?? mode;

// A device that is well sends a heartbeat every few seconds.
const SILENT_AFTER_S = 60;

// [words, tone]
export function stateWords(state, online, lastSeen) {
  const silence = (Date.now() - new Date(lastSeen)) / 1000;
  if (online && silence > SILENT_AFTER_S) return ["Silent", "drift"];
  if (!state) return online ? ["Online", "good"] : ["Unknown", ""];
  if (!online && !["finished", "offline"].includes(state.state)) return ["Not connected", "bad"];
  return STATES[state.state] ?? [state.state, ""];
}

// "battery 42 %, charging, 31 °C"; null where the wearable does not tell.
export function batteryWords(wearable) {
  if (wearable?.battery === null || wearable?.battery === undefined) return null;
  const more = [wearable.charging && "charging", wearable.temperature_c != null && `${Math.round(wearable.temperature_c)} °C`];
  return [`battery ${percent(wearable.battery)}`, ...more.filter(Boolean)].join(", ");
}

// { tone, sign, title, text, window, time } of one event; null for what is not worth a line.
export function happening({ kind, message }) {
  const base = { window: message.window ?? null, time: message.time };
  if (kind === "drift") {
    const fired = message.evidence.find((one) => one.fired) ?? message.evidence[0];
    let text = `${fired.detector}, watching the ${fired.watches}, passed its threshold (${figure(fired.statistic)} against ${figure(fired.threshold)}).`;
    if (message.accuracy_reference != null && message.accuracy_recent != null)
      text += ` Accuracy fell from ${percent(message.accuracy_reference)} to ${percent(message.accuracy_recent)}.`;
    text += ` It seems to have begun at window ${count(message.since_window)}.`;
    return { ...base, tone: "drift", sign: "!", title: "The signal changed here", text };
  }
  if (kind === "adaptation") return adaptationWords(base, message);
  if (kind === "fault") {
    const title = FAULTS[message.fault] ?? message.fault;
    const where = message.channels?.length ? ` Channels: ${message.channels.join(", ")}.` : "";
    return message.active
      ? { ...base, tone: "bad", sign: "×", title, text: `${message.detail ? `${capital(message.detail)}.` : ""}${where} Such windows are marked and never trained on.`.trim() }
      : { ...base, tone: "good", sign: "✓", title: `Passed: ${title.toLowerCase()}`, text: "" };
  }
  if (kind === "state") {
    if (message.seq === 0) return { ...base, tone: "bad", sign: "×", title: "The device vanished without a good-bye", text: "What it has not yet sent, it keeps." };
    const [title] = stateWords(message, true);
    return { ...base, tone: "", sign: "·", title, text: message.detail ?? "" };
  }
  return null;
}

function adaptationWords(base, message) {
  const network = part(message.mode);
  if (message.phase === "started")
    return { ...base, tone: "busy", sign: "▸", title: "Fine-tuning began on the device",
      text: `${capital(network)}, on ${count(message.train_windows ?? 0)} labelled windows, ${TRIGGERS[message.trigger] ?? ""}. The stream goes on meanwhile.` };
  if (message.phase === "committed") {
    const memory = message.memory ? ` in ${bytes(message.memory.total_bytes)}` : "";
    return { ...base, tone: "good", sign: "✓", title: "The new weights are in use",
      text: `${capital(network)} was fine-tuned on the device${memory}. ${guardWords(message.guard)}` };
  }
  if (message.phase === "rolled_back")
    return { ...base, tone: "bad", sign: "↩", title: "Rolled back: the weights from before go on",
      text: message.reason ? `${capital(message.reason)}.` : `${guardWords(message.guard)} The device went back, byte for byte.` };
  if (message.phase === "failed")
    return { ...base, tone: "bad", sign: "×", title: "Fine-tuning failed", text: message.reason ?? "" };
  return null;
}

function guardWords(guard) {
  if (!guard || !guard.held_out) return "";
  return `On ${count(guard.held_out)} windows kept aside it got ${count(guard.after_correct)} right, ${count(guard.before_correct)} before.`;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// What a wearable lets in, and what it has refused: "only signed plans, 2 refused"; null where it does not tell.
export function trustWords(wearable) {
  const said = { signed: "only signed plans", development: "any plan (no keys)", lost: "keys lost: takes nothing" }[wearable?.trust];
  if (!said) return null;
  const refused = ["plans", "weights", "keys", "banks"].reduce((sum, what) => sum + (wearable[`${what}_refused`] ?? 0), 0);
  return refused ? `${said}, ${refused} refused` : said;
}
