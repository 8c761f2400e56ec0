// Desk: the knobs of the performance and of the next one, the settings, and the choice of knobs.

import { arrange, element, find } from "./dom.js";
import { KnobRow, showBudget } from "./knobs.js";
import { showNotice } from "./notice.js";

export class Desk {
  /**
   * @param manifest knobs and settings of the session
   * @param onknob called with (knob, value) when a person moves one
   * @param onsetting called with (setting, value), likewise
   * @param choose sends the names of the knobs of the next performance
   */
  constructor(manifest, onknob, onsetting, choose) {
    Object.assign(this, { manifest, onknob, onsetting, choose, rows: new Map() }); // rows: by name
    this.none = manifest.knobs.length ? [] : [element("p", { class: "quiet" }, "This checkpoint has no knobs, because none of its vectors is calibrated.")];
    this.settings = this.#settings();
    this.#buildChoice();
  }

  /**
   * Show knobs; those that are not in the performance that plays wait. The rows of knobs that stay are
   * kept, with the focus and a drag.
   * @param names of all knobs
   * @param playing names of those that play; null while nothing plays
   * @returns whether the knobs, or their order, are new
   */
  build(names, playing) {
    const box = find("knobs");
    const isNew = !box.children.length || names.join() !== [...this.rows.keys()].join();
    const focused = isNew ? [...this.rows.values()].findIndex(({ row }) => row.contains(document.activeElement)) : -1;
    if (isNew) {
      const kept = names.map((name) => [name, this.rows.get(name) ?? new KnobRow(this.#knob(name), this.onknob)]);
      this.rows.clear(); // the pad has this map, too
      for (const [name, row] of kept) this.rows.set(name, row);
      const rows = [...this.rows.values()];
      rows.forEach((row, index) => row.showNumber(index + 1));
      arrange(box, [...this.none, ...rows.map(({ row }) => row), this.settings]);
    }
    for (const [name, row] of this.rows) row.waits(playing !== null && !playing.includes(name));
    if (focused >= 0 && document.activeElement === document.body) {
      const inputs = [...this.rows.values()].map(({ input }) => input).filter((input) => !input.disabled);
      (inputs[Math.min(focused, inputs.length - 1)] ?? box).focus();
    }
    return isNew;
  }

  /**
   * Show values of the session, but not those that a person is changing.
   * @param values by target
   * @param isSettled whether the session has answered all controls of a target
   */
  show(values, isSettled) {
    for (const row of this.rows.values()) {
      if (!row.held && isSettled(row.knob.target)) row.show(values[row.knob.target] ?? 0);
    }
    for (const { target } of this.manifest.settings) {
      const input = find(`setting-${target}`);
      if (!input || !isSettled(target)) continue;
      input.value = values[target];
      showNumber(input, values[target]);
    }
    this.showBudget();
  }

  showBudget() {
    showBudget(this.rows);
  }

  /** Tick the knobs of the next performance. */
  showChoice(names) {
    for (const input of find("desk").querySelectorAll("input")) input.checked = names.includes(input.value);
  }

  #knob(name) {
    return this.manifest.knobs.find((knob) => knob.name === name);
  }

  #settings() {
    return element("div", { class: "settings" }, ...this.manifest.settings.map((setting) => {
      const { target, label, low, high, step, default: value } = setting;
      const input = element("input", { type: "range", id: `setting-${target}`, min: low, max: high, step, value, oninput: () => {
        showNumber(input, input.value);
        this.onsetting(setting, Number(input.value));
      } });
      return element("label", { class: "field" }, label, input, element("span", { "aria-hidden": "true" }, Number(value).toFixed(2)));
    }));
  }

  #buildChoice() {
    const box = find("desk");
    box.replaceChildren(...this.manifest.knobs.map(({ name }) => {
      const input = element("input", { type: "checkbox", value: name, onchange: () => {
        const chosen = [...box.querySelectorAll("input:checked")].map((one) => one.value);
        this.choose(chosen).catch((error) => {
          showNotice(error.message, "error");
          input.checked = !input.checked;
        });
      } });
      return element("label", {}, input, element("span", {}, name));
    }));
  }
}

/** Show a number beside its slider. */
function showNumber(input, value) {
  input.nextElementSibling.textContent = Number(value).toFixed(2);
}
