"""An agent behind an OpenAI-compatible chat endpoint (vLLM, SGLang, hosted).

messages -> POST {base_url}/chat/completions -> Act(message, usage)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np

from ..envs.endpoint import RETRIED_STATUS, to_openai
from ..records import Message, Observation, ToolCall
from .base import Act, Episode

_HINTS = {
    400: "the request was refused: check the sampling options and that the prompt fits the model's context",
    401: "the key was refused: pass api_key=",
    403: "the key may not use this model: check api_key= and model=",
    404: "nothing answers there: check that base_url ends in /v1 and that the server offers this model",
}


class ChatError(RuntimeError):
    """The endpoint gave no usable answer."""


class ChatAgent:
    """Plays many episodes against one endpoint; the whole history is sent each turn.

    ``base_url`` ends in ``/v1``. ``tools``: OpenAI tool schemas. ``options`` go into the request unchanged (temperature,
    max_tokens, ...); ``seed`` is the episode's policy seed unless ``send_seed`` is off. With ``logprobs`` they are asked
    for and kept as the turn's ``chat_logprobs``, None where the server offers none.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key: str | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
        logprobs: bool = False,
        send_seed: bool = True,
        retries: int = 4,
        backoff: float = 0.5,
        timeout: float = 120.0,
        name: str | None = None,
    ) -> None:
        self.model, self.url = model, base_url.rstrip("/") + "/chat/completions"
        self._name = name or model
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._fixed = {"model": model, **(options or {}), **({"tools": list(tools)} if tools else {})}
        self._logprobs, self._send_seed = logprobs, send_seed
        self._retries, self._backoff, self._timeout = retries, backoff, timeout
        self._tls = httpx.create_ssl_context()  # slow to build, so built once
        self._jitter = np.random.default_rng()

    @property
    def name(self) -> str:
        return self._name

    async def act(self, observation: Observation, episode: Episode) -> Act:
        body = {**self._fixed, "messages": [to_openai(m) for m in episode.messages]}
        if self._send_seed:
            body["seed"] = episode.policy_seed % 2**31
        if self._logprobs:
            body["logprobs"] = True
        answer = await self._post(body)
        try:
            choice = answer["choices"][0]
            message = from_openai(choice["message"])
            offered = (choice.get("logprobs") or {}).get("content") if self._logprobs else None
            logprobs = None if offered is None else tuple(float(token["logprob"]) for token in offered)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ChatError(f"{self.url} answered without choices[0].message: {str(answer)[:300]}; is it a chat endpoint?") from error
        usage = {k: v for k, v in (answer.get("usage") or {}).items() if isinstance(v, int)}
        return Act(message=message, chat_logprobs=logprobs, usage=usage)

    def forget(self, episode: Episode) -> None:
        """Nothing is kept for an episode."""

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        for attempt in range(self._retries + 1):
            delay = self._backoff * 2**attempt * (0.5 + float(self._jitter.random()))
            try:
                # A client per request: connections may not outlive the event loop that opened them.
                async with httpx.AsyncClient(timeout=self._timeout, headers=self._headers, verify=self._tls) as client:
                    response = await client.post(self.url, json=body)
            except (httpx.TimeoutException, httpx.TransportError) as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if response.status_code == 200:
                    return self._json(response)
                problem = f"HTTP {response.status_code}: {response.text[:300]}"
                if response.status_code not in RETRIED_STATUS:
                    hint = _HINTS.get(response.status_code, "this status is not retried")
                    raise ChatError(f"{self.url} (model {self.model!r}) answered {problem}; {hint}")
                delay = max(delay, _retry_after(response))
            if attempt < self._retries:
                await asyncio.sleep(delay)
        raise ChatError(f"{self.url} gave no answer in {self._retries + 1} attempts, last {problem}; is the server up? (raise retries=)")

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError as error:
            raise ChatError(f"{self.url} answered text that is not JSON: {response.text[:300]!r}; check base_url") from error
        if not isinstance(answer, dict):
            raise ChatError(f"{self.url} answered a JSON {type(answer).__name__}, not an object; check base_url")
        return answer


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(60.0, max(0.0, float(response.headers.get("retry-after", "0"))))
    except ValueError:  # an HTTP date; the backoff will do
        return 0.0


def from_openai(message: Mapping[str, Any]) -> Message:
    """The assistant message of a chat completion."""
    calls = tuple(
        ToolCall(id=c.get("id") or f"call_{i}", name=c["function"]["name"], arguments=c["function"].get("arguments") or "{}")
        for i, c in enumerate(message.get("tool_calls") or ())
    )
    return Message(role="assistant", content=message.get("content") or "", tool_calls=calls)
