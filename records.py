"""The nouns every part of Turnwise shares: messages, tasks, turns, trajectories.

    Task -> [observation -> action -> Turn]* -> Outcome -> Trajectory -> one JSON line -> the same Trajectory

Records are frozen and checked where they are built, so a later stage never has to ask whether a field is filled in.
Nothing here imports anything of Turnwise, torch or transformers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias, cast

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
ROLES: frozenset[str] = frozenset(("system", "user", "assistant", "tool"))
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

COMPONENT_TOLERANCE = 1e-6
"""How far the sum of a turn's reward components may be from its reward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    """A piece of text inside a message that also holds images."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePart:
    """An encoded image inside a message. ``data`` are the bytes of the file, ``mime`` its type (``image/png``)."""

    data: bytes
    mime: str = "image/png"

    @property
    def digest(self) -> str:
        """sha256 of the bytes, in hex: equal images are the same image."""
        return hashlib.sha256(self.data).hexdigest()


Part: TypeAlias = TextPart | ImagePart


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call an assistant asks for. ``arguments`` is the JSON text as the assistant wrote it, unparsed."""

    id: str
    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message. ``content`` is text, or a tuple of parts when images are involved."""

    role: Role
    content: str | tuple[Part, ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"message role {self.role!r} is unknown; allowed: {', '.join(sorted(ROLES))}")
        if self.tool_calls and self.role != "assistant":
            raise ValueError(f"a {self.role!r} message carries tool calls; only 'assistant' messages may")

    @property
    def text(self) -> str:
        """The text of the message, images left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


Observation: TypeAlias = tuple[Message, ...]
"""The messages that are new since the agent's last action."""


def canonical_json(value: object) -> str:
    """JSON text that is equal for equal values: sorted keys, no spaces, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One problem an environment can pose.

    ``prompt`` is what the agent sees first; ``data`` (gold answers, checks) is private and never shown to it.
    ``hash`` is the sha256 of the canonical JSON of env id, prompt, data and seed: equal problems in different splits
    have equal hashes, which is how overlap between splits is found.
    """

    id: str
    env_id: str
    split: str
    prompt: Observation = ()
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed: int = 0
    hash: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a task needs a non-empty id")
        content = [self.env_id, [message_to_dict(m) for m in self.prompt], dict(self.data), self.seed]
        try:
            text = canonical_json(content).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"task {self.id!r}: prompt or data holds half of a surrogate pair, which is not text; remove it") from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"task {self.id!r}: data must be plain JSON (str, numbers, lists, dicts): {error}") from error
        object.__setattr__(self, "hash", hashlib.sha256(text).hexdigest())


class StopReason(StrEnum):
    """Why an episode ended. ``kind`` says whether that terminates, truncates or voids it."""

    SUCCESS = "success"  # the task's own goal was reached
    FAILURE = "failure"  # the task's own failing end was reached
    GAVE_UP = "gave_up"  # the agent ended the episode without trying to answer
    INVALID_ACTION = "invalid_action"  # the task's rules end the episode on an unusable action
    MAX_TURNS = "max_turns"  # the turn limit
    MAX_TOKENS = "max_tokens"  # the episode's budget of sampled tokens
    CONTEXT_OVERFLOW = "context_overflow"  # the next turn would not fit the model's context
    TIMEOUT = "timeout"  # the episode's wall-clock limit
    ENV_FAULT = "env_fault"  # the environment failed: no statement about the agent
    CANCELLED = "cancelled"  # the caller stopped: no statement about the agent

    @property
    def kind(self) -> Literal["terminates", "truncates", "voids"]:
        return _STOP_KIND[self]

    @property
    def terminates(self) -> bool:
        return _STOP_KIND[self] == "terminates"

    @property
    def truncates(self) -> bool:
        return _STOP_KIND[self] == "truncates"

    @property
    def voids(self) -> bool:
        return _STOP_KIND[self] == "voids"


_STOP_KIND: dict[StopReason, Literal["terminates", "truncates", "voids"]] = {
    StopReason.SUCCESS: "terminates",
    StopReason.FAILURE: "terminates",
    StopReason.GAVE_UP: "terminates",
    StopReason.INVALID_ACTION: "terminates",
    StopReason.MAX_TURNS: "truncates",
    StopReason.MAX_TOKENS: "truncates",
    StopReason.CONTEXT_OVERFLOW: "truncates",
    StopReason.TIMEOUT: "truncates",
    StopReason.ENV_FAULT: "voids",
    StopReason.CANCELLED: "voids",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The verdict on a whole episode, apart from its turn rewards.

    ``valid=False``: the environment failed, nothing is known about the agent; such an episode is masked everywhere and
    never counted as a score of 0. ``success`` is what pass@k counts; by default a score of at least 1.
    """

    score: float
    success: bool = field(default=cast(bool, None))
    valid: bool = True
    components: Mapping[str, float] = field(default_factory=dict[str, float])
    note: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.score):
            raise ValueError(f"outcome score is {self.score}; it must be finite (use valid=False when there is no verdict)")
        if cast("bool | None", self.success) is None:
            object.__setattr__(self, "success", self.valid and self.score >= 1.0)
        if self.success and not self.valid:
            raise ValueError("an outcome with valid=False cannot be a success")

    @classmethod
    def void(cls, note: str) -> Outcome:
        """The outcome of an episode about which nothing is known."""
        return cls(score=0.0, success=False, valid=False, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpan:
    """Where an image stands in a token sequence: ``height * width`` image tokens from ``start``, row by row.

    ``digest`` names the image (``ImagePart.digest``); its bytes are in the messages of the trajectory.
    """

    digest: str
    start: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.start < 0 or self.height < 1 or self.width < 1:
            raise ValueError(f"an image of {self.height} x {self.width} tokens at {self.start} is no place in a sequence")

    @property
    def end(self) -> int:
        return self.start + self.height * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTrace:
    """The exact tokens of one turn of a local policy.

    ``context_ids`` were appended to the episode's token history before the action was sampled; ``action_ids`` are as
    sampled (end token included when it was sampled); ``logprobs`` are the sampler's, natural log, one per action token,
    at the sampling temperature. ``version`` counts weight updates. ``restart``: the history was rebuilt, so
    ``context_ids`` is the *whole* context and a new training sample starts here. The first turn always restarts.
    ``images``: the images among ``context_ids``, in order; starts count from the first of them.

        context_ids=[1, 2, 3] action_ids=[7, 8] logprobs=[-0.1, -2.3]
    """

    context_ids: tuple[int, ...]
    action_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    version: int = 0
    finish_reason: Literal["stop", "length", "overflow"] = "stop"
    restart: bool = False
    images: tuple[ImageSpan, ...] = ()

    def __post_init__(self) -> None:
        end = 0
        for span in self.images:
            if span.start < end or span.end > len(self.context_ids):
                raise ValueError(f"image {span.digest[:12]} at {span.start} to {span.end} overlaps another or leaves the context")
            end = span.end
        if len(self.action_ids) != len(self.logprobs):
            raise ValueError(f"{len(self.action_ids)} action tokens but {len(self.logprobs)} log-probs; they are one per token")
        if not all(map(math.isfinite, self.logprobs)):
            raise ValueError("a sampled token has a log-prob that is not finite")

    @property
    def surprise(self) -> float:
        """Mean of -log pi over the sampled tokens, in nats, whose expectation is their mean entropy; 0 without tokens."""
        return -sum(self.logprobs) / len(self.logprobs) if self.logprobs else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the agent saw, what it did, and what that turn was worth.

    ``observation``: the messages new to the agent *before* this action. ``reward`` ``None`` means "not scored", which
    is not 0. ``anchor``: a history-free key of the state the action was taken in. ``potential``: the score of the state
    *after* the action. ``trained=False``: its tokens are context and never trained, as what was written stands in for an
    observation (search results a policy writes itself, SSRL), or the turn is another episode's. ``seconds``: wall clock of
    the environment call. ``chat_logprobs``: natural log-probs of the action's tokens where a chat endpoint offered them; those
    of a local policy are in ``tokens``. ``measures``: numbers about the turn that are no part of its reward, such as which
    tests passed after it; rewards that compare the episodes of a group read them.
    """

    index: int
    observation: Observation
    action: Message
    reward: float | None = None
    components: Mapping[str, float] = field(default_factory=dict[str, float])
    anchor: str | None = None
    potential: float | None = None
    action_valid: bool = True
    trained: bool = True
    tokens: TokenTrace | None = None
    seconds: float = 0.0
    chat_logprobs: tuple[float, ...] | None = None
    measures: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        check_reward(self.reward, self.components, where=f"turn {self.index}")


def check_reward(reward: float | None, components: Mapping[str, float], where: str) -> None:
    """Raise ``ValueError`` unless the reward is finite (or None) and its components sum to it."""
    if reward is None:
        if components:
            raise ValueError(f"{where}: reward is None (not scored) but has components {sorted(components)}; drop one of the two")
        return
    if not math.isfinite(reward):
        raise ValueError(f"{where}: reward is {reward}; it must be finite (None means not scored)")
    if components:
        total = sum(components.values())
        if not abs(total - reward) <= COMPONENT_TOLERANCE:
            raise ValueError(f"{where}: components {dict(components)} sum to {total}, but the reward is {reward}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """One finished episode. Order of ``turns`` is time; ``final_observation`` came after the last action.

    ``parent``: the rollout index of the member of the group that this one was forked from; its first ``fork`` turns are the parent's,
    so they are not trained here. ``probe``: it was played to learn what the state it was forked in is worth, and is in no group.
    """

    task: Task
    turns: tuple[Turn, ...]
    outcome: Outcome
    stop: StopReason
    rollout: int = 0
    env_seed: int = 0
    policy_seed: int = 0
    agent: str = ""
    env_version: str = ""
    start_potential: float | None = None
    final_observation: Observation = ()
    attempts: int = 1
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    """Tokens spent on the episode, failed attempts included."""
    parent: int | None = None
    fork: int = 0
    probe: bool = False

    def __post_init__(self) -> None:
        for position, turn in enumerate(self.turns):
            if turn.index != position:
                raise ValueError(f"task {self.task.id!r}: turn at position {position} has index {turn.index}")
        if self.stop.voids and self.outcome.valid:
            raise ValueError(f"task {self.task.id!r}: stop reason {self.stop.value!r} voids the episode, so outcome.valid must be False")
        if self.parent is not None and (self.parent < 0 or self.parent == self.rollout):
            raise ValueError(
                f"task {self.task.id!r}: rollout {self.rollout} has the parent {self.parent}; give another rollout of its group"
            )
        most = 0 if self.parent is None else len(self.turns)
        if not 0 <= self.fork <= most:
            raise ValueError(
                f"task {self.task.id!r}: fork is {self.fork}; allowed: 0 to {most} (0 without a parent, else at most its turns)"
            )
        if any(turn.trained for turn in self.turns[: self.fork]):
            raise ValueError(f"task {self.task.id!r}: a turn before the fork is trained; it is the parent's, give it trained=False")

    @property
    def own_turns(self) -> tuple[Turn, ...]:
        """The turns that are not a parent's."""
        return self.turns[self.fork :]

    @property
    def turn_reward_sum(self) -> float:
        """Sum of the scored turn rewards (for reports; credit assignment never sums)."""
        return sum(turn.reward for turn in self.turns if turn.reward is not None)

    @property
    def num_action_tokens(self) -> int:
        """Tokens sampled for this episode; a parent's are not counted again."""
        return sum(len(turn.tokens.action_ids) for turn in self.own_turns if turn.tokens is not None)


def message_to_dict(message: Message) -> dict[str, Json]:
    """Plain-JSON form of a message; images are inlined as base64."""
    content: Json
    if isinstance(message.content, str):
        content = message.content
    else:
        content = [
            {"type": "text", "text": p.text}
            if isinstance(p, TextPart)
            else {"type": "image", "mime": p.mime, "base64": base64.b64encode(p.data).decode()}
            for p in message.content
        ]
    out: dict[str, Json] = {"role": message.role, "content": content}
    if message.tool_calls:
        out["tool_calls"] = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in message.tool_calls]
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    return out
