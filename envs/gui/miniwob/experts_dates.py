"""Plans for calendars and for booking: dates picked month by month, flights, tickets, events of a day."""

from __future__ import annotations

import re
from collections.abc import Generator

from .plans import Plan, click, complete, drag, fill, quoted, said, solves, submit
from .reading import Lost, Node, Page

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def pick_date(page: Page, field: Node, goal: str) -> Generator[str, Page, Page]:
    """Open the calendar of ``field`` and choose the date of the goal (month/day/year)."""
    month, day, year = (int(part) for part in said(r"(\d+)/(\d+)/(\d+)", goal))
    page = yield click(field)
    while (shown := _month(page)) != (year, month):
        page = yield click(page.holder("Prev" if shown > (year, month) else "Next"))
    return (yield click(page.find("link", str(day))))


def _month(page: Page) -> tuple[int, int]:
    for text in page.texts:
        if (found := re.fullmatch(r"(\w+)\s(\d{4})", text)) and found[1] in MONTHS:
            return int(found[2]), MONTHS.index(found[1]) + 1
    month = next((node.name for node in page.nodes if node.name in MONTHS), None)
    year = next((node.name for node in page.nodes if re.fullmatch(r"\d{4}", node.name)), None)
    if month is None or year is None:
        raise Lost("no month is shown")
    return int(year), MONTHS.index(month) + 1


@solves("choose-date", "choose-date-easy", "choose-date-medium", "choose-date-nodelay")
def choose_date(page: Page) -> Plan:
    page = yield from pick_date(page, page.find("textbox"), page.goal)
    yield submit(page)


@solves("book-flight", "book-flight-nodelay")
def book_flight(page: Page) -> Plan:
    wish, start, end = said(r"Book the (\w+) one-way flight from: (.*) to: (.*) on ", page.goal)
    for label, place in (("From:", start), ("To:", end)):
        page = yield complete(page.find("textbox", label), place)
        page = yield click(page.holder(_airport(page, place)))
    page = yield from pick_date(page, page.find("textbox", said="datepicker"), page.goal)
    page = yield click(page.button("Search"))
    flights = [node for node in page.all("button") if node.name.startswith("Book flight for $")]
    if not flights:
        raise Lost("no flight is shown")
    yield click(_least(page, flights, "price" if wish == "cheapest" else "time"))


def _airport(page: Page, place: str) -> str:
    known = [text for text in page.texts if re.fullmatch(r".*\(\w+\)", text)]
    exact = [text for text in known if text.startswith(f"{place} (") or text.endswith(f"({place})")]
    if not exact:
        raise Lost(f"no airport {place} is proposed")
    return exact[0]


@solves("buy-ticket")
def buy_ticket(page: Page) -> Plan:
    wish, measure = said(r"with the (cheapest|shortest|longest|most expensive) (cost|duration)", page.goal)
    offers = [node for node in page.all("button") if "$" in node.name]
    yield click(_least(page, offers, "price" if measure == "cost" else "time", most=wish in ("longest", "most expensive")))


def _least(page: Page, offers: list[Node], measure: str, *, most: bool = False) -> Node:
    """The offer of the lowest price, or the shortest of the times that stand before the offers; ``most``: the other way round."""

    def amount(offer: Node) -> int:
        if measure == "price":
            return int(offer.name.rpartition("$")[2])
        times = [node.name for node in page.nodes[: offer.index] if re.fullmatch(r"\d+h \d+m", node.name)]
        hours, minutes = said(r"(\d+)h (\d+)m", times[-1] if times else "")
        return int(hours) * 60 + int(minutes)

    return (max if most else min)(offers, key=amount)


@solves("daily-calendar")
def create_event(page: Page) -> Plan:
    length, unit, start, half, _ = said(r"a ([\d.]+) (mins|hours?) event .* between (\d+)([AP])M and (\d+)", page.goal)
    name = quoted(page.goal)[0]
    slots = round(float(length) / 30) if unit == "mins" else round(float(length) * 2)
    first = 2 * (int(start) % 12 + (12 if half == "P" else 0))
    for begin in range(first, first + 9 - slots):
        cells = [page.find(said=f"hh-{begin}"), page.find(said=f"hh-{begin + slots - 1}")]
        page = yield drag(cells[0], cells[1])
        if page.all("button", "Create"):
            break
    page = yield fill(page.find("textbox"), name)
    yield click(page.button("Create"))
