// The studio's page: builds itself from the manifest, and shows the state of the session.

import { Output } from "./audio.js";
import { element, find, signed } from "./dom.js";
import { KnobRow, shown, showBudget } from "./knobs.js";
import { Midi } from "./midi.js";
import { Pad } from "./pad.js";
import { Research } from "./research.js";
import { Roll, Spectrum } from "./roll.js";
import { Spectra } from "./spectra.js";
import { acceptAudio, showTakes } from "./takes.js";
import { Wire } from "./wire.js";

const KEPT_SECONDS = 30; // of spectra
const MATCH_LIMIT = 12; // dB

const readManifest = async () => (await fetch("/manifest")).json();

/** Show why the page cannot start. */
function failStart(error) {
  say(`the page could not start: ${error.message}; load it again`, "error");
  throw error;
}

const manifest = await readManifest().catch(failStart);
const { sample_rate: rate, channels } = manifest.model;
const wire = new Wire(channels);
const spectra = new Spectra(rate, KEPT_SECONDS * 50);
const roll = new Roll(spectra);
const spectrum = new Spectrum(spectra);
const rows = new Map(); // knobs of the desk, by name
const output = new Output({ rate, channels }, showPlayer);
let state = null;
let latency = null;
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

let lastNotice = 0; // ms of the page's clock; 0 for a message that stays

function say(message, level = "info") {
  const box = find("notice");
  if (box.textContent !== message) box.textContent = message; // said once
  box.dataset.level = level;
  lastNotice = level === "error" ? 0 : performance.now(); // an error stays until the next message
}

const ask = (name, fields) => wire.command(name, fields);
const tell = (name, fields) => ask(name, fields).catch((error) => say(error.message, "error"));

// Controls ------------------------------------------------------------------------------------

const wanted = new Map(); // target -> value, sent with the next flush
const unanswered = new Map(); // target -> number of controls under way; an older state must not undo them
const CONTROL_PERIOD = 25; // ms between two flushes at least; controls act between chunks, which are longer
let flushed = -CONTROL_PERIOD;
function control(target, value, label) {
  if (!wanted.size) {
    const rest = flushed + CONTROL_PERIOD - performance.now();
    if (rest > 0 || document.hidden) setTimeout(flush, rest); // a hidden page has no frames
    else requestAnimationFrame(flush);
  }
  wanted.set(target, { value, label });
}
document.addEventListener("visibilitychange", () => document.hidden && flush());

function flush() {
  if (wanted.size) flushed = performance.now();
  for (const [target, { value, label }] of wanted) {
    const sent = performance.now();
    unanswered.set(target, (unanswered.get(target) ?? 0) + 1);
    const answered = () => unanswered.set(target, unanswered.get(target) - 1);
    wire.ask({ type: "control", target, value }).then(
      (applied) => {
        answered();
        landed(applied, label, sent);
      },
      (error) => {
        answered();
        say(error.message, "error");
        if (state) showControls(state.controls);
      },
    );
  }
  wanted.clear();
}

function landed({ target, value, sample }, label, sent) {
  if (state) state.controls[target] = value;
  if (sample == null) return;
  roll.mark(sample, target, label);
  if (output.status.playing && sent != null) {
    latency = performance.now() - sent + (1000 * (sample - output.position)) / rate;
    find("latency").textContent = `${Math.round(latency)} ms`;
  }
}

const isSettled = (target) => !wanted.has(target) && !unanswered.get(target);
const knobLabel = (knob, value) => `${knob.name} ${shown(knob, value)}`;

function turned(knob, value) {
  control(knob.target, value, knobLabel(knob, value));
  changedValues();
  midi.lastKnob = knob.name;
}

function changedValues() {
  showBudget(rows);
  pad?.show();
  research?.drawDose();
}

function labelOf(target, value) {
  const knob = manifest.knobs.find((one) => one.target === target);
  return knob ? knobLabel(knob, value) : `${target} ${value}`;
}

function showControls(controls) {
  for (const row of rows.values()) {
    if (!row.held && isSettled(row.knob.target)) row.show(controls[row.knob.target] ?? 0);
  }
  for (const { target } of manifest.settings) {
    const input = find(`setting-${target}`);
    if (input && isSettled(target)) showSetting(input, controls[target]);
  }
  changedValues();
}

// Desk ----------------------------------------------------------------------------------------

let midi = null;
let pad = null;
let research = null;

function buildDesk(names, playing) {
  const key = names.join();
  if (find("knobs").dataset.key !== key) {
    find("knobs").dataset.key = key;
    rows.clear();
    const none = manifest.knobs.length ? [] : [element("p", { class: "quiet" }, "This checkpoint has no knobs, because none of its vectors is calibrated.")];
    names.forEach((name, index) => rows.set(name, new KnobRow(manifest.knobs.find((knob) => knob.name === name), index + 1, turned)));
    find("knobs").replaceChildren(...none, ...[...rows.values()].map((row) => row.row), ...settings());
    pad?.fill();
  }
  for (const [name, row] of rows) row.waits(playing !== null && !playing.includes(name));
}

function showSetting(input, value) {
  input.value = value;
  input.nextElementSibling.textContent = Number(value).toFixed(2);
}

function settings() {
  return [element("div", { class: "settings" }, ...manifest.settings.map(({ target, label, low, high, step, default: value }) => {
    const input = element("input", { type: "range", id: `setting-${target}`, min: low, max: high, step, value, oninput: () => {
      input.nextElementSibling.textContent = Number(input.value).toFixed(2);
      control(target, Number(input.value), `${label.toLowerCase()} ${input.value}`);
    } });
    return element("label", { class: "field" }, label, input, element("span", { "aria-hidden": "true" }, Number(value).toFixed(2)));
  }))];
}

function buildChips() {
  const box = find("desk");
  box.replaceChildren(...manifest.knobs.map(({ name }) => {
    const input = element("input", { type: "checkbox", value: name, onchange: () => {
      const chosen = [...box.querySelectorAll("input:checked")].map((one) => one.value);
      ask("desk", { knobs: chosen }).catch((error) => {
        say(error.message, "error");
        input.checked = !input.checked;
      });
    } });
    return element("label", {}, input, element("span", {}, name));
  }));
}

function showChips(desk) {
  for (const input of find("desk").querySelectorAll("input")) input.checked = desk.includes(input.value);
}

// State ---------------------------------------------------------------------------------------

function showState(next) {
  const before = state;
  state = next;
  document.body.dataset.status = next.status;
  const isPlaying = next.status === "playing";
  const isHere = playsHere();
  find("play").classList.toggle("playing", isHere);
  find("play").setAttribute("aria-label", isHere ? "Stop" : "Play");
  find("play").disabled = next.status === "starting" || next.status === "ended";
  if (!promptIsEdited) find("prompt").value = next.prompt;
  if (document.activeElement !== find("seed")) find("seed").value = next.next_seed ?? "";
  if (before?.performance !== next.performance) seedIsTyped = false;
  find("playing-seed").textContent = isPlaying ? `playing: ${next.seed}` : "";
  find("lock").checked = next.seed_locked;
  find("record").setAttribute("aria-pressed", next.recording);
  find("record").lastElementChild.textContent = next.recording ? "Recording" : "Record";
  find("record").disabled = find("fork").disabled = find("loop").disabled = !isPlaying;
  showLoop(next.loop_bars);
  for (const input of document.querySelectorAll("input[name=ab]")) input.checked = input.value === next.listening;
  document.body.dataset.listening = next.listening;
  output.listen(next.listening === "plain");
  if (document.activeElement !== find("lead")) find("lead").value = next.lead;
  showLead(next.lead);
  output.prime(next.lead, next.mode);
  find("mode").textContent = { phrase: "in phrases", live: "live" }[next.mode] ?? "measuring …";
  find("speed").textContent = next.speed ? `${next.speed.toFixed(2)} × real time` : "–";
  buildDesk(isPlaying ? [...new Set([...next.playing_desk, ...next.desk])] : next.desk, isPlaying ? next.playing_desk : null);
  showChips(next.desk);
  showControls(next.controls);
  showIdentity(next.identity, isPlaying);
  research?.show(next.research);
  showTakes(next.takes, manifest.page_seconds, say);
  find("no-melody").hidden = !next.has_melody;
  if (before && before.run !== next.run) {
    output.stop(before.run);
    clearMeters();
  }
  if (before?.status === "playing" && !isPlaying) output.stop(next.run);
  for (const [name, row] of rows) row.showProjection(next.projections[name]);
  if (next.status !== "ended") failure = "";
  else say(`the session has ended${failure && ` (${failure})`}; start tonearm studio again`, "error");
  if (next.status === "ended") return;
  if (next.status === "starting") say("the speed of this machine is being measured …");
  else if (before?.status === "starting") say(next.mode === "phrase" ? `${next.speed ? `${next.speed.toFixed(2)} × real time: ` : ""}the music plays in phrases, and controls act in the next one` : "ready");
}

/** Show the bars of the loop; other clients can choose a number that the list does not have. */
function showLoop(bars) {
  const select = find("loop");
  const text = String(bars);
  if (select.value === text) return;
  if (![...select.options].some(({ value }) => value === text)) select.append(element("option", { value: text }, `${bars} bars`));
  select.value = text;
}

/** Whether the button stops the music: it plays, and this page sounds or cannot. */
const playsHere = () => state?.status === "playing" && (output.running || !output.isPossible);

function showLead(seconds) {
  find("lead").setAttribute("aria-valuetext", `${seconds.toFixed(2)} seconds`);
  find("lead-value").textContent = `${seconds.toFixed(2)} s`;
}

function showIdentity({ identical, seconds, differs_at: at, steered }, isPlaying) {
  const badge = find("identity");
  if (!seconds) badge.textContent = "not compared yet";
  else if (identical) badge.textContent = `identical to plain · ${steered.slice(0, 8)}`;
  else badge.textContent = `differs from plain from ${at.toFixed(1)} s on`;
  badge.dataset.state = seconds && identical ? "same" : "quiet";
  badge.title = identical ? "All samples of A and B are equal; this is the start of their sha256." : "A and B have different samples.";
  badge.hidden = !seconds && !isPlaying;
}

const SHOWN_EVERY = 100; // ms, of the player's counters
let shownAt = 0;

function showPlayer(status) {
  document.body.dataset.sounding = status.playing;
  if (performance.now() - shownAt < SHOWN_EVERY) return;
  shownAt = performance.now();
  find("buffer").textContent = `${Math.round((1000 * status.buffered) / rate)} ms`;
  const dropped = status.dropped ? `, ${status.dropped} samples dropped` : "";
  const skipped = status.skipped ? `, ${(status.skipped / rate).toFixed(1)} s skipped to keep up` : "";
  find("underruns").textContent = status.underruns + dropped + skipped;
  showLevels();
  if (status.playing) wire.send({ type: "report", buffer_ms: Math.round((1000 * status.buffered) / rate), underruns: status.underruns });
}

let difference = null; // loudness of A against B, in LU

function showMeters({ steered, plain }) {
  const number = (value, decimals, unit) => (value == null ? "–" : `${value.toFixed(decimals).replace("-", "−")} ${unit}`);
  const show = (name, decimals, unit, difference) => {
    find(`${name}-a`).textContent = number(steered[name], decimals, unit);
    find(`${name}-b`).textContent = number(plain[name], decimals, unit);
    find(`${name}-d`).textContent = steered[name] == null || plain[name] == null ? "–" : difference(steered[name], plain[name]);
  };
  show("tempo", 1, "BPM", (a, b) => `${signed(100 * (a / b - 1), 0)} %`);
  show("centroid", 0, "Hz", (a, b) => `${signed(12 * Math.log2(a / b), 1)} st`);
  show("loudness", 1, "LUFS", (a, b) => `${signed(a - b, 1)} LU`);
  difference = steered.loudness == null || plain.loudness == null ? null : steered.loudness - plain.loudness;
  output.match(Math.max(-MATCH_LIMIT, Math.min(MATCH_LIMIT, difference ?? 0)));
  showLevels();
}

/** Forget the readings of the last run, whose streams differed by another level. */
function clearMeters() {
  for (const name of ["tempo", "centroid", "loudness"]) for (const column of "abd") find(`${name}-${column}`).textContent = "–";
  difference = null;
  output.match(0);
  showLevels();
}

/** Show the gains that the player has set; where B has no headroom, A is lowered. */
function showLevels() {
  const [a, b] = output.levels;
  const gains = `B plays ${signed(b, 1)} dB${a < -0.05 ? `, A ${signed(a, 1)} dB` : ""}`;
  const level = find("level");
  const text = difference == null ? "Loudness is matched after the first measurement"
    : Math.abs(difference) > MATCH_LIMIT ? `loudness not matched: A is ${signed(difference, 1)} LU relative to B; ${gains}`
    : `loudness matched: ${gains}`;
  if (level.textContent !== text) level.textContent = text;
}

// Audio ---------------------------------------------------------------------------------------

function mono(channelRows) {
  if (channelRows.length === 1) return channelRows[0];
  return channelRows[0].map((value, i) => (value + channelRows[1][i]) / 2);
}

wire.addEventListener("audio", ({ detail }) => {
  if (detail.first !== spectra.at) roll.clear();
  const made = spectra.add(detail.first, [mono(detail.rows.slice(0, channels)), mono(detail.rows.slice(channels))]);
  roll.add(made);
});
let session = null;
wire.addEventListener("hello", ({ detail }) => {
  if (session && session !== detail.session) {
    location.reload(); // the studio was started again: another model, other samples
    return;
  }
  session = detail.session;
  showState(detail.state);
  beginAtOnce();
});
wire.addEventListener("state", ({ detail }) => {
  const wasStarting = state?.status === "starting";
  showState(detail.state);
  if (wasStarting) beginAtOnce();
});
wire.addEventListener("applied", ({ detail }) => {
  if (detail.seq != null) return; // its own answer is handled where it was sent
  landed(detail, labelOf(detail.target, detail.value));
  if (state) showControls(state.controls);
});
wire.addEventListener("prompt", ({ detail }) => roll.mark(detail.sample, "prompt", `“${detail.text}”`));
wire.addEventListener("meters", ({ detail }) => {
  if (!state || detail.sample > state.start) showMeters(detail); // else a late one of the last performance
});
let failure = ""; // the last error of the session, shown beside its end
wire.addEventListener("notice", ({ detail }) => {
  if (detail.level === "error") failure = detail.message;
  say(detail.message, detail.level);
});
wire.addEventListener("link", ({ detail }) => {
  if (find("link").textContent === detail) return; // another attempt is no news
  find("link").textContent = detail;
  find("link").dataset.state = detail;
});

let hasBegun = false; // or another client plays, or has stopped

/** Begin the first performance as soon as the browser allows audio, which some report only after a delay. */
function beginAtOnce() {
  if (hasBegun || !state || state.status === "starting") return;
  if (state.status === "stopped" && !output.running) return;
  hasBegun = true;
  if (state.status === "stopped" && state.performance === 0) begin(); // else somebody has stopped it
}

/** Let the page sound, at the action of a person; false where the browser does not let it yet. */
function resume() {
  output.resume().catch(() => {});
  return output.running || !output.isPossible;
}

async function begin() {
  hasBegun = true;
  await output.resume();
  if (state?.status === "stopped") await tell("play", { after: state.performance }); // another page may have begun since
  else if (state) {
    output.play();
    showState(state);
  }
}

async function playOrStop() {
  if (playsHere()) {
    output.stop(state.run);
    await ask("stop").catch((error) => {
      output.play(); // the music continues
      say(error.message, "error");
    });
  } else await begin();
}

// Inputs --------------------------------------------------------------------------------------

find("play").addEventListener("click", playOrStop);
let promptIsEdited = false; // a state must not undo what a person types
find("prompt").addEventListener("input", () => (promptIsEdited = true));
find("prompt").addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || !state) return;
  promptIsEdited = false;
  find("prompt").value = state.prompt;
});
find("prompt-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find("prompt").value;
  ask("prompt", { text }).then(
    () => (promptIsEdited = find("prompt").value !== text),
    (error) => say(error.message, "error"), // the text stays, to be corrected
  );
  find("prompt").blur();
});
for (const input of document.querySelectorAll("input[name=ab]")) {
  input.addEventListener("change", () => listenTo(input.value));
}
function listenTo(to) {
  output.listen(to === "plain"); // at once; the session echoes it to the other clients
  tell("ab", { to });
}
find("loop").addEventListener("change", () => tell("loop", { bars: Number(find("loop").value) }));
find("fork").addEventListener("click", () => tell("fork"));
find("record").addEventListener("click", () => tell("record", { on: !state?.recording }));
let seedIsTyped = false; // for the next performance
const setSeed = (seed) => tell("seed", { seed, locked: find("lock").checked });
const seedOfField = () => (find("seed").value === "" ? null : Number(find("seed").value));
find("seed").addEventListener("change", () => {
  seedIsTyped = seedOfField() !== null;
  setSeed(seedOfField());
});
// a lock keeps the seed of the field, or else the one that plays; without it the next one is random, unless it was typed
find("lock").addEventListener("change", ({ target }) => setSeed(target.checked || seedIsTyped ? seedOfField() : null));
find("lead").addEventListener("input", () => {
  showLead(Number(find("lead").value));
  tell("lead", { seconds: Number(find("lead").value) });
});
find("zero").addEventListener("click", () => rows.forEach((row) => row.set(0)));

const SHORTCUTS = "tonearm-shortcuts";
try {
  find("shortcuts").checked = localStorage.getItem(SHORTCUTS) !== "off";
} catch { /* storage may be switched off */ }
find("shortcuts").addEventListener("change", ({ target }) => {
  try {
    localStorage.setItem(SHORTCUTS, target.checked ? "on" : "off");
  } catch { /* as above */ }
});

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (!find("shortcuts").checked || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.matches("select, input:not([type=range], [type=radio], [type=checkbox], [type=file])")) return;
  const keys = {
    x: () => listenTo(state?.listening === "plain" ? "steered" : "plain"),
    l: () => tell("loop", { bars: state?.loop_seconds ? 0 : 2 }),
    f: () => tell("fork"),
    r: () => tell("record", { on: !state?.recording }),
  };
  if (event.key === " ") {
    if (target.matches("button, summary, a, input:not([type=range])")) return; // it acts on the element
    playOrStop();
  }
  else if (/^[1-8]$/.test(event.key)) [...rows.values()][Number(event.key) - 1]?.input.focus();
  else if (keys[event.key.toLowerCase()]) keys[event.key.toLowerCase()]();
  else return;
  event.preventDefault();
});

// Drawing -------------------------------------------------------------------------------------

const QUIET_PERIOD = 500; // ms between two drawings with reduced motion
let drawn = 0;
function draw(now) {
  requestAnimationFrame(draw);
  if (stillness.matches && now - drawn < QUIET_PERIOD) return;
  drawn = now;
  const position = Math.min(output.status.position || spectra.at, spectra.at);
  roll.draw(position, state?.listening === "plain" ? 1 : 0);
  spectrum.draw(position);
  if (lastNotice && now - lastNotice > 12000) {
    say("");
    lastNotice = 0;
  }
}

async function start() {
  find("model").textContent = `${manifest.model.name} · ${manifest.model.licence}`;
  find("version").textContent = `Tonearm ${manifest.version}`;
  midi = new Midi(rows, say);
  buildDesk([], null);
  buildChips();
  pad = new Pad(rows);
  research = new Research(find("research"), manifest, rows, ask, say, resume);
  acceptAudio(manifest.model.takes_melody, say, resume);
  await output.open(beginAtOnce);
  find("no-sound").hidden = output.isPossible;
  output.context?.addEventListener("statechange", () => state && showState(state));
  wire.connect(output.feed);
  requestAnimationFrame(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => research.redraw());
}

await start().catch(failStart);

// for tests and for the curious
window.tonearm = { manifest, wire, output, rows, get session() { return session; }, get state() { return state; }, get latency() { return latency; }, roll };
