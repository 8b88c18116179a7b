"""``turnwise/Ground-v0``: one instruction, one screenshot, one place to point at.

env = Ground(); (system, shown), _ = env.reset(seed=0); env.step("(412, 88)")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ....records import ImagePart, Message, Observation, Outcome, StopReason, Task, TextPart
from ....rewards import boxes as b
from ....rewards import gui
from ....rewards.gui_score import Space
from ...base import Env, EnvFault, Manifest, TurnResult
from ...scripts import ECHO, NULL
from ..browser import BrowserOptions, Tab, View, shared_browser
from ..page import PageFault
from . import answers
from .pages import document_of, measured, size_of
from .screenspot import Boxes, ScreenSpot
from .sheet import THEMES, Theme
from .tasks import KINDS, LAYOUTS, GroundTasks, known
from .tree import tree_text

OBSERVATIONS = ("screenshot", "axtree")
COMPONENTS = ("hit", "iou", "gui_g2", "gui_g2_point", "gui_g2_coverage", "gui_g1", "distance", "format")
OF_BOXES = ("iou", "gui_g2", "gui_g2_coverage", "gui_g1")
"""Components that compare boxes, for ``answer="box"``."""
DEFAULT_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "point": {"gui_g2_point": 0.5, "format": 0.02},
    "box": {"gui_g2": 0.25, "format": 0.02},
}
Size = tuple[int, int]


class Ground(Env):
    """Point at the element that an instruction means, on a page made for the task or on a screenshot of ScreenSpot's files.

    Actions: a point ``(x, y)`` or a box ``[x1, y1, x2, y2]``, plain, in JSON (``point_2d``, ``bbox_2d``), or as a click of UI-TARS or
    BrowserGym; see ``answers.py``. Observations: the screenshot, and the accessibility tree with places where it is asked for. Rewards,
    weighted: ``hit``, ``iou``, ``gui_g2`` and its parts ``gui_g2_point``, ``gui_g2_coverage``, ``gui_g1``, ``distance``, ``format``
    (the answer could be read). Outcome: 1 if the point, or the box's centre, lies in the target, edges included, and a box reaches
    ``least_iou``; component ``iou``. Start: the page, laid out by the browser; the target's box is read from it. End: with the first
    readable answer, or the last of ``max_turns`` unreadable ones. Measures: the answer (``x``, ``y`` or ``x1`` ... ``y2``), ``width``,
    ``height``, ``target_x1`` ... ``target_y2``, all in pixels of the screenshot, ``hit``, ``iou``, ``difficulty`` (GUI-G1's weight of the
    task, before it is averaged).

    Arguments: ``layouts``, ``themes``, ``kinds`` (of instructions), each "all", a name or several; ``held_out``, layouts of the test split
    alone; ``tasks`` in each split; ``size`` (width, height) in CSS pixels and ``scale``, each one value or several to draw from; ``data``,
    a file or folder of ScreenSpot samples in place of generated pages, with ``images`` and ``boxes`` as ``ScreenSpot`` has them;
    ``answer`` "point" or "box"; ``coordinates``, how the agent counts: "pixels" of the screenshot, "thousandths", "share" (0..1), "resized"
    (pixels as ``smart_resize`` shows it), or the (width, height) of the image that the model sees; ``observation``, one or both of
    "screenshot", "axtree"; ``weights``; ``least_iou``; ``max_turns``. Version 0.
    """

    waits = True

    breakdown = ("group", "ui_type", "group/ui_type", "layout", "kind")

    def __init__(
        self,
        layouts: str | Sequence[str] = "all",
        *,
        held_out: str | Sequence[str] = (),
        themes: str | Sequence[str] = "all",
        kinds: str | Sequence[str] = "all",
        tasks: int = 1000,
        size: Size | Sequence[Size] = (1024, 768),
        scale: float | Sequence[float] = 1.0,
        data: str | Path | None = None,
        images: str | Path | None = None,
        boxes: Boxes | None = None,
        answer: Literal["point", "box"] = "point",
        coordinates: Space | Sequence[float] = "pixels",
        observation: str | Sequence[str] = "screenshot",
        weights: Mapping[str, float] | None = None,
        least_iou: float = 0.0,
        max_turns: int = 1,
    ) -> None:
        held = known(held_out, tuple(LAYOUTS), "layout") if held_out else ()
        sizes = cast("Sequence[Size]", size if isinstance(size[0], Sequence) else [size])
        scales = [scale] if isinstance(scale, int | float) else list(scale)
        if not scales or any(not 0.5 <= s <= 4 for s in scales):
            raise ValueError(f"scale is {scale}; allowed: from 0.5 to 4")
        source = (
            ScreenSpot(data, images=images, boxes=boxes)
            if data is not None
            else GroundTasks(
                layouts=tuple(LAYOUTS) if layouts == "all" else known(layouts, tuple(LAYOUTS), "layout"),
                held_out=held,
                themes=cast("tuple[Theme, ...]", THEMES if themes == "all" else known(themes, THEMES, "theme")),
                kinds=KINDS if kinds == "all" else known(kinds, KINDS, "kind of instruction"),
                sizes=[(int(w), int(h)) for w, h in sizes],
                scales=[float(s) for s in scales],
                count=tasks,
            )
        )
        super().__init__(source, max_turns=max_turns)
        self.observation = known(observation, OBSERVATIONS, "observation")
        if answer not in DEFAULT_WEIGHTS:
            raise ValueError(f"answer is {answer!r}; allowed: 'point', 'box'")
        if data is not None and "axtree" in self.observation:
            raise ValueError("files of screenshots have no accessibility tree; leave 'axtree' out of observation")
        if not 0.0 <= least_iou <= 1.0:
            raise ValueError(f"least_iou is {least_iou}; it is from 0 to 1")
        self.answer: Literal["point", "box"] = answer
        self.coordinates: answers.Coordinates = _coordinates(coordinates)
        self.least_iou = least_iou
        self.weights = _weights(weights, answer)
        self._tab: Tab | None = None
        self._screen: Size = (0, 0)
        self._target: b.Box | None = None

    # ---- the episode -------------------------------------------------------------------------------------------------------------------

    def start(self, task: Task) -> Observation:
        parts = self._open(task) if isinstance(self.tasks, ScreenSpot) else self._render(task)
        negatives = isinstance(self.tasks, ScreenSpot)
        how = answers.instructions(self.answer, self._screen, self.coordinates, negatives=negatives)
        system = Message(role="system", content=f"You are shown a screen and told what to point at. {how}")
        said = "\n".join(message.text for message in task.prompt)
        texts = [said, *(part.text for part in parts if isinstance(part, TextPart))]
        pictures = [part for part in parts if isinstance(part, ImagePart)]
        content = (TextPart(text="\n".join(texts)), *pictures) if pictures else "\n".join(texts)
        return (system, Message(role="user", content=content))

    def _open(self, task: Task) -> list[TextPart | ImagePart]:
        """A screenshot of the files."""
        assert isinstance(self.tasks, ScreenSpot)
        width, height = task.data["screen"]
        self._screen = (int(width), int(height))
        given = task.data["target"]
        self._target = None if given is None else cast("b.Box", tuple(float(v) for v in given))
        image = self.tasks.image(task)
        return [ImagePart(data=image, mime="image/png" if image.startswith(b"\x89PNG") else "image/jpeg")]

    def _render(self, task: Task) -> list[TextPart | ImagePart]:
        """A page that was made, laid out by the browser."""
        size, scale = size_of(task)
        sees, reads = "screenshot" in self.observation, "axtree" in self.observation
        if self._tab is None:
            self._tab = shared_browser(BrowserOptions(fast_frames=True)).tab()
        try:
            self._tab.resize(size, scale)
            found = measured(self._tab.load(document_of(task)))
            view = self._tab.look(tree=reads, screenshot=sees)
        except PageFault as fault:
            raise EnvFault(f"the page of task {task.id!r} did not start: {fault}") from fault
        if not found.visible:
            raise EnvFault(f"the target of task {task.id!r} is not seen whole ({found}); this is a fault of the layout")
        self._screen = (round(size[0] * scale), round(size[1] * scale))
        x1, y1, x2, y2 = (scale * v for v in found.box)
        self._target = b.clipped((x1, y1, x2, y2), *self._screen)
        parts: list[TextPart | ImagePart] = [TextPart(text=f"Page:\n{self._tree(view, scale)}")] if reads else []
        return [*parts, ImagePart(data=view.screenshot)] if sees else parts

    def _tree(self, view: View, scale: float) -> str:
        def place(box: b.Box) -> str:
            x1, y1, x2, y2 = b.clipped([scale * v for v in box], *self._screen)
            numbers = ((x1 + x2) / 2, (y1 + y2) / 2) if self.answer == "point" else (x1, y1, x2, y2)
            return answers.write_answer(numbers, self._screen, self.coordinates, decimals=3)

        return tree_text(view, place)

    def act(self, action: Message) -> TurnResult:
        read = answers.read_answer(action.text, self._screen, self.coordinates, kind=self.answer)
        scores = self._scores(read)
        components = {name: weight * scores.get(name, 0.0) for name, weight in self.weights.items()}
        reward = sum(components.values()) if self.weights else None
        measures = self._measures(read, scores)
        if read.problem:
            last = self.turn_index + 1 >= self.max_turns  # there is no further try, so that this is the answer
            return TurnResult(
                observation=(Message(role="user", content=read.problem),),
                reward=reward,
                components=components,
                action_valid=False,
                measures=measures,
                outcome=Outcome(score=0.0, note="no readable answer") if last else None,
                stop=StopReason.INVALID_ACTION if last else None,
            )
        success = scores["hit"] == 1.0 and (self.answer == "point" or self._target is None or scores["iou"] >= self.least_iou)
        shared = {"iou": scores["iou"]} if self.answer == "box" else {}
        outcome = Outcome(score=float(success), components=shared)
        stop = StopReason.SUCCESS if success else StopReason.FAILURE
        return TurnResult(reward=reward, components=components, measures=measures, outcome=outcome, stop=stop)

    def _scores(self, read: answers.Answer) -> dict[str, float]:
        """Unweighted components of an answer."""
        if read.problem:
            return {"hit": 0.0, "iou": 0.0}
        target = self._target
        if target is None or read.negative:
            return {"hit": float(read.negative and target is None), "iou": 0.0, "format": 1.0}
        width, height = self._screen
        point, box, middle = read.point, read.box, b.centre(target)
        return {
            "hit": float(b.hit(point, target)),
            "iou": b.iou(box, target),
            "gui_g2": gui.gui_g2(box, target),
            "gui_g2_point": gui.gui_g2_point(box, target),
            "gui_g2_coverage": gui.gui_g2_coverage(box, target),
            "gui_g1": gui.gui_g1(box, target, width, height),
            "distance": gui.distance((point[0] / width, point[1] / height), (middle[0] / width, middle[1] / height)),
            "format": 1.0,
        }

    def _measures(self, read: answers.Answer, scores: Mapping[str, float]) -> dict[str, float]:
        width, height = self._screen
        names = ("x1", "y1", "x2", "y2")
        found = {"width": float(width), "height": float(height), "hit": scores["hit"]}
        found |= dict(zip(("x", "y") if len(read.numbers) == 2 else names, read.numbers, strict=False))
        if self._target is not None:
            found |= {f"target_{name}": value for name, value in zip(names, self._target, strict=True)}
            found |= {"iou": scores["iou"], "difficulty": gui.rarity(self._target, width, height)}
        return found

    def close(self) -> None:
        tab, self._tab = self._tab, None
        if tab is not None:
            tab.close()
        super().close()

    def __getstate__(self) -> dict[str, Any]:
        # A copy opens a page of its own with its first reset.
        return {**self.__dict__, "_tab": None, "done": True}


def _coordinates(given: Space | Sequence[float]) -> answers.Coordinates:
    if isinstance(given, str):
        if given not in get_args(Space):
            raise ValueError(f"coordinates are {given!r}; allowed: {', '.join(get_args(Space))}, or the (width, height) a model sees")
        return given
    if len(given) != 2 or min(given) <= 0:
        raise ValueError(f"coordinates are {given!r}; the size of an image is (width, height), both above 0")
    return (float(given[0]), float(given[1]))


def _weights(given: Mapping[str, float] | None, answer: str) -> dict[str, float]:
    chosen = DEFAULT_WEIGHTS[answer] if given is None else given
    wrong = sorted(set(chosen) - set(COMPONENTS))
    if wrong:
        raise ValueError(f"unknown turn reward {wrong}; allowed: {', '.join(COMPONENTS)}")
    of_boxes = [name for name in OF_BOXES if name in chosen]
    if of_boxes and answer == "point":
        raise ValueError(
            f"{', '.join(of_boxes)} compare boxes, but the answer is a point; use answer='box', or hit, gui_g2_point, distance"
        )
    return {name: float(weight) for name, weight in chosen.items() if weight}


MANIFEST = Manifest(
    description="Point at what an instruction means, on rendered pages of nine layouts or ScreenSpot's screenshots",
    turn_reward_range=(0.0, 0.52),
    max_turns=1,
    random_score=0.1,
    scripts={
        "expert": "turnwise.envs.gui.ground.scripts:Expert",
        "random": "turnwise.envs.gui.ground.scripts:Random",
        "hack_centre": "turnwise.envs.gui.ground.scripts:Centre",
        "hack_whole_screen": "turnwise.envs.gui.ground.scripts:WholeScreen",
        "null": NULL,
        "echo": ECHO,
    },
    images=True,
)
