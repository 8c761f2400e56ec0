// Takes and audio in: downloads, uploads.

import { element, find } from "./dom.js";

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export function showTakes(takes) {
  find("no-takes").hidden = takes.length > 0;
  const list = find("takes");
  const key = JSON.stringify(takes);
  if (list.dataset.key === key) return; // an unchanged list keeps the focus
  list.dataset.key = key;
  list.replaceChildren(...takes.toReversed().map(take));
}

function take({ number, prompt, seed, seconds, ready, fault, recorded }) {
  const link = (kind, text, label) => element("a", { href: `/export/${number}/${kind}.zip`, download: "", "aria-label": `${label} of take ${number}` }, text);
  const sections = recorded.length ? `, ${recorded.length} recorded section${recorded.length > 1 ? "s" : ""}` : "";
  const state = ready
    ? element("span", { class: "files" }, link("wav", "WAV", "WAV files and sidecars"), link("flac", "FLAC", "FLAC files and sidecars"), link("page", "Page", "A page to share"))
    : element("span", { class: "quiet" }, fault || "is being completed …");
  return element("li", {},
    element("b", {}, String(number)),
    element("span", { class: "title" }, `“${prompt}”`, element("small", { class: "quiet" }, ` seed ${seed}${ready ? `, ${clock(seconds)}` : ""}${sections}`)),
    state);
}

/** Send a request about an audio input; a lost connection is an answer that is not ok. */
const request = (role, options) => fetch(`/uploads/${role}`, options).catch(() => Response.error());

/** Wire the file inputs and the drop area; `say` shows messages. */
export function acceptAudio(takesMelody, say) {
  find("melody-label").hidden = !takesMelody;
  const upload = async (role, file) => {
    if (!file) return;
    say(`${file.name} is being read …`);
    const answer = await request(role, { method: "POST", body: file });
    const content = await answer.json().catch(() => ({ message: "the upload failed; try again" }));
    if (answer.ok) say(role === "melody" ? `follows the melody of ${file.name}` : `continues ${file.name} (${content.seconds.toFixed(1)} s)`);
    else say(content.message, "error");
  };
  for (const [id, role] of [["continue-file", "continue_from"], ["melody-file", "melody"]]) {
    find(id).addEventListener("change", ({ target }) => {
      upload(role, target.files[0]);
      target.value = "";
    });
  }
  find("no-melody").addEventListener("click", async () => {
    if (!(await request("melody", { method: "DELETE" })).ok) say("the melody could not be removed; try again", "error");
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
