"""Local policies: where weights come from, on which device, in which precision, with or without LoRA.

load_policy("Qwen/Qwen3-0.6B" | "folder", lora={...}) -> (model, tokenizer)
load_policy("Qwen/Qwen2.5-VL-3B-Instruct", vision={...}) -> (model, VisionProcessor)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .vision import MODEL_TYPES, VisionProcessor, check_options, freeze_tower

DEFAULT_LORA: Mapping[str, Any] = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}


def pick_device(device: str | None = None) -> str:
    """``device`` if given, else "cuda" where there is one, else "cpu"."""
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def load_policy(
    name: str | Path,
    *,
    device: str | None = None,
    dtype: str | None = None,
    lora: Mapping[str, Any] | None = None,
    adapter: Path | None = None,
    tokenizer: str | Path | None = None,
    vision: Mapping[str, Any] | None = None,
) -> tuple[Any, Any]:
    """(model, tokenizer) of a hub name or a local folder; dtype float32 on a CPU and bfloat16 on a GPU unless given.

    ``lora``: arguments of ``peft.LoraConfig`` laid over ``DEFAULT_LORA`` (an empty mapping: the defaults); the result is a
    peft model whose base is frozen. ``adapter``: folder of a saved adapter to continue from. ``tokenizer``: where that lies,
    if not beside the weights.
    A vision-language checkpoint (Qwen2.5-VL, Qwen3-VL) comes with a ``VisionProcessor`` in place of the tokenizer; ``vision``:
    its ``min_pixels``, ``max_pixels`` and ``keep_images``, and ``freeze``, which leaves the vision tower untrained.
    Raises ``ValueError`` when the folder or hub name has no causal language model, or ``vision`` is given for one without images.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

    place = pick_device(device)
    kind = getattr(torch, dtype or ("bfloat16" if place.startswith("cuda") else "float32"), None)
    if not isinstance(kind, torch.dtype):
        raise ValueError(f"there is no dtype {dtype!r}; use float32 or bfloat16")
    options = {name: value for name, value in (vision or {}).items() if value is not None}
    check_options(options)
    freeze = bool(options.pop("freeze", False))
    try:
        sees = AutoConfig.from_pretrained(name).model_type in MODEL_TYPES
        if sees:
            words: Any = VisionProcessor.from_pretrained(tokenizer or name, **options)
            model = AutoModelForImageTextToText.from_pretrained(name, dtype=kind).to(place)
        else:
            words = AutoTokenizer.from_pretrained(tokenizer or name)
            model = AutoModelForCausalLM.from_pretrained(name, dtype=kind).to(place)
    except OSError as error:
        raise ValueError(
            f"policy {str(name)!r}: no model was found there ({error}); give 'tiny', a folder with a checkpoint, or a hub name"
        ) from error
    if (options or freeze) and not sees:
        raise ValueError(f"policy {str(name)!r} reads text only (its type is not one of {', '.join(MODEL_TYPES)}); remove vision")
    if freeze:
        freeze_tower(model)
    if adapter is not None:
        from peft import PeftModel

        return PeftModel.from_pretrained(model, adapter, is_trainable=True), words
    return (with_lora(model, lora), words) if lora is not None else (model, words)


def with_lora(model: Any, options: Mapping[str, Any], seed: int = 0) -> Any:
    """``model`` with a fresh LoRA adapter drawn from ``seed``; only the adapter trains. A frozen vision tower gets none."""
    import torch
    from peft import LoraConfig, get_peft_model

    tower = list(model.model.visual.parameters()) if model.config.model_type in MODEL_TYPES else []
    if tower and not any(p.requires_grad for p in tower):
        options = {"exclude_modules": r"(.*\.)?visual\..*", **options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, LoraConfig(**{**DEFAULT_LORA, **options}))


def base_model(model: Any) -> Any:
    """The transformers model itself; peft changes its layers in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def recompute_activations(model: Any) -> None:
    """Trade time for memory: activations are made again in the backward pass."""
    # transformers renamed this in 5.x and warns about the old name; the lowest supported version has only the old one
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable()
