"""Pieces that work on texts and queues."""

from __future__ import annotations

from ...base import Rng
from .compose import Bug, Domain, Part, Piece, drawn, several

_WORDS = (
    *("apple", "bread", "cloud", "delta", "eagle", "flute", "grape", "house", "ivory", "jewel"),
    *("kite", "lemon", "mango", "novel", "ocean", "pearl", "queen", "river", "stone", "tiger"),
)


def _text(rng: Rng, shortest: int = 1, longest: int = 6) -> str:
    return " ".join(_WORDS[drawn(rng, 0, len(_WORDS))] for _ in range(drawn(rng, shortest, longest)))


def _served(rng: Rng) -> str:
    jobs = several(rng, 1, 8)
    return f"served({jobs}, {sum(jobs[: drawn(rng, 1, len(jobs) + 1)]) + drawn(rng, 0, 2)})"


def _stack(rng: Rng) -> str:
    call = (".peek(1)", ".drop(2).items", ".peek()")[drawn(rng, 0, 3)]
    return f"Stack{tuple(several(rng, 1, 99))}.push({drawn(rng, 1, 99)}){call}"


TEXTS = Domain(
    about="Words and lines.",
    first=Part(
        file="words",
        about="What words are.",
        pieces=(
            Piece(
                name="initials",
                source='''def initials(text):
    """The first letter of each word, in capitals."""
    return "".join(word[0].upper() for word in text.split())
''',
                call=lambda rng: f'initials("{_text(rng)}")',
                bugs=(
                    Bug(kind="off-by-one", right="word[0]", wrong="word[1]"),
                    Bug(kind="variable", right="word[0].upper()", wrong="text[0].upper()"),
                ),
            ),
            Piece(
                name="shorten",
                source='''def shorten(text, limit):
    """The text, cut to ``limit`` characters with "..." at the end where it is longer."""
    if len(text) <= limit:
        return text
    return text[: limit - 3] + "..."
''',
                call=lambda rng: (lambda t: f'shorten("{t}", {max(4, len(t) + drawn(rng, -5, 3))})')(_text(rng, 1, 4)),
                bugs=(
                    Bug(kind="guard", right="    if len(text) <= limit:\n        return text\n", wrong=""),
                    Bug(kind="constant", right="limit - 3", wrong="limit - 2"),
                    Bug(kind="comparison", right="len(text) <= limit", wrong="len(text) >= limit"),
                ),
            ),
            Piece(
                name="longest",
                source='''def longest(text):
    """The longest word, the first of equally long ones; "" without words."""
    found = ""
    for word in text.split():
        if len(word) > len(found):
            found = word
    return found
''',
                call=lambda rng: f'longest("{_text(rng, 2, 6)}")',
                bugs=(
                    Bug(kind="comparison", right="len(word) > len(found)", wrong="len(word) >= len(found)"),
                    Bug(kind="variable", right="found = word", wrong="found = text"),
                ),
            ),
            Piece(
                name="vowels",
                source='''def vowels(text):
    """How many vowels a text has."""
    return sum(letter in "aeiou" for letter in text.lower())
''',
                call=lambda rng: f'vowels("{_text(rng, 1, 4).title()}")',
                bugs=(
                    Bug(kind="constant", right='"aeiou"', wrong='"aeio"'),
                    Bug(kind="comparison", right="sum(letter in", wrong="sum(letter not in"),
                    Bug(kind="constant", right='"aeiou"', wrong='"aiou"'),
                ),
            ),
        ),
    ),
    second=Part(
        file="lines",
        about="How words are laid out.",
        pieces=(
            Piece(
                name="wrap",
                source='''def wrap(text, width):
    """Lines of at most ``width`` characters; a word is never cut."""
    lines = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines
''',
                call=lambda rng: f'wrap("{_text(rng, 3, 7)}", {(10, 11, 11, 16, 17)[drawn(rng, 0, 5)]})',
                bugs=(
                    Bug(kind="comparison", right="<= width", wrong="< width"),
                    Bug(kind="off-by-one", right="+ 1 + len(word)", wrong="+ len(word)"),
                    Bug(kind="guard", right="if lines and len", wrong="if len"),
                ),
            ),
            Piece(
                name="centred",
                source='''def centred(word, width):
    """The word between equal numbers of dots; what is left over goes to the right."""
    left = (width - len(word)) // 2
    right = width - len(word) - left
    return "." * left + word + "." * right
''',
                call=lambda rng: f'centred("{_text(rng, 1, 2)}", {drawn(rng, 7, 13)})',
                bugs=(
                    Bug(kind="arguments", right='"." * left + word + "." * right', wrong='"." * right + word + "." * left'),
                    Bug(kind="operator", right="- len(word) - left", wrong="- len(word) + left"),
                ),
            ),
            Piece(
                name="titles",
                source='''def titles(texts, limit):
    """The texts, shortened and numbered from 1."""
    return [f"{number}. {shorten(text, limit)}" for number, text in enumerate(texts, 1)]
''',
                call=lambda rng: f"titles({[_text(rng, 1, 4) for _ in range(drawn(rng, 1, 4))]}, {drawn(rng, 8, 16)})",
                bugs=(
                    Bug(kind="off-by-one", right="enumerate(texts, 1)", wrong="enumerate(texts)"),
                    Bug(kind="arguments", right="{number}. {shorten(text, limit)}", wrong="{shorten(text, limit)}. {number}"),
                ),
                needs=("shorten",),
            ),
            Piece(
                name="tally",
                source='''def tally(text):
    """How often each word occurs."""
    counts = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return counts
''',
                call=lambda rng: (lambda t: f'tally("{t} {t.split()[0]}")')(_text(rng, 1, 5)),
                bugs=(
                    Bug(kind="constant", right="get(word, 0)", wrong="get(word, 1)"),
                    Bug(kind="operator", right="counts.get(word, 0) + 1", wrong="1"),
                ),
            ),
        ),
    ),
)

QUEUES = Domain(
    about="Things that wait.",
    first=Part(
        file="queues",
        about="Containers with an order.",
        pieces=(
            Piece(
                name="Queue",
                source='''class Queue:
    """What came first leaves first; beyond ``limit`` nothing is taken."""

    def __init__(self, limit):
        self.limit = limit
        self.items = []

    def put(self, *items):
        for item in items:
            if len(self.items) < self.limit:
                self.items.append(item)
        return self

    def take(self):
        if not self.items:
            return None
        return self.items.pop(0)
''',
                call=lambda rng: (
                    f"Queue({drawn(rng, 2, 5)}).put({', '.join(map(str, several(rng, 1, 99, 2, 7)))}).items"
                    if rng.random() < 0.5
                    else f"Queue(3).put({', '.join(map(str, several(rng, 1, 99, 0, 3)))}).take()"
                ),
                bugs=(
                    Bug(kind="comparison", right="< self.limit", wrong="<= self.limit"),
                    Bug(kind="constant", right="self.items.pop(0)", wrong="self.items.pop()"),
                    Bug(kind="guard", right="        if not self.items:\n            return None\n", wrong=""),
                ),
            ),
            Piece(
                name="Stack",
                source='''class Stack:
    """What came last leaves first."""

    def __init__(self, *items):
        self.items = list(items)

    def push(self, item):
        self.items.append(item)
        return self

    def peek(self, depth=0):
        """The item that many below the top."""
        return self.items[-1 - depth]

    def drop(self, count):
        """Without the ``count`` topmost items."""
        self.items = self.items[: len(self.items) - count]
        return self
''',
                call=_stack,
                bugs=(
                    Bug(kind="off-by-one", right="[-1 - depth]", wrong="[-2 - depth]"),
                    Bug(kind="operator", right="len(self.items) - count", wrong="len(self.items) + count"),
                    Bug(kind="operator", right="[-1 - depth]", wrong="[-1 + depth]"),
                ),
            ),
            Piece(
                name="rotate",
                source='''def rotate(items, steps):
    """The items with the first ``steps`` moved to the end."""
    if not items:
        return []
    steps %= len(items)
    return items[steps:] + items[:steps]
''',
                call=lambda rng: f"rotate({several(rng, 1, 30, 0, 6)}, {drawn(rng, 0, 9)})",
                bugs=(
                    Bug(kind="guard", right="    if not items:\n        return []\n", wrong=""),
                    Bug(kind="arguments", right="items[steps:] + items[:steps]", wrong="items[:steps] + items[steps:]"),
                    Bug(kind="guard", right="    steps %= len(items)\n", wrong=""),
                ),
            ),
        ),
    ),
    second=Part(
        file="waiting",
        about="How long it takes.",
        pieces=(
            Piece(
                name="finish_times",
                source='''def finish_times(jobs):
    """When each job ends, if one runs after another from time 0."""
    now, ends = 0, []
    for length in jobs:
        now += length
        ends.append(now)
    return ends
''',
                call=lambda rng: f"finish_times({several(rng, 1, 12)})",
                bugs=(
                    Bug(kind="off-by-one", right="now, ends = 0, []", wrong="now, ends = 1, []"),
                    Bug(kind="variable", right="ends.append(now)", wrong="ends.append(length)"),
                ),
            ),
            Piece(
                name="waits",
                source='''def waits(jobs):
    """How long each job waits before it starts."""
    return [end - length for end, length in zip(finish_times(jobs), jobs)]
''',
                call=lambda rng: f"waits({several(rng, 1, 12)})",
                bugs=(
                    Bug(kind="arguments", right="end - length", wrong="length - end"),
                    Bug(kind="operator", right="end - length", wrong="end + length"),
                ),
                needs=("finish_times",),
            ),
            Piece(
                name="served",
                source='''def served(jobs, until):
    """How many jobs have ended at a time."""
    return sum(end <= until for end in finish_times(jobs))
''',
                call=_served,
                bugs=(
                    Bug(kind="comparison", right="end <= until", wrong="end < until"),
                    Bug(kind="variable", right="in finish_times(jobs)", wrong="in jobs"),
                ),
                needs=("finish_times",),
            ),
            Piece(
                name="order",
                source='''def order(names, priorities):
    """The names by falling priority; equal ones as they came."""
    return [name for _, name in sorted(zip(priorities, names), key=lambda pair: -pair[0])]
''',
                call=lambda rng: (lambda n: f"order({list(_WORDS[:n])}, {[drawn(rng, 1, 4) for _ in range(n)]})")(drawn(rng, 2, 6)),
                bugs=(
                    Bug(kind="operator", right="-pair[0]", wrong="pair[0]"),
                    Bug(kind="off-by-one", right="key=lambda pair: -pair[0]", wrong="key=lambda pair: pair[1]"),
                ),
            ),
        ),
    ),
)
