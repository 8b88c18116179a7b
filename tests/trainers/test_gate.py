"""Gated accumulation: the rule, what the record keeps, and that it decides what is trained."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise import TurnBatch, estimate
from turnwise.envs.base import Manifest, TurnResult
from turnwise.envs.guess_number import GuessNumber
from turnwise.envs.registry import register
from turnwise.records import Message, Outcome, StopReason, Task, Trajectory, Turn
from turnwise.rewards import combine
from turnwise.rewards.gated import Gate
from turnwise.trainers.config import TrainConfig, load_config
from turnwise.trainers.loop import Training
from turnwise.trainers.progress import Display
from turnwise.trainers.runs import RunFolder
from turnwise.trainers.shaping import Shaping
from turnwise.trajectory_io import read_trajectories


def episode(score, *turns, components=None, valid=True):
    made = tuple(
        Turn(
            index=index,
            observation=(),
            action=Message(role="assistant", content="x"),
            reward=None if own is None else own if isinstance(own, float) else sum(own.values()),
            components=own if isinstance(own, dict) else {},
            measures={"seconds": 1.0},
        )
        for index, own in enumerate(turns)
    )
    outcome = Outcome(score=score, components=components or {}) if valid else Outcome.void("x")
    stop = StopReason.SUCCESS if valid else StopReason.ENV_FAULT
    return Trajectory(task=Task(id="t", env_id="x", split="train"), turns=made, outcome=outcome, stop=stop)


def rewards(trajectory):
    return [turn.reward for turn in trajectory.turns]


def test_golden():
    # rewards.md 3.1 (delta 0, five steps of 0.1) and credit.md 12: outcome and turns together
    gate = Gate(["outcome", "step"], [0.0])
    for outcome, steps, total in ((-1.0, 5 * [0.1], -1.0), (1.0, 5 * [0.1], 1.5), (1.0, [0.1, 0.1, 0.05], 1.25), (0.0, [0.1], 0.0)):
        (gated,) = gate([episode(outcome, *({"step": s} for s in steps))])
        assert gated.outcome.score + gated.turn_reward_sum == pytest.approx(total)
        assert combine.gate([(outcome, 0.0), (sum(steps), 0.0)]) == pytest.approx(total)


def test_whether_a_threshold_must_be_exceeded_is_a_parameter():
    stages = [episode(score, {"step": 0.1}) for score in (0.0, 0.25, 1.0)]
    assert [t.turn_reward_sum for t in Gate(["outcome", "step"], [0.25])(stages)] == [0.0, 0.0, 0.1]
    assert [t.turn_reward_sum for t in Gate(["outcome", "step"], [0.25], strict=False)(stages)] == [0.0, 0.1, 0.1]
    assert combine.gate([(0.25, 0.25), (0.1, 0.0)], strict=False) == 0.35


def test_a_level_opens_only_where_all_before_it_are_open():
    turns = [{"fixed": 0.5, "tests": 0.1, "format": 0.1}, {"fixed": 0.0, "tests": 0.0, "format": 0.2}, None]
    gate = Gate(["outcome", ["fixed", "tests"], "format"], [0.0, 0.55])
    (gated,) = gate([episode(1.0, *turns)])
    assert gated.turns[0].components == {"fixed": 0.5, "tests": 0.1, "format": 0.1}  # 0.6 > 0.55
    (gated,) = Gate(["outcome", ["fixed", "tests"], "format"], [0.0, 0.6])([episode(1.0, *turns)])
    assert [dict(t.components) for t in gated.turns] == [
        {"fixed": 0.5, "tests": 0.1, "format": 0.0},
        {"fixed": 0.0, "tests": 0.0, "format": 0.0},
        {},
    ]
    assert rewards(gated) == [pytest.approx(0.6), 0.0, None]
    assert [dict(t.measures) for t in gated.turns] == [
        {"seconds": 1.0, "ungated:format": 0.1},
        {"seconds": 1.0, "ungated:format": 0.2},
        {"seconds": 1.0},
    ]
    # the second level has enough, but the first has not
    (closed,) = gate([episode(0.0, *turns)])
    assert rewards(closed) == [0.0, 0.0, None]


def test_parts_of_the_outcome_rewards_without_components_and_void_episodes():
    gate = Gate(["outcome.stage", "environment"], [0.25], strict=False)
    first = episode(0.0, 0.5, components={"stage": 0.25})
    assert gate([first]) == [first]
    (closed,) = gate([episode(1.0, 0.5, components={"stage": 0.0})])
    assert (closed.turns[0].reward, closed.turns[0].components) == (0.0, {"environment": 0.0})
    assert closed.turns[0].measures["ungated:environment"] == 0.5
    void = episode(0.0, {"step": 1.0}, valid=False)
    assert gate([void]) == [void]
    with pytest.raises(ValueError, match=r"names 'outcome\.stage', but the outcome's components are outcome\.other"):
        gate([episode(1.0, 0.5, components={"other": 1.0})])


def test_components_of_no_level_count_always():
    (gated,) = Gate(["outcome", "format"], [0.0])([episode(0.0, {"format": 0.1, "cost": -0.2})])
    assert gated.turns[0].components == {"format": 0.0, "cost": -0.2}
    assert rewards(gated) == [-0.2]


@given(st.floats(-1, 1), st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=5), st.floats(-1, 1), st.booleans())
def test_a_gate_keeps_the_ungated_values_and_is_idempotent(score, turns, threshold, strict):
    one = episode(score, *({"a": a, "b": b} for a, b in turns))
    gate = Gate(["outcome", "a", "b"], [threshold, threshold], strict=strict)
    (gated,) = gate([one])
    assert gate([gated]) == [gated] or threshold < 0 or not strict  # a level set to 0 can pass a threshold below 0
    for before, after in zip(one.turns, gated.turns, strict=True):
        restored = {name: after.measures.get(f"ungated:{name}", value) for name, value in after.components.items()}
        assert restored == before.components
        assert after.reward == pytest.approx(sum(after.components.values()))
    a_open = combine.passes(score, threshold, strict=strict)
    b_open = a_open and combine.passes(sum(a for a, _ in turns), threshold, strict=strict)
    expected = sum(a for a, _ in turns) * a_open + sum(b for _, b in turns) * b_open
    assert gated.turn_reward_sum == pytest.approx(expected, abs=1e-6)


def test_a_gate_that_does_not_fit_is_refused():
    for levels, thresholds, message in (
        (["outcome"], [], "two or more"),
        (["outcome", []], [0.0], "each with a name"),
        (["outcome", "a"], [], "needs 1 numbers"),
        (["outcome", "a"], [0.0, 1.0], "one for each level but the last"),
        (["outcome", "a"], [float("nan")], "needs 1 numbers"),
        (["outcome", ["a", "b"], "a"], [0.0, 0.0], "'a' stands in two levels"),
    ):
        with pytest.raises(ValueError, match=message):
            Gate(levels, thresholds)
    with pytest.raises(ValueError, match=r"names 'formt'; allowed: format, outcome, outcome\.NAME"):
        Gate(["outcome", "formt"], [0.0]).check(["format"])
    Gate(["outcome.stage", "format"], [0.0]).check(["format"])


def test_gated_rewards_change_the_advantages():
    turns = [{"format": 1.0}, {"format": 0.0}]
    group = [episode(1.0, *turns), episode(0.0, *turns), episode(0.0, {"format": 0.0}, {"format": 1.0})]
    before = estimate("turn_rloo", TurnBatch.from_trajectories(group))
    after = estimate("turn_rloo", TurnBatch.from_trajectories(Gate(["outcome", "format"], [0.0])(group)))
    plain = [replace(t, turns=tuple(replace(turn, reward=0.0, components={}) for turn in t.turns)) for t in group[1:]]
    assert not np.allclose(before, after)
    assert np.allclose(after, estimate("turn_rloo", TurnBatch.from_trajectories([group[0], *plain])))


# ---- through the loop ----------------------------------------------------------------------------------------------------------------


class Letters(GuessNumber):
    """Two turns of any text: a quarter for each turn with a letter "e", success where the second has an even number of characters."""

    def __init__(self):
        super().__init__(30)
        self.weights = {"letter": 0.25}

    def act(self, action):
        value = 0.25 * ("e" in action.text)
        self.turn = 0 if self.turn is None else self.turn + 1
        outcome = Outcome(score=float(len(action.text) % 2 == 0)) if self.turn else None
        return TurnResult(observation=(Message(role="user", content="more"),), reward=value, components={"letter": value}, outcome=outcome)

    def start(self, task):
        self.turn = None
        return super().start(task)


register("me/Letters-v0", Letters, Manifest(scripts={"expert": "turnwise.envs.guess_number:Bisection"}))
SMALL = {
    "env": "me/Letters-v0",
    "tiny": {"hidden": 32, "layers": 1, "heads": 2, "vocab_size": 320},
    "steps": 1,
    "groups": 4,
    "group_size": 4,
    "max_new_tokens": 24,
    "eval_tasks": 2,
    "eval_split": "validation",
    "save_every": 1,
}


def run(folder, **changes):
    training = Training(RunFolder.create(folder, TrainConfig(**{**SMALL, **changes})))
    with Display() as display:
        training.run(display)
    rows = [r for r in RunFolder.open(folder).metrics() if r["phase"] == "rl"]
    return training, rows


def test_a_run_trains_on_gated_rewards_and_its_files_keep_both(tmp_path):
    gate = {"levels": ["outcome", "letter"], "thresholds": [0.0]}
    training, (row,) = run(tmp_path / "a", gate=gate)
    _, (plain,) = run(tmp_path / "b")
    assert 0.0 < row["turn_reward"] < row["ungated_turn_reward"] == pytest.approx(plain["turn_reward"])
    assert row["gated_turns"] > 0
    assert "gated_turns" not in plain
    assert load_config(tmp_path / "a" / "config.yaml").gate == training.config.gate
    closed = 0
    for trajectory in read_trajectories(tmp_path / "a" / "trajectories" / "step-00001.jsonl"):
        for turn in trajectory.turns:
            if trajectory.outcome.success:
                assert "ungated:letter" not in turn.measures
            else:
                assert turn.reward == 0.0
                closed += turn.measures.get("ungated:letter", 0.0) > 0.0
    assert 0 < closed <= row["gated_turns"]


def test_wrong_names_are_told_before_anything_runs(tmp_path):
    for changes, message in (
        ({"gate": {"levels": ["outcome", "formt"], "thresholds": [0.0]}}, "the gate names 'formt'; allowed: letter, outcome"),
        ({"rubric": {"verop": 0.5}}, "Did you mean 'verpo'"),
        ({"rubric": {"verpo": {"difficulty": "hard", "weight": 1}}}, "allowed: linear, exponential, uniform"),
        ({"rubric": {"verpo": {"difficulty": "linear"}}}, "weight None; give a number"),
        ({"rubric": {"verpo": {"weight": 1.0, "levels": 2}}}, "verpo does not take"),
        ({"rubric": {"progrm": {"weight": 1.0, "kept": 2.0}}}, "kept is 2.0"),
    ):
        with pytest.raises(ValueError, match=message):
            Training(RunFolder.create(tmp_path / str(len(list(tmp_path.iterdir()))), TrainConfig(**{**SMALL, **changes})))
    recipe = tmp_path / "r.yaml"
    for text, message in (
        ("gate: {levels: [outcome], thresholds: []}", "two or more"),
        ("gate: {levels: [outcome, a], thresholds: [0], level: 2}", r"gate\.level"),
    ):
        recipe.write_text(text)
        with pytest.raises(ValueError, match=message):
            load_config(recipe)


def test_the_rubric_adds_before_the_gate_takes_away():
    env = Letters()
    config = TrainConfig(**SMALL, rubric={"verpo": 0.5}, gate={"levels": ["outcome", "verpo"], "thresholds": [0.0]})
    shaping = Shaping(config, env)
    measured = [
        replace(e, turns=tuple(replace(turn, measures={"test:a": passed}) for turn in e.turns))
        for e, passed in (
            (episode(1.0, {"format": 0.25}), 1.0),
            (episode(0.0, {"format": 0.25}), 1.0),
            (episode(0.0, {"format": 0.25}), 0.0),
        )
    ]
    shaped = shaping.of_step(None)(measured)
    # rho = 2/3, one test: weight 1; the gate lets only the first episode keep it
    assert [dict(t.turns[0].components) for t in shaped] == [
        {"format": 0.25, "verpo": 0.5},
        {"format": 0.25, "verpo": 0.0},
        {"format": 0.25, "verpo": 0.0},
    ]
    assert shaping.counts == {
        "information_gain_turns": 0,
        "verpo_turns": 3,
        "gated_turns": 1,
        "ungated_turn_reward": pytest.approx((0.75 + 0.75 + 0.25) / 3),
    }
    assert Shaping(TrainConfig(**SMALL), env).of_step(None) is None
