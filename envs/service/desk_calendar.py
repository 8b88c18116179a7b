"""The calendar of a desk: who is asking, contacts, events. ``desk_tools`` adds mail and files.

times are texts such as "09:30", which compare as times do
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any, Literal, TypeAlias

from ..tools.tool import ToolError, tool
from .desk_world import CLOSES, NOW, OPENS, made_id
from .world import ServiceWorld, Violation

Minutes: TypeAlias = Literal[30, 60, 90, 120]
MAX_PEOPLE = 20
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class CalendarWorld(ServiceWorld):
    """Everything on the desk belongs to one person, so ``private`` asks only whether the session has been opened."""

    @tool
    def open_session(self, code: str) -> dict[str, Any]:
        """Open the session with the user's code.

        Args:
            code: Code such as K123-456.
        """
        return self._open("code = ?", code)

    @tool
    def open_session_by_phone(self, email: str, phone: str) -> dict[str, Any]:
        """Open the session with the user's email and phone number.

        Args:
            email: Email address.
            phone: Phone number such as 555-1234.
        """
        return self._open("email = ? AND phone = ?", email, phone)

    @tool
    def search_contacts(self, text: str) -> list[dict[str, Any]]:
        """Find people, the user included, by a part of name, email or organisation.

        Args:
            text: What to look for.
        """
        self._mine()
        where = "first_name || ' ' || last_name || ' ' || email || ' ' || organisation"
        found = self.db.query(f"SELECT * FROM people WHERE instr(lower({where}), lower(?)) LIMIT {MAX_PEOPLE}", text)
        if not found:
            raise ToolError(f"nobody has {text[:40]!r} in name, email or organisation; try a shorter part")
        home = self._owner()["organisation"]
        return [{**p, "in_users_organisation": p["organisation"] == home} for p in found]

    @tool
    def list_events(self, day: str) -> list[dict[str, Any]]:
        """Read the user's events of a day.

        Args:
            day: Day such as 2027-03-04.
        """
        self._mine()
        return self._events("e.day = ?", _day(day))

    @tool
    def search_events(self, title: str) -> list[dict[str, Any]]:
        """Find the user's events by a part of the title.

        Args:
            title: What to look for.
        """
        self._mine()
        found = self._events("instr(lower(e.title), lower(?))", title)
        if not found:
            raise ToolError(f"no event has {title[:40]!r} in its title; try a shorter part, or list_events")
        return found

    @tool
    def find_free_time(self, person_ids: list[str], day: str, minutes: Minutes, without_event: str = "") -> list[dict[str, str]]:
        """Read when the user and some people are all free for long enough, between 09:00 and 17:00.

        Args:
            person_ids: People besides the user.
            day: Day such as 2027-03-04.
            minutes: How long.
            without_event: Id of an event to be left out of account, because it is to be moved or somebody invited to it.
        """
        self._mine()
        people = self._people(person_ids)
        free: list[dict[str, str]] = []
        if date.fromisoformat(_day(day)).weekday() < 5:
            begin = _clock(OPENS)
            for event in [*self._busy(people, day, without_event), {"begins": _clock(CLOSES), "ends": ""}]:
                end = min(str(event["begins"]), _clock(CLOSES))
                if begin < end and _minute(end) - _minute(begin) >= minutes:
                    free.append({"from": begin, "to": end})
                begin = max(begin, str(event["ends"]))
        return free

    @tool
    def create_event(self, title: str, day: str, start: str, minutes: Minutes, attendee_ids: list[str]) -> dict[str, Any]:
        """Put an event into the calendar and invite people. The user is the organiser.

        Args:
            title: Title.
            day: Day such as 2027-03-04.
            start: Time such as 14:30.
            minutes: How long.
            attendee_ids: People besides the user.
        """
        self._mine()
        title, people = words(title, "title", 100), self._people(attendee_ids)
        start, end = _span(day, start, minutes)
        id = made_id("E", title, day, start)
        if self.db.one("SELECT id FROM events WHERE id = ?", id) is not None:
            raise ToolError(f"this event is in the calendar already: {id}")
        self.consent()
        self._fits(people, day, start, end, "")
        self.db.change("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", id, day, start, end, title, self.owner)
        for person in people:
            self.db.change("INSERT INTO attendees VALUES (?, ?)", id, person)
        return self._events("e.id = ?", id)[0]

    @tool
    def move_event(self, event_id: str, day: str, start: str) -> str:
        """Move an event; it stays as long as it is.

        Args:
            event_id: Id such as E123.
            day: New day, such as 2027-03-04.
            start: New time, such as 14:30.
        """
        event = self._event(event_id)
        start, end = _span(day, start, _minute(event["ends"]) - _minute(event["begins"]))
        if (event["day"], event["begins"]) == (day, start):
            raise ToolError(f"{event_id} is on {day} at {start} already; give another time")
        self._change(event)
        self._fits(self._attendees(event_id), day, start, end, event_id)
        self.db.change("UPDATE events SET day = ?, begins = ?, ends = ? WHERE id = ?", day, start, end, event_id)
        return f"{event_id} is on {day} from {start} to {end}"

    @tool
    def cancel_event(self, event_id: str) -> str:
        """Cancel an event for everybody. It leaves the calendar.

        Args:
            event_id: Id such as E123.
        """
        self._change(self._event(event_id))
        self.db.change("DELETE FROM attendees WHERE event = ?", event_id)
        self.db.change("DELETE FROM events WHERE id = ?", event_id)
        return f"{event_id} is cancelled"

    @tool
    def invite(self, event_id: str, person_id: str) -> str:
        """Invite somebody to an event.

        Args:
            event_id: Id such as E123.
            person_id: Id such as P123.
        """
        event = self._event(event_id)
        person = self.person(person_id)["id"]
        if person in self._attendees(event_id):
            raise ToolError(f"{person_id} takes part in {event_id} already")
        self._change(event)
        self._fits([person], event["day"], event["begins"], event["ends"], event_id)
        self.db.change("INSERT INTO attendees VALUES (?, ?)", event_id, person)
        return f"{person_id} is invited to {event_id}"

    # ---- parts -----------------------------------------------------------------------------------------------------

    @property
    def owner(self) -> str:
        """Id of the person whose desk it is. Read anew, because a restored database may be another desk."""
        return str(self._owner()["id"])

    def person(self, person_id: str) -> dict[str, Any]:
        found = self.db.one("SELECT * FROM people WHERE id = ?", person_id)
        if found is None:
            raise ToolError(f"there is no person {person_id[:40]!r}; search_contacts gives the ids")
        return found

    def outside(self, person: dict[str, Any]) -> bool:
        """Whether somebody does not belong to the user's organisation."""
        return person["organisation"] != self._owner()["organisation"]

    def _mine(self) -> None:
        """Something on the desk is about to be read or changed."""
        self.private(self.owner)

    def note(self, violation: Violation) -> None:
        self.violations.add(violation)

    def _owner(self) -> dict[str, Any]:
        found = self.db.one("SELECT p.* FROM desk d JOIN people p ON p.id = d.person")
        assert found is not None
        return found

    def _open(self, where: str, *values: str) -> dict[str, Any]:
        found = self.db.one(f"SELECT p.id, first_name, last_name FROM desk d JOIN people p ON p.id = d.person WHERE {where}", *values)
        if found is None:
            raise ToolError("this is not what the owner of the desk has; ask again, or open the session the other way")
        self.identified(str(found["id"]))
        return found

    def _people(self, ids: Sequence[str]) -> list[str]:
        """The user and these people, each once."""
        if len(ids) > MAX_PEOPLE:
            raise ToolError(f"{len(ids)} people were given; the most is {MAX_PEOPLE}")
        return list(dict.fromkeys([self.owner, *(str(self.person(id)["id"]) for id in ids)]))

    def _events(self, where: str, value: str) -> list[dict[str, Any]]:
        """The user's events, with who takes part."""
        sql = (
            "SELECT e.id, e.day, e.begins AS start, e.ends AS end, e.title, e.organiser FROM events e "
            f"JOIN attendees a ON a.event = e.id WHERE a.person = ? AND {where} ORDER BY e.day, e.begins"
        )
        who = (
            "SELECT p.id, p.first_name || ' ' || p.last_name AS name FROM attendees a JOIN people p ON p.id = a.person "
            "WHERE a.event = ? ORDER BY a.rowid"
        )
        return [{**event, "attendees": self.db.query(who, event["id"])} for event in self.db.query(sql, self.owner, value)]

    def _event(self, event_id: str) -> dict[str, Any]:
        self._mine()
        sql = "SELECT e.* FROM events e JOIN attendees a ON a.event = e.id WHERE e.id = ? AND a.person = ?"
        event = self.db.one(sql, event_id, self.owner)
        if event is None:
            raise ToolError(f"the user has no event {event_id[:40]!r}; search_events and list_events give the ids")
        return event

    def _attendees(self, event_id: str) -> list[str]:
        return [str(row["person"]) for row in self.db.query("SELECT person FROM attendees WHERE event = ?", event_id)]

    def _change(self, event: dict[str, Any]) -> None:
        """The event is about to be changed."""
        self.consent()
        if event["organiser"] != self.owner:
            self.note("not the organiser")

    def _busy(self, people: Sequence[str], day: str, without_event: str) -> list[dict[str, Any]]:
        sql = (
            "SELECT DISTINCT e.id, e.begins, e.ends FROM events e JOIN attendees a ON a.event = e.id "
            f"WHERE e.day = ? AND e.id != ? AND a.person IN ({', '.join('?' * len(people))}) ORDER BY e.begins"
        )
        return self.db.query(sql, day, without_event, *people)

    def _fits(self, people: Sequence[str], day: str, start: str, end: str, event_id: str) -> None:
        """Note what the policy has against this time for an event."""
        if date.fromisoformat(day).weekday() > 4 or start < _clock(OPENS) or end > _clock(CLOSES):
            self.note("outside hours")
        if any(e["begins"] < end and e["ends"] > start for e in self._busy(people, day, event_id)):
            self.note("double booking")


def words(text: str, what: str, most: int) -> str:
    """A text that will be compared: without quotation marks around it and with single spaces, so that these make no difference."""
    plain = " ".join(text.split())
    if len(plain) > 1 and plain[0] == plain[-1] and plain[0] in "\"'":
        plain = plain[1:-1].strip()
    if not 1 <= len(plain) <= most:
        raise ToolError(f"the {what} has {len(plain)} characters; it must have 1 to {most}")
    return plain


def _day(text: str) -> str:
    try:
        if _DAY.fullmatch(text):
            return str(date.fromisoformat(text))
    except ValueError:
        pass  # a day that no month has; said below
    raise ToolError(f"{text[:40]!r} is no day; write it as 2027-03-04")


def _span(day: str, start: str, minutes: int) -> tuple[str, str]:
    """Begin and end of a time to come."""
    if not _TIME.fullmatch(start):
        raise ToolError(f"{start[:40]!r} is no time; write it as 14:30")
    if f"{_day(day)} {start}" < NOW:
        raise ToolError(f"{day} {start} is over; it is {NOW}, give a later time")
    if _minute(start) + minutes >= 24 * 60:
        raise ToolError(f"{minutes} minutes from {start} go past midnight; give an earlier time")
    return start, _clock(_minute(start) + minutes)


def _minute(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
