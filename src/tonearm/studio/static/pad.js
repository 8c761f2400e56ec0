// Pad: two knobs at once. Its two native sliders make it complete by keyboard and screen reader.

import { element, find } from "./dom.js";
import { positionOf, shown, valueAt } from "./knobs.js";

export class Pad {
  constructor(rows) {
    this.rows = rows; // by name
    this.box = find("pad");
    this.selects = [find("pad-x"), find("pad-y")];
    for (const select of this.selects) select.addEventListener("change", () => this.#choose());
    this.box.addEventListener("pointerdown", (event) => this.#grab(event));
    this.box.addEventListener("pointermove", (event) => this.box.hasPointerCapture(event.pointerId) && this.#move(event));
    this.box.addEventListener("dblclick", () => this.names.forEach((name) => this.rows.get(name)?.set(0)));
    this.fill();
  }

  get names() {
    return this.selects.map((select) => select.value);
  }

  /** Offer the knobs of the rows; the two that are chosen stay, with the focus, where they are offered. */
  fill() {
    const before = this.names.join();
    const names = [...this.rows.keys()];
    this.selects.forEach((select, axis) => {
      const chosen = select.value;
      select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
      select.value = names.includes(chosen) ? chosen : (names[axis] ?? names[0] ?? "");
    });
    if (this.names.join() !== before || !this.dot) this.#choose();
    else this.show();
  }

  #choose() {
    const sliders = this.names.map((name, axis) => {
      return this.rows.has(name) ? element("input", {
        type: "range", min: -1, max: 1, step: 0.01, class: "hidden-slider",
        "aria-label": `${name}, ${axis ? "vertical" : "horizontal"}`,
        oninput: ({ target }) => {
          const row = this.rows.get(name);
          row.set(valueAt(row.knob, Number(target.value)));
        },
      }) : null;
    });
    this.sliders = sliders;
    this.dot = element("i", { class: "dot" });
    const words = this.names.map((name) => this.rows.get(name)?.knob);
    const edge = (place, knob, sign) => knob && element("span", { class: `edge ${place}` }, knob[sign].word);
    this.box.replaceChildren(
      ...sliders.filter(Boolean), this.dot,
      ...[edge("left", words[0], "negative"), edge("right", words[0], "positive"), edge("bottom", words[1], "negative"), edge("top", words[1], "positive")].filter(Boolean));
    this.show();
  }

  show() {
    const [x, y] = this.names.map((name) => this.rows.get(name));
    if (!x || !y) return;
    const places = [x, y].map((row) => positionOf(row.knob, row.value));
    this.dot.style.left = `${50 + 50 * places[0]}%`;
    this.dot.style.top = `${50 - 50 * places[1]}%`;
    [x, y].forEach((row, axis) => {
      this.sliders[axis].value = places[axis];
      this.sliders[axis].setAttribute("aria-valuetext", shown(row.knob, row.value));
    });
  }

  #grab(event) {
    if (event.button !== 0) return;
    this.box.setPointerCapture(event.pointerId);
    this.#move(event);
  }

  #move(event) {
    const { left, top, width, height } = this.box.getBoundingClientRect();
    const at = (offset, size) => Math.max(-1, Math.min(1, (2 * offset) / size - 1));
    const places = [at(event.clientX - left, width), -at(event.clientY - top, height)];
    this.names.forEach((name, axis) => {
      const row = this.rows.get(name);
      row?.set(valueAt(row.knob, places[axis]));
    });
  }
}
