// WebSocket of the studio, version 1 (docs/studio.md): reconnects, and resumes where the audio ended.

const MAGIC = 0x31414e54; // "TNA1", little endian
const FIRST_DELAY = 150; // ms before the first attempt to connect again
const LONGEST_DELAY = 600; // so that sound resumes within a second of the network

export class Wire extends EventTarget {
  constructor(channels) {
    super();
    this.channels = channels;
    this.run = 0;
    this.after = 0;
    this.client = null;
    this.session = "";
    this.#delay = FIRST_DELAY;
  }
  #delay;
  #socket;
  #seq = 0;
  #waiting = new Map(); // seq -> {resolve, reject}

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/socket?session=${this.session}&run=${this.run}&after=${this.after}`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#text(JSON.parse(data)) : this.#audio(data));
    socket.onopen = () => {
      this.#delay = FIRST_DELAY;
      this.#emit("link", "connected");
    };
    socket.onclose = ({ code, reason }) => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the connection was lost"));
      this.#waiting.clear();
      this.#emit("link", "reconnecting");
      if (code === 1008 || code === 1013) this.#emit("notice", { level: "warning", message: reason });
      setTimeout(() => this.connect(), this.#delay);
      this.#delay = Math.min(LONGEST_DELAY, 2 * this.#delay);
    };
  }

  /** Close the connection, as a lost network would; it connects again by itself. */
  drop() {
    this.#socket.close();
  }

  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Send a message that is answered; resolves with the answer, rejects with the server's reason. */
  ask(message) {
    const seq = ++this.#seq;
    return new Promise((resolve, reject) => {
      if (this.send({ ...message, seq })) this.#waiting.set(seq, { resolve, reject });
      else reject(new Error("not connected"));
    });
  }

  command(name, fields = {}) {
    return this.ask({ type: "command", name, ...fields });
  }

  #text(message) {
    const waiting = message.seq == null ? null : this.#waiting.get(message.seq);
    if (waiting) {
      this.#waiting.delete(message.seq);
      if (message.type === "error") waiting.reject(new Error(message.message));
      else waiting.resolve(message);
    } else if (message.type === "error") {
      this.#emit("notice", { level: "error", message: message.message });
    }
    if (message.type === "hello") Object.assign(this, { client: message.client, session: message.session });
    if (message.type !== "error") this.#emit(message.type, message);
  }

  #audio(buffer) {
    const view = new DataView(buffer);
    if (view.getUint32(0, true) !== MAGIC) return;
    const run = view.getUint32(4, true);
    const first = Number(view.getBigUint64(8, true));
    const samples = new Float32Array(buffer, 16);
    const count = samples.length / (2 * this.channels);
    const rows = Array.from({ length: 2 * this.channels }, (_, row) => samples.slice(row * count, (row + 1) * count));
    this.run = run;
    this.after = first + count;
    this.#emit("audio", { run, first, rows });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
