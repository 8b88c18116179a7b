"""Modifiers in a run: what the trainer makes of them, what its rows say, and that a stopped run ends like one that was not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from turnwise.records import Message, Outcome, StopReason, Task, TokenTrace, ToolCall, Trajectory, Turn
from turnwise.rewards.rubric import Rubric
from turnwise.trainers.cli import app
from turnwise.trainers.code_similarity import code_similarity, written
from turnwise.trainers.collect import collect
from turnwise.trainers.config import TrainConfig, load_config
from turnwise.trainers.credit import Tokens, TurnBatch, estimate, list_estimators, list_modifiers, modify
from turnwise.trainers.crediting import Estimated, to_tokens
from turnwise.trainers.loop import Training
from turnwise.trainers.progress import Clock, Display
from turnwise.trainers.runs import RunFolder
from turnwise.trainers.shaping import Shaping
from turnwise.trainers.step import measures
from typer.testing import CliRunner

from .small import rows, run, started, weights


def episode(name, rewards, score, *, seed=0, logprobs=(-0.5, -1.0), valid=True):
    """Turn n writes n + 1 tokens of the two log-probs in turn."""
    made = tuple(
        Turn(
            index=n,
            observation=(Message(role="user", content="x"),),
            action=Message(role="assistant", content="x"),
            reward=reward,
            tokens=TokenTrace(
                context_ids=(1,), action_ids=(2,) * (n + 1), logprobs=tuple(logprobs[i % 2] for i in range(n + 1)), restart=n == 0
            ),
        )
        for n, reward in enumerate(rewards)
    )
    outcome = Outcome(score=score) if valid else Outcome.void("broken")
    stop = StopReason.FAILURE if valid else StopReason.ENV_FAULT
    task = Task(id=name, env_id="e", split="train", data={"name": name})
    return Trajectory(task=task, turns=made, outcome=outcome, stop=stop, policy_seed=seed)


GROUP = [
    episode("t", [0.1, 0.3], 1.0, seed=1),
    episode("t", [0.5], 1.0, seed=2, logprobs=(-2.0, -2.0)),
    episode("t", [0.2, 0.2], 0.0, seed=3),
    episode("t", [0.6], 0.0, seed=4),
]


def test_without_modifiers_credit_is_the_estimators_bit_for_bit():
    for name in ("turn_rloo", "grpo", "empg"):
        plain = to_tokens(GROUP, estimate(name, TurnBatch.from_trajectories(GROUP)))
        credit = Estimated(name, {})
        assert credit(GROUP).tobytes() == plain.tobytes()
        assert (credit.counts, credit.dropped(GROUP)) == ({}, {})


def test_every_stage_has_its_say():
    chain = [{"unlikeliness": {"beta": 0.5}}, "xrpo", {"entropy_weighting": {"mode": "scale"}}]
    credit = Estimated("grpo", {"std": False}, chain)
    batch = modify("unlikeliness", TurnBatch.from_trajectories(GROUP), beta=0.5)
    # mean log-probs -2/3, -2, -2/3, -.5: ranks of the successes 1 and 0, so .875 and 1
    assert batch.outcome.tolist() == [0.875, 1.0, 0.0, 0.0]
    turns = modify("xrpo", batch, estimate("grpo", batch, std=False))
    # eta: exp(s + .958333) = 1.338, .353; the second gets 1.5 times its 1 - .46875
    np.testing.assert_allclose(turns, [0.40625, 0.40625, 1.5 * 0.53125, -0.46875, -0.46875, -0.46875])
    wanted = modify("entropy_weighting", batch, Tokens.from_trajectories(GROUP), to_tokens(GROUP, turns), mode="scale")
    assert credit(GROUP).tolist() == wanted.tolist()
    assert len(wanted) == 8
    assert credit.counts == {"unlikeliness_turns": 0, "unlikeliness_outcomes": 1, "xrpo_turns": 1, "entropy_weighting_tokens": 8}


def test_dropped_episodes_are_played_counted_and_not_trained_on():
    # prof keeps the best win and the worst loss of each group; the voided episode is nobody's to drop
    other = [replace(t, task=Task(id="u", env_id="e", split="train")) for t in GROUP]
    groups = [GROUP, [*other, replace(episode("u", [9.0], 0.0, valid=False), task=other[0].task)]]
    credit = Estimated("rloo", {}, ["prof"])
    assert credit.dropped([t for g in groups for t in g]) == {"prof": [0, 3, 4, 7]}
    tasks = iter([g[0].task for g in groups])
    options = {"rewards": None, "credit": credit, "rounds": 0, "clock": Clock(), "drop": credit.dropped}
    got = collect(lambda tasks, number: groups, tasks, 2, **options)
    assert got.trajectories == [GROUP[1], GROUP[2], other[1], other[2], groups[1][4]]
    assert got.advantages.tolist() == [1.0, -1.0, -1.0, -1.0] * 2 + [0.0]  # 1, and 1 + 2 tokens
    assert (len(got.played), got.dropped) == (9, {"prof": 4})
    assert measures(got)["prof_dropped"] == 4


def test_a_group_that_a_filter_leaves_without_signal_is_replaced():
    wins = [episode("w", [r], 1.0) for r in (0.1, 0.2, 0.3, 0.4)]
    rounds = []

    def play(tasks, number):
        rounds.append(number)
        return [wins if number == 0 else GROUP]

    credit = Estimated("rloo", {}, ["prof"])
    tasks = iter([wins[0].task, GROUP[0].task])
    got = collect(play, tasks, 1, rewards=None, credit=credit, rounds=2, clock=Clock(), drop=credit.dropped)
    assert (rounds, got.replaced, got.dropped, len(got.trajectories)) == ([0, 1], 1, {"prof": 4}, 2)


MODIFIERS = [
    {"similar_anchors": {"threshold": 0.8}},
    {"prof": {"keep": 4}},
    {"potential": {"gamma": 0.95}},
    {"redit": {"scale": 0.1}},
    "xrpo",
    {"entropy_weighting": {"mode": "scale"}},
]


def test_a_stopped_run_with_modifiers_ends_like_one_that_was_not(tmp_path, monkeypatch):
    options = {"env_args": {"high": 30, "max_turns": 3}, "group_size": 6, "eval_tasks": 2, "estimator": "gigpo", "modifiers": MODIFIERS}
    run(tmp_path / "whole", **options)

    class Stopped(Exception):
        pass

    step = Training._step

    def stopping(self, *arguments):
        if self.cursor.step == 1:
            raise Stopped
        step(self, *arguments)

    with Display() as display:
        with monkeypatch.context() as patch:
            patch.setattr(Training, "_step", stopping)
            with pytest.raises(Stopped):
                started(tmp_path / "stopped", **options).run(display)
        Training(RunFolder.open(tmp_path / "stopped")).run(display)
    whole, stopped = weights(tmp_path / "whole"), weights(tmp_path / "stopped")
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)
    both = [rows(tmp_path / name) for name in ("whole", "stopped")]
    counters = [n for n in both[0][0] if n.startswith(tuple(list_modifiers()))]
    assert counters == [
        "prof_dropped",
        "similar_anchors_turns",
        "potential_turns",
        "potential_outcomes",
        "redit_turns",
        "redit_outcomes",
        "xrpo_turns",
        "entropy_weighting_tokens",
    ]
    assert [[row[n] for n in counters] for row in both[0]] == [[row[n] for n in counters] for row in both[1]]
    # noise gives every group a signal: nothing is replaced, and of each group of six two go
    assert [(row["prof_dropped"], row["groups_replaced"], row["redit_outcomes"]) for row in both[0]] == [(6, 0, 12)] * 3


def test_recipes_say_what_is_wrong_with_their_modifiers(tmp_path):
    recipe = tmp_path / "r.yaml"
    for text, message in (
        ("modifiers: [redti]", "no modifier 'redti'.*Did you mean 'redit'"),
        ("modifiers: [{redit: {sigma: 1}}]", "no parameter of modifier 'redit': 'sigma'; allowed: noise, of, scale"),
        ("modifiers: [xrpo, redit]", "'redit' .reward. is listed after 'xrpo'"),
        ("modifiers: redit", "modifiers: Input should be a valid list"),
    ):
        recipe.write_text(text)
        with pytest.raises(ValueError, match=message):
            load_config(recipe)
    recipe.write_text("modifiers: [{unlikeliness: {beta: 0.5}}, xrpo]")
    assert load_config(recipe).modifiers == [{"unlikeliness": {"beta": 0.5}}, "xrpo"]


OWN = """
from turnwise import register_estimator, register_modifier

@register_estimator("outcomes_for_test")
def outcomes(batch, *, scale=1.0):
    return scale * batch.outcome[batch.episode]

@register_modifier("times_for_test", "advantage")
def times(batch, advantages, *, by=2.0):
    return by * advantages
"""


def test_a_recipe_names_what_is_ones_own_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "own_credit_for_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "estimator: own_credit_for_test:outcomes_for_test\nestimator_args: {scale: 3.0}\n"
        "modifiers: [{'own_credit_for_test:times_for_test': {by: 5.0}}]"
    )
    config = load_config(recipe)
    credit = Estimated(config.estimator, config.estimator_args, config.modifiers)
    assert credit(GROUP).tolist() == [15.0] * 4 + [0.0] * 4
    assert credit.counts == {"times_for_test_turns": 3}
    recipe.write_text("modifiers: ['nowhere_at_all:mine']")
    with pytest.raises(ValueError, match="modifier 'nowhere_at_all:mine': the module 'nowhere_at_all' cannot be imported"):
        load_config(recipe)
    recipe.write_text("estimator: own_credit_for_test:outcome_for_test")
    with pytest.raises(ValueError, match=r"no estimator 'outcome_for_test'.*Did you mean 'outcomes_for_test'"):
        load_config(recipe)


# ---- code similarity as a recipe writes it -----------------------------------------------------------------------------


def coder(score, *actions):
    turns = tuple(Turn(index=n, observation=(), action=action) for n, action in enumerate(actions))
    return Trajectory(task=Task(id="t", env_id="e", split="train"), turns=turns, outcome=Outcome(score=score), stop=StopReason.FAILURE)


def say(text):
    return Message(role="assistant", content=text)


def test_written_code_is_that_of_blocks_and_calls_in_order():
    call = '<tool_call>\n{"name": "python", "arguments": {"code": "b = 2", "seconds": 3}}\n</tool_call>'
    native = Message(role="assistant", tool_calls=(ToolCall(id="1", name="python", arguments='{"code": "c = 3"}'),))
    broken = Message(role="assistant", tool_calls=(ToolCall(id="1", name="python", arguments="d = "),))
    one = coder(1.0, say("First:\n```python\na = 1\n```\nand ```not a block```"), say(call), native, broken)
    assert written(one) == "a = 1\n\nb = 2\n3\nc = 3\nd = "
    assert written(coder(1.0, say("no code"))) == ""


def alike(failed, good):
    """0.8 and 0.4, whatever is compared."""
    return [[0.8, 0.4][: len(good)] for _ in failed]


def test_code_similarity_from_a_recipe(monkeypatch):
    group = [coder(1.0, say("x"), say("x"), say("x")), coder(1.0, say("x"), say("x")), coder(0.0, say("x"), say("x"), say("x"))]
    monkeypatch.setitem(__import__("sys").modules, "alike_for_test", type("M", (), {"alike": staticmethod(alike)}))
    config = TrainConfig(rubric={"code_similarity": {"weight": 1.0, "similarity": "alike_for_test:alike"}})
    shaped = Shaping(config, None).of_step(None)(group)
    assert [t.outcome.score for t in shaped] == pytest.approx([1.0, 1.0, 0.3])
    assert [t.outcome.success for t in shaped] == [True, True, False]
    assert shaped[2].outcome.components["code_similarity"] == pytest.approx(0.3)
    violation = replace(shaped[1], turns=(replace(shaped[1].turns[0], reward=-0.1), shaped[1].turns[1]))
    batch = TurnBatch.from_trajectories([shaped[0], violation, shaped[2]], groups=[0, 0, 0])
    golden = [0.461322, 0.748403, 1.067381, 0.429425, 1.067381, -1.347284, -1.261160, -1.165467]
    np.testing.assert_allclose(estimate("gtpo", batch, unscored="zero"), golden, atol=5e-6)
    # by token counts: "x = 1" and "x = 2" share two of three tokens
    own = [coder(1.0, say("```\nx = 1\n```")), coder(0.0, say("```\nx = 2\n```")), coder(0.0, say("no code"))]
    assert [s.outcome for s in Rubric([(code_similarity(), 1.0)])(own)] == pytest.approx([1.0, 0.5 * 2 / 3, 0.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": "cosine"}, r"similarity is 'cosine'; allowed: tokens, or 'package.module:function'"),
        ({"similarity": "nowhere_at_all:f"}, "'nowhere_at_all:f', which cannot be imported"),
        ({"code_of": "turnwise.records:nothing"}, "code_of is 'turnwise.records:nothing', which cannot be imported"),
        ({"code_of": "turnwise.records:ROLES"}, "code_of is 'turnwise.records:ROLES'; allowed: written"),
    ],
)
def test_paths_that_name_nothing_are_told(options, message):
    with pytest.raises(ValueError, match=message):
        code_similarity(**options)


def test_similarities_that_are_no_numbers_are_told():
    function = code_similarity()
    function.similarity = lambda failed, good: [[float("nan")] for _ in failed]
    with pytest.raises(ValueError, match=r"similarities to 1 successes are \[nan\]; give one finite number for each"):
        function([coder(1.0, say("x")), coder(0.0, say("x"))])


def test_the_command_lists_estimators_and_modifiers():
    done = CliRunner().invoke(app, ["estimators"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    for name in (*list_estimators(), *list_modifiers()):
        assert f" {name} " in done.stdout
    assert "scale=0.05" in done.stdout
