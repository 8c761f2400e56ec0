// Audio output: a context at the model's rate where the browser can, and the player in its worklet.

const PRIME_SECONDS = 0.2;
const PHRASE_LEAD = 3; // seconds, at least, that a session in phrases is ahead

export class Output {
  /** @param onstatus called about 50 times a second with the player's counters */
  constructor({ rate, channels }, onstatus) {
    this.rate = rate;
    this.channels = channels;
    this.onstatus = onstatus;
    this.status = { run: 0, position: 0, time: 0, buffered: 0, underruns: 0, dropped: 0, skipped: 0, gains: [1, 1], sounded: null, playing: false };
    this.firstSound = null; // ms of the page's clock, of the first sample that is not silent
    this.primeSeconds = PRIME_SECONDS;
    this.isPossible = isSecureContext && "audioWorklet" in BaseAudioContext.prototype;
    this.feed = null; // takes audio, and gives the play heads; null where sound is not possible
    this.settings = new Map(); // last message of each type, for a player that starts later
  }

  /** @param onstate called when the browser lets the page sound, or no longer */
  async open(onstate) {
    if (!this.isPossible) return;
    try {
      this.context = new AudioContext({ sampleRate: this.rate, latencyHint: "interactive" });
    } catch {
      this.context = new AudioContext({ latencyHint: "interactive" }); // the player resamples
    }
    this.context.addEventListener("statechange", () => {
      if (this.running) this.node?.port.postMessage({ type: "resumed" });
      onstate();
    });
    await this.context.audioWorklet.addModule("/static/worklet.js");
    this.node = new AudioWorkletNode(this.context, "tonearm-player", {
      numberOfInputs: 0,
      outputChannelCount: [Math.max(1, this.channels)],
      processorOptions: { rate: this.rate, channels: this.channels, prime: this.primeSeconds * this.rate },
    });
    this.node.port.onmessage = ({ data }) => {
      this.status = data;
      if (data.sounded != null) this.firstSound ??= performance.now() - 1000 * (this.context.currentTime - data.sounded);
      this.onstatus(data);
    };
    this.node.connect(this.context.destination);
    const { port1, port2 } = new MessageChannel();
    this.feed = port2;
    this.node.port.postMessage({ type: "feed", port: port1 }, [port1]);
    for (const message of this.settings.values()) this.node.port.postMessage(message);
  }

  get running() {
    return this.context?.state === "running";
  }

  /** Position that plays now: the last one that was reported, and the time since. */
  get position() {
    const { position, time, buffered, playing } = this.status;
    if (!playing) return position;
    const since = Math.max(0, this.context.currentTime - time);
    return position + Math.min(buffered, Math.round(since * this.rate));
  }

  async resume() {
    await this.context?.resume();
  }

  /** End a run, and not one that has begun since. */
  stop(run) {
    this.node?.port.postMessage({ type: "stop", run });
  }

  /** Resume a run that was stopped on this page and still plays. */
  play() {
    this.node?.port.postMessage({ type: "play" });
  }

  listen(plain) {
    this.#set({ type: "listen", plain });
  }

  /** Gain of the plain stream against the steered one, in dB. */
  match(decibels) {
    this.#set({ type: "gain", plain: 10 ** (decibels / 20) });
  }

  /** Gains of the steered and of the plain stream that the player has set, in dB. */
  get levels() {
    return this.status.gains.map((gain) => 20 * Math.log10(gain));
  }

  /** Audio buffered before sound begins: two thirds of the lead, at most PRIME_SECONDS. */
  prime(lead, mode) {
    this.primeSeconds = Math.min(PRIME_SECONDS, (lead * 2) / 3);
    const ahead = mode === "phrase" ? Math.max(lead, PHRASE_LEAD) : lead;
    this.#set({ type: "prime", samples: Math.round(this.primeSeconds * this.rate), lead: Math.round(ahead * this.rate) });
  }

  #set(message) {
    this.settings.set(message.type, message);
    this.node?.port.postMessage(message);
  }
}
