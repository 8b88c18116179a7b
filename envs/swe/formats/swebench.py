"""SWE-bench, its subsets Lite and Verified, and SWE-Gym, which has the same fields.

Facts: swebench (commits 7a21e057, 096a15a9 for the test commands), SWE-Gym's fork of it, SkyRL's SWE-Gym subset (a9564572). A row may
bring ``image``, ``eval_script``, ``log_parser``, ``eval_type`` and ``test_cmd``; what it does not bring follows from its repository.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ...search.rows import BadRow
from .parsers import parser_name
from .patches import paths_of, touched
from .spec import ACTIVATE, Spec, both_lists, diff_field, optional, project_of, repository_of, text_field

FIELDS = (
    *("instance_id", "repo", "base_commit", "patch", "test_patch", "problem_statement", "version", "FAIL_TO_PASS", "PASS_TO_PASS"),
    *("image", "docker_image", "image_name", "eval_script", "log_parser", "eval_type", "test_cmd", "repository"),
)
"""What is kept of a row."""
TIMEOUT_S, SCRIPT_TIMEOUT_S = 1800.0, 3600.0
NO_TESTS = (".json", ".png", "csv", ".txt", ".md", ".jpg", ".jpeg", ".pkl", ".yml", ".yaml", ".toml")
"""Files of a test patch with these ends are no tests, so they are not given to the test command."""
_PYTEST, _XDIST = "pytest -rA", "pytest -n0 -rA"
_DJANGO = "./tests/runtests.py --verbosity 2"
_OLD_ASTROPY = "pytest -rA -vv -o console_output_style=classic --tb=no -p no:nose"
COMMANDS: Mapping[str, str] = {
    "django/django": f"{_DJANGO} --settings=test_sqlite --parallel 1",
    "sympy/sympy": "PYTHONWARNINGS='ignore::UserWarning,ignore::SyntaxWarning' bin/test -C --verbose",
    "sphinx-doc/sphinx": "tox --current-env -epy39 -v --",
    "mwaskom/seaborn": "pytest --no-header -rA",
    "getmoto/moto": _XDIST,
    "conan-io/conan": _XDIST,
    "modin-project/modin": _XDIST,
    "bokeh/bokeh": "pytest -rA -n0",
    "dask/dask": f"{_XDIST}  --color=no",
    "pydantic/pydantic": "pytest -rA --tb=short -vv -o console_output_style=classic --no-header",
    "pandas-dev/pandas": "pytest -rA --tb=long",
    "facebookresearch/hydra": "pytest -rA --tb=long",
    **dict.fromkeys(
        (
            *("astropy/astropy", "matplotlib/matplotlib", "pallets/flask", "psf/requests", "pydata/xarray", "pylint-dev/pylint"),
            *("pytest-dev/pytest", "scikit-learn/scikit-learn", "marshmallow-code/marshmallow", "pvlib/pvlib-python", "pyvista/pyvista"),
            *("pydicom/pydicom", "pylint-dev/astroid", "sqlfluff/sqlfluff", "project-monai/monai", "iterative/dvc"),
        ),
        _PYTEST,
    ),
}
_VERSIONS: Mapping[tuple[str, str], str] = {
    ("django/django", "1.9"): _DJANGO,
    **{("astropy/astropy", version): _OLD_ASTROPY for version in ("0.1", "0.2", "0.3", "0.4", "1.1", "1.2", "1.3")},
}
_BUILT = "python -m pip install --no-index --no-deps --no-build-isolation -e ."
_BEFORE: Mapping[str, tuple[str, ...]] = {
    "django/django": (
        "export LANG=en_US.UTF-8 LC_ALL=en_US.UTF-8 LANGUAGE=en_US:en PYTHONIOENCODING=utf8",
        "grep -qs en_US.UTF-8 /etc/locale.gen && sed -i '/en_US.UTF-8/s/^# //g' /etc/locale.gen && locale-gen",
    ),
    "conan-io/conan": ('export PYTHONPATH="${PYTHONPATH:-}:$(pwd)"',),
    **dict.fromkeys(("scikit-learn/scikit-learn", "astropy/astropy", "matplotlib/matplotlib"), (_BUILT,)),
}
"""What upstream does before the tests: locales; and building again what is compiled, here without the network."""


def image_name(id: str) -> str:
    """``swebench/sweb.eval.x86_64.<id in lower case, "__" as "_1776_">:latest``."""
    return f"swebench/sweb.eval.x86_64.{id.lower().replace('__', '_1776_')}:latest"


def gym_image_name(id: str) -> str:
    """``docker.io/xingyaoww/sweb.eval.x86_64.<id in lower case, "__" as "_s_">:latest``."""
    return f"docker.io/xingyaoww/sweb.eval.x86_64.{id.lower().replace('__', '_s_')}:latest"


def read(row: Mapping[str, Any]) -> Spec:
    """A row of SWE-bench. Raises ``BadRow``."""
    kind = optional(row, "eval_type") or "pass_and_fail"
    rules = {"pass_and_fail": "swe-bench", "fail_only": "fail-only"}
    if kind not in rules:
        raise BadRow(f"'eval_type' is {kind!r}; allowed: {', '.join(rules)}")
    return like_swebench(row, format="swe-bench", image=image_name, rule=rules[kind])


def read_gym(row: Mapping[str, Any]) -> Spec:
    """A row of SWE-Gym. With an ``eval_script``, as SkyRL's subset has it, the exit code of that script decides."""
    rule = "exit-code" if optional(row, "eval_script") else "swe-bench"
    return like_swebench(row, format="swe-gym", image=gym_image_name, rule=rule)


def like_swebench(row: Mapping[str, Any], *, format: str, image: Any, rule: str) -> Spec:
    """What SWE-bench, SWE-Gym and SWE-rebench V1 have in common."""
    given, id, repo = dict(row), text_field(dict(row), "instance_id"), project_of(row)
    first, second = both_lists(row)
    test_patch, script = diff_field(row, "test_patch"), optional(row, "eval_script")
    try:
        parser = parser_name(repo, optional(row, "log_parser"))
        command = "" if script else command_of(repo, optional(row, "version"), test_patch, optional(row, "test_cmd"))
    except ValueError as error:
        raise BadRow(str(error)) from None
    return Spec(
        format=format,
        id=id,
        repo=repo,
        statement=text_field(given, "problem_statement"),
        image=optional(row, "image", "docker_image", "image_name") or image(id),
        parser=parser,
        rule=rule,
        base_commit=text_field(given, "base_commit"),
        patch=diff_field(row, "patch"),
        test_patch=test_patch,
        fail_to_pass=first,
        pass_to_pass=second,
        prepare=() if script else (ACTIVATE, *_BEFORE.get(repo.lower(), ())),
        command=command,
        eval_script=script,
        timeout_s=SCRIPT_TIMEOUT_S if script else TIMEOUT_S,
        repository=repository_of(row),
    )


def command_of(repo: str, version: str, test_patch: str, given: str = "") -> str:
    """The test command with its files, or "mypy" cases. Raises ``ValueError`` for a repository whose command is not known."""
    name = repo.lower()
    if name == "python/mypy" and not given:
        cases = re.findall(r"\[case ([^\]\n]+)\]", test_patch)
        return f"{_XDIST} -k {shlex.quote(' or '.join(cases))}" if cases else shlex.join([*_XDIST.split(), *directives(name, test_patch)])
    command = given or _VERSIONS.get((name, version), COMMANDS.get(name, ""))
    if not command:
        known = ", ".join(sorted(COMMANDS))
        raise ValueError(f"no test command is known for the repository {repo!r}; give 'eval_script' or 'test_cmd'; known: {known}")
    return " ".join([command, *map(shlex.quote, directives(name, test_patch))])


def directives(repo: str, test_patch: str) -> list[str]:
    """What of a test patch is given to the test command: its files; for Django, its modules."""
    files = [t.new for t in touched(test_patch) if t.new and not t.new.endswith(NO_TESTS)]
    if repo.lower() != "django/django":
        return files
    return [file.removesuffix(".py").removeprefix("tests/").replace("/", ".") for file in files if _django_test(file)]


def _django_test(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name == "tests.py" or name.startswith("test_") or "/tests/" in path or "/test_" in path


def test_files(test_patch: str) -> Sequence[str]:
    """All files that a test patch touches."""
    before, added = paths_of(test_patch)
    return sorted({*before, *added})
