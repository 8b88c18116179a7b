"""Runs that learn from pairs: what their rows say, that they resume, and which settings do not go with it."""

import math
import shutil
from dataclasses import replace

import pytest
import torch
from transformers import AutoTokenizer
from turnwise.agents.render import Renderer
from turnwise.records import Outcome, Task
from turnwise.trainers.config import TrainConfig
from turnwise.trainers.learn import fewer, whole, with_tokens
from turnwise.trainers.loop import Training
from turnwise.trainers.preference import Pair, outcome_pairs, step_pairs
from turnwise.trainers.progress import Display
from turnwise.trainers.runs import RunFolder
from turnwise.trajectory_io import read_trajectories

from .conftest import trajectory
from .small import rows, run, started, weights

EASY = {"env_args": {"high": 10, "max_turns": 4}, "warm_episodes": 8, "warm_epochs": 100, "eval_tasks": 1}
"""Solved now and then."""
FORKED = {**EASY, "tree": {"trunks": 2, "branches": 6}, "group_size": 8}


def test_pairs_are_learned_from_and_counted(tmp_path):
    """Where policy and reference are one, DPO's loss is log 2 whatever the pairs are."""
    run(tmp_path / "run", preference={"step_outcome_margin": None}, save_every=1, **FORKED)
    run(tmp_path / "warm", steps=0, **EASY)
    first, *_, last = rows(tmp_path / "run")
    assert first["outcome_loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert first["step_loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert (first["outcome_pairs"] > 0, first["step_pairs"] > 0) == (True, True)
    assert first["outcome_pairs"] + first["step_pairs"] == first["pairs_found"]
    assert (first["pairs_left_out"], first["optimizer_steps"], first["margin"]) == (0, 1, pytest.approx(0, abs=1e-5))
    assert last["margin"] != pytest.approx(0, abs=1e-5)
    moved, before = weights(tmp_path / "run"), weights(tmp_path / "warm")
    assert any(not torch.equal(moved[name], before[name]) for name in before)


def test_a_run_taken_up_again_ends_with_the_weights_of_one_that_was_not_stopped(tmp_path):
    first, killed = tmp_path / "first", tmp_path / "killed"
    run(first, preference={"most": 2, "sft": 1.0}, **FORKED)
    shutil.copytree(first, killed)
    shutil.rmtree(killed / "checkpoints" / "step-00003")
    (killed / "after.json").unlink()
    with Display() as display:
        Training(RunFolder.open(killed)).run(display)
    mine, other = weights(first), weights(killed)
    assert all(torch.equal(mine[name], other[name]) for name in mine)
    assert [{**row, "seconds": 0} for row in rows(killed)] == [{**row, "seconds": 0} for row in rows(first)]
    assert any(row["pairs_left_out"] for row in rows(first))


def test_a_teachers_turns_are_compared_with_the_policys_from_the_same_state(tmp_path):
    """IPR: the expert's trunk solves every task, so it is never rejected, and where forks fail its suffix is what is chosen."""
    tree = {"trunks": 1, "branches": 7, "strategy": "expert"}
    options = {**EASY, "tree": tree, "group_size": 8, "teacher": "expert", "replace_rounds": 0, "steps": 1}
    run(tmp_path / "run", preference={"step_outcome_margin": None, "margin": 0.0}, **options)
    (row,) = rows(tmp_path / "run")
    assert row["outcome_loss"] == pytest.approx(math.log(2), abs=1e-5)
    path = tmp_path / "run" / "trajectories" / "step-00001"
    episodes = read_trajectories(path.with_suffix(".jsonl"))
    assert any(turn.tokens is None for t in episodes for turn in t.turns)

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "tokenizer")
    compared = [whole(with_tokens(t, Renderer(tokenizer))) for t in episodes]
    assert all(turn.trained and turn.tokens for t in compared for turn in t.turns)
    pairs = step_pairs(compared, [t.outcome.score for t in compared for _ in t.turns], margin=0.5)
    assert {(p.chosen.rollout == 0, p.rejected.rollout == 0) for p in pairs} == {(True, False)}
    for pair in pairs:
        start = next(n for n, turn in enumerate(pair.chosen.turns) if turn.trained)
        assert not any(turn.trained for turn in pair.rejected.turns[:start])
        told = [[m.text for turn in side.turns[: start + 1] for m in turn.observation] for side in (pair.chosen, pair.rejected)]
        assert told[0] == told[1]
        assert pair.chosen.turns[start].action != pair.rejected.turns[start].action


def test_a_fork_is_whole_again_with_the_turns_of_its_parent(tmp_path):
    run(tmp_path / "run", steps=1, **FORKED)
    episodes = read_trajectories(tmp_path / "run" / "trajectories" / "step-00001.jsonl")
    assert any(t.fork for t in episodes)
    for t in episodes:
        assert [turn.trained for turn in t.turns] == [n >= t.fork for n in range(len(t.turns))]
        assert with_tokens(t, None) is t
        assert all(turn.trained for turn in whole(t).turns)
        assert (whole(t).parent, whole(t).fork) == (None, 0)


def test_no_pairs_no_step(tmp_path):
    run(tmp_path / "run", preference={"outcome_margin": 5.0, "step_outcome_margin": 5.0}, steps=1)
    (row,) = rows(tmp_path / "run")
    assert (row["pairs_found"], row["pairs_left_out"], row["optimizer_steps"]) == (0, 0, 0)


def test_fewer_pairs_of_every_task_and_kind():
    def played(task, score, rollout):
        made = trajectory([([5], [rollout + 1], [-1.0])], rollout=rollout)
        return replace(made, task=Task(id=task, env_id="x/X-v0", split="train", data={"name": task}), outcome=Outcome(score=score))

    episodes = [played(task, score, n) for task in ("a", "b") for n, score in enumerate((1.0, 1.0, 0.0, 0.0))]
    pairs = outcome_pairs(episodes) + step_pairs(episodes, [t.outcome.score for t in episodes])
    assert [(p.kind, p.chosen.task.id) for p in pairs] == [("outcome", t) for t in "aaaabbbb"] + [("step", "a"), ("step", "b")]
    kept = fewer(pairs, 3, seed=1)
    assert [(p.kind, p.chosen.task.id) for p in kept] == [("outcome", t) for t in "aaabbb"] + [("step", "a"), ("step", "b")]
    assert all(isinstance(p, Pair) and p in pairs for p in kept)
    assert fewer(pairs, None, seed=1) == pairs
    assert len({tuple(map(id, fewer(pairs, 3, seed=n))) for n in range(8)}) > 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"critic": {}, "estimator": "turn_ppo"}, "does not read critic; leave them out, or preference"),
        ({"minibatches": 2, "kl_coef": 0.1}, "does not read minibatches, kl_coef"),
        ({"objective": "cispo", "signal_every": 2}, "does not read signal_every, objective"),
    ],
)
def test_settings_that_pairs_do_not_read_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        started(tmp_path / "run", preference={}, **changes)


def test_wrong_preferences_are_explained():
    for wrong, message in (
        ({"pairs": []}, "at least 1"),
        ({"pairs": ["task"]}, "outcome"),
        ({"beta": 0}, "greater than 0"),
        ({"b": 1}, "Extra inputs"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainConfig(preference=wrong)
