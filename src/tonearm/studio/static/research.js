// Research: additional steers by vector, operator, layers, branch and a schedule drawn by hand; and the
// dose-response of a knob.

import { element, fitted, colour, signed, svg } from "./dom.js";
import { unitSymbol } from "./knobs.js";
import { showNotice } from "./notice.js";

const SCHEDULE_SECONDS = 20;
const POINTS = 41; // of a drawn schedule

/** "0, 2-4" as [0, 2, 3, 4]; null for an empty text; throws for anything else. */
export function parseLayers(text, count) {
  if (!text.trim()) return null;
  const layers = new Set();
  for (const part of text.split(",")) {
    const match = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(part);
    if (!match) throw new Error(`“${part.trim()}” is not a layer; write for example 0, 2-4`);
    const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (last < first || last >= count) throw new Error(`layers are 0 to ${count - 1}`);
    for (let layer = first; layer <= last; layer++) layers.add(layer);
  }
  return [...layers].sort((a, b) => a - b);
}

/** The strength of a steer; another client may have given an amount or a target in its place. */
function force({ strength, amount, target, unit }) {
  if (amount != null) return `amount ${signed(amount, 3)}`;
  if (target != null) return `target ${signed(target, 3)} ${unitSymbol(unit ?? "")}`.trim();
  return signed(strength, 3);
}

class ScheduleCanvas {
  constructor() {
    this.values = new Float32Array(POINTS).fill(1);
    this.canvas = element("canvas", { class: "draw", role: "img", "aria-label": `Schedule over ${SCHEDULE_SECONDS} seconds; the text field beside it has the same content` });
    this.text = element("input", { type: "text", class: "wide", placeholder: "0:0, 4:1, 12:0.5", "aria-label": "Schedule as seconds:factor pairs", oninput: () => (this.last = null), onchange: () => this.#read() });
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.#stroke(event);
    });
    this.canvas.addEventListener("pointermove", (event) => this.canvas.hasPointerCapture(event.pointerId) && this.#stroke(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  #stroke({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const index = Math.round(((clientX - left) / width) * (POINTS - 1));
    if (index < 0 || index >= POINTS) return;
    const value = Math.max(0, Math.min(1, 1 - (clientY - top) / height));
    const from = this.last == null || Math.abs(this.last - index) > 6 ? index : this.last;
    for (let i = Math.min(from, index); i <= Math.max(from, index); i++) this.values[i] = value;
    this.last = index;
    this.text.value = this.points.map(([seconds, factor]) => `${seconds}:${factor}`).join(", ");
    this.draw();
  }

  #read() {
    let points = null;
    try {
      points = this.points;
    } catch { /* Add says why */ }
    for (let i = 0; i < POINTS && points; i++) {
      const seconds = (i / (POINTS - 1)) * SCHEDULE_SECONDS;
      const after = points.findIndex(([time]) => time >= seconds);
      const [b, a] = after < 0 ? [points.at(-1), points.at(-1)] : [points[after], points[Math.max(0, after - 1)]];
      this.values[i] = b[0] === a[0] ? b[1] : a[1] + ((seconds - a[0]) / (b[0] - a[0])) * (b[1] - a[1]);
    }
    this.draw();
  }

  /** [[seconds, factor], ...]; null where nothing is drawn or written. */
  get points() {
    if (this.last != null) {
      return Array.from(this.values, (value, i) => [+((i / (POINTS - 1)) * SCHEDULE_SECONDS).toFixed(2), +value.toFixed(2)]).filter(
        ([, value], i, all) => i === 0 || i === all.length - 1 || value !== all[i - 1][1] || value !== all[i + 1][1]);
    }
    if (!this.text.value.trim()) return null;
    return this.text.value.split(",").map((pair) => {
      const [seconds, factor] = pair.split(":").map(Number);
      if (!Number.isFinite(seconds) || !Number.isFinite(factor)) throw new Error(`“${pair.trim()}” is not a seconds:factor pair`);
      return [seconds, factor];
    });
  }

  clear() {
    this.last = null;
    this.text.value = "";
    this.values.fill(1);
    this.draw();
  }

  draw() {
    const { context, width, height } = fitted(this.canvas);
    context.clearRect(0, 0, width, height);
    context.fillStyle = colour("--line");
    for (let seconds = 5; seconds < SCHEDULE_SECONDS; seconds += 5) {
      context.fillRect(Math.round((seconds / SCHEDULE_SECONDS) * width), 0, 1, height);
    }
    context.beginPath();
    this.values.forEach((value, i) => {
      const [x, y] = [(i / (POINTS - 1)) * width, 2 + (1 - value) * (height - 4)];
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.strokeStyle = colour("--accent");
    context.lineWidth = 2;
    context.stroke();
  }
}

export class Research {
  /** @param request sends a command; @param resume lets the page sound */
  constructor(box, manifest, rows, request, resume) {
    Object.assign(this, { manifest, rows, request, resume, steers: [], shown: "[]", isEdited: false });
    const select = (options, attributes = {}) => element("select", attributes, ...options.map((name) => element("option", { value: name }, name)));
    const field = (label, input, note) => element("label", { class: "stack" }, label, input, note ? element("small", { class: "quiet" }, note) : null);
    this.vector = select(manifest.vectors.map(({ name }) => name), { onchange: () => this.#describe() });
    this.operator = select(manifest.operators);
    this.strategy = select(["one-to-all", "all-to-all", "one-to-one"]);
    this.branch = select(["both", "conditional", "unconditional"]);
    this.strength = element("input", { type: "number", step: "any", value: "0.1" });
    this.level = element("input", { type: "number", step: "any", placeholder: "for set" });
    this.layers = element("input", { type: "text", placeholder: `all (0-${manifest.model.layer_count - 1})` });
    this.note = element("p", { class: "quiet small" });
    this.schedule = new ScheduleCanvas();
    this.list = element("ol", { class: "steers" });
    this.dose = element("div", { class: "dose" });
    this.doseKnob = select(manifest.knobs.map(({ name }) => name), { onchange: () => this.drawDose() });
    box.replaceChildren(
      element("div", { class: "research-columns" },
        element("div", { hidden: !manifest.vectors.length },
          element("h3", {}, "Additional vectors"),
          element("div", { class: "form-grid" },
            field("Vector", this.vector), field("Operator", this.operator), field("Strength", this.strength), field("Level", this.level),
            field("Strategy", this.strategy), field("Layers", this.layers), field("Guidance branch", this.branch)),
          this.note,
          element("p", { class: "small" }, `Schedule, drawn by hand: factor 0 to 1 over the first ${SCHEDULE_SECONDS} s of the new music`),
          this.schedule.canvas, element("div", { class: "joined" }, this.schedule.text, element("button", { type: "button", onclick: () => this.schedule.clear() }, "Clear")),
          element("p", { class: "buttons" },
            element("button", { type: "button", onclick: () => this.#add() }, "Add"),
            element("button", { type: "button", class: "primary", onclick: () => this.#apply("fork") }, "Fork with these"),
            element("button", { type: "button", onclick: () => this.#apply("play") }, "Play with these")),
          this.list),
        element("div", { hidden: !manifest.knobs.length }, element("h3", {}, "Dose-response"), field("Knob", this.doseKnob), this.dose,
          element("p", { class: "quiet small" }, manifest.tick_protocol + ". The band is the 95 % interval over prompts.")),
        manifest.vectors.length ? "" : element("p", { class: "quiet" }, "This checkpoint has no vectors.")));
    this.#describe();
    this.drawDose();
  }

  #describe() {
    const vector = this.manifest.vectors.find(({ name }) => name === this.vector.value);
    if (!vector) return; // a checkpoint without vectors
    const { site, layers, best_layer: best, words } = vector;
    this.note.textContent = `${words[1]} ↔ ${words[0]}; ${site}, ${layers.length} layers${best == null ? "" : `, best layer ${best}`}`;
  }

  #add() {
    try {
      const steer = { vector: this.vector.value, operator: this.operator.value, strength: Number(this.strength.value), strategy: this.strategy.value, branch: this.branch.value };
      if (!Number.isFinite(steer.strength)) throw new Error("the strength is not a number");
      if (this.level.value) steer.level = Number(this.level.value);
      const layers = parseLayers(this.layers.value, this.manifest.model.layer_count);
      if (layers) steer.layers = layers;
      const points = this.schedule.points;
      if (points) steer.schedule = { points };
      this.steers.push(steer);
      this.isEdited = true;
      this.#list();
    } catch (error) {
      showNotice(error.message, "error");
    }
  }

  #list() {
    this.list.replaceChildren(...this.steers.map((steer, index) =>
      element("li", {}, element("code", {}, `${steer.vector} ${steer.operator} ${force(steer)}, ${steer.strategy}${steer.layers ? `, layers ${steer.layers.join(" ")}` : ""}${steer.schedule ? ", drawn" : ""}`),
        element("button", { type: "button", "aria-label": `Remove ${steer.vector}`, onclick: () => this.#remove(index) }, "Remove"))));
  }

  /** List the steers of the session, which another client or this page before a reload has chosen; edits of the list stay. */
  show(steers) {
    const key = JSON.stringify(steers);
    if (key === this.shown || this.isEdited) return;
    this.shown = key;
    this.steers = [...steers];
    this.#list();
  }

  /** Remove a steer; the focus goes to its neighbour. */
  #remove(index) {
    this.steers.splice(index, 1);
    this.isEdited = true;
    this.#list();
    const left = this.list.querySelectorAll("button");
    (left[Math.min(index, left.length - 1)] ?? this.vector).focus();
  }

  async #apply(command) {
    this.resume();
    try {
      await this.request("research", { steers: this.steers });
      this.isEdited = false;
      await this.request(command);
      showNotice(`${command === "fork" ? "forked" : "playing"} with ${this.steers.length} additional vector${this.steers.length === 1 ? "" : "s"}`);
    } catch (error) {
      showNotice(error.message, "error");
    }
  }

  /** Draw again in the colours of another scheme. */
  redraw() {
    this.schedule.draw();
  }

  drawDose() {
    const knob = this.manifest.knobs.find(({ name }) => name === this.doseKnob.value);
    if (!knob) return;
    const points = [...knob.negative.response.map((one) => ({ ...one, amount: -one.amount })).reverse(), ...knob.positive.response];
    if (!points.length) {
      this.dose.replaceChildren(element("p", { class: "quiet" }, "This knob has no table."));
      return;
    }
    const [width, height, left, bottom] = [420, 220, 52, 28];
    const low = Math.min(0, ...points.map((one) => one.low));
    const high = Math.max(0, ...points.map((one) => one.high));
    const first = points[0].amount;
    const last = points.at(-1).amount;
    const x = (amount) => left + ((amount - first) / (last - first || 1)) * (width - left - 10);
    const y = (effect) => 10 + ((high - effect) / (high - low || 1)) * (height - bottom - 10);
    const line = (key) => points.map((one) => `${x(one.amount).toFixed(1)} ${y(one[key]).toFixed(1)}`);
    const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${knob.name}: effect over amount, ${points.map((one) => `${one.amount}: ${one.effect.toFixed(2)}`).join("; ")} ${knob.unit}` });
    const text = (content, place, anchor = "middle") => {
      const made = svg("text", { ...place, "text-anchor": anchor });
      made.textContent = content;
      return made;
    };
    chart.append(
      svg("path", { class: "band", d: `M${line("high").join("L")}L${line("low").reverse().join("L")}Z` }),
      svg("path", { class: "axis", d: `M${left} ${y(0)}H${width - 10}M${x(0)} 10V${height - bottom}` }),
      svg("path", { class: "curve", d: `M${line("effect").join("L")}` }),
      text(signed(high, knob.decimals), { x: left - 6, y: y(high) + 10 }, "end"), text(signed(low, knob.decimals), { x: left - 6, y: y(low) }, "end"),
      text(`amount ${signed(first, 0)}`, { x: x(first), y: height - 8 }, "start"), text(`amount ${signed(last, 0)}`, { x: x(last), y: height - 8 }, "end"),
      text(`0 ${unitSymbol(knob.unit)}`.trim(), { x: left - 6, y: y(0) + 4 }, "end"));
    const row = this.rows.get(knob.name);
    if (row) {
      const sign = row.value >= 0 ? knob.positive : knob.negative;
      const amount = Math.sign(row.value) * (sign.response.find((one) => Math.abs(one.effect) >= Math.abs(row.value))?.amount ?? 0);
      chart.append(svg("circle", { class: "here", cx: x(Math.max(first, Math.min(last, amount))), cy: y(row.value), r: 5 }));
    }
    this.dose.replaceChildren(chart);
  }
}
