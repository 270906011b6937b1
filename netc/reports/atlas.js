"use strict";
// The data: layers by path; ops as [number, path, phase, statement, text]; statements as [file, line, function, code,
// comment]; costs[path][phase] = [flops, bytes]; times[layer][phase] = milliseconds.
const data = JSON.parse(document.getElementById("data").textContent);
const layers = new Map(data.layers.map(l => [l.path, l]));
const ops = new Map(data.ops.map(o => [o[0], o]));
const users = new Map();
for (const op of data.ops) for (const [, n] of op[4].matchAll(/%(\d+)\b/g)) {
  if (!users.has(+n)) users.set(+n, []);
  users.get(+n).push(op[0]);
}
const NAMES = {forward: "Forward", remat: "Forward again", vjp: "Backward", update: "Update"};
const MOST = 600; // lines that are shown at once

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function svg(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}
const link = (path, text) => el("a", {href: "#layer/" + encodeURIComponent(path)}, text);
const shape = s => s.length ? s.join(" × ") : "scalar";
const count = n => n >= 1e9 ? (n / 1e9).toPrecision(3) + " G" : n >= 1e6 ? (n / 1e6).toPrecision(3) + " M" : n >= 1e3 ? (n / 1e3).toPrecision(3) + " k" : String(n);
const within = (path, of) => path === of || path.startsWith(of + ".");

// -- the graph: nodes in a column in the order of computation, and edges that pass others by at their right
function drawGraph() {
  const {nodes, edges} = data.graph, high = 40, wide = 190, left = 6;
  const height = nodes.length * (high + 14) + 10;
  const root = svg("svg", {viewBox: `0 0 250 ${height}`, role: "img", "aria-label": "Layers in the order of computation"});
  const y = i => 6 + i * (high + 14);
  for (const [a, b] of edges) {
    const far = b - a > 1, out = left + wide, bend = Math.min(out + 12 + 6 * (b - a), 246);
    const d = far ? `M${out} ${y(a) + high / 2} C${bend} ${y(a) + high / 2} ${bend} ${y(b) + high / 2} ${out} ${y(b) + high / 2}`
      : `M${left + wide / 2} ${y(a) + high} V${y(b)}`;
    root.append(svg("path", {class: "edge", d}));
  }
  nodes.forEach(([role, path, label, out], i) => {
    const box = svg("g", {class: "node", "data-path": role === "layer" || role === "join" ? path : "-"});
    box.append(svg("rect", {x: left, y: y(i), width: wide, height: high, rx: 6}));
    const title = path || role;
    box.append(svg("text", {x: left + 8, y: y(i) + 16}, title.length > 29 ? "…" + title.slice(-28) : title));
    box.append(svg("text", {x: left + 8, y: y(i) + 31, class: "shape"}, `${label.length > 24 ? label.slice(0, 23) + "…" : label}  ${shape(out)}`));
    if (!path) { root.append(box); return; }
    const a = svg("a", {href: "#layer/" + encodeURIComponent(path)});
    a.append(box); root.append(a);
  });
  document.getElementById("graph").append(root);
}

// -- one operation, and the operations that one statement made
function opLine(op) {
  const line = el("div", {class: "op", id: "op-" + op[0], "data-n": op[0]});
  line.append(el("a", {href: "#op/" + op[0]}, "%" + op[0]), " = ");
  let at = 0;
  for (const found of op[4].matchAll(/%(?:arg)?(\d+)\b/g)) {
    line.append(op[4].slice(at, found.index));
    at = found.index + found[0].length;
    if (found[0].startsWith("%arg")) {
      const [name, type] = data.arguments[+found[1]] || ["", ""];
      line.append(el("abbr", {title: found[0] + " " + type}, name || found[0]));
    } else line.append(el("a", {href: "#op/" + found[1], title: place(ops.get(+found[1]))}, found[0]));
  }
  line.append(op[4].slice(at));
  return line;
}
const place = op => op ? `${op[1]} (${op[2]})` : "";

function groups(list) {
  const made = [];
  for (const op of list) {
    const last = made[made.length - 1];
    if (last && last.statement === op[3] && last.path === op[1]) last.ops.push(op);
    else made.push({statement: op[3], path: op[1], ops: [op]});
  }
  return made;
}

function group(g, of) {
  const box = el("div", {class: "group", "data-statement": g.statement});
  const said = data.algebra[g.statement];
  if (said) {
    const [file, number, name, code, comment] = said;
    if (comment) box.append(el("p", {class: "comment"}, comment));
    box.append(el("pre", {class: "code"}, code));
    box.append(el("div", {class: "where"}, `${file}:${number} ${name}` + (g.path === of ? "" : `, of ${g.path}`)));
  }
  box.append(...g.ops.map(opLine));
  return box;
}

function phase(name, of) {
  const list = data.ops.filter(o => o[2] === name && within(o[1], of));
  if (!list.length) return null;
  const section = el("section", {}, el("h3", {}, `${NAMES[name]}: ${list.length} operations`));
  if (list.length > MOST) section.append(el("p", {class: "quiet"}, "Too many for one look: open one of the parts."));
  else section.append(...groups(list).map(g => group(g, of)));
  return section;
}

// -- what is known of a layer
function numbers(of) {
  const rows = [];
  for (const name of data.phases) {
    let flops = 0, bytes = 0, there = false;
    for (const [path, costs] of Object.entries(data.costs)) if (within(path, of) && costs[name]) {
      flops += costs[name][0]; bytes += costs[name][1]; there = true;
    }
    const times = Object.entries(data.times).filter(([layer]) => within(layer, of)).map(([, t]) => t[name] || 0);
    if (there) rows.push([NAMES[name], count(flops), count(bytes) + "B", times.length ? times.reduce((a, b) => a + b).toFixed(3) : ""]);
  }
  if (!rows.length) return "";
  const measured = rows.some(r => r[3]);
  const head = ["phase", "FLOPs", "bytes moved", ...(measured ? ["ms, measured"] : [])];
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...head.map(h => el("th", {scope: "col"}, h)))));
  table.append(el("tbody", {}, ...rows.map(r => el("tr", {}, ...r.slice(0, head.length).map((c, i) => el(i ? "td" : "th", i ? {class: "n"} : {scope: "row"}, c))))));
  return el("div", {class: "scroll"}, table);
}

function facts(l) {
  const list = el("dl", {class: "cards"});
  const add = (name, value) => value && list.append(el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  add("input", shape(l.x)); add("output", shape(l.y));
  for (const [name, s] of l.params.slice(0, 6)) add(name, shape(s));
  if (l.params.length > 6) add("more parameters", String(l.params.length - 6));
  for (const [name, s] of l.state.slice(0, 2)) add(name + " (statistic)", shape(s));
  for (const [name, value] of l.options) add(name, value);
  return list;
}

function crumbs(path) {
  const parts = path.split("."), made = el("p", {class: "crumbs"}, link("", data.net));
  parts.forEach((part, i) => made.append(" › ", link(parts.slice(0, i + 1).join("."), part)));
  return made;
}

function overview() {
  const box = el("div", {});
  box.append(el("h2", {}, "The whole step"));
  box.append(el("p", {}, `${data.net} has ${data.parameters.toLocaleString("en")} parameters. One training step of ${data.batch} examples (${data.recipe}) is ${data.ops.length.toLocaleString("en")} operations and ${count(data.flops)} useful FLOPs. Its text in portable StableHLO has the SHA-256 ${data.text.slice(0, 16)}….`));
  box.append(el("p", {}, "Choose a layer. Beside each other then stand its forward and its backward text; over the lines of text the statement of netc's rule that made them, with its algebra. A name such as %12 leads to the line that makes it; its number at the left shows who reads it."));
  if (data.certificate) box.append(el("p", {}, data.certificate));
  if (data.measured) box.append(el("p", {}, `Times are measured: ${data.measured}.`));
  box.append(el("h3", {}, "Layers"), el("ul", {class: "parts"}, ...data.layers.filter(l => !l.path.includes(".")).map(l => el("li", {}, link(l.path, l.path)))));
  const others = [...new Set(data.ops.map(o => o[1].split(".")[0]))].filter(p => !layers.has(p));
  box.append(el("h3", {}, "The rest of the step"), el("ul", {class: "parts"}, ...others.map(p => el("li", {}, link(p, p)))));
  box.append(numbersOfAll());
  return box;
}
function numbersOfAll() {
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...["function", "operations", "arguments", "results"].map(h => el("th", {scope: "col"}, h)))));
  table.append(el("tbody", {}, ...data.functions.map(f => el("tr", {}, ...f.map((c, i) => el(i ? "td" : "th", i ? {class: "n"} : {scope: "row"}, String(c)))))));
  return el("div", {class: "scroll"}, el("h3", {}, "Functions of the program, before any target's forms"), table);
}

function show(path) {
  const main = document.getElementById("layer"), l = layers.get(path);
  main.replaceChildren();
  if (!path) { main.append(overview()); mark(path); return; }
  main.append(crumbs(path), el("h2", {}, l ? `${path}: ${l.label}` : path));
  if (l) {
    main.append(el("p", {class: "quiet"}, l.kind), ...l.says.split("\n\n").map(p => el("p", {class: "says"}, p.replace(/\n/g, " "))), facts(l));
    if (l.evidence) main.append(el("p", {}, "Checked: " + l.evidence));
    const parts = data.layers.filter(o => o.path.startsWith(path + ".") && !o.path.slice(path.length + 1).includes("."));
    if (parts.length) main.append(el("h3", {}, "Parts"), el("ul", {class: "parts"}, ...parts.map(p => el("li", {}, link(p.path, p.path.slice(path.length + 1))))));
  }
  main.append(numbers(path));
  const [forward, again, vjp, update] = data.phases.map(name => phase(name, path));
  main.append(el("div", {class: "phases"}, ...[forward, vjp, again].filter(Boolean)));
  if (update) main.append(el("details", {}, el("summary", {}, "Update of its parameters"), update));
  mark(path);
}

function mark(path) {
  let best = null;
  for (const node of document.querySelectorAll("#graph .node")) {
    node.classList.remove("here");
    const own = node.getAttribute("data-path");
    if (path && within(path, own) && (!best || own.length >= best.getAttribute("data-path").length)) best = node;
  }
  if (best) best.classList.add("here");
}

let shown = null;
function go() {
  const hash = decodeURIComponent(location.hash.slice(1)), [what, ...rest] = hash.split("/"), name = rest.join("/");
  if (what === "op" && ops.has(+name)) {
    const op = ops.get(+name);
    const path = shown && within(op[1], shown) && document.getElementById("op-" + name) ? shown : op[1];
    if (path !== shown) show(shown = path);
    aim(op);
    return;
  }
  const first = shown === null;
  show(shown = what === "layer" ? name : "");
  if (!first) document.getElementById("layer").scrollIntoView({block: "start"});
}
function aim(op) {
  for (const old of document.querySelectorAll(".aim")) old.classList.remove("aim");
  for (const old of document.querySelectorAll(".users")) old.remove();
  const line = document.getElementById("op-" + op[0]);
  if (!line) return;
  line.closest("details")?.setAttribute("open", "");
  line.classList.add("aim");
  const readers = users.get(op[0]) || [];
  const note = el("div", {class: "users"}, readers.length ? "read by " : "a result of the step");
  for (const n of readers) note.append(el("a", {href: "#op/" + n, title: place(ops.get(n))}, "%" + n), ` ${place(ops.get(n))}  `);
  line.after(note);
  line.scrollIntoView({block: "center"});
}
document.addEventListener("mouseover", event => {
  const box = event.target.closest?.(".group");
  for (const old of document.querySelectorAll(".lit")) old.classList.remove("lit");
  if (!box) return;
  const line = event.target.closest(".op"), own = line ? +line.dataset.n : -1;
  for (const other of document.querySelectorAll(`.group[data-statement="${box.dataset.statement}"]`)) other.classList.add("lit");
  if (line) for (const n of [own, ...(users.get(own) || []), ...[...ops.get(own)[4].matchAll(/%(\d+)\b/g)].map(m => +m[1])])
    document.getElementById("op-" + n)?.classList.add("lit");
});
window.addEventListener("hashchange", go);
drawGraph();
go();
