// Zooms into the flame graph, and unfolds the target of a link. Loads and sends nothing.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target?.tagName !== "DETAILS") return;
    target.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  const flame = one(".flame"), frames = [...document.querySelectorAll(".flame button")], said = one("#frame");
  if (!flame) return;
  const place_of = (frame) => ["--x", "--w", "--y"].map((name) => Number(frame.style.getPropertyValue(name)));
  const all_stacks = one("#zoomed").value;
  let zoomed = null;
  const zoom = (frame) => {
    const [left, shown] = frame ? place_of(frame) : [0, Number(flame.style.getPropertyValue("--all"))];
    flame.style.setProperty("--left", left);
    flame.style.setProperty("--shown", shown);
    one("#whole").disabled = !frame;
    one("#zoomed").value = frame ? `shown: ${frame.title}` : all_stacks;
    zoomed = frame;
  };
  const say = (event) => {
    const frame = event.target.closest("button");
    if (frame) said.textContent = frame.title;
  };
  // The nearest frame in a direction, of those that are in view.
  const KEYS = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
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
  one("#whole").addEventListener("click", () => {
    // A button that is disabled loses the focus.
    zoomed?.focus();
    zoom(null);
  });
  flame.addEventListener("mouseover", say);
  flame.addEventListener("focusin", say);
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
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && zoomed) zoom(null);
  });
})();
