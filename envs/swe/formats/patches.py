"""Unified diffs: which files they touch, and how they are applied in a sandbox.

    touched(text)                          # [Touched(old="a.py", new="a.py"), Touched(old=None, new="tests/test_a.py")]
    apply_patch(box, text)                 # "git apply", or the name of the later try that worked; raises PatchError

The chain of tries is SWE-bench's: ``git apply``, with ``--3way``, with ``--reject``, then ``patch``; the tree is cleaned between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...sandbox.base import ExecResult, Sandbox

MAX_PATCH = 8 << 20
"""Bytes of a patch that is tried at all."""
GIT = ("git", "-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false", "-c", "gc.auto=0",
       "-c", "user.name=base", "-c", "user.email=base@localhost", "-c", "init.defaultBranch=main")  # fmt: skip
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_NO_DATA = re.compile(r"^Binary files .{1,2000} differ\r?$", re.MULTILINE)
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)", re.DOTALL)
_NAMED = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11}
_TRIES: Sequence[tuple[str, tuple[str, ...]]] = (
    ("git apply", (*GIT, "apply", "--verbose")),
    ("git apply --3way", (*GIT, "apply", "--verbose", "--3way")),
    ("git apply --reject", (*GIT, "apply", "--verbose", "--reject")),
    ("patch", ("patch", "--batch", "--forward", "--fuzz=5", "-p1")),
)
_V2_TRIES: Sequence[tuple[str, tuple[str, ...]]] = (
    ("git apply --3way", (*GIT, "apply", "-v", "--3way", "--recount", "--ignore-space-change", "--whitespace=nowarn")),
    ("patch", ("patch", "--batch", "--forward", "--fuzz=5", "-p1")),
)
CHAINS = {"swe-bench": _TRIES, "swe-rebench-v2": _V2_TRIES}


class PatchError(ValueError):
    """A patch cannot be applied; the message says why, for a person."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A file of a diff: its path before and after; ``None`` where it is not there."""

    old: str | None
    new: str | None


def touched(text: str) -> list[Touched]:
    """The files of a unified diff, in order. Text that is no diff has none. Never raises."""
    found: list[tuple[str, str]] = []
    names: list[str] | None = None
    hunks = old_left = new_left = 0
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            found += [(names[0], names[1])] if names else []
            names, hunks, old_left, new_left = [*_header_names(line.removeprefix("diff --git ").rstrip("\r"))], 0, 0, 0
        elif old_left > 0 or new_left > 0:  # content, in which "-- x" taken away must not be read as a header
            old_left -= line[:1] in ("-", " ", "", "\r")
            new_left -= line[:1] in ("+", " ", "", "\r")
        elif hunk := _HUNK.match(line):
            hunks, old_left, new_left = hunks + 1, int(hunk[1] or 1), int(hunk[2] or 1)
        elif line.startswith("--- "):
            if names is None or hunks:
                found += [(names[0], names[1])] if names else []
                names, hunks = ["", ""], 0
            names[0] = _name(line[4:], "a/")
        elif names is not None and not hunks:
            _extended(line.rstrip("\r"), names)
    found += [(names[0], names[1])] if names else []
    files = [Touched(*(None if name in ("", "/dev/null") else name for name in pair)) for pair in found]
    return [t for t in files if t.old or t.new]


def _extended(line: str, names: list[str]) -> None:
    """What a line of a header says about the names before and after."""
    if line.startswith("+++ "):
        names[1] = _name(line[4:], "b/")
    elif line.startswith(("rename from ", "copy from ")):
        names[0] = _unquote(line.split(" from ", 1)[1])
    elif line.startswith(("rename to ", "copy to ")):
        names[1] = _unquote(line.split(" to ", 1)[1])
    elif line.startswith("new file mode"):
        names[0] = ""
    elif line.startswith("deleted file mode"):
        names[1] = ""


def paths_of(text: str) -> tuple[list[str], list[str]]:
    """(paths that are there before, paths that only the patch brings), each sorted."""
    files = touched(text)
    before = {t.old for t in files if t.old}
    return sorted(before), sorted({t.new for t in files if t.new} - before)


def apply_patch(box: Sandbox, text: str, *, chain: str = "swe-bench", timeout_s: float = 60.0) -> str:
    """Apply a patch in the work folder, a git repository whose tree equals its HEAD. Returns what worked.

    Raises ``PatchError``: too large, not a patch, binary without its data, or nothing fits; the tree is then as before.
    """
    data = text.encode("utf-8", "surrogateescape") if text.endswith("\n") else (text + "\n").encode("utf-8", "surrogateescape")
    if len(data) > MAX_PATCH:
        raise PatchError(f"the patch has {len(data)} bytes; the most is {MAX_PATCH}; it was not tried")
    files = touched(text)
    if not files:
        raise PatchError("this is not a patch: no file is named in it ('--- a/...' and '+++ b/...', or 'diff --git')")
    if _NO_DATA.search(text):  # GNU patch would make an empty file of it
        raise PatchError("the patch says that a binary file differs without its data; make it with 'git diff --binary'")
    said = ""
    for name, argv in CHAINS[chain]:
        done = box.exec(argv, stdin=data, timeout_s=timeout_s)
        if done.ok:
            _clean(box, files, keep=True)
            return name
        said = said or _said(done)
        _clean(box, files, keep=False)
    check = box.exec((*GIT, "apply", "--check", "--reverse"), stdin=data, timeout_s=timeout_s)
    if check.ok:
        return "already there"
    raise PatchError(f"the patch does not apply: {said}")


def git(box: Sandbox, *words: str, timeout_s: float = 60.0) -> ExecResult:
    """A git command in the work folder that no hook, and no configuration of the user, changes."""
    return box.exec((*GIT, *words), timeout_s=timeout_s)


def _clean(box: Sandbox, files: Sequence[Touched], *, keep: bool) -> None:
    """Take away what tries leave: rejected hunks and back-ups; unless ``keep`` also all that was changed."""
    named = sorted({path for t in files for path in (t.old, t.new) if path and _inside(path)})
    litter = [path + suffix for path in named for suffix in (".rej", ".orig")]
    if keep:
        box.exec(("rm", "-f", "--", *litter))
        git(box, "reset", "-q")
        return
    git(box, "reset", "-q", "--hard", "HEAD")
    tracked = set(git(box, "ls-files", "-z", "--", *named).stdout.decode("utf-8", "surrogateescape").split("\0"))
    box.exec(("rm", "-f", "--", *litter, *(path for path in named if path not in tracked)))


def _inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")


def _said(done: ExecResult) -> str:
    """The first lines of git's complaint."""
    text = (done.stderr + b"\n" + done.stdout).decode("utf-8", "backslashreplace")
    lines = [
        line.removeprefix("error: ") for line in text.splitlines() if line.strip() and not line.startswith(("Checking patch", "Hunk #"))
    ]
    return "; ".join(lines[:3])[:400] or done.problem or f"exit code {done.exit_code}"


def _header_names(rest: str) -> tuple[str, str]:
    """Both names of "a/x b/x"; only equal names can be told apart when they hold blanks."""
    if rest.startswith('"'):
        end = rest.find('" ', 1)
        return (_name(rest[: end + 1], "a/"), _name(rest[end + 2 :], "b/")) if end > 0 else ("", "")
    half = len(rest) // 2
    if rest[half : half + 1] == " " and rest[:half].partition("/")[2] == rest[half + 1 :].partition("/")[2]:
        return _name(rest[:half], "a/"), _name(rest[half + 1 :], "b/")
    first, _, second = rest.partition(" b/")
    return _name(first, "a/"), _name(second, "b/")


def _name(text: str, prefix: str) -> str:
    text = text.rstrip("\r")
    name = _unquote(text) if text.startswith('"') else text.split("\t", 1)[0].rstrip()
    return name if name == "/dev/null" else name.removeprefix(prefix)


def _unquote(text: str) -> str:
    """A name as git writes unusual ones: in quotes, with C's escapes of its bytes."""
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    out, at = bytearray(), 1
    for match in _ESCAPE.finditer(text, 1, len(text) - 1):
        out += text[at : match.start()].encode("utf-8", "surrogateescape")
        body = match[1]
        if body[0] in "01234567":
            out.append(int(body, 8) & 255)
        else:
            out += bytes([_NAMED[body]]) if body in _NAMED else body.encode("utf-8", "surrogateescape")
        at = match.end()
    out += text[at:-1].encode("utf-8", "surrogateescape")
    return out.decode("utf-8", "surrogateescape")
