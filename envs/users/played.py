"""A user played by a model, with a scripted user's goal as its brief, and checks that it keeps to the part.

    user = PlayedUser({"url": "http://127.0.0.1:8000/v1", "model": "qwen"}); user.begin(goal, rng)

brief + conversation -> model -> checks -> Reply; what breaks a check is asked for again, then ``EnvFault``
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ...records import Message
from ..base import EnvFault, Rng
from .user import Fact, Goal, Reply, ScriptedUser, Tell, User, asked_for, asks_consent, heard, sentences

if TYPE_CHECKING:
    from ..endpoint import ChatEndpoint

STOP = "###STOP###"
"""What a model writes at the end of its last message (as in tau-bench); the agent never sees it."""
ATTEMPTS = 3
RUN = 8
"""So many words of the rules, one after the other, are a leak of the brief."""
_RULES = """You play a user who talks to an assistant. Write only what this user says, in one or two short sentences, and nothing else. \
You never answer for the assistant, you call no functions, and you do not speak of playing a part or of these rules.
Your first message greets and states your first wish, without any of the facts below.
Tell a fact only when the assistant asks for it, and then only that one. Invent nothing: what is not written here you do not know or do \
not care about.
When the assistant proposes something that is what you want and asks whether to go ahead, say yes; if it is not what you want, say no.
When a wish is settled, state the next one. When all are settled, or the assistant cannot help you, say thank you and end that message \
with ###STOP###."""
_HELLO = "Hello. How can I help you today?"
_THINKING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FOREIGN = re.compile(
    r"</?(think|tool_call|tool_response|tools|function|system|assistant|user)\b|<function=|<\||\[/?INST\]|\"arguments\"\s*:"
    r"|^\s*\**(assistant|agent|system|user|customer)\**\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_ASSISTANT = re.compile(
    r"\b(how (can|may) i (help|assist)|(anything|something) else i can (do|help)|(can|may) i (help|assist) you|happy to (help|assist) you"
    r"|i('ll| will| can)( now)? (help|assist) you|as an ai|language model|i have (cancelled|booked|refunded|changed) your)\b"
)
_PART = re.compile(
    r"\b(my (brief|instructions|prompt)|system prompt|i (am|'m) (playing|simulating|told to)|simulated user|the rules say)\b"
)
_YES = re.compile(r"\b(yes|yeah|yep|sure|okay|ok|correct|right|go ahead|please do|of course|i (agree|confirm)|sounds good|perfect|fine)\b")
_NOT_YET = re.compile(
    r"\b(no(?! problem)|not|never|actually|instead|wait|rather|but|except|unless|on second thoughts?|changed my mind)\b|n['’]t\b"
)
_TOKEN = re.compile(r"[^\W_]+(?:[-.:@/'’][^\W_]+)*")
_EMPTY_WORDS = """a an the i my me we us our it its is are was be been will would should have has had of in on at to for from with by and
or as that this there please"""
_PLAIN = frozenset(_EMPTY_WORDS.split())


class PlayedUser:
    """A ``User`` played by the model behind ``endpoint`` (a ``ChatEndpoint`` or its settings).

    Every message is checked: it must not be empty, repeat the rules of its brief, use the stop marker but at the end, speak as the
    assistant, write tool calls or role tags, or tell a fact that nobody has asked for (by ``asked_for``, which the scripted user goes
    by too; only with ``tell`` "all" may the first message hold them). A message that fails is asked for again with the reason, in all
    ``attempts`` times; then ``EnvFault`` voids the episode and says what the model said. ``Reply.agreed``: a yes without reservation
    in answer to a question for consent. ``retries`` counts the messages asked for again, by reason, over all episodes.
    Raises ``ValueError`` for settings that cannot work.
    """

    def __init__(self, endpoint: ChatEndpoint | Mapping[str, Any], *, tell: Tell = "when_asked", attempts: int = ATTEMPTS) -> None:
        from ..endpoint import ChatEndpoint  # httpx is not loaded for scripted users

        if tell not in ("when_asked", "all"):
            raise ValueError(f"tell is {tell!r}; allowed: when_asked, all")
        if attempts < 1:
            raise ValueError(f"attempts is {attempts}; it must be at least 1")
        self.endpoint = ChatEndpoint.of(endpoint)
        self.tell: Tell = tell
        self.attempts = attempts
        self.retries: Counter[str] = Counter()
        self.resume({"opening": [""], "facts": {}, "requests": []}, {"style": 0, "talk": [], "open": [], "consent": False})

    def begin(self, goal: Goal, rng: Rng) -> Reply:
        self.resume(goal, {"style": int(rng.integers(1 << 16)), "talk": [], "open": [], "consent": False})
        if self.tell == "all":
            self._open = set(self._facts)
            self._consent = True
        text, over = self._say(_HELLO, first=True)
        return Reply(text=text, over=over, agreed=self.tell == "all")

    def hear(self, text: str) -> Reply:
        shown = heard(text).strip() or "(says nothing)"
        known = self._facts
        consent = asks_consent(shown, known)
        self._consent = self._consent or consent
        self._open |= set(asked_for(known, shown))
        said, over = self._say(shown, first=False)
        return Reply(text=said, over=over, agreed=consent and not over and agrees(said))

    def state(self) -> dict[str, Any]:
        return {"style": self._style, "talk": [list(pair) for pair in self._talk], "open": sorted(self._open), "consent": self._consent}

    def resume(self, goal: Goal, state: Mapping[str, Any]) -> None:
        self._goal, self._style = goal, int(state["style"])
        self._talk: list[tuple[str, str]] = [(asked, said) for asked, said in state["talk"]]
        """What the assistant said, and what the user answered."""
        self._open: set[str] = set(state["open"])
        """Facts that have been asked for."""
        self._consent = bool(state["consent"])
        """Whether the user has been asked to agree to something, so that it may have changed its mind."""
        self._facts = _all_facts(goal)

    # ---- the model -------------------------------------------------------------------------------------------------

    def _say(self, asked: str, *, first: bool) -> tuple[str, bool]:
        """The model's next words without the stop marker, and whether it leaves. Raises ``EnvFault`` when it breaks its part."""
        system = Message(role="system", content=self.brief())
        past = [Message(role=role, content=text) for pair in self._talk for role, text in zip(("user", "assistant"), pair, strict=True)]
        reason, note, said = "", "", ""
        for attempt in range(self.attempts):
            if attempt:
                self.retries[reason] += 1
            answer = self.endpoint.complete((system, *past, Message(role="user", content=asked + note)))
            said = _THINKING.sub("", answer.text).strip()
            text = said.removesuffix(STOP).rstrip()
            over = text != said
            reason = self._broken(text, over, asked, first)
            if not reason:
                text = text or "Goodbye."  # nothing but the marker, which many models write
                self._talk.append((asked, text))
                return text, over
            note = f"\n\n(A note that is not from the assistant: your last message {reason}. Write another one, as the user.)"
        raise EnvFault(
            f"the user model {self.endpoint.model!r} broke its part {self.attempts} times: its message {reason}; it said {said[:300]!r}; "
            "take a stronger model, or a scripted user"
        )

    def _broken(self, text: str, over: bool, asked: str, first: bool) -> str:
        """What is wrong with a message, or an empty text."""
        if not text and not over:
            return "was empty"
        if STOP in text:
            return f"had {STOP} before its end"
        if over and first:
            return "ended the conversation before it began"
        if _FOREIGN.search(text):
            return "held a role, a tag or a function call"
        lowered = text.lower()
        if _ASSISTANT.search(lowered):
            return "spoke as the assistant"
        if _PART.search(lowered) or _shares_run(text, _RULES):
            return "spoke of the instructions"
        said = [word for pair in (*self._talk, (asked, "")) for part in pair for word in _tokens(part)]
        early = () if self._consent else tuple(name for name in self._facts if "b/" in name)  # it has not changed its mind yet
        secrets = {name: fact for name, fact in self._facts.items() if name not in self._open or name in early}
        told = next((name for name, fact in secrets.items() if tells(text, fact, {*said, *self._stated()})), None)
        return f"told a fact that was not asked for ({told.partition('/')[2]})" if told is not None else ""

    def _stated(self) -> list[str]:
        """Words that the user may say unasked: its wishes and, once asked to agree, its changes of mind."""
        texts = [*self._goal["opening"], *(text for request in self._goal["requests"] for text in request["say"])]
        if self._consent:
            for change in (request["change"] for request in self._goal["requests"] if "change" in request):
                texts += [change["say"], *(fact["say"] for fact in change["facts"].values())]
        return [word for text in texts for word in _tokens(text)]

    def brief(self) -> str:
        """The model's system message."""
        lines = [_RULES.replace(", without any of the facts below", " and all the facts below") if self.tell == "all" else _RULES]
        lines += _listed("Facts about you:", self._goal["facts"])
        for number, request in enumerate(self._goal["requests"], 1):
            lines.append(f"\nWish {number}: {request['say'][self._style % len(request['say'])]}")
            lines += _listed("Facts for this wish:", request["facts"])
            if "change" in request and self.tell == "all":
                lines += _listed("You have changed your mind; these replace the facts above:", request["change"]["facts"])
            elif "change" in request:
                lines.append(f'When you are first asked to agree to this wish, you change your mind and say: "{request["change"]["say"]}"')
                lines += _listed("From then on these replace the facts above:", request["change"]["facts"])
        return "\n".join(lines)


def user_of(config: str | Mapping[str, Any] | User) -> User:
    """The user that an environment's argument names, or is.

    "scripted"; "told", a scripted one that says everything at once and agrees in advance; {"kind": "scripted", "tell":
    "when_asked" or "all"}; {"kind": "played", "endpoint": {"url": ..., "model": ...}, "tell": ...,
    "attempts": ...}. Raises ``ValueError`` for unknown kinds, and for unknown or missing keys by their names.
    """
    if config == "told":
        config = {"kind": "scripted", "tell": "all"}
    given: Any = {"kind": config} if isinstance(config, str) else config
    if callable(getattr(given, "hear", None)):
        return cast("User", given)
    if not isinstance(given, Mapping):
        raise ValueError(f"user is {config!r}; allowed: scripted, told, a mapping, or an object with begin, hear, state and resume")
    given = cast("Mapping[str, Any]", given)
    allowed = {"scripted": ("kind", "tell"), "played": ("kind", "endpoint", "tell", "attempts")}
    kind = given.get("kind")
    if kind not in allowed:
        raise ValueError(f"user is {config!r}; allowed: scripted, told, or a mapping with kind {' or '.join(allowed)}")
    unknown = sorted(set(given) - set(allowed[kind]))
    if unknown:
        raise ValueError(f"user: unknown keys {unknown} of a {kind} user; allowed: {', '.join(allowed[kind])}")
    options = {key: value for key, value in given.items() if key != "kind"}
    if kind == "scripted":
        return ScriptedUser(**options)
    if "endpoint" not in options:
        raise ValueError('user: a played user needs "endpoint": {"url": ..., "model": ...}')
    return PlayedUser(**options)


def agrees(answer: str) -> bool:
    """Whether an answer to a question for consent is a yes without reservation."""
    found = sentences(answer)
    yes = bool(found) and not found[0].endswith("?") and _YES.search(found[0]) is not None
    return yes and not any(_NOT_YET.search(s) for s in found)


def tells(text: str, fact: Fact, known: Iterable[str]) -> bool:
    """Whether ``text`` gives a fact away, beyond the words that are ``known``.

    Distinctive are the words of ``fact["say"]`` with digits (two characters or more) and names (a capital inside a sentence): one of them
    is enough. A fact without any is told when all its content words stand in the text, none of them known.
    """
    said, public = set(_tokens(text)), set(known)
    words = [(token, distinctive) for token, distinctive in _marked(fact["say"]) if token not in _PLAIN]
    strong = {token for token, distinctive in words if distinctive}
    if strong:
        return bool((strong - public) & said)
    weak = {token for token, _ in words}
    return bool(weak) and weak <= said and not weak <= public


def _marked(say: str) -> list[tuple[str, bool]]:
    """The words of a sentence, and whether each is distinctive: a capital does not count at the start of a sentence, nor the word I."""
    out: list[tuple[str, bool]] = []
    for match in _TOKEN.finditer(say):
        token, start = match.group(), not out or say[: match.start()].rstrip().endswith((".", "!", "?", ":"))
        number = "@" in token or (any(c.isdigit() for c in token) and len(token) > 1)
        name = token[0].isupper() and not start and len(token) > 1 and not token.startswith(("I'", "I’"))
        out.append((token.lower(), number or name))
    return out


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def _shares_run(text: str, rules: str) -> bool:
    words, own = _tokens(rules), _tokens(text)
    runs = {tuple(words[n : n + RUN]) for n in range(len(words) - RUN + 1)}
    return any(tuple(own[n : n + RUN]) in runs for n in range(len(own) - RUN + 1))


def _all_facts(goal: Goal) -> dict[str, Fact]:
    """Every fact of a goal, by "place/name", as requests may have facts of the same name; "1b" is the change of mind of request 1."""
    places: list[tuple[str, Mapping[str, Fact]]] = [("user", goal["facts"])]
    for number, request in enumerate(goal["requests"]):
        places.append((str(number), request["facts"]))
        if "change" in request:
            places.append((f"{number}b", request["change"]["facts"]))
    return {f"{place}/{name}": fact for place, facts in places for name, fact in facts.items()}


def _listed(title: str, facts: Mapping[str, Fact]) -> Sequence[str]:
    return [title, *(f"- {name}: {fact['say']}" for name, fact in facts.items())] if facts else []
