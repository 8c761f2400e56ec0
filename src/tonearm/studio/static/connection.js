// Messages to and from the server, whose connection is kept by a worker (socket.js).

export class ServerConnection extends EventTarget {
  constructor(channels) {
    super();
    this.channels = channels;
  }
  #worker;
  #connected = false;
  #seq = 0;
  #waiting = new Map(); // seq -> {resolve, reject}

  /** @param port to which the worker hands the audio, and from which it takes the play heads; null for none */
  connect(port) {
    this.#worker = new Worker("/static/socket.js", { type: "module" });
    this.#worker.onmessage = ({ data }) => {
      if (data.type === "audio") this.#emit("audio", data);
      else if (data.type === "text") this.#text(data.message);
      else this.#link(data);
    };
    this.#worker.postMessage({ type: "open", channels: this.channels, port }, port ? [port] : []);
  }

  /** Close the connection, as a lost network would; it connects again by itself. */
  drop() {
    this.#worker.postMessage({ type: "drop" });
  }

  send(message) {
    if (this.#connected) this.#worker.postMessage({ type: "send", text: JSON.stringify(message) });
    return this.#connected;
  }

  /** Send a message that is answered; resolves with the answer, rejects with the server's reason. */
  request(message) {
    const seq = ++this.#seq;
    return new Promise((resolve, reject) => {
      if (this.send({ ...message, seq })) this.#waiting.set(seq, { resolve, reject });
      else reject(new Error("not connected"));
    });
  }

  command(name, fields = {}) {
    return this.request({ type: "command", name, ...fields });
  }

  #link({ state, code, reason }) {
    this.#connected = state === "connected";
    if (!this.#connected) {
      for (const { reject } of this.#waiting.values()) reject(new Error("the connection was lost"));
      this.#waiting.clear();
    }
    this.#emit("link", state);
    if (code === 1008 || code === 1013) this.#emit("notice", { level: "warning", message: reason });
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
    if (message.type !== "error") this.#emit(message.type, message);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
