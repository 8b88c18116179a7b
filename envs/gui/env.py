"""``GuiEnv``: the base of environments whose agent sees a page and acts on it with mouse and keyboard.

text -> syntax -> actions -> perform (real input events) -> quiet page -> look -> observation
                                                        -> probe (a JS expression) -> scored, verdict
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ...records import ImagePart, Message, Observation, Outcome, StopReason, Task, TextPart
from ..base import Env, EnvFault, TurnResult
from ..tasks import TaskSet
from .actions import Action, ActionSyntax, Finish, ReportInfeasible, SendMessage
from .browser import BrowserOptions, Tab, View, shared_browser
from .browsergym import BrowserGymSyntax
from .marks import draw_marks
from .miniwob_actions import MiniWobSyntax
from .page import PageFault
from .site import Document
from .uitars import UiTarsSyntax

OBSERVATIONS = ("axtree", "html", "screenshot", "marks")
SYNTAXES = ("browsergym", "miniwob", "uitars")
COMPONENTS = ("format", "executed")
_UPLOADS = ("upload_file", "mouse_upload_file")
Fields = Sequence[tuple[str, str]]


class GuiEnv(Env):
    """Arguments: ``tasks``; ``observation``, one or several of "axtree" (accessibility tree), "html" (pruned), "screenshot", "marks" (a
    screenshot with the ids of elements drawn on it); ``syntax``, how actions are written: "browsergym" (Python calls, of BrowserGym's
    groups ``subsets``), "miniwob" (JSON), "uitars"; ``size`` (width, height) in CSS pixels and ``scale``, device pixels for each;
    ``multi``: several actions in a message; ``boxes``: the accessibility tree says where elements are; ``settle``: the longest wait, in
    seconds, for a page to be quiet; ``weights`` of the turn reward components (empty: turns are not scored); ``instructions``: the system
    message, in place of one that lists the actions; ``window``: a visible browser; ``max_turns``.

    Turn measures: ``pointer_x``, ``pointer_y``, where the mouse went last, in pixels of the screenshot, and ``pointer_from_x``,
    ``pointer_from_y``, where a drag began; the report draws them on the screenshot. Subclasses implement ``document`` and ``verdict``,
    and may ``goal``, ``scored``. Raises ``ValueError`` for what is unknown here, ``MissingBrowser`` at the first ``reset``.
    """

    waits = True
    components: tuple[str, ...] = COMPONENTS
    """Names that ``weights`` may have: ``format``, 1 for a message that could be read; ``executed``, 1 if all of its actions were done."""
    default_subsets: tuple[str, ...] = ("bid", "nav", "chat", "infeas")
    skip: frozenset[str] = frozenset()
    """HTML ids of elements that the agent is not shown."""
    probe: str = "null"
    """A JS expression; its value after every message is what ``scored`` and ``verdict`` judge."""
    accept_dialogs: bool = False
    load_seconds: float = 10.0
    purpose: str = "You act on a web page to reach a goal. After each of your messages you see the page as it is then."

    def __init__(
        self,
        tasks: TaskSet,
        *,
        observation: str | Sequence[str] = "axtree",
        syntax: str = "browsergym",
        subsets: Sequence[str] | None = None,
        size: tuple[int, int] = (1024, 768),
        scale: float = 1.0,
        multi: bool = False,
        boxes: bool = False,
        settle: float = 1.0,
        weights: Mapping[str, float] | None = None,
        instructions: str | None = None,
        window: bool = False,
        max_turns: int = 10,
    ) -> None:
        super().__init__(tasks, max_turns=max_turns)
        self.instructions = instructions
        self.observation = (observation,) if isinstance(observation, str) else tuple(observation)
        unknown = [name for name in self.observation if name not in OBSERVATIONS]
        if unknown or not self.observation:
            raise ValueError(f"observation {', '.join(unknown) or '()'}; allowed: one or several of {', '.join(OBSERVATIONS)}")
        if syntax not in SYNTAXES:
            raise ValueError(f"syntax {syntax!r}; allowed: {', '.join(SYNTAXES)}")
        wrong = sorted(set(weights or {}) - set(self.components))
        if wrong:
            raise ValueError(f"unknown turn reward {wrong}; allowed: {', '.join(self.components)}")
        if min(size) < 1 or scale <= 0:
            raise ValueError(f"size {size} and scale {scale}; allowed: sides from 1 pixel, a scale above 0")
        self.syntax_name, self.size, self.scale, self.multi = syntax, (int(size[0]), int(size[1])), float(scale), multi
        self.subsets = self.default_subsets if subsets is None else tuple(subsets)
        self.boxes, self.settle = boxes, settle
        self.weights = {name: weight for name, weight in (weights or {}).items() if weight}
        self._sees = bool({"screenshot", "marks"} & set(self.observation))
        self._reads = bool({"axtree", "marks"} & set(self.observation))
        self.browser_options = BrowserOptions(window=window, fast_frames=self._sees)
        self._syntax: ActionSyntax = self._new_syntax(())
        self._tab: Tab | None = None
        self._view: View | None = None
        self._state: Any = None
        self._goal = ""

    # ---- what an author writes -------------------------------------------------------------------------------------

    def document(self, task: Task) -> Document:
        """The page of ``task``; its ``start`` expression puts it into the task's first state."""
        raise NotImplementedError(f"{type(self).__name__} must implement document(task) -> Document")

    def goal(self, task: Task, started: Any) -> str:
        """What the agent is to reach; ``started`` is the value of the document's ``start``."""
        del started
        return "\n".join(message.text for message in task.prompt)

    def fields(self, task: Task, goal: str) -> Fields:
        """(name, value) pairs of the goal, which MiniWoB++'s TYPE_FIELD types."""
        del task, goal
        return ()

    def verdict(self, state: Any, talk: Action | None) -> Outcome | None:
        """The outcome once the episode is over, else None. ``talk``: what the agent said (a message, an answer, that it cannot be done)."""
        raise NotImplementedError(f"{type(self).__name__} must implement verdict(state, talk) -> Outcome | None")

    def scored(self, before: Any, state: Any) -> Mapping[str, float]:
        """Unweighted components of the turn that led from state ``before`` to ``state``."""
        del before, state
        return {}

    # ---- the episode -----------------------------------------------------------------------------------------------

    def start(self, task: Task) -> Observation:
        if self._tab is None:
            self._tab = shared_browser(self.browser_options).tab(size=self.size, scale=self.scale)
        try:
            started = self._tab.load(self.document(task), accept_dialogs=self.accept_dialogs, seconds=self.load_seconds)
            self._goal = self.goal(task, started)
            self._syntax = self._new_syntax(self.fields(task, self._goal))
            self._state = self._tab.settle(self.settle, self.probe)
            self._view = self._look()
        except PageFault as fault:
            raise EnvFault(f"the page of task {task.id!r} did not start: {fault}") from fault
        said = f"{self.purpose}\n\n{self._syntax.instructions()}" if self.instructions is None else self.instructions
        system = Message(role="system", content=said)
        return (system, self._shown(f"Goal: {self._goal}"))

    def act(self, action: Message) -> TurnResult:
        parsed = self._syntax.parse(action.text)
        if parsed.problem:
            note = Message(role="user", content=f"Nothing was done. {parsed.problem}")
            components = self._weighted({"format": 0.0, "executed": 0.0})
            return TurnResult(observation=(note,), **self._reward(components), action_valid=False)
        try:
            return self._carry_out(parsed.actions)
        except PageFault as fault:
            raise EnvFault(str(fault)) from fault

    def _carry_out(self, actions: Sequence[Action]) -> TurnResult:
        tab = self._tab
        assert tab is not None
        page = tab.page
        page.pointed = page.pressed = None
        before, problem, outcome = self._state, "", None
        for action in actions:
            problem = tab.perform(action)
            talk = action if isinstance(action, SendMessage | ReportInfeasible | Finish) else None
            self._state = tab.settle(self.settle, self.probe)
            outcome = self.verdict(self._state, talk)
            if problem or outcome is not None:
                break
        said = {"format": 1.0, "executed": float(not problem), **self.scored(before, self._state)}
        rewards = self._reward(self._weighted(said))
        measures = _pointer(page.pressed, page.pointed, self.scale)
        if outcome is not None:
            stop = self.stop_reason(outcome, actions)
            last: Observation = ()
            if self._sees:
                # Judges of screens need the one that the last action led to.
                self._view = self._look()
                last = (self._shown(""),)
            return TurnResult(observation=last, **rewards, action_valid=not problem, measures=measures, outcome=outcome, stop=stop)
        self._view = self._look()
        seen = self._shown(f"The action was not done. {problem}" if problem else "")
        return TurnResult(observation=(seen,), **rewards, action_valid=not problem, measures=measures)

    def stop_reason(self, outcome: Outcome, actions: Sequence[Action]) -> StopReason | None:
        """Why the episode ended; None: by success or failure."""
        gave_up = any(isinstance(action, ReportInfeasible) for action in actions)
        return StopReason.GAVE_UP if gave_up and not outcome.success else None

    def _reward(self, components: Mapping[str, float]) -> dict[str, Any]:
        return {"reward": sum(components.values()) if self.weights else None, "components": components}

    def _weighted(self, said: Mapping[str, float]) -> dict[str, float]:
        return {name: weight * said.get(name, 0.0) for name, weight in self.weights.items()}

    def _look(self) -> View:
        assert self._tab is not None
        return self._tab.look(tree=self._reads, screenshot=self._sees, settle=None, skip=self.skip, boxes=self.boxes)

    def _shown(self, first: str) -> Message:
        """The page as a message, after ``first`` and what happened in it."""
        view = self._view
        assert view is not None
        texts = [first] if first else []
        texts += view.notes
        if "axtree" in self.observation:
            texts.append(f"Page:\n{view.axtree}")
        if "html" in self.observation:
            texts.append(f"Page:\n{view.html}")
        text = "\n".join(texts)
        if not self._sees:
            return Message(role="user", content=text)
        image = draw_marks(view, self.scale) if "marks" in self.observation else view.screenshot
        parts = (TextPart(text=text), ImagePart(data=image)) if text else (ImagePart(data=image),)
        return Message(role="user", content=parts)

    def _new_syntax(self, fields: Fields) -> ActionSyntax:
        width, height = self.size
        match self.syntax_name:
            case "miniwob":
                return MiniWobSyntax(fields, screen=self.size, multi=self.multi)
            case "uitars":
                return UiTarsSyntax(width, height, image=(round(width * self.scale), round(height * self.scale)))
            case _:
                return BrowserGymSyntax(self.subsets, multi=self.multi, screen=self.size, without=_UPLOADS)

    def anchor(self) -> str:
        """What the page shows: its tree, or its HTML."""
        view = self._view
        text = "" if view is None else view.axtree if self._reads else view.html
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

    def outcome(self) -> Outcome:
        return Outcome(score=0.0)

    @property
    def syntax(self) -> ActionSyntax:
        """How actions are written in the episode under way."""
        return self._syntax

    def read(self, text: str) -> tuple[Action, ...]:
        """The actions of a text. Raises ``ValueError`` for one that cannot be read."""
        parsed = self._syntax.parse(text)
        if parsed.problem:
            raise ValueError(f"{text!r} is no action: {parsed.problem}")
        return parsed.actions

    @property
    def view(self) -> View:
        """The page as it was last seen."""
        if self._view is None:
            raise RuntimeError("there is no page yet; call reset() first")
        return self._view

    @property
    def tab(self) -> Tab:
        """The page of the episode under way."""
        if self._tab is None:
            raise RuntimeError("there is no page yet; call reset() first")
        return self._tab

    def close(self) -> None:
        tab, self._tab = self._tab, None
        if tab is not None:
            tab.close()
        super().close()

    def __getstate__(self) -> dict[str, Any]:
        # A copy opens a page of its own with its first reset.
        return {k: v for k, v in self.__dict__.items() if k not in ("_tab", "_view", "_state", "_syntax")} | {"done": True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._tab = self._view = self._state = None
        self._syntax = self._new_syntax(())


def _pointer(pressed: tuple[float, float] | None, pointed: tuple[float, float] | None, scale: float) -> dict[str, float]:
    if pointed is None:
        return {}
    measures = {"pointer_x": pointed[0] * scale, "pointer_y": pointed[1] * scale}
    if pressed is not None and pressed != pointed:
        measures |= {"pointer_from_x": pressed[0] * scale, "pointer_from_y": pressed[1] * scale}
    return measures
