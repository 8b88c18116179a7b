"""The text of an issue, written from behaviour: what is called, what it gives, what it should give. Never from the edit.

write_statement([example, ...], rng) -> "`toolz.take` returns the wrong result\\n\\n```python\\nfrom toolz import take\\n..."
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...sandbox.tree import Tree
from .bench import Bench, Failure
from .cut import function_of
from .examples import Snippet, reproductions, shown_lines
from .mutate import Mutation, mutate
from .text import decode

MAX_VALUE = 400
LEAK = 10
"""Characters from which on a piece of the edited source may not stand in the text."""
_ADDRESS = re.compile(r"\bat 0x[0-9a-f]+|<example>|_?pytest|\btestbed\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One symptom. ``expected`` and ``actual``: ("value", repr), ("error", "Type: message") or ("", "") where only ``code`` fails."""

    code: str
    expression: str
    name: str
    expected: tuple[str, str]
    actual: tuple[str, str]


def find_example(
    bench: Bench, changes: Tree, sources: Mapping[str, str], failures: Mapping[str, Failure], tests: Iterable[str]
) -> Example | None:
    """The first of ``tests`` whose failure can be shown without it, run on the project and on the mutant.

    ``sources``: the texts of the test files."""
    for test in tests:
        if test not in failures:
            continue
        snippets = reproductions(sources[function_of(test)[0]], failures[test])
        if not snippets:
            continue
        pairs = [(snippet.setup, snippet.expression) for snippet in snippets]
        wrong = bench.evaluate(changes, pairs)
        right = bench.evaluate({}, pairs) if wrong else []
        for snippet, actual, expected in zip(snippets, wrong, right, strict=False):
            example = _example(snippet, _outcome(actual), _outcome(expected))
            listed = [bool(side.get("listed")) for side in (actual, expected) if "error" not in side]
            if example is not None and len(set(listed)) < 2:
                return _listed(example) if any(listed) else example
    return None


def find_assertion(sources: Mapping[str, str], failures: Mapping[str, Failure], tests: Iterable[str]) -> Example | None:
    """Where nothing can be shown by itself: the lines of a test up to the one that fails, and how."""
    for test in tests:
        failure = failures.get(test)
        if failure is None or not failure.line:
            continue
        lines = shown_lines(sources[function_of(test)[0]], failure)
        said = failure.message.splitlines()[0].strip() if failure.message.strip() else ""
        code = "\n".join(lines)
        known = [f"{name} = {value}" for name, value in failure.locals.items() if re.search(rf"\b{re.escape(name)}\b", code)]
        known = [
            line
            for line in known
            if "/tmp/" not in line and not re.search(rf"^\s*{re.escape(line.split(' = ')[0])}\s*=", code, re.MULTILINE)
        ]
        if lines and not _ADDRESS.search(code + said):
            actual = ("error", f"{failure.type}: {said}".removesuffix(": "))
            return Example(code="\n".join([*known, *lines]), expression="", name="", expected=("", ""), actual=actual)
    return None


def write_statement(examples: Sequence[Example], rng: np.random.Generator, more: int = 0) -> str:
    """The issue's text. ``more``: how many further checks fail. The form is drawn."""
    forms = (_report, _session, _letter, _steps)
    form = forms[int(rng.integers(len(forms)))]
    title = _title(examples[0]) if len(examples) == 1 else f"Several results are wrong: {_names(examples)}"
    parts = [title, *(form(example, rng) for example in examples)]
    if len(examples) > 1:
        parts.append("These look like separate faults.")
    elif more > 3:
        parts.append("Similar calls are affected as well, so this input is unlikely to be a special case.")
    return "\n\n".join(parts) + "\n"


def leak(statement: str, tree: Tree, mutations: Sequence[Mutation], withheld: Iterable[str]) -> str:
    """What the text gives away: a changed line of the source, before or after, a longer piece of the edit, a withheld test.

    Empty: nothing."""
    for test in withheld:
        name = function_of(test)[1].rsplit(".", 1)[-1]
        if re.search(rf"\b{re.escape(name)}\b", statement):
            return f"the name {name}"
    pieces: set[str] = set()
    after = mutate(tree, mutations)
    for mutation in mutations:
        pieces.update((mutation.old, mutation.new))
        for files, last in ((tree, mutation.end_line), (after, mutation.line + mutation.new.count("\n"))):
            pieces.update(line.strip() for line in decode(files[mutation.path].data).lines[mutation.line - 1 : last])
        pieces.add(f"{mutation.path}:{mutation.line}")
    flat = " ".join(statement.split())
    for piece in sorted(pieces):
        piece = " ".join(piece.split())
        if len(piece) >= LEAK and piece in flat:
            return f"the text {piece!r}"
    return ""


def _outcome(found: Mapping[str, str]) -> tuple[str, str]:
    return ("error", found["error"]) if "error" in found else ("value", found.get("value", ""))


def _example(snippet: Snippet, actual: tuple[str, str], expected: tuple[str, str]) -> Example | None:
    shown = actual[1] + expected[1]
    broken = any(
        kind == "error" and text.startswith(("NameError", "ImportError", "ModuleNotFoundError", "SyntaxError"))
        for kind, text in (expected,)
    )
    if actual == expected or broken or not actual[1] or not expected[1] or len(shown) > MAX_VALUE or _ADDRESS.search(shown):
        return None
    return Example(code=snippet.setup, expression=snippet.expression, name=snippet.name, expected=expected, actual=actual)


def _listed(example: Example) -> Example:
    return Example(
        code=example.code, expression=f"list({example.expression})", name=example.name, expected=example.expected, actual=example.actual
    )


def _says(outcome: tuple[str, str], value: str, error: str) -> str:
    kind, text = outcome
    return f"{error} `{text}`" if kind == "error" else f"{value} `{text}`"


def _title(example: Example) -> str:
    name = f"`{example.name}`" if example.name else f"`{example.expression}`" if 0 < len(example.expression) < 60 else ""
    if not name:
        return "A check that should hold fails"
    kind = example.actual[1].split(":", 1)[0].strip()
    if example.actual[0] == "error":
        return f"{name} raises {kind}" if example.expected[0] == "value" else f"{name} raises the wrong error"
    return f"{name} gives a wrong result" if example.expected[0] == "value" else f"{name} accepts what it should refuse"


def _names(examples: Sequence[Example]) -> str:
    return ", ".join(dict.fromkeys(f"`{e.name or e.expression or 'a check'}`" for e in examples))


def _code(example: Example) -> str:
    return "\n".join(text for text in (example.code, example.expression) if text)


def _report(example: Example, rng: np.random.Generator) -> str:
    if not example.expected[0]:
        return f"```python\n{_code(example)}\n```\n\nThis fails with `{example.actual[1]}`."
    return (
        f"```python\n{_code(example)}\n```\n\n**Expected:** {_says(example.expected, 'the value', 'it raises')}\n\n"
        f"**Actual:** {_says(example.actual, 'the value', 'it raises')}"
    )


def _session(example: Example, rng: np.random.Generator) -> str:
    if not example.expected[0]:
        return _report(example, rng)
    lines: list[str] = []
    for statement in example.code.split("\n") if example.code else []:
        lines.append(f"... {statement}" if statement.startswith((" ", ")", "]", "}", "else", "except")) else f">>> {statement}")
    told = f"Traceback (most recent call last):\n  ...\n{example.actual[1]}" if example.actual[0] == "error" else example.actual[1]
    session = "\n".join([*lines, f">>> {example.expression}", told])
    return f"```pycon\n{session}\n```\n\n{_says(example.expected, 'It should be', 'It should raise')}."


def _letter(example: Example, rng: np.random.Generator) -> str:
    if not example.expected[0]:
        return f"I expected this to hold, but I get `{example.actual[1]}`:\n\n```python\n{_code(example)}\n```"
    opening = ("While using this I noticed that the following is off:", "This used to work:", "I get a surprising result from this code:")
    return (
        f"{opening[int(rng.integers(len(opening)))]}\n\n```python\n{_code(example)}\n```\n\n"
        f"{_says(example.actual, 'It gives', 'It raises')}, where {_says(example.expected, 'I expected', 'I expected it to raise')}."
    )


def _steps(example: Example, rng: np.random.Generator) -> str:
    if not example.expected[0]:
        return f"Steps to reproduce:\n\n```python\n{_code(example)}\n```\n\nResult: `{example.actual[1]}`"
    return (
        f"Steps to reproduce:\n\n```python\n{_code(example)}\n```\n\n{_says(example.actual, 'Result:', 'Result: raises')}\n\n"
        f"{_says(example.expected, 'Should be:', 'Should raise')}"
    )
