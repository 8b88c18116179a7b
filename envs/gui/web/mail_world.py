"""The mail client's records: messages, and the people who wrote them."""

from __future__ import annotations

from typing import Any

from .draft import Row, World

FOLDERS = ("Inbox", "Archive", "Projects", "Bills", "Drafts", "Sent", "Trash")
LABELS = ("family", "travel", "urgent", "work")
FILES = ("budget.xlsx", "floor-plan.pdf", "minutes.txt", "offer.pdf", "photo.jpg")
SUBJECTS = (
    "Lunch on Friday",
    "Notes from the meeting",
    "Plan for the week",
    "Question about the contract",
    "New price list",
    "Your feedback",
    "Office keys",
    "Training in autumn",
    "Change of address",
    "Printer on the second floor",
    "Holiday dates",
    "Draft of the report",
)
LINES = (
    "I hope you are well.",
    "Could you have a look at it this week?",
    "There is no hurry.",
    "I am in the office until five.",
    "More on this next week.",
    "Nothing has changed since last time.",
    "The others know about it already.",
    "Let us talk about it on the phone.",
)
ANSWERS = (
    "That works for me.",
    "I cannot come, sorry.",
    "I will call you tomorrow.",
    "Please send me the details.",
    "Thank you, I have read it.",
    "Yes, go ahead.",
)


class Mail(World):
    """Fifteen messages from six people, and who they are."""

    def fill(self) -> None:
        self.start = "/folder/Inbox"
        self.me = f"{self.name().lower()}@example.com"
        self.contacts: dict[str, Row] = {}
        families = [self.name() for _ in range(3)]
        for n in range(6):
            first, last = self.name(), families[n // 2]
            self.contacts[f"k{n + 1}"] = {
                "name": f"{first} {last}",
                "email": f"{first}.{last}@example.com".lower(),
                "phone": self.phone(),
                "company": self.pick(families),
            }
        self.people = list(self.contacts.values())
        self.mails: dict[str, Row] = {}
        days = [f"2026-06-{n:02}" for n in self.numbers(12, 1, 15)]
        for day, subject in zip(days, self.some(SUBJECTS, 12), strict=True):
            place = len(self.mails)
            self.write(
                self.pick(self.people),
                subject,
                " ".join(self.some(LINES, 2)),
                day=day,
                folder="Archive" if place in (2, 5) else "Inbox",
                unread=place % 3 == 0,
            )
        self.settings = {
            "me": self.me,
            "today": "2026-06-15",
            "folders": list(FOLDERS),
            "labels": list(LABELS),
            "files": list(FILES),
            "next_mail": 900,
            "next_contact": 7,
            "next_rule": 2,
        }
        rule = {"field": "Subject", "contains": "newsletter", "folder": "Trash", "read": True}
        self.tables = {"mails": self.mails, "contacts": self.contacts, "rules": {"r1": rule}, "subscriptions": {}, "surveys": {}}

    def phone(self) -> str:
        return f"0{int(self.rng.integers(200, 999))} {int(self.rng.integers(100000, 999999))}"

    def write(self, person: Row, subject: str, body: str, *, day: str = "", **columns: Any) -> str:
        """A message from ``person``; its key."""
        id = f"m{100 + 7 * len(self.mails)}"
        row: Row = {
            "folder": "Inbox",
            "from": person["email"],
            "from_name": person["name"],
            "to": [self.me],
            "cc": [],
            "subject": subject,
            "body": f"Hello,\n{body}\n\n{person['name']}",
            "date": day or f"2026-06-{int(self.rng.integers(1, 15)):02}",
            "labels": [],
            "starred": False,
            "unread": False,
            "thread": f"t{id}",
            "attachments": [],
            "reply_to": "",
            "forward_of": "",
        }
        self.mails[id] = {**row, **columns}
        return id

    def inbox(self) -> list[str]:
        return [id for id, m in self.mails.items() if m["folder"] == "Inbox"]

    def linked(self, id: str) -> str:
        m = self.mails[id]
        return f"{m['from_name']}: {m['subject']}, {m['date']}"

    def others(self, *names: str) -> list[Row]:
        return [c for c in self.people if c["name"] not in names]
