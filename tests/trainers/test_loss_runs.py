"""A short real run with each option of the loss: it trains, and counts what it says it counts; stopped and resumed, it ends the same."""

import shutil

import pytest
import torch
from turnwise.trainers.loop import Training
from turnwise.trainers.progress import Display
from turnwise.trainers.runs import RunFolder

from .test_loop import run, weights

SHORT = {"steps": 2, "eval_tasks": 1, "warm_episodes": 0, "tiny": {}}


def rows(folder):
    return [r for r in RunFolder.open(folder).metrics() if r["phase"] == "rl"]


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """Warm-started once for all runs. It knows how to guess, and rarely finds the number before the limit of turns."""
    folder = tmp_path_factory.mktemp("policy")
    training, _ = run(folder / "run", steps=0, eval_tasks=1)
    training.model.save_pretrained(folder / "policy")
    training.tokenizer.save_pretrained(folder / "policy")
    return str(folder / "policy")


@pytest.fixture(scope="module")
def plain(policy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "plain"
    run(folder, **SHORT, policy=policy)
    return weights(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({"correction": "token", "minibatches": 2}, {"correction_truncated", "mismatch_kl"}),
        ({"correction": "sequence", "correction_high": 2.0}, {"correction_masked"}),
        ({"correction": "geometric"}, {"correction_masked"}),
        ({"entropy_coef": 0.01}, {"entropy"}),
        ({"aggregate": "constant", "aggregate_length": 60}, set()),
        ({"overlong": "mask"}, {"overlong_masked"}),
        ({"overlong": "penalty", "overlong_max": 40, "overlong_cache": 30}, {"overlong_punished"}),
        ({"kl_in": "reward", "kl": "k1", "kl_coef": 0.1}, {"kl", "kl_turns"}),
        ({"objective": "gvpo", "estimator": "dr_grpo"}, {"gvpo_log_ratio", "gvpo_alone"}),
        ({"srpo_beta": 1.0, "env_args": {"high": 30, "max_turns": 10}}, {"srpo_distilled", "srpo_kl"}),
        ({"objective": "gvpo", "gvpo_anchor": "sampler", "minibatches": 2}, {"gvpo_log_ratio"}),
    ],
)
def test_a_run_with_it_trains_in_its_own_way(tmp_path, policy, plain, changes, counted):
    run(tmp_path / "run", **{**SHORT, **changes}, policy=policy)
    assert sum(row["optimizer_steps"] or row.get("overlong_masked", 0) for row in rows(tmp_path / "run")) >= 1
    assert counted <= set().union(*rows(tmp_path / "run"))
    if "srpo_beta" in changes:
        assert sum(row["srpo_distilled"] for row in rows(tmp_path / "run")) >= 1
    found = weights(tmp_path / "run")
    assert not all(torch.equal(found[name], plain[name]) for name in found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"correction": "token", "minibatches": 2, "entropy_coef": 0.01, "kl_in": "reward", "kl_coef": 0.1},
        {"objective": "gvpo", "minibatches": 2},
    ],
)
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tmp_path, policy, changes):
    whole, again = tmp_path / "whole", tmp_path / "again"
    run(whole, **SHORT, policy=policy, **changes)
    shutil.copytree(whole, again)
    shutil.rmtree(again / "checkpoints" / "step-00002")
    (again / "after.json").unlink()
    training = Training(RunFolder.open(again))
    assert training.cursor.step == 1
    with Display() as display:
        training.run(display)
    first, second = weights(whole), weights(again)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [row["step"] for row in rows(again)] == [1, 2]
