"""Runs of visible tests that need not be repeated: members of a group make the same repair again and again.

Only for agents that can do no more than edit files: then the files decide how tests end. With a shell, anything might.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from ..sandbox.base import Sandbox
from ..sandbox.tree import Tree, digest

KEPT = 4096
RunTests = Callable[[Sandbox, Sequence[str], float], str]
_lock = threading.Lock()
_known: OrderedDict[tuple[str, str, tuple[str, ...]], str] = OrderedDict()


def remembered(run: RunTests, name: str, base: Tree) -> RunTests:
    """``run``, which answers from memory where the same tests of the instance called ``name`` were run on the same files in this process.

    What a run that did not come to its end says ("[...]" in its last line) is not kept.
    """
    started = f"{name} {digest(base)}"

    def again(box: Sandbox, tests: Sequence[str], timeout_s: float) -> str:
        key = started, digest(box.changes()), tuple(tests)
        with _lock:
            if key in _known:
                _known.move_to_end(key)
                return _known[key]
        said = run(box, tests, timeout_s)
        if not said.rstrip().endswith("]"):
            with _lock:
                _known[key] = said
                while len(_known) > KEPT:
                    _known.popitem(last=False)
        return said

    return again
