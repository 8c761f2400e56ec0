// Knobs: native sliders, zero in the middle, each side scaled to the range of its sign.

import { element, find, signed, svg } from "./dom.js";

const STEP = 0.01; // of a side
const FINE = 0.002;
const NEEDLE_DEVIATIONS = 4; // from the mean to the end of the scale
const WORDS = {
  st: ["semitone", "semitones"],
  lu: ["loudness unit", "loudness units"],
  "%": ["per cent", "per cent"],
  db: ["decibel", "decibels"],
  onsets: ["onset per second", "onsets per second"],
  points: ["percentage point", "percentage points"],
};
const SYMBOLS = { lu: "LU", db: "dB", onsets: "onsets/s", points: "points" };

export const unitSymbol = (unit) => SYMBOLS[unit] ?? unit;

/** Value in the knob's unit at a position from -1 to 1; 0 on the side of a sign that failed, whose limit is 0. */
export const valueAt = (knob, position) =>
  position >= 0 ? position * knob.positive.limit : -position * knob.negative.limit;

/** The position of a value. */
export function positionOf(knob, value) {
  const limit = value >= 0 ? knob.positive.limit : -knob.negative.limit;
  return limit ? Math.max(-1, Math.min(1, value / limit)) : 0;
}

export function shown(knob, value) {
  return `${signed(value, knob.decimals)} ${unitSymbol(knob.unit)}`.trim();
}

function spoken(knob, value) {
  if (Math.abs(value) < 10 ** -knob.decimals / 2) return "zero, no steering by this knob";
  const side = value > 0 ? knob.positive : knob.negative;
  const [one, many] = WORDS[knob.unit] ?? [unitSymbol(knob.unit), unitSymbol(knob.unit)];
  const size = Math.abs(value).toFixed(knob.decimals);
  const beyond = side.tick != null && Math.abs(value) > Math.abs(side.tick) ? ", beyond the quality tick" : "";
  return `${value > 0 ? "plus" : "minus"} ${size} ${Number(size) === 1 ? one : many}, towards ${side.word}${beyond}`;
}

export class KnobRow {
  /** @param onchange called with (knob, value) when a person moves it */
  constructor(knob, onchange) {
    this.knob = knob;
    this.onchange = onchange;
    this.held = false;
    const id = `knob-${knob.name}`;
    const release = () => (this.held = false);
    this.input = element("input", {
      type: "range", id, min: -1, max: 1, step: "any", value: 0, class: "slider", "data-knob": knob.name,
      "aria-describedby": `${id}-help`,
      oninput: () => this.#moved(Number(this.input.value)),
      onkeydown: (event) => this.#key(event),
      ondblclick: () => this.#moved(0),
      onpointerdown: ({ button }) => {
        this.held = button === 0;
        this.input.focus({ preventScroll: true }); // which Safari leaves out, and by which a drag is kept
      },
      onpointerup: release,
      onpointercancel: release,
      onlostpointercapture: release,
      onblur: release,
    });
    this.number = element("kbd", { "aria-hidden": "true" });
    this.shown = element("span", { class: "value", "aria-hidden": "true" }); // the slider says it
    const side = (sign) =>
      element("span", { class: `word${sign.passes ? "" : " failed"}`, title: sign.passes ? sign.costs : `failed calibration: ${sign.reason}` },
        sign.word, sign.passes ? null : element("small", {}, " failed calibration"));
    this.needles = ["a", "b"].map((stream) => element("i", { class: `needle ${stream}` }));
    this.needleText = element("span", { class: "quiet small" });
    this.needle = element("div", { class: "needles", hidden: true },
      element("span", { class: "quiet small" }, "projection"),
      element("div", { class: "scale", "aria-hidden": "true" }, ...this.needles),
      this.needleText);
    this.row = element("div", { class: "knob" },
      element("div", { class: "knob-head" },
        element("label", { for: id, class: "knob-name" }, this.number, knob.name),
        this.shown),
      element("div", { class: "track" }, this.input, this.#ticks()),
      element("div", { class: "words" }, side(knob.negative), element("span", { class: "range quiet" }, this.#range()), side(knob.positive)),
      this.needle,
      element("p", { id: `${id}-help`, class: "hidden" }, this.#help()));
    this.show(0);
  }

  /** Show the key that selects the knob. */
  showNumber(number) {
    this.number.textContent = String(number);
  }

  #range() {
    const { knob } = this;
    return `${shown(knob, knob.negative.limit)} to ${shown(knob, knob.positive.limit)}`;
  }

  #help() {
    const part = (sign) => (sign.passes ? `towards ${sign.word}: ${sign.costs || "no costs measured"}` : `towards ${sign.word}: failed calibration, ${sign.reason}`);
    return `${this.knob.measure || "amount"}. ${part(this.knob.positive)}. ${part(this.knob.negative)}.`;
  }

  #ticks() {
    const marks = svg("svg", { class: "ticks", "aria-hidden": "true" });
    const place = (position) => `${50 + 50 * position}%`;
    marks.append(svg("line", { x1: "50%", x2: "50%", y1: 0, y2: 6, class: "zero" }));
    for (const sign of [this.knob.positive, this.knob.negative]) {
      if (sign.tick == null) continue;
      const mark = svg("svg", { x: place(positionOf(this.knob, sign.tick)), overflow: "visible" });
      mark.append(svg("path", { d: "M-4.5 9 0 1.5l4.5 7.5z", class: `tick${sign.hollow ? " hollow" : ""}` }));
      marks.append(mark);
    }
    return marks;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // those of the browser
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    const position = Number(this.input.value);
    if (event.key in steps) this.#moved(position + steps[event.key] * (event.shiftKey ? FINE : STEP));
    else if (event.key === "Home") this.#moved(-1);
    else if (event.key === "End") this.#moved(1);
    else if (event.key === "0" || event.key === "Delete") this.#moved(0);
    else return;
    event.preventDefault();
  }

  #moved(position) {
    const { knob } = this;
    const value = valueAt(knob, Math.max(-1, Math.min(1, position)));
    this.show(value);
    this.onchange(knob, value);
  }

  /** Set the value, unless the knob waits for the next performance. */
  set(value) {
    if (this.input.disabled) return;
    this.show(value);
    this.onchange(this.knob, value);
  }

  show(value) {
    this.value = value;
    const position = positionOf(this.knob, value);
    this.input.value = position;
    this.input.style.setProperty("--low", `${50 + 50 * Math.min(0, position)}%`);
    this.input.style.setProperty("--high", `${50 + 50 * Math.max(0, position)}%`);
    this.input.setAttribute("aria-valuetext", spoken(this.knob, value));
    this.shown.textContent = shown(this.knob, value);
  }

  /** Show the projection of the activations on the vector: of A and of B, in standard deviations. */
  showProjection(projection) {
    this.needle.hidden = !projection;
    if (!projection) return;
    const { steered, plain, in_deviations: inDeviations } = projection;
    const reach = inDeviations ? NEEDLE_DEVIATIONS : 2 * Math.max(1e-9, Math.abs(steered), Math.abs(plain));
    [steered, plain].forEach((value, index) => {
      const place = Math.max(-1, Math.min(1, value / reach));
      this.needles[index].style.left = `${50 + 50 * place}%`;
    });
    const unit = inDeviations ? " σ" : "";
    this.needleText.textContent = `A ${signed(steered, 1)}, B ${signed(plain, 1)}${unit}`;
  }

  /** Mark whether the knob is in the performance that plays. */
  waits(waiting) {
    this.row.classList.toggle("waiting", waiting);
    this.input.disabled = waiting;
  }
}

/** Share of the ranges in use: the mean rule allows a sum of 1 over all knobs. */
export function showBudget(rows) {
  const sum = [...rows.values()].reduce((total, row) => total + Math.abs(positionOf(row.knob, row.value)), 0);
  const over = sum > 1.005;
  const badge = find("budget");
  badge.textContent = `budget ${Math.round(100 * sum)} %${over ? ", too much at once" : ""}`;
  badge.dataset.state = over ? "warning" : "quiet";
  badge.title = "The sum of all knobs, each as a share of its range. Beyond 100 % the music is likely to lose its quality.";
}
