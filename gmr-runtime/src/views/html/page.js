// What the page does beyond what the browser does by itself: filter, fold, find what a link points at. It loads and sends nothing.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const groups = all("details.group");
  const filter = one("#filter"), state = one("#state"), matches = one("#matches");
  // Text that is looked through is put together once, when it is first needed.
  const texts = new Map();
  const text = (element) => {
    if (!texts.has(element)) texts.set(element, element.textContent.toLowerCase());
    return texts.get(element);
  };

  const states = new Set();
  for (const group of groups) for (const name of (group.dataset.states || "").split("|")) if (name) states.add(name);
  for (const name of [...states].sort()) state.append(new Option(name, name));

  const narrow = () => {
    const wanted = filter.value.trim().toLowerCase();
    let shown = 0;
    for (const group of groups) {
      const config = group.classList.contains("config");
      const in_state = !state.value || (!config && (group.dataset.states || "").split("|").includes(state.value));
      const matching = in_state && (!wanted || text(group).includes(wanted));
      group.classList.toggle("out", !matching);
      if (matching) shown += 1;
      // Of an option's group the rows that match; all of them where it is the group's name that does.
      const titled = config && text(group.querySelector("summary")).includes(wanted);
      for (const row of group.querySelectorAll("tr")) row.classList.toggle("out", !titled && !text(row).includes(wanted));
    }
    matches.value = wanted || state.value ? `${shown} of ${groups.length} groups` : "";
  };
  filter.addEventListener("input", narrow);
  state.addEventListener("change", narrow);

  const set_all = (open) => groups.forEach((group) => { group.open = open; });
  one("#unfold").addEventListener("click", () => set_all(true));
  one("#fold").addEventListener("click", () => set_all(false));
  // The drawing is as wide as the window was; a sheet of paper is not.
  addEventListener("beforeprint", () => {
    set_all(true);
    const drawing = one("#frames");
    if (drawing) drawing.setAttribute("width", "98%");
  });
  addEventListener("afterprint", () => dispatchEvent(new Event("resize")));

  // What a link points at may be folded.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let place = target; place; place = place.parentElement) {
      if (place.tagName === "DETAILS") place.open = true;
      place.classList.remove("out");
    }
    target.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", reveal);
  one(".tools").hidden = false;
  reveal();
})();
