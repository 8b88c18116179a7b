"""The kinds of task in the mail client: each function drafts one task from the records of a world."""

from __future__ import annotations

from typing import Any

from .draft import Draft, Row, has, kinds_of, listed, money
from .mail_world import ANSWERS, FILES, LABELS, LINES, SUBJECTS, Mail

OLDER = "Older messages"
KINDS, kind = kinds_of("mail")


def open_mail(w: Mail, d: Draft, id: str) -> None:
    d.look(f"/mail/{id}")
    d.find(w.linked(id), OLDER)


def send(d: Draft, *, to: list[str], subject: str, body: Any, **columns: Any) -> None:
    """The goal of a message sent."""
    wanted: Row = {"cc": [], "attachments": [], **columns}
    d.goal(
        "message sent",
        {
            "kind": "added",
            "table": "mails",
            "where": {"folder": "Sent", "to": {"same": to}, "subject": {"text": subject}, "body": body, **wanted},
        },
        weight=2.0,
    )


@kind("reply")
def reply(w: Mail, d: Draft) -> None:
    id = w.pick(w.inbox())
    m, text = w.mails[id], w.pick(ANSWERS)
    d.words = {"person": m["from_name"], "subject": m["subject"], "text": text}
    open_mail(w, d, id)
    d.look(f"/compose?reply={id}", f"/compose?all={id}")
    send(d, to=[m["from"]], subject=f"Re: {m['subject']}", body={"text": text}, reply_to=id)
    d.link("Reply")
    d.fill("Message", text)
    d.button("Send")


@kind("reply_total")
def reply_total(w: Mail, d: Draft) -> None:
    person = w.pick(w.people)
    numbers = [str(n) for n in w.some(range(1000, 9999), 3)]
    totals = [money(int(n)) for n in w.some(range(1500, 30000), 6)]
    shop = {"name": f"{w.name()} Store", "email": "orders@example.com"}
    ids = [
        w.write(
            shop,
            f"Confirmation of order {n}",
            f"Thank you for your order {n}.\nItems: {totals[k]}\nTotal with shipping: {totals[k + 3]}",
            folder=w.pick(("Inbox", "Archive")),
        )
        for k, n in enumerate(numbers)
    ]
    asked = w.write(person, f"Order {numbers[0]}", f"What did order {numbers[0]} cost in total?")
    d.words = {"person": person["name"], "number": numbers[0]}
    d.look(f"/mail/{ids[0]}")
    send(
        d,
        to=[person["email"]],
        subject=f"Re: Order {numbers[0]}",
        body={"mentions": [totals[3]], "never": [t for t in totals if t not in (totals[0], totals[3])]},
        reply_to=asked,
    )
    d.fill("Search all mail", f"Confirmation {numbers[0]}")
    d.button("Search")
    d.link(w.linked(ids[0]))
    d.link("Inbox*")
    open_mail(w, d, asked)
    d.link("Reply")
    d.fill("Message", f"The total was {totals[3]}.")
    d.button("Send")


@kind("forward")
def forward(w: Mail, d: Draft) -> None:
    id = w.pick(w.inbox())
    m = w.mails[id]
    other = w.pick(w.others(m["from_name"]))
    d.words = {"person": m["from_name"], "subject": m["subject"], "other": other["name"]}
    d.look("/contacts")
    d.goal(
        "message sent",
        {
            "kind": "added",
            "table": "mails",
            "where": {"folder": "Sent", "to": [other["email"]], "cc": [], "forward_of": id, "attachments": m["attachments"]},
        },
        weight=2.0,
    )
    d.link("Contacts")
    d.link("Inbox*")
    open_mail(w, d, id)
    d.link("Forward")
    d.fill("To", other["email"])
    d.button("Send")


@kind("compose")
def compose(w: Mail, d: Draft) -> None:
    to, cc = w.some(w.people, 2)
    subject, text = f"{w.name()} {w.pick(SUBJECTS).lower()}", w.pick(LINES)
    d.words = {"to": to["name"], "cc": cc["name"], "subject": subject, "text": text}
    d.look("/contacts")
    d.look("/compose")
    send(d, to=[to["email"]], cc=[cc["email"]], subject=subject, body={"text": text})
    d.link("Contacts")
    d.link("New message")
    for label, value in (("To", to["email"]), ("Cc", cc["email"]), ("Subject", subject), ("Message", text)):
        d.fill(label, value)
    d.button("Send")


@kind("attach")
def attach(w: Mail, d: Draft) -> None:
    id = w.pick(w.inbox())
    m, text = w.mails[id], w.pick(ANSWERS)
    files = w.some(FILES, int(w.rng.integers(1, 3)))
    d.words = {"person": m["from_name"], "subject": m["subject"], "text": text, "files": listed(files)}
    open_mail(w, d, id)
    d.look(f"/compose?reply={id}", f"/compose?all={id}")
    send(d, to=[m["from"]], subject=f"Re: {m['subject']}", body={"text": text}, reply_to=id, attachments={"same": files})
    d.link("Reply")
    d.fill("Message", text)
    for file in files:
        d.select("File", file)
        d.button("Attach file")
    d.button("Send")


@kind("tidy")
def tidy(w: Mail, d: Draft) -> None:
    person = w.pick(w.people)
    folder = w.pick(("Projects", "Bills"))
    ids = [id for id in w.inbox() if w.mails[id]["from"] == person["email"]]
    for id in ids[3:]:
        other = w.pick(w.others(person["name"]))
        w.mails[id].update(
            {"from": other["email"], "from_name": other["name"], "body": w.mails[id]["body"].replace(person["name"], other["name"])}
        )
    ids = ids[:3] or [w.write(person, f"{w.name()} visit", w.pick(LINES))]
    d.words = {"person": person["name"], "folder": folder}
    for id in ids:
        open_mail(w, d, id)
        d.row("mails", id, folder=folder)
        d.select("Folder", folder)
        d.button("Move to folder")
        d.link("Inbox*")


@kind("label")
def label(w: Mail, d: Draft) -> None:
    ids = w.some(w.inbox(), 2)
    name = w.pick(LABELS)
    d.words = {"first": w.mails[ids[0]]["subject"], "second": w.mails[ids[1]]["subject"], "label": name}
    for id in ids:
        open_mail(w, d, id)
        d.row("mails", id, labels=[name])
        d.select("Label", name)
        d.button("Add or remove label")
        d.link("Inbox*")


@kind("star")
def star(w: Mail, d: Draft) -> None:
    id = w.pick([id for id in w.inbox() if not w.mails[id]["unread"]])
    m = w.mails[id]
    d.words = {"person": m["from_name"], "subject": m["subject"]}
    open_mail(w, d, id)
    d.row("mails", id, starred=True)
    d.row("mails", id, unread=True)
    d.button("Add star")
    d.button("Mark as unread")


@kind("clear")
def clear(w: Mail, d: Draft) -> None:
    sender = {"name": f"{w.name()} Offers", "email": "offers@example.com"}
    twin = {"name": f"{sender['name']} Support", "email": "support@example.com"}
    ids = [w.write(sender, f"{n} percent off until Sunday", w.pick(LINES)) for n in w.some(range(5, 60), int(w.rng.integers(2, 4)))]
    w.write(twin, "Your question was answered", w.pick(LINES))
    d.words = {"sender": sender["name"], "count": len(ids)}
    d.fill("Search all mail", sender["email"])
    d.button("Search")
    for id in ids:
        d.row("mails", id, folder="Trash")
        d.tick(f"Select {w.linked(id)}")
    d.select("With the selected messages", "Move to Trash")
    d.button("Apply")


@kind("rule")
def rule(w: Mail, d: Draft) -> None:
    field, text = w.pick((("From", w.pick(w.people)["email"]), ("Subject", w.name().lower()), ("To", w.pick(w.people)["email"])))
    folder, read = w.pick(("Archive", "Projects", "Bills", "Trash")), bool(w.rng.random() < 0.5)
    d.words = {"field": f"field {field}", "text": text, "folder": folder, "read": ", marked as read" if read else ""}
    d.look("/rules")
    d.new("rules", field=field, contains={"text": text}, folder=folder, read=read)
    d.link("Rules")
    d.select("If the field", field)
    d.fill("Contains", text)
    d.select("Move to", folder)
    if read:
        d.tick("Mark as read")
    d.button("Create rule")


@kind("phone")
def phone(w: Mail, d: Draft) -> None:
    key = w.pick(list(w.contacts))
    person, new = w.contacts[key], w.phone()
    id = w.write(person, f"{w.name()} number", f"My new phone number is {new}. The fax number is {w.phone()}.")
    d.words = {"person": person["name"], "subject": w.mails[id]["subject"]}
    open_mail(w, d, id)
    d.look(f"/contact/{key}")
    d.row("contacts", key, phone={"text": new})
    d.link("Contacts")
    d.link(person["name"])
    d.fill("Phone", new)
    d.button("Save contact")


@kind("contact")
def contact(w: Mail, d: Draft) -> None:
    first, last = w.name(), w.people[0]["name"].split()[1]
    row = {"name": f"{first} {last}", "email": f"{first}@example.com".lower(), "phone": w.phone(), "company": w.name()}
    d.words = dict(row)
    d.look("/contact/new")
    d.new("contacts", **{column: {"text": value} for column, value in row.items()})
    d.link("Contacts")
    d.link("New contact")
    for label, column in (("Name", "name"), ("E-mail", "email"), ("Phone", "phone"), ("Company", "company")):
        d.fill(label, row[column])
    d.button("Save contact")


@kind("when")
def when(w: Mail, d: Draft) -> None:
    topics = [w.name() for _ in range(2)]
    rooms = [str(n) for n in w.some(range(100, 400), 3)]
    days = [f"2026-07-{n:02}" for n in w.some(range(1, 29), 3)]
    person = w.pick(w.people)
    first = w.write(person, f"Meeting about {topics[0]}", f"We meet on {days[0]} in room {rooms[0]}.", day="2026-06-03", folder="Archive")
    thread = w.mails[first]["thread"]
    ids = [
        w.write(
            person,
            f"Meeting about {topics[0]}, new date",
            f"The meeting is now on {days[1]} in room {rooms[1]}.",
            day="2026-06-11",
            thread=thread,
        ),
        w.write(person, f"Meeting about {topics[1]}", f"We meet on {days[2]} in room {rooms[2]}."),
    ]
    d.words = {"topic": topics[0]}
    d.look(f"/mail/{ids[0]}", required=True)
    d.reply(days[1], rooms[1], never=[*days, *rooms])
    d.fill("Search all mail", topics[0])
    d.button("Search")
    d.link(w.linked(ids[0]))


@kind("missing")
def missing(w: Mail, d: Draft) -> None:
    id = w.pick(w.inbox())
    m = w.mails[id]
    d.words = {
        "file": f"{w.name().lower()}.pdf",
        "person": m["from_name"],
        "subject": m["subject"],
        "other": w.pick(w.others(m["from_name"]))["name"],
    }
    d.cannot(f"/mail/{id}")
    d.find(w.linked(id), OLDER)


@kind("draft")
def draft(w: Mail, d: Draft) -> None:
    wrong, person = w.some(w.people, 2)
    mine = {"name": "Me", "email": w.me}
    subject = f"{w.name()} {w.pick(SUBJECTS).lower()}"
    ids = [w.write(mine, s, w.pick(LINES), folder="Drafts", to=[wrong["email"]]) for s in (subject, f"{subject} again")]
    body = w.mails[ids[0]]["body"]
    d.words = {"subject": subject, "person": person["name"]}
    d.look("/contacts")
    d.look(f"/compose?draft={ids[0]}")
    send(d, to=[person["email"]], subject=subject, body={"text": body})
    d.gone("mails", ids[0])
    d.link("Contacts")
    d.link("Inbox*")
    d.link("Drafts")
    d.link(f"Draft To {wrong['name']}: {subject}, {w.mails[ids[0]]['date']}")
    d.fill("To", person["email"])
    d.button("Send")


@kind("rescue")
def rescue(w: Mail, d: Draft) -> None:
    id = w.pick(w.inbox())
    for other in w.some([x for x in w.inbox() if x != id], 2):
        w.mails[other].update(folder="Trash")
    w.mails[id].update(folder="Trash")
    d.words = {"subject": w.mails[id]["subject"]}
    d.link("Trash")
    open_mail(w, d, id)
    d.row("mails", id, folder="Inbox")
    d.row("mails", id, starred=True)
    d.button("Add star")
    d.select("Folder", "Inbox")
    d.button("Move to folder")


@kind("everybody")
def everybody(w: Mail, d: Draft) -> None:
    id = w.pick(w.inbox())
    m, text = w.mails[id], w.pick(ANSWERS)
    cc = [c["email"] for c in w.some(w.others(m["from_name"]), 2)]
    m["cc"] = cc
    d.words = {"person": m["from_name"], "subject": m["subject"], "text": text}
    open_mail(w, d, id)
    d.look(f"/compose?all={id}")
    send(d, to=[m["from"]], cc={"same": cc}, subject=f"Re: {m['subject']}", body={"text": text}, reply_to=id)
    d.link("Reply to all")
    d.fill("Message", text)
    d.button("Send")


ALLOWED = [has("mails", None, unread=False)]
"""Reading a message marks it as read."""
