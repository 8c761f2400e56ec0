// Messages to the person who plays, in one place of the page.

import { find } from "./dom.js";

const SHOWN_MILLISECONDS = 12_000;

let shownAt = 0; // ms of the page's clock; 0 for a message that stays

/** Show a message; an error stays until the next message. */
export function showNotice(message, level = "info") {
  const box = find("notice");
  if (box.textContent !== message) box.textContent = message; // announced once
  box.dataset.level = level;
  shownAt = level === "error" ? 0 : performance.now();
}

/** Clear a message that was shown for long enough. */
export function clearOldNotice(now) {
  if (!shownAt || now - shownAt <= SHOWN_MILLISECONDS) return;
  showNotice("");
  shownAt = 0;
}
