(() => {
  const SKIP_SECONDS = 1;
  const MIN_LOOP_SECONDS = 0.3;
  const TONE_HZ = 1000;
  const TONE_SECONDS = 0.25;
  const TONE_BELOW_MUSIC = 30; // dB
  const DRAW_MILLISECONDS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 500 : 50;
  const test = JSON.parse(document.getElementById("test").textContent);
  const isRated = test.kind === "mushra";
  const letters = test.kind === "abx" ? "ABX" : "AB";
  const stored = `tonearm-listen:${test.digest}:`;
  const find = (selector) => document.querySelector(selector);
  const findAll = (selector) => [...document.querySelectorAll(selector)];
  const announce = (text) => (find(".announcement").textContent = text);

  /* The session, as it is stored: listener, equipment, sheet, started, finished, level, isTrained, answers, comment. */
  let session = null;
  let kept = null; // text of the session in the storage, as this tab last read or wrote it
  const unstored = new Map(); // sessions that this browser does not store, by listener
  const UNSTORED = "This browser stores no data: leave this page open to the end. The test can be paused.";

  // ---- storage

  function saved() {
    let found = [];
    try {
      found = Object.keys(localStorage)
        .filter((key) => key.startsWith(stored))
        .map((key) => JSON.parse(localStorage.getItem(key)));
    } catch {
      // there is no storage
    }
    return [...found.filter((one) => !unstored.has(one.listener)), ...unstored.values()];
  }
  /* The session of a listener, or null. */
  function restored(listener) {
    let found = null;
    try {
      kept = localStorage.getItem(stored + listener);
      found = JSON.parse(kept);
    } catch {
      kept = null;
    }
    return unstored.get(listener) ?? found;
  }
  const isInStorage = (text) => text !== null && text !== kept; // by another tab
  /* Store the session; false where another tab has stored it in the meantime, whose answers stay. */
  function store() {
    const name = stored + session.listener;
    let isOthers = false;
    try {
      isOthers = isInStorage(localStorage.getItem(name));
      if (!isOthers) {
        const text = JSON.stringify(session);
        localStorage.setItem(name, text);
        kept = text;
        unstored.delete(session.listener);
      }
    } catch {
      unstored.set(session.listener, session);
      warn(UNSTORED);
    }
    if (isOthers) leave("The last answer given here was not stored.");
    return !isOthers;
  }
  /* Leave the session to the tab that has stored it. */
  function leave(loss = "") {
    const { listener } = session;
    unstored.delete(listener); // its answers in the storage stay
    welcome();
    warn(`The test of ${listener} was continued in another tab or window. ${loss} Continue it there, or choose it below to continue here with the answers given there.`);
  }
  function followStorage(event) {
    if (!event.key?.startsWith(stored)) return;
    if (session === null) listSessions();
    else if (event.key === stored + session.listener && isInStorage(localStorage.getItem(event.key))) leave();
  }
  function button(text, onclick) {
    return Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick });
  }
  function warn(text, retry = null) {
    const notice = find(".notice[role=alert]");
    notice.replaceChildren(text);
    notice.hidden = !text;
    if (!retry) return;
    const again = button("Try again", () => {
      warn("");
      retry();
    });
    notice.append(" ", again);
    window.scrollTo(0, 0);
    again.focus();
  }

  // ---- listeners and sheets; tonearm.listening.allocation has the same rule

  function sheetOf(listener, sheets) {
    const number = /[0-9]{1,9}$/.exec(listener);
    if (number) return Number(number[0]) % sheets;
    let digest = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(listener)) digest = Math.imul(digest ^ byte, 0x01000193) >>> 0;
    return digest % sheets;
  }

  // ---- audio

  let context = null;
  const encoded = new Map(); // base64 by name, between loading and decoding
  window.tonearmAudio = (name, content) => encoded.set(name, content);

  async function bufferOf(name) {
    const script = document.createElement("script");
    script.src = `${test.folder}/${name}.js`;
    const place = script.getAttribute("src");
    try {
      await new Promise((resolve, reject) => {
        script.onload = resolve;
        script.onerror = () => reject(new Error(`${place} is missing`));
        document.head.append(script);
      });
    } finally {
      script.remove();
    }
    if (!encoded.has(name)) throw new Error(`${place} is damaged`);
    const bytes = Uint8Array.from(atob(encoded.get(name)), (c) => c.charCodeAt(0));
    encoded.delete(name);
    return context.decodeAudioData(bytes.buffer);
  }
  async function buffersOf(names) {
    context ??= new AudioContext();
    return padded(context, await Promise.all(names.map(bufferOf)));
  }
  const namesOf = (trial, order) => [...(trial.reference ? [trial.reference] : []), ...order.map((i) => trial.stimuli[i])];

  let ahead = { names: "", buffers: null }; // those of the next trial, loaded during this one
  function load(names) {
    if (ahead.names !== names.join()) {
      const loading = { names: names.join(), buffers: buffersOf(names) };
      loading.buffers.catch(() => {
        if (ahead === loading) ahead = { names: "", buffers: null }; // another try loads again
      });
      ahead = loading;
    }
    return ahead.buffers;
  }

  /* Player of one trial's buffers: plays, switches, loops a region, and counts. */
  const player = {
    engine: null,
    index: 0,
    playing: false,
    position: 0,
    seconds: 1,
    played: new Set(),
    switches: 0,
    timer: 0,
    begin(buffers) {
      this.stop();
      this.engine = mixerEngine(context, buffers, true);
      this.engine.onend = () => {
        this.setPlaying(false);
        this.position = this.seconds;
        draw();
      };
      Object.assign(this, { index: 0, position: 0, seconds: buffers[0].duration, played: new Set(), switches: 0 });
      setRegion(0, this.seconds);
    },
    stop() {
      if (this.playing) this.setPlaying(false);
    },
    where() {
      return this.playing ? this.engine.position() : this.position;
    },
    setPlaying(on) {
      this.position = this.where();
      if (on && this.position >= this.seconds - 0.01) this.position = 0;
      if (on) this.engine.play(this.position);
      else this.engine.pause();
      this.playing = on;
      if (on) this.played.add(this.index);
      clearInterval(this.timer);
      if (on) this.timer = setInterval(draw, DRAW_MILLISECONDS);
      document.body.classList.toggle("playing", on);
      find(".play").setAttribute("aria-label", on ? "Pause" : "Play");
      draw();
    },
    seek(target) {
      this.position = Math.min(Math.max(target, 0), this.seconds - 0.001);
      if (this.playing) this.engine.play(this.position);
      draw();
    },
    choose(next) {
      if (next !== this.index) {
        this.switches += 1;
        this.index = next;
        this.engine.select(next);
      }
      if (this.playing) this.played.add(next);
      else this.setPlaying(true);
      findAll(".stimulus").forEach((button, i) => button.setAttribute("aria-pressed", i === next));
    },
  };

  function draw() {
    const at = player.where();
    find(".now").textContent = clock(at);
    find(".seek").value = at / player.seconds;
    find(".seek").setAttribute("aria-valuetext", `${at.toFixed(1)} of ${player.seconds.toFixed(1)} seconds`);
  }
  const isLooping = () => find(".loop").getAttribute("aria-pressed") === "true";
  function setRegion(start, end, isAnnounced = false) {
    const shortest = Math.min(MIN_LOOP_SECONDS, player.seconds);
    start = Math.min(Math.max(start, 0), player.seconds - shortest);
    end = Math.max(Math.min(end, player.seconds), start + shortest);
    player.region = [start, end];
    [[".from", start], [".to", end]].forEach(([selector, value]) => {
      const slider = find(selector);
      slider.max = player.seconds;
      slider.value = value;
      slider.setAttribute("aria-valuetext", `${value.toFixed(1)} seconds`);
    });
    find(".bounds").textContent = `${clock(start)} – ${clock(end)}`;
    if (isAnnounced) announce(`Loop from ${start.toFixed(1)} to ${end.toFixed(1)} seconds`); // a slider does so itself
    player.engine.loop(isLooping() ? player.region : null);
  }
  function toggleLoop() {
    find(".loop").setAttribute("aria-pressed", !isLooping());
    player.engine.loop(isLooping() ? player.region : null);
    announce(isLooping() ? "Loop on" : "Loop off");
  }

  // ---- sections

  function show(name) {
    player.stop();
    level.stop();
    findAll("main > section").forEach((section) => (section.hidden = !section.classList.contains(name)));
    find(".course").hidden = !["trial", "level"].includes(name);
    window.scrollTo(0, 0);
    find(`.${name} h1`).focus();
  }
  function showCourse(text) {
    find(".count").textContent = text;
    find("#progress").max = test.trials.length;
    find("#progress").value = session.answers.length;
  }

  function welcome() {
    session = null;
    warn(unstored.size ? UNSTORED : ""); // a warning of a trial would try it again
    listSessions();
    show("welcome");
  }
  function listSessions() {
    find(".sessions").replaceChildren(
      ...saved().map((one) => {
        const state = one.finished ? "finished" : `${one.answers.length} of ${test.trials.length} answered`;
        const item = document.createElement("li");
        item.append(button(`Continue as ${one.listener} (${state})`, () => resume(restored(one.listener) ?? one)));
        if (one.answers.length) item.append(button(`Save the answers of ${one.listener}`, () => download(restored(one.listener) ?? one)));
        return item;
      }),
    );
  }
  function start(event) {
    event.preventDefault();
    const listener = find("#listener").value.trim();
    if (!listener) return warn("Give your id first.");
    resume(
      restored(listener) ?? {
        listener,
        equipment: find("#equipment").value,
        sheet: sheetOf(listener, test.sheets.length),
        started: new Date().toISOString(),
        finished: null,
        level: null,
        isTrained: false,
        answers: [],
        comment: "",
      },
    );
  }
  function resume(one) {
    warn("");
    session = one;
    if (store()) advance();
  }
  function advance() {
    const names = test.sheets[session.sheet].map((row) => namesOf(test.trials[row[0]], row.slice(1)));
    const count = session.answers.length;
    if (session.finished) return end();
    if (session.level === null) return level.begin();
    if (!session.isTrained) {
      begin(test.training.trial, test.training.order, "Practice", names[0]);
    } else if (count < test.trials.length) {
      const [index, ...order] = test.sheets[session.sheet][count];
      begin(test.trials[index], order, `Trial ${count + 1} of ${test.trials.length}`, names[count + 1]);
    } else {
      session.finished = new Date().toISOString();
      if (store()) end();
    }
  }

  // ---- level: music at the level of the test, then tones below it that must be audible

  const level = {
    source: null,
    request: 0, // number of the last request to play or to stop; music that loads later is not played
    tones: 0,
    tries: 0,
    begin() {
      showCourse("Level");
      Object.assign(this, { tones: 0, tries: 0 });
      find("#tones").value = "";
      show("level");
    },
    stop() {
      this.request += 1;
      this.source?.stop();
      this.source = null;
      find(".music").setAttribute("aria-pressed", false);
    },
    async toggleMusic() {
      const isPlaying = this.source !== null;
      this.stop();
      if (isPlaying) return;
      const { request } = this;
      let buffer;
      try {
        [buffer] = await buffersOf([test.training.trial.stimuli[0]]);
      } catch (error) {
        if (request === this.request) throw error;
      }
      if (request !== this.request) return;
      context.resume();
      this.source = new AudioBufferSourceNode(context, { buffer, loop: true });
      this.source.connect(context.destination);
      this.source.start();
      find(".music").setAttribute("aria-pressed", true);
    },
    playTones() {
      this.stop();
      context ??= new AudioContext();
      context.resume();
      this.tones = 2 + Math.floor(4 * Math.random());
      this.tries += 1;
      const peak = 10 ** ((test.loudness + 3 - TONE_BELOW_MUSIC) / 20); // a sine of peak 1 has -3 LUFS
      for (let i = 0; i < this.tones; i++) {
        const at = context.currentTime + 0.3 + 2.4 * i * TONE_SECONDS;
        const gain = new GainNode(context, { gain: 0 });
        const tone = new OscillatorNode(context, { frequency: TONE_HZ });
        tone.connect(gain).connect(context.destination);
        gain.gain.setValueAtTime(0, at);
        gain.gain.linearRampToValueAtTime(peak, at + 0.02);
        gain.gain.setValueAtTime(peak, at + TONE_SECONDS - 0.02);
        gain.gain.linearRampToValueAtTime(0, at + TONE_SECONDS);
        tone.start(at);
        tone.stop(at + TONE_SECONDS);
      }
    },
    finish() {
      const answered = find("#tones").valueAsNumber;
      if (!this.tones) return warn("Play the tones first.");
      if (!Number.isInteger(answered) || answered < 0 || answered > 99) return warn("Give the number of tones.");
      if (answered !== this.tones && this.tries < 3) {
        find("#tones").value = "";
        return warn("That is not the number of tones. Raise the volume a little if you can, and play them again.");
      }
      warn("");
      session.level = { tones: this.tones, answered, tries: this.tries };
      if (store()) advance();
    },
  };

  // ---- trials

  let current = null; // { trial, names, began, isPractice }

  async function begin(trial, order, title, next) {
    const names = namesOf(trial, order);
    const mine = session;
    current = null;
    player.stop();
    let buffers;
    try {
      buffers = await load(names);
    } catch (error) {
      if (session !== mine) return;
      return warn(`The audio of this trial cannot be loaded: ${error.message}.`, () => begin(trial, order, title, next));
    }
    if (session !== mine) return; // paused while the audio was loading
    player.begin(buffers);
    current = { trial, order: order.map((i) => trial.stimuli[i]), began: performance.now(), isPractice: !session.isTrained };
    showCourse(title);
    find(".trial h1").textContent = (current.isPractice ? "Practice: " : "") + test.question;
    find(".text").textContent = trial.text;
    find(".text").hidden = !trial.text;
    find(".comment").value = "";
    find(".remark").open = false;
    find(".feedback").textContent = "";
    find(".total").textContent = ` / ${clock(player.seconds)}`;
    warn(unstored.has(session.listener) ? UNSTORED : "");
    (isRated ? showRatings : showPair)();
    draw();
    show("trial");
    announce(title);
    if (next) load(next).catch(() => {}); // reported where it is needed
  }
  function stimulusButton(label, title, index) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "stimulus";
    button.setAttribute("aria-pressed", index === 0);
    button.setAttribute("aria-label", `Play ${title}`);
    button.textContent = label;
    button.onclick = () => player.choose(index);
    return button;
  }
  function showPair() {
    find(".stimuli").replaceChildren(...[...letters].map((letter, i) => stimulusButton(letter, letter, i)));
    findAll("[name=answer]").forEach((radio) => (radio.checked = false));
  }
  const wordOf = (rating) => ["Bad", "Poor", "Fair", "Good", "Excellent"][Math.min(4, Math.floor(rating / 20))];
  function showRatings() {
    find(".reference").setAttribute("aria-pressed", true);
    find(".reference").onclick = () => player.choose(0);
    find(".ratings").replaceChildren(
      ...current.order.map((_, i) => {
        const slider = document.createElement("input");
        const rating = Object.assign(document.createElement("span"), { className: "rating", textContent: "–" });
        Object.assign(slider, { type: "range", min: 0, max: 100, step: 1, value: 50 });
        slider.setAttribute("aria-label", `Rating of excerpt ${i + 1}`);
        slider.setAttribute("aria-valuetext", "not rated");
        const rate = () => {
          slider.dataset.rated = "yes";
          slider.setAttribute("aria-valuetext", `${slider.value}, ${wordOf(slider.value)}`);
          rating.textContent = slider.value;
        };
        slider.oninput = rate;
        slider.onclick = rate; // a click on the middle, where the slider is, gives no input event
        const row = document.createElement("li");
        row.append(stimulusButton(String(i + 1), `excerpt ${i + 1}`, i + 1), slider, rating);
        return row;
      }),
    );
    findAll(".ratings .stimulus")[0].setAttribute("aria-pressed", false);
  }
  const sliders = () => findAll(".ratings input");
  const labelOf = (index) => (isRated ? (index ? String(index) : "the reference") : letters[index]);

  /* Why a trial is not complete, or "". */
  function missing() {
    const count = current.order.length + (current.trial.reference ? 1 : 0);
    const unplayed = Array.from({ length: count }, (_, i) => i).filter((i) => !player.played.has(i));
    if (unplayed.length) return `Not played yet: ${unplayed.map(labelOf).join(", ")}.`;
    const unrated = sliders().flatMap((slider, i) => (slider.dataset.rated ? [] : [i + 1]));
    if (unrated.length) return `Not rated yet: ${unrated.join(", ")}.`;
    return !isRated && !find("[name=answer]:checked") ? "Choose an answer." : "";
  }
  function next() {
    if (!current) return;
    const fault = missing();
    if (fault) return (find(".feedback").textContent = fault);
    const chosen = isRated ? null : current.order[Number(find("[name=answer]:checked").value)];
    if (current.isPractice) return finishPractice(chosen);
    session.answers.push({
      trial: current.trial.name,
      order: current.order,
      chosen,
      ratings: isRated ? Object.fromEntries(current.order.map((name, i) => [name, Number(sliders()[i].value)])) : null,
      at: new Date().toISOString(),
      seconds: (performance.now() - current.began) / 1000,
      switches: player.switches,
      comment: find(".comment").value.trim(),
    });
    if (store()) advance();
  }
  function finishPractice(chosen) {
    if (test.training.answer && chosen !== test.training.answer) {
      find(".feedback").textContent = "Not right: the other one is X. Play X against both again, and change your answer.";
      return;
    }
    session.isTrained = true;
    if (!store()) return;
    announce("Practice done");
    advance();
  }

  // ---- end

  function end() {
    const count = session.answers.length;
    find(".outcome").textContent = `${count} of ${test.trials.length} trials answered as ${session.listener}. Save the result, and send the file to the experimenter.`;
    find("#remark").value = session.comment;
    find(".saved").textContent = "";
    show("end");
  }
  function save() {
    session.comment = find("#remark").value.trim();
    if (!store()) return;
    find(".saved").textContent = `Saved as ${download(session)}.`;
  }
  function download({ isTrained, ...kept }) {
    const result = { kind: "tonearm listening result", format: 1, test: test.digest, ...kept };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(result, null, 1)], { type: "application/json" }));
    const id = kept.listener.replace(/[^\p{L}\p{N}_-]+/gu, "-");
    link.download = `listening-${test.digest.slice(0, 8)}-${id}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    return link.download;
  }

  // ---- controls

  const hasShortcuts = shortcutsOf(find("#shortcuts"));
  let ownsSpace = false; // the space bar is down, and controls the player
  function key(event) {
    if (!hasShortcuts() || event.ctrlKey || event.metaKey || event.altKey || find(".trial").hidden || !current) return;
    const on = event.target;
    if (on.matches("textarea, summary")) return;
    // space and Enter act on the control that has the focus, unless it is chosen already
    const isChosen = on.matches(".stimulus[aria-pressed=true], [name=answer]:checked");
    const takesSpace = on.matches("button, [type=radio], [type=checkbox]") && !isChosen;
    const takesEnter = on.matches("button") && !(isChosen && player.playing);
    const takesArrows = on.matches("input[type=range]"); // radios have the vertical ones
    const pressed = event.key.toLowerCase();
    const place = isRated ? (pressed === "r" ? 0 : /^[0-9]$/.test(pressed) ? Number(pressed) : -1) : letters.toLowerCase().indexOf(pressed);
    if (event.repeat && !pressed.startsWith("arrow")) {
      if (ownsSpace) event.preventDefault();
      return;
    }
    if (pressed === " " && !takesSpace) {
      ownsSpace = true;
      player.setPlaying(!player.playing);
    } else if (pressed === "enter" && !takesEnter) next();
    else if (place >= 0 && place < findAll(".stimulus").length) {
      player.choose(place);
      (isRated && place > 0 ? sliders()[place - 1] : findAll(".stimulus")[place]).focus(); // which announces it
    } else if (!isRated && (pressed === "1" || pressed === "2")) {
      const answer = findAll("[name=answer]")[Number(pressed) - 1];
      answer.checked = true;
      answer.focus();
    } else if (pressed === "l") toggleLoop();
    else if (pressed === "[") setRegion(player.where(), player.region[1], true);
    else if (pressed === "]") setRegion(player.region[0], player.where(), true);
    else if (pressed === "arrowleft" && !takesArrows) player.seek(player.where() - SKIP_SECONDS);
    else if (pressed === "arrowright" && !takesArrows) player.seek(player.where() + SKIP_SECONDS);
    else return;
    event.preventDefault();
  }

  find(".start").onsubmit = start;
  find(".pause").onclick = welcome;
  find(".music").onclick = () => level.toggleMusic().catch((error) => warn(`The music cannot be played: ${error.message}.`));
  find(".tones").onclick = () => level.playTones();
  find(".leveled").onclick = () => level.finish();
  find(".play").onclick = () => player.setPlaying(!player.playing);
  find(".loop").onclick = toggleLoop;
  find(".seek").oninput = (event) => player.seek(Number(event.target.value) * player.seconds);
  find(".from").oninput = (event) => setRegion(Number(event.target.value), player.region[1]);
  find(".to").oninput = (event) => setRegion(player.region[0], Number(event.target.value));
  find(".next").onclick = next;
  find(".save").onclick = save;
  document.addEventListener("keydown", key);
  document.addEventListener("keyup", (event) => {
    if (event.key !== " ") return;
    if (ownsSpace) event.preventDefault(); // Firefox clicks a button when the bar is released
    ownsSpace = false;
  });
  window.addEventListener("storage", followStorage);
  document.addEventListener("click", (event) => {
    if (event.detail && event.target.closest(".player button, .stimulus, .answers")) document.activeElement?.blur(); // space plays again
  });
  find("#listener").value = (new URLSearchParams(location.search).get("listener") ?? "").slice(0, find("#listener").maxLength);
  document.documentElement.classList.add("scripted"); // shows the list of keys
  welcome();
})();
