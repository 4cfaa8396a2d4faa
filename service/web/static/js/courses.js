// After an alert, short fits follow each other by the hundred: drawn one by one they would hide the lines behind them.

// With fewer fits than this close together, each is drawn for itself.
export const MANY = 6;

const from = (one) => (one.started ?? one.ended ?? one.progress).window;
const to = (one) => one.ended?.window ?? null;

// Adaptations in stretches with less than `nearness` windows between one and the next:
// { from, to (null while one is running), members, committed, others, many }.
export function courses(adaptations, nearness) {
  const out = [];
  for (const one of adaptations) {
    let course = out.at(-1);
    if (!course || (course.to !== null && from(one) - course.to > nearness)) {
      course = { from: from(one), to: from(one), members: [], committed: 0, others: 0 };
      out.push(course);
    }
    course.to = to(one) === null ? null : Math.max(course.to ?? 0, to(one));
    course.members.push(one);
    if (one.ended) course[one.ended.phase === "committed" ? "committed" : "others"] += 1;
  }
  for (const course of out) course.many = course.members.length >= MANY;
  return out;
}
