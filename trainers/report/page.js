"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const SVG = new Set(["svg", "path", "line", "text", "rect", "circle", "g"]);

/** An element; text only ever enters as text nodes, never as markup. */
function el(tag, attributes = {}, ...children) {
  const node = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) k.startsWith("on") ? node.addEventListener(k.slice(2), v) : node.setAttribute(k, v);
  node.append(...children.filter(c => c !== null));
  return node;
}
const isNumber = x => typeof x === "number";
function show(x, digits = 3) {
  if (!isNumber(x)) return "–";
  const size = Math.abs(x);
  if (Number.isInteger(x)) return size >= 1e9 ? x.toExponential(2) : (x + 0).toLocaleString("en");  // + 0: no "-0"
  return size >= 1000 ? Math.round(x).toLocaleString("en") : size < 0.001 ? x.toExponential(1) : x.toFixed(digits);
}
const signed = x => isNumber(x) && x > 0 ? "+" + show(x) : show(x);
const sign = x => x > 0 ? "pos" : x < 0 ? "neg" : "";
const duration = s => s < 90 ? `${s.toFixed(s < 1 ? 2 : 1)} s` : s < 5400 ? `${(s / 60).toFixed(1)} min` : `${(s / 3600).toFixed(1)} h`;
const words = name => name.replaceAll("_", " ");
const plural = (n, word) => `${show(n)} ${word}${n === 1 ? "" : "s"}`;
const rl = D.rows.filter(r => r.phase !== "warm"), warm = D.rows.filter(r => r.phase === "warm"), last = rl[rl.length - 1];
const sum = name => rl.reduce((total, r) => total + (isNumber(r[name]) ? r[name] : 0), 0);
const most = name => Math.max(...rl.map(r => r[name]).filter(isNumber));
const has = name => rl.some(r => isNumber(r[name]));
const phases = [...new Set(rl.flatMap(r => Object.keys(r.seconds || {})))];
const spent = phases.map(p => rl.reduce((total, r) => total + ((r.seconds || {})[p] || 0), 0));
const tokenText = id => D.vocabulary[id] ?? `[${id}]`;

function about() {
  const c = D.config, parts = [["estimator", c.estimator], ["policy", c.policy], ["agent", c.agent], ["split", c.split], ["seed", c.seed]];
  $("about").textContent = parts.filter(([, v]) => v !== undefined && v !== null).map(([k, v]) => `${k} ${v}`).join("  ·  ");
  const notices = [["Not there yet", D.missing], ["Could not be read", D.problems]].filter(([, list]) => list.length);
  for (const [title, list] of notices) $("notices").append(el("div", {class: "card notice"}, el("b", {}, title), el("ul", {}, ...list.map(t => el("li", {}, t)))));
  $("config").textContent = D.config_text || "none";
  $("environment").textContent = JSON.stringify(D.environment, null, 1);
}

function tiles() {
  const tile = (title, value, note = "") => $("tiles").append(el("div", {class: "card tile"}, el("small", {}, title), el("b", {}, value), el("small", {}, note)));
  const success = name => (D.evaluations.find(e => e.name === name && e.mode !== "greedy") || {}).success, before = success("before"), after = success("after");
  if (before || after) {
    const gain = D.differences.find(d => d.mode === "sampled");
    tile("held-out success", `${before ? show(before.mean) : "?"} → ${after ? show(after.mean) : "?"}`, gain ? `${signed(gain.difference.mean)} [${show(gain.difference.low)}, ${show(gain.difference.high)}]` : "");
  }
  if (!last) return;
  tile("steps", show(last.step), isNumber(last.rollouts) ? plural(last.rollouts, "rollout") : "");
  tile("time in steps", duration(spent.reduce((a, b) => a + b, 0)), phases.length ? `${words(phases[spent.indexOf(Math.max(...spent))])} takes most` : "");
  if (has("groups_replaced")) tile("groups replaced", show(sum("groups_replaced")), `${show(sum("groups_without_signal"))} left without signal`);
  if (has("faults")) tile("faults", show(sum("faults")), `${show(sum("retried"))} episodes retried`);
  if (has("restarts")) tile("contexts rebuilt", show(sum("restarts")), "each forks a sample");
  if (has("sampler_kl") || has("ratio_max")) tile("sampler drift", has("sampler_kl") ? show(most("sampler_kl")) : "–", `greatest KL; ratio up to ${has("ratio_max") ? show(most("ratio_max")) : "–"}`);
}

function interval(s) {
  const X = v => 4 + 182 * Math.min(1, Math.max(0, v)), line = (x1, x2, y1, y2, more) => el("line", {x1, x2, y1, y2, ...more});
  const ink = {stroke: "var(--ink)", "stroke-width": 1.5};
  return el("svg", {viewBox: "0 0 190 20", role: "img", "aria-label": `${show(s.mean)}, from ${show(s.low)} to ${show(s.high)}`},
    el("rect", {x: 4, y: 6, width: 182, height: 8, rx: 3, fill: "var(--faint)"}), el("rect", {x: 4, y: 6, width: X(s.mean) - 4, height: 8, rx: 3, fill: "var(--c0)", opacity: .55}),
    line(X(s.low), X(s.high), 10, 10, ink), line(X(s.low), X(s.low), 6, 14, ink), line(X(s.high), X(s.high), 6, 14, ink), el("circle", {cx: X(s.mean), cy: 10, r: 3, fill: "var(--ink)"}));
}

function held() {
  if (!D.evaluations.length) return $("held").append("No evaluation is there yet.");
  const best = r => Object.entries(r.pass_at_k || {}).pop() || ["1", null], some = D.evaluations.some(r => best(r)[0] > 1);
  const head = ["", "mode", "success", "95% interval", "", "score", ...(some ? ["pass@k", "pass^k"] : []), "turns", "tokens", "invalid", "faults", "how episodes ended"];
  const rows = D.evaluations.map(r => {
    const s = r.success, k = best(r), all = (r.pass_hat_k || {})[k[0]];
    const passes = some ? [`${show(k[1])} (k = ${k[0]})`, show(all)] : [];
    const stops = Object.entries(r.stop_reasons || {}).sort((a, b) => b[1] - a[1]).map(([name, n]) => `${words(name)} ${n}`).join(", ");
    const cells = [r.name, r.mode, el("b", {}, s ? show(s.mean) : "no verdict"), s ? `${show(s.low)} – ${show(s.high)}` : "", s ? interval(s) : "", r.score ? show(r.score.mean) : "–", ...passes];
    cells.push(show(r.mean_turns, 2), show(r.mean_tokens, 1), show(r.invalid_action_rate), `${show(r.faults)} of ${show(r.episodes)}`, stops);
    return el("tr", {}, ...cells.map(c => el("td", {}, c)));
  });
  $("held").append(el("table", {}, el("thead", {}, el("tr", {}, ...head.map(t => el("th", {}, t)))), el("tbody", {}, ...rows)));
  for (const d of D.differences) $("held").append(el("p", {class: "difference"}, `After − before, ${d.mode}: `, el("b", {class: sign(d.difference.mean)}, signed(d.difference.mean)),
    ` [${show(d.difference.low)}, ${show(d.difference.high)}] in success, paired on ${plural(d.tasks, "task")}: better on ${d.wins_b}, worse on ${d.wins_a}, equal on ${d.ties}.`));
}

/** Round values that cover [low, high], and how many decimals they need. */
function ticks(low, high) {
  const rough = (high - low) / 3, power = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough * (1 - 1e-9));
  const first = Math.floor(low / step + 1e-6), count = Math.ceil(high / step - 1e-6) - first;
  return [Array.from({length: count + 1}, (_, i) => (first + i) * step), Math.max(0, -Math.floor(Math.log10(step) + 1e-9))];
}
function bounds(values) {
  let low = Math.min(...values), high = Math.max(...values);
  if (low > 0 && low < high * .6) low = 0;
  if (low === high) { const room = Math.abs(low) * .1 || 1; low -= low === 0 ? 0 : room; high += room; }
  return [low, high];
}

/** A card with one curve per name. ``at(row, name)`` reads a value; ``points`` are held-out intervals. */
function chart(title, rows, names, {at = (r, n) => r[n], points = []} = {}) {
  const series = names.map((n, i) => ({name: words(n), color: `var(--c${i % 6})`, values: rows.map(r => at(r, n))})).filter(s => s.values.some(isNumber));
  if (!series.length) return null;
  const W = 270, H = 140, L = 42, R = 8, T = 8, B = 18, xs = rows.map(r => r.step), steps = [...xs, ...points.map(p => p.x)];
  const x0 = Math.min(...steps), x1 = Math.max(...steps, x0 + 1), [scale, digits] = ticks(...bounds([...series.flatMap(s => s.values), ...points.flatMap(p => [p.low, p.high])].filter(isNumber)));
  const low = scale[0], high = scale[scale.length - 1], X = x => L + (x - x0) / (x1 - x0) * (W - L - R), Y = y => T + (high - y) / (high - low) * (H - T - B);
  const svg = el("svg", {viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title});
  const label = y => Math.abs(y) < (high - low) * 1e-9 ? "0" : digits > 4 && Math.max(Math.abs(low), Math.abs(high)) < .01 ? y.toExponential(0) : Math.abs(y) >= 1000 ? show(Math.round(y)) : y.toFixed(Math.min(digits, 6));
  for (const y of scale) svg.append(el("line", {class: "axis", x1: L, x2: W - R, y1: Y(y), y2: Y(y)}), el("text", {x: L - 6, y: Y(y) + 3.5, "text-anchor": "end"}, label(y)));
  for (const x of [x0, x1]) svg.append(el("text", {x: X(x), y: H - 3, "text-anchor": x === x0 ? "start" : "end"}, x === x0 ? `step ${x}` : String(x)));
  for (const s of series) {
    let d = "", pen = false;
    s.values.forEach((v, i) => { if (isNumber(v)) d += `${pen ? "L" : "M"}${X(xs[i]).toFixed(1)} ${Y(v).toFixed(1)}`; pen = isNumber(v); });
    // a round cap of zero length shows a value that stands alone between gaps
    svg.append(el("path", {d: d.replace(/M([^ML]+)(?=M|$)/g, "M$1h0"), fill: "none", stroke: s.color, "stroke-width": 1.6, "stroke-linejoin": "round", "stroke-linecap": "round"}));
  }
  for (const p of points) svg.append(el("line", {x1: X(p.x), x2: X(p.x), y1: Y(p.low), y2: Y(p.high), stroke: "var(--c1)", "stroke-width": 1.6}), el("circle", {cx: X(p.x), cy: Y(p.mean), r: 3.4, fill: "var(--c1)"}));
  const rule = el("line", {y1: T, y2: H - B, stroke: "var(--soft)", "stroke-dasharray": "2 3", visibility: "hidden"}), dots = el("g"), legend = el("div", {class: "legend"});
  svg.append(rule, dots);
  const entry = (color, name, value) => el("span", {}, el("i", {class: "swatch", style: `background:${color}`}), name, value === null ? null : el("b", {}, " " + value));
  const point = at => at === null ? null : points.find(p => p.x === at);
  const legends = i => legend.replaceChildren(...series.map(s => entry(s.color, s.name, i === null ? null : show(s.values[i]))),
    ...(points.length ? [entry("var(--c1)", "held out", i !== null && point(xs[i]) ? show(point(xs[i]).mean) : null)] : []), ...(i === null ? [] : [el("span", {}, `step ${xs[i]}` + (isNumber(rows[i].rollouts) ? `, ${plural(rows[i].rollouts, "rollout")}` : ""))]));
  legends(null);
  svg.addEventListener("pointermove", e => {
    const box = svg.getBoundingClientRect(), x = (e.clientX - box.left) / box.width * W;
    let near = 0;
    xs.forEach((v, i) => { if (Math.abs(X(v) - x) < Math.abs(X(xs[near]) - x)) near = i; });
    rule.setAttribute("x1", X(xs[near])); rule.setAttribute("x2", X(xs[near])); rule.setAttribute("visibility", "visible");
    dots.replaceChildren(...series.filter(s => isNumber(s.values[near])).map(s => el("circle", {cx: X(xs[near]), cy: Y(s.values[near]), r: 3, fill: s.color})));
    legends(near);
  });
  svg.addEventListener("pointerleave", () => { rule.setAttribute("visibility", "hidden"); dots.replaceChildren(); legends(null); });
  return el("div", {class: "card chart"}, el("h4", {}, title), svg, legend);
}

const CHARTS = [
  ["Results", [["Success, training and held out", ["success"]], ["Score, training and held out", ["score"]], ["Turn rewards, sum per episode", ["turn_reward"]], ["Turns per episode", ["mean_turns"]]]],
  ["Optimiser", [["Loss", ["loss"]], ["Gradient norm", ["grad_norm"]], ["Learning rate", ["lr"]], ["Optimiser steps", ["optimizer_steps"]]]],
  ["Policy", [["Entropy, nats per token", ["entropy"]], ["KL to the reference", ["kl"]], ["Drift, sampler to trainer, KL", ["sampler_kl"]], ["Largest importance ratio", ["ratio_max"]], ["Clipped share of tokens", ["clip_fraction"]]]],
  ["Counters", [["Groups without signal", ["groups_replaced", "groups_without_signal"]], ["Faults, retries, forks, skipped", ["faults", "retried", "restarts", "skipped_samples"]], ["Share of invalid actions", ["invalid_actions"]],
    ["Tokens", ["tokens", "sampled_tokens", "sample_tokens", "packed_tokens", "trained_tokens"]]]],
];
function charts() {
  const section = (title, ...nodes) => { const there = nodes.filter(n => n !== null); if (there.length) $("charts").append(el("div", {class: "learned"}, el("h3", {}, title), el("div", {class: "grid"}, ...there))); };
  const place = e => e.name === "before" ? 0 : e.name === "after" ? last.step : +e.name.split("-")[1];
  const points = name => !last || !["success", "score"].includes(name) ? [] : D.evaluations.filter(e => e.mode === "sampled" && e[name]).map(e => ({x: place(e), ...e[name]})).filter(p => Number.isFinite(p.x));
  const known = new Set(["step", "rollouts", ...CHARTS.flatMap(([, list]) => list.flatMap(([, names]) => names))]);
  const same = rl.every(r => r.score === r.success);  // one curve is enough then
  for (const [title, list] of CHARTS) section(title, ...list.filter(([, names]) => !(same && names[0] === "score")).map(([name, names]) => chart(name, rl, names, {points: points(names[0])})));
  const others = rows => [...new Set(rows.flatMap(r => Object.keys(r).filter(k => isNumber(r[k]))))];
  section("Other measures", ...others(rl).filter(k => !known.has(k)).map(k => chart(words(k), rl, [k])));
  section("Time", shares(), chart("Seconds per step", rl, phases, {at: (r, n) => (r.seconds || {})[n]}));
  section("Warm start", ...CHARTS.flatMap(([, list]) => list).map(([name, names]) => chart(name.split(",")[0], warm, names)), ...others(warm).filter(k => !known.has(k)).map(k => chart(words(k), warm, [k])));
  if (!D.rows.length) $("charts").append(el("div", {class: "card"}, "No measures of training are there."));
}
function shares() {
  const total = spent.reduce((a, b) => a + b, 0);
  if (!total) return null;
  const rows = phases.map((p, i) => el("tr", {}, el("td", {}, el("i", {class: "swatch", style: `background:var(--c${i % 6})`}), words(p)), el("td", {}, duration(spent[i])), el("td", {}, (100 * spent[i] / total).toFixed(1) + " %")));
  return el("div", {class: "card chart", id: "phases"}, el("h4", {}, "Where the time went"), el("div", {class: "phases"}, ...phases.map((p, i) => el("i", {style: `flex:${spent[i] / total} 0 0;background:var(--c${i % 6})`}))), el("table", {}, el("tbody", {}, ...rows)));
}

const largest = {};
for (const t of D.trajectories) for (const turn of t.turns) if (isNumber(turn.advantage)) largest[t.source] = Math.max(largest[t.source] || 0, Math.abs(turn.advantage));
function tint(advantage, source) {
  return advantage ? `color-mix(in srgb, var(--${sign(advantage)}) ${(8 + 42 * Math.abs(advantage) / largest[source]).toFixed(0)}%, transparent)` : "";
}
function tokenNode(id, exact, kind, note, background = "") {
  const text = tokenText(id), node = el("span", {class: "token " + kind, "data-tip": `${JSON.stringify(text)}  id ${id}\n${note}`}, exact ? text.replaceAll("\n", "↵\n") : text);
  node.style.background = background;
  return node;
}
function actionTokens(turn, source, exact) {
  const t = turn.tokens;
  return t.action.map((id, i) => {
    const note = `log-prob ${show(t.logprobs[i])}, probability ${show(Math.exp(t.logprobs[i]))}\n`;
    return t.trained[i] ? tokenNode(id, exact, "trained", `${note}trained, advantage ${signed(turn.advantage)}`, tint(turn.advantage, source)) : tokenNode(id, exact, "", note + "sampled, not trained");
  });
}
/** An image the agent saw; where its mouse went in this turn is drawn on it: a ring where it clicked, a line for a drag. */
function picture(source, pointer) {
  const image = el("img", {src: source, alt: "image the agent saw"}), frame = el("span", {class: "shot"}, image);
  if (!pointer.length) return frame;
  const [x, y] = pointer[pointer.length - 1], said = pointer.length > 1 ? "dragged from " : "mouse at ";
  image.alt += `; ${said}${pointer.map(p => `(${p.map(v => Math.round(v)).join(", ")})`).join(" to ")}`;
  const draw = () => {
    const size = Math.max(image.naturalWidth, image.naturalHeight) / 40, marks = [];
    if (pointer.length > 1) marks.push(el("line", {x1: pointer[0][0], y1: pointer[0][1], x2: x, y2: y, "stroke-width": size / 3}), el("circle", {cx: pointer[0][0], cy: pointer[0][1], r: size / 2, "stroke-width": size / 3}));
    marks.push(el("circle", {cx: x, cy: y, r: size, "stroke-width": size / 3}), el("circle", {cx: x, cy: y, r: size / 5, class: "dot"}));
    frame.append(el("svg", {viewBox: `0 0 ${image.naturalWidth} ${image.naturalHeight}`, class: "pointer", "aria-hidden": "true"}, ...marks));
  };
  if (image.complete && image.naturalWidth) draw(); else image.addEventListener("load", draw);
  return frame;
}
function message(m, name, pointer = []) {
  const parts = m.parts.map(p => "image" in p ? picture(p.image, pointer) : "left_out" in p ? el("i", {class: "soft"}, `[image of ${show(Math.ceil(p.left_out / 1000))} kB, not in this file]`) : p.text.replace(/^\n+|\n+$/g, ""));
  return el("div", {class: "message"}, el("small", {}, name || m.role), ...parts);
}
function turnNode(turn, number, source) {
  const t = turn.tokens, exact = $("exact").checked && t !== null, remarks = [];
  if (!turn.valid) remarks.push("action could not be used");
  if (turn.stand_in) remarks.push("stands in for an observation, or is the turn of the episode this one was forked from, so it is not trained here");
  if (t && t.restart) remarks.push("context rebuilt: a new sample starts here");
  if (t && t.finish !== "stop") remarks.push(t.finish === "length" ? "cut off at the length limit" : "context overflow");
  const body = t ? actionTokens(turn, source, exact) : [turn.action], calls = turn.calls.map(c => el("div", {class: "mono"}, c));
  const images = turn.seen.flatMap(m => m.parts).filter(p => "image" in p);
  const context = exact ? [el("div", {class: "message"}, el("small", {}, `context: ${plural(t.context.length, "token")} ${t.restart ? "in all" : "appended"}`), ...t.context.map(id => tokenNode(id, true, "context", "context, not trained")), ...images.map(p => picture(p.image, turn.pointer)))] : turn.seen.map(m => message(m, "", turn.pointer));
  const fact = (name, value, more = "", kind = "") => el("span", {}, name + " ", el("b", {class: kind}, value), more);
  const parts = Object.entries(turn.components).map(([k, v]) => `${words(k)} ${show(v)}`).join(" + ");
  const facts = [fact("reward", isNumber(turn.reward) ? show(turn.reward) : "not scored", parts ? ` = ${parts}` : ""), fact("advantage", isNumber(turn.advantage) ? signed(turn.advantage) : "–", "", sign(turn.advantage))];
  if (isNumber(turn.potential)) facts.push(fact("potential", show(turn.potential)));
  if (t) facts.push(fact("trained", `${t.trained.filter(Boolean).length} of ${plural(t.action.length, "token")}`), fact("mean log-prob", t.action.length ? show(t.logprobs.reduce((a, b) => a + b, 0) / t.action.length) : "–"), fact("context", plural(t.context.length, "token")), fact("policy version", show(t.version)));
  if (turn.seconds >= .005) facts.push(fact("environment", duration(turn.seconds)));
  if (turn.anchor) facts.push(fact("state", turn.anchor.length > 12 ? turn.anchor.slice(0, 8) + "…" : turn.anchor));
  return el("section", {class: "turn" + (exact ? " exact" : ""), id: `turn-${number}`}, el("h4", {}, `Turn ${number}`, el("span", {class: "bad"}, remarks.length ? "  " + remarks.join("; ") : "")), ...context,
    el("div", {class: "message action"}, el("small", {}, "assistant"), ...body, ...calls), el("div", {class: "facts"}, ...facts));
}
/** Scroll to a turn inside its pane, or on the page where the pane is as long as the episode. */
function toTurn(number) {
  const pane = $("episode"), turn = $(`turn-${number}`);
  if (pane.scrollHeight <= pane.clientHeight) return turn.scrollIntoView();
  pane.scrollTop = turn.offsetTop - pane.querySelector(".strip").offsetHeight;
}
let chosen = null;
function episode() {
  const t = chosen;
  if (t === null) return $("episode").replaceChildren("No trajectory fits.");
  const verdict = t.valid ? `outcome ${show(t.score)} (${words(t.stop)})` : `no verdict (${words(t.stop)})`;
  const strip = t.turns.map((turn, i) => { const b = el("button", {"data-tip": `turn ${i + 1}\nreward ${show(turn.reward)}\nadvantage ${signed(turn.advantage)}`, onclick: () => toTurn(i + 1)}, String(i + 1)); b.style.background = tint(turn.advantage, t.source); return b; });
  const facts = Object.entries(t.facts).filter(([, v]) => v !== "" && !(v !== null && typeof v === "object" && !Object.keys(v).length));
  const scale = largest[t.source] ? [el("div", {class: "scale"}, `advantage −${show(largest[t.source])}`, el("i"), `+${show(largest[t.source])}`)] : [];
  $("episode").replaceChildren(el("div", {}, el("b", {}, `${t.task} · rollout ${t.rollout}`), "  ", el("b", {class: !t.valid ? "" : t.success ? "ok" : "bad"}, verdict), el("span", {class: "soft"}, `  ${t.source}${t.estimator ? ", " + t.estimator : ""}${t.note ? " · " + t.note : ""}`)),
    el("div", {class: "strip"}, ...strip), ...scale, ...t.turns.map((turn, i) => turnNode(turn, i + 1, t.source)),
    ...(t.final.length ? [el("section", {class: "turn"}, el("h4", {}, "After the last turn"), ...t.final.map(m => message(m)))] : []),
    el("section", {class: "turn"}, el("details", {}, el("summary", {}, "Facts of the episode"), el("pre", {}, facts.map(([k, v]) => `${k}: ${typeof v === "object" ? JSON.stringify(v, null, 1) : v}`).join("\n")))));
}
const texts = new Map();
function textOf(t) {
  if (!texts.has(t)) texts.set(t, [t.task, t.note, ...t.turns.flatMap(turn => [turn.action, ...turn.calls, ...turn.seen.flatMap(m => m.parts.map(p => p.text || ""))]), ...t.final.flatMap(m => m.parts.map(p => p.text || ""))].join("\n").toLowerCase());
  return texts.get(t);
}
function list() {
  const source = $("source").value, result = $("result").value, find = $("search").value.toLowerCase();
  const state = t => !t.valid ? "void" : String(+t.success), found = D.trajectories.filter(t => (!source || t.source === source) && (!result || state(t) === result) && (!find || textOf(t).includes(find)));
  $("count").textContent = `${show(found.length)} of ${D.trajectories.length} shown` + (D.left_out ? `; ${show(D.left_out)} more are in the run folder alone` : "");
  const pick = (t, button) => { for (const b of $("list").children) b.removeAttribute("aria-current"); button.setAttribute("aria-current", "true"); chosen = t; episode(); $("episode").scrollTop = 0; };
  $("list").replaceChildren(...found.map(t => el("button", {onclick: e => pick(t, e.currentTarget)}, el("span", {class: !t.valid ? "soft" : t.success ? "ok" : "bad"}, !t.valid ? "?" : t.success ? "✓" : "✗"),
    el("span", {class: "name"}, t.task, el("small", {}, `${t.source} · rollout ${t.rollout}`)), el("span", {class: "soft"}, plural(t.turns.length, "turn")))));
  if (found.length) pick(found[0], $("list").firstChild); else { chosen = null; episode(); }
}
function viewer() {
  for (const name of ["", ...new Set(D.trajectories.map(t => t.source))]) $("source").append(el("option", {value: name}, name || "every file"));
  for (const id of ["source", "result", "search"]) $(id).addEventListener("input", list);
  $("exact").addEventListener("input", episode);
  $("list").addEventListener("keydown", e => {
    const next = {ArrowDown: "nextSibling", ArrowUp: "previousSibling"}[e.key], button = next && document.activeElement[next];
    if (button) { e.preventDefault(); button.focus(); button.click(); }
  });
  list();
}
function tips() {
  const tip = $("tip");
  document.addEventListener("pointerover", e => {
    const over = e.target.closest("[data-tip]");
    tip.hidden = !over;
    if (!over) return;
    tip.textContent = over.dataset.tip;
    const box = over.getBoundingClientRect(), own = tip.getBoundingClientRect();
    tip.style.left = Math.max(6, Math.min(box.left, innerWidth - own.width - 6)) + "px";
    tip.style.top = (box.top > own.height + 10 ? box.top - own.height - 6 : box.bottom + 6) + "px";
  });
}
for (const part of [about, tiles, held, charts, viewer, tips]) part();
