"""``PolicyAgent``: a local transformers model that acts in many episodes at once, token for token as trained.

observation -> Renderer.context / continuation -> Decoder.extend -> TokenTrace + text
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..records import Message, Observation, StopReason, TokenTrace
from .base import Act, Episode
from .decoder import Decoder
from .history import history_of
from .images import Context, ImageError
from .vision import image_reader, open_renderer


@dataclass(slots=True)
class _Memory:
    slot: int
    rng: np.random.Generator
    ended: bool = True
    started: bool = False


class PolicyAgent:
    """Serves a local model. ``max_new_tokens`` bounds one turn, ``max_context`` the whole episode, both in tokens.

    ``tokenizer``: a tokenizer, or the ``vision.VisionProcessor`` of a vision-language model. An image takes the tokens it takes
    in context; one that cannot be decoded ends the episode as the environment's fault. Raises ``ValueError`` for an image
    that is larger than ``max_context`` by itself.
    An action that would not leave room for one token ends the episode with ``context_overflow``. ``version`` is stamped
    on every ``TokenTrace``; call ``weights_changed()`` after an update. Counters: ``turns``, ``restarts``.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        temperature: float = 1.0,
        max_new_tokens: int = 128,
        max_context: int | None = None,
        name: str = "policy",
    ) -> None:
        self.name = name
        self.renderer = open_renderer(tokenizer)
        self.decoder = Decoder(model, temperature=temperature, reader=image_reader(tokenizer))
        self.max_new_tokens = max_new_tokens
        self.max_context = max_context or int(model.config.get_text_config().max_position_embeddings)
        self.version = 0
        self.turns = 0
        self.restarts = 0

    def weights_changed(self) -> None:
        """The model was updated: count a new version and drop every cached key and value."""
        self.version += 1
        self.decoder.invalidate()

    async def act(self, observation: Observation, episode: Episode) -> Act:
        memory = episode.memory
        if not isinstance(memory, _Memory):
            episode.memory = memory = self._begin(episode)
        restart = not memory.started or not self.renderer.can_append(episode.messages)
        try:
            if restart:
                context = self.renderer.context(episode.messages)
            else:
                context = self.renderer.continuation(observation, ended=memory.ended)
        except ImageError as error:
            return Act(message=Message(role="assistant"), stop=StopReason.ENV_FAULT, note=str(error))
        used = len(context.ids) + (0 if restart else len(self.decoder.history(memory.slot)))
        room = self.max_context - used
        if room < 1:
            self._check_images(context)
            return Act(message=Message(role="assistant"), stop=StopReason.CONTEXT_OVERFLOW)
        if restart:
            self.decoder.rewind(memory.slot)
        sampled = await self.decoder.extend(
            memory.slot,
            context.ids,
            images=context.images,
            max_new_tokens=min(self.max_new_tokens, room),
            eos_id=self.renderer.eos_id,
            rng=memory.rng,
        )
        self.turns += 1
        self.restarts += restart and memory.started
        memory.started = True
        memory.ended = sampled.finish_reason == "stop"
        trace = TokenTrace(
            context_ids=context.ids,
            action_ids=sampled.ids,
            logprobs=sampled.logprobs,
            version=self.version,
            finish_reason=sampled.finish_reason,
            restart=restart,
            images=tuple(p.span for p in context.images),
        )
        usage = {"prompt_tokens": len(context.ids), "completion_tokens": len(sampled.ids)}
        return Act(message=Message(role="assistant", content=self.renderer.decode(sampled.ids)), tokens=trace, usage=usage)

    def _begin(self, episode: Episode) -> _Memory:
        """What is remembered when an episode is begun, or taken up after the turns of its prefix.

        A prefix that was played by a policy goes on token by token; its keys and values are copied from the episode it comes from
        where that still has them. Of one without tokens (an expert's) the first context holds everything.
        """
        rng = np.random.default_rng(np.random.SeedSequence(episode.policy_seed))
        last = episode.prefix[-1].tokens if episode.prefix else None
        if last is None or any(turn.tokens is None for turn in episode.prefix):
            return _Memory(slot=self.decoder.open(), rng=rng)
        ids, images = history_of(episode.prefix, episode.task.id)
        source = episode.parent.memory if episode.parent is not None else None
        slot = self.decoder.fork(ids, images, source.slot if isinstance(source, _Memory) else None)
        return _Memory(slot=slot, rng=rng, ended=last.finish_reason == "stop", started=True)

    def _check_images(self, context: Context) -> None:
        """An image that can never fit is a setting to correct, not an episode to end."""
        largest = max((p.span.end - p.span.start for p in context.images), default=0)
        if largest >= self.max_context:
            raise ValueError(
                f"an image takes {largest} tokens and the whole context is {self.max_context}; lower vision.max_pixels, or raise "
                "max_context"
            )

    def forget(self, episode: Episode) -> None:
        if isinstance(episode.memory, _Memory):
            self.decoder.close(episode.memory.slot)
            episode.memory = None
