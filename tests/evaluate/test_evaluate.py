"""Evaluation end to end on a small real environment."""

import json

import pytest
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.base import Env, EnvFault, TurnResult
from turnwise.envs.tasks import ListTaskSet
from turnwise.records import Message, Outcome, Task
from turnwise.trainers.evaluate import compare, evaluate


def tasks(split):
    return [Task(id=f"{split}{i}", env_id="test/Pick-v0", split=split, data={"n": i, "split": split}) for i in range(4)]


class Pick(Env):
    """Two turns; the second one's text is the score. Task 3 breaks the environment."""

    def __init__(self):
        super().__init__(ListTaskSet({"train": ("train", tasks("train")), "test": ("test", tasks("test"))}))

    def act(self, action):
        if self.task.data["n"] == 3:
            raise EnvFault("broken task")
        if self.turn_index == 0:
            return TurnResult(observation=(Message(role="user", content="again"),), reward=0.25, action_valid=False)
        return TurnResult(reward=0.5, outcome=Outcome(score=float(action.text)))


class Player:
    """Scores 1 on tasks below ``skill``, else 0."""

    played = 0

    def __init__(self, skill):
        self.skill = skill

    def reset(self, task, rng):
        Player.played += 1
        self.answer = "1" if task.data["n"] < self.skill else "0"

    def act(self, observation):
        return self.answer


def agent(skill):
    return ScriptedAgent(lambda: Player(skill), f"skill{skill}")


def test_the_numbers_and_the_files(tmp_path):
    results = evaluate(Pick, agent(1), "test", k=2, out=tmp_path)
    assert (results["tasks"], results["episodes"], results["faults"], results["tasks_without_verdict"], results["retried"]) == (
        4,
        8,
        2,
        1,
        2,
    )
    assert results["score"]["mean"] == pytest.approx(1 / 3)
    assert (results["score"]["low"], results["score"]["high"]) == (0.0, 1.0)
    assert results["pass_at_k"] == {"1": pytest.approx(1 / 3), "2": pytest.approx(1 / 3)}
    assert results["pass_hat_k"] == {"1": pytest.approx(1 / 3), "2": pytest.approx(1 / 3)}
    assert results["stop_reasons"] == {"env_fault": 2, "failure": 4, "success": 2}
    assert (results["mean_turns"], results["mean_tokens"], results["mean_turn_reward_sum"]) == (2.0, 0.0, 0.75)
    assert results["invalid_action_rate"] == 0.5
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert len((tmp_path / "trajectories.jsonl").read_text().splitlines()) == 8


class Sorted(Pick):
    """Tasks 0 and 1 are small; task 3, which has no verdict, is the only huge one."""

    breakdown = ("size", "size/words", "colour")

    def __init__(self):
        sizes = ["small", "small", "big", "huge"]
        data = [{"n": n, "size": size, "words": ["a", n % 2]} for n, size in enumerate(sizes)]
        given = [Task(id=f"t{d['n']}", env_id="test/Pick-v0", split="test", data=d) for d in data]
        Env.__init__(self, ListTaskSet({"test": ("test", given)}))


def test_results_are_broken_down_by_what_the_environment_names():
    by = evaluate(Sorted, agent(1), "test", k=2)["by"]
    assert by == {
        "size": {"big": {"tasks": 1, "score": 0.0, "success": 0.0}, "small": {"tasks": 2, "score": 0.5, "success": 0.5}},
        "size/words": {
            "big / a+0": {"tasks": 1, "score": 0.0, "success": 0.0},
            "small / a+0": {"tasks": 1, "score": 1.0, "success": 1.0},
            "small / a+1": {"tasks": 1, "score": 0.0, "success": 0.0},
        },
    }


def test_a_killed_evaluation_resumes_and_plays_only_what_is_missing(tmp_path):
    whole = evaluate(Pick, agent(2), "test", k=2, out=tmp_path / "whole")
    evaluate(Pick, agent(2), "test", k=2, out=tmp_path / "cut")
    log = tmp_path / "cut" / "trajectories.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:-3]) + lines[-3][:40])
    (tmp_path / "cut" / "results.json").unlink()
    lost = [json.loads(line)["task"]["data"]["n"] for line in lines[-3:]]
    before = Player.played
    assert evaluate(Pick, agent(2), "test", k=2, out=tmp_path / "cut") == whole
    assert Player.played - before == sum(2 if n == 3 else 1 for n in lost)
    before = Player.played
    assert evaluate(Pick, agent(2), "test", k=2, out=tmp_path / "cut") == whole
    assert Player.played == before


def test_another_evaluation_in_the_same_folder_is_refused(tmp_path):
    evaluate(Pick, agent(1), "test", n_tasks=1, out=tmp_path)
    with pytest.raises(ValueError, match=r"agent: 'skill1' there, 'skill2' now"):
        evaluate(Pick, agent(2), "test", n_tasks=1, out=tmp_path)


def test_a_train_split_needs_permission():
    with pytest.raises(ValueError, match=r"train split.*--allow-train"):
        evaluate(Pick, agent(1), "train")
    assert evaluate(Pick, agent(1), "train", n_tasks=1, allow_train=True)["score"]["mean"] == 1.0
    with pytest.raises(ValueError, match=r"n_tasks is 9; .*1\.\.4 are allowed"):
        evaluate(Pick, agent(1), "test", n_tasks=9)


class Copied(Pick):
    def __init__(self):
        Env.__init__(self, ListTaskSet({"test": ("test", [*tasks("test"), tasks("test")[0]])}))


def test_a_task_that_would_count_twice_is_refused():
    with pytest.raises(ValueError, match=r"of the first 5 tasks of split 'test' only 4 are different.*take fewer tasks"):
        evaluate(Copied, agent(1), "test")
    assert evaluate(Copied, agent(1), "test", n_tasks=4)["episodes"] == 4


def test_compare_pairs_tasks(tmp_path):
    for skill in (0, 2):
        evaluate(Pick, agent(skill), "test", out=tmp_path / str(skill))
    result = compare(tmp_path / "0", tmp_path / "2" / "results.json")
    assert (result["a"], result["b"], result["tasks"], result["only_a"], result["only_b"]) == ("skill0", "skill2", 3, 0, 0)
    score = result["score"]
    assert (score["a"], score["b"], score["wins_a"], score["wins_b"], score["ties"]) == (0.0, pytest.approx(2 / 3), 0, 2, 1)
    assert score["p_value"] == 0.5  # 2 * 1/4
    assert score["difference"]["mean"] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="does not exist"):
        compare(tmp_path / "0", tmp_path / "none")
