"""Templates of problems about dates and about files in the agent's folder. The answer is computed here from what the file was made of."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict

from ..base import Rng
from .problem import Problem, Template, draw

_FIRST = ("Ana", "Ben", "Cleo", "Dov", "Esi", "Finn", "Gus", "Hana", "Ivo", "Jun", "Kaya", "Lev", "Mei", "Nils", "Ola", "Pia")
_CITIES = ("Arvik", "Belmora", "Cardin", "Dunholt", "Estra", "Fenwick", "Garona", "Halmar")
_GOODS = ("anvil", "basket", "candle", "drum", "easel", "flute", "globe", "hammer", "inkwell", "jar")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _pick(rng: Rng, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]


def _csv(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    return "\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n"


def _day_number(year: int, month: int, day: int) -> int:
    """Julian day number of a Gregorian date (Fliegel and Van Flandern, 1968)."""
    a = (14 - month) // 12
    y, m = year + 4800 - a, month + 12 * a - 3
    return day + (153 * m + 2) // 5 + 365 * y + y // 4 - y // 100 + y // 400 - 32045


def _date(number: int) -> str:
    """The date of a Julian day number (Richards, 2013)."""
    f = number + 1401 + (4 * number + 274277) // 146097 * 3 // 4 - 38
    e = 4 * f + 3
    h = 5 * (e % 1461 // 4) + 2
    month = (h // 153 + 2) % 12 + 1
    return f"{e // 1461 - 4716 + (14 - month) // 12:04d}-{month:02d}-{h % 153 // 5 + 1:02d}"


def days_later(rng: Rng) -> Problem:
    year, month, day, days = draw(rng, 1600, 2400), draw(rng, 1, 12), draw(rng, 1, 28), draw(rng, 10_000, 90_000)
    gold = f"from datetime import date, timedelta\nprint(date({year}, {month}, {day}) + timedelta(days={days}))"
    question = f"Which date is {days} days after {year:04d}-{month:02d}-{day:02d} (Gregorian calendar)? Answer as YYYY-MM-DD."
    return Problem(question=question, answer=_date(_day_number(year, month, day) + days), gold=gold)


def fridays(rng: Rng) -> Problem:
    first = draw(rng, 1600, 2000)
    last = first + draw(rng, 80, 300)
    answer = sum(_day_number(year, month, 13) % 7 == 4 for year in range(first, last + 1) for month in range(1, 13))
    gold = f"from datetime import date\nprint(sum(date(y, m, 13).weekday() == 4 for y in range({first}, {last} + 1) for m in range(1, 13)))"
    question = f"How many Fridays the 13th are there from January {first} to December {last} (Gregorian calendar)?"
    return Problem(question=question, answer=str(answer), gold=gold)


def group_sum(rng: Rng) -> Problem:
    rows: list[tuple[object, ...]] = []
    totals: dict[str, int] = defaultdict(int)
    for number in range(draw(rng, 60, 120)):
        city, amount = _pick(rng, _CITIES), draw(rng, 5, 995)
        rows.append((number + 1, _pick(rng, _FIRST), city, amount))
        totals[city] += amount
    best = max(sorted(totals), key=lambda city: totals[city])
    gold = """import collections, csv
totals = collections.Counter()
for row in csv.DictReader(open("sales.csv")):
    totals[row["city"]] += int(row["amount"])
city = min(totals, key=lambda c: (-totals[c], c))
print(f"{city}:{totals[city]}")"""
    question = (
        "sales.csv has the columns id, name, city, amount. Which city has the largest sum of amounts (the first in alphabetical order "
        "if there are several), and what is that sum? Answer as city:sum."
    )
    return Problem(
        question=question, answer=f"{best}:{totals[best]}", gold=gold, files={"sales.csv": _csv(("id", "name", "city", "amount"), rows)}
    )


def join(rng: Rng) -> Problem:
    prices = {name: draw(rng, 101, 9999) for name in _GOODS}
    person, total, rows = _pick(rng, _FIRST), 0, list[tuple[object, ...]]()
    for number in range(draw(rng, 80, 140)):
        buyer, item, count = _pick(rng, _FIRST), _pick(rng, _GOODS), draw(rng, 1, 9)
        if number == 0:
            buyer = person
        rows.append((1000 + number, buyer, item, count))
        total += prices[item] * count if buyer == person else 0
    gold = f"""import csv, json
prices = {{p["item"]: p["cents"] for p in json.load(open("prices.json"))}}
cents = sum(prices[r["item"]] * int(r["count"]) for r in csv.DictReader(open("orders.csv")) if r["buyer"] == {person!r})
print(f"{{cents // 100}}.{{cents % 100:02d}}")"""
    question = (
        f"orders.csv (order, buyer, item, count) lists orders; prices.json gives the price of each item in cents. What is the value of "
        f"all that {person} ordered, in whole currency units with two decimals?"
    )
    listed = json.dumps([{"item": name, "cents": cents} for name, cents in prices.items()], indent=1)
    files = {"orders.csv": _csv(("order", "buyer", "item", "count"), rows), "prices.json": listed}
    return Problem(question=question, answer=f"{total / 100:.2f}", gold=gold, files=files)


def best_average(rng: Rng) -> Problem:
    names = [_FIRST[int(n)] for n in rng.permutation(len(_FIRST))[:10]]
    scores = {name: [draw(rng, 100, 999) for _ in range(draw(rng, 3, 7))] for name in names}
    best = max(sorted(names), key=lambda n: sum(scores[n]) * 5040 // len(scores[n]))
    gold = """import json
from fractions import Fraction
people = json.load(open("people.json"))["people"]
mean = {p["name"]: Fraction(sum(p["scores"]), len(p["scores"])) for p in people}
name = min(mean, key=lambda n: (-mean[n], n))
print(f"{name}:{sum(next(p['scores'] for p in people if p['name'] == name))}")"""
    question = (
        'people.json holds {"people": [{"name", "scores"}, ...]}. Who has the highest mean score (the first in alphabetical order if '
        "there are several), and what is the sum of that person's scores? Answer as name:sum."
    )
    text = json.dumps({"people": [{"name": name, "scores": found} for name, found in scores.items()]})
    return Problem(question=question, answer=f"{best}:{sum(scores[best])}", gold=gold, files={"people.json": text})


def date_filter(rng: Rng) -> Problem:
    start = _day_number(draw(rng, 1990, 2020), 1, 1)
    low = start + draw(rng, 30, 150)
    high = low + draw(rng, 60, 150)
    total, rows = 0, list[tuple[object, ...]]()
    for number in range(draw(rng, 80, 140)):
        place, amount = (low if number == 0 else start + draw(rng, 0, 364)), draw(rng, 100, 9999)
        rows.append((_date(place), amount))
        total += amount if low <= place <= high else 0
    rows = [rows[int(n)] for n in rng.permutation(len(rows))]
    gold = f"""import csv
from datetime import date
inside = [int(r["amount"]) for r in csv.DictReader(open("log.csv"))
          if date.fromisoformat({_date(low)!r}) <= date.fromisoformat(r["date"]) <= date.fromisoformat({_date(high)!r})]
print(sum(inside))"""
    question = (
        f"log.csv has the columns date and amount. What is the sum of the amounts from {_date(low)} to {_date(high)}, both days included?"
    )
    return Problem(question=question, answer=str(total), gold=gold, files={"log.csv": _csv(("date", "amount"), rows)})


def letter_shift(rng: Rng) -> Problem:
    shift, length = draw(rng, 2, 24), draw(rng, 30, 60)
    letters = [int(n) for n in rng.integers(26, size=length)]
    text = "".join(_LETTERS[n] for n in letters)
    answer = "".join(_LETTERS[(n + shift) % 26] for n in reversed(letters))
    gold = f"print(''.join(chr((ord(c) - 97 + {shift}) % 26 + 97) for c in open('text.txt').read().strip())[::-1])"
    question = (
        f"text.txt holds one word. Replace each letter by the one {shift} places later in the alphabet (a follows z), then reverse it."
    )
    return Problem(question=question, answer=answer, gold=gold, files={"text.txt": text + "\n"})


def pair_count(rng: Rng) -> Problem:
    text = "".join(_LETTERS[int(n)] for n in rng.integers(5, size=draw(rng, 2500, 4000)))
    counts = [[0] * 5 for _ in range(5)]
    for a, b in itertools.pairwise(text):
        counts[ord(a) - 97][ord(b) - 97] += 1
    most, pair = max((counts[a][b], (-a, -b)) for a in range(5) for b in range(5))
    gold = """from collections import Counter
text = open("letters.txt").read().strip()
found = Counter(text[n : n + 2] for n in range(len(text) - 1))
pair = min(found, key=lambda p: (-found[p], p))
print(f"{pair}:{found[pair]}")"""
    question = (
        "letters.txt holds one long word. Which two letters stand next to each other most often (in this order; the first pair in "
        "alphabetical order if there are several), and how often? Answer as pair:count."
    )
    answer = f"{_LETTERS[-pair[0]]}{_LETTERS[-pair[1]]}:{most}"
    return Problem(question=question, answer=answer, gold=gold, files={"letters.txt": text + "\n"})


TABLES: dict[str, Template] = {
    t.__name__: t for t in (days_later, fridays, group_sum, join, best_average, date_filter, letter_shift, pair_count)
}
