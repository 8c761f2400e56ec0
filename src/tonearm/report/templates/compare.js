"use strict";
(() => {
  const SKIP_SECONDS = 1;
  const seconds = Number(document.body.dataset.seconds);
  const find = (selector) => document.querySelector(selector);
  const findAll = (selector) => [...document.querySelectorAll(selector)];

  // Two engines, one interface: play(position), pause(), position(), select(index), loop(region or
  // null), and the callback onend; that of Web Audio is in mixer.js.

  /* One <audio> element at a time; a switch may leave a gap of some milliseconds. */
  function elementEngine(elements, index) {
    const engine = { name: "elements", onend: null };
    let playing = false;
    elements.forEach((element) => {
      element.preload = "auto";
      element.onended = () => engine.onend();
    });
    engine.position = () => Math.min(elements[index].currentTime, seconds);
    engine.pause = () => {
      playing = false;
      elements[index].pause();
    };
    engine.play = (position) => {
      playing = true;
      elements[index].currentTime = position;
      elements[index].play().catch(() => {}); // rejected where a pause comes before playback, which needs no handling
    };
    engine.select = (next) => {
      const position = engine.position();
      elements[index].pause();
      index = next;
      if (playing) engine.play(position);
    };
    engine.loop = (region) => elements.forEach((element) => (element.loop = region !== null));
    return engine;
  }

  async function decoded(context, element) {
    const text = atob(element.getAttribute("src").split(",")[1]);
    return context.decodeAudioData(Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer);
  }

  async function bestEngine(elements) {
    try {
      const context = new AudioContext();
      const buffers = await Promise.all(elements.map((element) => decoded(context, element)));
      return mixerEngine(context, padded(context, buffers));
    } catch (error) {
      console.info("no WebAudio, falling back to audio elements:", error.message);
      return elementEngine(elements, 0);
    }
  }

  function controls(engine) {
    const [play, loop, seek, now, takes] = [".play", ".loop", ".seek", ".now", ".takes"].map(find);
    const [cards, choices, numbers, plots] = [".take", ".choice", ".number", ".plot"].map(findAll);
    let index = 0;
    let playing = false;
    let position = 0; // while paused; the engine has it while playing

    const where = () => (playing ? engine.position() : position);
    function draw() {
      const at = where();
      takes.style.setProperty("--position", at / seconds);
      now.textContent = clock(at);
      seek.value = at;
      seek.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${seconds.toFixed(1)} seconds`);
    }
    function follow() {
      if (!playing) return;
      draw();
      requestAnimationFrame(follow);
    }
    function setPlaying(on) {
      position = where();
      if (on && position >= seconds - 0.01) position = 0;
      if (on) engine.play(position);
      else engine.pause();
      if (on && !playing) requestAnimationFrame(follow);
      playing = on;
      document.body.classList.toggle("playing", on);
      play.setAttribute("aria-label", on ? "Pause" : "Play");
      draw();
    }
    function seekTo(target) {
      position = Math.min(Math.max(target, 0), seconds);
      if (playing) engine.play(Math.min(position, seconds - 0.001)); // a source does not start at the very end
      draw();
    }
    function choose(next) {
      if (next === index || next >= cards.length) return;
      index = next;
      engine.select(index);
      cards.forEach((card, i) => card.classList.toggle("selected", i === index));
      choices.forEach((choice, i) => choice.setAttribute("aria-pressed", i === index));
      find(".announcement").textContent = `Take ${choices[index].textContent.trim()}`;
    }
    function toggleLoop() {
      const on = loop.getAttribute("aria-pressed") !== "true";
      loop.setAttribute("aria-pressed", on);
      engine.loop(on ? [0, seconds] : null);
    }
    engine.onend = () => {
      setPlaying(false);
      position = seconds;
      draw();
    };

    play.onclick = () => setPlaying(!playing);
    loop.onclick = toggleLoop;
    seek.oninput = () => seekTo(Number(seek.value));
    choices.forEach((button, i) => (button.onclick = () => choose(i)));
    const playTake = (i) => {
      choose(i);
      if (!playing) setPlaying(true);
    };
    numbers.forEach((button, i) => (button.onclick = () => playTake(i)));
    plots.forEach((plot, i) => {
      plot.onclick = (event) => {
        const box = plot.getBoundingClientRect();
        seekTo(((event.clientX - box.left) / box.width) * seconds);
        playTake(i);
      };
    });
    document.addEventListener("click", (event) => {
      if (event.detail) document.activeElement?.blur(); // after a click, the space bar controls the player again
    });
    const hasShortcuts = shortcutsOf(find("#shortcuts"));
    document.addEventListener("keydown", (event) => {
      if (!hasShortcuts() || event.ctrlKey || event.metaKey || event.altKey) return;
      const onControl = event.target.closest("button, a, input:not([type=range])"); // space activates a focused control
      if (event.key === " " && !onControl) setPlaying(!playing);
      else if (event.key === "ArrowLeft") seekTo(where() - SKIP_SECONDS);
      else if (event.key === "ArrowRight") seekTo(where() + SKIP_SECONDS);
      else if (event.key === "l" || event.key === "L") toggleLoop();
      else if (/^[1-9]$/.test(event.key)) choose(Number(event.key) - 1);
      else return;
      event.preventDefault();
    });

    find(".total").textContent = ` / ${clock(seconds)}`;
    [play, ...numbers].forEach((button) => (button.disabled = false));
    draw();
  }

  document.documentElement.classList.add("scripted");
  find(".transport").hidden = false;
  bestEngine(findAll("audio")).then((engine) => {
    controls(engine);
    document.documentElement.dataset.player = engine.name;
  });
})();
