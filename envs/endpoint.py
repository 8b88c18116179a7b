"""A chat model inside the world: simulated users, routed models and judges behind an OpenAI-compatible endpoint.

    ChatEndpoint(url="http://127.0.0.1:8000/v1", model="qwen").complete((Message(role="user", content="Hello"),)).text

Synchronous, as ``Env.step`` is. Agents talk to endpoints through ``agents.chat``.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, cast

import httpx
import numpy as np

from ..records import ImagePart, Message, Part
from .base import EnvFault

RETRIED_STATUS = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
_OWN = ("messages", "model", "temperature", "max_tokens", "stream")
_HINTS = {
    400: "the request was refused; check extra= and that the messages fit the model's context",
    401: "the key was refused; check the variable that key_env= names",
    403: "the key may not use this model; check key_env= and model=",
    404: "nothing answers there; check that url= ends in /v1 and that the server offers this model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer. The token counts are the server's own; None where it reports none."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class ChatEndpoint:
    """Where a model answers, and how it is asked. Holds no connection, so it may be pickled, forked and shared by threads.

    Raises ``ValueError`` for settings that cannot work.
    """

    url: str
    """Ends in ``/v1``; ``/chat/completions`` is added."""
    model: str
    key_env: str | None = None
    """Name of the environment variable that holds the key, read at each request: a key never enters a config or a pickle."""
    timeout: float = 60.0
    """Seconds for connecting, and for each wait for data."""
    retries: int = 2
    """Further attempts after a timeout, a lost connection or a status of ``RETRIED_STATUS``."""
    backoff: float = 0.5
    """Seconds before the second attempt, doubled for each further one, with jitter; a longer Retry-After (up to 60 s) is kept to."""
    temperature: float = 0.0
    max_tokens: int = 512
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further fields of the request: ``{"top_p": 0.9, "seed": 1}``."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url is {self.url!r}; it must start with http:// or https:// and end in /v1")
        try:
            httpx.URL(self.url)
            json.dumps(dict(self.extra))
        except (httpx.InvalidURL, TypeError, ValueError) as error:
            raise ValueError(f"url is {self.url!r}, extra is {dict(self.extra)!r}: {error}; extra must be plain JSON") from None
        if not self.model:
            raise ValueError("model is empty; name the model the server offers")
        for name, value, low in (("timeout", self.timeout, 1e-3), ("retries", self.retries, 0), ("backoff", self.backoff, 0)):
            if not value >= low:
                raise ValueError(f"{name} is {value}; it must be at least {low}")
        if not self.temperature >= 0 or self.max_tokens < 1:
            raise ValueError(f"temperature is {self.temperature} (at least 0), max_tokens is {self.max_tokens} (at least 1)")
        clash = sorted(set(self.extra) & set(_OWN))
        if clash:
            raise ValueError(f"extra has {clash}, which are arguments of their own or fixed; remove them from extra")

    @classmethod
    def of(cls, given: Mapping[str, Any] | ChatEndpoint) -> ChatEndpoint:
        """An endpoint from a mapping (of a YAML file, say). Raises ``ValueError`` for unknown or missing keys."""
        if isinstance(given, ChatEndpoint):
            return given
        allowed = [f.name for f in fields(cls)]
        unknown, missing = sorted(set(given) - set(allowed)), [name for name in ("url", "model") if name not in given]
        if unknown or missing:
            raise ValueError(f"endpoint: unknown keys {unknown}, missing keys {missing}; allowed: {', '.join(allowed)}")
        return cls(**given)

    def complete(self, messages: Sequence[Message]) -> Completion:
        """The model's answer to ``messages``; an empty answer is empty text. Tool calls of the answer are not read.

        Raises ``EnvFault`` when no usable answer comes. Cut agent-written text before it gets here: messages that do not fit
        the model's context are refused by the server, and that would void the episode.
        """
        body = {"model": self.model, "temperature": self.temperature, "max_tokens": self.max_tokens, **self.extra}
        body["messages"] = [to_openai(m) for m in messages]
        # Half of a surrogate pair, which agents can write, cannot be sent.
        return self._read(self._post(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")))

    @property
    def _address(self) -> str:
        return self.url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"

    @property
    def _who(self) -> str:
        return f"{self._address} (model {self.model!r})"

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self.key_env is not None:
            key = os.environ.get(self.key_env)
            if not key:
                raise EnvFault(f"{self._who}: the environment variable {self.key_env!r} (key_env) is not set; export the key")
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def _post(self, body: bytes) -> httpx.Response:
        headers, jitter = self._headers(), np.random.default_rng()
        problem, delay = "", 0.0
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(max(delay, self.backoff * 2 ** (attempt - 1) * (0.5 + float(jitter.random()))))
            delay = 0.0
            try:
                # A client per request: connections may not cross the fork of a worker process.
                with httpx.Client(timeout=self.timeout, verify=_tls() if self.url.startswith("https") else False) as client:
                    response = client.post(self._address, content=body, headers=headers)
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            if response.status_code == 200:
                return response
            problem = f"HTTP {response.status_code}: {response.text[:300]}"
            if response.status_code not in RETRIED_STATUS:
                hint = _HINTS.get(response.status_code, "this status is not tried again; check url= and the server's log")
                raise EnvFault(f"{self._who} answered {problem}; {hint}")
            delay = _retry_after(response)
        raise EnvFault(f"{self._who} gave no answer in {self.retries + 1} attempts, last {problem}; is the server up? (or raise retries=)")

    def _read(self, response: httpx.Response) -> Completion:
        try:
            answer = cast("dict[str, Any]", response.json())
            content = answer["choices"][0]["message"].get("content")
            usage = cast("dict[str, Any]", answer.get("usage") or {})
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise EnvFault(
                f"{self._who} answered without choices[0].message: {response.text[:300]!r}; is it a chat endpoint? check url="
            ) from error
        if content is not None and not isinstance(content, str):
            raise EnvFault(f"{self._who} answered with content that is not text: {response.text[:300]!r}; it must be a string or null")
        return Completion(text=content or "", prompt_tokens=_count(usage, "prompt"), completion_tokens=_count(usage, "completion"))


def _count(usage: Mapping[str, Any], which: str) -> int | None:
    value = usage.get(f"{which}_tokens")
    return value if isinstance(value, int) else None


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(60.0, max(0.0, float(response.headers.get("retry-after", "0"))))
    except ValueError:  # an HTTP date; the backoff will do
        return 0.0


@lru_cache(maxsize=1)
def _tls() -> Any:
    return httpx.create_ssl_context()  # slow to build


def to_openai(message: Message) -> dict[str, Any]:
    """The OpenAI chat form of a message; images become data URLs."""
    content: Any = message.content
    if not isinstance(content, str):
        content = [_part(p) for p in content]
    out: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        out["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in message.tool_calls
        ]
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    return out


def _part(part: Part) -> dict[str, Any]:
    if not isinstance(part, ImagePart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": f"data:{part.mime};base64,{base64.b64encode(part.data).decode()}"}}
