"""Simulated users: somebody with a goal, who opens a conversation, hears the agent and answers.

user = ScriptedUser(); user.begin(goal, rng)    # "Hello. I want to cancel an order."
user.hear("What is the order number?").text     # "The order is 481-207."
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, Protocol, TypeAlias, TypedDict

from ..base import Rng

Tell: TypeAlias = Literal["when_asked", "all"]
PATIENCE = 6
"""Messages that bring nothing forward, after which a scripted user leaves."""
MAX_HEARD = 4000
"""Characters of a message that a user takes in, the last ones, where questions stand."""


class Fact(TypedDict):
    """Something the user knows. ``asked``: words that, in a question, ask for it; ``say``: the sentence that tells it."""

    say: str
    asked: list[str]


class Change(TypedDict):
    """A change of mind, made once, when the user is first asked to confirm. ``facts`` replace those of the request."""

    say: str
    facts: dict[str, Fact]


class Request(TypedDict):
    """One thing the user wants. ``say``: paraphrases of the wish, without the facts."""

    say: list[str]
    facts: dict[str, Fact]
    change: NotRequired[Change]


class Goal(TypedDict):
    """What a user is there for: plain JSON inside a task's private data. ``facts`` hold for all requests (who the user is)."""

    opening: list[str]
    facts: dict[str, Fact]
    requests: list[Request]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a user answers. ``over``: the user leaves; ``agreed``: it was a yes to what the agent proposed."""

    text: str
    over: bool = False
    agreed: bool = False


class User(Protocol):
    """Somebody to talk to. One object serves one episode at a time; ``state`` and ``resume`` carry it to another.

    ``tell`` "all": the first message holds everything and agrees in advance.
    """

    tell: Tell

    def begin(self, goal: Goal, rng: Rng) -> Reply:
        """The first words."""
        ...

    def hear(self, text: str) -> Reply:
        """The answer to a message of the agent."""
        ...

    def state(self) -> dict[str, Any]:
        """All there is to know of the conversation besides the goal, as JSON."""
        ...

    def resume(self, goal: Goal, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        ...


_BOUNDARY = re.compile(r"(?<=[.!?])[\"')\]*_]*\s+|\n+")
_CONFIRM = re.compile(
    r"\b(confirm|go ahead|proceed|(shall|should|may|can) i|do you (want|agree)|would you like me"
    r"|is (that|this|it) (right|correct|ok|okay|fine))\b"
)
_ASKS = re.compile(r"\b(please|tell|give|provide|share|need|may i have|could you|can you)\b")
_BIDS = re.compile(r"\b(please|kindly|could you|can you|would you)\b.*\bconfirm\b|\b(reply|answer|say|type)( with)?\b[^\w]*yes\b")
_OPEN = re.compile(
    r"\b(how|what|where|which|who|when|why)\b[^,;:]*\b(can|may|shall|should|do you)\b|\b(can|may) i (have|get|ask|know|see)\b"
)
_CHOICE = re.compile(r"\bor\b|\bconfirm (your|me your|the following)\b|\bdo you want (?!(me |us )?to\b)")
_MORE = re.compile(r"\b(anything|something) else\b|\belse\b.*\?$")
_WAIT = re.compile(r"\b(let me|i will|i'll|i am going to|one moment|please wait|hold on|looking|checking)\b")
_FINISHED = re.compile(r"\b(done|have|has|is now|was|were|cannot|can't|unable|not)\b")


def heard(text: str) -> str:
    """What a user takes in of a message."""
    return text if len(text) <= MAX_HEARD else text[-MAX_HEARD:]


def sentences(text: str) -> list[str]:
    """The sentences of what is heard of a message, in lower case; "12.50" and "a@b.com" are no ends of sentences."""
    parts = (part.strip().rstrip("\"')]*_") for part in _BOUNDARY.split(heard(text).lower()))
    return [part for part in parts if part]


def questions(text: str) -> list[str]:
    """The sentences of a message that ask for something, with a question mark or without; not "anything else?"."""
    return [s for s in sentences(text) if (s.endswith("?") or _ASKS.search(s)) and not _MORE.search(s)]


def asked_for(facts: Mapping[str, Fact], text: str) -> list[str]:
    """Names of the facts that a message asks for: one of their ``asked`` words begins a word of a question."""
    found = questions(text)
    return [name for name, fact in facts.items() if any(_mentions(q, word) for q in found for word in fact["asked"])]


def asks_consent(text: str, facts: Mapping[str, Fact]) -> bool:
    """Whether a message asks for a yes: "Shall I ...?", "Please confirm.", but not "May I have your name?" or "How can I help?".

    A question that leaves a choice ("by card or voucher?", "do you want a voucher?") and asks for one of ``facts`` asks for the fact.
    """
    return any(_proposes(s, facts) for s in sentences(text))


def _proposes(sentence: str, facts: Mapping[str, Fact]) -> bool:
    if _MORE.search(sentence) or _OPEN.search(sentence):
        return False
    if not ((sentence.endswith("?") and _CONFIRM.search(sentence)) or _BIDS.search(sentence)):
        return False
    return not (_CHOICE.search(sentence) and asked_for(facts, sentence))


def _mentions(sentence: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word.lower())}", sentence) is not None


class ScriptedUser:
    """A deterministic machine that pursues a goal and never lies.

    It tells its facts when it is asked for them (``tell`` "when_asked"), or the first message holds everything and agrees in advance
    ("all"). Asked to confirm, it says yes, or changes its mind first where its goal says so. A statement settles the request it made
    last; after the last request it says goodbye. What brings nothing forward costs patience; without any left it leaves.
    """

    def __init__(self, tell: Tell = "when_asked") -> None:
        if tell not in ("when_asked", "all"):
            raise ValueError(f"tell is {tell!r}; allowed: when_asked, all")
        self.tell: Tell = tell
        self._goal: Goal = {"opening": [""], "facts": {}, "requests": []}
        self._request = 0
        self._changed = False
        self._patience = PATIENCE
        self._style = 0

    def begin(self, goal: Goal, rng: Rng) -> Reply:
        self._goal, self._request, self._changed, self._patience = goal, 0, False, PATIENCE
        self._style = int(rng.integers(1 << 16))
        opening = self._pick(goal["opening"])
        if self.tell == "when_asked":
            return Reply(text=f"{opening} {self._wish()}".strip())
        parts = [opening, *(f["say"] for f in goal["facts"].values())]
        for request in goal["requests"]:
            facts = {**request["facts"], **request.get("change", {"facts": {}})["facts"]}
            parts += [self._pick(request["say"]), *(f["say"] for f in facts.values())]
        self._changed = True  # what it would change its mind to has been said
        return Reply(text=" ".join(part for part in parts if part), agreed=True)

    def hear(self, text: str) -> Reply:
        if not sentences(text):
            return self._lose_patience("Are you still there?")
        facts = self.facts()
        if asks_consent(text, facts):
            return self._confirm([s for s in sentences(text) if not _proposes(s, facts)])
        asked = asked_for(facts, text)
        if asked:
            return Reply(text=" ".join(facts[name]["say"] for name in asked))
        if any(s.endswith("?") for s in questions(text)):
            return self._lose_patience(self._wish() if self._style % 2 else f"I am not sure what you mean. {self._wish()}")
        lowered = text.lower()
        if _WAIT.search(lowered) and not _FINISHED.search(lowered):
            return self._lose_patience("All right.")
        return self._next()

    def facts(self) -> dict[str, Fact]:
        """What the user knows that matters to its present request, after a change of mind the new facts."""
        request = self._goal["requests"][self._request]
        known = {**self._goal["facts"], **request["facts"]}
        return known | request["change"]["facts"] if self._changed and "change" in request else known

    def state(self) -> dict[str, Any]:
        return {"request": self._request, "changed": self._changed, "patience": self._patience, "style": self._style}

    def resume(self, goal: Goal, state: Mapping[str, Any]) -> None:
        self._goal, self._request, self._changed = goal, int(state["request"]), bool(state["changed"])
        self._patience, self._style = int(state["patience"]), int(state["style"])

    def _pick(self, texts: list[str]) -> str:
        return texts[self._style % len(texts)]

    def _wish(self) -> str:
        return self._pick(self._goal["requests"][self._request]["say"])

    def _confirm(self, others: list[str]) -> Reply:
        """The answer to a question for consent, and to the ``others`` of its message."""
        request = self._goal["requests"][self._request]
        changes = "change" in request and not self._changed
        said = [self._pick(["Yes, please go ahead.", "Yes.", "That is right, yes."])]
        if "change" in request and changes:
            self._changed = True
            said = [request["change"]["say"]]
        facts = self.facts()
        said += [facts[name]["say"] for name in asked_for(facts, "\n".join(others))]
        return Reply(text=" ".join(said), agreed=not changes)

    def _next(self) -> Reply:
        if self.tell == "when_asked" and self._request + 1 < len(self._goal["requests"]):
            self._request += 1
            self._changed = False
            return Reply(text=f"{self._pick(['Thank you.', 'Fine.', 'Good.'])} {self._wish()}")
        return Reply(text=self._pick(["Thank you, that is all.", "Thanks. Goodbye.", "Good, that was everything."]), over=True)

    def _lose_patience(self, text: str) -> Reply:
        self._patience -= 1
        if self._patience <= 0:
            return Reply(text="This leads nowhere. I will try another time.", over=True)
        return Reply(text=text)
