// What is known of one device: its messages in the order in which it made them, and what follows from them.

// Labelled windows in one point of an accuracy line.
export const MEAN_OF = 50;

const before = (a, b) => a.message.boot - b.message.boot || a.message.seq - b.message.seq;

export class DeviceModel {
  constructor(site, device) {
    this.site = site;
    this.device = device;
    this.telemetry = [];
    this.events = [];
    this.state = null;
    this.health = null;
    this.seen = new Set();
  }

  // False for one that is already here: the stream may repeat what was fetched.
  add(kind, message) {
    const key = `${message.boot}.${message.seq}`;
    if (this.seen.has(key)) return false;
    this.seen.add(key);
    if (kind === "telemetry") insert(this.telemetry, { kind, message });
    else if (["drift", "adaptation", "fault", "state"].includes(kind)) insert(this.events, { kind, message });
    if (kind === "state" && message.seq > 0 && (!this.state || newer(message, this.state))) this.state = message;
    if (kind === "health" && (!this.health || newer(message, this.health))) this.health = message;
    return true;
  }

  // A run is a stretch of window numbers that only grow; a stream that begins again begins a new run.
  runs() {
    const runs = [];
    let run = null;
    let reached = -1;
    for (const { message } of this.telemetry) {
      if (!message.windows) continue;
      if (run === null || message.last_window < reached) {
        run = { from: message, rows: [], events: [] };
        runs.push(run);
      }
      run.rows.push(message);
      reached = message.last_window;
    }
    if (runs.length === 0) return [{ from: null, rows: [], events: this.events }];
    for (const event of this.events) {
      const first = { message: event.message };
      let home = runs[0];
      for (const candidate of runs) if (candidate === runs[0] || before({ message: candidate.from }, first) <= 0) home = candidate;
      home.events.push(event);
    }
    return runs;
  }
}

function newer(a, b) {
  return a.boot > b.boot || (a.boot === b.boot && a.seq > b.seq);
}

function insert(list, item) {
  let place = list.length;
  while (place > 0 && before(list[place - 1], item) > 0) place -= 1;
  list.splice(place, 0, item);
}

// Points of the chart: accuracy as the mean of the last MEAN_OF labelled windows, of both models on the same windows.
export function points(rows) {
  const out = [];
  const recent = [];
  let labelled = 0, correct = 0, compared = 0, frozen = 0;
  for (const row of rows) {
    recent.push(row);
    labelled += row.labelled; correct += row.correct;
    if (row.frozen_correct !== undefined && row.frozen_correct !== null) { compared += row.labelled; frozen += row.frozen_correct; }
    while (recent.length > 1 && labelled - recent[0].labelled >= MEAN_OF) {
      const old = recent.shift();
      labelled -= old.labelled; correct -= old.correct;
      if (old.frozen_correct !== undefined && old.frozen_correct !== null) { compared -= old.labelled; frozen -= old.frozen_correct; }
    }
    out.push({
      window: row.last_window,
      time: row.time,
      version: row.weights_version,
      accuracy: labelled ? correct / labelled : null,
      frozen: compared ? frozen / compared : null,
      raw: row.labelled ? row.correct / row.labelled : null,
      statistic: row.drift_statistic ?? null,
      threshold: row.drift_threshold ?? null,
      dropped: row.windows_dropped,
      faulty: row.windows_faulty ?? 0,
    });
  }
  return out;
}

// Adaptations of a run, each with its beginning and its end.
export function adaptations(events) {
  const byId = new Map();
  for (const { kind, message } of events) {
    if (kind !== "adaptation") continue;
    const one = byId.get(message.adaptation_id) ?? { id: message.adaptation_id, started: null, progress: null, ended: null };
    if (message.phase === "started") one.started = message;
    else if (message.phase === "progress") one.progress = message;
    else one.ended = message;
    byId.set(message.adaptation_id, one);
  }
  return [...byId.values()];
}

// Stretches of windows with a sensor fault: { from, to (null while it lasts), fault }.
export function faultSpans(events) {
  const spans = [];
  for (const { kind, message } of events) {
    if (kind !== "fault") continue;
    const open = spans.find((span) => span.to === null && span.fault === message.fault);
    if (message.active && !open) spans.push({ from: message.window, to: null, fault: message.fault });
    else if (!message.active && open) open.to = message.window;
  }
  return spans;
}
