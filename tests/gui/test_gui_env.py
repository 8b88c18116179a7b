"""An environment of one's own on a page: the example of docs/gui.md, and what the base does with talk and several actions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from turnwise.envs.gui.actions import Action, Finish, SendMessage
from turnwise.envs.gui.browser import Browser, close_shared
from turnwise.envs.gui.env import GuiEnv
from turnwise.envs.gui.site import Document
from turnwise.envs.tasks import ListTaskSet
from turnwise.records import Outcome, StopReason, Task

DOCS = (Path(__file__).parents[2] / "docs" / "gui.md").read_text(encoding="utf-8")


@pytest.fixture
def counter(browser: Browser) -> Any:
    """``browser``: skips where there is none."""
    namespace: dict[str, Any] = {"__name__": "docs"}
    exec(re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)[0], namespace)
    tasks = ListTaskSet({"train": ("train", [Task(id="t", env_id="me/Counter-v0", split="train", data={"goal": 2})])})

    def make(**arguments: Any) -> GuiEnv:
        return namespace["Counter"](tasks, **arguments)

    yield make
    close_shared()


def test_the_example_of_the_docs(counter: Any) -> None:
    env = counter(max_turns=3)
    observation, _ = env.reset(options={"split": "train", "index": 0})
    assert observation[1].text.startswith("Goal: Count to 2.\nPage:\nRootWebArea")
    button = next(e.id for e in env.view.dom.elements if e.tag == "button")
    seen, reward, terminated, _, info = env.step(f"click('{button}')")
    assert "paragraph '1'" in seen[0].text
    assert (reward, terminated, info["turn"]["reward"]) == (0.0, False, None)
    _, reward, terminated, _, info = env.step(f"click('{button}')")
    assert (reward, terminated, info["stop"]) == (1.0, True, StopReason.SUCCESS)
    env.close()


def test_several_actions_are_done_until_one_fails(counter: Any) -> None:
    env = counter(multi=True)
    env.reset(options={"split": "train", "index": 0})
    button = next(e.id for e in env.view.dom.elements if e.tag == "button")
    seen, _, _, _, info = env.step(f"click('{button}')\nclick('77')\nclick('{button}')")
    assert seen[0].text.startswith("The action was not done. There is no element '77'")
    assert info["turn"]["action_valid"] is False
    assert env.tab.evaluate("count.textContent") == "1"
    assert env.step(f"click('{button}')")[2] is True
    env.close()


class Talk(GuiEnv):
    probe = "1"

    def document(self, task: Task) -> Document:
        return Document({"/index.html": b"<p>Say it."}, "/index.html")

    def verdict(self, state: Any, talk: Action | None) -> Outcome | None:
        said = talk.text if isinstance(talk, SendMessage) else talk.answer if isinstance(talk, Finish) else None
        return None if talk is None else Outcome(score=float(said == "it"))


def talk(**arguments: Any) -> GuiEnv:
    task = Task(id="t", env_id="me/Talk-v0", split="train", prompt=())
    return Talk(ListTaskSet({"train": ("train", [task])}), **arguments)


@pytest.mark.parametrize(
    ("syntax", "text", "score", "stop"),
    [
        ("browsergym", "send_msg_to_user('it')", 1.0, StopReason.SUCCESS),
        ("browsergym", "send_msg_to_user('that')", 0.0, StopReason.FAILURE),
        ("browsergym", "report_infeasible('no')", 0.0, StopReason.GAVE_UP),
        ("uitars", "Thought: done\nAction: finished(content='it')", 1.0, StopReason.SUCCESS),
    ],
)
def test_talk_reaches_the_verdict(browser: Browser, syntax: str, text: str, score: float, stop: StopReason) -> None:
    del browser
    env = talk(syntax=syntax)
    env.reset(options={"split": "train", "index": 0})
    info = env.step(text)[4]
    assert (info["outcome"].score, info["stop"]) == (score, stop)
    env.close()
    close_shared()


def test_a_page_that_does_not_start_voids_the_episode(browser: Browser) -> None:
    from turnwise.envs.base import EnvFault

    del browser

    class Broken(Talk):
        def document(self, task: Task) -> Document:
            return Document({"/index.html": b"<p>x"}, "/index.html", start="nothing.here()")

    env = Broken(talk().tasks)
    with pytest.raises(EnvFault, match="the page of task 't' did not start: a script in the page failed: ReferenceError"):
        env.reset(options={"split": "train", "index": 0})
    env.close()
    close_shared()


def test_instructions_replace_the_list_of_actions(browser: Browser) -> None:
    del browser
    env = talk(instructions="Act.")
    assert env.reset(options={"split": "train", "index": 0})[0][0].text == "Act."
    env.close()
    close_shared()
