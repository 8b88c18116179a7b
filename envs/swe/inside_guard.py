"""What watches a guarded run from inside its process; docs/grading.md says what it can and cannot see.

Evidence is told at once, so that ending the process does not hide it. Everything used here was bound before code under test ran.
"""

from __future__ import annotations

import builtins
import functools
import os
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

IMMEDIATE = {
    "sys._getframe": "frames", "sys._current_frames": "frames", "sys._current_exceptions": "frames", "gc.get_objects": "gc_search",
    "gc.get_referrers": "gc_search", "gc.get_referents": "gc_search", "sys.settrace": "interpreter_hooks",
    "sys.setprofile": "interpreter_hooks", "sys.addaudithook": "interpreter_hooks", "os.fork": "process", "os.forkpty": "process",
    "os.exec": "process", "os.posix_spawn": "process", "os.system": "process", "os.kill": "process_exit", "os.killpg": "process_exit",
    "signal.pthread_kill": "process_exit", "exec": "dynamic_code", "compile": "dynamic_code", "code.__new__": "dynamic_code",
    "marshal.loads": "dynamic_code", "ctypes.dlopen": "ctypes", "ctypes.dlsym": "ctypes", "ctypes.cdata": "ctypes",
    "ctypes.addressof": "ctypes",
    "ctypes.string_at": "ctypes", "ctypes.call_function": "ctypes", "ctypes.cdata/buffer": "ctypes",
}  # fmt: skip
"""Event -> what it is when a changed file is the caller itself."""
AT_IMPORT = {"subprocess.Popen": "process", "socket.connect": "process", "socket.bind": "process", "_thread.start_new_thread": "process"}
"""Events that are something only while modules are imported, when a changed file is the nearest caller outside the library."""
FRAMES = {"tb_frame": "frames", "gi_frame": "frames", "cr_frame": "frames", "ag_frame": "frames"}
DEEP = 60
"""Frames that are looked through."""
WATCHED = ("_pytest", "pytest", "pluggy")


class Guard:
    def __init__(self, request: dict[str, Any], tell: Callable[..., None]) -> None:
        work: str = request["work"]
        self.tell = tell
        self.told: dict[str, int] = {}
        self.changed = {os.path.join(work, path): frozenset(kinds) for path, kinds in request["changed"].items()}
        self.tests = frozenset(os.path.join(work, path) for path in request["tests"])
        self.place = os.path.dirname(os.path.abspath(__file__))
        self.stage = "import"
        self.builtins = dict(vars(builtins))
        self.functions = list(_functions())
        self.equality = Equality(frozenset(os.path.join(work, path) for path in request["equal"]), self.evidence)
        if self.changed:
            sys.addaudithook(self.hook())

    def evidence(self, name: str, what: str) -> None:
        self.told[name] = self.told.get(name, 0) + 1
        if self.told[name] <= 3:
            self.tell("evidence", name, what[:300])

    # events

    def hook(self) -> Callable[[str, tuple[Any, ...]], None]:
        getframe: Callable[[int], types.FrameType] = getattr(sys, "_getframe")  # noqa: B009
        changed, evidence, tests = self.changed, self.evidence, self.tests
        library, busy = self._library_prefixes(), [False]
        fsdecode, abspath, isinstance_ = os.fsdecode, os.path.abspath, isinstance

        def caller(deep: int) -> types.FrameType | None:
            """The nearest frame outside the library."""
            frame: types.FrameType | None = getframe(2)
            while frame is not None and deep and frame.f_code.co_filename.startswith(library):
                frame, deep = frame.f_back, deep - 1
            return frame

        def opened(path: Any) -> None:
            if not isinstance_(path, str | bytes) and not hasattr(path, "__fspath__"):
                return
            name = fsdecode(path)
            own = name.startswith("/proc/")
            if not own and not name.endswith(".py"):
                return
            full = abspath(name)
            if not own and full not in tests:
                return
            frame: types.FrameType | None = getframe(2)
            before = ""
            for _ in range(DEEP):
                if frame is None:
                    return
                file = frame.f_code.co_filename
                if before.endswith("/linecache.py") and file.endswith(("/traceback.py", "/warnings.py")):
                    return  # a traceback or a warning that shows a line of the test
                if file in changed:
                    name = "descriptors" if own else "reads_tests"
                    if name not in changed[file]:
                        evidence(name, f"{file} opened {full}")
                    return
                before, frame = file, frame.f_back

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "open":
                if busy[0]:
                    return
                busy[0] = True
                try:
                    opened(arguments[0])
                finally:
                    busy[0] = False
                return
            name = IMMEDIATE.get(event)
            if name is None and event == "object.__getattr__":
                name = FRAMES.get(arguments[1])
            deep = DEEP if self.stage == "import" and name in ("process", "process_exit") else 0
            if name is None and self.stage == "import":
                name, deep = AT_IMPORT.get(event), DEEP
            if name is None or busy[0]:
                return
            busy[0] = True
            try:
                frame = caller(deep)
                file = frame.f_code.co_filename if frame is not None else ""
                if file in changed and name not in changed[file]:
                    evidence(name, f"{file}:{frame.f_lineno if frame is not None else 0}: {event}")
            finally:
                busy[0] = False

        return hook

    def _library_prefixes(self) -> tuple[str, ...]:
        return (os.path.dirname(os.__file__), self.place, "<frozen")

    # states

    def check(self, moment: str) -> None:
        """After collection and at the end: nothing of the test runner or of the builtins was replaced."""
        self.stage = moment
        for name, value in self.builtins.items():
            if name != "_" and vars(builtins).get(name) is not value:
                self.evidence("builtins", f"builtins.{name} was replaced")
        for owner, name, value, code in self.functions:
            found: Any = getattr(owner, "__dict__", {}).get(name)
            if (found is not value or getattr(_plain(found), "__code__", None) is not code) and not self._own_patch(found):
                self.evidence("runner_changed", f"{getattr(owner, '__name__', owner)}.{name} was replaced")
        if self.equality.files:
            self.equality.wrap()

    def _own_patch(self, found: Any) -> bool:
        """pytest's plugin for old kinds of paths replaces a method of another of its classes."""
        code = getattr(found, "__code__", None)
        return getattr(code, "co_filename", "") == os.path.join(self.place, "_pytest", "legacypath.py")


def _plain(value: Any) -> Any:
    while isinstance(value, staticmethod | classmethod):
        value = value.__func__  # type: ignore[reportUnknownMemberType]
    return value.fget if isinstance(value, property) else value


def _functions() -> Iterator[tuple[Any, str, Any, Any]]:
    """(module or class, name, function, its code) of the whole test runner."""
    for module_name, module in list(sys.modules.items()):
        if module_name.split(".", 1)[0] not in WATCHED:
            continue
        for name, value in list(vars(module).items()):
            if isinstance(value, types.FunctionType):
                yield module, name, value, value.__code__
            elif isinstance(value, type) and value.__module__ == module_name:
                for attribute, method in list(vars(value).items()):
                    plain = _plain(method)
                    if isinstance(plain, types.FunctionType):
                        yield value, attribute, method, plain.__code__


def _others(value: Any) -> list[Any]:
    """Values of the same kind that nothing equal to ``value`` equals; none for kinds that are not built in."""
    kind: Any = getattr(value, "__class__", None)
    if kind is bool:
        return [not value]
    if kind in (int, float, complex):
        return [value + 12345, value * 2 + 678]
    if kind in (str, bytes):
        return [value + value[:1] + (b"~" if kind is bytes else "~")]
    if kind in (list, tuple):
        return [value + kind([object()])]
    if kind in (set, frozenset):
        return [value | {object()}]
    if kind is dict:
        return [{**value, object(): None}]
    return [object()] if value is None else []


class Equality:
    """Puts a check around each ``__eq__`` of the given files: who equals a value and then another one, too, equals everything."""

    def __init__(self, files: frozenset[str], evidence: Callable[[str, str], None]) -> None:
        self.files, self.evidence = files, evidence
        self.done: set[Any] = set()

    def wrap(self) -> None:
        waiting: list[type] = [object]
        seen: set[type] = set()
        while waiting:
            kind = waiting.pop()
            if kind in seen:
                continue
            seen.add(kind)
            waiting += type.__subclasses__(kind)
            real = vars(kind).get("__eq__")
            code = getattr(real, "__code__", None)
            if code is not None and code.co_filename in self.files and real not in self.done:
                checked = self._checked(kind, real)
                self.done.add(checked)
                type.__setattr__(kind, "__eq__", checked)

    def _checked(self, kind: type, real: Any) -> Any:
        evidence, name = self.evidence, f"{kind.__module__}.{kind.__name__}.__eq__"

        def __eq__(this: Any, other: Any) -> Any:
            answer = real(this, other)
            if answer is True:
                for one in _others(other):
                    if real(this, one) is True:
                        evidence("universal_equal", f"{name} says yes to {type(other).__name__} values that differ")
                        break
            return answer

        return functools.wraps(real)(__eq__)
