"""Public question-answering data sets as tasks, from a file, a folder or the Hugging Face hub.

    tasks, report = load_tasks("hotpot_dev_distractor_v1.json", format="hotpotqa", split="validation")
    tasks, report = load_tasks("hotpotqa/hotpot_qa", format="hotpotqa", config="distractor", source_split="validation")

Formats: ``hotpotqa`` and ``2wiki`` (their own JSON and the hub's form), ``musique`` (JSON lines), ``bamboogle``, ``qa``
(NQ, TriviaQA and others in FlashRAG's form ``question`` + ``golden_answers``, NQ-open's ``answer`` list, or TriviaQA's
``answer`` with aliases) and ``search-r1`` (rows of its parquet files).

``Task.data``: ``question``, ``answers``, ``kind`` (the data set's own type of question), and ``hops`` as far as the data
tells them: ``query``, ``title`` and ``passage`` of the gold passage, ``answer``, ``entity``, ``relation``.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ...records import ROLES, Message, Role, Task
from .corpora import from_contents
from .questions import ENV_ID
from .retrieval import Passage
from .rows import BadRow, LoadReport, Row, parsed, read_rows, text_field


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row, read. ``prompt`` is given when the row brings instructions of its own."""

    question: str
    answers: tuple[str, ...]
    id: str = ""
    kind: str = "question"
    hops: tuple[dict[str, str], ...] = ()
    passages: tuple[Passage, ...] = ()
    prompt: tuple[Message, ...] = ()


def load_tasks(
    source: str | Path,
    *,
    format: str,
    split: str = "train",
    skip_bad: bool = False,
    config: str | None = None,
    source_split: str | None = None,
    limit: int | None = None,
    passages: dict[str, Passage] | None = None,
) -> tuple[list[Task], LoadReport]:
    """Tasks of ``split`` and a report of what was read.

    ``source``: a .json, .jsonl (also .gz) or .parquet file; a folder that ``datasets`` saved or can load; or a hub name,
    whose ``config`` and ``source_split`` (default: ``split``) are loaded (extra ``datasets``). ``limit``: the first so many
    rows. ``passages`` collects the paragraphs that come with the questions, by id; without it hops name their gold
    passages by title only, as the questions will be asked over another corpus.
    Raises ``ValueError`` with file, line and reason for a malformed row, or counts it with ``skip_bad``; also when no row
    is usable. ``FileNotFoundError`` if nothing is there.
    """
    if format not in FORMATS:
        close = difflib.get_close_matches(format, FORMATS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no data format {format!r}; allowed: {', '.join(FORMATS)}.{hint}")
    report = LoadReport(source=str(source))
    rows = islice(_rows(source, config, source_split or split), limit)
    seen: set[str] = set()

    def read(row: Row) -> Task:
        example = FORMATS[format](row)
        id = example.id or f"{format}-{split}-{report.rows - 1}"
        if id in seen:
            raise BadRow(f"the id {id!r} occurred before")
        try:
            task = _task(example, id, split, own_passages=passages is not None)
        except ValueError as error:
            raise BadRow(str(error)) from None
        seen.add(id)
        if passages is not None:
            passages.update((p.id, p) for p in example.passages)
        return task

    tasks = list(parsed(rows, read, report, skip_bad=skip_bad))
    if not tasks:
        raise ValueError(f"{source}: none of its {report.rows} rows is usable as {format}. {' '.join(report.reasons[:3])}".rstrip())
    return tasks, report


def _task(example: Example, id: str, split: str, *, own_passages: bool) -> Task:
    hops = [h if own_passages else {k: v for k, v in h.items() if k != "passage"} for h in example.hops]
    data: dict[str, Any] = {"question": example.question, "answers": list(example.answers), "kind": example.kind, "hops": hops}
    if example.prompt:
        data["instructed"] = True
    prompt = example.prompt or (Message(role="user", content=example.question),)
    return Task(id=id, env_id=ENV_ID, split=split, prompt=prompt, data=data)


def _rows(source: str | Path, config: str | None, split: str) -> Iterator[tuple[str, Row | BadRow]]:
    path = Path(source)
    if path.is_file():
        return read_rows(path)
    is_hub_name = isinstance(source, str) and source.count("/") <= 1 and path.suffix not in (".json", ".jsonl", ".parquet", ".gz")
    if not path.is_dir() and not is_hub_name:
        raise FileNotFoundError(f"there is no file or folder {source}, and a hub name has the form owner/name")
    return _from_datasets(path if path.is_dir() else str(source), config, split)


def _from_datasets(source: str | Path, config: str | None, split: str) -> Iterator[tuple[str, Row | BadRow]]:
    try:
        import datasets
    except ImportError as error:
        raise ImportError(f"{source} is no file; folders and hub names need datasets: pip install 'turnwise[datasets]'") from error
    library = cast(Any, datasets)
    saved = isinstance(source, Path) and any((source / n).is_file() for n in ("dataset_dict.json", "state.json"))
    loaded = library.load_from_disk(str(source)) if saved else library.load_dataset(str(source), config)
    if isinstance(loaded, library.DatasetDict):
        if split not in loaded:
            raise ValueError(f"{source} has no split {split!r}; it has {', '.join(map(str, loaded))} (name one as source_split)")
        loaded = loaded[split]
    return ((f"{source}[{split}]:row {number}", cast(Row, row)) for number, row in enumerate(loaded, 1))


# ---- what the formats have in common ------------------------------------------------------------------------------


def _dict(value: object) -> Row:
    """``value`` if it is an object, else an empty one."""
    return cast(Row, value) if isinstance(value, dict) else {}


def _list(value: object, name: str) -> list[Any]:
    """``value`` as a list; None is an empty one; a JSON text (some hub copies hold those) is read."""
    if isinstance(value, str):
        try:
            value = cast(object, json.loads(value))
        except (ValueError, RecursionError):
            raise BadRow(f"{name!r} is a text that is not JSON") from None
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise BadRow(f"{name!r} is {str(value)[:80]!r}; it must be a list")
    return list(cast("Sequence[Any]", value))


def _texts(value: object, name: str) -> list[str]:
    items = list(cast("Sequence[object]", value)) if isinstance(value, list | tuple) else [None]
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise BadRow(f"{name!r} holds {str(cast(object, value))[:80]!r}, which is not a list of texts")
    return texts


def _answers(value: object, name: str) -> tuple[str, ...]:
    """Gold alternatives: a text, a list of texts, or TriviaQA's {value, aliases}; doubles and blanks are left out."""
    if isinstance(value, dict):
        given = _dict(cast(object, value))
        value = [given.get("value"), *_list(given.get("aliases"), name)]
    items = [value] if isinstance(value, str) else _texts(value, name)
    found = tuple(dict.fromkeys(text for item in items if (text := item.strip())))
    if not found:
        raise BadRow(f"{name!r} holds no answer")
    return found


def _id(row: Row) -> str:
    value = row.get("_id", row.get("id", ""))
    return str(value) if isinstance(value, str | int) else ""


def _passage(title: str, text: str) -> Passage:
    """A paragraph that came with a question; equal ones have equal ids."""
    title = " ".join(title.split())
    data = f"{title}\n{text}".encode("utf-8", "replace")
    return from_contents(hashlib.sha256(data).hexdigest()[:16], data.decode())


def _pairs(value: object, name: str, first: str, second: str) -> list[tuple[str, Any]]:
    """[[title, b], ...] as in the original files, or {first: [title, ...], second: [b, ...]} as on the hub."""
    if isinstance(value, dict):
        columns = _dict(cast(object, value))
        left, right = _list(columns.get(first), name), _list(columns.get(second), name)
        if len(left) != len(right):
            raise BadRow(f"{name!r} has {len(left)} {first!r} but {len(right)} {second!r}")
        pairs: list[Any] = list(zip(left, right, strict=True))
    else:
        pairs = _list(value, name)
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(cast("Sequence[Any]", pair)) != 2 or not isinstance(pair[0], str):
            raise BadRow(f"{name!r} holds {str(cast(object, pair))[:80]!r}, which is not a pair that begins with a title")
    return [(pair[0], pair[1]) for pair in pairs]


def _hop(titles: dict[str, Passage], title: str, **more: str) -> dict[str, str]:
    title = " ".join(title.split())
    own = {"passage": titles[title].id} if title in titles else {}
    return {"query": title, "title": title, **own, **more}


# ---- the formats --------------------------------------------------------------------------------------------------


def _hotpot(row: Row) -> Example:
    context = _pairs(row.get("context"), "context", "title", "sentences")
    passages = tuple(_passage(t, "".join(_texts(sentences, "context"))) for t, sentences in context)
    titles = {p.title: p for p in passages}
    facts = dict.fromkeys(title for title, _ in _pairs(row.get("supporting_facts"), "supporting_facts", "title", "sent_id"))
    return Example(
        id=_id(row),
        question=text_field(row, "question"),
        answers=_answers(row.get("answer"), "answer"),
        kind=str(row.get("type") or "question"),
        hops=tuple(_hop(titles, title) for title in facts),
        passages=tuple(p for p in passages if p.text.strip()),
    )


def _two_wiki(row: Row) -> Example:
    """HotpotQA's form plus ``evidences``, triples that spell the hops out: [subject, relation, object]."""
    example = _hotpot(row)
    titles = {p.title: p for p in example.passages}
    hops: list[dict[str, str]] = []
    for triple in _list(row.get("evidences"), "evidences"):
        hub = _dict(triple)
        parts = _texts([hub.get(k) for k in ("fact", "relation", "entity")] if hub else triple, "evidences")
        if len(parts) != 3:
            raise BadRow(f"'evidences' holds {parts}, which is not [subject, relation, object]")
        subject, relation, value = parts
        hops.append(_hop(titles, subject, query=f"{relation} of {subject}", entity=subject, relation=relation, answer=value))
    return replace(example, hops=tuple(hops) or example.hops)


def _musique(row: Row) -> Example:
    if row.get("answerable") is False:
        raise BadRow("it is marked as not answerable (MuSiQue-Full); such a question has no gold answer to be scored by")
    paragraphs = [_dict(p) for p in _list(row.get("paragraphs"), "paragraphs")]
    passages = [_passage(text_field(p, "title", empty=True), text_field(p, "paragraph_text")) for p in paragraphs]
    by_index = {str(p.get("idx", i)): passage for i, (p, passage) in enumerate(zip(paragraphs, passages, strict=True))}
    hops: list[dict[str, str]] = []
    for step in _list(row.get("question_decomposition"), "question_decomposition"):
        query, answer = text_field(_dict(step), "question"), text_field(_dict(step), "answer")
        for number in range(len(hops), 0, -1):  # "#1" stands for the answer of the first step; "#12" before "#1"
            query = query.replace(f"#{number}", hops[number - 1]["answer"])
        gold = by_index.get(str(step.get("paragraph_support_idx")))
        hops.append({"query": query, "answer": answer} | ({"title": gold.title, "passage": gold.id} if gold else {}))
    if not hops:
        gold_passages = [passage for p, passage in zip(paragraphs, passages, strict=True) if p.get("is_supporting") is True]
        hops = [{"query": p.title, "title": p.title, "passage": p.id} for p in gold_passages]
    aliases = _texts(row.get("answer_aliases") or [], "answer_aliases")
    return Example(
        id=_id(row),
        question=text_field(row, "question"),
        answers=_answers([text_field(row, "answer"), *aliases], "answer"),
        kind=f"chain{len(hops)}" if hops else "question",
        hops=tuple(hops),
        passages=tuple(passages),
    )


def _qa(row: Row) -> Example:
    name = next((n for n in ("golden_answers", "answer", "answers", "Answer") if row.get(n) is not None), "golden_answers")
    return Example(id=_id(row), question=text_field(row, "question", "Question"), answers=_answers(row.get(name), name))


def _search_r1(row: Row) -> Example:
    """Search-R1's training rows; their prompt carries its own instructions and is kept as it is."""
    target = _dict(_dict(row.get("reward_model")).get("ground_truth")).get("target")
    if target is None:
        raise BadRow("it has no reward_model.ground_truth.target")
    prompt = tuple(_message(m) for m in _list(row.get("prompt"), "prompt"))
    if not prompt:
        raise BadRow("'prompt' must be a list of messages {role, content}")
    asked = row.get("question")
    question = asked if isinstance(asked, str) and asked.strip() else prompt[-1].text.rpartition("Question:")[2].strip()
    if not question:
        raise BadRow("neither 'question' nor the text after 'Question:' in the prompt says what is asked")
    kind = str(row.get("data_source") or "question")
    number = _id(row) or _id({"id": _dict(row.get("extra_info")).get("index", "")})
    id = f"{kind}-{number}" if number else ""
    return Example(id=id, question=question, answers=_answers(target, "target"), kind=kind, prompt=prompt)


def _message(value: object) -> Message:
    given = _dict(value)
    role, content = given.get("role"), given.get("content")
    if not isinstance(role, str) or role not in ROLES or not isinstance(content, str):
        raise BadRow(f"'prompt' holds {str(value)[:80]!r}, which is not a message with role and content")
    return Message(role=cast(Role, role), content=content)


FORMATS: dict[str, Callable[[Row], Example]] = {
    "hotpotqa": _hotpot,
    "2wiki": _two_wiki,
    "musique": _musique,
    "bamboogle": _qa,
    "qa": _qa,
    "search-r1": _search_r1,
}
