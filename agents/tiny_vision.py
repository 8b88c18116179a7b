"""The built-in vision-language policies: small Qwen3-VL and Qwen2.5-VL models with random weights, never downloaded.

They are ordinary checkpoints (weights, tokenizer, image processor, chat template), so they run through exactly the code path of
a real one. The tower cuts an image into patches of ``patch`` pixels and merges 2 x 2 of them into one token.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .tiny import SPECIAL, build_tokenizer

FAMILIES = {"tiny-vlm": "qwen3_vl", "tiny-vlm-2.5": "qwen2_5_vl"}
"""Policy names and the model classes they are built from."""
VISION_SPECIAL = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
MERGE = 2
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_vision_tokenizer(texts: Iterable[str], *, vocab_size: int = 1024) -> Any:
    """As ``tiny.build_tokenizer``, with the image tokens of the Qwen families and a template that shows images."""
    tokenizer = build_tokenizer(texts, vocab_size=vocab_size - len(VISION_SPECIAL))
    tokenizer.add_special_tokens({"additional_special_tokens": list(VISION_SPECIAL)})
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_image_processor(*, patch: int = 8, min_pixels: int | None = None, max_pixels: int = 1 << 16) -> Any:
    """The families' own image processor (Pillow) for patches of ``patch`` pixels; the smallest image is one token."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    options: dict[str, Any] = {"patch_size": patch, "merge_size": MERGE, "temporal_patch_size": 2}
    size = {"shortest_edge": min_pixels or (patch * MERGE) ** 2, "longest_edge": max_pixels}
    return Qwen2VLImageProcessorPil(**options, size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)


def build_vision_model(
    tokenizer: Any,
    *,
    family: str = "qwen3_vl",
    seed: int = 0,
    hidden: int = 64,
    layers: int = 2,
    heads: int = 4,
    vision_hidden: int = 32,
    vision_layers: int = 2,
    patch: int = 8,
    max_positions: int = 4096,
) -> Any:
    """A model of ``family`` with random weights from ``seed``; the global torch RNG is left as it was. Tied embeddings.

    ``hidden`` / ``heads`` must be a multiple of 4 (three position axes share a head's dimensions).
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    if family not in FAMILIES.values():
        raise ValueError(f"there is no tiny model of family {family!r}; allowed: {', '.join(FAMILIES.values())}")
    if hidden % heads or (hidden // heads) % 4:
        raise ValueError(f"hidden is {hidden} with {heads} heads; a head needs a multiple of 4 dimensions")
    text = _text_config(family, len(tokenizer), hidden, layers, heads, max_positions)
    vision = _vision_config(family, hidden, vision_hidden, vision_layers, patch)
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    tokens = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in zip(names, tokens, strict=True)}
    config = AutoConfig.for_model(family, text_config=text, vision_config=vision, tie_word_embeddings=True, **ids)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForImageTextToText.from_config(config)
        # As in tiny.build_model: a token's identity should outweigh the random layers.
        torch.nn.init.normal_(model.get_input_embeddings().weight, std=hidden**-0.5)
        for module in model.model.visual.modules():  # and pictures should differ from the start: transformers' 0.02 hides them
            if isinstance(module, torch.nn.Linear | torch.nn.Conv3d):
                torch.nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
        return model


def _text_config(family: str, vocabulary: int, hidden: int, layers: int, heads: int, max_positions: int) -> dict[str, Any]:
    half = hidden // heads // 2
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [half - 2 * (half // 3), half // 3, half // 3]}
    own: dict[str, Any] = {}
    if family == "qwen3_vl":
        rope["mrope_interleaved"] = True
        own["head_dim"] = hidden // heads
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": 3 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": max(1, heads // 2),
        "max_position_embeddings": max_positions,
        "tie_word_embeddings": True,
        "eos_token_id": SPECIAL.index("<|im_end|>"),
        "pad_token_id": SPECIAL.index("<|endoftext|>"),
        "bos_token_id": None,
        "rope_parameters": rope,
        **own,
    }


def _vision_config(family: str, out: int, hidden: int, layers: int, patch: int) -> dict[str, Any]:
    if family == "qwen3_vl":
        own: dict[str, Any] = {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    else:
        own = {"window_size": 4 * patch * MERGE, "fullatt_block_indexes": [layers - 1]}
    return {
        "depth": layers,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_heads": 2,
        "patch_size": patch,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 2,
        "out_hidden_size": out,
        **own,
    }


def build_tiny_vlm(texts: Iterable[str], folder: str | Path, *, vocab_size: int = 1024, patch: int = 8, **options: Any) -> Path:
    """Write a tiny vision-language policy to ``folder`` as an ordinary checkpoint; ``options`` are those of ``build_vision_model``."""
    tokenizer = build_vision_tokenizer(texts, vocab_size=vocab_size)
    model = build_vision_model(tokenizer, patch=patch, **options)
    path = Path(folder)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    build_image_processor(patch=patch).save_pretrained(path)
    return path
