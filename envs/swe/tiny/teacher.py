"""A teacher that repairs tiny repositories with the structured tools, and errs at rates that are its arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from ....records import Observation, Task
from ...base import Rng
from ...sandbox.tree import File
from ...tools.dialects import DIALECTS
from ..instance import Location
from ..stored import from_data
from .easy import FAMILIES

Call = tuple[str, Mapping[str, Any]]


class Noisy:
    """Finds the function of the fix, edits the line, runs the tests, edits again where they fail, submits.

    ``look`` "find": searches for the definition; "view": reads the whole file. It errs at these rates: ``wrong_place``, looks for another
    function, or at another file, first; ``wrong_edit``, mends a comment and not the code; ``wrong_line``, edits a line next to the right
    one; ``no_edit``, submits after looking; ``skip_tests``, submits without running them; ``give_up``, submits although they failed.
    """

    def __init__(
        self,
        dialect: str = "hermes",
        *,
        look: Literal["find", "view"] = "find",
        wrong_place: float = 0.2,
        wrong_edit: float = 0.4,
        wrong_line: float = 0.05,
        no_edit: float = 0.2,
        skip_tests: float = 0.4,
        give_up: float = 0.5,
    ) -> None:
        self._dialect = DIALECTS[dialect]()
        self.look, self.wrong_place, self.wrong_edit, self.wrong_line = look, wrong_place, wrong_edit, wrong_line
        self.no_edit, self.skip_tests, self.give_up = no_edit, skip_tests, give_up

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng = rng
        instance = from_data(task.data)
        self.at: Location = instance.locations[0]
        gold = instance.gold[self.at.path]
        assert gold is not None
        old = instance.base[self.at.path].data.decode().splitlines()
        new = gold.data.decode().splitlines()
        self.count = len(old)
        self.bug = old[self.at.first - 1 : self.at.last]
        self.fix = new[self.at.first - 1 : self.at.last + len(new) - len(old)]
        self.plan: list[Call] = [self._look(self.at.function, self.at.path)]
        files = [p for p in sorted(instance.base) if not p.startswith("tests/")]
        others = [(name, p) for p in files for name in _functions(instance.base[p]) if (name, p) != (self.at.function, self.at.path)]
        if others and rng.random() < self.wrong_place:
            self.plan.insert(0, self._look(*others[int(rng.integers(len(others)))]))
        if rng.random() < self.no_edit:
            self.plan.append(("submit", {}))
            return
        self.plan.append(self._edit())
        self.plan.append(("submit", {}) if rng.random() < self.skip_tests else ("run_tests", {}))

    def act(self, observation: Observation) -> str:
        if not self.plan:
            failed = "FAILED" in observation[-1].text
            again = failed and self.rng.random() >= self.give_up
            self.plan = [self._edit(), ("run_tests", {})] if again else [("submit", {})]
        return self._dialect.write([self.plan.pop(0)])

    def _look(self, function: str, path: str) -> Call:
        """``function``: dotted name."""
        if self.look == "view" or not function:
            return "view", {"path": path}
        return "find", {"pattern": f"def {function.rpartition('.')[2]}"}

    def _edit(self) -> Call:
        first, last, lines = self.at.first, self.at.last, self.fix
        if self.rng.random() < self.wrong_edit:
            lines = self._wrong()
        if self.rng.random() < self.wrong_line:
            shift = 1 if first == 1 or (last < self.count and self.rng.random() < 0.5) else -1
            first, last = first + shift, last + shift
        return "edit", {"path": self.at.path, "start": first, "end": last, "text": "\n".join(lines)}

    def _wrong(self) -> list[str]:
        """At the easy level the comment is made to say what the code does; elsewhere the buggy lines come back with a remark."""
        words = {symbol: word for family in FAMILIES.values() for word, symbol in family.items()}
        found = [re.fullmatch(r"(def \w+\(a, b\): return a (\S+) b  # a )\w+( b)", line) for line in self.bug]
        if all(found):
            return [f"{match[1]}{words[match[2]]}{match[3]}" for match in found if match]
        return [f"{self.bug[0]}  # as it should be", *self.bug[1:]] if self.bug else []


def _functions(file: File) -> list[str]:
    return re.findall(r"^def (\w+)", file.data.decode(), re.MULTILINE)
