"""The issue tracker's records: issues with titles that differ by a word, a team, labels and who looks after them."""

from __future__ import annotations

from typing import Any

from .draft import Row, World

LABELS = ("bug", "design", "docs", "feature", "performance", "security", "tests")
USES = (
    "Something is broken",
    "How it looks",
    "Manuals and examples",
    "Something new",
    "Too slow or too large",
    "Dangers for users",
    "Tests that fail",
)
ROLES = ("Developer", "Designer", "Tester", "Maintainer", "Writer")
PARTS = ("export", "import", "login page", "search box", "settings", "mobile view", "backup", "date picker")
TROUBLES = (
    "crashes on large files",
    "crashes on empty files",
    "shows the wrong date",
    "is slow after an update",
    "loses the last change",
    "ignores the time zone",
    "has no keyboard access",
    "prints an empty page",
)
REMARKS = (
    "I can reproduce this.",
    "This is not urgent.",
    "Happens only on some machines.",
    "We should look at it again next month.",
    "Please add the steps.",
    "A customer has asked about it.",
)
NOTES = (
    "Thank you for the report.",
    "I will look at it tomorrow.",
    "Please try again with the latest version.",
    "This was fixed last week.",
    "We cannot reproduce this.",
    "Waiting for the design team.",
)


class Tracker(World):
    """Issues with titles that differ by a word, a team, labels with people who look after them."""

    def fill(self) -> None:
        self.start = "/list"
        self.people = [self.name() for _ in range(5)]
        self.product = self.name()
        major = int(self.rng.integers(2, 9))
        self.milestones = [f"{major}.{minor}" for minor in self.numbers(3, 1, 9)]
        away = self.pick(self.people)
        deputies = [p for p in self.people if p != away]
        roles = self.some(ROLES, 5)
        self.team: dict[str, Row] = {
            p: {"role": roles[n], "away": p == away, "deputy": self.pick(deputies) if p == away else ""} for n, p in enumerate(self.people)
        }
        owners = {label: self.pick(self.people) for label in LABELS[:5]}
        labels = {label: {"text": use, "owner": owners.get(label, "")} for label, use in zip(LABELS, USES, strict=True)}
        self.labels: dict[str, Row] = labels
        self.issues: dict[str, Row] = {}
        self.comments: dict[str, Row] = {}
        titles = self.some([f"{part} {trouble}" for part in PARTS for trouble in TROUBLES], 16)
        for place, (number, title) in enumerate(zip(self.numbers(16, 100, 400), titles, strict=True)):
            self.issues[str(number)] = self.issue(f"{self.product} {title}", place)
        for number in self.some(list(self.issues), 8):
            self.comment(number, self.pick(REMARKS))
        self.settings = {
            "me": self.pick(self.people),
            "today": "2026-06-15",
            "next_issue": int(self.rng.integers(400, 500)),
            "next_comment": 100,
        }
        self.tables = {
            "issues": self.issues,
            "comments": self.comments,
            "labels": labels,
            "milestones": {m: {"due": self.day(7 + n)} for n, m in enumerate(self.milestones)},
            "people": self.team,
            "subscriptions": {},
            "surveys": {},
        }

    def issue(self, title: str, place: int) -> Row:
        closed = place % 4 == 3
        return {
            "title": title,
            "body": " ".join(self.some(REMARKS, 2)),
            "labels": sorted(self.some(LABELS, int(self.rng.integers(1, 3)))),
            "assignee": self.pick([*self.people, ""]),
            "milestone": self.pick([*self.milestones, ""]),
            "state": "closed" if closed else "open",
            "reason": self.pick(("Completed", "Not planned")) if closed else "",
            "duplicate_of": "",
            "author": self.pick(self.people),
            "created": f"2026-0{1 + place // 4}-{1 + 7 * (place % 4):02}",
        }

    def comment(self, number: str, text: str, author: str = "") -> str:
        id = f"c{10 + len(self.comments)}"
        self.comments[id] = {"issue": number, "author": author or self.pick(self.people), "date": self.day(5), "text": text}
        return author or self.comments[id]["author"]

    def numbers_of(self, **where: Any) -> list[str]:
        """Issues whose columns have these values, in the order of their numbers."""
        return [n for n, i in self.issues.items() if all(i[k] == v for k, v in where.items())]

    def an_open(self) -> tuple[str, Row]:
        number = self.pick(self.numbers_of(state="open"))
        return number, self.issues[number]

    def other(self, names: list[str], *but: str) -> str:
        return self.pick([name for name in names if name not in but])

    def owned(self) -> str:
        """A label that somebody looks after who is there."""
        return self.pick([label for label in LABELS[:5] if not self.team[self.labels[label]["owner"]]["away"]])

    def linked(self, number: str) -> str:
        return f"#{number} {self.issues[number]['title']}"
