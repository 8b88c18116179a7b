"""The easy level: two files of one-line functions; the issue names the file and the function, the comment says what is meant.

A policy of a million parameters copies a value only where its tokens are the same: names follow a space wherever they stand, file names
a quotation mark, line numbers begin a line. A function is one line, so that its number, its name and what is meant stand together.
"""

from __future__ import annotations

from ...base import Rng
from .compose import Bug, Case, Draft, Module, Piece, pick

NAMES = (
    *("total", "share", "gain", "loss", "rate", "size", "mark", "pace", "load", "span", "depth", "width", "level", "score", "bonus"),
    *("price", "weight", "speed", "count", "delta", "ratio", "limit", "offset", "amount", "margin", "volume", "factor", "signal"),
)
"""Functions of all splits; what is new in a held-out split is which of them stand together."""
FILES = ("kite", "lamp", "drum", "moss", "fern", "coil", "wave", "sand")
FAMILIES: dict[str, dict[str, str]] = {
    "arithmetic": {"plus": "+", "minus": "-", "times": "*", "modulo": "%"},
    "comparison": {"below": "<", "above": ">", "equals": "==", "differs": "!="},
}
HEADS = ("", "# 1\n", "# 1\n# 2\n", "# 1\n# 2\n# 3\n")
"""What moves the functions down the file."""
PARTS = 4
"""Of the sums of name numbers modulo this, 0 is validation, 1 is test, the others are train."""


def draft(rng: Rng, part: str, *, functions: int, families: tuple[str, ...]) -> Draft:
    """A package of two files with ``functions`` functions each."""
    count = 2 * functions
    chosen = [int(n) for n in rng.permutation(len(NAMES))]
    names, spare = chosen[:count], chosen[count:]
    allowed = {"validation": (0,), "test": (1,)}.get(part, (2, 3))
    if sum(names) % PARTS not in allowed:
        names[-1] = next(n for n in spare if (sum(names[:-1]) + n) % PARTS in allowed)
    words = [(pick(rng, families), NAMES[n]) for n in names]
    meant = [(name, family, pick(rng, tuple(FAMILIES[family]))) for family, name in words]
    files = [FILES[int(n)] for n in rng.permutation(len(FILES))[:2]]
    modules = tuple(
        Module(
            path=f"{file}.py",
            pieces=tuple(_piece(*m) for m in meant[k * functions : (k + 1) * functions]),
            head=pick(rng, HEADS),
            gap="",
        )
        for k, file in enumerate(files)
    )
    place = int(rng.integers(count))
    name, family, meaning = meant[place]
    wrong = pick(rng, [word for word in FAMILIES[family] if word != meaning])
    bug = Bug(kind="operator" if family == "arithmetic" else "comparison", right=_line(name, meaning), wrong=_line(name, wrong, meaning))
    file = files[place // functions]

    def statement(case: Case) -> str:
        return f'In "{file}.py" function {name} is wrong: {case.call.replace(name, "", 1)} gives {case.wrong}, not {case.value}.'

    imports = "\n".join(f"from {f} import {', '.join(p.name for p in m.pieces)}" for f, m in zip(files, modules, strict=True))
    return Draft(modules=modules, name=name, bug=bug, imports=imports, tests="tests/test_all.py", statement=statement, extra={}, others=1)


def _line(name: str, meaning: str, meant: str = "") -> str:
    """A function that does what ``meaning`` says, while the comment says what is ``meant``."""
    symbol = next(family[meaning] for family in FAMILIES.values() if meaning in family)
    return f"def {name}(a, b): return a {symbol} b  # a {meant or meaning} b\n"


def _piece(name: str, family: str, meaning: str) -> Piece:
    return Piece(name=name, source=_line(name, meaning), call=lambda rng: _call(name, family, rng))


def _call(name: str, family: str, rng: Rng) -> str:
    a, b = int(rng.integers(2, 10)), int(rng.integers(2, 10))
    if family == "comparison" and rng.random() < 0.5:
        b = a
    return f"{name}({a}, {b})"
