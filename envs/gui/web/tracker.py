"""The kinds of task in the issue tracker: each function drafts one task from the records of a world."""

from __future__ import annotations

from .draft import Draft, added, kinds_of
from .tracker_world import LABELS, NOTES, PARTS, TROUBLES, Tracker

NEXT = "Next page"
KINDS, kind = kinds_of("tracker")


def open_issue(w: Tracker, d: Draft, number: str) -> None:
    """Page by page, or by a search for the number."""
    d.look(f"/issue/{number}")
    if w.issues[number]["state"] == "closed":
        d.select("State", "All")
    if w.rng.random() < 0.5:
        d.fill("Search titles", number)
        d.button("Search")
        d.link(w.linked(number))
    else:
        d.find(w.linked(number), NEXT)


def search_title(w: Tracker, d: Draft, number: str) -> None:
    d.look(f"/issue/{number}")
    d.fill("Search titles", w.issues[number]["title"])
    d.button("Search")
    d.link(w.linked(number))


@kind("create")
def create(w: Tracker, d: Draft) -> None:
    title = f"{w.name()} {w.pick(PARTS)} {w.pick(TROUBLES)}"
    label, person, milestone = w.pick(LABELS), w.pick(w.people), w.pick(w.milestones)
    d.words = {"title": title, "label": label, "person": person, "milestone": milestone}
    d.look("/new")
    d.goal(
        "issue created",
        added("issues", title={"text": title}, labels=[label], assignee=person, milestone=milestone, state="open"),
        weight=2.0,
    )
    d.link("New issue")
    d.fill("Title", title)
    d.select("Assignee", person)
    d.select("Milestone", milestone)
    d.tick(label)
    d.button("Create issue")


@kind("assign")
def assign(w: Tracker, d: Draft) -> None:
    number, issue = w.an_open()
    person = w.other(w.people, issue["assignee"])
    d.words = {"number": number, "person": person}
    open_issue(w, d, number)
    d.row("issues", number, assignee=person)
    d.select("Assignee", person)
    d.button("Save details")


@kind("relabel")
def relabel(w: Tracker, d: Draft) -> None:
    number, issue = w.an_open()
    old = w.pick(issue["labels"])
    new = w.other(list(LABELS), *issue["labels"])
    d.words = {"title": issue["title"], "old": old, "new": new}
    search_title(w, d, number)
    d.row("issues", number, labels={"same": [*(x for x in issue["labels"] if x != old), new]})
    d.tick(old)
    d.tick(new)
    d.button("Save details")


@kind("close")
def close(w: Tracker, d: Draft) -> None:
    number, _ = w.an_open()
    text = w.pick(NOTES)
    d.words = {"number": number, "text": text}
    open_issue(w, d, number)
    d.new("comments", issue=number, text={"text": text})
    d.row("issues", number, state="closed", reason="Not planned", duplicate_of="")
    d.fill("New comment", text)
    d.button("Add comment")
    d.select("Reason", "Not planned")
    d.button("Close issue")


@kind("duplicate")
def duplicate(w: Tracker, d: Draft) -> None:
    first, second = sorted(w.some(w.numbers_of(state="open"), 2), key=int)
    title = w.issues[first]["title"]
    w.issues[second]["title"] = title
    d.words = {"title": title}
    search_title(w, d, second)
    d.row("issues", second, state="closed", reason="Duplicate", duplicate_of=first)
    d.select("Reason", "Duplicate")
    d.fill("Duplicate of issue number", first)
    d.button("Close issue")


@kind("sweep")
def sweep(w: Tracker, d: Draft) -> None:
    label, milestone = w.pick(LABELS), w.pick(w.milestones)
    picked = set(w.some(w.numbers_of(state="open"), int(w.rng.integers(2, 4))))
    for number in w.numbers_of(state="open"):
        issue = w.issues[number]
        if number in picked:
            issue.update(labels=sorted({label, *issue["labels"]}), milestone=milestone)
        elif label in issue["labels"] and issue["milestone"] == milestone:
            issue["milestone"] = w.other(w.milestones, milestone)
    d.words = {"label": label, "milestone": milestone}
    for number in sorted(picked, key=int):
        d.row("issues", number, state="closed", reason="Completed", duplicate_of="")
    d.select("Label", label)
    d.select("Milestone", milestone)
    for number in sorted(picked, key=int):
        d.tick(f"Select #{number}")
    d.select("With the selected issues", "Close")
    d.select("Value", "Completed")
    d.button("Apply to the selected")


@kind("postpone")
def postpone(w: Tracker, d: Draft) -> None:
    old, new = w.some(w.milestones, 2)
    person = w.pick(w.people)
    picked = set(w.some(w.numbers_of(state="open"), int(w.rng.integers(2, 5))))
    for number in w.numbers_of(state="open"):
        if number in picked:
            w.issues[number].update(milestone=old, assignee=person)
        elif w.issues[number]["milestone"] == old and w.issues[number]["assignee"] == person:
            w.issues[number]["assignee"] = w.other(w.people, person)
    d.words = {"old": old, "new": new, "person": person}
    d.select("Assignee", person)
    d.select("Milestone", old)
    for number in sorted(picked, key=int):
        d.row("issues", number, milestone=new)
        d.tick(f"Select #{number}")
    d.select("With the selected issues", "Set milestone")
    d.select("Value", new)
    d.button("Apply to the selected")


@kind("retitle")
def retitle(w: Tracker, d: Draft) -> None:
    number, _ = w.an_open()
    title = f"{w.name()} {w.pick(PARTS)} {w.pick(TROUBLES)}"
    d.words = {"number": number, "title": title}
    open_issue(w, d, number)
    d.look(f"/edit/{number}")
    d.row("issues", number, title={"text": title})
    d.link("Edit title and description")
    d.fill("Title", title)
    d.button("Save issue")


@kind("reopen")
def reopen(w: Tracker, d: Draft) -> None:
    number = w.pick(w.numbers_of(state="closed"))
    person = w.other(w.people, w.issues[number]["assignee"])
    text = w.pick(NOTES)
    d.words = {"number": number, "person": person, "text": text}
    open_issue(w, d, number)
    d.row("issues", number, state="open", reason="", duplicate_of="")
    d.row("issues", number, assignee=person)
    d.new("comments", issue=number, text={"text": text})
    d.button("Reopen issue")
    d.select("Assignee", person)
    d.button("Save details")
    d.fill("New comment", text)
    d.button("Add comment")


@kind("owner")
def owner(w: Tracker, d: Draft) -> None:
    number, issue = w.an_open()
    label = w.pick(LABELS[:5])
    person = w.labels[label]["owner"]
    issue["assignee"] = w.other(w.people, person)
    d.words = {"number": number, "label": label}
    d.look("/labels")
    d.row("issues", number, assignee=person)
    d.link("Labels")
    d.link("Issues")
    open_issue(w, d, number)
    d.select("Assignee", person)
    d.button("Save details")


@kind("stand_in")
def stand_in(w: Tracker, d: Draft) -> None:
    person = next(p for p, row in w.team.items() if row["away"])
    number, issue = w.an_open()
    issue["assignee"] = person
    deputy = w.team[person]["deputy"]
    d.words = {"number": number, "person": person}
    d.look("/team")
    d.row("issues", number, assignee=deputy)
    d.link("Team")
    d.link("Issues")
    open_issue(w, d, number)
    d.select("Assignee", deputy)
    d.button("Save details")


@kind("copy")
def copy(w: Tracker, d: Draft) -> None:
    number, other = w.some(w.numbers_of(state="open"), 2)
    build, wrong = (str(n) for n in w.some(range(10_000, 99_999), 2))
    w.comment(other, f"Seen in build {build}, not in earlier ones.")
    w.comment(w.other(list(w.issues), number, other), f"Seen in build {wrong}, not in earlier ones.")
    d.words = {"number": number, "other": other}
    open_issue(w, d, other)
    d.new("comments", issue=number, text={"mentions": [build], "never": [wrong]})
    d.link("Issues")
    open_issue(w, d, number)
    d.fill("New comment", f"Build {build}")
    d.button("Add comment")


@kind("oldest")
def oldest(w: Tracker, d: Draft) -> None:
    taken = w.numbers_of(state="open", assignee="")
    for number in w.some([n for n in w.numbers_of(state="open") if n not in taken], max(0, 3 - len(taken))):
        w.issues[number]["assignee"] = ""
    number = min(w.numbers_of(state="open", assignee=""), key=int)
    person = w.pick(w.people)
    milestone = w.other(w.milestones, w.issues[number]["milestone"])
    d.words = {"person": person, "milestone": milestone}
    d.look(f"/issue/{number}", "/list?assignee=none&sort=oldest")
    d.row("issues", number, assignee=person, milestone=milestone)
    d.select("Assignee", "Nobody")
    d.select("Sort by", "Oldest first")
    d.link(w.linked(number))
    d.select("Assignee", person)
    d.select("Milestone", milestone)
    d.button("Save details")


@kind("count")
def count(w: Tracker, d: Draft) -> None:
    milestone = w.pick(w.milestones)
    numbers = {m: (len(w.numbers_of(milestone=m, state="open")), len(w.numbers_of(milestone=m, state="closed"))) for m in w.milestones}
    wanted = numbers[milestone][0]
    d.words = {"milestone": milestone}
    d.look("/milestones", f"/list?milestone={milestone}", f"/list?state=open&milestone={milestone}", required=True)
    d.reply(str(wanted), never=[str(n) for n in range(17) if n != wanted])
    d.link("Milestones")


@kind("reporter")
def reporter(w: Tracker, d: Draft) -> None:
    number = w.pick(list(w.issues))
    author = w.issues[number]["author"]
    d.words = {"number": number}
    if w.issues[number]["state"] == "closed":
        d.select("State", "All")
    d.look(f"/issue/{number}", required=True)
    d.fill("Search titles", number)
    d.button("Search")
    d.link(w.linked(number))
    d.reply(author, never=w.people)


@kind("stranger")
def stranger(w: Tracker, d: Draft) -> None:
    number, _ = w.an_open()
    d.words = {"number": number, "person": w.name()}
    d.cannot(f"/issue/{number}", "/team")
    d.fill("Search titles", number)
    d.button("Search")
    d.link(w.linked(number))


@kind("checklist")
def checklist(w: Tracker, d: Draft) -> None:
    person, label = w.pick(w.people), w.pick(LABELS)
    picked = set(w.some(w.numbers_of(state="open"), int(w.rng.integers(2, 4))))
    for number in w.numbers_of(state="open"):
        issue = w.issues[number]
        if number in picked:
            issue.update(assignee=person, labels=[x for x in issue["labels"] if x != label] or [w.other(list(LABELS), label)])
        elif issue["assignee"] == person:
            issue["assignee"] = w.other(w.people, person)
    d.words = {"person": person, "label": label}
    d.select("Assignee", person)
    for number in sorted(picked, key=int):
        d.row("issues", number, labels={"same": [*w.issues[number]["labels"], label]})
        d.tick(f"Select #{number}")
    d.select("With the selected issues", "Add label")
    d.select("Value", label)
    d.button("Apply to the selected")
