"""One episode's repository: its sandbox, what was changed in it, what the hidden tests said of it, what each turn was worth.

open -> [a turn's calls -> TurnLog -> account(log) -> components and measures]* -> outcome(submitted)
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ...records import Outcome
from ...rewards.swe import (
    TEST,
    acecode,
    difficulty_weights,
    edit_parses,
    edited_functions,
    fixed_share,
    newly_located,
    tested_before_submit,
)
from ..sandbox.base import Sandbox, SandboxError, Snapshot
from ..sandbox.tree import Changes, File, digest
from .instance import PASSED, XFAIL, Grade
from .screen import suspicious_command
from .sources import Subject, graded_part
from .tools import TurnLog

COMPONENTS = ("tests", "fixed", "file", "function", "parses", "tested", "runtime")
"""What a turn may be worth, besides format and executed."""
MAX_PATCH = 1_000_000
"""Characters of a patch that an episode keeps."""


@dataclass(slots=True)
class Known:
    """What an episode remembers from turn to turn, beside its files; all of it goes into a snapshot."""

    passes: dict[str, bool]
    """Test -> whether it passed when the hidden tests were last run; before that, as in the base."""
    files: set[str] = field(default_factory=set[str])
    functions: set[str] = field(default_factory=set[str])
    steps: list[str] = field(default_factory=list[str])
    suspicious: list[str] = field(default_factory=list[str])
    digest: str = ""
    """Of the changes."""


class Episode:
    """``subject``: what is repaired; ``git``: the agent's copy has a history. Nothing is started before ``open``."""

    def __init__(self, subject: Subject, *, git: bool) -> None:
        self.subject, self.git = subject, git
        self.box: Sandbox | None = None
        self.changes: Changes | None = {}
        """``None``: more than a sandbox may hold."""
        passes = {**dict.fromkeys(subject.fail_to_pass, False), **dict.fromkeys(subject.pass_to_pass, True)}
        self.known = Known(passes=passes)
        self.grading_s = 0.0
        self._grades: dict[str, Grade] = {}
        self._starts = 1
        self._gold = frozenset(f"{path}::{name}" for path, names in subject.gold.items() for name in names)

    def open(self) -> Sandbox:
        """The agent's sandbox, started when it is first needed."""
        if self.box is None:
            self.box = self.subject.open(self.git)
        return self.box

    def resume(self, files: Snapshot, folder: str) -> None:
        """The sandbox with the files of a snapshot, and its shell in ``folder``."""
        box = self.open()
        box.restore(files)
        box.shell(f"cd -- {shlex.quote(folder)}" if folder else "true")
        self._starts = box.starts

    def close(self) -> None:
        if self.box is not None:
            self.box.close()
            self.box = None

    # ---- what a turn was worth -------------------------------------------------------------------------------------

    def account(self, log: TurnLog, *, score_tests: str, runtime: bool) -> tuple[dict[str, float], dict[str, float]]:
        """(components, measures) of a turn whose calls have been carried out. ``runtime``: whether that component is wanted."""
        log.files |= {path for path in self.subject.gold if any(path in command for command in log.commands)}
        changed = self._refresh(log)
        submits = "submit" in log.steps
        known, before = self.known, dict(self.known.passes)
        values: dict[str, float] = dict.fromkeys(COMPONENTS, 0.0)
        measures: dict[str, float] = {}
        if submits or (score_tests != "never" and "test" in log.steps) or (score_tests == "edit" and changed):
            self._measure()
            measures = {f"{TEST}{name}": float(known.passes[name]) for name in self.subject.fail_to_pass}
            failing = self.subject.fail_to_pass
            weights = difficulty_weights([0.0] * len(failing), "uniform")
            values["tests"] = sum(w * (known.passes[name] - before[name]) for w, name in zip(weights, failing, strict=True))
            values["fixed"] = fixed_share(before, known.passes, of=len(failing))
        values["file"] = newly_located(log.files, known.files, self.subject.gold)
        values["function"] = newly_located(log.functions, known.functions, self._gold)
        values["parses"] = edit_parses(log.edited) if log.edited else 0.0
        known.files |= log.files
        known.functions |= log.functions
        known.steps += log.steps
        if submits:
            values["tested"] = tested_before_submit(known.steps)
            values["runtime"] = self._runtime() if runtime else 0.0
        names = [name for command in log.commands if (name := suspicious_command(command))]
        known.suspicious += names
        if names:
            measures |= {"suspicious": float(len(names)), **{f"suspicious:{name}": 1.0 for name in names}}
        return values, measures

    def _refresh(self, log: TurnLog) -> bool:
        """Find out what has changed since the last turn; what commands changed goes into the log. Whether anything did."""
        if self.box is None:
            return False
        if log.lost_files:
            self._starts += 1  # it starts anew with its next call
        old = self.changes
        if log.commands or log.edited:
            try:
                self.changes = graded_part(self.box.changes())
            except ValueError:  # more than the limits allow
                self.changes = None
        if self.box.starts > self._starts:
            raise SandboxError("the sandbox was lost in the middle of the episode, with all that was changed in it")
        now = "too large" if self.changes is None else digest(self.changes) if self.changes else ""
        changed, self.known.digest = now != self.known.digest, now
        if not changed or not log.commands or old is None or self.changes is None:
            return changed
        found = [path for path in {**old, **self.changes} if old.get(path, _SAME) != self.changes.get(path, _SAME)]
        unseen = [path for path in found if path not in log.edited]
        if unseen and "edit" not in log.steps:
            log.steps.insert(0, "edit")
        for path in unseen:
            log.files.add(path)
            before, after = _text(old.get(path)), _text(self.changes.get(path))
            if after is not None:
                log.edited[path] = after
            if path in self.subject.gold and after is not None:
                log.functions |= {
                    f"{path}::{name}" for name in edited_functions(self.subject.text(path) if before is None else before, after)
                }
        return changed

    # ---- what the hidden tests say ---------------------------------------------------------------------------------

    def _grade(self) -> Grade:
        """The grade of the changes as they are; the same changes are graded once."""
        assert self.changes is not None
        key = self.known.digest
        if key not in self._grades:
            started = time.monotonic()
            self._grades[key] = self.subject.grade(self.changes)
            self.grading_s += time.monotonic() - started
        return self._grades[key]

    def _measure(self) -> None:
        passes = self.known.passes
        if self.changes is None:
            self.known.passes = dict.fromkeys(passes, False)
        elif not self.changes:
            self.known.passes = {name: name not in set(self.subject.fail_to_pass) for name in passes}
        else:
            statuses = self._grade().statuses
            self.known.passes = {name: statuses.get(name) in (PASSED, XFAIL) for name in passes}

    def _runtime(self) -> float:
        if not self.changes:
            return 0.0
        grade, gold = self._grade(), self.subject.gold_grade()
        passed = sum(self.known.passes.values())
        texts = {path: _text(file) for path, file in self.changes.items()}
        reference = sum(gold.seconds.values()) if gold is not None else 0.0
        compiles = edit_parses(texts) > 0
        return acecode(passed, len(self.known.passes), sum(grade.seconds.values()), reference, compiles=compiles)

    def outcome(self, submitted: bool) -> Outcome:
        """The verdict on the files as they are."""
        self._measure()
        grade = self._grade() if self.changes else None
        if grade is not None and self.changes:
            score, note, patch = grade.score, grade.note, bool(set(self.changes) - set(grade.dropped))
        else:
            too_large = self.changes is None
            score, patch = 0.0, too_large
            note = "the repository holds more than may be graded" if too_large else "nothing was changed"
        passes = self.known.passes
        tampering = grade is not None and bool(grade.tampering)
        components = {
            "submitted": float(submitted),
            "patch": float(patch),
            "resolved": float(score >= 1.0),
            "fail_to_pass": _share(passes, self.subject.fail_to_pass),
            "pass_to_pass": _share(passes, self.subject.pass_to_pass),
            "tampering": float(tampering or bool(self.known.suspicious)),
        }
        if self.known.suspicious:
            note += f"; suspicious commands: {', '.join(sorted(set(self.known.suspicious)))}"
        return Outcome(score=score, components=components, note=note)

    def patch(self) -> str:
        """What was changed, as a patch; "" for one longer than ``MAX_PATCH``."""
        text = self.subject.patch(self.box, self.changes) if self.changes else ""
        return text if len(text) <= MAX_PATCH else ""


_SAME = File(b"", link="")


def _share(passes: Mapping[str, bool], names: Collection[str]) -> float:
    return sum(passes.get(name, False) for name in names) / len(names) if names else 1.0


def _text(file: File | None) -> str | None:
    return None if file is None or file.link is not None else file.data.decode("utf-8", "replace")
