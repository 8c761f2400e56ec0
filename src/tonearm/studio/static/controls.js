// Controls that the page sends to the session.

const PERIOD = 25; // ms between two flushes at least; controls act between chunks, which are longer

export class Controls {
  #wanted = new Map(); // target -> value and label, sent with the next flush
  #unanswered = new Map(); // target -> number of controls under way
  #flushed = -PERIOD;

  /**
   * @param connection sends the controls
   * @param onapplied called with an answer, the label of its mark, and the time at which it was sent
   * @param onrefused called with the reason
   */
  constructor(connection, onapplied, onrefused) {
    Object.assign(this, { connection, onapplied, onrefused });
    document.addEventListener("visibilitychange", () => document.hidden && this.#flush());
  }

  /** Send a value with the next flush; the last one of a target wins. */
  set(target, value, label) {
    if (!this.#wanted.size) {
      const rest = this.#flushed + PERIOD - performance.now();
      if (rest > 0 || document.hidden) setTimeout(() => this.#flush(), rest); // a hidden page has no frames
      else requestAnimationFrame(() => this.#flush());
    }
    this.#wanted.set(target, { value, label });
  }

  /** Whether all controls of a target are answered; else a state may be older than they are. */
  isSettled(target) {
    return !this.#wanted.has(target) && !this.#unanswered.get(target);
  }

  #flush() {
    if (!this.#wanted.size) return;
    this.#flushed = performance.now();
    for (const [target, { value, label }] of this.#wanted) {
      const sent = performance.now();
      this.#count(target, 1);
      this.connection.request({ type: "control", target, value }).then(
        (applied) => {
          this.#count(target, -1);
          this.onapplied(applied, label, sent);
        },
        (error) => {
          this.#count(target, -1);
          this.onrefused(error);
        },
      );
    }
    this.#wanted.clear();
  }

  #count(target, change) {
    this.#unanswered.set(target, (this.#unanswered.get(target) ?? 0) + change);
  }
}
