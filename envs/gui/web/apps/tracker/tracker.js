"use strict";
/* The issue tracker. Tables: issues, comments, labels, milestones, people, subscriptions. settings: me, today, next_issue, next_comment. */
(() => {
  const { h, link, button, heading, value, field, select, checkbox, form, submit, table, row, route, go, say, fail } = app;
  const PAGE = 6;
  const REASONS = ["Completed", "Not planned", "Duplicate"];
  const items = (t) => Object.entries(t);
  const newest = (a, b) => b[0] - a[0];
  const none = (text, all) => [["", text], ...all.map((v) => [v, v])];
  const people = (s) => Object.keys(s.tables.people);
  const milestones = (s) => Object.keys(s.tables.milestones);
  const labels = (s) => Object.keys(s.tables.labels);
  const chosen = (s, initial = []) => labels(s).filter((l) => value("label-" + l, initial.includes(l)));
  const ticks = (s, initial = []) => h("fieldset", {}, h("legend", {}, "Labels"), h("div.ticks", {}, labels(s).map((l) => checkbox(l, "label-" + l, { initial: initial.includes(l) }))));

  function list(s, parts, query) {
    const state = query.state ?? "open";
    const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const is = (name, has) => !query[name] || (query[name] === "none" ? has("") : has(query[name]));
    const orders = { oldest: (a, b) => a[0] - b[0], title: (a, b) => (a[1].title < b[1].title ? -1 : 1) };
    const found = items(s.tables.issues).filter(([n, i]) => (state === "all" || i.state === state) && is("label", (v) => (v ? i.labels.includes(v) : !i.labels.length))
      && is("assignee", (v) => i.assignee === v) && is("milestone", (v) => i.milestone === v)
      && words.every((w) => `#${n} ${i.title}`.toLowerCase().includes(w))).sort(orders[query.sort] ?? newest);
    const page = Number(query.page ?? 1);
    const shown = found.slice((page - 1) * PAGE, page * PAGE);
    const set = (name) => (v) => go(route("/list", { ...query, page: "", [name]: v }));
    const options = (all, without) => [["", "Any"], ...all.map((v) => [v, v]), ["none", without]];
    const to = (n) => route("/list", { ...query, page: n === 1 ? "" : n });
    const item = ([n, i]) => h("li", {}, checkbox(`Select #${n}`, "pick-" + n, { loose: true, bare: true }), h("span.grow", {}, link(`#${n} ${i.title}`, `/issue/${n}`)),
      h("span.soft", {}, [i.labels.join(", ") || "no label", i.assignee || "unassigned", i.milestone || "no milestone", state === "all" && i.state].filter(Boolean).join(" · ")));
    return { title: "Issues", body: [form("Search issues", () => set("q")(value("q", query.q).trim()), h("div.row", {}, field("Search titles", "q", { initial: query.q, loose: true }), submit("Search"))),
      h("div.row", {}, select("State", "state", [["open", "Open"], ["closed", "Closed"], ["all", "All"]], { initial: state, change: set("state") }),
        select("Label", "label", options(labels(s), "No label"), { initial: query.label, change: set("label") }),
        select("Assignee", "assignee", options(people(s), "Nobody"), { initial: query.assignee, change: set("assignee") }),
        select("Milestone", "milestone", options(milestones(s), "No milestone"), { initial: query.milestone, change: set("milestone") }),
        select("Sort by", "sort", [["", "Newest first"], ["oldest", "Oldest first"], ["title", "Title"]], { initial: query.sort, change: set("sort") })),
      h("p.soft", { role: "status" }, `${found.length} issues, page ${page} of ${Math.max(1, Math.ceil(found.length / PAGE))}`),
      h("ul.list", {}, shown.map(item)),
      h("div.row", {}, page > 1 && link("Previous page", to(page - 1)), page * PAGE < found.length && link("Next page", to(page + 1))), bulk(s, shown)] };
  }

  /** One change to all issues that are ticked on this page. */
  function bulk(s, shown) {
    const what = value("bulk", "close");
    const choices = { close: REASONS.slice(0, 2), reopen: ["Open"], assign: people(s), milestone: milestones(s), add: labels(s), remove: labels(s) }[what];
    const change = {
      close: (i, v) => Object.assign(i, { state: "closed", reason: v }), reopen: (i) => Object.assign(i, { state: "open", reason: "", duplicate_of: "" }),
      assign: (i, v) => (i.assignee = v), milestone: (i, v) => (i.milestone = v),
      add: (i, v) => (i.labels = [...new Set([...i.labels, v])].sort()), remove: (i, v) => (i.labels = i.labels.filter((l) => l !== v)),
    }[what];
    const apply = () => {
      const picked = shown.filter(([n]) => value("pick-" + n, false));
      if (!picked.length) return fail("Select the issues first.");
      picked.forEach(([, i]) => change(i, value("bulk-value", choices[0])));
      s.inputs = {};
      say(`${picked.length} issues were changed.`);
    };
    const pick = (v) => { s.inputs.bulk = v; delete s.inputs["bulk-value"]; };
    return form("Change the selected issues", apply, h("div.row", {}, select("With the selected issues", "bulk", [["close", "Close"], ["reopen", "Reopen"], ["assign", "Assign to"], ["milestone", "Set milestone"], ["add", "Add label"], ["remove", "Remove label"]], { initial: "close", change: pick }),
      select("Value", "bulk-value", choices, { initial: choices[0], loose: true }), h("button", { type: "submit" }, "Apply to the selected")));
  }

  function issue(s, [n]) {
    const i = row(s.tables.issues, n);
    if (!i) return null;
    const keep = () => {
      Object.assign(i, { assignee: value("assignee", i.assignee), milestone: value("milestone", i.milestone), labels: chosen(s, i.labels) });
      done(s, `Issue #${n} was saved.`);
    };
    const comment = () => {
      const text = value("comment").trim();
      if (!text) return fail("Write a comment first.");
      s.tables.comments[`c${s.settings.next_comment++}`] = { issue: n, author: s.settings.me, date: s.settings.today, text };
      done(s, "Your comment was added.");
    };
    const close = () => {
      const [reason, other] = [value("reason", "Completed"), value("duplicate").trim().replace(/^#/, "")];
      if (reason === "Duplicate" && (!row(s.tables.issues, other) || other === n)) return fail("Enter the number of the issue that this one duplicates.");
      Object.assign(i, { state: "closed", reason, duplicate_of: reason === "Duplicate" ? other : "" });
      done(s, `Issue #${n} was closed.`);
    };
    const reopen = () => { Object.assign(i, { state: "open", reason: "", duplicate_of: "" }); done(s, `Issue #${n} was reopened.`); };
    const said = items(s.tables.comments).filter(([, c]) => c.issue === n).map(([, c]) => h("li", {}, h("span.grow", {}, h("b", {}, c.author), h("span.soft", {}, ` on ${c.date}`), h("div.body", {}, c.text))));
    const status = i.state === "open" ? "Open" : `Closed: ${i.reason}${i.duplicate_of ? ` of #${i.duplicate_of}` : ""}`;
    const pick = (v) => { s.inputs.reason = v; s.dirty = true; };
    return { title: `#${n} ${i.title}`, body: [h("p", {}, h("span.pill", {}, status), h("span.soft", {}, `opened on ${i.created} by ${i.author}`)), h("div.split", {},
      h("div", {}, h("div.body", {}, i.body), link("Edit title and description", `/edit/${n}`), heading("Comments", 2), said.length ? h("ul.list", {}, said) : h("p.soft", {}, "No comments yet."),
        form("Comment", comment, field("New comment", "comment", { area: true, rows: 3 }), h("button", { type: "submit" }, "Add comment"))),
      h("div", {}, form("Details", keep, select("Assignee", "assignee", none("Nobody", people(s)), { initial: i.assignee }), select("Milestone", "milestone", none("No milestone", milestones(s)), { initial: i.milestone }),
        ticks(s, i.labels), submit("Save details")),
        i.state === "open" ? form("Close", close, select("Reason", "reason", REASONS, { initial: "Completed", change: pick }), value("reason") === "Duplicate" && field("Duplicate of issue number", "duplicate"),
          h("div.row", {}, h("button", { type: "submit" }, "Close issue"))) : h("div.row", {}, button("Reopen issue", reopen))))] };
  }

  function done(s, text) {
    Object.assign(s, { inputs: {}, dirty: false });
    say(text);
  }

  const texts = (i) => [field("Title", "title", { initial: i.title }), field("Description", "body", { initial: i.body, area: true })];

  function edit(s, [n]) {
    const i = row(s.tables.issues, n);
    if (!i) return null;
    const keep = () => {
      const title = value("title", i.title).trim();
      if (!title) return fail("An issue needs a title.");
      Object.assign(i, { title, body: value("body", i.body).trim() });
      go(`/issue/${n}`, { force: true });
      say("The issue was saved.");
    };
    return { title: `Edit #${n}`, body: [form("Issue", keep, texts(i), submit("Save issue")), link("Cancel", `/issue/${n}`)] };
  }

  function create(s) {
    const make = () => {
      const title = value("title").trim();
      if (!title) return fail("An issue needs a title.");
      const n = String(s.settings.next_issue++);
      s.tables.issues[n] = {
        title, body: value("body").trim(), labels: chosen(s), assignee: value("assignee"), milestone: value("milestone"),
        state: "open", reason: "", duplicate_of: "", author: s.settings.me, created: s.settings.today,
      };
      go(`/issue/${n}`, { force: true });
      say(`Issue #${n} was created.`);
    };
    return { title: "New issue", body: [form("Issue", make, texts({ title: "", body: "" }), h("div.row", {}, select("Assignee", "assignee", none("Nobody", people(s))), select("Milestone", "milestone", none("No milestone", milestones(s)))), ticks(s), submit("Create issue"))] };
  }

  function plans(s) {
    const count = (m, state) => String(Object.values(s.tables.issues).filter((i) => i.milestone === m && i.state === state).length);
    return { title: "Milestones", body: [table(["Milestone", "Due", "Open", "Closed"], items(s.tables.milestones).map(([m, d]) => [link(m, route("/list", { milestone: m })), d.due, count(m, "open"), count(m, "closed")]))] };
  }

  const areas = (s) => ({ title: "Labels", body: [table(["Label", "Used for", "Looked after by"], items(s.tables.labels).map(([l, d]) => [link(l, route("/list", { label: l })), d.text, d.owner || "nobody"]))] });
  const team = (s) => ({ title: "Team", body: [table(["Name", "Role", "Status", "Stand-in"], items(s.tables.people).map(([p, d]) => [link(p, route("/list", { assignee: p })), d.role, d.away ? "Away" : "Available", d.deputy || "none"]))] });

  app.define({
    id: "tracker", name: "Issue Tracker", home: "/list",
    nav: () => [["Issues", "/list"], ["New issue", "/new"], ["Milestones", "/milestones"], ["Labels", "/labels"], ["Team", "/team"]],
    views: { home: list, list, issue, edit, new: create, milestones: plans, labels: areas, team },
  });
})();
