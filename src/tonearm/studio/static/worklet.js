// Player of both streams: a ring buffer of each channel, read at the rate of the context.
//
// In: {type: "audio", run, first, rows: Float32Array[]}  rows: channels of A, then of B
//     {type: "stop", run}: play none of it, until a later run begins or {type: "play"} comes
//     {type: "listen", plain: bool}, {type: "gain", plain: number}, {type: "feed", port}
//     {type: "prime", samples, lead}: buffered before sound begins; by which the session is ahead
//     {type: "resumed"}: the context was suspended
//     {type: "reconnected"}: the audio that comes next may begin later than the last one ended
//     A feed is a further port, which gives audio and takes {run, position}.
// Out: {run, position, time, buffered, underruns, dropped, skipped, gains, sounded, playing}  about every 20 ms
//     position plays at `time`; dropped: samples of a run that were never played; skipped: samples
//     passed over to keep up with the session; gains: of A and of B; sounded: time of the first
//     sample that is not silent, or null. Times are those of the context, in seconds.

const RING_SECONDS = 12;
const FADE_SECONDS = 0.004;
const REPORT_SECONDS = 0.02;
const TAPS = 32; // of the resampler
const PHASES = 256;
const CATCH_UP_SECONDS = 1; // after sound begins, in which what was missed may arrive in parts
const EXTRA_LEAD_SECONDS = 1; // beyond its lead, that the session computes before forks and windows
const FULL_SCALE = 0.98; // that a gain of the plain stream may reach
const SILENCE = 1e-4; // -80 dBFS
const SUSPENDED_MILLISECONDS = 100; // without a call of `process`, after which the context is suspended

/** Windowed-sinc kernels [PHASES + 1][TAPS] for a ratio of input to output rate. */
export function kernels(ratio) {
  const cutoff = Math.min(1, 1 / ratio);
  const half = TAPS / 2;
  return Array.from({ length: PHASES + 1 }, (_, phase) => {
    const kernel = Float32Array.from({ length: TAPS }, (_, tap) => {
      const x = tap - half + 1 - phase / PHASES;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      const window = Math.abs(x) < half ? 0.5 + 0.5 * Math.cos((Math.PI * x) / half) : 0;
      return cutoff * sinc * window;
    });
    const sum = kernel.reduce((total, value) => total + value, 0);
    return kernel.map((value) => value / sum);
  });
}

/** One value that moves to its target by equal steps. */
class Ramp {
  constructor(value, samples) {
    this.value = this.target = value;
    this.step = 1 / samples;
  }
  next() {
    const gap = this.target - this.value;
    this.value += Math.max(-this.step, Math.min(this.step, gap));
    return this.value;
  }
}

class Player extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate, channels, prime } }) {
    super();
    this.channels = channels;
    this.capacity = Math.round(RING_SECONDS * rate);
    this.rings = Array.from({ length: 2 * channels }, () => new Float32Array(this.capacity));
    this.ratio = rate / sampleRate;
    this.kernels = this.ratio === 1 ? null : kernels(this.ratio);
    this.prime = prime;
    this.lead = Infinity; // samples
    const fade = Math.max(1, Math.round(FADE_SECONDS * sampleRate));
    this.fadeInput = Math.ceil(fade * this.ratio) + (this.kernels ? TAPS : 0);
    this.fade = new Ramp(0, fade);
    this.plain = new Ramp(0, fade);
    this.gains = [new Ramp(1, 50 * fade), new Ramp(1, 50 * fade)]; // of A and of B
    this.wantedGain = 1;
    this.peak = 0; // of the plain stream in this run
    this.run = this.position = this.end = 0;
    this.underruns = this.dropped = this.skipped = this.sinceReport = 0;
    this.stoppedRun = -1;
    this.catchUpUntil = 0; // time of the context
    this.sounded = null;
    this.priming = true;
    this.stopping = false;
    this.feed = null;
    this.isReconnected = false;
    this.processed = Date.now(); // the clock of the context stops while it is suspended
    this.port.onmessage = ({ data }) => this.receive(data);
  }

  receive(data) {
    if (data.type === "audio") this.write(data);
    else if (data.type === "stop") this.stop(data.run);
    else if (data.type === "play") this.stop(-1);
    else if (data.type === "listen") this.plain.target = data.plain ? 1 : 0;
    else if (data.type === "gain") this.wantedGain = data.plain;
    else if (data.type === "prime") ({ samples: this.prime, lead: this.lead } = data);
    else if (data.type === "reconnected") this.isReconnected = true;
    else if (data.type === "resumed") this.catchUpUntil = currentTime + CATCH_UP_SECONDS;
    else if (data.type === "feed") {
      this.feed = data.port;
      this.feed.onmessage = ({ data: audio }) => this.receive(audio);
    }
  }

  /** Play nothing of a run, nor of those before it. */
  stop(run) {
    if (run >= 0 && run < this.run) return; // another one has begun since
    this.stopping = run >= 0;
    this.stoppedRun = run;
  }

  write({ run, first, rows }) {
    const count = rows[0].length;
    if (run < this.run || (run === this.run && first + count <= this.end)) return;
    if (run === this.run && first > this.end && !this.stopping) {
      this[this.isReconnected ? "skipped" : "dropped"] += first - Math.floor(this.position); // lost messages, and the buffer before them
    }
    this.isReconnected = false;
    if (run !== this.run || first !== this.end) this.restart(run, first);
    if (run > this.stoppedRun) this.stopping = false;
    rows.forEach((row, index) => {
      const ring = this.rings[index];
      const at = first % this.capacity;
      const head = Math.min(count, this.capacity - at);
      ring.set(row.subarray(0, head), at);
      ring.set(row.subarray(head), 0);
    });
    this.end = first + count;
    this.peak = rows.slice(this.channels).reduce((most, row) => row.reduce((top, value) => Math.max(top, Math.abs(value)), most), this.peak);
    this.matchLevels();
    const oldest = this.end - this.capacity;
    if (this.position < oldest) {
      const isPassedOver = this.priming || Date.now() - this.processed > SUSPENDED_MILLISECONDS;
      this[isPassedOver ? "skipped" : "dropped"] += oldest - Math.floor(this.position); // never the newest
      this.position = oldest;
    }
  }

  /** Raise B as far as its peak allows, and lower A by the rest. */
  matchLevels() {
    const [a, b] = this.gains;
    b.target = Math.min(this.wantedGain, Math.max(1, FULL_SCALE / Math.max(this.peak, SILENCE)));
    a.target = b.target / this.wantedGain;
  }

  restart(run, first) {
    if (run !== this.run) this.peak = 0;
    this.run = run;
    this.position = this.end = first;
    this.priming = true;
    this.fade.value = this.fade.target = 0;
  }

  /** Sample of a ring at the fractional read position. */
  read(ring, position) {
    const whole = Math.floor(position);
    if (!this.kernels) return ring[whole % this.capacity];
    const kernel = this.kernels[Math.round((position - whole) * PHASES)];
    let sum = 0;
    for (let tap = 0; tap < TAPS; tap++) {
      const at = whole + tap - TAPS / 2 + 1;
      if (at >= 0 && at < this.end) sum += kernel[tap] * ring[at % this.capacity];
    }
    return sum;
  }

  process(_, [output]) {
    this.processed = Date.now();
    const frames = output[0].length;
    if (this.priming && !this.stopping && this.end - this.position >= this.prime) {
      this.priming = false;
      this.catchUpUntil = currentTime + CATCH_UP_SECONDS;
    }
    if (currentTime < this.catchUpUntil) this.catchUp();
    if (!this.priming) this.play(output, frames);
    this.report(frames);
    return true;
  }

  /**
   * Skip to the lead where far more is buffered than the session is ahead of the furthest play head:
   * other pages have played it while this one was suspended or offline.
   */
  catchUp() {
    if (this.end - this.position <= this.lead + EXTRA_LEAD_SECONDS * this.ratio * sampleRate) return;
    const position = this.end - Math.round(Math.max(this.prime, this.lead));
    this.skipped += position - Math.floor(this.position);
    this.position = position;
    this.fade.value = 0;
  }

  play(output, frames) {
    for (let i = 0; i < frames; i++) {
      const left = this.end - this.position;
      this.fade.target = this.stopping || left <= this.fadeInput ? 0 : 1;
      const fade = this.fade.next();
      const plain = this.plain.next();
      const gainA = this.gains[0].next();
      const gainB = this.gains[1].next();
      if (fade > 0) {
        for (let channel = 0; channel < output.length; channel++) {
          const row = Math.min(channel, this.channels - 1);
          const a = plain < 1 ? this.read(this.rings[row], this.position) : 0;
          const b = plain > 0 ? this.read(this.rings[this.channels + row], this.position) : 0;
          output[channel][i] = fade * ((1 - plain) * gainA * a + plain * gainB * b);
        }
        if (this.sounded === null && Math.abs(output[0][i]) > SILENCE) this.sounded = currentTime + i / sampleRate;
      }
      if (left > this.ratio) this.position += this.ratio;
      if (fade === 0 && this.fade.target === 0) {
        if (!this.stopping) this.underruns += 1;
        else this.position = this.end;
        this.priming = true;
        return;
      }
    }
  }

  report(frames) {
    this.sinceReport += frames;
    if (this.sinceReport < REPORT_SECONDS * sampleRate) return;
    this.sinceReport = 0;
    const position = Math.floor(this.position);
    this.feed?.postMessage({ run: this.run, position });
    this.port.postMessage({
      run: this.run,
      position,
      time: currentTime + frames / sampleRate,
      buffered: Math.max(0, Math.floor(this.end - this.position)),
      underruns: this.underruns,
      dropped: this.dropped,
      skipped: this.skipped,
      gains: this.gains.map((gain) => gain.target),
      sounded: this.sounded,
      playing: !this.priming,
    });
  }
}

registerProcessor("tonearm-player", Player);
