// Meters: tempo, spectral centroid and loudness of both streams, and their match in loudness.

import { find, signed } from "./dom.js";

const MATCH_LIMIT = 12; // dB
const COLUMNS = ["a", "b", "d"]; // A, B, their difference
const ROWS = {
  tempo: { decimals: 1, unit: "BPM", difference: (a, b) => `${signed(100 * (a / b - 1), 0)} %` },
  centroid: { decimals: 0, unit: "Hz", difference: (a, b) => `${signed(12 * Math.log2(a / b), 1)} st` },
  loudness: { decimals: 1, unit: "LUFS", difference: (a, b) => `${signed(a - b, 1)} LU` },
};

export class Meters {
  #difference = null; // loudness of A against B, in LU; null before it is measured

  /** @param output whose plain stream is matched to the steered one */
  constructor(output) {
    this.output = output;
  }

  /** Show the readings of both streams, and match their loudness. */
  show({ steered, plain }) {
    for (const [name, { decimals, unit, difference }] of Object.entries(ROWS)) {
      const [a, b] = [steered[name], plain[name]];
      const text = (value) => (value == null ? "–" : `${value.toFixed(decimals).replace("-", "−")} ${unit}`);
      this.#write(name, [text(a), text(b), a == null || b == null ? "–" : difference(a, b)]);
    }
    this.#match(steered.loudness == null || plain.loudness == null ? null : steered.loudness - plain.loudness);
  }

  /** Forget the readings of the last run, whose streams differed by another level. */
  clear() {
    for (const name of Object.keys(ROWS)) this.#write(name, ["–", "–", "–"]);
    this.#match(null);
  }

  /** Show the gains that the player has set; where B has no headroom, A is lowered. */
  showLevels() {
    const [a, b] = this.output.levels;
    const gains = `B plays ${signed(b, 1)} dB${a < -0.05 ? `, A ${signed(a, 1)} dB` : ""}`;
    const difference = this.#difference;
    const text = difference == null ? "Loudness is matched after the first measurement"
      : Math.abs(difference) > MATCH_LIMIT ? `loudness not matched: A is ${signed(difference, 1)} LU relative to B; ${gains}`
      : `loudness matched: ${gains}`;
    const level = find("level");
    if (level.textContent !== text) level.textContent = text;
  }

  #match(difference) {
    this.#difference = difference;
    this.output.match(Math.max(-MATCH_LIMIT, Math.min(MATCH_LIMIT, difference ?? 0)));
    this.showLevels();
  }

  #write(name, texts) {
    COLUMNS.forEach((column, index) => (find(`${name}-${column}`).textContent = texts[index]));
  }
}
