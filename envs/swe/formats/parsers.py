"""Log parsers: from what a test command wrote to test id -> status. They never raise and take time linear in the log.

    parse("parse_log_pytest", log)            # {"tests/test_a.py::test_x": "PASSED"}
    parser_name(repo="django/django")         # "parse_log_django"

Names and rules are those of SWE-bench's harness (swebench/harness/log_parsers, commit 2d1d7c2e), SWE-smith's (commit ce9b50b1),
SWE-Gym's fork and R2E-Gym's ``execution_log_parser``. Only the statuses PASSED, FAILED, ERROR, SKIPPED and XFAIL are read.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from ..instance import ERROR, FAILED, PASSED, SKIPPED, XFAIL

Parser: TypeAlias = Callable[[str], dict[str, str]]
READ = (FAILED, PASSED, SKIPPED, ERROR, XFAIL)
_ANY = "|".join(READ)
_STATUS_FIRST = re.compile(rf"({_ANY})\s+(\S+)")
_TEST_FIRST = re.compile(rf"(\S+)\s+({_ANY})(?:\s|$)")
_SMITH = re.compile(rf"(\S+)\s+({_ANY})")
_WORKER = re.compile(rf"\[gw\d\]\s({_ANY})\s(\S+)")
_COUNT = re.compile(r"\[\d+\]")
_COLOUR = re.compile(r"\[(\d+)m")
_FULL_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NOTED = re.compile(r"FAILED\s{0,9}\[[^\]]{0,500}\]")
_CONTROL = dict.fromkeys(range(1, 32))
_SLUGIFY = re.compile(r"([a-zA-Z0-9_\-,.\s()']+)\s\.{3}\s(ok|FAIL|ERROR)$")
_GO = re.compile(r"--- (PASS|FAIL|SKIP): (.+) \(.+\)$")
_CARGO = re.compile(r"test\s+(\S+)\s+\.\.\.\s+(ok|FAILED|ignored)$")
_WORDS = {"ok": PASSED, "PASS": PASSED, "FAIL": FAILED, "FAILED": FAILED, "SKIP": SKIPPED, "ERROR": ERROR, "ignored": SKIPPED}


def _lines(log: str) -> Iterator[str]:
    return iter(log.split("\n"))


def _result(line: str) -> tuple[str, str] | None:
    """(test, status) of "PASSED test" or "test PASSED"; the summary "SKIPPED [2] file:line" names no test."""
    first = _STATUS_FIRST.match(line)
    if first:
        skipped = first[1] == SKIPPED and _COUNT.match(first[2])
        return None if skipped else (first[2], first[1])
    second = _TEST_FIRST.match(line)
    return (second[1], second[2]) if second else None


def parse_log_pytest(log: str) -> dict[str, str]:
    """Lines of ``pytest -rA`` ("PASSED id") and of ``pytest -v`` ("id PASSED"); the last one of a test counts."""
    return dict(found for line in _lines(log) if (found := _result(line)))


def parse_log_pytest_options(log: str) -> dict[str, str]:
    """As ``parse_log_pytest``; a parameter that is an absolute path is cut to its last part ("t[/a/b]" -> "t[/b]")."""
    return {_short_option(test): status for test, status in parse_log_pytest(log).items()}


def _short_option(test: str) -> str:
    head, bracket, rest = test.partition("[")
    option, closed, _ = rest.rpartition("]")
    if not bracket or not closed:
        return test
    if option.startswith("/") and not option.startswith("//") and "*" not in option:
        option = "/" + option.rsplit("/", 1)[1]
    return f"{head}[{option}]"


def parse_log_pytest_v2(log: str) -> dict[str, str]:
    """As ``parse_log_pytest``, after colours and control characters are taken out."""
    return dict(found for line in _lines(log) if (found := _result(_plain(line))))


def _plain(line: str) -> str:
    return _COLOUR.sub("", line).translate(_CONTROL)


def parse_log_pytest_pydantic(log: str) -> dict[str, str]:
    """As ``parse_log_pytest_v2``; "FAILED [note] id" is read too."""
    return dict(found for line in _lines(log) if (found := _result(_NOTED.sub(FAILED, _plain(line)))))


def parse_log_matplotlib(log: str) -> dict[str, str]:
    """Lines that begin with a status; mouse buttons in parameters are written as numbers."""
    found: dict[str, str] = {}
    for line in _lines(log):
        words = line.replace("MouseButton.LEFT", "1").replace("MouseButton.RIGHT", "3").split()
        if len(words) > 1 and words[0] in READ and line.startswith(words[0]):
            found[words[1]] = words[0]
    return found


def parse_log_seaborn(log: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _lines(log):
        words = line.split()
        if len(words) < 2:
            continue
        if line.startswith((FAILED, PASSED)) and words[0] in (FAILED, PASSED):
            found[words[1]] = words[0]
        elif words[1] == PASSED:
            found[words[0]] = PASSED
    return found


def parse_log_sympy(log: str) -> dict[str, str]:
    """Lines of ``bin/test --verbose`` ("test_x ok", "test_x F"), and headings "____ file.py:test_x ____" of failures."""
    found: dict[str, str] = {}
    for line in _lines(log):
        words = line.split() if line.startswith("_") and ".py:" in line else []
        if len(words) > 2:
            found[" ".join(words[1:-1])] = FAILED
    for line in map(str.strip, _lines(log)):
        words = line.split()
        if line.startswith("test_") and len(words) > 1 and words[-1] in ("E", "F", "ok"):
            found[words[0]] = {"E": ERROR, "F": FAILED, "ok": PASSED}[words[-1]]
    return found


def parse_log_django(log: str) -> dict[str, str]:
    """Lines of Django's runner at verbosity 2: "test_x (module.Class) ... ok". What a test prints may come before its "ok"."""
    found: dict[str, str] = {}
    previous: str | None = None
    for line in map(str.strip, _lines(log)):
        if "--version is equivalent to version" in line:
            found["--version is equivalent to version"] = PASSED
        if " ... " in line:
            previous = line.split(" ... ")[0]
        for suffix in (" ... ok", " ... OK", " ...  OK"):
            if line.endswith(suffix):
                whole = line.startswith("Applying sites.0002_alter_domain_unique...test_no_migrations")
                found[(line.split("...", 1)[-1].strip() if whole else line).rsplit(suffix, 1)[0]] = PASSED
                break
        if " ... skipped" in line:
            found[line.split(" ... skipped")[0]] = SKIPPED
        for word, status in (("FAIL", FAILED), ("ERROR", ERROR)):
            if line.endswith(f" ... {word}"):
                found[line.split(f" ... {word}")[0]] = status
            if line.startswith(f"{word}:") and len(line.split()) > 1:
                found[line.split()[1]] = status
        if line.startswith("ok") and previous is not None:
            found[previous] = PASSED
    return found


def parse_log_smith(log: str) -> dict[str, str]:
    """SWE-smith's rule for ``pytest --verbose``: only "id STATUS"."""
    return {m[1]: m[2] for line in _lines(log) if (m := _SMITH.match(line))}


def parse_log_mypy(log: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _lines(log):
        status = next((s for s in (PASSED, FAILED) if s in line), None)
        if status and line.split():
            found[line.split()[-1]] = status
    return found


def parse_log_python_slugify(log: str) -> dict[str, str]:
    return {m[1]: _WORDS[m[2]] for line in _lines(log) if len(line) < 1000 and (m := _SLUGIFY.match(line))}


def parse_log_tornado(log: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _lines(log):
        if line.endswith("... ok"):
            found[line.split(" ... ")[0]] = PASSED
        elif " ... skipped " in line:
            found[line.split(" ... ")[0]] = SKIPPED
        elif line.startswith(("ERROR:", "FAIL:")):
            found[" ".join(line.split()[1:3])] = FAILED
    return found


def parse_log_paramiko(log: str) -> dict[str, str]:
    return {m[2]: m[1] for line in _lines(log) if (m := _STATUS_FIRST.match(line))}


def parse_log_autograd(log: str) -> dict[str, str]:
    """pytest-xdist: "[gw0] PASSED id"."""
    return {m[2]: m[1] for line in _lines(log) if (m := _WORKER.match(line))}


def parse_log_gotest(log: str) -> dict[str, str]:
    return {m[2]: _WORDS[m[1]] for line in _lines(log) if len(line) < 4000 and (m := _GO.match(line.strip()))}


def parse_log_cargo(log: str) -> dict[str, str]:
    return {m[1]: _WORDS[m[2]] for line in _lines(log) if (m := _CARGO.match(line.strip()))}


def parse_log_r2e(log: str) -> dict[str, str]:
    """R2E-Gym's rule: the first "short test summary info", of each line what follows the file, joined by "."; colours taken out."""
    sections = _FULL_COLOUR.sub("", log).replace("\r", "").split("short test summary info")
    found: dict[str, str] = {}
    for line in _lines(sections[1].strip() if len(sections) > 1 else ""):
        status = next((s for s in (PASSED, FAILED, ERROR) if s in line), None)
        if status:
            found[".".join(line.split("::")[1:]).split(" - ")[0]] = status
    return found


PARSERS: dict[str, Parser] = {
    f.__name__: f
    for f in (
        *(parse_log_pytest, parse_log_pytest_options, parse_log_pytest_v2, parse_log_pytest_pydantic, parse_log_matplotlib),
        *(parse_log_seaborn, parse_log_sympy, parse_log_django, parse_log_smith, parse_log_mypy, parse_log_python_slugify),
        *(parse_log_tornado, parse_log_paramiko, parse_log_autograd, parse_log_gotest, parse_log_cargo, parse_log_r2e),
    )
}
"""By the name that rows give as ``log_parser``; a further one may be put in, for a language of one's own."""
_V2, _OPTIONS, _PLAIN = "parse_log_pytest_v2", "parse_log_pytest_options", "parse_log_pytest"
_ALIASES = {
    **dict.fromkeys(("astropy", "scikit", "sphinx"), _V2),
    **dict.fromkeys(("pydicom", "requests", "pylint"), _OPTIONS),
    **dict.fromkeys(("astroid", "flask", "marshmallow", "pvlib", "pyvista", "sqlfluff", "xarray"), _PLAIN),
}
REPOSITORIES: Mapping[str, str] = {
    "astropy/astropy": _V2,
    "scikit-learn/scikit-learn": _V2,
    "sphinx-doc/sphinx": _V2,
    "psf/requests": _OPTIONS,
    "pydicom/pydicom": _OPTIONS,
    "pylint-dev/pylint": _OPTIONS,
    "django/django": "parse_log_django",
    "matplotlib/matplotlib": "parse_log_matplotlib",
    "mwaskom/seaborn": "parse_log_seaborn",
    "sympy/sympy": "parse_log_sympy",
    "pydantic/pydantic": "parse_log_pytest_pydantic",
    **dict.fromkeys(
        (
            *("marshmallow-code/marshmallow", "pallets/flask", "pvlib/pvlib-python", "pydata/xarray", "pylint-dev/astroid"),
            *("pytest-dev/pytest", "pyvista/pyvista", "sqlfluff/sqlfluff", "python/mypy", "getmoto/moto", "conan-io/conan"),
            *("modin-project/modin", "project-monai/monai", "iterative/dvc", "dask/dask", "bokeh/bokeh", "pandas-dev/pandas"),
            "facebookresearch/hydra",
        ),
        _PLAIN,
    ),
}
"""SWE-bench's and SWE-Gym's repositories, in lower case."""


def parser_name(repo: str, given: str = "") -> str:
    """The parser of a row: the one it names, else that of its repository. Raises ``ValueError`` naming the parsers there are."""
    name = given or REPOSITORIES.get(repo.lower(), "")
    name = _ALIASES.get(name.removeprefix("parse_log_"), name)
    if name in PARSERS:
        return name
    if given:
        close = difflib.get_close_matches(given, PARSERS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no log parser {given!r}; there are {', '.join(PARSERS)}.{hint}")
    raise ValueError(f"no log parser is known for the repository {repo!r}; name one in the row as 'log_parser': {', '.join(PARSERS)}")


def parse(name: str, log: str) -> dict[str, str]:
    """What the parser ``name`` reads in a log. Raises ``ValueError`` for an unknown name only."""
    return PARSERS[parser_name("", name)](log)
