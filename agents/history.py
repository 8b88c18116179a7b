"""What a policy had before it when it acted: the tokens of an episode's turns, and the images among them.

[Turn] -> history_of -> ids, images placed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ..records import ImagePart, TokenTrace, Turn
from .images import Placed


def history_of(turns: Sequence[Turn], task: str) -> tuple[list[int], list[Placed]]:
    """The tokens after ``turns`` of ``task``, from the last restart on, and the images among them. Every turn has tokens."""
    ids: list[int] = []
    images: list[Placed] = []
    shown: list[ImagePart] = []
    for turn in turns:
        trace = cast("TokenTrace", turn.tokens)
        if trace.restart:
            ids, images = [], []
        images = [*images, *place_images(turn, len(ids), shown, task)]
        ids += [*trace.context_ids, *trace.action_ids]
    return ids, images


def images_of(turn: Turn) -> list[ImagePart]:
    """The images that a turn saw for the first time."""
    return [p for m in turn.observation if not isinstance(m.content, str) for p in m.content if isinstance(p, ImagePart)]


def place_images(turn: Turn, start: int, shown: list[ImagePart], task: str) -> list[Placed]:
    """The images of a turn's context, which begins at ``start``; those it saw for the first time are appended to ``shown``.

    Raises ``ValueError`` unless a turn that continues holds exactly the images it saw, and one that restarts the last ones.
    """
    trace = cast("TokenTrace", turn.tokens)
    new = images_of(turn)
    shown += new
    if not shown and not trace.images:
        return []
    count = len(trace.images)
    last = shown[len(shown) - count :] if 0 < count <= len(shown) else shown  # a context without any image has lost them
    allowed = last if trace.restart else new
    if [span.digest for span in trace.images] != [image.digest for image in allowed]:
        raise ValueError(
            f"task {task!r}, turn {turn.index}: {len(new)} new images of {len(shown)} were seen, but the tokens hold {count} others or "
            "none; play it with a vision-language policy, and keep the messages as they were"
        )
    return [Placed(span, image).shifted(start) for span, image in zip(trace.images, allowed, strict=True)]
