// Small helpers for the document.

export const find = (id) => document.getElementById(id);

/** Make an element: attributes by name, `on...` as listeners, then children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else if (value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/**
 * Make nodes the children of a box, in this order. The one that holds the focus is not moved, because a
 * node that is moved loses it, and a drag ends.
 */
export function arrange(box, nodes) {
  let place = box.firstChild;
  const passed = (last) => {
    while (place !== last) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  };
  for (const node of nodes) {
    if (node.parentNode === box && node.contains(document.activeElement)) passed(node);
    if (node === place) place = place.nextSibling;
    else box.insertBefore(node, place);
  }
  passed(null);
}

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A canvas fitted to its size on the screen; returns its context and size in CSS pixels. */
export function fitted(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return { context, width, height };
}

/** A signed number with a true minus sign. */
export function signed(value, decimals) {
  const text = Math.abs(value).toFixed(decimals);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : "+") + text;
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
