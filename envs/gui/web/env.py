"""``turnwise/WebTasks-v0``: work over several pages in a shop, an issue tracker and a mail client.

env = WebTasks(); env.reset(seed=0, options={"split": "test", "index": 0}); env.step("click('14')")
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ....records import Message, Outcome, Task, canonical_json
from ...base import Manifest, TurnResult
from ...scripts import ECHO, NULL
from ..actions import Action, Finish, Noop, ReportInfeasible, SendMessage
from ..env import COMPONENTS, GuiEnv
from ..site import Document
from .checks import Said, Verdict, judge
from .draft import AppName
from .site import site
from .tasks import Holdout, WebTaskSet

DEFAULT_WEIGHTS: Mapping[str, float] = {"progress": 1.0, "spoiled": 0.1, "format": 0.01, "executed": 0.01}
TURN_MS = 100
"""What an action takes by the app's clock, beside what it waits."""
MOST_SPOILED = 5
"""Rows changed without need that are counted."""
TURNS = 40
_LOOK = "(typeof app !== 'undefined' && app.state ? (app.advance({ms}), {{ ...app.read(), shown: app.shown() }}) : null)"


class WebTasks(GuiEnv):
    """Do what a sentence asks for in one of three web apps, and say when it is done.

    Actions: BrowserGym's calls with ids, or another syntax; ``send_msg_to_user`` ends the task, with the answer where one is asked for,
    ``report_infeasible`` says that it cannot be done. Observations: the page's accessibility tree, HTML, screenshot. Rewards:
    ``progress``, change of the weighted share of subgoals that hold in the app's state (pages that must be read, rows that must change,
    the answer), so that an episode's sum is at most 1; ``spoiled``, minus the number of rows newly changed without need (of at most
    ``MOST_SPOILED``); ``format``; ``executed``. Outcome: 1 if every required subgoal holds, no other row of any table was changed, the
    answer is right and the task was ended in the right way, else 0; components ``goals``, ``unspoiled``, ``answer``, ``ended``. An
    episode cut off scores 0. Start: the app with the task's records. End: a message to the user, ``report_infeasible`` or an answer;
    truncated after ``max_turns``. Time in the apps passes by actions, ``TURN_MS`` each and what ``noop`` waits, never by the wall clock.

    Arguments: ``tasks`` per split, ``apps``, ``kinds``, ``holdout``, ``popups``, ``slow``, ``half_filled`` (see ``WebTaskSet``), and
    those of ``GuiEnv``. Version 0.
    """

    components = (*COMPONENTS, "progress", "spoiled")
    default_subsets = ("bid", "nav", "chat", "infeas")
    purpose = (
        "You work in a web app for a user. After each of your messages you see the page as it is then. Do what the user asks and change "
        "nothing else. When it is done, send the user a message; if something was asked, the message gives the answer and nothing beside "
        "it, with numbers as digits and names and dates as the page writes them. If it cannot be done, find out why, change nothing and "
        "report it as infeasible. Close what covers the page, and wait for pages that are loading."
    )

    breakdown = ("app", "kind")

    def __init__(
        self,
        *,
        tasks: int | Mapping[str, int] = 1000,
        apps: Sequence[AppName] | None = None,
        kinds: Sequence[str] | None = None,
        holdout: Holdout = "records",
        popups: float = 0.25,
        slow: float = 0.25,
        half_filled: float = 0.1,
        weights: Mapping[str, float] | None = None,
        max_turns: int = TURNS,
        **arguments: Any,
    ) -> None:
        source = WebTaskSet(tasks, apps=apps, kinds=kinds, holdout=holdout, popups=popups, slow=slow, half_filled=half_filled)
        super().__init__(source, weights=DEFAULT_WEIGHTS if weights is None else weights, max_turns=max_turns, **arguments)
        self.probe = _LOOK.format(ms=0)
        self._begun: Mapping[str, Any] = {}
        self._last: Mapping[str, Any] = {}
        self._said = Said()
        self._judged = Verdict(progress=0.0)

    # ---- what GuiEnv calls -------------------------------------------------------------------------------------------

    def document(self, task: Task) -> Document:
        app = cast(AppName, task.data["app"])
        config = json.dumps({**task.data["config"], "clock": "manual"})
        self.probe = _LOOK.format(ms=0)
        # An address of its own, and so storage, lets the app outlive a reload.
        return Document(site(app), "/index.html", f"app.setup({config})", inlined=False)

    def goal(self, task: Task, started: Any) -> str:
        self._begun = self._last = cast("Mapping[str, Any]", started)
        self._said = Said()
        self._judged = judge(task.data["checks"], self._begun, self._begun, self._said)
        return super().goal(task, started)

    def act(self, action: Message) -> TurnResult:
        waits = [one.wait_ms for one in self._syntax.parse(action.text).actions if isinstance(one, Noop)]
        self.probe = _LOOK.format(ms=TURN_MS + max(waits, default=0.0))
        return super().act(action)

    def scored(self, before: Any, state: Any) -> Mapping[str, float]:
        del before
        old, new = self._judged, self._judge(state)
        self._judged = new
        spoiled = [min(MOST_SPOILED, len(verdict.spoiled)) for verdict in (old, new)]
        return {"progress": new.progress - old.progress, "spoiled": float(spoiled[0] - spoiled[1])}

    def verdict(self, state: Any, talk: Action | None) -> Outcome | None:
        match talk:
            case SendMessage(text=text) | Finish(answer=text):
                self._said = Said(message=text)
            case ReportInfeasible():
                self._said = Said(infeasible=True)
            case _:
                return None
        return _outcome(self._judge(state))

    def _judge(self, state: Any) -> Verdict:
        assert self.task is not None
        if state is not None:  # None: the page shown is a file of the site, not the app
            self._last = cast("Mapping[str, Any]", state)
        return judge(self.task.data["checks"], self._begun, self._last, self._said)

    # ---- what Env calls ----------------------------------------------------------------------------------------------

    def outcome(self) -> Outcome:
        return _outcome(self._judged)

    def anchor(self) -> str:
        """What the app shows and holds; not what was seen before."""
        if self._state is None:
            return super().anchor()
        key = canonical_json([self._state["tables"], self._state["shown"]])
        return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()

    def potential(self) -> float:
        """Share of the subgoals reached."""
        return self._judged.progress


def _outcome(verdict: Verdict) -> Outcome:
    parts = {
        "goals": float(not verdict.missing),
        "unspoiled": float(not verdict.spoiled),
        "answer": float(verdict.answered),
        "ended": float(verdict.told),
    }
    return Outcome(score=float(verdict.success), components=parts, note=verdict.note)


_SCRIPTS = "turnwise.envs.gui.web.scripts"
MANIFEST = Manifest(
    description="Tasks over several pages in a shop, an issue tracker and a mail client; progress by the state of the app.",
    turn_reward_range=(-1.6, 1.6),
    max_turns=TURNS,
    random_score=0.05,
    scripts={
        "expert": f"{_SCRIPTS}:Expert",
        "random": f"{_SCRIPTS}:Random",
        "hack_done": f"{_SCRIPTS}:Done",
        "hack_give_up": f"{_SCRIPTS}:GiveUp",
        "hack_everything": f"{_SCRIPTS}:Everything",
        "hack_recite": f"{_SCRIPTS}:Recite",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
)
