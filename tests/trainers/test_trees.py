"""Learning from episodes that branch: every node is trained once, and the estimators of trees run on what was rolled out."""

import copy
import json
import math
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from turnwise.agents.branching import Entropy
from turnwise.agents.policy import PolicyAgent
from turnwise.agents.scripted import ScriptedAgent
from turnwise.agents.tiny import build_model, build_tokenizer
from turnwise.agents.trees import Tree
from turnwise.envs.key_door import ACTIONS, KeyDoor, Planner
from turnwise.envs.registry import make, manifest
from turnwise.records import Message, Outcome, StopReason, Task, TokenTrace, Trajectory, Turn
from turnwise.trainers.assemble import assemble
from turnwise.trainers.collect import play_groups
from turnwise.trainers.config import TrainConfig, quickened
from turnwise.trainers.credit import TurnBatch, estimate
from turnwise.trainers.credit.trees import mean_of_nodes, tree_of
from turnwise.trainers.crediting import Estimated
from turnwise.trainers.learner import Learner
from turnwise.trainers.loop import Training
from turnwise.trainers.loss import LossOptions
from turnwise.trainers.progress import Display
from turnwise.trainers.runs import RunFolder
from turnwise.trainers.vine import return_from, value_states
from turnwise.trajectory_io import read_trajectories

from .conftest import VOCABULARY
from .small import run, started, weights

TASK = Task(id="t", env_id="x/X-v0", split="train")


def episode(rollout, turns, score=0.0, *, parent=None, fork=0, probe=False, valid=True, rewards=None, logprob=-2.0):
    """``turns``: (context, action) ids of each; the first ``fork`` are the parent's."""
    made = []
    for index, (context, action) in enumerate(turns):
        trace = TokenTrace(context_ids=tuple(context), action_ids=tuple(action), logprobs=(logprob,) * len(action), restart=index == 0)
        reward = None if rewards is None else rewards[index]
        said = Message(role="assistant", content="x")
        made.append(Turn(index=index, observation=(), action=said, tokens=trace, trained=index >= fork, reward=reward))
    return Trajectory(
        task=TASK,
        turns=tuple(made),
        outcome=Outcome(score=score) if valid else Outcome.void("broken"),
        stop=StopReason.SUCCESS if valid else StopReason.ENV_FAULT,
        rollout=rollout,
        parent=parent,
        fork=fork,
        probe=probe,
    )


A, B, C, D, E = ([3, 4], [5]), ([6], [7, 8]), ([9], [10]), ([6], [11]), ([12], [13, 14, 15])
TREE = [
    episode(0, [A, B, C], 1.0),
    episode(1, [A, D], 0.0, parent=0, fork=1),
    episode(2, [A, B, E], 0.0, parent=0, fork=2),
    episode(3, [([3, 4], [16, 17])], 0.0),
]
"""Nodes: A (1 token), B (2), C (1), D (1), E (3) and the turn of episode 3 (2): ten different tokens."""


def test_parents_and_forks_are_places_in_the_batch_in_any_order():
    batch = TurnBatch.from_trajectories([TREE[2], TREE[3], TREE[0], TREE[1]])
    assert batch.parents.tolist() == [2, -1, -1, 2]
    assert batch.forks.tolist() == [2, 0, 0, 1]
    other = replace(TREE[0], env_seed=7)  # another group has its own rollout 0
    batch = TurnBatch.from_trajectories([other, *TREE])
    assert batch.parents.tolist() == [-1, -1, 1, 1, -1]
    assert TurnBatch.from_trajectories(TREE[:1]).parents is None
    assert TurnBatch.from_trajectories(TREE[:1], trees=True).parents.tolist() == [-1]
    with pytest.raises(ValueError, match="the parent of rollout 2, 0, is not in the batch"):
        TurnBatch.from_trajectories([TREE[2]])


def test_tree_rpo_of_rolled_out_trees_by_hand():
    # V: C 1, E 0, so B 1/2; D 0, so A 1/4; the first turn of episode 3 is 0. Siblings: C E, B D, A and episode 3.
    advantages = Estimated("tree_rpo", {"ddof": 0, "eps": 0.0}, trees=True)(TREE)
    assert advantages.tolist() == pytest.approx([1, 1, 1, 1, 1, -1, 1, 1, 1, -1, -1, -1, -1, -1])


def test_a_turn_that_episodes_share_gets_the_mean_of_them():
    # rloo over outcomes 1, 0, 0, 0: 1 for the first, -1/3 for the others
    batch = TurnBatch.from_trajectories(TREE)
    of_episodes = estimate("rloo", batch)
    np.testing.assert_allclose(of_episodes, [1, 1, 1, *[-1 / 3] * 6])
    a, b = (1 - 1 / 3 - 1 / 3) / 3, (1 - 1 / 3) / 2
    expected = [a, b, 1, a, -1 / 3, a, b, -1 / 3, -1 / 3]
    np.testing.assert_allclose(mean_of_nodes(batch, of_episodes), expected, atol=1e-12)
    tokens = [len(u.tokens.action_ids) for t in TREE for u in t.turns]
    np.testing.assert_allclose(Estimated("rloo", {}, trees=True)(TREE), np.repeat(expected, tokens), atol=1e-12)
    torch_batch = batch.to_torch()
    np.testing.assert_allclose(mean_of_nodes(torch_batch, estimate("rloo", torch_batch)).numpy(), expected, atol=1e-12)
    # a voided fork is in no mean
    voided = TurnBatch.from_trajectories([*TREE[:2], episode(2, [A, B, E], parent=0, fork=2, valid=False), TREE[3]])
    given = np.asarray([1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 9.0, 9.0, 6.0])
    assert mean_of_nodes(voided, given).tolist() == [2.5, 2.0, 3.0, 2.5, 5.0, 0.0, 0.0, 0.0, 6.0]


def test_a_fork_that_ended_where_it_began_adds_no_node_and_counts_as_an_episode():
    early = episode(4, [A, B], 0.5, parent=0, fork=2)
    tree = Estimated("tree_rpo", {"ddof": 0, "eps": 0.0}, trees=True)
    assert tree([*TREE, early])[:14].tolist() == tree(TREE).tolist()
    found = estimate("tree_grpo", TurnBatch.from_trajectories([*TREE, early]), eps=0.0, ddof=0)
    assert found[-1] != 0.0
    assert len(assemble([*TREE, early], np.ones(11))) == len(assemble(TREE, np.ones(9)))


@pytest.mark.parametrize("aggregate", ["token", "rollout"])
def test_the_loss_is_that_of_the_distinct_nodes(aggregate):
    """By hand: -sum over the ten tokens of w rho A, with rho = exp(log pi + 2), where the clip does not bind."""
    model = build_model(VOCABULARY, seed=3, hidden=32, layers=2, heads=4)
    tree = [replace_logprobs(t, math.log(1 / VOCABULARY)) for t in TREE]
    advantages = np.asarray([0.5, -1.0, 2.0, 9.0, 0.25, 9.0, 9.0, -0.75, 1.5])  # 9: of copies, which must not count
    samples = assemble(tree, advantages, aggregate=aggregate)
    assert sum(float(s.weight.sum()) for s in samples) == pytest.approx(1.0)
    nodes = [([A], 0, 0.5, 0), ([A, B], 1, -1.0, 0), ([A, B, C], 2, 2.0, 0), ([A, D], 1, 0.25, 1), ([A, B, E], 2, -0.75, 2)]
    nodes += [([TREE_FIRST], 0, 1.5, 3)]
    own = [4, 1, 3, 2]  # trained tokens of each episode
    loss = 0.0
    for turns, last, advantage, number in nodes:
        ids = [x for context, action in turns for x in (*context, *action)]
        action = turns[last][1]
        with torch.no_grad():
            table = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].float(), -1)
        for place, token in enumerate(action):
            ratio = math.exp(float(table[len(ids) - len(action) + place - 1, token]) - math.log(1 / VOCABULARY))
            weight = 1 / 10 if aggregate == "token" else 1 / (4 * own[number])
            clipped = min(max(ratio, 0.2), 9.0)
            loss -= weight * min(ratio * advantage, clipped * advantage)
    learner = Learner(copy.deepcopy(model), lr=0.0, loss=LossOptions(clip_low=0.8, clip_high=8.0))
    metrics = learner.update(samples)
    assert metrics["loss"] == pytest.approx(loss, abs=1e-5)
    assert metrics["trained_tokens"] == 10


TREE_FIRST = ([3, 4], [16, 17])


def replace_logprobs(t, value):
    turns = [replace(u, tokens=replace(u.tokens, logprobs=(value,) * len(u.tokens.action_ids))) for u in t.turns]
    return replace(t, turns=tuple(turns))


def test_turns_of_an_expert_without_tokens_are_passed_over_where_the_next_one_restarts():
    shown = replace(TREE[0], turns=tuple(replace(u, tokens=None, trained=False) for u in TREE[0].turns))
    whole = TokenTrace(context_ids=(3, 4, 5, 6), action_ids=(11,), logprobs=(-1.0,), restart=True)
    fork = replace(TREE[1], turns=(shown.turns[0], replace(TREE[1].turns[1], tokens=whole)))
    (sample,) = assemble([shown, fork], np.ones(5))
    assert sample.ids.tolist() == [3, 4, 5, 6, 11]
    assert sample.action.tolist() == [False] * 4 + [True]
    assert sample.weight.sum() == 1.0
    with pytest.raises(ValueError, match="turn 0: no tokens were recorded"):
        assemble([replace(fork, turns=(shown.turns[0], TREE[1].turns[1]))])
    batch = TurnBatch.from_trajectories([shown, fork])
    assert batch.entropies.tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]


# ---- values of states --------------------------------------------------------------------------------------------------


def test_a_return_by_hand():
    t = episode(0, [A, B, C], 1.0, rewards=[0.5, None, 0.25])
    assert [return_from(t, n, 0.5) for n in range(4)] == [0.5 + 0.25 * 1.25, 0.5 * 1.25, 1.25, 1.0]


def test_values_are_the_mean_returns_of_the_probes_of_the_state():
    members = [
        episode(0, [A, B, C], 1.0, rewards=[0.0, 0.5, 0.0]),
        episode(1, [A, B, E], 0.0, parent=0, fork=2, rewards=[0.0, 0.5, 0.0]),
        episode(2, [A], 0.5, rewards=[0.0]),
        episode(3, [A, D], valid=False),
    ]
    probes = [
        episode(4, [A, D], 1.0, probe=True, rewards=[1.0, 0.0]),  # the start: 2
        episode(5, [A], 0.0, probe=True, rewards=[0.0]),  # the start: 0
        episode(6, [A, D], 0.5, parent=0, fork=1, probe=True, rewards=[9.0, 0.25]),  # before turn 1: 0.75, what came before is not in it
        episode(7, [A, D], parent=0, fork=1, probe=True, valid=False),  # in no mean
        episode(8, [A, B], 0.25, parent=0, fork=2, probe=True, rewards=[9.0, 9.0]),  # before turn 2 of 0 and of 1, ended at once: 0.25
    ]
    (valued,), missing = value_states([members], probes, 1.0)
    assert [[u.measures["state_value"] for u in t.turns] for t in valued] == [[1.0, 0.75, 0.25], [1.0, 0.75, 0.25], [1.0], [0.0, 0.0]]
    assert missing == 0
    advantages = estimate("vine", TurnBatch.from_trajectories(valued))
    # r + V' - V: 0 + .75 - 1, .5 + .25 - .75, 1 - .25; the same turns of the fork; 0.5 - 1; voided
    np.testing.assert_allclose(advantages, [-0.25, 0.0, 0.75, -0.25, 0.0, -0.25, -0.5, 0.0, 0.0])


def test_a_state_without_a_value_is_counted_and_takes_that_of_the_turn_before():
    members = [episode(0, [A, B, C], 1.0, rewards=[0.0, 0.5, 0.0]), episode(1, [A], 0.5, rewards=[0.0])]
    probes = [episode(2, [A, D], 0.5, parent=0, fork=1, probe=True, rewards=[0.0, 0.25]), episode(3, [A], probe=True, valid=False)]
    (valued,), missing = value_states([members], probes, 1.0)
    # the start: the mean of 1.5 and 0.5; before turn 1: 0.75; before turn 2: as before turn 1
    assert [[u.measures["state_value"] for u in t.turns] for t in valued] == [[1.0, 0.75, 0.75], [1.0]]
    assert missing == 3


# ---- from the environment to the loss ----------------------------------------------------------------------------------


class Stumbles(Planner):
    """An expert that takes a random action one time in three."""

    def reset(self, task, rng):
        super().reset(task, rng)
        self.rng = rng

    def act(self, observation):
        before, action = self.state, super().act(observation)
        if self.rng.random() < 1 / 3:
            action = ACTIONS[self.rng.integers(len(ACTIONS))]
        self.state, _ = self.grid.step(before, action)
        return action


GAMES = [
    ("turnwise/Search-v0", {"world": {"train": 40, "validation": 12, "test": 12}, "max_turns": 5}, "noisy"),
    ("turnwise/KeyDoor-v0", {"max_turns": 16}, Stumbles),
    ("turnwise/Retail-v0", {"tasks": {"train": 20, "validation": 5, "test": 5}}, "erring"),
]


@pytest.mark.parametrize(("env", "arguments", "script"), GAMES, ids=[g[0] for g in GAMES])
def test_estimators_of_trees_on_environments(env, arguments, script):
    factory = partial(make, env, **arguments)
    tasks = factory().tasks.get_task_range("train", 0, 4)
    tree = Tree(trunks=2, branches=2, rounds=2, probes=2)
    groups = play_groups(factory, ScriptedAgent(manifest(env).scripts.get(script, script)), tasks, tree.size, tree=tree)
    members = [[t for t in group if not t.probe] for group in groups]
    assert [len(group) for group in members] == [6] * 4
    valued, missing = value_states(members, [t for group in groups for t in group if t.probe], 1.0)
    assert missing == 0
    batch = TurnBatch.from_trajectories([t for group in valued for t in group])
    nodes = tree_of(batch, "test").node
    for name, parameters in (("tree_rpo", {}), ("at2po", {"mode": "mean"}), ("tree_grpo", {}), ("vine", {})):
        found = estimate(name, batch, **parameters)
        assert np.isfinite(found).all()
        assert found.any()
        if name != "tree_grpo":  # which gives numbers to episodes
            np.testing.assert_allclose(found, mean_of_nodes(batch, found), atol=1e-12)
            assert len(set(nodes.tolist())) < len(nodes)
        if name == "vine":  # the changes of value add up: what an episode came to, less the value of the start
            for number, t in enumerate(t for group in valued for t in group):
                own = found[batch.offsets[number] : batch.offsets[number + 1]]
                assert own.sum() == pytest.approx(return_from(t, 0, 1.0) - t.turns[0].measures["state_value"])


def test_on_policy_ratios_of_forks_are_one():
    tokenizer = build_tokenizer(["north south west east take open key door"], vocab_size=300)
    model = build_model(len(tokenizer), seed=1, hidden=32, layers=2, heads=2)
    tasks = KeyDoor().tasks.get_task_range("train", 0, 2)
    agent = PolicyAgent(model, tokenizer, max_new_tokens=6)
    tree = Tree(trunks=2, branches=2, rounds=2, branching=Entropy())
    groups = play_groups(lambda: KeyDoor(max_turns=5), agent, tasks, tree.size, tree=tree)
    episodes = [t for group in groups for t in group]
    samples = assemble(episodes)
    for sample, found in zip(samples, Learner(model, lr=0.0).logprobs(samples), strict=True):
        np.testing.assert_allclose(found.numpy(), sample.logprobs[sample.action], atol=3e-5)
    assert sum(int(s.action.sum()) for s in samples) == sum(t.num_action_tokens for t in episodes)
    assert any(t.fork for t in episodes)


SMALL = {
    "env_args": {"high": 30, "max_turns": 4},
    "steps": 2,
    "groups": 2,
    "replace_rounds": 0,
    "max_new_tokens": 10,
    "eval_tasks": 2,
    "save_every": 1,
}
WORLD = {"world": {"train": 40, "validation": 12, "test": 12}, "max_turns": 3, "topk": 1, "instructions": "Search."}
FORKED = {"trunks": 2, "branches": 1, "rounds": 2}
SEARCH = {"env": "turnwise/Search-v0", "env_args": WORLD, "warm_episodes": 0}
KEY_DOOR = {"env": "turnwise/KeyDoor-v0", "env_args": {"max_turns": 3}, "warm_episodes": 0}
RUNS = [
    ("tree_rpo", FORKED, {}),
    ("tree_rpo", FORKED, {"env": "turnwise/Twenty-v0", "env_args": {"max_turns": 3}, "warm_episodes": 0}),
    (
        "tree_grpo",
        {"trunks": 2, "branches": 2, "strategy": "arpo"},
        {"env": "turnwise/KeyDoor-v0", "env_args": {"max_turns": 3}, "warm_episodes": 0},
    ),
    ("at2po", {"trunks": 2, "branches": 2, "strategy": "entropy"}, {}),
    ("at2po", {"trunks": 2, "branches": 2, "strategy": "entropy", "strategy_args": {"penalty": 0.1}}, SEARCH),
    ("vine", {"trunks": 4, "probes": 1}, {}),
    ("turn_rloo", {"trunks": 1, "branches": 3, "strategy": "expert"}, {"teacher": "expert"}),
]


@pytest.mark.parametrize(("estimator", "tree", "changes"), RUNS, ids=[f"{name}-{more.get('env', '')}" for name, _, more in RUNS])
def test_estimators_of_trees_train(tmp_path, estimator, tree, changes):
    training, _ = run(tmp_path / "run", **{**SMALL, **changes}, estimator=estimator, tree=tree)
    rows = [r for r in training.run_folder.metrics() if r["phase"] == "rl"]
    saved = read_trajectories(tmp_path / "run" / "trajectories" / "step-00001.jsonl")
    for row in rows:
        assert row["rollouts"] == 8 * row["step"]
        assert row["forks"] == 2 * (4 - tree["trunks"])
        assert (row["fork_faults"], row["forks_from_the_start"], row["vine_faults"], row["unvalued_turns"]) == (0, 0, 0, 0)
        if row["optimizer_steps"]:
            assert row["ratio_max"] == pytest.approx(1.0, abs=1e-3)
    assert not any(t.probe for t in saved)
    assert any(row["optimizer_steps"] for row in rows) or "env" in changes  # elsewhere so small a policy is always equally bad
    if estimator == "vine":
        # one probe for the start of each group and one for every later turn of its members
        assert rows[0]["vine_rollouts"] == 2 + sum(len(t.turns) - 1 for t in saved)
        assert rows[0]["vine_tokens"] > 0
        assert all("state_value" in u.measures for t in saved for u in t.turns)
    notes = json.loads((tmp_path / "run" / "trajectories" / "step-00001.credit.json").read_text())
    for t, e in zip(saved, notes["episodes"], strict=True):
        assert not any(flag for row in e["trained"][: t.fork] for flag in row)
    if saved and rows[0]["optimizer_steps"]:
        assert rows[0]["trained_tokens"] <= sum(t.num_action_tokens for t in saved)


def test_a_run_of_trees_taken_up_again_ends_with_the_weights_of_one_that_was_not_stopped(tmp_path):
    options = {**SMALL, "estimator": "tree_rpo", "tree": {**FORKED, "strategy": "entropy", "probes": 1}, "steps": 3}
    run(tmp_path / "whole", **options)
    run(tmp_path / "again", **options)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "step-00003")
    (tmp_path / "cut" / "after.json").unlink()
    training = Training(RunFolder.open(tmp_path / "cut"))
    assert training.cursor.step == 2
    with Display() as display:
        training.run(display)
    whole = weights(tmp_path / "whole")
    for name in ("again", "cut"):
        assert all(torch.equal(value, weights(tmp_path / name)[key]) for key, value in whole.items())
    rows = [[r for r in RunFolder.open(tmp_path / name).metrics() if r["phase"] == "rl"] for name in ("whole", "cut")]
    assert [{k: v for k, v in r.items() if k != "seconds"} for r in rows[0]] == [
        {k: v for k, v in r.items() if k != "seconds"} for r in rows[1]
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimator": "tree_rpo"}, r"'tree_rpo' compares episodes that fork; set tree"),
        ({"estimator": "at2po", "tree": {"trunks": 4}}, r"'at2po' compares episodes that fork"),
        ({"estimator": "gated", "estimator_args": {"base": "tree_grpo"}}, r"'tree_grpo' compares episodes that fork"),
        ({"estimator": "vine"}, r"set tree.probes, for example tree: \{trunks: 4, probes: 4\}"),
        ({"estimator": "vine", "tree": {"trunks": 2, "branches": 2}}, "set tree.probes"),
        ({"tree": {"trunks": 2, "branches": 1}}, r"group_size is 4, but tree.trunks \+ tree.rounds \* tree.branches is 2 \+ 1 \* 1"),
        ({"tree": {"trunks": 2, "branches": 2}, "env": "turnwise/Code-v0", "env_args": {}, "eval_split": "test"}, "offers no snapshots"),
        ({"tree": {"trunks": 1, "branches": 3, "strategy": "expert"}, "teacher": "nobody"}, "no script 'nobody'"),
    ],
)
def test_settings_that_do_not_go_together_are_told_before_anything_runs(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        started(tmp_path / "run", **{**SMALL, **changes})


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"trunks": 2, "branches": 1, "strategy": "expert"}, "set trunks to 1"),
        ({"trunks": 2, "strategy": "uniform", "strategy_args": {"penalty": 1.0}}, "'uniform' does not take"),
        ({"trunks": 0}, "greater than or equal to 1"),
        ({"trunks": 2, "twigs": 3}, "Extra inputs"),
    ],
)
def test_a_tree_that_cannot_be_is_refused(tree, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(tree=tree)


def test_quick_leaves_the_size_of_groups_to_the_tree():
    config = TrainConfig(group_size=12, groups=64, tree={"trunks": 4, "branches": 8})
    assert (quickened(config, ()).group_size, quickened(config, ()).groups) == (12, 8)
