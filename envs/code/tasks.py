"""Task sets of ``turnwise/Code-v0``: procedural problems, rows of a JSONL file, data sets of reasoning-gym, programs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from ...records import Json, Message, Task
from ..base import Rng
from ..tasks import ListTaskSet, Split, SplitType, TaskSet
from .answers import boxed, hashed, number
from .mathematics import MATHEMATICS
from .problem import Problem
from .programs import TEMPLATES, make_program
from .tables import TABLES

ENV_ID = "turnwise/Code-v0"
SPLITS: tuple[SplitType, ...] = ("train", "validation", "test")
Holdout: TypeAlias = Literal["seed", "template"]
HELD_OUT = ("divisor_sum", "lattice_paths", "recurrence", "best_average", "pair_count")
"""Templates that ``holdout="template"`` keeps for the test split."""
HELD_OUT_PROGRAMS = ("brackets", "multiples")
_SPREAD = 10_000_019
"""reasoning-gym draws entry i of seed s from s + i, so seeds of splits lie further apart than a data set is long."""
FAMILIES = {**MATHEMATICS, **TABLES}


def _rng(*words: int) -> Rng:
    return np.random.default_rng(np.random.SeedSequence(words))


def _ask(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


class _Made(TaskSet):
    """``count`` tasks a split, of templates in turn; splits differ in their seeds, or with ``holdout="template"`` in their templates."""

    def __init__(self, names: tuple[str, ...], held_out: tuple[str, ...], count: int, holdout: Holdout) -> None:
        if count < 1:
            raise ValueError(f"count is {count}; it must be at least 1")
        if holdout not in ("seed", "template"):
            raise ValueError(f"holdout is {holdout!r}; allowed: 'seed', 'template'")
        kept = tuple(name for name in names if name not in held_out)
        apart = {"train": kept, "validation": kept, "test": held_out}
        self.templates: Mapping[str, tuple[str, ...]] = apart if holdout == "template" else dict.fromkeys(SPLITS, names)
        self.count = count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def drawn(self, split: str, index: int) -> tuple[str, tuple[int, ...]]:
        """Template and seed of a task."""
        self.check_index(split, index)
        names = self.templates[split]
        name = names[index % len(names)]
        return name, (SPLITS.index(cast("SplitType", split)), index, *name.encode())


class Procedural(_Made):
    """Problems of the templates in mathematics.py and tables.py."""

    def __init__(self, count: int = 1000, holdout: Holdout = "seed") -> None:
        super().__init__(tuple(FAMILIES), HELD_OUT, count, holdout)

    def get_task(self, split: str, index: int) -> Task:
        name, seed = self.drawn(split, index)
        problem = FAMILIES[name](_rng(*seed, 0))
        attempt = 0
        while guessable(problem) or home(problem.question, *problem.files.values()) != split:
            attempt += 1
            problem = FAMILIES[name](_rng(*seed, attempt))
        files = f"\n\nFiles in the working folder: {', '.join(problem.files)}." if problem.files else ""
        data: dict[str, Any] = {"kind": "answer", "answer": problem.answer, "gold": problem.gold, "files": dict(problem.files)}
        return Task(id=f"{split}-{index}-{name}", env_id=ENV_ID, split=split, prompt=_ask(problem.question + files), data=data)


def home(*texts: str) -> SplitType:
    """The only split that may hold a problem: by the sha256 of its question and files, so that no problem is in two."""
    digest = hashlib.sha256("\0".join(texts).encode()).digest()
    return SPLITS[int.from_bytes(digest[:8], "big") % len(SPLITS)]


def guessable(problem: Problem) -> bool:
    """The answer is short, or is a number that the question names."""
    value = number(problem.answer)
    named = re.findall(r"-?\d+", problem.question)
    return len(problem.answer) < 3 or (value is not None and any(value == int(word) for word in named))


class Programs(_Made):
    """Problems of the templates in programs.py, to be solved in one language."""

    def __init__(self, language: str, count: int = 1000, holdout: Holdout = "seed") -> None:
        super().__init__(tuple(TEMPLATES), HELD_OUT_PROGRAMS, count, holdout)
        self.language = language

    def get_task(self, split: str, index: int) -> Task:
        name, seed = self.drawn(split, index)
        program = make_program(name, _rng(*seed, 0))
        attempt = 0
        while home(program.statement, program.example[0]) != split:
            attempt += 1
            program = make_program(name, _rng(*seed, attempt))
        sample, wanted = program.example
        text = f"{program.statement}\n\nExample input:\n{sample}\nExample output:\n{wanted}".rstrip()
        text = f"Write a program in {self.language}.\n\n{text}"
        gold = program.gold.get(self.language, "")
        data: dict[str, Any] = {
            "kind": "program",
            "cases": [list(c) for c in program.cases],
            "example": list(program.example),
            "gold": gold,
        }
        return Task(id=f"{split}-{index}-{name}", env_id=ENV_ID, split=split, prompt=_ask(text), data=data)


def from_jsonl(path: str | Path) -> TaskSet:
    """Tasks of a JSONL file: ``{"question", "answer"}`` with GSM8K's ``#### 42`` (or the bare answer), ``{"problem", "solution"}`` with
    MATH's ``\\boxed{}``, or ``{"question", "tests": [{"stdin", "stdout"}, ...]}`` for programs.

    A row's "split" (train, validation, test) says where it goes; without one, one in ten goes to test and one to validation, by the
    sha256 of the question, so that equal questions never part. Raises ``ValueError`` with file and line for any other row.
    """
    splits: dict[SplitType, list[Task]] = {name: [] for name in SPLITS}
    seen: set[str] = set()
    for place, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {place}"
        question, data, split = _row(line, where)
        if question not in seen:
            seen.add(question)
            splits[split].append(Task(id=f"row-{place}", env_id=ENV_ID, split=split, prompt=_ask(question), data=data))
    if not seen:
        raise ValueError(f"{path} has no rows")
    return ListTaskSet({name: (name, tasks) for name, tasks in splits.items()})


def _row(line: str, where: str) -> tuple[str, dict[str, Any], SplitType]:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}") from error
    row = cast("dict[str, Json]", given if isinstance(given, dict) else {})
    question = row.get("question", row.get("problem"))
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"{where}: a row needs the text 'question' or 'problem'; it has {sorted(row)}")
    given_split = row.get("split")
    if given_split not in (None, *SPLITS):
        raise ValueError(f"{where}: split is {given_split!r}; allowed: {', '.join(SPLITS)}")
    share = int(hashlib.sha256(question.encode("utf-8", "replace")).hexdigest(), 16) % 10
    split: SplitType = given_split or ("test" if share == 0 else "validation" if share == 1 else "train")
    if "tests" in row:
        cases = _cases(row["tests"], where)
        return question, {"kind": "program", "cases": cases, "example": cases[0], "gold": ""}, split
    solution = row.get("answer", row.get("solution"))
    text = str(solution) if isinstance(solution, str | int | float) and not isinstance(solution, bool) else ""
    answer = hashed(text) or boxed(text) or ("" if "solution" in row and "answer" not in row else text.strip())
    if not answer:
        raise ValueError(f"{where}: there is no answer; write '#### 42' in 'answer', \\boxed{{42}} in 'solution', or the bare answer")
    return question, {"kind": "answer", "answer": answer, "gold": f"print({answer!r})", "files": {}}, split


def _cases(tests: Json, where: str) -> list[list[str]]:
    cases: list[list[str]] = []
    for test in tests if isinstance(tests, list) else []:
        if not isinstance(test, dict) or not isinstance(test.get("stdin"), str) or not isinstance(test.get("stdout"), str):
            raise ValueError(f"{where}: a test is {{'stdin': text, 'stdout': text}}")
        cases.append([str(test["stdin"]), str(test["stdout"])])
    if not cases:
        raise ValueError(f"{where}: 'tests' is a list of at least one {{'stdin', 'stdout'}}")
    return cases


class ReasoningGym(TaskSet):
    """A data set of reasoning-gym (arXiv 2505.24760), scored by its own scorer. A question that an earlier split has is left out.

    Raises ``ImportError`` where the package is missing, ``ValueError`` for a data set it does not have.
    """

    def __init__(self, name: str, count: int = 1000) -> None:
        create = _reasoning_gym(name)
        self.name = name
        self._tasks: dict[SplitType, list[Task]] = {split: [] for split in SPLITS}
        seen: set[str] = set()
        for number_, split in enumerate(SPLITS):
            entries = create(size=2 * count, seed=_SPREAD * number_)
            for index in range(2 * count):
                entry = entries[index]
                question = str(entry["question"])
                if question not in seen and len(self._tasks[split]) < count:
                    seen.add(question)
                    self._tasks[split].append(self._task(split, index, question, str(entry["answer"]), _SPREAD * number_, 2 * count))

    def _task(self, split: SplitType, index: int, question: str, answer: str, seed: int, size: int) -> Task:
        data: dict[str, Any] = {"kind": "reasoning_gym", "answer": answer, "gold": f"print({answer!r})", "files": {}}
        data.update(dataset=self.name, dataset_seed=seed, dataset_size=size, dataset_index=index)
        return Task(id=f"{split}-{index}-{self.name}", env_id=ENV_ID, split=split, prompt=_ask(question), data=data)

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=len(tasks)) for name, tasks in self._tasks.items()]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        return self._tasks[cast("SplitType", split)][index]


def reasoning_gym_score(data: Mapping[str, Any], answer: str) -> float:
    """What the data set's own scorer says of ``answer``, in 0..1."""
    entries = _reasoning_gym(str(data["dataset"]))(size=int(data["dataset_size"]), seed=int(data["dataset_seed"]))
    return min(1.0, max(0.0, float(entries.score_answer(answer, entries[int(data["dataset_index"])]))))


def _reasoning_gym(name: str) -> Callable[..., Any]:
    """The data set's constructor."""
    try:
        import reasoning_gym  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
        from reasoning_gym.factory import DATASETS  # pyright: ignore
    except ImportError as error:
        raise ImportError("tasks of reasoning-gym need it; pip install 'turnwise[reasoning]'") from error
    known = cast("Mapping[str, Any]", DATASETS)
    if name not in known:
        raise ValueError(f"reasoning-gym has no data set {name!r}; it has: {', '.join(sorted(known))}")
    library: Any = reasoning_gym

    def create(size: int, seed: int) -> Any:
        return library.create_dataset(name, size=size, seed=seed)

    return create
