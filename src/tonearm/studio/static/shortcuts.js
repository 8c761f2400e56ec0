// Single-key shortcuts of the page, which a checkbox switches off.

import { find } from "./dom.js";

const STORE = "tonearm-shortcuts";

/**
 * Listen to the keys of the page.
 * @param actions by key: called without an argument
 * @param focusKnob called with the index of a knob, from 0
 */
export function listenToKeys(actions, focusKnob) {
  const box = find("shortcuts");
  try {
    box.checked = localStorage.getItem(STORE) !== "off";
  } catch { /* storage may be switched off */ }
  box.addEventListener("change", () => {
    try {
      localStorage.setItem(STORE, box.checked ? "on" : "off");
    } catch { /* as above */ }
  });
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (!box.checked || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.matches("select, input:not([type=range], [type=radio], [type=checkbox], [type=file])")) return;
    if (event.key === " " && target.matches("button, summary, a, input:not([type=range])")) return; // it acts on the element
    const action = actions[event.key.toLowerCase()];
    if (/^[1-8]$/.test(event.key)) focusKnob(Number(event.key) - 1);
    else if (action) action();
    else return;
    event.preventDefault();
  });
}
