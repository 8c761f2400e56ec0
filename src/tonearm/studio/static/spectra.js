// Spectra of both streams, column by column: the source of the roll and of the spectrum.

export const BANDS = 96;
const SIZE = 1024; // samples of a window
const RANGE_DB = 70;
const TOP_DB = -20; // level of the brightest colour, of a band

function window() {
  return Float32Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
}

/** In-place radix-2 transform of SIZE complex numbers. */
function transform(re, im) {
  for (let i = 1, j = 0; i < SIZE; i++) {
    let bit = SIZE >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let size = 2; size <= SIZE; size <<= 1) {
    const angle = (-2 * Math.PI) / size;
    for (let k = 0; k < size / 2; k++) {
      const c = Math.cos(angle * k);
      const s = Math.sin(angle * k);
      for (let i = k; i < SIZE; i += size) {
        const j = i + size / 2;
        const tr = re[j] * c - im[j] * s;
        const ti = re[j] * s + im[j] * c;
        re[j] = re[i] - tr;
        im[j] = im[i] - ti;
        re[i] += tr;
        im[i] += ti;
      }
    }
  }
}

const mel = (hz) => 2595 * Math.log10(1 + hz / 700);
const hertz = (mels) => 700 * (10 ** (mels / 2595) - 1);

export class Spectra {
  /** @param columns that are kept */
  constructor(rate, columns) {
    this.rate = rate;
    this.hop = Math.round(rate / 50);
    this.columns = columns;
    this.levels = [0, 1].map(() => new Float32Array(columns * BANDS)); // 0 to 1, of A and B
    this.window = window();
    this.edges = Array.from({ length: BANDS + 1 }, (_, band) => (hertz((mel(rate / 2) * band) / BANDS) * SIZE) / rate);
    this.tails = [new Float32Array(SIZE), new Float32Array(SIZE)];
    this.reset(0);
  }

  reset(sample) {
    this.next = Math.ceil(sample / this.hop) * this.hop; // end of the next window
    this.at = sample;
    this.first = sample;
    for (const tail of this.tails) tail.fill(0);
  }

  /** Add a block; `rows` are mono mixes of A and B. Returns the numbers of the new columns. */
  add(first, rows) {
    if (first !== this.at) this.reset(first);
    const made = [];
    let offset = 0;
    const count = rows[0].length;
    while (offset < count) {
      const part = Math.min(count - offset, this.next - this.at);
      rows.forEach((row, stream) => {
        const tail = this.tails[stream];
        tail.copyWithin(0, part);
        tail.set(row.subarray(offset, offset + part), SIZE - part);
      });
      offset += part;
      this.at += part;
      if (this.at === this.next) {
        made.push(this.#column());
        this.next += this.hop;
      }
    }
    return made;
  }

  #column() {
    const number = this.at / this.hop;
    const slot = (number % this.columns) * BANDS;
    this.tails.forEach((tail, stream) => {
      const re = Float32Array.from(tail, (value, i) => value * this.window[i]);
      const im = new Float32Array(SIZE);
      transform(re, im);
      for (let band = 0; band < BANDS; band++) {
        const low = Math.floor(this.edges[band]);
        const high = Math.max(low + 1, Math.floor(this.edges[band + 1]));
        let power = 0;
        for (let bin = low; bin < high; bin++) power += re[bin] ** 2 + im[bin] ** 2;
        const decibels = 10 * Math.log10(power / (high - low) / (SIZE / 4) ** 2 + 1e-12);
        this.levels[stream][slot + band] = Math.max(0, Math.min(1, (decibels - TOP_DB) / RANGE_DB + 1));
      }
    });
    return number;
  }

  /** Levels of a column of stream 0 (A) or 1 (B). */
  column(stream, number) {
    const slot = (number % this.columns) * BANDS;
    return this.levels[stream].subarray(slot, slot + BANDS);
  }
}
