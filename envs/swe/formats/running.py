"""Running the tests of an instance: a script whose markers are new for every run, and what is read from between them."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from ...sandbox.base import Limits, Sandbox
from .spec import Spec

START, END, EXIT = ">>>>> Start Test Output", ">>>>> End Test Output", ">>>>> Test Exit Code"
"""The markers in the scripts of SWE-bench; each run has others, so that no test can write them."""
_FROM_INPUT = ("bash", "-c", 'eval "$(cat)"')
"""The script comes by standard input, read to its end before it runs: no test finds it in a command line or a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """``log``: what the tests wrote, ``None`` where the region has no begin or no end; ``exit_code``: of the test command where it is
    known; ``script_code``: of the whole script; ``problem``: why it was killed, or is not whole; ``forged``: fixed markers were seen."""

    log: str | None
    exit_code: int | None
    script_code: int
    whole: str
    problem: str = ""
    timed_out: bool = False
    forged: bool = False


def run_tests(box: Sandbox, spec: Spec, limits: Limits) -> Run:
    """Run the test command, or the whole evaluation script of the row, in a sandbox made ready."""
    token = secrets.token_hex(16)
    body = with_markers(spec.eval_script, token) if spec.eval_script else command_script(spec, token)
    script = "\n".join([*_pytest_of(spec), body])
    done = box.exec(_FROM_INPUT, stdin=script.encode("utf-8", "surrogateescape"), timeout_s=limits.timeout_s)
    text = done.stdout.decode("utf-8", "replace")
    problem = done.problem or ("the log is longer than what is kept of it" if done.truncated else "")
    log, code = region(text, token)
    forged = log is not None and any(marker in log for marker in (START, END, EXIT))
    whole = text.replace(token, "")
    return Run(log=log, exit_code=code, script_code=done.exit_code, whole=whole, problem=problem, timed_out=done.timed_out, forged=forged)


def command_script(spec: Spec, token: str) -> str:
    """A script for a test command: its exit code is kept at once, and told after the region."""
    body = spec.command if "\n" not in spec.command else f"set -e\n{spec.command}"
    lines = [
        "exec 2>&1",
        *spec.prepare,
        f"echo; echo '{token} start'",
        f"(\n{body}\n) < /dev/null",
        "turnwise_code=$?",
        f"echo; echo '{token} end'",
        f"echo '{token} exit:' $turnwise_code",
        "exit $turnwise_code",
    ]
    return "\n".join([*lines, ""])


def with_markers(script: str, token: str) -> str:
    """A row's script with this run's markers. Where it does not tell the exit code of the tests, lines that do are put in."""
    if EXIT in script or END not in script:
        body = script
    else:
        lines = script.split("\n")
        last = max(number for number, line in enumerate(lines) if END in line)
        lines[last:last] = ["turnwise_code=$?"]
        lines[last + 2 : last + 2] = [f"echo '{EXIT}:' $turnwise_code"]
        body = "\n".join(lines)
    for marker, name in ((START, "start"), (END, "end"), (EXIT, "exit")):
        body = body.replace(marker, f"{token} {name}")
    return f"exec 2>&1\n{body}\n"


def region(text: str, token: str) -> tuple[str | None, int | None]:
    """(what stands between the markers, the exit code told after them); ``None``: not there."""
    begin = text.find(f"{token} start")
    first = text.find("\n", begin)
    last = text.find(f"{token} end", first)
    if begin < 0 or first < 0 or last < 0:
        return None, None
    told = re.findall(rf"{token} exit:? *(-?\d{{1,9}})", text[last:])
    return text[first + 1 : text.rfind("\n", 0, last) + 1], int(told[-1]) if told else None


def _pytest_of(spec: Spec) -> list[str]:
    """Without an image the command ``pytest`` is the toolchain's module, which has no package metadata for a header."""
    return [] if spec.repository is None else ['pytest() { python3 -m pytest --no-header -p no:cacheprovider "$@"; }']
