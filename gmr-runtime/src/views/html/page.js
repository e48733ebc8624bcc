// Filters and folds groups, and scrolls to the target of a link. Loads and sends nothing.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const groups = all("details.group");
  const filter = one("#filter"), state = one("#state"), matches = one("#matches");
  // The text of each element, collected when a filter first needs it.
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
      // A configuration group shows the rows that match, or all rows if its title matches.
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
  // The flame graph's width follows the window's, in pixels. Paper needs a relative width.
  addEventListener("beforeprint", () => {
    set_all(true);
    const drawing = one("#frames");
    if (drawing) drawing.setAttribute("width", "98%");
  });
  addEventListener("afterprint", () => dispatchEvent(new Event("resize")));

  // The target of a link can be in a folded group, or filtered out.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let place = target; place; place = place.parentElement) {
      if (place.tagName === "DETAILS") place.open = true;
      place.classList.remove("out");
    }
    // A section or a group can be taller than the window: scroll to its title. A name in a list is
    // easier to find in the middle of the window.
    target.scrollIntoView({ block: target.tagName === "SPAN" ? "center" : "start" });
  };
  addEventListener("hashchange", reveal);
  // A second click on the same link does not change the hash.
  addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link && link.hash && link.hash === location.hash) setTimeout(reveal);
  });
  // inferno's script binds Ctrl+F and F3 to the search in the flame graph. Leave them to the browser,
  // which searches the whole page.
  addEventListener("keydown", (event) => {
    if (event.key === "F3" || (event.ctrlKey && event.key.toLowerCase() === "f")) event.stopImmediatePropagation();
  }, true);
  one(".tools").hidden = false;
  reveal();
})();
