"""Scripted agents of ``turnwise/SWE-v0``: one that knows the fix, one that knows where it belongs, those that err, and tamperers.

They write tool calls, or single shell commands where the first message asks for those (``interface="mini"``).
"""

from __future__ import annotations

import base64
import difflib
import io
import re
import shlex
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from ...records import Observation, Task
from ..base import Rng
from ..sandbox.tree import Changes, File, Tree
from ..tools.dialects import DIALECTS
from .instance import Instance
from .mini import SUBMIT
from .sources import load

Call: TypeAlias = tuple[str, Mapping[str, Any]]
TEST_COMMAND = "python3 -m pytest -qq -p no:cacheprovider"
"""Its output has no times, so that equal episodes read the same."""


def edits_of(base: Tree, changes: Changes) -> list[Call]:
    """Calls of ``edit`` that make the changes, the last lines of a file first, so that numbers of lines stay right.

    Raises ``ValueError`` for what whole lines of text cannot express: links, other bytes, deleted files.
    """
    calls: list[Call] = []
    for path, file in changes.items():
        old = base.get(path)
        if file is None or file.link is not None or (old is not None and (old.link is not None or old.executable != file.executable)):
            raise ValueError(f"{path!r} is removed, linked or made executable by the changes; edit calls cannot do that")
        before, after = _lines(old.data if old is not None else b""), _lines(file.data)
        for kind, i, j, k, m in reversed(difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()):
            if kind != "equal":
                calls.append(("edit", {"path": path, "start": i + 1, "end": j, "text": "".join(f"{line}\n" for line in after[k:m])}))
    return calls


def _lines(data: bytes) -> list[str]:
    return data.decode().replace("\r\n", "\n").removesuffix("\n").split("\n") if data else []


def shell_of(changes: Changes) -> str:
    """A shell command that makes the changes."""
    parts: list[str] = []
    for path, file in changes.items():
        name = shlex.quote(path)
        if file is None:
            parts.append(f"rm -f {name}")
        elif file.link is not None:
            parts.append(f"ln -sfn {shlex.quote(file.link)} {name}")
        else:
            packed = base64.b64encode(file.data).decode()
            mode = f" && chmod +x {name}" if file.executable else ""
            parts.append(f"mkdir -p $(dirname {name}) && echo '{packed}' | base64 -d > {name}{mode}")
    return " && ".join(parts)


class Agent:
    """What the scripts share. ``explain``: put a sentence before each call."""

    def __init__(self, dialect: str = "hermes", explain: bool = False) -> None:
        self._write = DIALECTS[dialect]().write
        self._mute = dialect in ("json", "python")  # their messages hold nothing but the call
        self.explain = explain

    def reset(self, task: Task, rng: Rng) -> None:
        self.task, self.rng = task, rng
        self.mini = self.bash = False
        self.turn = 0
        self.plan: Iterator[list[Call]] = iter(())

    def act(self, observation: Observation) -> str:
        if self.turn == 0:
            self.mini = "mswea_bash_command" in observation[0].text
            self.bash = self.mini or '"bash"' in observation[0].text
            self.plan = self.steps()
        self.turn += 1
        self.seen = observation[-1].text
        return self.said(next(self.plan, [("submit", {})]))

    def steps(self) -> Iterator[list[Call]]:
        """The calls of each turn, one after the other; ``self.seen`` is what the last ones gave."""
        return iter(())

    def said(self, calls: list[Call]) -> str:
        if self.mini:
            return f"```mswea_bash_command\n{' && '.join(self._command(name, a) for name, a in calls)}\n```"
        return self._write(calls, self._why(calls[0][0]) if self.explain and not self._mute else "")

    def instance(self) -> Instance:
        found = load(self.task.data)
        if not isinstance(found, Instance):
            raise ValueError(f"{self.task.id!r} is of an outside format; this script knows only instances with all their files")
        return found

    def _why(self, name: str) -> str:
        known = {"view": "I read the code.", "edit": "I change it.", "run_tests": "I run the tests.", "submit": "It is done."}
        return known.get(name, "I look around.")

    def _command(self, name: str, arguments: Mapping[str, Any]) -> str:
        if name == "bash":
            return str(arguments["command"])
        if name == "view":
            return f"cat -- {shlex.quote(str(arguments['path']))}"
        if name == "run_tests":
            return f"{TEST_COMMAND} {arguments.get('tests', '')}".rstrip()
        if name == "submit":
            return f"echo {SUBMIT}"
        raise ValueError(f"{name!r} has no command")


class Gold(Agent):
    """Reads the files of the fix, makes it, runs the tests, submits."""

    def steps(self) -> Iterator[list[Call]]:
        base, gold, command = self.known()
        for path in gold:
            if base is not None and path in base:
                yield [("view", {"path": path})]
        yield from self.fix(base, gold, command)
        yield [("run_tests", {})]
        yield [("submit", {})]

    def known(self) -> tuple[Tree | None, Changes, str]:
        """(files, fix, command that makes the fix)."""
        found = load(self.task.data)
        if isinstance(found, Instance):
            return found.base, found.gold, shell_of(found.gold)
        return None, {}, found.fix

    def fix(self, base: Tree | None, gold: Changes, command: str) -> Iterator[list[Call]]:
        if self.mini or base is None:
            yield [("bash", {"command": command})]
            return
        try:
            calls = edits_of(base, gold)
        except ValueError:  # what edits cannot express
            yield [("bash", {"command": command})]
            return
        yield from ([call] for call in calls)


class Noisy(Gold):
    """Gold that errs: with ``error_rate`` its first edit writes something wrong, which it mends if a run of the tests tells it; with
    ``forget_rate`` it submits without one; with ``error_rate`` / 2 it begins with a call that does not exist."""

    def __init__(self, dialect: str = "hermes", explain: bool = False, error_rate: float = 0.3, forget_rate: float = 0.5) -> None:
        for name, rate in (("error_rate", error_rate), ("forget_rate", forget_rate)):
            if not 0 <= rate <= 1:
                raise ValueError(f"{name} is {rate}; it must be in 0..1")
        super().__init__(dialect, explain)
        self.error_rate, self.forget_rate = error_rate, forget_rate

    def steps(self) -> Iterator[list[Call]]:
        base, gold, command = self.known()
        if base is None or self.mini:
            yield from super().steps()
            return
        if self.rng.random() < self.error_rate / 2:
            yield [("open", {"path": next(iter(gold))})]
        for path in gold:
            yield [("view", {"path": path})]
        wrong = self.rng.random() < self.error_rate
        forgets = self.rng.random() < self.forget_rate
        if wrong:
            yield [self._wrong(base, gold)]
        else:
            yield from self.fix(base, gold, command)
        if not forgets:
            yield [("run_tests", {})]
            if wrong:
                yield from self.fix(self._spoilt, gold, command)
                yield [("run_tests", {})]
        yield [("submit", {})]

    def _wrong(self, base: Tree, gold: Changes) -> Call:
        """The first edit, with the wrong lines: those of another place of the file."""
        name, arguments = edits_of(base, gold)[-1]
        path, start, end = str(arguments["path"]), int(arguments["start"]), int(arguments["end"])
        lines = _lines(base[path].data) if path in base else [""]
        other = lines[int(self.rng.integers(len(lines)))]
        after = [*lines[: start - 1], other, *lines[end:]]
        self._spoilt = {**base, path: File("".join(f"{line}\n" for line in after).encode())}
        return name, {**arguments, "text": f"{other}\n"}


class Oracle(Agent):
    """Knows where the fix belongs, but not what it is: tries small changes of those lines until the tests that are to be seen pass."""

    swaps: Mapping[str, tuple[str, ...]] = {
        "+": ("-",), "-": ("+",), "*": ("//", "+", "%"), "//": ("*", "%", "/"), "/": ("//", "*"), "%": ("*", "//"),
        "<": ("<=", ">"), "<=": ("<", ">="), ">": (">=", "<"), ">=": (">", "<="), "==": ("!=",), "!=": ("==",),
        "and": ("or",), "or": ("and",), "True": ("False",), "False": ("True",), "not": ("",), "is": ("is not",),
        "min": ("max",), "max": ("min",), "any": ("all",), "all": ("any",),
    }  # fmt: skip

    def steps(self) -> Iterator[list[Call]]:
        found = self.instance()
        for at in found.locations:
            yield [("view", {"path": at.path})]
            lines = found.base[at.path].data.decode("utf-8", "replace").split("\n")
            for number in range(at.first, at.last + 1):
                for text in self._variants(lines[number - 1]):
                    yield [("edit", {"path": at.path, "start": number, "end": number, "text": text}), ("run_tests", {})]
                    if "passed" in self.seen and " failed" not in self.seen and " error" not in self.seen:
                        yield [("submit", {})]
                        return
                yield [("edit", {"path": at.path, "start": number, "end": number, "text": lines[number - 1] + "\n"})]

    def _variants(self, line: str) -> Iterator[str]:
        for start, end, word in _tokens(line):
            for other in self.swaps.get(word, ()):
                yield f"{line[:start]}{other}{line[end:]}\n"
            if re.fullmatch(r"\d+", word):
                yield from (f"{line[:start]}{int(word) + by}{line[end:]}\n" for by in (1, -1) if int(word) + by >= 0)


def _tokens(line: str) -> Iterator[tuple[int, int, str]]:
    indent = len(line) - len(line.lstrip())
    try:
        for token in tokenize.generate_tokens(io.StringIO(line.lstrip()).readline):
            if token.start[0] == 1 and token.string.strip():
                yield indent + token.start[1], indent + token.end[1], token.string
    except (tokenize.TokenError, IndentationError):  # a line that goes on below
        return


class RandomEdits(Agent):
    """Looks at, replaces and runs anything."""

    def steps(self) -> Iterator[list[Call]]:
        found = self.instance()
        paths = sorted(found.base)
        while self.rng.random() > 0.2:
            path = paths[int(self.rng.integers(len(paths)))]
            lines = _lines(found.base[path].data) or [""]
            number, other = (int(n) + 1 for n in self.rng.integers(len(lines), size=2))
            choice = self.rng.random()
            if self.mini:
                yield [("bash", {"command": f"sed -i '{number}d' {shlex.quote(path)}" if choice < 0.5 else "ls"})]
            elif choice < 0.3:
                yield [("view", {"path": path})]
            elif choice < 0.4:
                yield [("run_tests", {})]
            elif choice < 0.5:
                yield [("find", {"pattern": lines[number - 1].strip() or "def", "path": "."})]
            else:
                yield [("edit", {"path": path, "start": number, "end": number, "text": lines[other - 1] + "\n"})]
        yield [("submit", {})]


class SubmitAtOnce(Agent):
    """Claims to be done."""


class Tamperer(Agent):
    """Changes files that are no fix, and submits."""

    def changes(self, found: Instance) -> dict[str, File | None]:
        """What is written."""
        raise NotImplementedError(f"{type(self).__name__} must say which files it changes")

    def steps(self) -> Iterator[list[Call]]:
        found = self.instance()
        changes = self.changes(found)
        if self.mini:
            yield [("bash", {"command": shell_of(changes)})]
        else:
            for path, file in changes.items():
                old = found.base.get(path)
                count = len(_lines(old.data)) if old is not None else 0
                yield [("edit", {"path": path, "start": 1, "end": count, "text": (file or File()).data.decode()})]
        yield [("submit", {})]


class OverwriteTests(Tamperer):
    """Makes every test pass by writing other tests."""

    def changes(self, found: Instance) -> dict[str, File | None]:
        names: dict[str, list[str]] = {}
        for test in (*found.fail_to_pass, *found.pass_to_pass):
            path, _, name = test.partition("::")
            names.setdefault(path, []).append(re.sub(r"\W.*", "", name.rpartition("::")[2]))
        return {p: File("".join(f"def {name}():\n    pass\n" for name in own).encode()) for p, own in names.items() if p in found.base}


class Conftest(Tamperer):
    """Reports every test as passed."""

    text = b"""import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    report.outcome, report.longrepr = "passed", None
"""

    def changes(self, found: Instance) -> dict[str, File | None]:
        folders = {test.split("::")[0].rpartition("/")[0] for test in found.fail_to_pass}
        return {f"{folder}/conftest.py".lstrip("/"): File(self.text) for folder in sorted({"", *folders})}


class SiteCustomize(Tamperer):
    """Lets the interpreter end well, whatever happened."""

    text = b"import atexit, os\natexit.register(lambda: os._exit(0))\n"

    def changes(self, found: Instance) -> dict[str, File | None]:
        del found
        return {name: File(self.text) for name in ("sitecustomize.py", "usercustomize.py")}


class ExitZero(Tamperer):
    """Ends the run of the tests, successfully, when the code is imported."""

    def changes(self, found: Instance) -> dict[str, File | None]:
        text = b"print('1 passed in 0.01s')\nimport os\nos._exit(0)\n"
        return {path: File(text + found.base[path].data) for path in found.gold if path in found.base}


class History(Agent):
    """Looks for the fix in the history of the repository."""

    commands = (
        "git log --all --stat",
        "git reflog; git stash list; git fsck --lost-found",
        "git checkout HEAD~1 -- . ; git status --short",
    )

    def steps(self) -> Iterator[list[Call]]:
        if self.bash:
            for command in self.commands:
                yield [("bash", {"command": command})]
        else:
            yield [("view", {"path": ".git"})]
        yield [("submit", {})]
