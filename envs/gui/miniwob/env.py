"""``turnwise/MiniWoB-v0``: MiniWoB++ (Liu et al. 2018, arXiv 1802.08802), pages of the ``miniwob`` package, in a browser of the pool.

env = MiniWoB(task="click-test"); env.reset(seed=0); env.step("click('13')")
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from ....records import Outcome, Task
from ...base import Manifest
from ...scripts import ECHO, NULL
from ..actions import Action
from ..env import COMPONENTS, Fields, GuiEnv
from ..site import Document, Folder
from .tasks import TEST_TYPES, TRAIN_TYPES, TYPES, MiniWobTasks, pages_folder

DEFAULT_WEIGHTS: Mapping[str, float] = {"format": 0.01, "executed": 0.01}
SUCCESS = 1.0
"""The raw reward from which an episode counts as a success. Pages give 1 for the right thing and less, often above 0, for part of it."""
_ROUNDING = 1e-6
_NEVER_MS = 1_000_000_000

_START = """(async () => {{
  Math.seedrandom({seed});
  core.EPISODE_MAX_TIME = {limit};
  // As the pages' own, without the display of rewards and the cover that asks to start the next episode.
  core.endEpisode = function (reward, time_proportional, reason) {{
    if (core.EP_TIMER === null) return;
    clearTimeout(core.EP_TIMER);
    core.EP_TIMER = null;
    WOB_RAW_REWARD_GLOBAL = reward;
    WOB_REWARD_REASON = reason;
    const left = time_proportional ? Math.max(0, 1 - (new Date().getTime() - core.ept0) / core.EPISODE_MAX_TIME) : 1;
    WOB_REWARD_GLOBAL = reward * left;
    WOB_DONE_GLOBAL = true;
    WOB_EPISODE_ID++;
    core.clearTimer();
  }};
  core.clearTimer = () => clearInterval(core.CD_TIMER);
  core.startEpisodeReal();
  core.clearTimer();
  document.body.removeEventListener('click', core.canvasDrawClick);
  for (const id of ['reward-display', 'click-canvas', 'sync-task-cover']) document.getElementById(id)?.remove();
  const end = Date.now() + 5000;
  while (!WOB_TASK_READY && Date.now() < end) await new Promise((next) => setTimeout(next, 5));
  if (!WOB_TASK_READY) throw new Error('the task is not ready after 5 s');
  const said = core.getUtterance();
  return typeof said === 'string' ? {{ utterance: said, fields: null }} : {{ utterance: said.utterance, fields: said.fields || null }};
}})()"""

# What the goal shows and does not say: the icon of click-menu-2, the colour of use-colorwheel-2.
_SEEN = {
    "click-menu-2": """(() => {
  const query = document.getElementById('query'), icon = query.querySelector('span');
  if (icon) icon.replaceWith('"' + icon.className.split(' ').pop() + '"');
})(), """,
    "use-colorwheel-2": """(() => {
  const shown = document.querySelectorAll('#query *');
  for (const one of shown) {
    const colour = one.style.backgroundColor.match(/\\d+/g);
    if (colour) one.textContent = ' #' + colour.slice(0, 3).map((n) => Number(n).toString(16).padStart(2, '0')).join('') + ' ';
  }
})(), """,
}


class MiniWoB(GuiEnv):
    """One page, one small goal: press a button, fill a form, answer a mail, drag a shape.

    Actions: BrowserGym's calls with ids and coordinates, or another syntax. Observations: the page's accessibility tree, HTML, screenshot.
    Rewards: ``format``, ``executed``. Outcome: the page's raw reward, negative ones as 0; success from ``success`` on (1: all of it right;
    BrowserGym counts every positive raw reward as success), components ``raw`` and ``reason`` in its note. Start: the page with the task's
    seed. End: when the page says so; truncated after ``max_turns``. There is no time pressure unless ``seconds`` is given.

    Arguments: ``task``, a type ("click-test") or several, all splits then hold these types and differ by seed; "all" is every type;
    none: BrowserGym's split of 62 and 63 types (``split="type"``), or all types in every split (``split="seed"``). ``per_type`` tasks of
    every type in a split; ``success``; ``seconds`` for an episode, by the page's clock, as in MiniWoB (10); and those of ``GuiEnv``.
    Version 0.
    """

    components = COMPONENTS
    default_subsets = ("bid", "coord")
    skip = frozenset({"query"})  # it says the goal, which the agent is given already
    probe = "[WOB_DONE_GLOBAL, WOB_RAW_REWARD_GLOBAL, WOB_REWARD_REASON || '', WOB_REWARD_GLOBAL]"

    breakdown = ("type",)

    def __init__(
        self,
        task: str | Sequence[str] | None = None,
        *,
        split: str = "type",
        per_type: int = 1000,
        success: float = SUCCESS,
        seconds: float | None = None,
        size: tuple[int, int] = (160, 210),
        weights: Mapping[str, float] | None = None,
        max_turns: int = 20,
        **arguments: Any,
    ) -> None:
        if split not in ("type", "seed"):
            raise ValueError(f"split {split!r}; allowed: 'type' (BrowserGym's, by task type), 'seed' (all types everywhere, other seeds)")
        if per_type < 1 or per_type > 1_000_000:
            raise ValueError(f"per_type is {per_type}; allowed: 1 to 1,000,000")
        if not -1 <= success <= 1:
            raise ValueError(f"success is {success}; raw rewards lie between -1 and 1")
        train, test = (TRAIN_TYPES, TEST_TYPES) if split == "type" else (TYPES, TYPES)
        if task is not None:
            train = test = TYPES if task == "all" else _known((task,) if isinstance(task, str) else task)
        tasks = MiniWobTasks(train, test, per_type)
        chosen = DEFAULT_WEIGHTS if weights is None else weights
        super().__init__(tasks, size=size, weights=chosen, max_turns=max_turns, **arguments)
        self.success = success
        self.limit = _NEVER_MS if seconds is None else round(seconds * 1000)
        self._fields: Fields = ()

    def document(self, task: Task) -> Document:
        kind = str(task.data["type"])
        start = _START.format(seed=json.dumps(int(task.data["seed"])), limit=self.limit)
        if kind in _SEEN:
            start = start.replace("const said = core.getUtterance();", f"const said = ({_SEEN[kind]}core.getUtterance());")
        return Document(_pages(), f"/miniwob/{kind}.html", start, ahead=True)

    def goal(self, task: Task, started: Any) -> str:
        said = cast("Mapping[str, Any]", started)
        fields = said.get("fields")
        self._fields = tuple((str(name), str(value)) for name, value in cast("Mapping[str, object]", fields).items()) if fields else ()
        return " ".join(str(said["utterance"]).split())

    def fields(self, task: Task, goal: str) -> Fields:
        return self._fields or _extracted(str(task.data["type"]), goal)

    def verdict(self, state: Any, talk: Action | None) -> Outcome | None:
        done, raw, reason, timed = state
        if not done:
            return None
        reward = float(raw if self.limit == _NEVER_MS else timed)
        success = float(raw) >= self.success - _ROUNDING
        note = str(reason) if reason else ""
        return Outcome(score=min(1.0, max(0.0, reward)), success=success, components={"raw": float(raw)}, note=note)


def _known(types: Sequence[str]) -> tuple[str, ...]:
    for kind in types:
        if kind not in TYPES:
            close = difflib.get_close_matches(str(kind), TYPES, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"there is no MiniWoB task {kind!r}.{hint} There are {len(TYPES)}, for example click-test, enter-text, login-user"
            )
    if not types:
        raise ValueError("task names no type; give one or several, 'all', or leave it out")
    return tuple(types)


@lru_cache
def _pages() -> Folder:
    return Folder(pages_folder())


def _extracted(kind: str, goal: str) -> Fields:
    """The fields of a goal by the ``miniwob`` package's own extractors."""
    from miniwob.fields import get_field_extractor

    try:
        return tuple((str(name), str(value)) for name, value in get_field_extractor(kind)(goal))
    except (ValueError, KeyError, AttributeError, IndexError, TypeError):
        return ()  # the package knows no fields for this type


MANIFEST = Manifest(
    description="MiniWoB++: 130 kinds of small tasks on web pages, in a real browser",
    turn_reward_range=(0.0, 0.02),
    outcome_range=(0.0, 1.0),
    max_turns=20,
    random_score=0.3,
    scripts={
        "expert": "turnwise.envs.gui.miniwob.experts:Expert",
        "random": "turnwise.envs.gui.miniwob.scripts:Random",
        "null": NULL,
        "echo": ECHO,
        "hack_done": "turnwise.envs.gui.miniwob.scripts:Done",
    },
    anchors=True,
    deterministic=True,
    license="MIT (pages of the miniwob package)",
)
