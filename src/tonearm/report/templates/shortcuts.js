/* Whether single-key shortcuts are on, as a function, by a checkbox; the browser keeps its state. */
function shortcutsOf(checkbox) {
  const NAME = "tonearm-shortcuts"; // as in the studio
  try {
    checkbox.checked = localStorage.getItem(NAME) !== "off";
  } catch { /* storage may be switched off */ }
  checkbox.onchange = () => {
    try {
      localStorage.setItem(NAME, checkbox.checked ? "on" : "off");
    } catch { /* as above */ }
  };
  return () => checkbox.checked;
}
