"""Reads one report in every format, with parsers that are not gmr's, and fails where they differ.

views.py FOLDER DOCS: FOLDER has the reports, DOCS the schemas.

The text and the page are compared with each other and with the JSON; no wording of their own is
expected of either.
"""

import html.parser
import json
import pathlib
import re
import sys

import jsonschema
import lxml.etree

folder, docs = map(pathlib.Path, sys.argv[1:])
report = json.loads((folder / "report.json").read_text())
schema = json.loads((docs / "report.schema.json").read_text())
relax_ng = lxml.etree.RelaxNG(lxml.etree.parse(docs / "report.rng"))
tree = lxml.etree.parse(folder / "report.xml")


def content(title):
    return next(section["content"]["data"] for section in report["sections"] if section["title"] == title)


# The schemas accept the report, and nothing that is broken.
validator = jsonschema.Draft202012Validator(schema)
validator.check_schema(schema)
validator.validate(report)
relax_ng.assertValid(tree)
for break_it in (
    lambda it: it.pop("heading"),
    lambda it: it["sections"][2]["content"]["data"]["threads"][0].update(tid="one"),
    lambda it: it["sections"][0]["content"].update(kind="rumours"),
    lambda it: it["frames"][0].update(line=-1),
):
    broken = json.loads(json.dumps(report))
    break_it(broken)
    assert not validator.is_valid(broken), "the JSON schema accepts anything"
for break_it in (
    lambda it: it.find("heading").getparent().remove(it.find("heading")),
    lambda it: it.find(".//tid").__setattr__("text", "one"),
    lambda it: it.find("sections/item/content/kind").__setattr__("text", "rumours"),
):
    broken = lxml.etree.fromstring(lxml.etree.tostring(tree.getroot()))
    break_it(broken)
    assert not relax_ng.validate(broken), "the RELAX NG schema accepts anything"

# The lines are short, and together they are the same object.
lines = (folder / "report.json-lines").read_text().splitlines()
assert all(len(line.encode()) < 48 * 1024 for line in lines)
pieces = [json.loads(line) for line in lines]
assert len({piece["gmr_report"] for piece in pieces}) == 1
assert [(piece["part"], piece["parts"]) for piece in pieces] == [(n, len(lines)) for n in range(1, len(lines) + 1)]
assert json.loads("".join(piece["json"] for piece in pieces)) == report


# XML says the same as JSON.
def text_of(element):
    text = element.text or ""
    return json.loads(text) if element.get("encoding") == "json" else text


def value_of(element):
    kind = element.get("type")
    if kind == "map":
        return {text_of(entry.find("key")): value_of(entry.find("value")) for entry in element}
    if kind == "list":
        return [value_of(item) for item in element]
    if kind == "null":
        return None
    return {"text": text_of, "integer": lambda e: int(e.text), "float": lambda e: float(e.text), "boolean": lambda e: e.text == "true"}[kind](element)


def compare(value, element, place):
    if element.get("type"):
        assert value == value_of(element), f"{place}: {value} is not {value_of(element)}"
    elif isinstance(value, dict):
        known = {key: one for key, one in value.items() if one is not None}
        assert {child.tag for child in element} == set(known), f"{place}: {set(known)}"
        for key, one in known.items():
            compare(one, element.find(key), f"{place}.{key}")
    elif isinstance(value, list):
        assert len(value) == len(element), f"{place}: {len(value)} items, {len(element)} elements"
        for index, (one, child) in enumerate(zip(value, element)):
            compare(one, child, f"{place}[{index}]")
    else:
        shown = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        assert shown == text_of(element), f"{place}: {shown!r} is not {text_of(element)!r}"


compare(report, tree.getroot(), "report")


# The page has the groups of the text, in the same order, and the same frames in them. The title of several
# threads has their names as well.
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.place = []
        self.groups = []
        self.scripts = 0
        self.ids = []
        self.sections = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.append(attributes.get("id"))
        self.scripts += tag == "script" and "type" not in attributes
        # The names of a large group are folded, too.
        if tag == "details" and attributes.get("class") != "members":
            group = {"title": "", "frames": [], "states": attributes.get("data-states"), "id": attributes.get("id")}
            self.groups.append(group)
        if tag == "b":
            self.groups[-1]["frames"].append("") if self.groups else None
        if tag == "h2":
            self.sections.append("")
        if tag not in ("meta", "br", "input", "link"):
            self.place.append((tag, attributes.get("class")))

    def handle_endtag(self, tag):
        while self.place and self.place.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if ("span", "title") in self.place:
            self.groups[-1]["title"] += data
        if self.place and self.place[-1][0] == "b" and self.groups:
            self.groups[-1]["frames"][-1] += data
        if self.place and self.place[-1][0] == "h2":
            self.sections[-1] += data


page = Page()
page.feed((folder / "report.html").read_text())
page.close()
assert page.scripts == 1, f"{page.scripts} scripts, and not only the page's own"
text = (folder / "report.text").read_text()
lines_of_text = text.split("\n")
places = [n for n, line in enumerate(lines_of_text) if re.fullmatch(r"------ .* ------", line)]
# gmr's own threads are named in the text. Those that make the report have no group on the page.
own = [thread["tid"] for thread in content("Threads")["threads"] if thread["role"] in ("reporter", "gmr")]
places = [n for n in places if not any(f"#{tid} " in line for tid in own for line in lines_of_text[n : n + 2])]
titles = [lines_of_text[n][6:-6].strip() for n in places]
ids = [f"{of}-{tid}" for of in ("thread", "threads") for tid in own]
shown = [group for group in page.groups if group["states"] and group["id"] not in ids]
alike = [
    group["title"].startswith(title.removesuffix(" with the same stack")) for group, title in zip(shown, titles)
]
assert len(shown) == len(titles) and all(alike), ([group["title"] for group in shown], titles)


def frames_below(title):
    lines = text.split(f"------{title:^60}------\n", 1)[1].split("\n")
    end = next((n for n, line in enumerate(lines) if line.startswith(("------", "====="))), len(lines))
    stack = [line for line in lines[:end] if "`" not in line and not line.startswith("waiting in ")]
    found = (re.fullmatch(r" *\S+ in (.*?)(?: \(inlined\))?", line) for line in stack)
    return [match.group(1) for match in found if match]


for group, title in zip(shown, titles):
    below = frames_below(title)
    assert group["frames"] == below, (group, below)
# The sections of the report are in both, in their order. Each may have parts of its own besides.
headers = re.findall(r"^={72}\n====\s*(.*?)\s*====\n={72}$", text, re.M)[1:]
sections = [section["title"] for section in report["sections"]]
assert [title for title in headers if title in sections] == sections, headers
assert [title for title in page.sections if title in sections] == sections, page.sections

threads = content("Threads")["threads"]
named = {int(tid) for tid in re.findall(r"#(\d+)", text)}
for first, last in re.findall(r"#(\d+)–#(\d+)", text):
    named.update(range(int(first), int(last)))
for thread in threads:
    assert f"thread-{thread['tid']}" in page.ids, thread
# The text counts those of a group whose ids do not fit in a few lines, as when other programs started
# threads in between.
unnamed = [thread for thread in threads if thread["tid"] not in named]
assert len(unnamed) == sum(map(int, re.findall(r"\band (\d+) more$", text, re.M))), unnamed
for task in content("Green Threads")["tasks"]:
    assert f"task-{task['id']}" in page.ids, task
functions = [frame["function"] for frame in report["frames"]]
for function in ("views::wait_for_stock", "views::wait_for_orders", "views::main"):
    assert function in functions, function
    assert any(function in group["frames"] for group in page.groups), function
    assert f" in {function}\n" in text, function
# Twenty threads with the same stack are one group.
waiting = [group for group in shown if "views::wait_for_orders" in group["frames"]]
assert len(waiting) == 1 and "20" in waiting[0]["title"], waiting

# What was masked is nowhere to be read, and says that it was masked.
for path in folder.iterdir():
    assert "hunter2" not in path.read_text(), path
assert content("Configuration")[0]["content"]["data"]["password"] == "***"
print("alike:", len(threads), "threads,", len(report["frames"]), "frames,", len(shown), "groups")
