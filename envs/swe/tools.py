"""The tools of ``turnwise/SWE-v0``: look, search, edit whole lines, run the tests, submit; and, where it is allowed, bash.

What an agent asks for that cannot be done is a ``ToolError``, which tells what was seen and what is allowed; a sandbox that fails is none.
"""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...rewards.swe import edited_functions, functions_at
from ..sandbox.base import ExecResult, Sandbox
from ..tools.tool import ToolError, tool
from .paging import Pager, numbered, one_line, whole
from .runner import Report
from .textfile import TextFile

MAX_LISTED = 400
"""Files of a folder that ``view`` names."""
MAX_FOUND = 200
"""Lines that ``find`` shows."""
SHOWN_AROUND = 2
"""Lines above and below an edit that its answer shows."""
_LIST = (
    "find",
    *("-mindepth", "1", "-maxdepth", "2", "(", "-name", ".git", "-o", "-name", "__pycache__", ")", "-prune"),
    *("-o", "-printf", r"%y\t%P\n"),
)
_GREP = ("grep", "-rnIH", "--color=never", "--exclude-dir=.git", "--exclude-dir=__pycache__")
_GIT = ".git"


@dataclass(slots=True)
class TurnLog:
    """What the calls of one turn did: the input of its reward components."""

    files: set[str] = field(default_factory=set[str])
    """Viewed or edited."""
    functions: set[str] = field(default_factory=set[str])
    """"path::function", for gold files only."""
    edited: dict[str, str] = field(default_factory=dict[str, str])
    """Path -> text after the edit."""
    commands: list[str] = field(default_factory=list[str])
    steps: list[str] = field(default_factory=list[str])
    """"edit", "test", "submit", in order."""
    lost_files: bool = False
    """A command went beyond a limit on which the sandbox starts anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the tools work on. ``open`` gives the episode's sandbox, started at the first call. ``timeout_s``: what a command may take now;
    ``run_tests``: run the tests named (none: all that are to be seen) in it,
    for so many seconds at most; what the agent is told. ``paths``: of the repository as it was, for hints.
    ``gold_files``: where functions that are looked at are worth finding out."""

    work: str
    open: Callable[[], Sandbox]
    run_tests: Callable[[Sandbox, Sequence[str], float], str]
    timeout_s: Callable[[], float]
    paths: Sequence[str] = ()
    gold_files: frozenset[str] = frozenset()


class Tools:
    """``view``, ``find``, ``edit``, ``run_tests``, ``page`` and ``submit``."""

    def __init__(self, bench: Bench, pager: Pager) -> None:
        self.bench, self.pager = bench, pager
        self.log = TurnLog()
        self.submitted = False

    @tool
    def view(self, path: str, start: int = 1, end: int = 0) -> str:
        """Read a file with line numbers, or list a folder.

        Args:
            path: File or folder, relative to the repository; "." is the repository itself.
            start: First line to show.
            end: Last line to show; 0: as far as the answer may be long.
        """
        place = self._inside(path)
        found = self._find_file(place)
        if found is None:
            return self._listed(place, path)
        text = TextFile(found, place)
        count = len(text.lines)
        if not count:
            return f"[{place} is empty]"
        last = min(end, count) if end > 0 else count
        if not 1 <= start <= last:
            raise ToolError(f"{place!r} has {count} lines; seen: start {start}, end {end}; allowed: 1 <= start <= end <= {count}")
        shown, reached = numbered(text.lines, start, last, self.pager.most)
        self._looked(place, found, start, reached)
        notes = [text.note] if text.note else []
        if reached < last:
            notes.append(f"lines {start} to {reached} of {count}; view(path={place!r}, start={reached + 1}) goes on")
        elif (start, reached) != (1, count):
            notes.append(f"lines {start} to {reached} of {count}")
        return "\n".join([shown, *(f"[{note}]" for note in notes)])

    @tool
    def find(self, pattern: str, path: str = ".") -> str:
        """Search the text of all files below a path. Shows path:line: text.

        Args:
            pattern: Regular expression; plain text where it is none.
            path: File or folder, relative to the repository.
        """
        if not pattern or "\n" in pattern:
            raise ToolError("the pattern is one line of text that is not empty")
        place = self._inside(path)
        box = self.bench.open()
        result, note = self._grep(box, "-P", pattern, place), ""
        if result.exit_code > 1:
            result, note = self._grep(box, "-F", pattern, place), " (not a regular expression; searched as plain text)"
        if result.problem:
            raise ToolError(result.problem)
        if result.exit_code > 1:
            raise ToolError(f"{place!r} cannot be searched: {whole(result.stderr).strip()}{self._hint(place)}")
        rows = sorted(result.stdout.split(b"\n")[:-1], key=_row_place)
        if not rows:
            return f"[no line matches{note}]"
        shown = [_hit(row) for row in rows[:MAX_FOUND]]
        counted = f"{len(rows)}{' or more' if result.truncated else ''} lines match{note}"
        if len(rows) > MAX_FOUND:
            counted += f"; the first {MAX_FOUND} are shown, search for something rarer or in one folder"
        return self.pager.show("\n".join([*shown, f"[{counted}]"]))

    @tool
    def edit(self, path: str, start: int, end: int, text: str) -> str:
        """Replace lines of a file: those from start to end, both included, become the text. Nothing else of the file changes.

        Args:
            path: File, relative to the repository; it is made if it is not there (start 1, end 0).
            start: First line to replace, from 1.
            end: Last line to replace; start - 1 inserts before line start.
            text: The new lines, indented as they should be; an empty text removes the lines.
        """
        place = self._inside(path)
        if place == "." or place.split("/")[0] == _GIT:
            raise ToolError(f"{path!r} cannot be edited; give a file of the repository")
        old = self._find_file(place)
        before = b"" if old is None else old
        file = TextFile(before, place)
        count = file.replace(start, end, text)
        after = file.data
        if after == before and old is not None:
            return f"[nothing changed: lines {start} to {end} of {place} are already so]"
        try:
            self.bench.open().write(place, after)
        except (OSError, ValueError) as error:
            raise ToolError(f"{place!r} cannot be written ({_said(error)})") from error
        self._edited(place, before, after)
        return self._region(file, place, start, count)

    @tool
    def run_tests(self, tests: str = "") -> str:
        """Run the repository's tests, failures first.

        Args:
            tests: Test files or test ids such as tests/test_a.py::test_b, with spaces between them; empty: all.
        """
        wanted = [self._test_path(word) for word in tests.split()]
        told = self.bench.run_tests(self.bench.open(), wanted, self.bench.timeout_s())
        self.log.steps.append("test")
        return self.pager.show(told)

    @tool
    def page(self, number: int, output: int = 0) -> str:
        """Read a long output that was cut, page by page.

        Args:
            number: Page, from 1.
            output: Number of the output; 0: the last one that was cut.
        """
        return self.pager.page(number, output)

    @tool
    def submit(self) -> str:
        """Hand in the repository as it is now. It is judged by hidden tests; that ends the episode."""
        self.submitted = True
        self.log.steps.append("submit")
        return "Submitted."

    # ---- paths and files -------------------------------------------------------------------------------------------

    def _inside(self, path: str) -> str:
        """``path`` relative to the work folder, normal form."""
        work = self.bench.work
        given = path.strip()
        relative = "." if given == work else given.removeprefix(f"{work}/")
        place = posixpath.normpath(relative or ".")
        if place.startswith(("/", "../")) or place == ".." or "\0" in place:
            raise ToolError(f"{path[:200]!r} lies outside of the repository; give a path relative to it, such as '.'")
        return place

    def _find_file(self, place: str) -> bytes | None:
        """The bytes of a file; None where there is no plain file that can be read."""
        try:
            return self.bench.open().read(place)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ToolError(_said(error)) from error

    def _listed(self, place: str, path: str) -> str:
        result = self.bench.open().exec([_LIST[0], f"./{place}", *_LIST[1:]])
        if result.exit_code or result.problem:
            raise ToolError(f"there is no file or folder {path[:200]!r} in the repository.{self._hint(place)}")
        rows = [row.split(b"\t", 1) for row in result.stdout.split(b"\n")[:-1]]
        names = sorted(one_line(row[1]) + ("/" if row[0] == b"d" else "") for row in rows if len(row) == 2)
        if not names:
            return f"[{place} is empty]"
        more = [f"[{len(names)} entries; the first {MAX_LISTED} are shown, view one folder]"] if len(names) > MAX_LISTED else []
        return self.pager.show("\n".join([*names[:MAX_LISTED], *more]))

    def _hint(self, place: str) -> str:
        name = posixpath.basename(place)
        same = [path for path in self.bench.paths if posixpath.basename(path) == name]
        close = same[:3] or difflib.get_close_matches(place, self.bench.paths, 1)
        return f" Did you mean {' or '.join(map(repr, close))}?" if close else " view(path='.') lists what there is."

    def _test_path(self, word: str) -> str:
        path, mark, rest = word.partition("::")
        return f"{self._inside(path)}{mark}{rest}"

    def _grep(self, box: Sandbox, kind: str, pattern: str, place: str) -> ExecResult:
        target = place if place == "." else f"./{place}"
        return box.exec([*_GREP, kind, "-e", pattern, "--", target], timeout_s=self.bench.timeout_s())

    # ---- what is known of a turn -----------------------------------------------------------------------------------

    def _looked(self, place: str, data: bytes, first: int, last: int) -> None:
        self.log.files.add(place)
        if place in self.bench.gold_files:
            self.log.functions |= {f"{place}::{name}" for name in functions_at(data.decode("utf-8", "replace"), first, last)}

    def _edited(self, place: str, before: bytes, after: bytes) -> None:
        old, new = before.decode("utf-8", "replace"), after.decode("utf-8", "replace")
        self.log.files.add(place)
        self.log.edited[place] = new
        self.log.steps.append("edit")
        if place in self.bench.gold_files:
            self.log.functions |= {f"{place}::{name}" for name in edited_functions(old, new)}

    def _region(self, file: TextFile, place: str, start: int, count: int) -> str:
        total = len(file.lines)
        first, last = max(1, start - SHOWN_AROUND), min(total, start + count - 1 + SHOWN_AROUND)
        notes = [f"[{place} has {total} lines now{'; ' + file.note if file.note else ''}]"]
        problem = syntax_problem(file.data, place)
        if problem:
            notes.append(f"[{problem}]")
        if not total:
            return notes[0]
        shown, reached = numbered(file.lines, first, last, self.pager.most)
        if reached < last:
            notes.insert(0, f"[lines {first} to {reached} are shown]")
        return "\n".join([shown, *notes])


class BashTools(Tools):
    """The same, and ``bash``."""

    @tool
    def bash(self, command: str) -> str:
        """Run a command in the repository's bash. Folder and variables stay from call to call. There is no network and no input.

        Args:
            command: The command.
        """
        self.log.commands.append(command)
        if runs_tests(command):
            self.log.steps.append("test")
        result = self.bench.open().shell(command, self.bench.timeout_s())
        self.log.lost_files |= lost_files(result)
        notes = ["[more was printed than is kept]"] if result.truncated else []
        if result.problem:
            notes.append(f"[{result.problem[:1].upper()}{result.problem[1:]}.]")
        elif result.exit_code:
            notes.append(f"[exit code {result.exit_code}]")
        shown = self.pager.show(whole(result.stdout).rstrip("\n"))
        return "\n".join([*([shown] if shown else []), *notes]) or "[no output]"


def lost_files(result: ExecResult) -> bool:
    """Whether a command was ended in a way that is its own doing, and took all files with it."""
    return result.problem.startswith("it ") and "gone" in result.problem


def runs_tests(command: str) -> bool:
    """Whether a shell command seems to run tests."""
    return any(word in command for word in ("pytest", "unittest", "nose", "tox ", "manage.py test"))


def syntax_problem(data: bytes, path: str) -> str:
    """Why a Python file does not parse; "" where it does, or is none."""
    if not path.endswith(".py"):
        return ""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(data, path, "exec", dont_inherit=True, flags=0x400)  # ast.PyCF_ONLY_AST
        except SyntaxError as error:
            return f"it does not parse: line {error.lineno}: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:
            return f"it does not parse: {error}"
    return ""


def summary(report: Report) -> str:
    """Failures first, then how many ended in which way. No times, so that equal runs read the same."""
    bad = [(name, status) for name, status in sorted(report.statuses.items()) if status in ("FAILED", "ERROR", "XPASS")]
    lines: list[str] = []
    for name, status in bad:
        lines.append(f"{status} {whole(name.encode('utf-8', 'surrogateescape'))}")
        lines += [f"    {line}" for line in whole(report.messages.get(name, "").encode("utf-8", "replace")).splitlines()]
    for name in sorted(set(report.messages) - set(report.statuses)):
        lines.append(f"ERROR {whole(name.encode('utf-8', 'surrogateescape'))} could not be imported")
        lines += [f"    {line}" for line in whole(report.messages[name].encode("utf-8", "replace")).splitlines()]
    counts = {status: list(report.statuses.values()).count(status) for status in sorted(set(report.statuses.values()))}
    lines.append(", ".join(f"{count} {status.lower()}" for status, count in counts.items()) or "no tests ran")
    if report.problem:
        lines.append(f"[{whole(report.problem.encode('utf-8', 'replace'))}]")
    return "\n".join(lines)


def _row_place(row: bytes) -> tuple[bytes, int]:
    path, _, rest = row.partition(b":")
    number = rest.partition(b":")[0]
    return path, int(number) if number.isdigit() else 0


def _hit(row: bytes) -> str:
    """A line of grep as it is shown."""
    path, _, rest = row.removeprefix(b"./").partition(b":")
    number, _, text = rest.partition(b":")
    return f"{one_line(path)}:{one_line(number)}: {one_line(text)}"


def _said(error: Exception) -> str:
    return whole(str(error).encode("utf-8", "replace"))[:300]
