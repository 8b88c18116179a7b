"""Questions to be answered by searching: each turn is one search or the answer.

    env = Search(); obs, info = env.reset(seed=0); obs, *_ = env.step("<think>..</think><search>mayor of Bomi</search>")

Turn rewards are weighted components: ``gold_passages``, ``sub_answers``, ``novelty``, ``format``. The outcome is the
answer's ``em``, ``f1`` or ``contains`` score.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from ...records import Message, Observation, Outcome, StopReason, Task
from ...rewards import qa
from ...rewards import search as rewards
from ..base import Env, EnvFault, Manifest, TurnResult
from ..scripts import ECHO, NULL
from ..tasks import TaskSet
from .dialects import DIALECTS, Parsed
from .retrieval import Hit, RetrievalError, Retriever
from .sources import RetrieverSpec, open_retriever, open_search

MAX_QUERY_CHARS = 500
MAX_QUERIES = 8
DEFAULT_WEIGHTS: Mapping[str, float] = {"gold_passages": 0.5, "sub_answers": 0.2, "novelty": 0.02, "format": 0.02}
_SOURCE = {"world", "dataset", "path", "corpus", "index", "skip_bad"}
_ALONE = (
    " There is no search engine: after a search, write the results yourself, from what you know, between <information> and </information>."
)
_ASK = "Write what a search engine would find for this, from what you know, between <information> and </information>."
_GO_ON = "Go on: search again, or answer."
_OUTCOMES: dict[str, Callable[[str, qa.Gold], float]] = {"em": qa.exact_match, "f1": qa.token_f1, "contains": qa.contains}


class Search(Env):
    """Search, then answer.

    Arguments: ``tasks`` and ``retriever`` as objects, or ``source``, what ``sources.open_search`` takes: a ``dataset`` with
    its ``path``, ``corpus`` and ``index``, or a generated ``world``, and a ``retriever`` by description (default BM25).
    ``instructions`` (the system message; None: the dialect's own, unless the task brings instructions), ``dialect`` "tags"
    or "json", ``max_turns``, ``topk`` passages per query, ``weights`` of the turn reward components (0 or left out: absent;
    empty: turns are not scored), ``outcome_metric`` "em", "f1", "contains", or "ssrl" with ``retriever="self"``.

    ``retriever="self"`` (SSRL): nothing is searched. After a search the policy is asked for the results, which it writes
    between ``<information>`` tags, in the next message (whose tokens are not trained, as in SSRL) or in the same one (which
    is trained as a whole, as one turn is the finest mask); sub-answers in them are rewarded as if found.
    Gold passages are recognised by id, or by title where the task knows no id (a dataset over another corpus).
    """

    breakdown = ("kind",)

    def __init__(
        self,
        tasks: TaskSet | None = None,
        retriever: Retriever | RetrieverSpec | None = None,
        *,
        instructions: str | None = None,
        dialect: str = "tags",
        max_turns: int = 8,
        topk: int = 3,
        weights: Mapping[str, float] | None = None,
        outcome_metric: Literal["em", "f1", "contains", "ssrl"] = "em",
        **source: Any,
    ) -> None:
        tasks, found = _sources(tasks, retriever, source)
        weights = dict(DEFAULT_WEIGHTS if weights is None else weights)
        for what, given, allowed in (
            ("dialect", {dialect}, set(DIALECTS)),
            ("outcome metric", {outcome_metric}, {*_OUTCOMES, *(["ssrl"] if found is None else [])}),
            ("turn reward", set(weights), set(DEFAULT_WEIGHTS)),
        ):
            if given - allowed:
                raise ValueError(f"unknown {what} {sorted(given - allowed)}; allowed: {', '.join(sorted(allowed))}")
        if topk < 1:
            raise ValueError(f"topk is {topk}; it must be at least 1")
        super().__init__(tasks, max_turns=max_turns)
        self.retriever = found
        self.dialect = DIALECTS[dialect]()
        self._own_instructions = instructions is not None
        self.instructions = self.dialect.instructions + ("" if found else _ALONE) if instructions is None else instructions
        self.topk = topk
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self._metric = outcome_metric
        self._data: Mapping[str, Any] = {}
        self._gold: list[str] = []
        self._sub_answers: list[str] = []
        self._seen: set[str] = set()
        self._keys: set[str] = set()
        self._found: set[int] = set()
        self._said: list[str] = []

    def start(self, task: Task) -> Observation:
        self._data = task.data
        self._seen, self._keys, self._found, self._said = set(), set(), set(), []
        hops = cast("list[dict[str, Any]]", task.data.get("hops", []))
        self._gold = [str(hop.get("passage") or f"title:{hop['title']}") for hop in hops if hop.get("passage") or hop.get("title")]
        self._sub_answers = [str(hop["answer"]) for hop in hops if hop.get("answer")]
        if task.data.get("instructed") and not self._own_instructions:
            return task.prompt
        return (Message(role="system", content=self.instructions), *task.prompt)

    def act(self, action: Message) -> TurnResult:
        self._said.append(action.text)
        written = _written(action.text) if self.retriever is None else None
        parsed = self.dialect.parse(Message(role="assistant", content=written[1]) if written else action)
        if parsed.kind == "answer":
            return self._answer(parsed)
        if written:
            return self._result(action, _GO_ON, self._recalled(written[0]), valid=True, trained="<search>" in action.text)
        if parsed.kind == "invalid":
            return self._result(action, parsed.note, {}, valid=False)
        asked, notes = _usable(parsed.queries)
        if not asked:
            return self._result(action, " ".join(notes), {}, valid=False)
        if self.retriever is None:
            return self._result(action, _ASK, {"format": float(parsed.formatted)}, valid=True)
        try:
            ranked = self.retriever.search(asked, self.topk)
        except RetrievalError as error:
            raise EnvFault(str(error)) from error
        values = self._score(ranked, parsed)
        text = "\n".join(_documents(hits) for hits in ranked) + "".join(f"\nNote: {note}" for note in notes)
        return self._result(action, f"\n\n<information>{text}</information>\n\n", values, valid=True)

    def anchor(self) -> str | None:
        """The task and the set of passages seen so far."""
        task_hash = self.task.hash if self.task else ""
        return hashlib.sha256("\n".join([task_hash, *sorted(self._seen)]).encode("utf-8", "replace")).hexdigest()

    def potential(self) -> float | None:
        """The share of gold passages seen so far."""
        return rewards.new_gold_passages(self._keys, (), self._gold)

    def snapshot(self) -> bytes:
        return pickle.dumps((self.task, self._seen, self._keys, self._found, self._said, self.turn_index, self.done))

    def restore(self, snapshot: bytes) -> None:
        """Unpickles: take only snapshots of your own. What is searched is not in it."""
        self.task, seen, keys, found, said, self.turn_index, self.done = pickle.loads(snapshot)
        assert self.task is not None
        self.start(self.task)
        self._seen, self._keys, self._found, self._said = seen, keys, found, said

    def _score(self, ranked: list[list[Hit]], parsed: Parsed) -> dict[str, float]:
        passages = {hit.passage.id: hit.passage for hits in ranked for hit in hits}
        texts = [p.text for p in passages.values()]
        keys = {*passages, *(f"title:{p.title}" for p in passages.values())}
        values = {
            "gold_passages": rewards.new_gold_passages(keys, self._keys, self._gold),
            "sub_answers": self._share_found(texts),
            "novelty": rewards.novelty(passages, self._seen) if passages else 0.0,
            "format": float(parsed.formatted),
        }
        self._seen |= set(passages)
        self._keys |= keys
        return values

    def _recalled(self, information: str) -> dict[str, float]:
        """The values of results that the policy wrote itself."""
        return {"sub_answers": self._share_found([information]), "format": float(bool(information))}

    def _share_found(self, texts: list[str]) -> float:
        """The share of the sub-answers that occur in ``texts`` and in nothing seen before; they are seen from now on."""
        new = rewards.new_sub_answers(texts, self._found, self._sub_answers)
        self._found |= new
        return len(new) / len(self._sub_answers) if self._sub_answers else 0.0

    def _components(self, values: Mapping[str, float]) -> dict[str, float]:
        return {name: weight * values.get(name, 0.0) for name, weight in self.weights.items()}

    def _result(self, action: Message, text: str, values: Mapping[str, float], *, valid: bool, trained: bool = True) -> TurnResult:
        if action.tool_calls:
            calls = action.tool_calls
            unused = "Only the first call of a message is carried out."
            said = tuple(Message(role="tool", content=unused if i else text, tool_call_id=c.id) for i, c in enumerate(calls))
        else:
            said = (Message(role="user", content=text),)
        components = self._components(values)
        reward = sum(components.values()) if components else None
        return TurnResult(observation=said, reward=reward, components=components, action_valid=valid, trained=trained)

    def _answer(self, parsed: Parsed) -> TurnResult:
        components = self._components({"format": float(parsed.formatted)})
        reward = sum(components.values()) if components else None
        golds = [str(a) for a in self._data.get("answers", [])]
        scores = {name: metric(parsed.answer, golds) if parsed.answer else 0.0 for name, metric in _OUTCOMES.items()}
        if self.retriever is None:
            scores["ssrl"] = rewards.ssrl_reward(scores["em"], "\n".join(self._said))
        score = scores[self._metric]
        success = scores["em"] == 1.0 if self._metric == "ssrl" else score >= 1.0  # the format is worth less than a right answer
        note = "" if parsed.answer else "the answer was empty"
        outcome = Outcome(score=score, success=success, components=scores, note=note)
        stop = None if parsed.answer else StopReason.GAVE_UP
        return TurnResult(reward=reward, components=components, outcome=outcome, stop=stop)


def _sources(
    tasks: TaskSet | None, retriever: Retriever | RetrieverSpec | None, source: dict[str, Any]
) -> tuple[TaskSet, Retriever | None]:
    """The tasks and the retriever (None: the policy itself) that the constructor's arguments name."""
    unknown = sorted(set(source) - _SOURCE)
    if unknown:
        raise TypeError(f"Search takes no argument {', '.join(unknown)}; allowed for where tasks come from: {', '.join(sorted(_SOURCE))}")
    ready = retriever is not None and not isinstance(retriever, str | Mapping)
    if tasks is None:
        if ready and "dataset" not in source:
            raise ValueError("only one of tasks and retriever was given; give both, or neither for a generated world")
        tasks, found = open_search(**source, retriever="self" if ready else cast("RetrieverSpec | None", retriever))
        return tasks, cast("Retriever", retriever) if ready else found
    if retriever is None and not source.get("corpus") and not source.get("index"):
        raise ValueError("only one of tasks and retriever was given; give both, or neither for a generated world")
    if ready:
        return tasks, cast("Retriever", retriever)
    return tasks, open_retriever(cast("RetrieverSpec | None", retriever), **source)


def _written(text: str) -> tuple[str, str] | None:
    """What the policy wrote into its last ``<information>`` block, and the text after it; None if there is no such block."""
    before, closed, rest = text.rpartition("</information>")
    _, opened, content = before.rpartition("<information>")
    return (content.strip(), rest) if closed and opened else None


def _usable(queries: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The queries to run, and notes about what was cut or left out."""
    notes: list[str] = []
    if not queries:
        return [], ["The query was empty. Write what to look for, for example: birthplace of a person."]
    worded = [q for q in queries if any(c.isalnum() for c in q)]
    if len(worded) < len(queries):
        notes.append(f"{len(queries) - len(worded)} of the queries had no letters or digits. Write a query in words.")
    if len(worded) > MAX_QUERIES:
        notes.append(f"Only the first {MAX_QUERIES} of {len(worded)} queries were run.")
    if any(len(q) > MAX_QUERY_CHARS for q in worded[:MAX_QUERIES]):
        notes.append(f"A query was longer than {MAX_QUERY_CHARS} characters; only its beginning was used.")
    return [q[:MAX_QUERY_CHARS] for q in worded[:MAX_QUERIES]], notes


def _documents(hits: list[Hit]) -> str:
    if not hits:
        return "No documents were found for this query."
    return "\n".join(f"Doc {i}(Title: {h.passage.title}) {h.passage.text}" for i, h in enumerate(hits, 1))


_EXPERTS = "turnwise.envs.search.experts"
MANIFEST = Manifest(
    description="Multi-hop questions about fictional worlds, answered by searching passages.",
    turn_reward_range=(0.0, 1.0),
    outcome_range=(0.0, 1.0),
    max_turns=8,
    max_score=1.0,
    floor_score=0.0,
    random_score=0.3,
    scripts={
        "expert": f"{_EXPERTS}:Expert",
        "noisy": f"{_EXPERTS}:NoisyExpert",
        "random": f"{_EXPERTS}:Random",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
)
