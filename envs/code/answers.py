"""Answers: what counts as equal, and where the answer of a GSM8K or MATH row stands. Every function takes any text."""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = re.compile(r"[+-]?(?:\d{1,5000}(?:\.\d{0,5000})?|\.\d{1,5000})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_TEX_FRACTION = re.compile(r"([+-]?)\\[dt]?frac\{([+-]?\d{1,5000})\}\{([+-]?\d{1,5000})\}")
_WRAP = re.compile(r"\\(?:text|mathrm|mbox|textbf|mathbf)\{([^{}]*)\}")
MAX_CHARS = 10_000
"""Longer answers are compared as they are."""


def number(text: str) -> Fraction | None:
    """The exact number that ``text`` is: whole, decimal, with an exponent, a fraction (3/4, \\frac{3}{4}), a percentage; else None.

    Dollar signs and commas between thousands are left out.
    """
    text = text.strip().strip("$").strip()
    if not text or len(text) > MAX_CHARS:
        return None
    text = text.removeprefix("\\$").replace("\\!", "").replace("\u2212", "-")
    text = _THOUSANDS.sub("", text)
    tex = _TEX_FRACTION.fullmatch(text)
    if tex:
        text = f"{tex[1]}{tex[2]}/{tex[3]}" if not (tex[1] and tex[2][0] in "+-") else ""
    percent = text.endswith("%")
    parts = text.removesuffix("%").removesuffix("\\").split("/")
    if len(parts) > 2 or not all(_NUMBER.fullmatch(part.strip()) for part in parts):
        return None
    try:
        top, bottom = (Fraction(part.strip()) for part in (parts if len(parts) == 2 else [parts[0], "1"]))
        return top / bottom / (100 if percent else 1)
    except (ValueError, ZeroDivisionError):  # Python refuses whole numbers of more than 4,300 digits
        return None


def normal(text: str) -> str:
    """``text`` with outer white space, dollar signs, a final full stop, TeX's text commands and spaces around commas left out."""
    if len(text) > MAX_CHARS:
        return text
    text = _WRAP.sub(r"\1", text.strip()).replace("\\left", "").replace("\\right", "").replace("\\!", "").replace("\\ ", " ")
    text = text.strip().strip("$").strip()
    text = text.removesuffix(".").strip()
    return re.sub(r"\s*,\s*", ",", " ".join(text.split()))


def equal(answer: str, gold: str) -> bool:
    """Exactly equal: as numbers where both are, else as normalised texts, else item by item where both are lists of as many items."""
    if len(answer) > MAX_CHARS:
        return answer.strip() == gold.strip()
    a, b = normal(answer), normal(gold)
    if not a or not b:
        return False
    left, right = number(a), number(b)
    if left is not None and right is not None:
        return left == right
    if a == b:
        return True
    items, wanted = (re.sub(r"^[(\[](.*)[)\]]$", r"\1", text).split(",") for text in (a, b))
    brackets = (a[0] in "([") == (b[0] in "([") or b[0] not in "(["
    return len(items) == len(wanted) > 1 and brackets and all(_same_item(x, y) for x, y in zip(items, wanted, strict=True))


def _same_item(a: str, b: str) -> bool:
    left, right = number(a), number(b)
    return a.strip() == b.strip() if left is None or right is None else left == right


def boxed(text: str) -> str | None:
    """What stands in the last ``\\boxed{...}`` (or ``\\fbox``), its braces balanced; None without one."""
    start = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if start < 0:
        plain = re.search(r"\\boxed ([^\s$]+)(?!.*\\boxed )", text, re.DOTALL)
        return plain[1] if plain else None
    start = text.index("{", start) + 1
    depth = 1
    for place in range(start, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return text[start:place].strip()
    return None


def hashed(text: str) -> str | None:
    """What stands after the last ``####`` on its line, as GSM8K writes answers; None without one."""
    _, mark, rest = text.rpartition("####")
    line = rest.strip().split("\n", 1)[0].strip()
    return line if mark and line else None
