"""Outside data sets as tasks: ``swe-bench:PATH_OR_HUB``, ``swe-gym:``, ``swe-smith:``, ``r2e-gym:``, ``swe-rebench:``, ``swe-rebench-v2:``.

    tasks = format_tasks("swe-bench:verified.jsonl")          # also .json, .parquet, a folder that ``datasets`` saved, a hub name
    tasks = format_tasks("swe-rebench:nebius/SWE-rebench#filtered")
    instance = load_image_instance(tasks.get_task("test", 0).data)

Splits: those of the data set, or of the rows' field ``split``; where there is none (or one was chosen with ``#``), by repository, so that
held-out repositories are unseen. A file of SWE-bench, which is made for tests only, is one test split.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ....records import Message, Task
from ...search.rows import BadRow, LoadReport, parsed
from ...search.rows import Row as Fields
from ...search.rows import read_rows as file_rows
from ...tasks import ListTaskSet, SplitType
from . import r2e, rebench, swebench, swesmith
from .instance import ImageInstance
from .spec import Spec

ENV_ID = "turnwise/SWE-v0"
KIND = "image"
SPLIT_TYPES: Mapping[str, SplitType] = {
    "train": "train",
    "filtered": "train",
    "dev": "validation",
    "validation": "validation",
    "valid": "validation",
    "test": "test",
    "lite": "test",
    "verified": "test",
}
"""What the names of splits mean; other names must be chosen with ``#``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A data set's form: the fields that are kept, how a row is read, whether all of it is for tests."""

    fields: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Spec]
    tests_only: bool = False


FORMATS: Mapping[str, Format] = {
    "swe-bench": Format(fields=swebench.FIELDS, read=swebench.read, tests_only=True),
    "swe-gym": Format(fields=swebench.FIELDS, read=swebench.read_gym),
    "swe-smith": Format(fields=swesmith.FIELDS, read=swesmith.read),
    "r2e-gym": Format(fields=r2e.FIELDS, read=r2e.read),
    "swe-rebench": Format(fields=rebench.FIELDS, read=rebench.read),
    "swe-rebench-v2": Format(fields=rebench.FIELDS, read=rebench.read_v2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row that was read: ``fields`` as the data set has them (those that are needed), ``spec`` what they mean, ``split`` its own."""

    fields: Mapping[str, Any]
    spec: Spec
    split: str


def read_rows(
    source: str | Path, format: str, *, skip_bad: bool = False, limit: int | None = None, report: LoadReport | None = None
) -> list[Row]:
    """The rows of a .json, .jsonl (also .gz) or .parquet file, of a folder that ``datasets`` saved, or of a hub name.

    ``SOURCE#NAME`` is one split of it. Raises ``ValueError`` with file, row and reason for a row that cannot be used, or counts it in
    ``report`` with ``skip_bad``; also for an instance that is there twice, and where no row is left. ``FileNotFoundError``: there is
    nothing at ``source``.
    """
    form = _format(format)
    report = report if report is not None else LoadReport(source=str(source))
    seen: set[tuple[str, str]] = set()

    def read(given: Fields) -> Row:
        split = given.get("split")
        own = split if isinstance(split, str) else ""
        fields = {name: given[name] for name in form.fields if given.get(name) is not None}
        spec = form.read(fields)
        if (own, spec.id) in seen:
            raise BadRow(f"the instance {spec.id!r} occurred before")
        seen.add((own, spec.id))
        if fields.pop("parsed_commit_content", None) is not None:  # whole files; the diff that was made of them is enough
            fields["patch"] = spec.patch
        return Row(fields=fields, spec=spec, split=own)

    rows: list[Row] = []
    for row in parsed(_given(source), read, report, skip_bad=skip_bad):
        rows.append(row)
        if limit is not None and len(rows) >= limit:
            break
    if not rows:
        raise ValueError(f"{source}: none of its {report.rows} rows is usable as {format}. {' '.join(report.reasons[:3])}".rstrip())
    return rows


class FormatTasks(ListTaskSet):
    """The tasks of one data set. ``report``: what was read and what was left out."""

    def __init__(self, source: str | Path, format: str, *, skip_bad: bool = False, limit: int | None = None) -> None:
        self.report = LoadReport(source=str(source))
        rows = read_rows(source, format, skip_bad=skip_bad, limit=limit, report=self.report)
        self.format = format
        chosen = "#" in str(source)
        if _format(format).tests_only:
            parts = _own_splits(rows, default="test", chosen=chosen)
        elif len({row.split for row in rows}) > 1:
            parts = _own_splits(rows, default="train", chosen=chosen)
        else:
            parts = by_repository(rows)
        super().__init__({name: (kind, [_task(row, format, name) for row in part]) for name, (kind, part) in parts.items()})


def format_tasks(spec: str, *, skip_bad: bool = False, limit: int | None = None) -> FormatTasks:
    """``"FORMAT:SOURCE"`` as tasks. Raises ``ValueError`` for an unknown format, and what ``read_rows`` does."""
    format, colon, source = spec.partition(":")
    if not colon or not source:
        raise ValueError(f"{spec!r} does not have the form FORMAT:PATH_OR_HUB; formats: {', '.join(FORMATS)}")
    _format(format)
    return FormatTasks(source, format, skip_bad=skip_bad, limit=limit)


def load_image_instance(data: Mapping[str, Any]) -> ImageInstance:
    """The instance of a task's data ``{"kind": "image", "format": ..., "row": {...}}``. Raises ``ValueError`` where it is not one."""
    if data.get("kind") != KIND:
        raise ValueError(f"the task's data is of kind {data.get('kind')!r}; this reads {KIND!r}")
    row = data.get("row")
    if not isinstance(row, Mapping):
        raise ValueError(f"the task's data has no 'row', an object; its keys are {', '.join(sorted(data))}")
    return ImageInstance(_format(str(data.get("format"))).read(cast("Mapping[str, Any]", row)))


def by_repository(rows: Sequence[Row]) -> dict[str, tuple[SplitType, list[Row]]]:
    """About a tenth of the repositories each for validation and test, at least one where there are three; with two, one is for tests.

    Which one, a hash of the name decides, so that the order of rows does not.
    """
    repos = sorted({row.spec.repo for row in rows}, key=lambda repo: hashlib.sha256(repo.encode()).hexdigest())
    held = max(1, len(repos) // 10) if len(repos) > 1 else 0
    test, validation = set(repos[:held]), set(repos[held : 2 * held]) if len(repos) > 2 else set[str]()
    kinds: dict[str, tuple[SplitType, list[Row]]] = {"train": ("train", []), "validation": ("validation", []), "test": ("test", [])}
    for row in rows:
        name = "test" if row.spec.repo in test else "validation" if row.spec.repo in validation else "train"
        kinds[name][1].append(row)
    return {name: part for name, part in kinds.items() if part[1]}


def _own_splits(rows: Sequence[Row], *, default: SplitType, chosen: bool) -> dict[str, tuple[SplitType, list[Row]]]:
    found: dict[str, tuple[SplitType, list[Row]]] = {}
    where: dict[str, str] = {}
    for row in rows:
        name = row.split or default
        kind = SPLIT_TYPES.get(name) or (default if chosen else None)
        if kind is None:
            raise ValueError(f"what the split {name!r} is for is not known; known: {', '.join(SPLIT_TYPES)}; choose one as SOURCE#{name}")
        if where.setdefault(row.spec.id, name) != name:
            first = where[row.spec.id]
            raise ValueError(f"{row.spec.id!r} is in the splits {first!r} and {name!r}; choose one, as SOURCE#{first} or SOURCE#{name}")
        found.setdefault(name, (kind, []))[1].append(row)
    return found


def _task(row: Row, format: str, split: str) -> Task:
    data = {"kind": KIND, "format": format, "row": dict(row.fields)}
    return Task(id=row.spec.id, env_id=ENV_ID, split=split, prompt=(Message(role="user", content=row.spec.statement),), data=data)


def _format(name: str) -> Format:
    if name not in FORMATS:
        close = difflib.get_close_matches(name, FORMATS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no data format {name!r}; allowed: {', '.join(FORMATS)}.{hint}")
    return FORMATS[name]


def _given(source: str | Path) -> Iterator[tuple[str, Fields | BadRow]]:
    """Rows with their place; those of a data set with splits get them as the field ``split``."""
    name, mark, chosen = str(source).partition("#")
    path = Path(name)
    if path.is_file():
        return ((where, row) for where, row in file_rows(path) if not mark or (isinstance(row, dict) and row.get("split") == chosen))
    is_hub_name = isinstance(source, str) and name.count("/") == 1 and path.suffix not in (".json", ".jsonl", ".parquet", ".gz")
    if not path.is_dir() and not is_hub_name:
        raise FileNotFoundError(f"there is no file or folder {name}, and a hub name has the form owner/name")
    return _from_datasets(path if path.is_dir() else name, chosen)


def _from_datasets(source: str | Path, chosen: str) -> Iterator[tuple[str, Fields | BadRow]]:
    try:
        import datasets
    except ImportError as error:
        raise ImportError(f"{source} is no file; folders and hub names need datasets: pip install 'turnwise[datasets]'") from error
    library = cast(Any, datasets)
    saved = isinstance(source, Path) and any((source / n).is_file() for n in ("dataset_dict.json", "state.json"))
    loaded = library.load_from_disk(str(source)) if saved else library.load_dataset(str(source))
    parts = dict(loaded) if isinstance(loaded, library.DatasetDict) else {"": loaded}
    if chosen and chosen not in parts:
        raise ValueError(f"{source} has no split {chosen!r}; it has {', '.join(filter(None, parts)) or 'none'}")
    for split, rows in parts.items():
        if chosen in ("", split):
            for number, row in enumerate(rows, 1):
                yield f"{source}[{split}]:row {number}", {**row, "split": split}
