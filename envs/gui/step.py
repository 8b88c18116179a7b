"""``turnwise/ExpertStep-v0``: one turn out of an expert's episode, judged by what the expert does there (Mobile-R1's second stage).

the expert plays k turns -> the agent is shown them and writes one action -> R_act + R_fmt (Mobile-R1, arXiv 2506.20332)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...records import Message, Observation, Outcome, Task
from ..base import Env, EnvFault, Manifest, Rng, Script, TurnResult
from ..scripts import ECHO, NULL, load_script
from . import actions as a
from .actions import Action
from .dom import Dom
from .env import GuiEnv

ENV_ID = "turnwise/ExpertStep-v0"
DEFAULT_ENV = "turnwise/MiniWoB-v0"
DEFAULT_ARGS: Mapping[str, Any] = {
    "task": ("click-test-2", "click-button", "click-option", "enter-text", "login-user", "click-checkboxes"),
    "subsets": ("bid",),
}


class ExpertStep(Env):
    """What would the expert do now?

    Actions: those of the environment that the step is taken from. Observation: that environment's messages up to a turn drawn at random,
    with the expert's own actions in between. Rewards: ``format`` (R_fmt), ``weights["format"]`` for an action that could be read. Outcome:
    R_act, 1 if the action is the expert's (``same_action``), else 0. Start: the expert has played 0 or more turns. End: after one turn.
    Arguments: ``env``, the id of a ``GuiEnv`` (its scripts must have ``script``), and ``env_args`` for it; ``weights``. Version 0.
    """

    waits = True

    def __init__(
        self,
        env: str = DEFAULT_ENV,
        env_args: Mapping[str, Any] | None = None,
        *,
        script: str = "expert",
        weights: Mapping[str, float] | None = None,
    ) -> None:
        from ..registry import make, manifest

        inner = make(env, **dict(DEFAULT_ARGS if env_args is None and env == DEFAULT_ENV else env_args or {}))
        if not isinstance(inner, GuiEnv):
            raise ValueError(f"{env} is no environment of a page; allowed: those whose agent acts on a page, such as {DEFAULT_ENV}")
        scripts = manifest(env).scripts
        if script not in scripts:
            raise ValueError(f"{env} has no script {script!r}; allowed: {', '.join(scripts)}")
        wrong = sorted(set(weights or {}) - {"format"})
        if wrong:
            raise ValueError(f"unknown turn reward {wrong}; allowed: format")
        super().__init__(inner.tasks, max_turns=1)
        self.inner = inner
        self.weights = {"format": 1.0} if weights is None else {k: v for k, v in weights.items() if v}
        self._expert = load_script(scripts[script])
        self._lengths: dict[str, int] = {}
        self._wanted: tuple[Action, ...] = ()

    def start(self, task: Task) -> Observation:
        length = self._length(task)
        cut = int(self.np_random.integers(length))
        seen, script, observation = self._begin(task)
        for _ in range(cut):
            action = str(script.act(observation))
            observation = self._step(action, task)
            seen += [Message(role="assistant", content=action), *observation]
        self._wanted = self.inner.read(str(script.act(observation)))
        return tuple(seen)

    def act(self, action: Message) -> TurnResult:
        parsed = self.inner.syntax.parse(action.text)
        components = {"format": self.weights["format"] * (not parsed.problem)} if self.weights else {}
        right = not parsed.problem and same_actions(parsed.actions, self._wanted, self.inner.view.dom)
        note = parsed.problem or ("" if right else f"the expert's action is {self.inner.syntax.write(self._wanted)}")
        return TurnResult(
            reward=sum(components.values()) if self.weights else None,
            components=components,
            action_valid=not parsed.problem,
            outcome=Outcome(score=float(right), note=note),
        )

    def _length(self, task: Task) -> int:
        """Turns of the expert's episode, which is played once to know."""
        if task.hash not in self._lengths:
            _, script, observation = self._begin(task)
            for number in range(1, self.inner.max_turns + 1):
                observation, _, terminated, truncated, info = self.inner.step(str(script.act(observation)))
                if terminated or truncated:
                    if not info["outcome"].success:
                        raise EnvFault(
                            f"task {task.id!r}: the expert itself does not succeed ({info['stop'].value}), so its steps say nothing"
                        )
                    self._lengths[task.hash] = number
                    break
        return self._lengths[task.hash]

    def _begin(self, task: Task) -> tuple[list[Message], Script, Observation]:
        observation, _ = self.inner.reset(seed=0, options={"task": task})
        script = cast("Script", self._expert())
        script.reset(task, _no_chance())
        return list(observation), script, observation

    def _step(self, action: str, task: Task) -> Observation:
        observation, _, terminated, truncated, info = self.inner.step(action)
        if terminated or truncated:
            raise EnvFault(f"task {task.id!r}: the expert's episode ended earlier than the last time ({info['stop'].value})")
        return observation

    def outcome(self) -> Outcome:
        return Outcome(score=0.0)

    def close(self) -> None:
        self.inner.close()
        super().close()


def _no_chance() -> Rng:
    import numpy as np

    return np.random.default_rng(np.random.SeedSequence([0]))


# ---- what counts as the same action ----------------------------------------------------------------------------------


def same_actions(made: Sequence[Action], wanted: Sequence[Action], dom: Dom) -> bool:
    """Whether all actions are the expert's, one by one."""
    return len(made) == len(wanted) and all(same_action(m, w, dom) for m, w in zip(made, wanted, strict=True))


def same_action(made: Action, wanted: Action, dom: Dom) -> bool:
    """R_act of Mobile-R1 (arXiv 2506.20332): coordinates lie in the box of the expert's element, everything else is equal.

    The expert's element is the one it names, or the smallest one that its own point lies in; a click at a point may stand for a click on
    an element and the other way round.
    """
    if made == wanted:
        return True
    ours, theirs = _pointed(made, dom), _pointed(wanted, dom)
    if ours is None or theirs is None or ours[0] != theirs[0] or len(ours[1]) != len(theirs[1]):
        return False
    return all(_within(point, place, dom) for point, place in zip(ours[1], theirs[1], strict=True))


_Point = tuple[float, float]


def _pointed(action: Action, dom: Dom) -> tuple[tuple[object, ...], tuple[_Point, ...]] | None:
    """What is done, without where, and the points where; None for an action without a place."""
    match action:
        case a.MouseClick(x=x, y=y, button=button, count=count):
            return ("click", button, count), ((x, y),)
        case a.Click(id=element, button=button, count=count, modifiers=()):
            middle = _middle(element, dom)
            return None if middle is None else (("click", button, count), (middle,))
        case a.MouseMove(x=x, y=y):
            return ("move",), ((x, y),)
        case a.Hover(id=element):
            middle = _middle(element, dom)
            return None if middle is None else (("move",), (middle,))
        case a.MouseDown(x=x, y=y, button=button) | a.MouseUp(x=x, y=y, button=button):
            return (type(action).__name__, button), ((x, y),)
        case a.MouseDrag(from_x=x, from_y=y, to_x=to_x, to_y=to_y):
            return ("drag",), ((x, y), (to_x, to_y))
        case a.DragAndDrop(source=source, target=target):
            start, end = _middle(source, dom), _middle(target, dom)
            return None if start is None or end is None else (("drag",), (start, end))
        case _:
            return None


def _middle(element_id: str, dom: Dom) -> _Point | None:
    element = dom.find(element_id)
    if element is None or element.box is None:
        return None
    x1, y1, x2, y2 = element.box
    return (x1 + x2) / 2, (y1 + y2) / 2


def _within(point: _Point, place: _Point, dom: Dom) -> bool:
    """Whether ``point`` lies in the smallest element that ``place`` lies in."""
    boxes = [e.box for e in dom.elements if e.box is not None and _inside(place, e.box)]
    if not boxes:
        return point == place
    return _inside(point, min(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1])))


def _inside(point: _Point, box: tuple[float, float, float, float]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


# ---- scripts ---------------------------------------------------------------------------------------------------------


class Replay:
    """Plays the base environment's script over the turns it is shown and does what that does next. ``name``: which script."""

    def __init__(self, script: str = "turnwise.envs.gui.miniwob.experts:Expert") -> None:
        self._script = cast("Script", load_script(script)())

    def reset(self, task: Task, rng: Rng) -> None:
        self._script.reset(task, rng)

    def act(self, observation: Observation) -> str:
        turns, turn = list[list[Message]](), list[Message]()
        for message in observation:
            if message.role == "assistant":
                turns.append(turn)
                turn = []
            else:
                turn.append(message)
        said = ""
        for seen in [*turns, turn]:
            said = str(self._script.act(tuple(seen)))
        return said


MANIFEST = Manifest(
    description="One turn out of an expert's episode on a page: what would the expert do now? (Mobile-R1's second stage)",
    turn_reward_range=(0.0, 1.0),
    outcome_range=(0.0, 1.0),
    max_turns=1,
    random_score=0.6,
    scripts={
        "expert": f"{__name__}:Replay",
        "random": "turnwise.envs.gui.miniwob.scripts:Random",
        "null": NULL,
        "echo": ECHO,
        "hack_done": "turnwise.envs.gui.miniwob.scripts:Done",
    },
    license="MIT (pages of the miniwob package)",
)
