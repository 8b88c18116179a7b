"""The models an agent routes to: simulated ones that know some facts, or real ones behind chat endpoints.

model = SimulatedModel(name="Elm", price=0.2, description="...", knows=(True,), candid=True, style="plain", hops=hops)
model.ask("birthplace of Bomi Neru")      # Reply(text="The birthplace of Bomi Neru is Nomiru.", tokens=8)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from ...records import Message
from ...rewards.qa import contains
from ..base import EnvFault
from ..endpoint import ChatEndpoint

MAX_QUERY_CHARS = 2000
SIMULATED_TOKENS = 60
"""More tokens than any simulated answer has."""
_TAG = re.compile(r"</?(think|search|information|answer)>")
_BRIEF = "Answer in a few words. If you do not know, say so."
_LOST = "I do not see what is asked. Name one thing, and what you want to know of it."
_STYLES = {
    "terse": "{answer}.",
    "plain": "The {asked} is {answer}.",
    "wordy": "Let me think about this one carefully. You would like to know the {asked}. "
    "From all that I have read about it, the {asked} is {answer}. I hope that this helps you with your question.",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said; ``tokens`` is what is paid for."""

    text: str
    tokens: int


class RoutedModel(Protocol):
    """``price``: per million completion tokens, in any currency. ``max_tokens``: the longest answer."""

    @property
    def name(self) -> str: ...

    @property
    def price(self) -> float: ...

    @property
    def description(self) -> str: ...

    @property
    def max_tokens(self) -> int: ...

    def ask(self, query: str) -> Reply: ...


Hop = Mapping[str, Any]
"""One fact of a question: ``entity``, ``words`` (names of the relation), ``answer``, ``wrong`` (what else it could be), ``topic``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """Knows the hops marked in ``knows``. Of others it says that it does not know them (``candid``), or a wrong answer.

    A token is a word of the answer. The same query always gets the same answer.
    """

    name: str
    price: float
    description: str
    knows: Sequence[bool]
    candid: bool
    style: str
    hops: Sequence[Hop]

    @property
    def max_tokens(self) -> int:
        return SIMULATED_TOKENS

    def ask(self, query: str) -> Reply:
        found = asked_hops(query, self.hops)
        if found is None:
            text = _LOST
        else:
            known = all(self.knows[n] for n in found)
            last, first = self.hops[found[-1]], self.hops[found[0]]
            asked = " of the ".join(str(self.hops[n]["words"][0]) for n in reversed(found)) + f" of {first['entity']}"
            answer = last["answer"] if known else last["wrong"]
            text = "I do not know." if not known and self.candid else _STYLES[self.style].format(asked=asked, answer=answer)
        return Reply(text, len(text.split()))


def asked_hops(query: str, hops: Sequence[Hop]) -> range | None:
    """The longest run of hops that a query asks for: it names the first one's entity and the relation of each."""
    named = [contains(query, str(hop["entity"])) == 1.0 for hop in hops]
    asked = [contains(query, [str(w) for w in hop["words"]]) == 1.0 for hop in hops]
    runs = [range(i, j) for i in range(len(hops)) for j in range(i + 1, len(hops) + 1) if named[i] and all(asked[i:j])]
    return max(runs, key=len, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointModel:
    """A model behind a chat endpoint. Its tokens are those the server reports; ``EnvFault`` where it reports none.

    What stands before ``</think>`` is paid for, but not shown; tags of the protocol are taken out.
    """

    name: str
    price: float
    description: str
    endpoint: ChatEndpoint

    @property
    def max_tokens(self) -> int:
        return self.endpoint.max_tokens

    def ask(self, query: str) -> Reply:
        question = Message(role="user", content=query[:MAX_QUERY_CHARS])
        answer = self.endpoint.complete((Message(role="system", content=_BRIEF), question))
        if answer.completion_tokens is None:
            raise EnvFault(f"{self.endpoint.url} reports no usage.completion_tokens, so {self.name}'s answer has no price; use another")
        return Reply(_TAG.sub("", answer.text.rpartition("</think>")[2]).strip(), answer.completion_tokens)


def endpoint_models(given: Sequence[Mapping[str, Any]]) -> tuple[EndpointModel, ...]:
    """A pool from a configuration: ``[{"name", "price", "description", "endpoint": {"url", "model", ...}}, ...]``.

    Raises ``ValueError`` for an empty pool, missing or unknown keys, and names that cannot be told apart or written.
    """
    keys = {"name", "price", "description", "endpoint"}
    models: list[EndpointModel] = []
    for number, row in enumerate(given):
        if set(row) != keys:
            raise ValueError(f"models[{number}] has the keys {sorted(row)}; needed: {', '.join(sorted(keys))}")
        name, price = str(row["name"]), float(row["price"])
        if not name.strip() or any(c in name for c in ":<>\n") or not 0.0 <= price < float("inf"):
            raise ValueError(f"models[{number}]: name is {name!r} (no colon, angle bracket or line break), price is {price} (0 or more)")
        endpoint = ChatEndpoint.of(cast("Mapping[str, Any]", row["endpoint"]))
        models.append(EndpointModel(name=name.strip(), price=price, description=str(row["description"]), endpoint=endpoint))
    names = [m.name.lower() for m in models]
    if not models or len(set(names)) < len(names):
        raise ValueError(f"the pool's models are {names}; give at least one, each with a name of its own (case does not count)")
    return tuple(models)
