"""Pieces that work on grids and intervals."""

from __future__ import annotations

from ...base import Rng
from .compose import Bug, Domain, Part, Piece, drawn


def _grid(rng: Rng, high: int = 10) -> list[list[int]]:
    wide = drawn(rng, 2, 5)
    return [[drawn(rng, 0, high) for _ in range(wide)] for _ in range(drawn(rng, 2, 4))]


def _at(rng: Rng) -> str:
    grid = _grid(rng)
    return f"at({grid}, {drawn(rng, -1, len(grid) + 1)}, {drawn(rng, -1, len(grid[0]) + 1)}, {drawn(rng, 10, 90)})"


def _span(rng: Rng) -> tuple[int, int]:
    low = drawn(rng, 0, 9)
    return low, low + drawn(rng, 1, 6)


GRIDS = Domain(
    about="Rectangles of numbers.",
    first=Part(
        file="grids",
        about="Whole grids.",
        pieces=(
            Piece(
                name="transpose",
                source='''def transpose(grid):
    """Rows as columns."""
    return [[row[n] for row in grid] for n in range(len(grid[0]))]
''',
                call=lambda rng: f"transpose({_grid(rng)})",
                bugs=(
                    Bug(kind="off-by-one", right="range(len(grid[0]))", wrong="range(len(grid[0]) - 1)"),
                    Bug(kind="variable", right="range(len(grid[0]))", wrong="range(len(grid))"),
                ),
            ),
            Piece(
                name="row_sums",
                source='''def row_sums(grid):
    """The sum of each row."""
    return [sum(row) for row in grid]
''',
                call=lambda rng: f"row_sums({_grid(rng)})",
                bugs=(
                    Bug(kind="variable", right="sum(row) for", wrong="sum(grid[0]) for"),
                    Bug(kind="operator", right="sum(row) for", wrong="max(row) for"),
                ),
            ),
            Piece(
                name="flip",
                source='''def flip(grid):
    """The grid with its rows from bottom to top."""
    return grid[::-1]
''',
                call=lambda rng: f"flip({_grid(rng)})",
                bugs=(Bug(kind="constant", right="[::-1]", wrong="[::1]"), Bug(kind="off-by-one", right="[::-1]", wrong="[-2::-1]")),
            ),
            Piece(
                name="border",
                source='''def border(grid):
    """How many cells lie at the edge."""
    high, wide = len(grid), len(grid[0])
    if high < 3 or wide < 3:
        return high * wide
    return 2 * (high + wide) - 4
''',
                call=lambda rng: (lambda h, w: f"border([[0] * {w}] * {h})")(drawn(rng, 1, 9), drawn(rng, 1, 9)),
                bugs=(
                    Bug(kind="constant", right="wide) - 4", wrong="wide) - 2"),
                    Bug(kind="guard", right="    if high < 3 or wide < 3:\n        return high * wide\n", wrong=""),
                    Bug(kind="operator", right="high + wide", wrong="high * wide"),
                ),
            ),
        ),
    ),
    second=Part(
        file="cells",
        about="Single cells and their neighbours.",
        pieces=(
            Piece(
                name="neighbours",
                source='''def neighbours(grid, row, column):
    """The values above, below, left and right of a cell, as far as there are any."""
    found = []
    for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
        if 0 <= r < len(grid) and 0 <= c < len(grid[0]):
            found.append(grid[r][c])
    return found
''',
                call=lambda rng: (lambda g: f"neighbours({g}, {drawn(rng, 0, len(g))}, {drawn(rng, 0, len(g[0]))})")(_grid(rng)),
                bugs=(
                    Bug(kind="comparison", right="r < len(grid) and", wrong="r <= len(grid) and"),
                    Bug(kind="comparison", right="0 <= c", wrong="0 < c"),
                    Bug(kind="arguments", right="grid[r][c]", wrong="grid[c][r]"),
                    Bug(kind="off-by-one", right="(row, column + 1)", wrong="(row, column + 2)"),
                ),
            ),
            Piece(
                name="column_sums",
                source='''def column_sums(grid):
    """The sum of each column."""
    return row_sums(transpose(grid))
''',
                call=lambda rng: f"column_sums({_grid(rng)})",
                bugs=(Bug(kind="arguments", right="row_sums(transpose(grid))", wrong="row_sums(grid)"),),
                needs=("row_sums", "transpose"),
            ),
            Piece(
                name="peaks",
                source='''def peaks(grid):
    """How many cells are larger than all their neighbours."""
    count = 0
    for row in range(len(grid)):
        for column in range(len(grid[0])):
            if all(grid[row][column] > other for other in neighbours(grid, row, column)):
                count += 1
    return count
''',
                call=lambda rng: f"peaks({_grid(rng, 5)})",
                bugs=(
                    Bug(kind="comparison", right="[column] > other", wrong="[column] >= other"),
                    Bug(kind="off-by-one", right="range(len(grid)):", wrong="range(len(grid) - 1):"),
                    Bug(kind="operator", right="if all(", wrong="if any("),
                ),
                needs=("neighbours",),
            ),
            Piece(
                name="at",
                source='''def at(grid, row, column, default=0):
    """The value of a cell, ``default`` outside the grid."""
    if not (0 <= row < len(grid) and 0 <= column < len(grid[0])):
        return default
    return grid[row][column]
''',
                call=_at,
                bugs=(
                    Bug(kind="comparison", right="0 <= column <", wrong="0 < column <"),
                    Bug(kind="variable", right="return default", wrong="return row"),
                    Bug(kind="comparison", right="row < len(grid) and", wrong="row <= len(grid) and"),
                ),
            ),
        ),
    ),
)

INTERVALS = Domain(
    about="Intervals of whole numbers, from a start up to but without an end.",
    first=Part(
        file="single",
        about="One or two intervals.",
        pieces=(
            Piece(
                name="length",
                source='''def length(span):
    """How many numbers lie in (start, end); 0 where the end does not come after the start."""
    start, end = span
    return max(0, end - start)
''',
                call=lambda rng: f"length(({drawn(rng, 0, 20)}, {drawn(rng, 0, 20)}))",
                bugs=(
                    Bug(kind="guard", right="max(0, end - start)", wrong="end - start"),
                    Bug(kind="off-by-one", right="end - start)", wrong="end - start + 1)"),
                    Bug(kind="arguments", right="end - start", wrong="start - end"),
                ),
            ),
            Piece(
                name="overlap",
                source='''def overlap(one, other):
    """The interval that two have in common, None if there is none."""
    start, end = max(one[0], other[0]), min(one[1], other[1])
    return (start, end) if start < end else None
''',
                call=lambda rng: f"overlap({_span(rng)}, {_span(rng)})",
                bugs=(
                    Bug(kind="comparison", right="start < end", wrong="start <= end"),
                    Bug(kind="operator", right="max(one[0]", wrong="min(one[0]"),
                    Bug(kind="off-by-one", right="min(one[1], other[1])", wrong="min(one[1], other[0])"),
                ),
            ),
            Piece(
                name="contains",
                source='''def contains(span, number):
    """Whether a number lies in the interval."""
    return span[0] <= number < span[1]
''',
                call=lambda rng: (lambda s: f"contains({s}, {s[drawn(rng, 0, 2)] + drawn(rng, -1, 2)})")(_span(rng)),
                bugs=(
                    Bug(kind="comparison", right="number < span[1]", wrong="number <= span[1]"),
                    Bug(kind="comparison", right="span[0] <= number", wrong="span[0] < number"),
                ),
            ),
            Piece(
                name="shift",
                source='''def shift(span, by):
    """The interval moved by a number."""
    return (span[0] + by, span[1] + by)
''',
                call=lambda rng: f"shift({_span(rng)}, {drawn(rng, -5, 9)})",
                bugs=(
                    Bug(kind="operator", right="span[0] + by", wrong="span[0] - by"),
                    Bug(kind="off-by-one", right="span[1] + by", wrong="span[0] + by"),
                ),
            ),
        ),
    ),
    second=Part(
        file="several",
        about="Lists of intervals.",
        pieces=(
            Piece(
                name="merge",
                source='''def merge(spans):
    """The same numbers in as few intervals as possible, sorted; intervals that touch become one."""
    merged = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
''',
                call=lambda rng: f"merge({[_span(rng) for _ in range(drawn(rng, 2, 5))]})",
                bugs=(
                    Bug(kind="comparison", right="start <= merged", wrong="start < merged"),
                    Bug(kind="variable", right="max(merged[-1][1], end)", wrong="end"),
                    Bug(kind="arguments", right="in sorted(spans)", wrong="in spans"),
                ),
            ),
            Piece(
                name="covered",
                source='''def covered(spans):
    """How many numbers lie in at least one interval."""
    return sum(length(span) for span in merge(spans))
''',
                call=lambda rng: f"covered({[_span(rng) for _ in range(drawn(rng, 2, 5))]})",
                bugs=(
                    Bug(kind="variable", right="in merge(spans)", wrong="in spans"),
                    Bug(kind="operator", right="return sum(", wrong="return max("),
                ),
                needs=("length", "merge"),
            ),
            Piece(
                name="gaps",
                source='''def gaps(spans):
    """The intervals between those that are given."""
    joined = merge(spans)
    return [(before[1], after[0]) for before, after in zip(joined, joined[1:])]
''',
                call=lambda rng: f"gaps({[_span(rng) for _ in range(drawn(rng, 2, 6))]})",
                bugs=(
                    Bug(kind="off-by-one", right="(before[1], after[0])", wrong="(before[0], after[0])"),
                    Bug(kind="arguments", right="(before[1], after[0])", wrong="(after[0], before[1])"),
                ),
                needs=("merge",),
            ),
            Piece(
                name="clashes",
                source='''def clashes(spans):
    """How many pairs of intervals have a number in common."""
    count = 0
    for n, one in enumerate(spans):
        for other in spans[n + 1 :]:
            if overlap(one, other) is not None:
                count += 1
    return count
''',
                call=lambda rng: f"clashes({[_span(rng) for _ in range(drawn(rng, 2, 6))]})",
                bugs=(
                    Bug(kind="off-by-one", right="spans[n + 1 :]", wrong="spans[n:]"),
                    Bug(kind="comparison", right="is not None", wrong="is None"),
                ),
                needs=("overlap",),
            ),
        ),
    ),
)
