// Takes and audio input: downloads and uploads.

import { element, find } from "./dom.js";
import { showNotice } from "./notice.js";

const KEPT = 60_000; // ms, of an export after its download began
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

const items = new Map(); // number -> {key, item}

/**
 * Show the takes, the newest first; an unchanged one keeps its links and the focus.
 * @param longest seconds that a page can hold
 */
export function showTakes(takes, longest) {
  find("no-takes").hidden = takes.length > 0;
  const numbers = new Set(takes.map(({ number }) => number));
  for (const [number, { item }] of items) {
    if (numbers.has(number)) continue;
    item.remove();
    items.delete(number);
  }
  for (const take of takes) {
    const key = JSON.stringify(take);
    const known = items.get(take.number);
    if (known?.key === key) continue;
    const item = known?.item ?? element("li");
    item.replaceChildren(...partsOf(take, longest));
    if (!known) find("takes").prepend(item);
    items.set(take.number, { key, item });
  }
}

function partsOf({ number, prompt, seed, seconds, ready, fault, recorded }, longest) {
  const link = (kind, text, label) =>
    element("a", { href: `/export/${number}/${kind}.zip`, "aria-label": `${label} of take ${number}`, onclick: (event) => download(event, number, kind) }, text);
  const page = seconds > longest
    ? element("span", { class: "quiet", title: "A page holds the audio of both streams." }, `pages: ${longest} s at most`)
    : link("page", "Page", "A page to share");
  const sections = recorded.length ? `, ${recorded.length} recorded section${recorded.length > 1 ? "s" : ""}` : "";
  const state = ready
    ? element("span", { class: "files" }, link("wav", "WAV", "WAV files and sidecars"), link("flac", "FLAC", "FLAC files and sidecars"), page)
    : element("span", { class: "quiet" }, fault || "processing …");
  return [
    element("b", {}, String(number)),
    element("span", { class: "title" }, `“${prompt}”`, element("small", { class: "quiet" }, ` seed ${seed}${ready ? `, ${clock(seconds)}` : ""}${sections}`)),
    state,
  ];
}

/** Save an export; a click with a modifier is the browser's. */
async function download(event, number, kind) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const failed = "the export failed; try again";
  showNotice(`exporting take ${number} …`);
  try {
    const answer = await fetch(`/export/${number}/${kind}.zip`);
    if (!answer.ok) throw new Error((await answer.json()).message ?? failed);
    const url = URL.createObjectURL(await answer.blob());
    element("a", { href: url, download: `tonearm-${number}-${kind}.zip` }).click();
    setTimeout(() => URL.revokeObjectURL(url), KEPT);
    showNotice(`take ${number} was exported`);
  } catch (error) {
    showNotice(`take ${number}: ${error instanceof TypeError || error instanceof SyntaxError ? failed : error.message}`, "error"); // of the network, or of an answer that is not JSON
  }
}

/** Send a request about an audio input; a lost connection is an answer that is not ok. */
const request = (role, options) => fetch(`/uploads/${role}`, options).catch(() => Response.error());

/** Connect the file inputs and the drop area; `resume` lets the page sound. */
export function acceptAudio(takesMelody, resume) {
  find("melody-label").hidden = !takesMelody;
  const upload = async (role, file) => {
    if (!file) return;
    resume();
    showNotice(`uploading ${file.name} …`);
    const answer = await request(role, { method: "POST", body: file });
    const content = await answer.json().catch(() => ({ message: "the upload failed; try again" }));
    const hint = resume() ? "" : "; press Play to hear it"; // a file that was dropped does not let every browser sound
    if (answer.ok) showNotice((role === "melody" ? `following the melody of ${file.name}` : `continuing ${file.name} (${content.seconds.toFixed(1)} s)`) + hint);
    else showNotice(content.message, "error");
  };
  for (const [id, role] of [["continue-file", "continue_from"], ["melody-file", "melody"]]) {
    find(id).addEventListener("change", ({ target }) => {
      upload(role, target.files[0]);
      target.value = "";
    });
  }
  find("no-melody").addEventListener("click", async () => {
    if ((await request("melody", { method: "DELETE" })).ok) find("melody-file").focus(); // this button is hidden
    else showNotice("the melody could not be removed; try again", "error");
  });
  const area = find("drop");
  for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => event.preventDefault());
  document.addEventListener("dragover", () => area.classList.add("over"));
  document.addEventListener("dragleave", () => area.classList.remove("over"));
  document.addEventListener("drop", ({ dataTransfer }) => {
    area.classList.remove("over");
    upload("continue_from", dataTransfer.files[0]);
  });
}
