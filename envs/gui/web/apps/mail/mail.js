"use strict";
/* The mail client. Tables: mails, contacts, rules, subscriptions. settings: me, today, folders, labels, files, next_mail, next_contact, next_rule. */
(() => {
  const { h, link, button, rowButton, heading, value, field, select, checkbox, form, submit, facts, table, row, route, go, say, fail, ask } = app;
  const PAGE = 6;
  const items = (t) => Object.entries(t);
  const box = (name) => `/folder/${name}`;
  const split = (text) => text.split(/[,;]/).map((a) => a.trim()).filter(Boolean);
  const who = (s, address) => Object.values(s.tables.contacts).find((c) => c.email === address)?.name ?? address;
  const label = (s, m) => `${m.folder === "Sent" || m.folder === "Drafts" ? "To " + (m.to.map((a) => who(s, a)).join(", ") || "nobody") : m.from_name}: ${m.subject || "(no subject)"}, ${m.date}`;

  const searchBox = (s, text = "") => form("Search mail", () => go(route("/search", { q: value("q", text).trim() })), h("div.row", {}, field("Search all mail", "q", { initial: text, loose: true }), submit("Search")));

  function listing(s, found, here, query) {
    const page = Number(query.page ?? 1);
    const sorted = found.sort((a, b) => (a[1].date < b[1].date ? 1 : a[1].date > b[1].date ? -1 : b[0] < a[0] ? -1 : 1));
    const shown = sorted.slice((page - 1) * PAGE, page * PAGE);
    const to = (n) => route(here, { ...query, page: n === 1 ? "" : n });
    const item = ([id, m]) => h(m.unread ? "li.unread" : "li", {}, checkbox(`Select ${label(s, m)}`, "pick-" + id, { loose: true, bare: true }), h("span.grow", {}, link(m.folder === "Drafts" ? `Draft ${label(s, m)}` : label(s, m), m.folder === "Drafts" ? `/compose?draft=${id}` : `/mail/${id}`)),
      h("span.soft", {}, [m.unread && "unread", m.starred && "starred", ...m.labels, here === "/search" && m.folder].filter(Boolean).join(" · ")));
    const apply = () => {
      const picked = shown.filter(([id]) => value("pick-" + id, false));
      if (!picked.length) return fail("Select the messages first.");
      const what = value("bulk", s.settings.folders[0]);
      picked.forEach(([, m]) => (what === "read" || what === "unread" ? (m.unread = what === "unread") : (m.folder = what)));
      s.inputs = {};
      say(`${picked.length} messages were changed.`);
    };
    const choices = [...s.settings.folders.map((f) => [f, `Move to ${f}`]), ["read", "Mark as read"], ["unread", "Mark as unread"]];
    return [h("p.soft", { role: "status" }, `${found.length} messages, page ${page} of ${Math.max(1, Math.ceil(found.length / PAGE))}`), h("ul.list", {}, shown.map(item)),
      h("div.row", {}, page > 1 && link("Newer messages", to(page - 1)), page * PAGE < found.length && link("Older messages", to(page + 1))),
      shown.length > 0 && form("Change the selected messages", apply, h("div.row", {}, select("With the selected messages", "bulk", choices, { initial: s.settings.folders[0], loose: true }), h("button", { type: "submit" }, "Apply")))];
  }

  function folder(s, [name], query) {
    if (!s.settings.folders.includes(name)) return null;
    const found = items(s.tables.mails).filter(([, m]) => m.folder === name);
    const others = s.settings.folders.map((f) => link(f, box(f), { "aria-current": f === name && "page" }));
    return { title: name, body: [searchBox(s), h("div.row", { role: "navigation", "aria-label": "Folders" }, others), ...listing(s, found, box(name), query)] };
  }

  function search(s, parts, query) {
    const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const text = (m) => `${m.from_name} ${m.from} ${m.to.join(" ")} ${m.subject} ${m.body}`.toLowerCase();
    const found = items(s.tables.mails).filter(([, m]) => words.length && words.every((w) => text(m).includes(w)));
    return { title: `Search results for ${query.q ?? ""}`, body: [searchBox(s, query.q), ...listing(s, found, "/search", query)] };
  }

  function mail(s, [id]) {
    const m = row(s.tables.mails, id);
    if (!m) return null;
    const move = (to) => () => { m.folder = to; s.inputs = {}; say(`The message was moved to ${to}.`); };
    const unread = () => { m.unread = true; go(box(m.folder), { force: true }); say("The message was marked as unread."); };
    const tag = () => {
      const l = value("label", s.settings.labels[0]);
      m.labels = m.labels.includes(l) ? m.labels.filter((x) => x !== l) : [...m.labels, l].sort();
      say(m.labels.includes(l) ? `The label ${l} was added.` : `The label ${l} was removed.`);
    };
    const others = items(s.tables.mails).filter(([k, o]) => o.thread === m.thread && k !== id).map(([k, o]) => h("li", {}, link(label(s, o), `/mail/${k}`)));
    return { title: m.subject || "(no subject)", body: [h("p", {}, [m.folder, ...m.labels, m.starred && "starred"].filter(Boolean).map((t) => h("span.pill", {}, t))),
      facts([["From", `${m.from_name} <${m.from}>`], ["To", m.to.join(", ")], m.cc.length > 0 && ["Cc", m.cc.join(", ")], ["Date", m.date], m.attachments.length > 0 && ["Attached", m.attachments.join(", ")]]),
      h("div.body", {}, m.body),
      h("div.row", {}, link("Reply", `/compose?reply=${id}`), link("Reply to all", `/compose?all=${id}`), link("Forward", `/compose?forward=${id}`), button(m.starred ? "Remove star" : "Add star", () => { m.starred = !m.starred; }),
        button("Mark as unread", unread), button("Archive", move("Archive")), button("Delete", move("Trash"))),
      h("div.row", {}, select("Folder", "folder", s.settings.folders, { initial: m.folder, loose: true }), button("Move to folder", () => move(value("folder", m.folder))()),
        select("Label", "label", s.settings.labels, { initial: s.settings.labels[0], loose: true }), button("Add or remove label", tag)),
      others.length > 0 && heading("In the same conversation", 2), others.length > 0 && h("ul.list", {}, others)] };
  }

  /** What a new message starts with. */
  function beginning(s, query) {
    const old = row(s.tables.mails, query.reply ?? query.all ?? query.forward ?? query.draft);
    if (query.draft && old) return { ...old, to: old.to.join(", "), cc: old.cc.join(", "), id: query.draft };
    if (!old) return { to: query.to ?? "", cc: "", subject: "", body: "", attachments: [], thread: null };
    const head = query.forward ? "Fwd" : "Re";
    const subject = old.subject.startsWith(`${head}: `) ? old.subject : `${head}: ${old.subject}`;
    if (query.forward) return { to: "", cc: "", subject, body: `\n\nOn ${old.date} ${old.from_name} wrote:\n${old.body}`, attachments: old.attachments, thread: old.thread };
    const rest = query.all ? [...old.to, ...old.cc].filter((a) => a !== s.settings.me && a !== old.from) : [];
    return { to: old.from, cc: rest.join(", "), subject, body: "", attachments: [], thread: old.thread };
  }

  function compose(s, parts, query) {
    const start = beginning(s, query);
    const attached = value("attachments", start.attachments);
    const message = (folder) => ({
      folder, from: s.settings.me, from_name: "Me", to: split(value("to", start.to)), cc: split(value("cc", start.cc)), subject: value("subject", start.subject).trim(), body: value("body", start.body).trim(),
      date: s.settings.today, labels: [], starred: false, unread: false, thread: start.thread ?? `t${s.settings.next_mail}`, attachments: attached,
      reply_to: query.reply ?? query.all ?? start.reply_to ?? "", forward_of: query.forward ?? start.forward_of ?? "",
    });
    const put = (m) => { if (start.id) delete s.tables.mails[start.id]; s.tables.mails[`m${s.settings.next_mail++}`] = m; };
    const send = () => {
      const m = message("Sent");
      if (!m.to.length) return fail("Enter at least one address in the field To.");
      const bad = [...m.to, ...m.cc].find((a) => !/^[^@\s]+@[^@\s]+$/.test(a));
      if (bad) return fail(`${bad} is not an e-mail address.`);
      put(m);
      go(box("Inbox"), { force: true });
      say("The message was sent.");
    };
    const draft = () => { put(message("Drafts")); go(box("Drafts"), { force: true }); say("The draft was saved."); };
    const attach = () => { s.inputs.attachments = [...new Set([...attached, value("file", s.settings.files[0])])]; s.dirty = true; };
    const drop = (f) => () => { s.inputs.attachments = attached.filter((x) => x !== f); s.dirty = true; };
    return { title: query.draft ? "Draft" : "New message", body: [form("Message", send, field("To", "to", { initial: start.to }), field("Cc", "cc", { initial: start.cc }), field("Subject", "subject", { initial: start.subject }),
      field("Message", "body", { initial: start.body, area: true, rows: 8 }),
      h("div.row", {}, select("File", "file", s.settings.files, { initial: s.settings.files[0] }), button("Attach file", attach), attached.map((f) => [h("span.pill", {}, f), rowButton("Remove", `Remove ${f}`, drop(f))])),
      h("div.row", {}, submit("Send"), button("Save as draft", draft)))] };
  }

  function contacts(s) {
    const rows = items(s.tables.contacts).map(([id, c]) => [link(c.name, `/contact/${id}`), c.email, c.phone, c.company]);
    return { title: "Contacts", body: [table(["Name", "E-mail", "Phone", "Company"], rows), link("New contact", "/contact/new")] };
  }

  function contact(s, [id]) {
    const old = id === "new" ? { name: "", email: "", phone: "", company: "" } : row(s.tables.contacts, id);
    if (!old) return null;
    const keep = () => {
      const c = Object.fromEntries(Object.keys(old).map((k) => [k, value(k, old[k]).trim()]));
      if (!c.name || !c.email.includes("@")) return fail("Enter a name and an e-mail address.");
      s.tables.contacts[id === "new" ? `k${s.settings.next_contact++}` : id] = c;
      go("/contacts", { force: true });
      say(`The contact ${c.name} was saved.`);
    };
    const remove = () => ask(`Delete ${old.name}?`, "This cannot be undone.", "Yes, delete the contact", "No, keep the contact", "forget", id);
    return { title: id === "new" ? "New contact" : old.name, body: [form("Contact", keep, field("Name", "name", { initial: old.name }), field("E-mail", "email", { initial: old.email }), field("Phone", "phone", { initial: old.phone }),
      field("Company", "company", { initial: old.company }), submit("Save contact")), id !== "new" && h("div.row", {}, button("Delete contact", remove), link(`Write to ${old.name}`, route("/compose", { to: old.email })))] };
  }

  function rules(s) {
    const make = () => {
      const text = value("contains").trim();
      if (!text) return fail("Enter the text that the rule looks for.");
      s.tables.rules[`r${s.settings.next_rule++}`] = { field: value("field", "From"), contains: text, folder: value("folder", s.settings.folders[0]), read: value("read", false) };
      Object.assign(s, { inputs: {}, dirty: false });
      say("The rule was created.");
    };
    const rows = items(s.tables.rules).map(([id, r]) => [`${r.field} contains ${r.contains}`, `Move to ${r.folder}${r.read ? " and mark as read" : ""}`, rowButton("Delete", `Delete rule for ${r.contains}`, () => { delete s.tables.rules[id]; say("The rule was deleted."); })]);
    return { title: "Rules", body: [table(["If", "Then", "Change"], rows), heading("New rule", 2), form("New rule", make, h("div.row", {}, select("If the field", "field", ["From", "Subject", "To"], { initial: "From" }), field("Contains", "contains"),
      select("Move to", "folder", s.settings.folders, { initial: s.settings.folders[0] }), checkbox("Mark as read", "read"), submit("Create rule")))] };
  }

  app.define({
    id: "mail", name: "Mail", home: box("Inbox"),
    nav: (s) => [[`Inbox (${Object.values(s.tables.mails).filter((m) => m.folder === "Inbox" && m.unread).length})`, box("Inbox")], ["New message", "/compose"], ["Contacts", "/contacts"], ["Rules", "/rules"]],
    views: { home: (s) => folder(s, ["Inbox"], {}), folder, search, mail, compose, contacts, contact, rules },
    actions: { forget: (s, id) => { delete s.tables.contacts[id]; go("/contacts", { force: true }); say("The contact was deleted."); } },
    opened(s, [view, id]) {
      if (view === "mail" && row(s.tables.mails, id)) s.tables.mails[id].unread = false;
    },
  });
})();
