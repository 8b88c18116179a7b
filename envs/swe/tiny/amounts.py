"""Pieces that compute with dates and samples."""

from __future__ import annotations

from .compose import Bug, Domain, Part, Piece, drawn, several

CALENDAR = Domain(
    about="Dates and times as plain numbers.",
    first=Part(
        file="days",
        about="Years, months and days.",
        pieces=(
            Piece(
                name="is_leap",
                source='''def is_leap(year):
    """Whether a year of the Gregorian calendar has 366 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
''',
                call=lambda rng: f"is_leap({(1700, 1900, 2000, 2004, 2022, 2023, 2024, 2100)[drawn(rng, 0, 8)] + 400 * drawn(rng, 0, 3)})",
                bugs=(
                    Bug(kind="constant", right="year % 400", wrong="year % 300"),
                    Bug(kind="comparison", right="year % 100 != 0", wrong="year % 100 == 0"),
                    Bug(kind="constant", right="year % 4 ", wrong="year % 2 "),
                ),
            ),
            Piece(
                name="month_days",
                source='''def month_days(year, month):
    """How many days a month has."""
    if month == 2:
        return 29 if is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31
''',
                call=lambda rng: f"month_days({(1900, 2000, 2023, 2024)[drawn(rng, 0, 4)]}, {(2, 2, 4, 7, 9, 11, 12)[drawn(rng, 0, 7)]})",
                bugs=(
                    Bug(kind="constant", right="(4, 6, 9, 11)", wrong="(4, 6, 9, 12)"),
                    Bug(kind="arguments", right="29 if is_leap(year) else 28", wrong="28 if is_leap(year) else 29"),
                    Bug(kind="off-by-one", right="month == 2", wrong="month == 1"),
                ),
                needs=("is_leap",),
            ),
            Piece(
                name="weeks",
                source='''def weeks(days):
    """Days as (full weeks, days left)."""
    return days // 7, days % 7
''',
                call=lambda rng: f"weeks({drawn(rng, 0, 100)})",
                bugs=(
                    Bug(kind="constant", right="days // 7", wrong="days // 5"),
                    Bug(kind="operator", right="days % 7", wrong="days // 7"),
                ),
            ),
            Piece(
                name="season",
                source='''def season(month):
    """The season of a month in the north; winter begins in December."""
    return ("winter", "spring", "summer", "autumn")[month % 12 // 3]
''',
                call=lambda rng: f"season({drawn(rng, 1, 13)})",
                bugs=(
                    Bug(kind="constant", right="% 12", wrong="% 11"),
                    Bug(kind="off-by-one", right="month % 12", wrong="(month - 1) % 12"),
                ),
            ),
        ),
    ),
    second=Part(
        file="clock",
        about="Times of the day, in minutes after midnight.",
        pieces=(
            Piece(
                name="minutes",
                source='''def minutes(text):
    """Minutes of a time such as "07:30"."""
    hours, rest = text.split(":")
    return int(hours) * 60 + int(rest)
''',
                call=lambda rng: f'minutes("{drawn(rng, 0, 24):02}:{drawn(rng, 0, 60):02}")',
                bugs=(
                    Bug(kind="constant", right="* 60", wrong="* 100"),
                    Bug(kind="variable", right="int(hours) *", wrong="int(rest) *"),
                    Bug(kind="operator", right="60 + int", wrong="60 - int"),
                ),
            ),
            Piece(
                name="clock",
                source='''def clock(total):
    """A time such as "07:30", also from a number beyond one day."""
    hours, rest = divmod(total % 1440, 60)
    return f"{hours:02}:{rest:02}"
''',
                call=lambda rng: f"clock({drawn(rng, 0, 3000)})",
                bugs=(
                    Bug(kind="constant", right="% 1440", wrong="% 1400"),
                    Bug(kind="arguments", right="{hours:02}:{rest:02}", wrong="{rest:02}:{hours:02}"),
                    Bug(kind="constant", right="{rest:02}", wrong="{rest:01}"),
                ),
            ),
            Piece(
                name="lasts",
                source='''def lasts(start, end):
    """Minutes from one time to the next, over midnight where the end comes before the start."""
    return (minutes(end) - minutes(start)) % 1440
''',
                call=lambda rng: f'lasts("{drawn(rng, 0, 24):02}:{drawn(rng, 0, 60):02}", "{drawn(rng, 0, 24):02}:{drawn(rng, 0, 60):02}")',
                bugs=(
                    Bug(kind="arguments", right="minutes(end) - minutes(start)", wrong="minutes(start) - minutes(end)"),
                    Bug(kind="guard", right=" % 1440", wrong=""),
                ),
                needs=("minutes",),
            ),
            Piece(
                name="month_hours",
                source='''def month_hours(year, month, daily):
    """Hours of work in a month with ``daily`` hours each day but four."""
    return (month_days(year, month) - 4) * daily
''',
                call=lambda rng: f"month_hours({drawn(rng, 1990, 2030)}, {drawn(rng, 1, 13)}, {drawn(rng, 2, 9)})",
                bugs=(
                    Bug(kind="off-by-one", right="- 4)", wrong="- 5)"),
                    Bug(kind="operator", right=") * daily", wrong=") + daily"),
                ),
                needs=("month_days",),
            ),
        ),
    ),
)

SAMPLES = Domain(
    about="Numbers about samples.",
    first=Part(
        file="basic",
        about="Single numbers about a list.",
        pieces=(
            Piece(
                name="mean",
                source='''def mean(values):
    """The mean, rounded down; 0 for no values."""
    if not values:
        return 0
    return sum(values) // len(values)
''',
                call=lambda rng: f"mean({several(rng, 0, 50, 0, 5)})",
                bugs=(
                    Bug(kind="guard", right="    if not values:\n        return 0\n", wrong=""),
                    Bug(kind="off-by-one", right="// len(values)", wrong="// (len(values) + 1)"),
                ),
            ),
            Piece(
                name="median",
                source='''def median(values):
    """The middle value, the upper one of two."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
''',
                call=lambda rng: f"median({several(rng, 0, 50, 2, 7)})",
                bugs=(
                    Bug(kind="variable", right="return ordered[", wrong="return values["),
                    Bug(kind="constant", right="// 2", wrong="// 3"),
                ),
            ),
            Piece(
                name="spread",
                source='''def spread(values):
    """The largest value less the smallest."""
    return max(values) - min(values)
''',
                call=lambda rng: f"spread({several(rng, -20, 50)})",
                bugs=(
                    Bug(kind="operator", right="max(values) - min", wrong="max(values) + min"),
                    Bug(kind="arguments", right="max(values) - min(values)", wrong="min(values) - max(values)"),
                ),
            ),
            Piece(
                name="clamp",
                source='''def clamp(value, low, high):
    """The value, moved into low..high where it lies outside."""
    return max(low, min(value, high))
''',
                call=lambda rng: (lambda low: f"clamp({drawn(rng, -9, 30)}, {low}, {low + drawn(rng, 2, 9)})")(drawn(rng, 0, 10)),
                bugs=(
                    Bug(kind="operator", right="max(low, min(", wrong="min(low, min("),
                    Bug(kind="variable", right="min(value, high)", wrong="min(value, low)"),
                ),
            ),
        ),
    ),
    second=Part(
        file="series",
        about="Values one after another.",
        pieces=(
            Piece(
                name="changes",
                source='''def changes(values):
    """How much each value differs from the one before."""
    return [b - a for a, b in zip(values, values[1:])]
''',
                call=lambda rng: f"changes({several(rng, 0, 40)})",
                bugs=(
                    Bug(kind="arguments", right="b - a for", wrong="a - b for"),
                    Bug(kind="off-by-one", right="values[1:]", wrong="values[2:]"),
                ),
            ),
            Piece(
                name="smooth",
                source='''def smooth(values, width):
    """The mean of each ``width`` values in a row."""
    return [mean(values[n : n + width]) for n in range(len(values) - width + 1)]
''',
                call=lambda rng: f"smooth({several(rng, 0, 40, 4, 7)}, {drawn(rng, 2, 4)})",
                bugs=(
                    Bug(kind="off-by-one", right="- width + 1)", wrong="- width)"),
                    Bug(kind="variable", right="n : n + width", wrong="0 : n + width"),
                ),
                needs=("mean",),
            ),
            Piece(
                name="rises",
                source='''def rises(values):
    """How many values are larger than the one before."""
    return sum(change > 0 for change in changes(values))
''',
                call=lambda rng: f"rises({several(rng, 0, 4, 4, 8)})",
                bugs=(
                    Bug(kind="comparison", right="change > 0", wrong="change >= 0"),
                    Bug(kind="comparison", right="change > 0", wrong="change < 0"),
                ),
                needs=("changes",),
            ),
            Piece(
                name="trimmed",
                source='''def trimmed(values, low, high):
    """All values moved into low..high."""
    return [clamp(value, low, high) for value in values]
''',
                call=lambda rng: (lambda low: f"trimmed({several(rng, -9, 30)}, {low}, {low + drawn(rng, 2, 12)})")(drawn(rng, 0, 8)),
                bugs=(Bug(kind="arguments", right="clamp(value, low, high)", wrong="clamp(low, value, high)"),),
                needs=("clamp",),
            ),
        ),
    ),
)
