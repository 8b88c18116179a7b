"""An office's world: the owner of a desk, contacts, two weeks of calendar, mail, files.

office("train", 0).events[0].id    # "E481"
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, TypeAlias, TypeVar, get_args

import numpy as np

from ...records import canonical_json
from ..search.world import SPLITS, SplitName
from ..tools.database import Database, Rows
from .tasks import Ids, namer
from .world import TRANSFERS

MONDAY = date(2027, 3, 1)
NOW = f"{MONDAY} 08:00"
DAYS = tuple(str(MONDAY + timedelta(days=n)) for n in range(12) if n % 7 < 5)
"""The working days of this week and the next."""
OPENS, CLOSES = 9 * 60, 17 * 60
"""Office hours, in minutes of the day."""
HALF_HOURS = (CLOSES - OPENS) // 30
TOPICS = ("budget", "hiring", "website", "travel", "pricing", "security", "training", "storage", "launch", "survey")
MEETINGS = ("review", "planning", "update", "workshop")
SUBJECTS = ("question", "news", "request", "reminder")
PAPERS = ("plan", "report", "minutes", "offer")
MAIL_FOLDERS = ("Inbox", "Archive", "Projects", "Finance", "Travel", "Trash")
"""Folders that mail can be moved to; what is sent lies in "Sent"."""
FILE_FOLDERS = ("Documents", "Contracts", "Reports", "Invoices", "Attachments")
TRASH = "Trash"
Label: TypeAlias = Literal["important", "follow up", "waiting", "private"]
LABELS: tuple[Label, ...] = get_args(Label)
COLLEAGUES, OUTSIDERS = 5, 3
SCHEMA = (
    """
CREATE TABLE people (id TEXT PRIMARY KEY, first_name TEXT, last_name TEXT, email TEXT, organisation TEXT);
CREATE TABLE desk (person TEXT REFERENCES people(id), code TEXT, phone TEXT);
CREATE TABLE events (id TEXT PRIMARY KEY, day TEXT, begins TEXT, ends TEXT, title TEXT, organiser TEXT REFERENCES people(id));
CREATE TABLE attendees (event TEXT REFERENCES events(id), person TEXT REFERENCES people(id));
CREATE TABLE mails (id TEXT PRIMARY KEY, thread TEXT, folder TEXT, sender TEXT REFERENCES people(id), subject TEXT, body TEXT, sent TEXT);
CREATE TABLE recipients (mail TEXT REFERENCES mails(id), person TEXT REFERENCES people(id));
CREATE TABLE labels (mail TEXT REFERENCES mails(id), label TEXT);
CREATE TABLE files (id TEXT PRIMARY KEY, name TEXT, folder TEXT, size INTEGER, modified TEXT, confidential INTEGER, content TEXT);
CREATE TABLE attachments (mail TEXT REFERENCES mails(id), file TEXT REFERENCES files(id));
CREATE TABLE shares (file TEXT REFERENCES files(id), person TEXT REFERENCES people(id));
CREATE INDEX attending ON attendees (event, person);
"""
    + TRANSFERS
)
Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Contact:
    id: str
    first_name: str
    last_name: str
    email: str
    organisation: str

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True)
class Event:
    """``begins`` and ``ends``: half hours since the office opened. ``attendees``: ids, the owner of the desk first if there."""

    id: str
    day: str
    begins: int
    ends: int
    title: str
    organiser: str
    attendees: tuple[str, ...]

    @property
    def minutes(self) -> int:
        return (self.ends - self.begins) * 30


@dataclass(frozen=True, slots=True)
class File:
    """``size`` in KB; ``total``: the amount that it states."""

    id: str
    name: str
    folder: str
    size: int
    modified: str
    confidential: bool
    total: int


@dataclass(frozen=True, slots=True)
class Mail:
    """``deadline`` empty: none is named. ``alone``: no other mail has its subject."""

    id: str
    thread: str
    folder: str
    sender: str
    subject: str
    body: str
    sent: str
    deadline: str = ""
    attachment: File | None = None
    alone: bool = True


@dataclass(slots=True)
class Office:
    """``titles``, ``subjects`` and ``names``: of events, mails and files that do not exist yet."""

    owner: Contact
    code: str
    phone: str
    colleagues: list[Contact]
    outsiders: list[Contact]
    titles: list[str] = field(default_factory=list[str])
    subjects: list[str] = field(default_factory=list[str])
    names: list[str] = field(default_factory=list[str])
    events: list[Event] = field(default_factory=list[Event])
    mails: list[Mail] = field(default_factory=list[Mail])
    files: list[File] = field(default_factory=list[File])

    @property
    def contacts(self) -> list[Contact]:
        return [*self.colleagues, *self.outsiders]

    @property
    def calendar(self) -> list[Event]:
        """The owner's events."""
        return [e for e in self.events if self.owner.id in e.attendees]

    def starts(self, people: Sequence[str], day: str, length: int) -> list[int]:
        """Half hours of ``day`` at which all of ``people`` are free for ``length`` half hours."""
        taken: set[int] = set()
        for event in self.events:
            if event.day == day and not set(people).isdisjoint(event.attendees):
                taken.update(range(event.begins, event.ends))
        return [start for start in range(HALF_HOURS - length + 1) if taken.isdisjoint(range(start, start + length))]


def clock(half_hour: int) -> str:
    """0 is "09:00"."""
    return f"{9 + half_hour // 2:02}:{half_hour % 2 * 30:02}"


def made_id(letter: str, *content: object) -> str:
    """Id of an event or mail made in an episode, such as E012-345. It follows from the content, so that the order in which things are
    made changes nothing; ids of the world are shorter."""
    number = int.from_bytes(hashlib.sha256(canonical_json(list(content)).encode("utf-8", "replace")).digest()[:8], "big")
    return f"{letter}0{number // 1000 % 100:02}-{number % 1000:03}"


@lru_cache(maxsize=256)
def office(split: SplitName, number: int) -> Office:
    """World ``number`` of a split: one owner, 5 colleagues, 3 people of another organisation; 20 to 30 meetings, about 25 mails, 16 files
    in folders and 8 attached."""
    rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(split), number, 23]))
    ids = Ids(rng, short=True)
    name = namer(split, 2 * number)  # ten names: more than the words of one number
    own, other = name()
    people: list[Contact] = []
    for n in range(1 + COLLEAGUES + OUTSIDERS):
        first, last = name()
        organisation = f"{own if n <= COLLEAGUES else other} Institute"
        host = organisation.split()[0].lower()
        people.append(Contact(ids.new("P"), first, last, f"{first}.{last}@{host}.example".lower(), organisation))
    phone = f"555-{int(rng.integers(1000, 10000))}"
    made = Office(people[0], Ids(rng).new("K"), phone, people[1 : 1 + COLLEAGUES], people[1 + COLLEAGUES :])
    made.titles = _mixed([f"{t} {m}" for t, m in itertools.product(TOPICS, MEETINGS)], rng)
    made.subjects = _mixed([f"{t} {s}" for t, s in itertools.product(TOPICS, SUBJECTS)], rng)
    made.names = _mixed([f"{t}-{p}.{'pdf' if p in PAPERS[:2] else 'txt'}" for t, p in itertools.product(TOPICS, PAPERS)], rng)
    for day in DAYS:
        _fill_day(made, day, ids, rng)
    _fill_folders(made, ids, rng)
    _fill_mailbox(made, ids, rng)
    return made


def _mixed(values: Sequence[Choice], rng: np.random.Generator) -> list[Choice]:
    return [values[int(i)] for i in rng.permutation(len(values))]


def _fill_day(made: Office, day: str, ids: Ids, rng: np.random.Generator) -> None:
    """What colleagues do without the owner, then two or three meetings of the owner; nobody is in two places."""
    for person in made.colleagues:
        if rng.random() < 0.7:
            begins, length = int(rng.integers(HALF_HOURS - 3)), int(rng.integers(1, 4))
            made.events.append(Event(ids.new("E"), day, begins, begins + length, "occupied", person.id, (person.id,)))
    for _ in range(int(rng.integers(2, 4))):
        others = _mixed(made.colleagues, rng)[: int(rng.integers(1, 4))]
        if rng.random() < 0.2:
            others.append(made.outsiders[int(rng.integers(OUTSIDERS))])
        attendees = (made.owner.id, *(p.id for p in others))
        length = int(rng.integers(1, 4))
        free = made.starts(attendees, day, length)
        if free:
            begins = free[int(rng.integers(len(free)))]
            organiser = attendees[0 if rng.random() < 0.75 else 1]
            made.events.append(Event(ids.new("E"), day, begins, begins + length, made.titles.pop(), organiser, attendees))


def _fill_folders(made: Office, ids: Ids, rng: np.random.Generator) -> None:
    """Four files in each folder, eight attachments; all sizes and dates differ."""
    folders = [f for f in FILE_FOLDERS[:-1] for _ in range(4)] + [FILE_FOLDERS[-1]] * 8
    sizes, ages = rng.permutation(5000)[: len(folders)] + 1000, rng.permutation(300)[: len(folders)] + 1
    totals = rng.permutation(90000)[: len(folders)] + 10000
    for n, folder in enumerate(folders):
        modified = str(MONDAY - timedelta(days=int(ages[n])))
        secret = bool(rng.random() < 0.4)
        made.files.append(File(ids.new("F"), made.names.pop(), folder, int(sizes[n]), modified, secret, int(totals[n])))


def _fill_mailbox(made: Office, ids: Ids, rng: np.random.Generator) -> None:
    """Two or three mails of every contact; some have an attachment, some an answer in the same thread."""
    senders = [c.id for c in made.contacts for _ in range(int(rng.integers(2, 4)))]
    minutes = iter(sorted(int(m) for m in rng.permutation(40_000)[: 2 * len(senders)]))
    attached = iter(f for f in made.files if f.folder == FILE_FOLDERS[-1])
    for n, sender in enumerate(_mixed(senders, rng)):
        subject, thread = made.subjects.pop(), ids.new("T")
        deadline = str(MONDAY + timedelta(days=int(rng.integers(14, 60)))) if rng.random() < 0.6 else ""
        body = f"This is about the {subject}. {f'Please answer by {deadline}.' if deadline else 'There is nothing to do for now.'}"
        answered = bool(rng.random() < 0.2)
        attachment = None if n % 2 or answered else next(attached, None)
        place = "Inbox" if rng.random() < 0.7 else "Archive"
        made.mails.append(
            Mail(ids.new("M"), thread, place, sender, subject, body, _ago(next(minutes)), deadline, attachment, alone=not answered)
        )
        if answered:
            by = made.contacts[int(rng.integers(COLLEAGUES))].id if rng.random() < 0.5 else made.owner.id
            place = "Sent" if by == made.owner.id else "Inbox"
            text = "Thank you, I have seen it."
            made.mails.append(Mail(ids.new("M"), thread, place, by, f"Re: {subject}", text, _ago(next(minutes)), alone=False))


def _ago(minute: int) -> str:
    """A time in February: minute 0 to 40,000 of it."""
    days, rest = divmod(minute, 1440)
    return f"{date(2027, 2, 1) + timedelta(days=days)} {rest // 60:02}:{rest % 60:02}"


@lru_cache(maxsize=256)
def office_database(split: SplitName, number: int) -> tuple[bytes, Rows]:
    """The office as a snapshot, and its rows."""
    made = office(split, number)
    db = Database(SCHEMA)
    with db.atomic():
        for p in (made.owner, *made.contacts):
            db.change("INSERT INTO people VALUES (?,?,?,?,?)", p.id, p.first_name, p.last_name, p.email, p.organisation)
        db.change("INSERT INTO desk VALUES (?,?,?)", made.owner.id, made.code, made.phone)
        for e in made.events:
            db.change("INSERT INTO events VALUES (?,?,?,?,?,?)", e.id, e.day, clock(e.begins), clock(e.ends), e.title, e.organiser)
            for person in e.attendees:
                db.change("INSERT INTO attendees VALUES (?,?)", e.id, person)
        for f in made.files:
            content = f"The total comes to {f.total} euros."
            db.change("INSERT INTO files VALUES (?,?,?,?,?,?,?)", f.id, f.name, f.folder, f.size, f.modified, int(f.confidential), content)
        for m in made.mails:
            db.change("INSERT INTO mails VALUES (?,?,?,?,?,?,?)", m.id, m.thread, m.folder, m.sender, m.subject, m.body, m.sent)
            first = next(x for x in made.mails if x.thread == m.thread)
            db.change("INSERT INTO recipients VALUES (?,?)", m.id, first.sender if m.sender == made.owner.id else made.owner.id)
            if m.attachment is not None:
                db.change("INSERT INTO attachments VALUES (?,?)", m.id, m.attachment.id)
    snapshot, rows = db.snapshot(), db.rows()
    db.close()
    return snapshot, rows
