// Filters, folds and copies what the page shows, compares the report with another, and scrolls to the
// target of a link. Loads and sends nothing.
"use strict";
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const made = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const nav = one("nav"), filter = one("#filter"), state = one("#state"), libraries = one("#libraries");
  const groups = all("details.group"), frames = all(".flame button");
  // The text of each element, collected when a filter first needs it. On cards, what names others is
  // apart: who looks for a thread finds it before the cards of those that wait for it.
  const texts = new Map(), OTHERS = ".about :is(a, details)";
  const texts_of = (element) => {
    if (!texts.has(element)) {
      const whole = element.textContent.toLowerCase();
      let own = whole;
      if (one(OTHERS, element)) {
        const copy = element.cloneNode(true);
        for (const other of all(OTHERS, copy)) other.remove();
        own = copy.textContent.toLowerCase();
      }
      texts.set(element, { own, whole });
    }
    return texts.get(element);
  };
  const text = (element) => texts_of(element).own;
  const states_of = (row) => (row.dataset.states || "").split("|");

  const states = new Set(groups.flatMap(states_of).filter((name) => name));
  for (const name of [...states].sort()) state.append(new Option(name, name));

  // What is shown or not as a whole, by section: groups of threads and tasks, and otherwise rows.
  const GROUP = "details[data-states]", ROWS = ".findings > li, dl > div, tr, pre, .process, .list > li, p";
  const parts = all("main section").map((section) => {
    // What is written about the drawing is not data.
    const rows = section.id === "stacks" ? [] : all(`${GROUP}, :is(${ROWS}):not(${GROUP} *)`, section).filter((row) => !row.parentElement.closest(ROWS));
    const folded = all("details.group:not([data-states])", section), blocks = all(".block", section);
    return { section, title: one("h2", section), rows, folded, blocks };
  });

  // The places that match: a row, or a line of one that is a text; then the rows that mention it
  // where they name others.
  let hits = [], current = 0;
  // How many frames of the drawing match, which are shown there.
  let drawn = 0;
  // What a link has led to although it is filtered out, for the line that counts the matches.
  let unfiltered = "";
  // What was unfolded to show the current one.
  let unfolded = [];
  const wanted = () => filter.value.trim().toLowerCase();
  const is_filtered = () => Boolean(wanted() || state.value);
  const quoted = () => [filter.value.trim(), state.value].filter((text) => text).map((text) => `“${text}”`).join(" and ");
  // What is sought: the text as it is, or each of its words if nothing has it as a whole.
  let sought = [];
  const has = (text) => sought.every((word) => text.includes(word));
  const narrow = () => {
    const whole = wanted(), words = whole.split(/\s+/);
    sought = whole ? [whole] : [];
    look();
    if (hits.length || drawn || words.length < 2) return;
    sought = words;
    look();
  };
  const look = () => {
    const narrows = is_filtered(), mentions = [];
    hits = [];
    unfiltered = "";
    drawn = 0;
    for (const frame of frames) {
      const hit = Boolean(sought.length) && has(text(frame));
      frame.classList.toggle("hit", hit);
      drawn += Number(hit);
    }
    for (const { section, title, rows, folded, blocks } of parts) {
      const titled = sought.length && !state.value && has(text(title));
      if (titled) hits.push({ row: title });
      let shown = Number(titled);
      for (const row of rows) {
        const in_state = !state.value || states_of(row).includes(state.value);
        const group = row.dataset.states === undefined && sought.length && row.closest("details.group");
        const in_titled = titled || (group && has(text(one("summary", group))));
        const found = in_state && narrows ? found_in(row) : [];
        if (found[0]?.mentioned) mentions.push(...found);
        else hits.push(...found);
        const matching = !narrows || found.length || (in_state && in_titled);
        row.classList.toggle("out", !matching);
        if (matching) shown += 1;
      }
      for (const group of folded) group.classList.toggle("out", narrows && !one(":is(tr, pre, p):not(.out)", group));
      // What is in a block that is out is not styled at all.
      for (const block of blocks) block.classList.toggle("out", narrows && !one(":scope > details:not(.out)", block));
      section.classList.toggle("out", narrows && !shown && !(drawn && section.id === "stacks"));
    }
    hits.push(...mentions);
    nav.classList.toggle("stuck", narrows);
    one(".found").hidden = !narrows;
    pad();
  };
  // The places in a row that match.
  const found_in = (row) => {
    const { own, whole } = texts_of(row);
    if (has(own)) return row.tagName === "PRE" ? lines(row, own) : [{ row }];
    // Most cards name no others.
    return whole !== own && has(whole) ? [{ row, mentioned: true }] : [];
  };
  const lines = (row, whole) => {
    const found = [];
    let start = 0;
    for (const line of whole.split("\n")) {
      if (has(line)) found.push({ row, at: start + line.indexOf(sought[0]) });
      start += line.length + 1;
    }
    return found;
  };

  // Where what is sought is in a row, as ranges. It can be in several nodes: a line of a sentence is
  // broken between the names of a path.
  const ranges = ({ row, mentioned }, most) => {
    const found = [], nodes = [], walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
    let whole = "";
    while (sought.length && walker.nextNode()) {
      const node = walker.currentNode, lower = node.data.toLowerCase();
      if (!mentioned && node.parentElement.closest(OTHERS)) continue;
      nodes.push({ node, from: whole.length });
      // Some letters are longer in lower case.
      whole += lower.length === node.data.length ? lower : node.data;
    }
    for (const word of sought) {
      let start = 0, end = 0;
      for (let at = whole.indexOf(word); at >= 0 && found.length < most; at = whole.indexOf(word, at + word.length)) {
        const range = new Range(), last = at + word.length;
        while (nodes[start + 1]?.from <= at) start += 1;
        while (nodes[end + 1]?.from < last) end += 1;
        range.setStart(nodes[start].node, at - nodes[start].from);
        range.setEnd(nodes[end].node, last - nodes[end].from);
        found.push(range);
      }
    }
    return found;
  };
  const mark = (name, found) => {
    if (window.Highlight && CSS.highlights) CSS.highlights.set(name, new Highlight(...found));
  };
  const MARKED = 300;

  const unfold = (place) => {
    for (; place; place = place.parentElement) {
      if (place.tagName === "DETAILS" && !place.open) {
        place.open = true;
        unfolded.push(place);
      }
    }
  };
  const fold_again = () => {
    for (const place of unfolded) place.open = false;
    unfolded = [];
  };
  const count = () => {
    const how = (sought.length > 1 ? " with all words" : "") + (hits[current]?.mentioned ? ", mentioned" : "");
    const matches = hits.length ? `${current + 1} of ${hits.length}${how}` : "no match";
    one("#matches").value = is_filtered() ? matches + unfiltered : "";
    // Where the report was, too: it is not empty.
    one("#none").hidden = !is_filtered() || Boolean(hits.length || drawn || unfiltered);
    one("#none span").textContent = `no match for ${quoted()}`;
  };
  // Goes to a match.
  const show = (index) => {
    fold_again();
    mark("match", []);
    mark("current", []);
    current = hits.length && (index + hits.length) % hits.length;
    count();
    if (!hits.length) return;
    const { row, at } = hits[current], found = ranges(hits[current], at === undefined ? 1 : Infinity);
    const range = at === undefined ? found[0] : found.find((range) => range.startOffset >= at);
    let others = [];
    // Of a text, each line that matches is one.
    const marked = new Map(hits.slice(0, MARKED).map((hit) => [hit.row, hit]));
    for (const hit of marked.values()) others = others.concat(ranges(hit, MARKED - others.length));
    mark("match", others);
    mark("current", range ? [range] : []);
    unfold(range ? range.startContainer.parentElement : row);
    const box = (range || row).getBoundingClientRect();
    const top = nav_height(), middle = range ? (innerHeight - top) / 3 : 8;
    scrollBy(0, box.top - top - middle);
  };
  const search = () => {
    narrow();
    show(0);
    // Whoever filters is done with the link before: its target would be shown unfiltered to others.
    remember(is_filtered() ? "" : undefined);
  };
  const clear = () => {
    const place = hits[current];
    filter.value = state.value = "";
    unfolded = [];
    search();
    if (place) place.row.scrollIntoView({ block: "center" });
  };
  one("#clear").addEventListener("click", () => {
    clear();
    filter.focus();
  });
  filter.addEventListener("input", search);
  state.addEventListener("change", search);
  one("#next").addEventListener("click", () => show(current + 1));
  one("#previous").addEventListener("click", () => show(current - 1));
  one(".tools").addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    else if (event.key === "Enter" && event.target === filter) show(current + (event.shiftKey ? -1 : 1));
    else return;
    event.preventDefault();
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
    filter.focus();
    filter.select();
    event.preventDefault();
  });

  // The address is the id of an element, and what is filtered: `#thread-7?q=till&state=sleeping`.
  const address = () => {
    const [id, query] = location.hash.slice(1).split("?", 2);
    let target = null;
    try {
      target = id && document.getElementById(decodeURIComponent(id));
    } catch {
      // Not an id: it leads nowhere.
    }
    return { id, target, query: query === undefined ? null : new URLSearchParams(query) };
  };
  const remember = (id = address().id) => {
    const query = new URLSearchParams();
    if (filter.value) query.set("q", filter.value);
    if (state.value) query.set("state", state.value);
    if (pressed()) query.set("libraries", "off");
    const asked = query.toString(), hash = `#${id}${asked && `?${asked}`}`;
    // A browser may limit how often.
    try {
      if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
    } catch {}
  };

  const pressed = () => libraries.ariaPressed === "true";
  const press = (is) => {
    libraries.ariaPressed = String(is);
    document.body.classList.toggle("own-only", is);
  };
  libraries.addEventListener("click", () => {
    press(!pressed());
    remember();
  });
  const set_all = (open) => groups.forEach((group) => { group.open = open; });
  one("#unfold").addEventListener("click", () => set_all(true));
  one("#fold").addEventListener("click", () => set_all(false));
  addEventListener("beforeprint", () => unfold_all());
  addEventListener("afterprint", () => fold_again());
  const unfold_all = () => all("details").forEach(unfold);

  // The height of what stays in view above the report.
  const wide = matchMedia("(min-width: 60rem)");
  const nav_height = () => (wide.matches || !nav.classList.contains("stuck") ? 0 : nav.offsetHeight);
  // What gets the focus must not be below it. What has the focus in it is in view: a browser that
  // scrolls to where somebody types would leave the match.
  const pad = (is_inside = nav.contains(document.activeElement)) => {
    document.documentElement.style.scrollPaddingTop = `${is_inside ? 0 : nav_height() + 16}px`;
  };
  new ResizeObserver(() => pad()).observe(nav);
  nav.addEventListener("focusin", () => pad(true));
  nav.addEventListener("focusout", (event) => pad(nav.contains(event.relatedTarget)));

  // Shows the target of a link whole, and says so. The filter stays for everything else: whoever
  // looks something up between two matches wants to go on with them.
  const show_unfiltered = (target) => {
    const hidden = all(".out", target);
    for (let place = target; place; place = place.parentElement) {
      if (place.classList.contains("out")) hidden.push(place);
    }
    if (!hidden.length) return;
    for (const place of hidden) place.classList.remove("out");
    const title = one(":scope > h2, :scope > summary > .title", target);
    unfiltered = `; ${title ? `“${title.textContent}”` : "the link's target"} is shown unfiltered`;
    count();
  };

  // The target of a link can be in a folded group, or filtered out.
  const reveal = () => {
    const { target, query } = address();
    if (query) {
      filter.value = query.get("q") || "";
      state.value = query.get("state") || "";
      press(query.get("libraries") === "off");
      narrow();
      show(0);
    }
    remember();
    all(".target").forEach((old) => old.classList.remove("target"));
    all(".linked").forEach((old) => old.remove());
    if (!target) return;
    target.classList.add("target");
    // A name in the summary of a list is in view without the list.
    const summed_up = target.closest("summary")?.parentElement;
    for (let place = target; place; place = place.parentElement) {
      if (place.tagName === "DETAILS" && place !== summed_up) place.open = true;
    }
    show_unfiltered(target);
    unfolded = [];
    // A section or a group can be taller than the window: scroll to its title. So can what is between
    // the title of a group and the name of one in it, which is then said below the title, too.
    const group = target.tagName === "SPAN" && target.closest("details.group");
    const fits = group && target.getBoundingClientRect().bottom - group.getBoundingClientRect().top < innerHeight - nav_height() - 32;
    if (group && !fits) {
      // One that the page does not show has a number alone.
      const name = target.textContent || target.id.replace(/^[a-z]+-/, "#");
      const linked = made("p", { className: "about linked", textContent: "linked: " });
      linked.append(made("span", { textContent: name }));
      (one(":scope > .bar", group) || one("summary", group)).after(linked);
    }
    pad(false);
    (group || target).scrollIntoView({ block: target.tagName === "SPAN" && !group ? "center" : "start" });
    pad();
  };
  addEventListener("hashchange", reveal);
  // A second click on the same link does not change the address.
  addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link && link.hash && link.hash.slice(1) === address().id) {
      event.preventDefault();
      reveal();
    }
  });

  // As text: a line for each row, also of what is folded.
  const BLOCKS = "h1, h2, p, li, tr, summary, pre, dl > div, section, details, div";
  const NO_TEXT = "nav, .skip, .up, script, style, button, .flame, .zoom, #how, .bar, .linked, [hidden]";
  const plain = (node, left_out) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return node.data;
    if (node.matches(left_out)) return "";
    const whole = [...node.childNodes].map((child) => plain(child, left_out)).join("");
    if (node.matches("dt, th")) return `${whole}: `;
    if (node.matches("code, .findings .evidence")) return `\n    ${whole}`;
    if (node.matches("h2, .group > summary")) return `\f${whole}\n`;
    return node.matches(BLOCKS) ? `\n${whole}\n` : whole;
  };
  const as_text = (node, left_out = NO_TEXT) => `${plain(node, left_out).replace(/\n*\f/g, "\f").replace(/\n{2,}/g, "\n").replace(/\f/g, "\n\n").trim()}\n`;
  const copy = async (button, whole) => {
    try {
      await navigator.clipboard.writeText(whole);
    } catch {
      // A page that came over plain HTTP has no clipboard.
      const area = made("textarea", { value: whole });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const name = button.textContent ? "textContent" : "ariaLabel";
    // It can be clicked again before it has its label back.
    const label = (button.dataset.label ||= button[name]);
    button[name] = "copied";
    setTimeout(() => { button[name] = label; }, 1500);
  };
  const button = (label, act) => {
    const one = made("button", { type: "button", ariaLabel: label });
    one.addEventListener("click", () => act(one));
    return one;
  };
  // Who reads what was copied of a filtered page must know that there is more.
  const shown = () => (is_filtered() ? `(only what matches ${quoted()})\n\n` : "") + as_text(document.body, `${NO_TEXT}, .out`);
  one("#copy").addEventListener("click", (event) => copy(event.target, shown()));
  one("#copy-findings").addEventListener("click", (event) => copy(event.target, as_text(one("#findings"))));
  // An open group has buttons. Their labels are no text of the page, which a filter would find.
  const equip = (group) => {
    if (!group.open || group.dataset.states === undefined || one(".bar", group)) return;
    const bar = made("p", { className: "bar" });
    bar.append(button("copy", (one) => copy(one, as_text(group))));
    const stacks = all(".stack", group);
    if (stacks.length) bar.append(button("copy stack", (one) => copy(one, stacks.map((stack) => as_text(stack)).join("\n"))));
    bar.append(button("copy link", (one) => copy(one, `${location.href.split("#")[0]}#${group.id}`)));
    one("summary", group).after(bar);
  };
  addEventListener("toggle", (event) => equip(event.target), true);
  groups.forEach(equip);

  // The report itself is in the page, unless it is large: to save it, and to compare it with another.
  const whole = one("#report"), other_file = one("#other");
  if (whole) one(".data").hidden = false;
  one("#download").addEventListener("click", () => {
    const href = URL.createObjectURL(new Blob([whole.textContent], { type: "application/json" }));
    made("a", { href, download: "report.json" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  });
  one("#compare").addEventListener("click", () => other_file.click());
  other_file.addEventListener("change", () => {
    compare(other_file.files[0]);
    // The same file can be chosen again.
    other_file.value = "";
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (whole && event.dataTransfer.files.length) compare(event.dataTransfer.files[0]);
  });

  // What is read here may be anybody's: it is shown as text, and nothing is expected of it.
  const list = (value) => (Array.isArray(value) ? value.filter((one) => one && typeof one === "object") : []);
  const fields = (value) => (value && typeof value === "object" ? value : {});
  const cleaned = (value) => String(value).slice(0, 200).replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/gu,
    (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
  const indexes = (stack) => (Array.isArray(stack.frames) ? stack.frames : []);
  const OF_LIBRARIES = /^library\/|\/(rustc|rustlib|registry\/src|git\/checkouts)\//;
  const read = (text) => {
    // In a page. JSON has no such quotes.
    const mark = 'id="report">', start = text.indexOf(mark);
    const json = start < 0 ? text : text.slice(start + mark.length, text.indexOf("<", start + mark.length));
    const report = fields(JSON.parse(json));
    const content = (kind) => fields(list(report.sections).map((one) => fields(one.content)).find((one) => one.kind === kind)).data;
    const frames = list(report.frames).map((one) => [one.function || one.address, one.file, one.line].join());
    const stacks = (of) => of.map((one) => indexes(one).map((at) => frames[at]).join("\n")).sort().join("\n\n");
    const { pid, made_at } = fields(report.heading), { host, started_at, product, version } = fields(content("package"));
    if (!pid) throw new Error("no report");
    // What another process of the program has in common with this one. Addresses differ, and lines do
    // if it is another build.
    const functions = list(report.frames).map((one) => String(one.function || one.module || "?"));
    const is_own = list(report.frames).map((one) => Boolean(one.function && one.file && !OF_LIBRARIES.test(one.file)));
    const alike = (name, of) => {
      const called = String(name).replace(/\d+$/, "*"), all = of.map(indexes);
      const inner = all.flat(), own = inner.find((at) => is_own[at]) ?? inner[0];
      const where = own === undefined ? "without a stack" : `in ${cleaned(functions[own]).replace(/::\{async_fn#\d+\}$/, "")}`;
      return {
        title: `${cleaned(called)} ${where}`,
        alike: [called, ...all.map((one) => one.map((at) => functions[at]).join("\n")).sort()].join("\n\n"),
      };
    };
    const threads = new Map(list(fields(content("threads")).threads).map((one) => [`${one.tid} ${one.started_at}`, {
      id: `thread-${one.tid}`, name: `#${one.tid} (${one.name})`, is_own: one.role !== "gmr" && one.role !== "reporter",
      same: [stacks(list([one.stack])), one.cpu_user_ms, one.cpu_system_ms].join(), ...alike(one.name, list([one.stack])),
    }]));
    const tasks = new Map(list(fields(content("green_threads")).tasks).map((one) => [String(one.id), {
      id: `task-${one.id}`, name: `#${one.id} (${one.name})`, is_own: true,
      same: [stacks(list(one.stacks)), one.polls].join(), ...alike(one.name, list(one.stacks)),
    }]));
    const name = [product, version, `process ${pid}`, host && `on ${host}`].filter((part) => part).map(cleaned).join(" ");
    return { name, process: [pid, host, started_at].join(), made: Date.parse(made_at), kinds: [["thread", threads], ["task", tasks]] };
  };
  const LISTED = 100;
  const compare = async (file) => {
    const section = made("section", { id: "comparison" }), say = (text) => section.append(made("p", { textContent: text }));
    section.append(made("h2", { textContent: "Comparison", tabIndex: -1 }));
    one("#comparison")?.remove();
    one("main").prepend(section);
    try {
      const here = read(whole.textContent), there = read(await file.text());
      const seconds = (here.made - there.made) / 1000;
      say(`${cleaned(file.name)}: made ${Math.abs(seconds).toFixed(1)} s ${seconds < 0 ? "after" : "before"} this report.`);
      const [before, after] = seconds < 0 ? [here, there] : [there, here];
      if (here.process === there.process) {
        before.kinds.forEach(([noun, old], index) => section.append(...compared(noun, old, after.kinds[index][1])));
      } else {
        say(`It is of another process, or of an earlier run: ${there.name}.`);
        say("Compared are names, without the number at their end, and the functions of stacks, without lines. gmr's threads are left out.");
        here.kinds.forEach(([noun, own], index) => section.append(...likened(noun, own, there.kinds[index][1])));
      }
    } catch {
      say(`${cleaned(file.name)} is neither a report in JSON nor a page with one.`);
    }
    section.firstChild.focus();
    section.scrollIntoView();
  };
  const listed = (heading, lines) => {
    const items = made("ul", { className: "list" });
    for (const [href, textContent] of lines.slice(0, LISTED)) {
      const item = made("li");
      item.append(made(href ? "a" : "span", { textContent, ...(href && { href }) }));
      items.append(item);
    }
    if (lines.length > LISTED) items.append(made("li", { className: "note", textContent: `and ${lines.length - LISTED} more` }));
    return [made("h3", { textContent: heading }), items];
  };
  const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  // Two processes: how many of each have the same name and stack, the largest difference first.
  const likened = (noun, here, there) => {
    const groups = new Map();
    [here, there].forEach((all, side) => {
      for (const one of all.values()) {
        if (!one.is_own) continue;
        if (!groups.has(one.alike)) groups.set(one.alike, { counts: [0, 0], title: one.title, id: null });
        const group = groups.get(one.alike);
        group.counts[side] += 1;
        if (side === 0) group.id ||= one.id;
      }
    });
    const difference = ({ counts: [a, b] }) => Math.abs(a - b);
    const sorted = [...groups.values()].sort((a, b) => difference(b) - difference(a));
    const link = (id) => {
      const group = id && document.getElementById(id)?.closest("details.group");
      return group && `#${group.id}`;
    };
    const both = sorted.filter(({ counts: [a, b] }) => a && b);
    const alone = (side) => sorted.filter(({ counts }) => counts[side] && !counts[1 - side]);
    const sum = (of, side) => of.reduce((sum, { counts }) => sum + counts[side], 0);
    return [
      [`${counted(sum(both, 0), noun)} here, ${sum(both, 1)} there, with the same name and stack in both`,
        both.map(({ counts: [a, b], title, id }) => [link(id), `${a} here, ${b} there: ${title}`])],
      ...[["this", 0], ["the other", 1]].map(([which, side]) => [`${counted(sum(alone(side), side), noun)} in ${which} report alone`,
        alone(side).map(({ counts, title, id }) => [link(id), `${counts[side]}: ${title}`])]),
    ].filter(([, lines]) => lines.length).flatMap(([heading, lines]) => listed(heading, lines));
  };
  const compared = (noun, before, after) => {
    const both = [...after].filter(([key]) => before.has(key));
    const same = both.filter(([key, one]) => before.get(key).same === one.same);
    // In the groups of the page.
    const counts = new Map();
    for (const [, one] of same) {
      const group = document.getElementById(one.id)?.closest("details.group");
      if (group) counts.set(group, (counts.get(group) || 0) + 1);
    }
    const unchanged = [...counts].map(([group, count]) => [`#${group.id}`, `${count} of: ${one("summary", group).textContent}`]);
    const named = (of) => of.map(([, one]) => [document.getElementById(one.id) && `#${one.id}`, cleaned(one.name)]);
    const only = (of, others) => named([...of].filter(([key]) => !others.has(key)));
    const ran = noun === "thread" ? "CPU time" : "number of polls";
    return [
      [same.length, `unchanged: the same stack and ${ran} in both`, unchanged],
      [both.length - same.length, "changed", named(both.filter((one) => !same.includes(one)))],
      ...[["new", only(after, before)], ["gone", only(before, after)]].map(([what, of]) => [of.length, what, of]),
    ].filter(([count]) => count).flatMap(([count, what, lines]) => listed(`${counted(count, noun)} ${what}`, lines));
  };

  // Before somebody types.
  (window.requestIdleCallback || setTimeout)(() => parts.forEach(({ rows }) => rows.forEach(text)));
  one(".tools").hidden = false;
  one("#contents").open = wide.matches;
  pad();
  reveal();
})();
