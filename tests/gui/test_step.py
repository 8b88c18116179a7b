"""Single steps judged by an expert's: what counts as the same action, and an episode of one turn."""

from __future__ import annotations

from typing import Any

import pytest
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.browser import Browser, close_shared
from turnwise.envs.gui.dom import Dom, Element
from turnwise.envs.gui.step import ExpertStep, Replay, same_action
from turnwise.records import Message

DOM = Dom(
    (
        Element("0", 1, "html", {}, (0, 0, 100, 100)),
        Element("1", 2, "button", {}, (10, 10, 30, 20)),
        Element("2", 3, "b", {}, (12, 12, 18, 18)),
        Element("3", 4, "p", {}, None),
        Element("4", 5, "button", {}, (50, 50, 70, 60)),
    ),
    (-1, 0, 1, 0, 0),
    {},
)


@pytest.mark.parametrize(
    ("made", "wanted", "same"),
    [
        (a.Click("1"), a.Click("1"), True),
        (a.Click("4"), a.Click("1"), False),
        (a.Click("1", button="right"), a.Click("1"), False),
        (a.MouseClick(29, 11), a.Click("1"), True),
        (a.MouseClick(31, 11), a.Click("1"), False),
        (a.MouseClick(60, 55, count=2), a.Click("4"), False),
        (a.Click("4"), a.MouseClick(51, 51), True),
        (a.MouseClick(13, 13), a.MouseClick(17, 17), True),
        (a.MouseClick(19, 19), a.MouseClick(17, 17), False),
        (a.MouseClick(99, 99), a.MouseClick(1, 1), True),
        (a.Hover("4"), a.MouseMove(55, 55), True),
        (a.MouseDrag(11, 11, 69, 59), a.DragAndDrop("1", "4"), True),
        (a.MouseDrag(11, 11, 5, 5), a.DragAndDrop("1", "4"), False),
        (a.Fill("1", "x"), a.Fill("1", "x"), True),
        (a.Fill("1", "y"), a.Fill("1", "x"), False),
        (a.Click("3"), a.MouseClick(1, 1), False),
        (a.KeyPress("Enter"), a.KeyPress("Tab"), False),
        (a.Noop(), a.Click("1"), False),
    ],
)
def test_the_same_action(made: a.Action, wanted: a.Action, same: bool) -> None:
    assert same_action(made, wanted, DOM) is same


@pytest.fixture
def env(browser: Browser) -> Any:
    pytest.importorskip("miniwob")
    del browser
    made = ExpertStep(env_args={"task": "login-user", "subsets": ["bid"]})
    yield made
    made.close()
    close_shared()


def test_a_step_is_shown_with_the_turns_before_it(env: ExpertStep) -> None:
    task = env.tasks.get_task("train", 0)
    cuts = dict[int, tuple[Message, ...]]()
    for seed in range(12):
        observation, _ = env.reset(seed=seed, options={"task": task})
        cuts[sum(m.role == "assistant" for m in observation)] = observation
        again, _ = env.reset(seed=seed, options={"task": task})
        assert again == observation
    assert sorted(cuts) == [0, 1, 2]
    assert [m.role for m in cuts[2]] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert cuts[2][2].text.startswith("fill(")


def test_the_experts_action_is_worth_one_and_another_only_its_format(env: ExpertStep) -> None:
    task = env.tasks.get_task("train", 1)
    for seed in range(4):
        observation, _ = env.reset(seed=seed, options={"task": task})
        script = Replay()
        script.reset(task, env.np_random)
        _, reward, terminated, _, info = env.step(script.act(observation))
        assert (reward, terminated, info["outcome"].score, info["turn"]["components"]) == (2.0, True, 1.0, {"format": 1.0})
        env.reset(seed=seed, options={"task": task})
        _, reward, _, _, info = env.step("noop(5)")
        assert (reward, info["outcome"].score) == (1.0, 0.0)
        assert info["outcome"].note.startswith("the expert's action is ")
        env.reset(seed=seed, options={"task": task})
        assert env.step("what?")[1] == 0.0


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="is no environment of a page"):
        ExpertStep("turnwise/GuessNumber-v0")
    with pytest.raises(ValueError, match="has no script 'master'"):
        ExpertStep(script="master")
    with pytest.raises(ValueError, match="allowed: format"):
        ExpertStep(weights={"action": 1.0})
