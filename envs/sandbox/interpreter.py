"""The interpreter in a sandbox: a process that runs code piece by piece in one namespace, as a notebook does. See driver.py."""

from __future__ import annotations

import marshal
import os
import struct
import sys

from .inside import read_exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def interpret(requests: int, replies: int) -> None:
    """Read code, run it in one namespace, say how it went; until somebody kills this process."""
    owner = os.getpid()
    main = type(sys)("__main__")
    sys.modules["__main__"] = main
    sys.argv = [""]
    sys.dont_write_bytecode = True
    sys.path[:] = ["", *sys.path[1:], *(p for p in packages() if os.path.isdir(p))]
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    count = 0
    while True:
        serial, code = marshal.loads(read_exactly(requests, struct.unpack("!I", read_exactly(requests, 4))[0]))
        count += 1
        raised = run_cell(code, f"<cell {count}>", main.__dict__)
        if os.getpid() != owner:  # code that forked comes back here twice
            os._exit(0)
        os.write(replies, struct.pack("!II", serial, int(raised)))


def packages() -> list[str]:
    """Where Debian and others keep installed packages; ``site`` would look for far more, and take longer than all the rest."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = [f"{sys.prefix}/local/lib/{version}/dist-packages", f"{sys.prefix}/lib/python3/dist-packages"]
    return [*places, f"/usr/local/lib/{version}/dist-packages", f"{sys.prefix}/lib/{version}/site-packages"]


def run_cell(code: str, name: str, space: dict[str, Any]) -> bool:
    """Run ``code``; the value of a last expression is shown, as a notebook does. True: it raised."""
    import _ast

    raised = False
    try:
        tree = compile(code, name, "exec", _ast.PyCF_ONLY_AST)
        body = tree.body if isinstance(tree, _ast.Module) else []
        last = [body.pop()] if body and isinstance(body[-1], _ast.Expr) else []
        exec(compile(_ast.Module(body, type_ignores=[]), name, "exec"), space)
        if last:
            exec(compile(_ast.Interactive(last), name, "single"), space)
    except BaseException as error:
        raised = True
        report(error, code, name)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException as error:
            raised = True
            os.write(2, f"{type(error).__name__} when the output was flushed\n".encode("utf-8", "replace"))
    return raised


def report(error: BaseException, code: str, name: str) -> None:
    """Write the traceback, without the frames of this file, to descriptor 2 (sys.stderr may be anything by now)."""
    try:
        sys.stdout.flush()
        import linecache
        import traceback

        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == run_cell.__code__.co_filename:
            trace = trace.tb_next
        text = "".join(traceback.format_exception(type(error), error, trace, limit=-8, chain=False))
    except BaseException as second:
        text = f"{type(error).__name__} (its text cannot be shown: {type(second).__name__})\n"
    os.write(2, text[-20_000:].encode("utf-8", "replace"))
