// Web MIDI: the control changes (CC) 20 to 27 turn the knobs 1 to 8, CC 64 sets all to zero; any other is learned.

import { find } from "./dom.js";
import { valueAt } from "./knobs.js";
import { showNotice } from "./notice.js";

const FIRST_CC = 20;
const ZERO_CC = 64;
const STORE = "tonearm-midi";
const CENTRE = 64; // of 0 to 127; within 1 of it a knob is at exactly zero

/** Slider position, -1 to 1, of a CC value. */
export const positionOfMidi = (value) => (Math.abs(value - CENTRE) <= 1 ? 0 : value > CENTRE ? (value - CENTRE) / (127 - CENTRE) : (value - CENTRE) / CENTRE);

export class Midi {
  constructor(rows) {
    Object.assign(this, { rows, learning: null, map: new Map() });
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
      showNotice(this.learning ? `move a control for ${this.learning}` : "choose a knob first, then learn");
      return;
    }
    try {
      this.access = await navigator.requestMIDIAccess();
    } catch {
      showNotice("the browser refused MIDI", "error");
      return;
    }
    this.#attach();
    this.access.onstatechange = ({ port }) => {
      if (port.type !== "input") return;
      this.#attach();
      showNotice(`MIDI input ${port.name}: ${port.state}`);
    };
    button.textContent = "Learn";
    showNotice(`MIDI inputs: ${this.access.inputs.size}. CC 20 to 27 turn the knobs; “Learn” maps another CC to the knob chosen last`);
  }

  receive([status, cc, value]) {
    if ((status & 0xf0) !== 0xb0) return;
    if (this.learning && cc === ZERO_CC) {
      showNotice(`CC ${ZERO_CC} sets all knobs to zero; move another control for ${this.learning}`, "warning");
      return;
    }
    if (this.learning) {
      this.map.set(cc, this.learning);
      showNotice(`CC ${cc} now turns ${this.learning}`);
      this.learning = null;
      try {
        localStorage.setItem(STORE, JSON.stringify([...this.map]));
      } catch { /* as above */ }
    }
    if (cc === ZERO_CC) {
      for (const row of this.rows.values()) row.set(0);
      return;
    }
    const name = this.map.get(cc) ?? [...this.rows.keys()][cc - FIRST_CC];
    const row = this.rows.get(name);
    row?.set(valueAt(row.knob, positionOfMidi(value)));
  }
}
