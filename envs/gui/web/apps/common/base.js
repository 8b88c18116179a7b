"use strict";
/* What the three apps share: one JSON state, a router on the hash, slow pages, dialogs, controls.
 *
 * app.setup(config) puts the app into a start state, app.read() gives what checks look at, app.snapshot() and app.load(state) save and
 * restore everything (but the browser's history), app.shown() says what is on the screen, app.advance(ms) lets time pass. Nothing reads the date or a random number. With config.clock "manual" no timer is
 * ever set and time passes only by app.advance; otherwise it passes by itself.
 */
const app = (() => {
  let site = null;
  let state = null;
  let stamp = "";
  let loads = 0;
  const MAX_TEXT = 2000;  // characters of a field
  const EVENTS = ["onclick", "oninput", "onchange", "onsubmit"];
  const DIALOGS = {
    newsletter: {
      title: "Stay in the loop", text: "News and offers, once a week. Enter your e-mail address to subscribe.",
      input: "Your e-mail address", yes: "Subscribe", no: "No thanks", run: "subscribe",
    },
    cookies: {
      title: "We value your privacy", text: "This site stores small files on your device to remember your choices.",
      yes: "Accept all cookies", no: "Only necessary cookies", run: "cookies",
    },
    survey: { title: "How are we doing?", text: "Would you answer five short questions?", yes: "Take the survey", no: "Not now", run: "survey" },
    unsaved: { title: "Leave this page?", text: "What you have entered on this page has not been saved.", yes: "Leave without saving", no: "Stay on this page" },
  };

  // ---- elements -----------------------------------------------------------------------------------------------------------------

  /** h("button.primary", {onclick}, "Text"): an element; null and false children are left out. */
  function h(spec, props, ...children) {
    const [tag, ...classes] = spec.split(".");
    const node = document.createElement(tag);
    if (classes.length) node.className = classes.join(" ");
    for (const [name, value] of Object.entries(props ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (EVENTS.includes(name) || name === "value" || name === "checked") continue;
      node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false && child !== "") node.append(child);
    }
    for (const name of EVENTS) if (props?.[name]) node[name] = props[name];
    if (props && "value" in props) node.value = props.value;
    if (props && "checked" in props) node.checked = props.checked;
    return node;
  }

  /** Make the tree `from` equal to `to`, keeping the nodes that are alike: what an agent was shown stays clickable. */
  function morph(from, to) {
    if (from.nodeName !== to.nodeName || from.dataset?.key !== to.dataset?.key) return from.replaceWith(to);
    if (from.nodeType === Node.TEXT_NODE) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of [...to.attributes]) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    for (const name of EVENTS) from[name] = to[name];
    const [old, fresh] = [[...from.childNodes], [...to.childNodes]];
    fresh.forEach((child, n) => (n < old.length ? morph(old[n], child) : from.append(child)));
    old.slice(fresh.length).forEach((child) => child.remove());
    if ("value" in to && from.value !== to.value) from.value = to.value;
    if ("checked" in to) from.checked = to.checked;
  }

  const link = (text, route, props) => h("a", { href: "#" + route, onclick: (e) => (e.preventDefault(), act(() => go(route))), ...props }, text);
  const button = (text, run, props) => h("button", { type: "button", onclick: () => act(run), ...props }, text);
  /** A button of a row: the short text for the eye, the whole name for everybody else. */
  const rowButton = (text, name, run) => button(text, run, { "aria-label": name });
  const heading = (text, level = 1) => h("h" + level, {}, text);

  // ---- controls: what is typed lives in state.inputs until the page is left ---------------------------------------------------------

  const value = (name, initial = "") => state.inputs[name] ?? initial;

  function typed(name, kept) {
    return (event) => {
      if (event.target.value.length > MAX_TEXT) event.target.value = event.target.value.slice(0, MAX_TEXT);
      state.inputs[name] = event.target.type === "checkbox" ? event.target.checked : event.target.value;
      if (kept) state.dirty = true;
      save();
    };
  }

  /** The label of a control for the eye; the control itself carries the name, so that it is read out once. */
  const caption = (text, id) => h("label", { for: id, "aria-hidden": "true" }, text);

  /** A labelled text field. `loose`: leaving the page loses nothing worth asking about. */
  function field(label, name, { initial = "", area = false, loose = false, rows = 5 } = {}) {
    const props = { id: "f-" + name, "aria-label": label, value: value(name, initial), oninput: typed(name, !loose), autocomplete: "off" };
    return h("div.field", {}, caption(label, props.id), area ? h("textarea", { ...props, rows }) : h("input", { ...props, type: "text" }));
  }

  /** A labelled <select> of texts or [value, text] pairs. `change(value)`, if given, runs at once; `shown` is a shorter label for the eye. */
  function select(label, name, options, { initial = "", loose = false, change = null, shown = label } = {}) {
    const current = value(name, initial);
    const items = options.map((o) => (Array.isArray(o) ? o : [o, o]));
    const store = typed(name, !loose);
    const onchange = (event) => (change ? act(() => change(event.target.value)) : store(event));
    const node = h("select", { id: "f-" + name, "aria-label": label, onchange }, items.map(([v, text]) => h("option", { value: v }, text)));
    node.value = items.some(([v]) => v === current) ? current : (items[0]?.[0] ?? "");
    return h("div.field", {}, caption(shown, "f-" + name), node);
  }

  /** A labelled checkbox; one that stands for a row (`bare`) shows no label to the eye. */
  function checkbox(label, name, { initial = false, loose = false, bare = false } = {}) {
    const props = { id: "f-" + name, type: "checkbox", "aria-label": label, checked: value(name, initial), onchange: typed(name, !loose) };
    return h("div.tick", {}, h("input", props), !bare && caption(label, props.id));
  }

  /** Radio buttons under one heading. */
  function radios(label, name, options, { initial = "" } = {}) {
    const current = value(name, initial);
    const pick = typed(name, true);
    return h("fieldset", {}, h("legend", {}, label), options.map(([v, text], n) =>
      h("div.tick", {}, h("input", { id: `f-${name}-${n}`, type: "radio", "aria-label": text, name, value: v, checked: v === current, onchange: pick }), caption(text, `f-${name}-${n}`))));
  }

  const form = (label, run, ...children) =>
    h("form", { "aria-label": label, onsubmit: (e) => (e.preventDefault(), act(run)) }, ...children);
  const submit = (text) => h("button.primary", { type: "submit" }, text);
  const facts = (rows) => h("dl", {}, rows.filter(Boolean).map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
  const table = (head, rows) => h("table", {}, h("thead", {}, h("tr", {}, head.map((c) => h("th", { scope: "col" }, c)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell))))));
  const money = (cents) => (cents / 100).toFixed(2);

  // ---- routes -----------------------------------------------------------------------------------------------------------------------

  const parse = (route) => {
    const [path, query = ""] = route.split("?");
    return { path, parts: path.split("/").slice(1), query: Object.fromEntries(new URLSearchParams(query)) };
  };
  /** The row of a table, or nothing for a key that is none, whatever an address says. */
  const row = (table, key) => (Object.hasOwn(table, key ?? "") ? table[key] : undefined);
  /** A route from a path and a query; empty values are left out. */
  const route = (path, query = {}) => {
    const text = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== "" && v !== null && v !== undefined)).toString();
    return text ? `${path}?${text}` : path;
  };

  function go(to, { force = false, history: how = "push" } = {}) {
    if (state.dirty && !force) {
      state.dialog = { kind: "unsaved", to };
      if (how === "follow") note("push");
      return;
    }
    Object.assign(state, { route: to, inputs: {}, dirty: false, notice: "", visits: state.visits + 1 });
    const delay = state.delays.length ? state.delays[state.visits % state.delays.length] : 0;
    state.ready = state.clock + delay;
    if (delay && state.timers === "real") setTimeout(() => app.advance(delay), delay);
    const popup = state.popups.find((p) => p.at === state.visits);
    if (popup) state.dialog = { kind: popup.kind };
    if (how !== "none") note(how === "follow" ? "replace" : how);
  }

  /** Tell the browser's history where the app is. Entries of earlier episodes carry another stamp. */
  function note(how) {
    const entry = { stamp };
    if (how === "push") history.pushState(entry, "", "#" + state.route);
    else history.replaceState(entry, "", "#" + state.route);
  }

  function enter() {
    stamp = `${performance.timeOrigin}-${(loads += 1)}`;
    history.replaceState({ stamp: "before" }, "", "#" + state.route);  // going back from the first page stays on it
    note("push");
  }

  window.addEventListener("popstate", (event) => {
    if (!state) return;
    const to = location.hash.slice(1) || site.home;
    if (event.state && event.state.stamp !== stamp) return note("push");
    if (event.state === null) act(() => go(to, { history: "follow" }));
    else if (to !== state.route) act(() => (state.dirty ? (note("push"), go(to)) : go(to, { history: "none" })));
  });

  // ---- the page ---------------------------------------------------------------------------------------------------------------------

  /** Run what a control does, then show the state. */
  function act(run) {
    run();
    render();
  }

  const say = (text, bad = false) => ((state.notice = text), (state.bad = bad));
  const fail = (text) => say(text, true);
  const ask = (title, text, yes, no, run, ...args) => (state.dialog = { kind: "confirm", title, text, yes, no, run, args });

  function dialog() {
    const d = { ...DIALOGS[state.dialog.kind], ...state.dialog };
    const close = () => (state.dialog = null);
    const yes = () => {
      const entered = value("dialog").trim();
      if (d.input && !entered) return;
      close();
      delete state.inputs.dialog;
      if (d.kind === "unsaved") return go(d.to, { force: true });
      (site.actions?.[d.run] ?? common[d.run])(state, ...(d.args ?? [entered]));
    };
    return h("div.veil", {}, h("div.dialog", { role: "dialog", "aria-modal": "true", "aria-label": d.title, "data-key": d.kind },
      heading(d.title, 2), h("p", {}, d.text), d.input && field(d.input, "dialog", { loose: true }),
      h("div.row", {}, button(d.yes, yes, { class: "primary" }), button(d.no, close))));
  }

  const common = {
    subscribe: (s, email) => { (s.tables.subscriptions ??= {}).newsletter = { email }; say("Thank you for subscribing."); },
    cookies: (s) => { s.settings.cookies = "all"; },
    survey: (s) => { (s.tables.surveys ??= {}).survey = { answered: true }; say("Thank you. The survey will be sent to you."); },
  };

  function render() {
    const { path, parts, query } = parse(state.route);
    const busy = state.clock < state.ready;
    if (!busy && !state.dialog) {
      site.opened?.(state, parts);
      state.seen[path] = {};
      if (path !== state.route) state.seen[state.route] = {};
    }
    const found = !busy && (row(site.views, parts[0] || "home")?.(state, parts.slice(1), query) ?? { title: "Page not found", body: [h("p", {}, "There is no such page.")] });
    const page = found || { title: "Loading", body: [h("p.loading", { role: "status" }, "Loading, please wait…")] };
    const notice = state.notice && !busy && h("p.notice" + (state.bad ? ".bad" : ""), { role: state.bad ? "alert" : "status" }, state.notice);
    const main = h("main", { "aria-busy": String(busy), "data-key": path + busy }, notice, !busy && heading(page.title), ...page.body);
    const links = site.nav(state).map(([text, to]) => link(text, to, { "aria-current": to === state.route && "page" }));
    const top = h("header", {}, h("span.brand", {}, site.name), h("nav", { "aria-label": "Main" }, links));
    const shell = h("div", { id: "app", class: site.id }, h("div.shell", { inert: Boolean(state.dialog) }, top, main), state.dialog && dialog());
    document.title = `${page.title} - ${site.name}`;
    morph(document.getElementById("app"), shell);
    save();
  }

  /** A document of an opaque origin has no storage; nothing can reload it either. */
  const storage = (() => { try { return window.sessionStorage; } catch { return null; } })();
  const save = () => storage?.setItem(site.id, JSON.stringify(state));

  return {
    h, link, button, rowButton, heading, value, field, select, checkbox, radios, form, submit, facts, table, money, row, route, go, say, fail, ask,
    get state() { return state; },
    /** Declare the app: {id, name, home, nav(state), views: {first part of the path: (state, parts, query) => {title, body}}, actions, opened}. */
    define(definition) {
      site = definition;
      const kept = storage?.getItem(site.id);  // a reload keeps the state
      if (kept) app.load(JSON.parse(kept));
    },
    /** config: tables, settings, start (route), inputs (of a half-filled form), delays (ms of each page in turn), popups, clock. */
    setup(config) {
      const { tables, settings = {}, start = site.home, inputs = {}, delays = [], popups = [], clock = "real" } = structuredClone(config);
      state = {
        tables, settings, route: start, inputs, dirty: Object.keys(inputs).length > 0, delays, popups, timers: clock,
        seen: {}, visits: 0, clock: 0, ready: 0, notice: "", bad: false, dialog: null,
      };
      enter();
      render();
      return app.read();
    },
    read: () => structuredClone({ tables: state.tables, seen: state.seen }),
    /** What the page shows beside the tables, without what only counts time. */
    shown: () => structuredClone({ route: state.route, inputs: state.inputs, dialog: state.dialog, notice: state.notice, busy: state.clock < state.ready }),
    snapshot: () => structuredClone(state),
    load(saved) {
      state = structuredClone(saved);
      enter();
      render();
    },
    advance(ms) {
      const before = state.clock;
      state.clock += ms;
      if (before < state.ready && state.clock >= state.ready) render();
      else save();
    },
    busy: () => state.clock < state.ready,
  };
})();
