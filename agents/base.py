"""Who acts: one protocol for scripted experts, chat endpoints and local policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..records import Message, Observation, StopReason, Task, TokenTrace, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an agent answers. ``stop`` set: the agent cannot go on (context overflow, token budget); the message is not sent.

    ``note`` says why, for a ``stop`` that voids the episode.
    """

    message: Message
    tokens: TokenTrace | None = None
    chat_logprobs: tuple[float, ...] | None = None
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    stop: StopReason | None = None
    note: str = ""


@dataclass(slots=True, kw_only=True)
class Episode:
    """What an agent may keep about one running episode; made anew for every episode, handed to every ``act``.

    ``messages`` is the whole history so far, the new observation included. ``memory`` is the agent's own.
    Only scripted agents may read ``task.data``. ``prefix`` are the turns an episode begins with that was forked from another
    one: ``messages`` holds them, and an agent with a memory takes up after them when it first acts. ``parent`` is the episode
    they were played in (it may have them from its own), with its memory as it was at its end.
    """

    task: Task
    rollout: int
    policy_seed: int
    messages: list[Message] = field(default_factory=list[Message])
    memory: object = None
    prefix: tuple[Turn, ...] = ()
    parent: Episode | None = None

    def drawn_from(self, turn: int) -> int:
        """The policy seed that the turn at position ``turn`` is played with: of an episode before this one, for the prefix."""
        episode = self
        while episode.parent is not None and turn < len(episode.prefix):
            episode = episode.parent
        return episode.policy_seed


class Agent(Protocol):
    """One agent serves many episodes at once: ``act`` is called concurrently, once per episode at a time."""

    @property
    def name(self) -> str: ...

    async def act(self, observation: Observation, episode: Episode) -> Act: ...

    def forget(self, episode: Episode) -> None:
        """The episode is over (or abandoned): free what is kept for it."""
        ...
