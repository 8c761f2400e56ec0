// The studio's page: builds itself from the manifest, and shows the state of the session.

import { Output } from "./audio.js";
import { ServerConnection } from "./connection.js";
import { Controls } from "./controls.js";
import { Desk } from "./desk.js";
import { find } from "./dom.js";
import { shown } from "./knobs.js";
import { Meters } from "./meters.js";
import { Midi } from "./midi.js";
import { clearOldNotice, showNotice } from "./notice.js";
import { Pad } from "./pad.js";
import { Research } from "./research.js";
import { Roll, Spectrum } from "./roll.js";
import { listenToKeys } from "./shortcuts.js";
import { Spectra } from "./spectra.js";
import { acceptAudio, showTakes } from "./takes.js";
import { Transport } from "./transport.js";

const KEPT_SECONDS = 30; // of spectra
const COUNTERS_PERIOD = 100; // ms between two views of the player's counters
const STILL_PERIOD = 500; // ms between two drawings with reduced motion

const readManifest = async () => (await fetch("/manifest")).json();

/** Show why the page cannot start. */
function failStart(error) {
  showNotice(`the page could not start: ${error.message}; load it again`, "error");
  throw error;
}

const manifest = await readManifest().catch(failStart);
const { sample_rate: rate, channels } = manifest.model;
const connection = new ServerConnection(channels);
const request = (name, fields) => connection.command(name, fields);
const spectra = new Spectra(rate, KEPT_SECONDS * 50);
const roll = new Roll(spectra);
const spectrum = new Spectrum(spectra);
const output = new Output({ rate, channels }, showPlayer);
const meters = new Meters(output);
const controls = new Controls(connection, showApplied, refuseControl);
const desk = new Desk(
  manifest,
  moveKnob,
  ({ target, label }, value) => controls.set(target, value, `${label.toLowerCase()} ${value}`),
  (knobs) => request("desk", { knobs }),
);
const transport = new Transport(connection, output, () => state && showState(state));
const midi = new Midi(desk.rows);
const stillness = matchMedia("(prefers-reduced-motion: reduce)");
let pad = null; // both need the knobs
let research = null;
let state = null; // the newest one of the session
let session = null; // its id
let latency = null; // ms, of the last control
let failure = ""; // the last error of the session, shown beside its end

// Controls ------------------------------------------------------------------------------------

const knobLabel = (knob, value) => `${knob.name} ${shown(knob, value)}`;

function moveKnob(knob, value) {
  controls.set(knob.target, value, knobLabel(knob, value));
  midi.lastKnob = knob.name;
  desk.showBudget();
  showValues();
}

/** Show the values of the knobs in the pad and in the response of the research pane. */
function showValues() {
  pad?.show();
  research?.drawDose();
}

/** Show a control that took effect; `sent` is the time at which this page sent it, if it did. */
function showApplied({ target, value, sample }, label, sent) {
  if (state) state.controls[target] = value;
  if (sample == null) return;
  roll.mark(sample, target, label);
  if (output.status.playing && sent != null) {
    latency = performance.now() - sent + (1000 * (sample - output.position)) / rate;
    find("latency").textContent = `${Math.round(latency)} ms`;
  }
}

function refuseControl(error) {
  showNotice(error.message, "error");
  if (state) showControls();
}

function labelOf(target, value) {
  const knob = manifest.knobs.find((one) => one.target === target);
  return knob ? knobLabel(knob, value) : `${target} ${value}`;
}

function showControls() {
  desk.show(state.controls, (target) => controls.isSettled(target));
  showValues();
}

// State ---------------------------------------------------------------------------------------

function showState(next) {
  const before = state;
  state = next;
  document.body.dataset.status = next.status;
  const isPlaying = next.status === "playing";
  transport.show(next);
  find("mode").textContent = { phrase: "in phrases", live: "live" }[next.mode] ?? "measuring …";
  find("speed").textContent = next.speed ? `${next.speed.toFixed(2)} × real time` : "–";
  const names = isPlaying ? [...new Set([...next.playing_desk, ...next.desk])] : next.desk;
  if (desk.build(names, isPlaying ? next.playing_desk : null)) pad?.fill();
  desk.showChoice(next.desk);
  showControls();
  showIdentity(next.identity, isPlaying);
  research?.show(next.research);
  showTakes(next.takes, manifest.page_seconds);
  find("no-melody").hidden = !next.has_melody;
  if (before && before.run !== next.run) meters.clear();
  for (const [name, row] of desk.rows) row.showProjection(next.projections[name]);
  showStatus(next, before);
}

/** Show the start and the end of the session. */
function showStatus({ status, mode, speed }, before) {
  if (status === "ended") {
    showNotice(`the session has ended${failure && ` (${failure})`}; start tonearm studio again`, "error");
    return;
  }
  failure = "";
  if (status === "starting") showNotice("the speed of this machine is being measured …");
  else if (before?.status === "starting") {
    const measured = speed ? `${speed.toFixed(2)} × real time: ` : "";
    showNotice(mode === "phrase" ? `${measured}the music plays in phrases, and controls act in the next one` : "ready");
  }
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

// Audio ---------------------------------------------------------------------------------------

let countersAt = 0;

function showPlayer(status) {
  document.body.dataset.sounding = status.playing;
  if (performance.now() - countersAt < COUNTERS_PERIOD) return;
  countersAt = performance.now();
  const buffered = Math.round((1000 * status.buffered) / rate);
  find("buffer").textContent = `${buffered} ms`;
  const dropped = status.dropped ? `, ${status.dropped} samples dropped` : "";
  const skipped = status.skipped ? `, ${(status.skipped / rate).toFixed(1)} s skipped to keep up` : "";
  find("underruns").textContent = status.underruns + dropped + skipped;
  meters.showLevels();
  if (status.playing) connection.send({ type: "report", buffer_ms: buffered, underruns: status.underruns });
}

function mono(channelRows) {
  if (channelRows.length === 1) return channelRows[0];
  return channelRows[0].map((value, i) => (value + channelRows[1][i]) / 2);
}

let drawnAt = 0;

function draw(now) {
  requestAnimationFrame(draw);
  if (stillness.matches && now - drawnAt < STILL_PERIOD) return;
  drawnAt = now;
  const position = Math.min(output.status.position || spectra.at, spectra.at);
  roll.draw(position, state?.listening === "plain" ? 1 : 0);
  spectrum.draw(position);
  clearOldNotice(now);
}

// Messages of the server ----------------------------------------------------------------------

connection.addEventListener("audio", ({ detail }) => {
  if (detail.first !== spectra.at) roll.clear();
  roll.add(spectra.add(detail.first, [mono(detail.rows.slice(0, channels)), mono(detail.rows.slice(channels))]));
});
connection.addEventListener("hello", ({ detail }) => {
  if (session && session !== detail.session) {
    location.reload(); // the studio was started again: another model, other samples
    return;
  }
  session = detail.session;
  showState(detail.state);
  transport.beginAtOnce();
});
connection.addEventListener("state", ({ detail }) => {
  const wasStarting = state?.status === "starting";
  showState(detail.state);
  if (wasStarting) transport.beginAtOnce();
});
connection.addEventListener("applied", ({ detail }) => {
  if (detail.seq != null) return; // its own answer is handled where it was sent
  showApplied(detail, labelOf(detail.target, detail.value));
  if (state) showControls();
});
connection.addEventListener("prompt", ({ detail }) => roll.mark(detail.sample, "prompt", `“${detail.text}”`));
connection.addEventListener("meters", ({ detail }) => {
  if (!state || detail.sample > state.start) meters.show(detail); // else a late one of the last performance
});
connection.addEventListener("notice", ({ detail }) => {
  if (detail.level === "error") failure = detail.message;
  showNotice(detail.message, detail.level);
});
connection.addEventListener("link", ({ detail }) => {
  if (find("link").textContent === detail) return; // another attempt is no news
  find("link").textContent = detail;
  find("link").dataset.state = detail;
});

async function start() {
  find("model").textContent = `${manifest.model.name} · ${manifest.model.licence}`;
  find("version").textContent = `Tonearm ${manifest.version}`;
  find("zero").addEventListener("click", () => desk.rows.forEach((row) => row.set(0)));
  desk.build([], null);
  pad = new Pad(desk.rows);
  research = new Research(find("research"), manifest, desk.rows, request, () => transport.resume());
  acceptAudio(manifest.model.takes_melody, () => transport.resume());
  listenToKeys(transport.actions, (index) => [...desk.rows.values()][index]?.input.focus());
  await output.open(() => transport.beginAtOnce());
  find("no-sound").hidden = output.isPossible;
  output.context?.addEventListener("statechange", () => state && showState(state));
  connection.connect(output.feed);
  requestAnimationFrame(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => research.redraw());
}

await start().catch(failStart);

// for tests and for the curious
window.tonearm = { manifest, connection, output, rows: desk.rows, get session() { return session; }, get state() { return state; }, get latency() { return latency; }, roll };
