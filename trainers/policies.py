"""The policy of a run: built, loaded, or taken from its last checkpoint; and the reference of its KL term."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..agents.models import base_model, load_policy, with_lora
from ..agents.policy import PolicyAgent
from ..agents.tiny import build_model, build_tokenizer
from ..agents.tiny_vision import FAMILIES, build_tiny_vlm
from ..records import Trajectory
from .runs import RunFolder

TEXTS = 2000
"""Demonstrations whose text the built-in policy's tokenizer is trained on."""


def open_policy(run: RunFolder, latest: Path | None, demonstrations: Callable[[], list[Trajectory]]) -> tuple[Any, Any]:
    """(model, tokenizer or ``VisionProcessor``) of a run, with the weights of checkpoint ``latest`` if there is one.

    "tiny" and the "tiny-vlm" ones are built once in the run folder, their tokenizer from ``demonstrations``; the tokenizer (and
    image processor) of any policy is kept in ``tokenizer/``.
    """
    c = run.config
    place: dict[str, Any] = {"device": c.device, "dtype": c.dtype, "vision": c.vision.model_dump() if c.vision is not None else None}
    source: str | Path = c.policy
    if c.policy == "tiny" or c.policy in FAMILIES:
        source = run.path / "tiny"
        if not (source / "config.json").exists():
            _build_tiny(source, c.policy, c.tiny, c.seed, demonstrations()[:TEXTS])
    if latest is not None:
        if c.lora is not None:
            return load_policy(source, adapter=latest, **place)
        return load_policy(latest, tokenizer=source, **place)
    model, tokenizer = load_policy(source, lora=None, **place)
    tokenizer.save_pretrained(run.path / "tokenizer")
    return (model if c.lora is None else with_lora(model, c.lora, seed=c.seed)), tokenizer


def _build_tiny(folder: Path, name: str, sizes: dict[str, int], seed: int, demonstrations: list[Trajectory]) -> None:
    rest = dict(sizes)
    texts = (m.text for t in demonstrations for turn in t.turns for m in (*turn.observation, turn.action))
    part = folder.with_suffix(".part")
    if name in FAMILIES:
        build_tiny_vlm(texts, part, family=FAMILIES[name], seed=seed, **rest).rename(folder)
        return
    tokenizer = build_tokenizer(texts, vocab_size=rest.pop("vocab_size", 1024))
    model = build_model(len(tokenizer), seed=seed, **rest)
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    part.rename(folder)


def open_reference(run: RunFolder, model: Any) -> Any:
    """The policy as it was before reinforcement learning; None when the loss and the rewards of the run have no use for it.

    A LoRA run without a warm start needs no copy: its base with the adapter disabled ("base").
    """
    c, folder = run.config, run.path / "reference"
    if not c.needs_reference:
        return None
    if c.lora is not None and c.warm_episodes == 0:
        return "base"
    if not folder.exists():
        merged = copy.deepcopy(model)
        merged = merged.merge_and_unload() if c.lora is not None else merged
        part = folder.with_suffix(".part")
        merged.save_pretrained(part)
        part.rename(folder)
    loaded, _ = load_policy(folder, tokenizer=run.path / "tokenizer", device=c.device, dtype=c.dtype)
    return loaded.eval().requires_grad_(False)


def policy_agent(name: str, env_id: str, temperature: float) -> tuple[PolicyAgent, dict[str, Any]]:
    """A local policy to evaluate, and the arguments of the environment it was trained on.

    ``name``: a run folder (its newest checkpoint and its settings), a model folder, or a hub name (no arguments then).
    Raises ``ValueError`` for a run without a checkpoint or of another environment.
    """
    if not (Path(name) / "config.yaml").exists():
        model, tokenizer = load_policy(name)
        return PolicyAgent(model, tokenizer, temperature=temperature, max_new_tokens=512), {}
    run = RunFolder.open(name)
    if run.config.env != env_id:
        raise ValueError(f"{name} is a run on {run.config.env}, not on {env_id}")
    latest = run.latest_checkpoint()
    if latest is None:
        raise ValueError(f"{name} has no checkpoint yet; go on with: turnwise train --resume {name}")
    model, tokenizer = open_policy(run, latest, list)
    c = run.config
    agent = PolicyAgent(base_model(model), tokenizer, temperature=temperature, max_new_tokens=c.max_new_tokens, max_context=c.max_context)
    return agent, dict(c.env_args)
