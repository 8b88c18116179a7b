"""What the owner of a desk wants with the calendar: templates of requests, with gold calls and the rows that must change.

A template takes whole days, so that two requests of a conversation never depend on each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ..users.user import Change, Fact
from .desk_world import DAYS, Contact, Event, Office, clock, made_id
from .tasks import Case, Draft, GoldCall, fact
from .world import Edit

DeskCase = Case[Contact]
MINUTES = (30, 60, 90, 120)
LATE = ("08:00", "17:00", "17:30", "18:00")


# ---- what mail and files use too -----------------------------------------------------------------------------------


def world(case: DeskCase) -> Office:
    office: Office = case.world
    return office


def spoken(case: DeskCase, day: str) -> str:
    """A day as people say it: "on Thursday next week" or "on 11 March"."""
    when = date.fromisoformat(day)
    if case.rng.random() < 0.5:
        return f"on {when.day} {when:%B}"
    return f"on {when:%A} {'this' if DAYS.index(day) < 5 else 'next'} week"


def look_up(person: Contact) -> GoldCall:
    return "search_contacts", {"text": person.name}


def named(people: Sequence[Contact]) -> str:
    return " and ".join(p.name for p in people)


def changed(case: DeskCase, facts: dict[str, Fact], name: str, first: Fact) -> Change | None:
    """Perhaps the user begins with ``first`` in place of the fact ``name``, and changes its mind."""
    if not case.turns():
        return None
    last, facts[name] = facts[name], first
    words = case.pick(["Wait, I want it differently.", "No, I have thought about it again."])
    return {"say": f"{words} {last['say']}", "facts": {name: last}}


def refused(say: list[str], facts: dict[str, Fact], reads: list[GoldCall], about: str) -> Draft:
    """A wish that the policy forbids."""
    writes: list[GoldCall] = [("transfer_to_human", {"about": about, "reason": "against_policy"})]
    edits: list[Edit] = [{"table": "transfers", "insert": {"about": about, "reason": "against_policy"}}]
    return Draft(say=say, facts=facts, reads=reads, writes=writes, edits=edits)


# ---- parts ---------------------------------------------------------------------------------------------------------


def _events(case: DeskCase, *, own: bool = True) -> list[Event]:
    """Events of the owner on days that are not used; organised by the owner, or by somebody else."""
    return [e for e in world(case).calendar if e.day not in case.used and (e.organiser == case.person.id) == own]


def _take(case: DeskCase, events: Sequence[Event], *days: str) -> Event | None:
    if not events:
        return None
    event: Event = case.pick(events)
    case.used.update((event.day, *days))
    return event


def _free_days(case: DeskCase) -> list[str]:
    return [day for day in DAYS if day not in case.used]


def _by_title(event: Event) -> Fact:
    return fact(f'It is the meeting "{event.title}".', "meeting", "event", "title", "which")


def _find(event: Event) -> GoldCall:
    return "search_events", {"title": event.title}


def _some(case: DeskCase, number: int) -> list[Contact]:
    """People to meet: colleagues, now and then one from outside."""
    office = world(case)
    people = [office.colleagues[int(i)] for i in case.rng.permutation(len(office.colleagues))[:number]]
    return [*people[:-1], case.pick(office.outsiders)] if case.rng.random() < 0.2 else people


def _new(case: DeskCase, people: Sequence[Contact], day: str, start: int, minutes: int) -> tuple[str, list[GoldCall], list[Edit]]:
    """Title, call and rows of a new event."""
    title = case.pick([t for t in world(case).titles if t not in case.used])
    case.used.add(title)
    begins, ends = clock(start), clock(start + minutes // 30)
    id, attendees = made_id("E", title, day, begins), [p.id for p in people]
    row = {"id": id, "day": day, "begins": begins, "ends": ends, "title": title, "organiser": case.person.id}
    edits: list[Edit] = [{"table": "events", "insert": row}]
    edits += [{"table": "attendees", "insert": {"event": id, "person": person}} for person in (case.person.id, *attendees)]
    values = {"title": title, "day": day, "start": begins, "minutes": minutes, "attendee_ids": attendees}
    return title, [("create_event", values)], edits


def _meeting_facts(people: Sequence[Contact], title: str, minutes: int, when: str) -> dict[str, Fact]:
    return {
        "people": fact(f"It is with {named(people)}.", "people", "person", "who", "whom", "attend"),
        "title": fact(f'Its title is "{title}".', "title", "called"),
        "length": fact(f"It takes {minutes} minutes.", "length", "long", "minutes", "duration"),
        "time": fact(when, "time", "when", "day", "date"),
    }


def _free_time(people: Sequence[str], day: str, minutes: int, without: str = "") -> GoldCall:
    values: dict[str, object] = {"person_ids": list(people), "day": day, "minutes": minutes}
    return "find_free_time", {**values, "without_event": without} if without else values


def _moving(event: Event, day: str, start: int) -> tuple[list[GoldCall], list[Edit]]:
    set = {"day": day, "begins": clock(start), "ends": clock(start + event.ends - event.begins)}
    edits: list[Edit] = [{"table": "events", "where": {"id": event.id}, "set": set}]
    return [("move_event", {"event_id": event.id, "day": day, "start": clock(start)})], edits


def _cancelling(event: Event) -> tuple[GoldCall, list[Edit]]:
    edits: list[Edit] = [{"table": "attendees", "delete": {"event": event.id}}, {"table": "events", "delete": {"id": event.id}}]
    return ("cancel_event", {"event_id": event.id}), edits


# ---- templates -----------------------------------------------------------------------------------------------------


def schedule(case: DeskCase) -> Draft | None:
    """A new meeting with one or two people at the first free time of a day."""
    people, minutes = _some(case, case.pick((1, 2))), case.pick(MINUTES[:3])
    ids = [case.person.id, *(p.id for p in people)]
    found = {day: world(case).starts(ids, day, minutes // 30) for day in _free_days(case)}
    days = [day for day, starts in found.items() if starts and starts[0]]  # not at nine: there is something to look up
    if not days:
        return None
    day = case.pick(days)
    case.used.add(day)
    title, writes, edits = _new(case, people, day, found[day][0], minutes)
    facts = _meeting_facts(people, title, minutes, f"It should be as early as all of us can {spoken(case, day)}.")
    say = ["I want to set up a meeting.", "Please put a meeting into my calendar."]
    reads = [*map(look_up, people), _free_time(ids[1:], day, minutes)]
    return Draft(say=say, facts=facts, reads=reads, writes=writes, edits=edits)


def schedule_week(case: DeskCase) -> Draft | None:
    """A long meeting with two people, at the first free time of a week."""
    name, days = case.pick((("this", DAYS[:5]), ("next", DAYS[5:])))
    people, minutes = _some(case, 2), case.pick(MINUTES[2:])
    ids = [case.person.id, *(p.id for p in people)]
    found = next(((day, s[0]) for day in days if (s := world(case).starts(ids, day, minutes // 30))), None)
    if found is None or not case.used.isdisjoint(days):
        return None
    case.used.update(days)
    title, writes, edits = _new(case, people, *found, minutes)
    facts = _meeting_facts(people, title, minutes, f"It should be as early {name} week as all of us can.")
    looked = [_free_time(ids[1:], day, minutes) for day in days[: days.index(found[0]) + 1]]
    say = ["I need a meeting as soon as it is possible.", "Please find a time for a meeting."]
    return Draft(say=say, facts=facts, reads=[*map(look_up, people), *looked], writes=writes, edits=edits)


def _new_time(case: DeskCase) -> tuple[Event, str, list[int]] | None:
    """An event, another day, and when it could be there."""
    day = case.pick(_free_days(case) or [""])
    event = _take(case, [e for e in _events(case) if day and e.day != day], day)
    if event is None:
        return None
    starts = world(case).starts(event.attendees, day, event.ends - event.begins)
    return (event, day, starts) if starts else None


def move(case: DeskCase) -> Draft | None:
    """A meeting goes to a time at which everybody is free."""
    found = _new_time(case)
    if found is None or len(found[2]) < 2:
        return None
    event, day, starts = found
    first, last = (starts[int(i)] for i in case.rng.permutation(len(starts))[:2])
    when = spoken(case, day)
    times = [fact(f"It should begin {when} at {clock(start)}.", "time", "when", "day", "date") for start in (first, last)]
    facts = {"event": _by_title(event), "time": times[1]}
    change = changed(case, facts, "time", times[0])
    writes, edits = _moving(event, day, last)
    reads = [_find(event), _free_time(event.attendees[1:], day, event.minutes, event.id)]
    say = ["I want to move a meeting.", "Please move one of my meetings."]
    return Draft(say=say, facts=facts, reads=reads, writes=writes, edits=edits, change=change)


def move_first(case: DeskCase) -> Draft | None:
    """A meeting goes to the first free time of another day."""
    found = _new_time(case)
    if found is None:
        return None
    event, day, starts = found
    when = fact(f"It should be as early as everybody can {spoken(case, day)}.", "time", "when", "day", "date")
    writes, edits = _moving(event, day, starts[0])
    reads = [_find(event), _free_time(event.attendees[1:], day, event.minutes, event.id)]
    say = ["I want to move a meeting to another day.", "Please find another day for one of my meetings."]
    return Draft(say=say, facts={"event": _by_title(event), "time": when}, reads=reads, writes=writes, edits=edits)


def move_late(case: DeskCase) -> Draft | None:
    """A meeting before nine or after five: not allowed."""
    event = _take(case, _events(case))
    if event is None:
        return None
    when = fact(f"It should begin {spoken(case, event.day)} at {case.pick(LATE)}.", "time", "when", "day", "date")
    say = ["I want to move a meeting.", "Please move one of my meetings."]
    return refused(say, {"event": _by_title(event), "time": when}, [_find(event)], event.id)


CANCEL = ["I want to cancel a meeting.", "Please cancel one of my meetings."]


def cancel(case: DeskCase) -> Draft | None:
    """A meeting that the user has organised is cancelled."""
    event = _take(case, _events(case))
    if event is None:
        return None
    write, edits = _cancelling(event)
    return Draft(say=CANCEL, facts={"event": _by_title(event)}, reads=[_find(event)], writes=[write], edits=edits)


def cancel_foreign(case: DeskCase) -> Draft | None:
    """Cancel what somebody else has organised: not allowed."""
    event = _take(case, _events(case, own=False))
    return None if event is None else refused(CANCEL, {"event": _by_title(event)}, [_find(event)], event.id)


def cancel_day(case: DeskCase) -> Draft | None:
    """All meetings of a day with one person are cancelled; another one of that day stays."""
    office = world(case)
    fitting: list[tuple[Contact, list[Event]]] = []
    for day in _free_days(case):
        of_day = [e for e in office.calendar if e.day == day]
        for person in office.contacts:
            met = [e for e in of_day if person.id in e.attendees]
            if 1 <= len(met) < len(of_day) and all(e.organiser == case.person.id for e in met):
                fitting.append((person, met))
    most = max((len(met) for _, met in fitting), default=0)
    if not most:
        return None
    person, met = case.pick([(p, m) for p, m in fitting if len(m) == most])
    case.used.add(met[0].day)
    calls, edits = zip(*map(_cancelling, met), strict=True)
    facts = {
        "person": fact(f"All my meetings with {person.name}.", "meeting", "person", "who", "which"),
        "day": fact(f"I mean those {spoken(case, met[0].day)}.", "day", "when", "date"),
    }
    say = ["I want to cancel all meetings that I have with somebody.", "Please cancel some meetings for me."]
    reads: list[GoldCall] = [("list_events", {"day": met[0].day})]
    return Draft(say=say, facts=facts, reads=reads, writes=list(calls), edits=[edit for some in edits for edit in some])


INVITE = ["I want somebody to be at a meeting of mine.", "Please invite somebody to one of my meetings."]


def _invitable(case: DeskCase, *, free: bool) -> tuple[Event, Contact, dict[str, Fact], list[GoldCall]] | None:
    """An event, and somebody who could come, or could not, because of another event."""
    office, fitting = world(case), list[tuple[Event, Contact]]()
    for event in _events(case):
        for person in office.contacts:
            could = event.begins in office.starts([person.id], event.day, event.ends - event.begins)
            if person.id not in event.attendees and could == free:
                fitting.append((event, person))
    if not fitting:
        return None
    event, person = case.pick(fitting)
    case.used.add(event.day)
    facts = {"event": _by_title(event), "person": fact(f"Invite {person.name}.", "person", "who", "whom", "invite")}
    return event, person, facts, [_find(event), look_up(person), _free_time([person.id], event.day, event.minutes, event.id)]


def invite(case: DeskCase) -> Draft | None:
    """Somebody who is free is invited to a meeting."""
    found = _invitable(case, free=True)
    if found is None:
        return None
    event, person, facts, reads = found
    edits: list[Edit] = [{"table": "attendees", "insert": {"event": event.id, "person": person.id}}]
    writes: list[GoldCall] = [("invite", {"event_id": event.id, "person_id": person.id})]
    return Draft(say=INVITE, facts=facts, reads=reads, writes=writes, edits=edits)


def invite_busy(case: DeskCase) -> Draft | None:
    """Invite somebody who has another event at that time: not allowed."""
    found = _invitable(case, free=False)
    return None if found is None else refused(INVITE, found[2], found[3], found[0].id)


def book_over(case: DeskCase) -> Draft | None:
    """A new meeting at a time at which the user has another: not allowed."""
    event = _take(case, [*_events(case), *_events(case, own=False)])
    if event is None:
        return None
    people = [case.pick([c for c in world(case).contacts if c.id not in event.attendees])]
    title = case.pick([t for t in world(case).titles if t not in case.used])
    facts = _meeting_facts(people, title, 30, f"It must begin {spoken(case, event.day)} at {clock(event.begins)}.")
    reads: list[GoldCall] = [look_up(people[0]), ("list_events", {"day": event.day})]
    return refused(["I want to set up a meeting.", "Please put a meeting into my calendar."], facts, reads, event.id)


def when(case: DeskCase) -> Draft | None:
    """Day and time of a meeting."""
    event = _take(case, [*_events(case), *_events(case, own=False)])
    if event is None:
        return None
    say = ["When is a certain meeting of mine?", "I want to know when a meeting begins."]
    return Draft(say=say, facts={"event": _by_title(event)}, reads=[_find(event)], inform=[event.day, clock(event.begins)])
