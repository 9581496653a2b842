// Small live charts of the last minutes, drawn as SVG.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 150, LEFT = 40, BOTTOM = 20, TOP = 8;

const draw = (tag, attributes, text) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

/** The least number of at least this value that is 1, 2 or 5 times a power of ten. */
const roundUp = (value) => {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => power * step >= value * 0.9999);
};

export const short = (value) => {
  if (value >= 1e6) return `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)}k`;
  return value < 10 && value % 1 ? value.toFixed(1) : String(Math.round(value));
};

/**
 * - series: [{ label, color, values }]; values as many as `times`, oldest first; null where unknown.
 * - options: span (seconds shown), stacked.
 */
export const chart = (place, times, series, { span, stacked = false, label }) => {
  const width = Math.max(place.clientWidth, 200);
  const now = times.at(-1) ?? 0;
  const x = (time) => LEFT + (width - LEFT) * (1 - (now - time) / span);
  const tops = times.map((_, at) => series.reduce((sum, { values }) => (stacked ? sum + (values[at] ?? 0) : Math.max(sum, values[at] ?? 0)), 0));
  const top = roundUp(Math.max(1, ...tops));
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label });

  for (const part of [0, 0.5, 1]) {
    const at = Math.round(y(top * part)) + 0.5;
    svg.append(draw("line", { class: "grid", x1: LEFT, x2: width, y1: at, y2: at }));
    if (part !== 0.5 || top > 1) svg.append(draw("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, short(top * part)));
  }
  const step = width < 420 ? 2 : 1;
  for (let minutes = 0; minutes * 60 < span; minutes += step) {
    const anchor = minutes ? "middle" : "end";
    svg.append(draw("text", { x: x(now - minutes * 60), y: HEIGHT - 4, "text-anchor": anchor }, minutes ? `−${minutes} min` : "now"));
  }

  // Draws runs of known values; unknown values leave a gap.
  let base = times.map(() => 0);
  for (const { color, values } of series) {
    const upper = values.map((value, at) => (value === null ? null : stacked ? base[at] + value : value));
    let run = [];
    const flush = () => {
      if (run.length > 1) {
        const along = run.map((at) => `${x(times[at]).toFixed(1)},${y(upper[at]).toFixed(1)}`);
        const back = run.toReversed?.() ?? [...run].reverse();
        const below = back.map((at) => `${x(times[at]).toFixed(1)},${y(stacked ? base[at] : 0).toFixed(1)}`);
        const area = draw("polygon", { class: stacked ? "stacked" : "area", points: [...along, ...below].join(" ") });
        area.style.fill = color;
        svg.append(area);
        if (!stacked) {
          const line = draw("polyline", { class: "line", points: along.join(" ") });
          line.style.stroke = color;
          svg.append(line);
        }
      }
      run = [];
    };
    upper.forEach((value, at) => (value === null || now - times[at] > span ? flush() : run.push(at)));
    flush();
    if (stacked) base = upper.map((value, at) => value ?? base[at]);
  }
  place.replaceChildren(svg);
};
