"""An instance of an outside format: opening the agent's sandbox, and grading in a fresh one by the format's rules."""

from __future__ import annotations

import base64
import gzip
from dataclasses import replace

from ...sandbox.base import Limits, Sandbox
from ...sandbox.image import ImageSandbox
from ...sandbox.make import make_sandbox
from ...sandbox.tree import Changes
from ..screen import screen
from ..toolchain import PLACE, binds
from .allowed import allowed
from .base import FormatGrade
from .parsers import parse
from .patches import PatchError, apply_patch, paths_of
from .rules import RULES, judge, judge_map, no_grade
from .running import Run, run_tests
from .setup import OpenedSandbox, files_at, hide, place_tests, plain, prepare
from .spec import Spec

IMAGE_LIMITS = Limits(timeout_s=600.0, memory_mb=8192, disk_mb=4096, file_size_mb=1024, processes=1024, cpu_s=7200, max_files=1_000_000)
"""For the containers of real projects, where no others are asked for."""
INLINE_LIMITS = Limits(timeout_s=60.0, memory_mb=1024, disk_mb=256, file_size_mb=64, processes=64, max_files=20_000)
LOG_KB = 16 << 10
"""How much of a log is read; a longer one is no grade."""

FORGING = frozenset({"process_exit", "exit_hook", "forged_output", "descriptors"})
"""Findings of ``screen`` by which a test's process could write a log of its own in place of the runner's."""
_SHOWN = 300


class ImageInstance:
    """One row, read; see ``Gradable``. ``spec`` is all that is known of it, gold change and tests included."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def project(self) -> str:
        return self.spec.repo

    @property
    def statement(self) -> str:
        return self.spec.statement

    @property
    def work(self) -> str:
        return self.spec.work

    @property
    def image(self) -> str:
        return self.spec.image

    @property
    def fix(self) -> str:
        """Raises ``ValueError`` for a row that does not hold its gold change (R2E-Gym without ``parsed_commit_content``)."""
        if not self.spec.patch:
            raise ValueError(f"the row of {self.id!r} does not hold its gold change")
        packed = base64.b64encode(gzip.compress(self.spec.patch.encode("utf-8", "surrogateescape"), mtime=0)).decode()
        reverse = " --reverse" if self.spec.patch_is_bug else ""
        flags = " --recount --ignore-space-change" if self.spec.chain == "swe-rebench-v2" else ""
        return f"echo {packed} | base64 -d | gunzip | git -c safe.directory='*' apply{reverse}{flags} --whitespace=nowarn -"

    def open(self, backend: str = "auto", limits: Limits | None = None) -> OpenedSandbox:
        box = self._fresh(backend, limits)
        try:
            image = files_at(box, sorted({path for paths in paths_of(self.spec.bug) for path in paths}))
            prepare(box, self.spec)
            hide(box, self.spec)
            return OpenedSandbox(box, box.changes(), image)
        except BaseException:
            box.close()
            raise

    def grade(self, changes: Changes, backend: str = "auto", limits: Limits | None = None) -> FormatGrade:
        kept, dropped, tricks = allowed(self.spec, plain(changes))
        box = self._fresh(backend, limits, log_kb=LOG_KB)
        try:
            base = prepare(box, self.spec)
            if not self.spec.eval_script:  # such a script places its tests itself
                place_tests(box, self.spec, base)
            tricks = tuple(sorted({*tricks, *self._written(box, kept, backend, limits)}))
            try:
                box.put(kept)
            except (OSError, ValueError) as error:
                found = no_grade(f"the changes cannot be put into the repository: {error}", valid=True)
            else:
                run = run_tests(box, self.spec, replace(self._limits(limits), timeout_s=self.spec.timeout_s))
                found = self._judged(run)
                tricks = tuple(sorted({*tricks, *(("forged_marker",) if run.forged else ())}))
        finally:
            box.close()
        if tricks:
            found = replace(found, score=0.0, resolved="NO", note=f"tampering: {', '.join(tricks)}; {found.note}")
        return replace(found, dropped=dropped, tampering=tricks)

    def grade_patch(self, patch: str, backend: str = "auto", limits: Limits | None = None) -> FormatGrade:
        """Grade a diff, as prediction files hold it. One that is empty or does not apply is a grade with a note."""
        if not patch.strip():
            return no_grade("the patch is empty", valid=True)
        box = self._fresh(backend, limits)
        try:
            image = files_at(box, sorted({path for paths in paths_of(self.spec.bug) for path in paths}))
            prepare(box, self.spec)
            opened = OpenedSandbox(box, box.changes(), image)
            try:
                how = apply_patch(box, patch, chain=self.spec.chain)
            except PatchError as error:
                return no_grade(str(error), valid=True)
            changes = opened.changes()
        finally:
            box.close()
        found = self.grade(changes, backend, limits)
        return found if how == "git apply" else replace(found, note=f"{found.note}; the patch was applied by: {how}")

    def _written(self, box: Sandbox, kept: Changes, backend: str, limits: Limits | None) -> set[str]:
        """What the agent's Python does that could forge a log, and the gold change does not do as well."""
        paths = [path for path in kept if path.endswith(".py")]
        before = {path: file for path, file in files_at(box, paths).items() if file is not None}
        found = set(FORGING) & set(screen(before, kept).findings)
        if not found or not self.spec.patch:
            return found
        with self.open(backend, limits) as gold:
            paths = sorted(path for path in self.spec.gold_paths if path.endswith(".py"))
            before = {path: file for path, file in files_at(gold, paths).items() if file is not None}
            gold.exec(("bash", "-c", self.fix))
            return found - set(screen(before, files_at(gold, paths)).findings)

    def _judged(self, run: Run) -> FormatGrade:
        found = self._by_rule(run)
        last = "" if found.valid else " ".join(run.whole.split())[-_SHOWN:]
        return replace(found, note=f"{found.note}; the log ends: {last!r}") if last else found

    def _by_rule(self, run: Run) -> FormatGrade:
        spec = self.spec
        if run.timed_out:
            return no_grade(f"the tests took longer than {spec.timeout_s:g} s", valid=True)
        if run.problem:
            return no_grade(run.problem)
        if spec.rule == "exit-code":
            statuses = parse(spec.parser, run.log) if run.log is not None else {}
            return judge(RULES[spec.rule], statuses, spec.fail_to_pass, spec.pass_to_pass, log=run.whole, exit_code=run.script_code)
        if run.log is None:
            return no_grade("the test script did not come to its end")
        statuses = parse(spec.parser, run.log)
        if spec.rule == "r2e-gym":
            return judge_map(statuses, spec.expected, log=run.log, exit_code=run.exit_code)
        return judge(RULES[spec.rule], statuses, spec.fail_to_pass, spec.pass_to_pass, log=run.log, exit_code=run.exit_code)

    def _limits(self, limits: Limits | None) -> Limits:
        return limits or (INLINE_LIMITS if self.spec.repository is not None else IMAGE_LIMITS)

    def _fresh(self, backend: str, limits: Limits | None, log_kb: int | None = None) -> Sandbox:
        own = self._limits(limits)
        own = own if log_kb is None else replace(own, keep_kb=log_kb, flood_mb=max(own.flood_mb, log_kb >> 9))
        if self.spec.repository is None:
            if backend not in ("auto", "docker"):
                raise ValueError(f"{self.id!r} runs in the image {self.image!r}, which needs the backend docker; {backend!r} has no images")
            box = ImageSandbox(self.image, work=self.work, limits=own)
            box.start()
            return box
        return make_sandbox(
            backend,
            tree=self.spec.repository,
            work=self.work,
            limits=own,
            binds=binds(),
            environ={"PYTHONPATH": PLACE, "PYTHONDONTWRITEBYTECODE": "1"},
        )
