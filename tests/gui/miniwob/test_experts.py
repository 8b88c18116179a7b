"""The scripted experts, on real pages in a real browser, and the small sums they rest on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from turnwise.envs.gui.browsergym import BrowserGymSyntax
from turnwise.envs.gui.chromium import MissingBrowser
from turnwise.envs.gui.miniwob.env import MiniWoB
from turnwise.envs.gui.miniwob.experts import SOLVED, Expert
from turnwise.envs.gui.miniwob.experts_drawing import nearest_pixel, turned
from turnwise.envs.gui.miniwob.experts_forms import shortest_keys
from turnwise.envs.gui.miniwob.experts_mail import roles
from turnwise.envs.gui.miniwob.experts_menus import DIGITS, chance_to_win
from turnwise.envs.gui.miniwob.scripts import Done, Random
from turnwise.envs.gui.miniwob.tasks import ENV_ID, TYPES
from turnwise.records import Message, Outcome, Task

pytest.importorskip("miniwob", reason="the pages come with the package miniwob")
QUICK = ("click-test", "login-user", "use-slider", "choose-date-easy", "drag-items", "email-inbox-reply", "highlight-text-2")
IN_PART = {"bisect-angle": 0.99, "circle-center": 0.97, "find-midpoint": 0.97, "right-angle": 0.99}
"""Pages that measure in fractions of a pixel what only whole pixels can be given for: the least raw reward."""
NOT_ALWAYS = {"button-delay", "click-pie", "click-pie-nodelay", "email-inbox-nl-turk", "email-inbox-forward-nl-turk", "tic-tac-toe"}


@pytest.fixture(scope="module")
def env() -> Iterator[MiniWoB]:
    made = MiniWoB(task="all")
    try:
        made.reset(options={"task": task_of("click-test", 0)})
    except MissingBrowser as missing:
        pytest.skip(str(missing))
    yield made
    made.close()


def task_of(kind: str, seed: int) -> Task:
    return Task(id=f"{kind}-{seed}", env_id=ENV_ID, split="test", data={"type": kind, "seed": seed})


def play(env: MiniWoB, kind: str, seed: int) -> Outcome:
    task, expert = task_of(kind, seed), Expert()
    observation, _ = env.reset(options={"task": task})
    expert.reset(task, np.random.default_rng(0))
    while True:
        observation, _, terminated, truncated, info = env.step(expert.act(observation))
        if terminated or truncated:
            return info["outcome"]


@pytest.mark.parametrize("kind", QUICK)
def test_the_expert_succeeds(env: MiniWoB, kind: str) -> None:
    for seed in (1, 20_000_001):
        assert play(env, kind, seed).success


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in SOLVED if kind not in NOT_ALWAYS])
def test_the_expert_succeeds_at_every_type_it_knows(env: MiniWoB, kind: str) -> None:
    for seed in (20_000_002, 20_000_003):
        outcome = play(env, kind, seed)
        if kind in IN_PART:
            assert outcome.components["raw"] >= IN_PART[kind]
        else:
            assert outcome.success, outcome


def test_most_types_have_a_plan_and_all_plans_a_type() -> None:
    assert len(SOLVED) >= 120
    assert set(SOLVED) <= set(TYPES)


def test_a_type_without_a_plan_and_a_lost_plan_wait(env: MiniWoB) -> None:
    expert = Expert()
    expert.reset(task_of("chase-circle", 0), np.random.default_rng(0))
    assert expert.act((Message(role="user", content="Goal: x\nPage:\n[1] button 'Ok'"),)) == "noop(100)"
    expert.reset(task_of("login-user", 0), np.random.default_rng(0))
    assert expert.act((Message(role="user", content='Goal: Enter "a" and "b"\nPage:\n[1] button \'Ok\''),)) == "noop(100)"
    assert expert.act(()) == "noop(100)"


def test_the_random_script_writes_calls_that_can_be_read() -> None:
    script, syntax = Random(), BrowserGymSyntax(("bid", "coord"))
    script.reset(task_of("click-test", 0), np.random.default_rng(0))
    page = (Message(role="user", content="Goal: x\nPage:\n[1] button 'Ok'\n[2] textbox"),)
    said = {script.act(page) for _ in range(60)}
    assert {"click('1')", "click('2')", "fill('2', 'yes')"} <= said
    assert all(len(syntax.parse(text).actions) == 1 for text in said)
    assert len(syntax.parse(script.act((Message(role="user", content="Nothing was done."),))).actions) == 1
    assert len(syntax.parse(Done().act(page)).actions) == 1


# ---- sums ------------------------------------------------------------------------------------------------------------


def test_a_slider_takes_the_fewest_keys() -> None:
    assert shortest_keys(0, 0, 0, 20) == []
    assert sorted(shortest_keys(0, 9, 0, 20)) == ["ArrowRight", "PageUp", "PageUp"]
    assert shortest_keys(3, 20, 0, 20) == ["End"]
    assert sorted(shortest_keys(-97, -51, -100, 0)) == ["ArrowRight"] * 6 + ["PageUp"] * 2  # by 20: -77, -57
    assert shortest_keys(5, 4, 0, 5) == ["ArrowLeft"]


def test_who_wrote_and_who_is_to_get_the_mail() -> None:
    for goal in (
        "Give Ada the message you received from Bea,",
        "Forward Bea's email to Ada.",
        "Ada wants the email Bea sent you.",
        "Bea wants his or her message to be sent to Ada.",
        "Send to Ada an email found in the app that is written by Bea.",
        "Please locate Bea's email and put a copy in Ada's inbox.",
        "Forward Ada Bea's latest email.",
        "Send Bea's email Ada.",
        "Open primary email folder, forward Bea's message to Ada.",
        "I need to forward Bea's e-mail to Ada.",
    ):
        assert roles(goal, ["Ada", "Bea"]) == ("Bea", "Ada"), goal
        assert roles(goal, ["Bea", "Ada"]) == ("Bea", "Ada"), goal


def test_the_cube_turns_by_a_fifth_of_the_way_at_once_and_less_and_less() -> None:
    assert turned(5) == 0  # one degree at once is too little
    assert turned(10) == pytest.approx(2 + 2 * 0.83 + 2 * 0.83**2 + 2 * 0.83**3)
    assert turned(-10) == -turned(10)


def test_the_nearest_pixel_of_the_drawing() -> None:
    assert nearest_pixel(lambda x, y: abs(x - 40.4) + abs(y - 70.6)) == (40, 71)


def test_the_game_is_judged_to_the_end() -> None:
    assert chance_to_win("xxx o o  ", yours=False) == 1.0
    assert chance_to_win("ooox x x ", yours=True) == 0.0
    assert chance_to_win("xx oo    ", yours=True) == 1.0
    # o moves; at 5 it wins, which it sees whenever it looks. At random: 5 wins, 2 leads to a draw, 7 lets x end its row.
    assert chance_to_win("xx oo x o", yours=False) == pytest.approx(0.55 / 3)
    assert 0.8 < chance_to_win(" " * 9, yours=True) < 1.0


def test_every_digit_has_seven_rows_of_four() -> None:
    assert len(DIGITS) == 10
    assert {len(digit) for digit in DIGITS} == {28}
    assert DIGITS[1].count("1") == 8
