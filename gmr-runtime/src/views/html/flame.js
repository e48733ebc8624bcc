// Shows the frames of a flame graph, and zooms into it. Knows nothing else of the page that it is in.
// Loads and sends nothing.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const flame = one(".flame");
  if (!flame) return;
  const frames = [...flame.querySelectorAll("button")], said = one("#frame");
  const all_stacks = one("#zoomed").value.replace("shown: ", "");
  let zoomed = null;
  // Where a frame is and how wide, in stacks, and its level.
  const place_of = (frame) => ["--x", "--w", "--y"].map((name) => Number(frame.style.getPropertyValue(name)));
  const zoom = (frame) => {
    one("#whole").disabled = !frame;
    one("#zoomed").value = `shown: ${frame ? frame.title : all_stacks}`;
    const [left, shown] = frame ? place_of(frame) : [0, Number(flame.style.getPropertyValue("--all"))];
    flame.style.setProperty("--left", left);
    flame.style.setProperty("--shown", shown);
    zoomed = frame;
  };
  const KEYS = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  // The nearest frame in a direction, of those that are in view.
  const beside = (frame, [dx, dy]) => {
    const [x, w, y] = place_of(frame), [from, shown] = zoomed ? place_of(zoomed) : [0, Infinity];
    const level = frames.filter((other) => {
      const [left, width, row] = place_of(other);
      return row === y + dy && left < from + shown && left + width > from;
    });
    if (dx) return level[level.indexOf(frame) + dx];
    return level.find((other) => {
      const [left, width] = place_of(other);
      return left < x + w && left + width > x;
    });
  };
  for (const id of ["#how", ".zoom"]) one(id).hidden = false;
  flame.setAttribute("aria-describedby", "width how");
  one("#whole").addEventListener("click", () => {
    // A button that is disabled loses the focus.
    zoomed?.focus();
    zoom(null);
  });
  const say = (event) => {
    const frame = event.target.closest("button");
    if (frame) said.textContent = frame.title;
  };
  // The Tab key leads to one frame, and from there on.
  const enter = (frame) => {
    for (const other of frames) if (other.tabIndex === 0) other.tabIndex = -1;
    frame.tabIndex = 0;
  };
  enter(frames[0]);
  flame.addEventListener("mouseover", say);
  flame.addEventListener("focusin", say);
  flame.addEventListener("focusin", (event) => enter(event.target));
  flame.addEventListener("click", (event) => {
    const frame = event.target.closest("button");
    if (frame) zoom(frame === zoomed ? null : frame);
  });
  flame.addEventListener("keydown", (event) => {
    const next = KEYS[event.key] && beside(event.target, KEYS[event.key]);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  // Wherever the focus is, unless the filter is cleared by it.
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && zoomed && !event.defaultPrevented) zoom(null);
  });
})();
