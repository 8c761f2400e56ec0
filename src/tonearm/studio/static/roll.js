// Roll: the spectrogram of the stream that plays, with marks where controls changed.

import { colour, element, find, fitted } from "./dom.js";
import { BANDS } from "./spectra.js";

const SECONDS = 12;
const MERGE_SECONDS = 0.6; // changes of one target within it have one mark
const MAX_MARKS = 40;
const SECONDS_PER_TICK = 3;
// stops of a perceptual scale from dark to bright (magma)
const STOPS = [[0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191]];

function palette() {
  return Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (STOPS.length - 1);
    const low = Math.min(STOPS.length - 2, Math.floor(place));
    return STOPS[low].map((value, channel) => value + (place - low) * (STOPS[low + 1][channel] - value));
  });
}

export class Roll {
  constructor(spectra) {
    this.spectra = spectra;
    this.canvas = find("roll");
    this.palette = palette();
    this.width = spectra.columns;
    this.images = [0, 1].map(() => {
      const canvas = document.createElement("canvas");
      canvas.width = this.width;
      canvas.height = BANDS;
      return { canvas, context: canvas.getContext("2d") };
    });
    this.pixels = new ImageData(1, BANDS);
    this.marks = [];
  }

  clear() {
    for (const { context } of this.images) context.clearRect(0, 0, this.width, BANDS);
    this.marks = [];
    find("changes").replaceChildren();
  }

  add(numbers) {
    for (const number of numbers) {
      this.images.forEach(({ context }, stream) => {
        const levels = this.spectra.column(stream, number);
        for (let band = 0; band < BANDS; band++) {
          const [r, g, b] = this.palette[Math.round(255 * levels[band])];
          const at = 4 * (BANDS - 1 - band);
          this.pixels.data.set([r, g, b, 255], at);
        }
        context.putImageData(this.pixels, number % this.width, 0);
      });
    }
  }

  mark(sample, target, label) {
    const last = this.marks.findLast((one) => one.target === target);
    if (last && sample - last.sample < MERGE_SECONDS * this.spectra.rate) {
      last.label = last.item.textContent = label;
      return;
    }
    const item = element("li", {}, label);
    this.marks.push({ sample, target, label, item });
    find("changes").prepend(item);
    while (this.marks.length > MAX_MARKS) this.marks.shift().item.remove();
  }

  draw(position, stream) {
    const { context, width, height } = fitted(this.canvas);
    const { hop, rate } = this.spectra;
    context.fillStyle = "#000004";
    context.fillRect(0, 0, width, height);
    const shown = Math.round((SECONDS * rate) / hop);
    const last = Math.floor(position / hop);
    const first = Math.max(last - shown, Math.ceil(this.spectra.first / hop));
    const scale = width / shown;
    context.imageSmoothingEnabled = true;
    for (let from = first; from < last; ) {
      const slot = from % this.width;
      const count = Math.min(last - from, this.width - slot);
      context.drawImage(this.images[stream].canvas, slot, 0, count, BANDS, width - (last - from) * scale, 0, count * scale, height);
      from += count;
    }
    context.font = "12px system-ui, sans-serif";
    this.#axis(context, width, height);
    context.textBaseline = "top";
    let row = 0;
    for (const { sample, label } of this.marks) {
      const x = width - ((position - sample) / hop) * scale;
      if (x < -200 || x > width) continue;
      context.fillStyle = "rgb(255 255 255 / 85%)";
      context.fillRect(Math.round(x), 0, 1.5, height);
      const y = 22 + 18 * (row++ % 4);
      const size = context.measureText(label).width;
      const left = Math.min(Math.max(4, x + 5), width - size - 8);
      context.fillStyle = "rgb(0 0 4 / 70%)";
      context.fillRect(left - 3, y - 2, size + 6, 17);
      context.fillStyle = "#fff";
      context.fillText(label, left, y);
    }
  }

  #axis(context, width, height) {
    const label = (text, x, y) => {
      context.fillStyle = "rgb(0 0 4 / 60%)";
      context.fillRect(x - 3, y - 2, context.measureText(text).width + 6, 16);
      context.fillStyle = "rgb(255 255 255 / 85%)";
      context.fillText(text, x, y);
    };
    context.textBaseline = "top";
    for (let ago = SECONDS_PER_TICK; ago < SECONDS; ago += SECONDS_PER_TICK) {
      const x = Math.round(width * (1 - ago / SECONDS));
      label(`−${ago} s`, x + 5, height - 17);
      context.fillRect(x, height - 17, 1, 17);
    }
    label(`${this.spectra.rate / 2000} kHz`, 6, 5);
  }
}

export class Spectrum {
  constructor(spectra) {
    this.spectra = spectra;
    this.canvas = find("spectrum");
    this.means = [new Float32Array(BANDS), new Float32Array(BANDS)];
  }

  draw(position) {
    const { context, width, height } = fitted(this.canvas);
    context.clearRect(0, 0, width, height);
    const number = Math.floor(position / this.spectra.hop);
    const top = 4;
    [1, 0].forEach((stream) => {
      const mean = this.means[stream];
      const levels = this.spectra.column(stream, number);
      context.beginPath();
      for (let band = 0; band < BANDS; band++) {
        mean[band] += 0.12 * (levels[band] - mean[band]);
        const x = ((band + 0.5) / BANDS) * width;
        const y = height - 16 - mean[band] * (height - 16 - top);
        if (band) context.lineTo(x, y);
        else context.moveTo(x, y);
      }
      context.strokeStyle = colour(stream ? "--b" : "--accent");
      context.lineWidth = 2;
      context.setLineDash(stream ? [5, 4] : []); // never by colour alone
      context.stroke();
    });
    context.setLineDash([]);
    context.fillStyle = colour("--quiet");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "bottom";
    const mel = (hz) => Math.log10(1 + hz / 700);
    const nyquist = this.spectra.rate / 2;
    for (const hz of [250, 1000, 4000, 16000]) {
      if (hz > nyquist) continue;
      const x = (mel(hz) / mel(nyquist)) * width;
      context.fillRect(x, height - 15, 1, 3);
      context.fillText(hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`, Math.min(x + 3, width - 36), height);
    }
  }
}
