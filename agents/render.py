"""Chat messages to token ids, append-only: what was sampled is never encoded again.

    full(messages)       the whole context, with the generation prompt        (first turn, or after a restart)
    bridge(observation)  only what follows the assistant's end token          (every later turn)

A tokenizer's bridge is checked against its full chat template when the renderer is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..records import ImagePart, Message, Observation
from .images import Context

_MARK = "\u241eanswer\u241e"


class TemplateError(ValueError):
    """The tokenizer has no usable chat template."""


class Renderer:
    """Renders for one tokenizer. ``eos_id`` is the token that ends an assistant turn.

    ``rewrites_history``: the template changes earlier assistant turns (drops their thinking, say), so a conversation
    that holds such a turn cannot be extended by appending; ``can_append`` is then False for it and the caller restarts.
    Raises ``TemplateError`` when there is no chat template or it does not end assistant turns with the end token, and
    ``ValueError`` where a message holds an image: ``vision.VisionRenderer`` renders those.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise TemplateError("the tokenizer has no chat template; set tokenizer.chat_template or use an instruction-tuned checkpoint")
        self.tokenizer = tokenizer
        self.eos_id = int(tokenizer.eos_token_id)
        user = Message(role="user", content="q")
        tail = self._tail(user)
        eos = str(tokenizer.eos_token)
        if not tail.startswith(eos):
            raise TemplateError(f"the chat template puts {tail[:20]!r} after an assistant turn; expected the end token {eos!r}")
        self._eos_text = eos
        thought = Message(role="assistant", content="<think>\na\n</think>\n\nb")
        closed = self._text([user, thought], prompt=False)
        self.rewrites_history = not self._text([user, thought, user], prompt=False).startswith(closed)

    def _text(self, messages: Sequence[Message], *, prompt: bool) -> str:
        return str(self.tokenizer.apply_chat_template([self._plain(m) for m in messages], tokenize=False, add_generation_prompt=prompt))

    def _plain(self, message: Message) -> dict[str, Any]:
        """The message as chat templates take it."""
        out: dict[str, Any] = {"role": message.role, "content": self._content(message)}
        if message.tool_calls:
            out["tool_calls"] = [{"type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in message.tool_calls]
        return out

    def _content(self, message: Message) -> Any:
        if not isinstance(message.content, str) and any(isinstance(part, ImagePart) for part in message.content):
            raise ValueError(
                f"a {message.role!r} message holds an image, but this policy reads text only; use a vision-language policy "
                "(policy: tiny-vlm, or a Qwen2.5-VL or Qwen3-VL checkpoint), or let the environment describe in text"
            )
        return message.text

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def _tail(self, *new: Message) -> str:
        text = self._text([Message(role="user", content="q"), Message(role="assistant", content=_MARK), *new], prompt=True)
        return text[text.rindex(_MARK) + len(_MARK) :]

    def full(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Ids of the whole conversation plus the generation prompt."""
        return self._encode(self._text(messages, prompt=True))

    def context(self, messages: Sequence[Message]) -> Context:
        """``full``, with its images."""
        return Context(self.full(messages))

    def continuation(self, observation: Observation, *, ended: bool) -> Context:
        """``bridge``, with its images."""
        return Context(self.bridge(observation, ended=ended))

    def can_append(self, history: Sequence[Message]) -> bool:
        """Whether ``history`` (assistant turns included) survives unchanged when the template renders more turns after it."""
        return not (self.rewrites_history and any(m.role == "assistant" and "</think>" in m.text for m in history))

    def bridge(self, observation: Observation, *, ended: bool) -> tuple[int, ...]:
        """Ids between the assistant's last sampled token and its next one. ``ended``: the end token was sampled already."""
        tail = self._tail(*observation)
        return self._encode(tail[len(self._eos_text) :] if ended else tail)

    def decode(self, action_ids: Sequence[int]) -> str:
        """Text of sampled ids, the final end token left out."""
        ids = list(action_ids)
        if ids and ids[-1] == self.eos_id:
            ids.pop()
        return str(self.tokenizer.decode(ids, skip_special_tokens=False))
