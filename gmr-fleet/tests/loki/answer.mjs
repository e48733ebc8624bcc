// What a query in LogQL answers, of lines that are given. The query is read by Grafana's own grammar, and its
// stages do what Loki's documentation says of them: those that the queries in `docs/fleet/loki` have, and any
// other one is an error. All lines are within the time of a range.
//
// It reads `{ query, lines: [{ labels, line }] }`, and writes lines, or for a metric `[{ labels, value }]`.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { parser } = createRequire(`${process.argv[2]}/`)("@grafana/lezer-logql");
const { query, lines } = JSON.parse(readFileSync(0, "utf8"));

const text = (node) => query.slice(node.from, node.to);

function children(node) {
  const all = [];
  for (let child = node.firstChild; child; child = child.nextSibling) all.push(child);
  return all;
}

/** All nodes below with this name, in the order of the text. */
function below(node, name) {
  return children(node).flatMap((child) => (child.name === name ? [child] : below(child, name)));
}

function only(node, name) {
  const found = below(node, name);
  if (found.length !== 1) throw new Error(`${found.length} of ${name} in ${text(node)}`);
  return found[0];
}

/** The value of a string in back quotes or quotation marks. */
function value(node) {
  const quoted = text(only(node, "String"));
  return quoted.startsWith("`") ? quoted.slice(1, -1) : JSON.parse(quoted);
}

function matches(matcher, labels) {
  const [name, operator] = children(matcher);
  const is = (labels[text(name)] ?? "") === value(matcher);
  if (operator.name === "Eq") return is;
  if (operator.name === "Neq") return !is;
  throw new Error(`no ${operator.name} is known here`);
}

/** The line after a stage, or nothing. */
function staged(stage, { labels, line }) {
  const [kind] = children(stage).filter((child) => child.name !== "Pipe");
  switch (kind.name) {
    case "LineFilters": {
      const filters = below(kind, "LineFilter");
      if (below(kind, "Filter").some((filter) => filter.firstChild.name !== "PipeExact")) throw new Error("a filter");
      return filters.every((filter) => line.includes(value(filter))) ? { labels, line } : undefined;
    }
    case "LabelParser": {
      only(kind, "Regexp");
      // Go's name of a group.
      const found = new RegExp(value(kind).replaceAll("(?P<", "(?<")).exec(line);
      return { labels: { ...labels, ...found?.groups }, line };
    }
    case "LabelFilter":
      return matches(only(kind, "Matcher"), labels) ? { labels, line } : undefined;
    case "LineFormatExpr":
      return { labels, line: value(kind).replace(/\{\{\.(\w+)\}\}/g, (_, name) => labels[name] ?? "") };
    default:
      throw new Error(`no ${kind.name} is known here`);
  }
}

function logged(node) {
  const matchers = below(only(node, "Matchers"), "Matcher");
  const stages = below(node, "PipelineStage");
  return lines
    .filter(({ labels }) => matchers.every((matcher) => matches(matcher, labels)))
    .map((line) => stages.reduce((line, stage) => line && staged(stage, line), line))
    .filter((line) => line);
}

/** Values for each set of these labels, or of all. */
function grouped(rows, names, combine) {
  const groups = new Map();
  for (const { labels, value } of rows) {
    const kept = names ? Object.fromEntries(names.map((name) => [name, labels[name] ?? ""])) : labels;
    const key = JSON.stringify(Object.entries(kept).sort());
    groups.set(key, { labels: kept, values: [...(groups.get(key)?.values ?? []), value] });
  }
  return [...groups.values()].map(({ labels, values }) => ({ labels, value: combine(values) }));
}

const sum = (values) => values.reduce((all, value) => all + value, 0);

function measured(node) {
  const [expression] = children(node);
  if (expression.name === "RangeAggregationExpr") {
    only(expression, "CountOverTime");
    return grouped(logged(only(expression, "LogRangeExpr")).map((line) => ({ ...line, value: 1 })), undefined, sum);
  }
  const [operation] = children(expression.getChild("VectorOp"));
  const combine = { Sum: sum, Count: (values) => values.length }[operation.name];
  const grouping = expression.getChild("Grouping");
  const names = grouping ? below(grouping, "Identifier").map(text) : [];
  return grouped(measured(expression.getChild("MetricExpr")), names, combine);
}

const tree = parser.parse(query);
tree.iterate({
  enter(node) {
    if (node.type.isError) throw new Error(`it is no LogQL at ${node.from}: ${query.slice(node.from)}`);
  },
});
const [expression] = children(tree.topNode.getChild("Expr"));
const answer = expression.name === "LogExpr" ? logged(expression) : measured(expression);
process.stdout.write(JSON.stringify(answer));
