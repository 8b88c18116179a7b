"""The command line, run as a user runs it."""

import json
import subprocess
import sys

from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.base import Env, TurnResult
from turnwise.envs.tasks import ListTaskSet
from turnwise.records import Outcome, Task
from turnwise.trainers.evaluate import evaluate


def turnwise(*arguments):
    command = [sys.executable, "-W", "error", "-m", "turnwise", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class Echo(Env):
    def __init__(self):
        tasks = [Task(id=f"t{i}", env_id="test/Echo-v0", split="test", seed=i) for i in range(4)]
        super().__init__(ListTaskSet({"test": ("test", tasks)}))

    def act(self, action):
        return TurnResult(outcome=Outcome(score=float(action.text)))


class Says:
    def __init__(self, word):
        self.word = word

    def reset(self, task, rng):
        pass

    def act(self, observation):
        return self.word


def test_compare_prints_the_difference_and_the_exact_p_value(tmp_path):
    for word in ("0", "1"):
        evaluate(Echo, ScriptedAgent(lambda w=word: Says(w), f"says{word}"), "test", out=tmp_path / word)
    done = turnwise("compare", tmp_path / "0", tmp_path / "1")
    assert done.returncode == 0, done.stderr
    assert "1.000 [1.000, 1.000]" in done.stdout
    assert "0.1250" in done.stdout  # 2 / 2**4
    assert "4 shared tasks; only in A: 0, only in B: 0" in done.stdout


def test_an_error_is_one_line_and_no_traceback(tmp_path):
    done = turnwise("compare", tmp_path, tmp_path)
    assert done.returncode == 1
    assert "does not exist; give the folder of a finished" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_the_command_loads_no_torch():
    code = "import sys, json, turnwise.trainers.cli; print(json.dumps([m for m in ('torch', 'transformers') if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []


def test_environments_are_listed_checked_played_and_evaluated(tmp_path):
    assert "turnwise/GuessNumber-v0" in turnwise("envs").stdout
    described = turnwise("envs", "turnwise/Twenty-v0").stdout
    assert all(part in described for part in ("Find out which of", "at most 25 turns", "hack_spam", "snapshots"))
    checked = turnwise("check", "turnwise/GuessNumber-v0")
    assert checked.returncode == 0
    assert checked.stdout.count("ok  ") == 17
    played = turnwise("play", "turnwise/KeyDoor-v0", "--script", "expert")
    assert "[user] You take the key." in played.stdout
    short = turnwise("play", "turnwise/KeyDoor-v0", "--script", "expert", "--env-args", "{max_turns: 1}")
    assert "(max_turns)" in short.stdout
    assert "reward 0.24 (turn -0.01, key 0.25, door 0)" in played.stdout
    assert "outcome 1.0 (success)" in played.stdout
    done = turnwise("eval", "turnwise/GuessNumber-v0", "--agent", "expert", "--split", "validation", "--out", tmp_path / "e")
    assert "1.000 [1.000, 1.000]" in done.stdout
    assert json.loads((tmp_path / "e" / "results.json").read_text())["success"]["mean"] == 1.0


def test_wrong_things_typed_are_explained(tmp_path):
    for arguments, message in (
        (("check", "turnwise/Serch-v0"), "Did you mean 'turnwise/Search-v0'"),
        (("eval", "turnwise/KeyDoor-v0", "--split", "tset", "--out", tmp_path / "a"), "Did you mean 'test'"),
        (("eval", "turnwise/KeyDoor-v0", "--split", "train", "--out", tmp_path / "b"), "evaluate a held-out split"),
        (("eval", "turnwise/KeyDoor-v0", "--agent", "exprt", "--out", tmp_path / "c"), "has no script 'exprt'"),
        (("train", "search-tny"), "Did you mean 'search-tiny'"),
        (("train", "search-tiny", "--set", "lrr=1", "--out", tmp_path / "d"), "Did you mean 'lr'"),
        (("train", "search-tiny", "--set", "estimator=girpo", "--out", tmp_path / "e"), "no estimator 'girpo'"),
        (("train",), "give a recipe to start a run, or --resume RUN"),
        (("report", tmp_path), "holds no run"),
        (("play", "turnwise/KeyDoor-v0", "--env-args", "[1]"), "--env-args is '[1]'; give a YAML mapping"),
        (("train", "search-tiny", "--set", "env_args={nonsense: 1}", "--out", tmp_path / "e"), "takes no argument nonsense"),
    ):
        done = turnwise(*arguments)
        assert done.returncode == 1, arguments
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_an_evaluation_prints_its_breakdown(tmp_path):
    done = turnwise("eval", "turnwise/SelfCorrect-v0", "--agent", "expert", "--n-tasks", "4", "--out", tmp_path)
    assert done.stdout.split("kind")[1].split()[:2] == ["┃", "tasks"]
    assert "│ arithmetic │" in done.stdout
