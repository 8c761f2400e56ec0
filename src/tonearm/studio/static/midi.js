// Web MIDI: controllers 20 to 27 are the knobs 1 to 8, 64 sets all to zero; any other by learning.

import { find } from "./dom.js";
import { valueAt } from "./knobs.js";

const FIRST_CONTROLLER = 20;
const ZERO_CONTROLLER = 64;
const STORE = "tonearm-midi";
const CENTRE = 64; // of 0 to 127; within 1 of it a knob is at exactly zero

/** Position from -1 to 1 of a controller's value. */
export const positionOfMidi = (value) => (Math.abs(value - CENTRE) <= 1 ? 0 : value > CENTRE ? (value - CENTRE) / (127 - CENTRE) : (value - CENTRE) / CENTRE);

export class Midi {
  constructor(rows, say) {
    Object.assign(this, { rows, say, learning: null, map: new Map() });
    try {
      this.map = new Map(JSON.parse(localStorage.getItem(STORE) ?? "[]"));
    } catch { /* storage may be switched off */ }
    const button = find("midi");
    button.hidden = !navigator.requestMIDIAccess;
    button.addEventListener("click", () => this.#open(button));
    find("knobs").addEventListener("focusin", ({ target }) => {
      if (target.dataset.knob) this.lastKnob = target.dataset.knob;
    });
  }

  /** Listen to all inputs, also to those that are plugged in later. */
  #attach() {
    for (const input of this.access.inputs.values()) input.onmidimessage = ({ data }) => this.receive(data);
  }

  async #open(button) {
    if (this.access) {
      this.learning = this.lastKnob ?? null;
      this.say(this.learning ? `move a controller for ${this.learning}` : "choose a knob first, then learn");
      return;
    }
    try {
      this.access = await navigator.requestMIDIAccess();
    } catch {
      this.say("the browser refused MIDI", "error");
      return;
    }
    this.#attach();
    this.access.onstatechange = ({ port }) => {
      if (port.type !== "input") return;
      this.#attach();
      this.say(`MIDI input ${port.name}: ${port.state}`);
    };
    button.textContent = "Learn";
    this.say(`MIDI is on, ${this.access.inputs.size} inputs; controllers 20 to 27 are the knobs, “Learn” maps another to the knob you chose last`);
  }

  receive([status, controller, value]) {
    if ((status & 0xf0) !== 0xb0) return;
    if (this.learning && controller === ZERO_CONTROLLER) {
      this.say(`controller ${ZERO_CONTROLLER} sets all knobs to zero; move another one for ${this.learning}`, "warning");
      return;
    }
    if (this.learning) {
      this.map.set(controller, this.learning);
      this.say(`controller ${controller} now turns ${this.learning}`);
      this.learning = null;
      try {
        localStorage.setItem(STORE, JSON.stringify([...this.map]));
      } catch { /* as above */ }
    }
    if (controller === ZERO_CONTROLLER) {
      for (const row of this.rows.values()) row.set(0);
      return;
    }
    const name = this.map.get(controller) ?? [...this.rows.keys()][controller - FIRST_CONTROLLER];
    const row = this.rows.get(name);
    if (!row) return;
    const position = positionOfMidi(value);
    const sign = position >= 0 ? row.knob.positive : row.knob.negative;
    row.set(sign.passes ? valueAt(row.knob, position) : 0);
  }
}
