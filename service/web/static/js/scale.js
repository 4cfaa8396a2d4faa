// From values to pixels, and round numbers for axes.

export function linear(from, to, low, high) {
  const span = to - from || 1;
  return (value) => low + ((value - from) / span) * (high - low);
}

export function ticks(from, to, about) {
  const step = niceStep((to - from) / Math.max(1, about));
  const out = [];
  for (let value = Math.ceil(from / step) * step; value <= to + step * 1e-6; value += step) out.push(value);
  return out;
}

function niceStep(raw) {
  if (!(raw > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const lead = raw / power;
  return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power;
}

// At most about one point a pixel; first and last are kept.
export function thin(list, most) {
  if (list.length <= most) return list;
  const step = (list.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, index) => list[Math.round(index * step)]);
}

// "M…L…" through the points that have a value; a missing value breaks the line.
export function path(list, x, y) {
  let out = "";
  let pen = "M";
  for (const point of list) {
    const value = y(point);
    if (value === null) { pen = "M"; continue; }
    out += `${pen}${x(point).toFixed(1)},${value.toFixed(1)}`;
    pen = "L";
  }
  return out;
}
