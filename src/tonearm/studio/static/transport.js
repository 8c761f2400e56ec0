// Transport: play and stop, prompt, A or B, loop, record, fork, seed and lead.

import { element, find } from "./dom.js";
import { showNotice } from "./notice.js";

export class Transport {
  #state = null;
  #hasBegun = false; // or another client plays, or has stopped
  #promptIsEdited = false; // a state must not undo the text that a person types
  #seedIsTyped = false; // for the next performance

  /**
   * @param connection sends the commands
   * @param output plays the music
   * @param refresh shows the state again, after this page began or ceased to sound
   */
  constructor(connection, output, refresh) {
    Object.assign(this, { connection, output, refresh });
    this.#listen();
  }

  /** Actions of the single-key shortcuts, by key. */
  get actions() {
    return {
      " ": () => this.#playOrStop(),
      x: () => this.#listenTo(this.#state?.listening === "plain" ? "steered" : "plain"),
      l: () => this.#send("loop", { bars: this.#state?.loop_seconds ? 0 : 2 }),
      f: () => this.#send("fork"),
      r: () => this.#record(),
    };
  }

  /** Show a state of the session. */
  show(next) {
    const before = this.#state;
    this.#state = next;
    const isPlaying = next.status === "playing";
    find("play").classList.toggle("playing", this.#playsHere);
    find("play").setAttribute("aria-label", this.#playsHere ? "Stop" : "Play");
    find("play").disabled = next.status === "starting" || next.status === "ended";
    if (!this.#promptIsEdited) find("prompt").value = next.prompt;
    if (document.activeElement !== find("seed")) find("seed").value = next.next_seed ?? "";
    if (before?.performance !== next.performance) this.#seedIsTyped = false;
    find("playing-seed").textContent = isPlaying ? `playing: ${next.seed}` : "";
    find("lock").checked = next.seed_locked;
    find("record").setAttribute("aria-pressed", next.recording);
    find("record").lastElementChild.textContent = next.recording ? "Recording" : "Record";
    find("record").disabled = find("fork").disabled = find("loop").disabled = !isPlaying;
    showLoop(next.loop_bars);
    for (const input of document.querySelectorAll("input[name=ab]")) input.checked = input.value === next.listening;
    document.body.dataset.listening = next.listening;
    this.output.listen(next.listening === "plain");
    if (document.activeElement !== find("lead")) find("lead").value = next.lead;
    showLead(next.lead);
    this.output.prime(next.lead, next.mode);
    if (before && before.run !== next.run) this.output.stop(before.run);
    if (before?.status === "playing" && !isPlaying) this.output.stop(next.run);
  }

  /** Begin the first performance as soon as the browser allows audio, which some report only after a delay. */
  beginAtOnce() {
    const state = this.#state;
    if (this.#hasBegun || !state || state.status === "starting") return;
    if (state.status === "stopped" && !this.output.running) return;
    this.#hasBegun = true;
    if (state.status === "stopped" && state.performance === 0) this.#begin(); // else somebody has stopped it
  }

  /** Let the page sound, at the action of a person; false where the browser does not let it yet. */
  resume() {
    this.#hasBegun = true; // the action itself begins music, or does not
    this.output.resume().catch(() => {});
    return this.output.running || !this.output.isPossible;
  }

  /** Whether the button stops the music: it plays, and this page sounds or cannot. */
  get #playsHere() {
    return this.#state?.status === "playing" && (this.output.running || !this.output.isPossible);
  }

  #send(name, fields) {
    return this.connection.command(name, fields).catch((error) => showNotice(error.message, "error"));
  }

  async #begin() {
    this.#hasBegun = true;
    await this.output.resume();
    const state = this.#state;
    if (state?.status === "stopped") await this.#send("play", { after: state.performance }); // another page may have begun since
    else if (state) {
      this.output.play();
      this.refresh();
    }
  }

  async #playOrStop() {
    if (!this.#playsHere) {
      await this.#begin();
      return;
    }
    this.output.stop(this.#state.run);
    await this.connection.command("stop").catch((error) => {
      this.output.play(); // the music continues
      showNotice(error.message, "error");
    });
  }

  #listenTo(to) {
    this.output.listen(to === "plain"); // at once; the session echoes it to the other clients
    this.#send("ab", { to });
  }

  #record() {
    this.#send("record", { on: !this.#state?.recording });
  }

  #sendPrompt() {
    const text = find("prompt").value;
    this.connection.command("prompt", { text }).then(
      () => (this.#promptIsEdited = find("prompt").value !== text),
      (error) => showNotice(error.message, "error"), // the text stays, to be corrected
    );
    find("prompt").blur();
  }

  #sendSeed(seed) {
    this.#send("seed", { seed, locked: find("lock").checked });
  }

  #listen() {
    find("play").addEventListener("click", () => this.#playOrStop());
    find("prompt").addEventListener("input", () => (this.#promptIsEdited = true));
    find("prompt").addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || !this.#state) return;
      this.#promptIsEdited = false;
      find("prompt").value = this.#state.prompt;
    });
    find("prompt-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendPrompt();
    });
    for (const input of document.querySelectorAll("input[name=ab]")) {
      input.addEventListener("change", () => this.#listenTo(input.value));
    }
    find("loop").addEventListener("change", () => this.#send("loop", { bars: Number(find("loop").value) }));
    find("fork").addEventListener("click", () => this.#send("fork"));
    find("record").addEventListener("click", () => this.#record());
    find("seed").addEventListener("change", () => {
      this.#seedIsTyped = typedSeed() !== null;
      this.#sendSeed(typedSeed());
    });
    // a lock keeps the seed of the field, or else the one that plays; without it the next one is random, unless it was typed
    find("lock").addEventListener("change", ({ target }) => this.#sendSeed(target.checked || this.#seedIsTyped ? typedSeed() : null));
    find("lead").addEventListener("input", () => {
      const seconds = Number(find("lead").value);
      showLead(seconds);
      this.#send("lead", { seconds });
    });
  }
}

const typedSeed = () => (find("seed").value === "" ? null : Number(find("seed").value));

/** Show the bars of the loop; other clients can choose a number that the list does not have. */
function showLoop(bars) {
  const select = find("loop");
  const text = String(bars);
  if (select.value === text) return;
  if (![...select.options].some(({ value }) => value === text)) select.append(element("option", { value: text }, `${bars} bars`));
  select.value = text;
}

function showLead(seconds) {
  find("lead").setAttribute("aria-valuetext", `${seconds.toFixed(2)} seconds`);
  find("lead-value").textContent = `${seconds.toFixed(2)} s`;
}
