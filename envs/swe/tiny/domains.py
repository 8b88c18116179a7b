"""The normal level: packages of several domains, drawn function by function, with one of their known bugs."""

from __future__ import annotations

from ...base import Rng
from .amounts import CALENDAR, SAMPLES
from .compose import Case, Draft, Module, Part, Piece, pick
from .items import QUEUES, TEXTS
from .money import BUDGET, PRICES
from .places import GRIDS, INTERVALS

DOMAINS = (PRICES, BUDGET, CALENDAR, SAMPLES, TEXTS, QUEUES, GRIDS, INTERVALS)
KINDS = ("operator", "comparison", "off-by-one", "constant", "arguments", "guard", "variable")
"""Kinds of bug."""
ADJECTIVES = (
    *("amber", "brisk", "calm", "dusty", "early", "faint", "grand", "humble", "ivory", "jolly", "keen", "lucid"),
    *("mild", "noble", "olive", "plain", "quiet", "rapid", "silver", "tidy", "upper", "vivid", "warm", "young"),
)
NOUNS = (
    *("anchor", "basket", "canyon", "desk", "engine", "forest", "garden", "harbor"),
    *("island", "jacket", "kettle", "ladder", "meadow", "needle", "orchard", "pocket"),
)
OPENINGS = ("`{name}` gives a wrong result.", "Wrong result of `{name}`", "Bug in `{name}`", "`{name}` does not do what it should.")


def draft(rng: Rng, split: str) -> Draft:
    """A package of one domain: three or four pieces of each module and whatever they need, one of them with a bug."""
    domain = pick(rng, DOMAINS)
    package = _package(rng, split)
    second = _some(domain.second, rng, set())
    first = _some(domain.first, rng, {name for piece in second for name in piece.needs})
    pieces = sorted([*first, *second], key=lambda p: p.name)
    holder = pick(rng, [p for p in pieces if p.bugs])
    opening = pick(rng, OPENINGS)
    names = ", ".join(p.name for p in pieces)
    face = [f'"""{domain.about}"""', "", *(_import(part, own) for part, own in ((domain.first, first), (domain.second, second)))]
    quoted = ", ".join(f'"{p.name}"' for p in pieces)
    face += ["", f"__all__ = [{quoted}]", ""]

    def statement(case: Case) -> str:
        happened = case.wrong or ""
        seen = happened if happened.startswith("raises ") else f"returns `{happened}`"
        title = opening.format(name=case.call.partition("(")[0])
        return f"{title}\n\nWith the package `{package}`, `{case.call}` {seen}; it should return `{case.value}`."

    return Draft(
        modules=(_module(package, domain.first, first, ()), _module(package, domain.second, second, first, domain.first.file)),
        name=holder.name,
        bug=pick(rng, holder.bugs),
        imports=f"from {package} import {names}",
        tests=f"tests/test_{package}.py",
        statement=statement,
        extra={f"{package}/__init__.py": "\n".join(face)},
    )


def _package(rng: Rng, split: str) -> str:
    """A name of two words. Each split has pairs of its own, of words that all splits share."""
    share = {"validation": (0,), "test": (1,)}.get(split, (2, 3))
    left, right = int(rng.integers(len(ADJECTIVES))), int(rng.integers(len(NOUNS)))
    while (left + right) % 4 not in share:
        right = (right + 1) % len(NOUNS)
    return f"{ADJECTIVES[left]}_{NOUNS[right]}"


def _some(part: Part, rng: Rng, needed: set[str]) -> list[Piece]:
    """Three or four pieces in their order, with those that are needed and what these need."""
    wanted = needed | {part.pieces[int(n)].name for n in rng.permutation(len(part.pieces))[: int(rng.integers(3, 5))]}
    for piece in reversed(part.pieces):
        if piece.name in wanted:
            wanted |= set(piece.needs)
    return [p for p in part.pieces if p.name in wanted]


def _import(part: Part, own: list[Piece]) -> str:
    return f"from .{part.file} import {', '.join(sorted(p.name for p in own))}"


def _module(package: str, part: Part, own: list[Piece], others: list[Piece] | tuple[()], file: str = "") -> Module:
    used = {name for piece in own for name in piece.needs}
    outside = sorted(p.name for p in others if p.name in used)
    line = f"\nfrom .{file} import {', '.join(outside)}\n" if outside else ""
    return Module(path=f"{package}/{part.file}.py", pieces=tuple(own), head=f'"""{part.about}"""\n{line}\n\n')
