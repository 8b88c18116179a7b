import json
import os
import pickle
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.sandbox.tree import put_tree
from turnwise.envs.swe import scripts
from turnwise.envs.swe.env import SWE
from turnwise.envs.swe.mini import SUBMIT, patch_of, predictions
from turnwise.envs.swe.sources import load
from turnwise.envs.tools.dialects import Hermes
from turnwise.records import Message, StopReason, ToolCall

from .own import CORE, FIXED, LINE, stack

WRITE = Hermes().write


@pytest.fixture
def begin():
    """Environments of the test, closed after it."""
    made = []

    def start(task=None, **options):
        env = SWE(**options)
        made.append(env)
        env.reset(seed=0, options={"task": task or stack()})
        return env

    yield start
    for env in made:
        env.close()


def do(env, name, **arguments):
    """(text, info) of one call."""
    observation, _, _, _, info = env.step(WRITE([(name, arguments)]))
    return observation[0].text.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>"), info


def fix(env):
    return do(env, "edit", path="stack/core.py", start=6, end=6, text=LINE)


def test_one_episode_in_numbers(begin):
    weights = {"tests": 1.0, "fixed": 1.0, "file": 1.0, "function": 1.0, "parses": 1.0, "tested": 1.0, "runtime": 1.0, "executed": 0.5}
    env = begin(weights=weights)
    _, info = do(env, "find", pattern="insert")
    assert info["turn"]["components"] == dict.fromkeys(weights, 0.0) | {"executed": 0.5}
    _, info = do(env, "view", path="stack/core.py", start=1, end=3)
    assert info["turn"]["components"] == dict.fromkeys(weights, 0.0) | {"executed": 0.5, "file": 1.0}
    text, info = do(env, "run_tests")
    assert text.startswith("FAILED tests/test_core.py::test_pop\n")
    assert text.endswith("\n1 failed, 1 passed")
    assert info["turn"]["measures"] == {"test:tests/test_core.py::test_pop": 0.0, "test:tests/test_core.py::test_order": 0.0}
    _, info = do(env, "edit", path="stack/core.py", start=9, end=9, text="        return self.items.pop(0)")
    assert info["turn"]["components"]["parses"] == 1.0
    assert info["turn"]["components"]["function"] == 0.0  # Stack.pop is not where the fix belongs
    _, info = do(env, "run_tests", tests="tests/test_core.py::test_pop")
    assert info["turn"]["components"] == dict.fromkeys(weights, 0.0) | {"executed": 0.5, "tests": 0.5, "fixed": 0.5}
    _, info = do(env, "edit", path="stack/core.py", start=9, end=9, text="        return self.items.pop(")
    assert info["turn"]["components"]["parses"] == 0.0
    _, info = do(env, "run_tests")
    assert info["turn"]["components"]["tests"] == -0.5
    assert info["turn"]["components"]["fixed"] == -1.0  # test_pop and test_empty, of two that have to be repaired
    do(env, "edit", path="stack/core.py", start=9, end=9, text="        return self.items.pop()")
    _, info = fix(env)
    assert info["turn"]["components"]["function"] == 1.0
    text, info = do(env, "run_tests")
    assert (text, info["turn"]["components"]["tests"], info["turn"]["components"]["fixed"]) == ("2 passed", 1.0, 1.5)
    text, info = do(env, "submit")
    assert (text, info["outcome"].score, info["stop"]) == ("Submitted.", 1.0, StopReason.SUCCESS)
    assert info["turn"]["components"]["tested"] == 1.0
    assert 0.5 <= info["turn"]["components"]["runtime"] <= 1.0
    assert dict(info["outcome"].components) == {
        "submitted": 1.0, "patch": 1.0, "resolved": 1.0, "fail_to_pass": 1.0, "pass_to_pass": 1.0, "tampering": 0.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "seen"), [("run", [False, False, True, True]), ("edit", [False, True, True, True]), ("never", [False, False, False, True])]
)
def test_when_hidden_tests_are_measured(begin, mode, seen):
    env = begin(score_tests=mode)
    infos = [do(env, "view", path="stack/core.py")[1], fix(env)[1], do(env, "run_tests")[1], do(env, "submit")[1]]
    assert ["test:tests/test_core.py::test_order" in info["turn"].get("measures", {}) for info in infos] == seen


def test_tests_that_were_run_before_the_last_edit_do_not_count_as_tested(begin):
    env = begin()
    do(env, "run_tests")
    fix(env)
    _, info = do(env, "submit")
    assert info["turn"]["components"]["tested"] == 0.0
    env = begin()
    do(env, "bash", command="sed -i '6s/.*/        self.items.append(item)/' stack/core.py && python3 -m pytest -q")
    _, info = do(env, "submit")
    assert (info["turn"]["components"]["tested"], info["outcome"].score) == (0.05, 1.0)


def test_a_shell_that_looks_at_and_changes_files_is_credited(begin):
    env = begin(weights={"file": 1.0, "function": 1.0, "parses": 1.0})
    text, info = do(env, "bash", command="cat stack/core.py")
    assert text == CORE.decode().rstrip("\n")
    assert info["turn"]["components"] == {"file": 1.0, "function": 0.0, "parses": 0.0}
    _, info = do(env, "bash", command=f"cd stack; sed -i '6s/.*/{LINE}/' core.py")
    assert info["turn"]["components"] == {"file": 0.0, "function": 1.0, "parses": 1.0}


def test_what_was_not_submitted_is_graded_as_it_is(begin):
    env = begin(max_turns=2)
    fix(env)
    _, info = do(env, "view", path=".")
    outcome = info["outcome"]
    assert (info["stop"], outcome.score, outcome.components["submitted"], outcome.components["patch"]) == (
        StopReason.MAX_TURNS,
        1.0,
        0.0,
        1.0,
    )
    env = begin(max_turns=1)
    _, info = do(env, "view", path=".")
    assert (info["outcome"].score, info["outcome"].note) == (0.0, "nothing was changed")
    assert dict(info["outcome"].components) == {
        "submitted": 0.0, "patch": 0.0, "resolved": 0.0, "fail_to_pass": 0.0, "pass_to_pass": 1.0, "tampering": 0.0
    }  # fmt: skip


def test_time_is_a_limit_of_the_whole_episode(begin):
    env = begin(time_limit_s=2.0)
    fix(env)
    started = time.monotonic()
    text, info = do(env, "bash", command="sleep 30")
    assert time.monotonic() - started < 15
    assert "It took longer than" in text
    assert (info["stop"], info["outcome"].score, info["outcome"].components["submitted"]) == (StopReason.TIMEOUT, 1.0, 0.0)
    env = begin(time_limit_s=0.05)
    time.sleep(0.1)
    text, info = do(env, "submit")
    assert (text, info["stop"], info["outcome"].components["submitted"]) == (
        "The time for this task is up; nothing more was carried out.", StopReason.TIMEOUT, 0.0
    )  # fmt: skip


def test_the_time_of_grading_is_not_the_agents(begin):
    env = begin(stack(id="stack-2"), score_tests="edit")  # of no other test, so that it is really graded
    fix(env)
    grading = env._episode.grading_s
    assert grading > 0.02
    env.time_limit_s = time.monotonic() - env._started - grading / 10  # less than has passed, more than the agent took
    assert 0 < env._left_s() < grading


def test_the_patch_is_in_the_record_of_the_episode(tmp_path):
    agent = ScriptedAgent(scripts.Gold, name="gold")
    (done,) = rollout(SWE, agent, [stack()])
    assert done.outcome.score == 1.0
    assert predictions([done])["stack-1"]["model_patch"] == patch_of(done)
    put_tree(load(stack().data).base, tmp_path)
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "-"], input=patch_of(done).encode(), cwd=tmp_path, check=True)
    assert (tmp_path / "stack/core.py").read_bytes() == FIXED


def test_the_history_holds_one_commit_and_is_no_change(begin):
    env = begin()
    text, info = do(env, "bash", command="git status --short; git log --all --oneline --format=%s,%an,%ad --date=short; git stash list")
    assert text == "base,turnwise,2000-01-01"
    assert info["turn"]["measures"]["suspicious"] == 1.0
    do(env, "bash", command="git commit -q --allow-empty -m x; git checkout -q -b other")
    _, info = do(env, "submit")
    assert info["outcome"].components["patch"] == 0.0
    assert info["outcome"].components["tampering"] == 1.0
    assert "; suspicious commands: " in info["outcome"].note


def test_structured_has_no_shell_and_nothing_of_git(begin):
    env = begin(interface="structured")
    assert [tool.name for tool in env.tools] == ["view", "find", "edit", "run_tests", "page", "submit"]
    assert "there is no tool 'bash'" in do(env, "bash", command="ls")[0]
    assert ".git" not in do(env, "view", path=".")[0]


def test_equal_states_have_equal_anchors(begin):
    one, other = begin(), begin()
    for env in (one, other):
        do(env, "view", path="stack/core.py")
    fix(one)
    assert one.anchor() != other.anchor()
    fix(other)
    assert one.anchor() == other.anchor()
    do(one, "bash", command="true")
    do(other, "bash", command="echo > new.txt")
    assert one.anchor() != other.anchor()


def test_an_episode_goes_on_from_a_snapshot(begin):
    env = begin()
    do(env, "bash", command="cd stack; seq 1 9000")
    fix(env)
    other = SWE()
    try:
        other.restore(pickle.loads(pickle.dumps(env.snapshot())))
        for each in (env, other):
            assert do(each, "bash", command="pwd; git status --short")[0] == "/testbed/stack\n M core.py"
            assert do(each, "page", number=1)[0].startswith("1\n2\n3\n")
        assert other.anchor() == env.anchor()
        ends = [do(each, "submit")[1] for each in (env, other)]
        assert ends[0] == ends[1]
        assert ends[0]["turn"]["components"]["tests"] == 0.5
    finally:
        other.close()


# ---- mini-swe-agent's interface ----------------------------------------------------------------------------------------


def say(env, command):
    observation, _, _, _, info = env.step(f"I do it.\n\n```mswea_bash_command\n{command}\n```")
    return observation[0].text, info


def test_one_command_a_message(begin):
    env = begin(interface="mini")
    assert say(env, "cd stack && ls")[0] == "<returncode>0</returncode>\n<output>\n__init__.py\ncore.py\nold.py\n</output>"
    assert say(env, "pwd; exit 3")[0] == "<returncode>3</returncode>\n<output>\n/testbed\n</output>"
    long = say(env, "head -c 12345 /dev/zero | tr '\\0' x")[0]
    assert "<elided_chars>\n2345 characters elided\n</elided_chars>" in long
    _, info = say(env, f"sed -i '6s/.*/{LINE}/' stack/core.py && python3 -m pytest -q")
    assert info["turn"]["components"]["tests"] == 0.5
    observation, _, terminated, _, info = env.step(f"```mswea_bash_command\necho {SUBMIT}\n```")
    assert (terminated, info["outcome"].score, info["stop"]) == (True, 1.0, StopReason.SUCCESS)
    assert observation[-1].text.startswith("diff --git a/stack/core.py b/stack/core.py\n")


def test_three_messages_without_a_command_end_the_episode(begin):
    env = begin(interface="mini")
    for text in ("hello", "```bash\nls\n```\n```bash\npwd\n```"):
        observation, _, terminated, _, info = env.step(text)
        assert observation[0].text.startswith("Format error: seen ")
        assert (terminated, info["turn"]["action_valid"]) == (False, False)
    say(env, "ls")
    env.step("")
    env.step("")
    _, _, terminated, _, info = env.step("")
    assert (terminated, info["stop"], info["outcome"].components["submitted"]) == (True, StopReason.INVALID_ACTION, 0.0)


def test_native_calls_are_taken_there_too(begin):
    env = begin(interface="mini")
    call = ToolCall(id="c1", name="bash", arguments=json.dumps({"command": "echo hi"}))
    observation, *_ = env.step(Message(role="assistant", tool_calls=(call,)))
    assert [(m.role, m.tool_call_id, m.text) for m in observation] == [
        ("tool", "c1", "<returncode>0</returncode>\n<output>\nhi\n</output>")
    ]


# ---- faults, limits, bad input -----------------------------------------------------------------------------------------


def family(of=None):
    """All processes below this one. One that forks sandboxes stays; it is started here."""
    if of is None:
        with make_sandbox() as box:
            box.exec(["true"])
        of = os.getpid()
    own = {int(child) for listed in Path(f"/proc/{of}").glob("task/*/children") for child in listed.read_text().split()}
    return own.union(*(family(child) for child in own))


def left(before):
    """What is left of the processes that came after ``before``; the last ones may take a moment to end."""
    until = time.monotonic() + 5
    while (more := family() - before) and time.monotonic() < until:
        time.sleep(0.05)
    return more


def test_a_sandbox_that_is_killed_voids_the_episode_and_nothing_is_left(begin):
    before = family()
    env = begin()
    fix(env)
    for process in family(os.getpid()) - before:
        os.kill(process, signal.SIGKILL)
    observation, _, terminated, truncated, info = env.step(WRITE([("bash", {"command": "ls"})]))
    assert (observation, terminated, truncated, info["stop"]) == ((), False, True, StopReason.ENV_FAULT)
    assert not info["outcome"].valid
    assert "the sandbox" in info["outcome"].note
    assert left(before) == set()


def test_too_many_files_are_the_agents_doing(begin):
    env = begin()
    fix(env)
    text, info = do(env, "bash", command="mkdir d; for n in $(seq 30000); do : > d/$n; done")
    assert "files" in text
    assert "outcome" not in info
    _, info = do(env, "submit")
    assert info["outcome"].valid


def test_nothing_is_started_before_it_is_needed_and_all_is_ended(begin):
    before = family()
    env = begin()
    assert family(os.getpid()) == before
    do(env, "view", path=".")
    assert family(os.getpid()) > before
    do(env, "submit")
    assert left(before) == set()
    env = begin()
    do(env, "bash", command="sleep 1000 & echo started")
    env.close()
    assert left(before) == set()
    busy = begin()
    fix(busy)
    with pytest.raises(TypeError, match="running sandbox cannot be pickled"):
        pickle.dumps(busy)


def test_awkward_files_come_through_an_episode(begin):
    env = begin()
    do(env, "edit", path="dos.txt", start=1, end=1, text="A")
    do(env, "edit", path="stack/old.py", start=2, end=2, text="name = 'ü'")
    do(env, "bash", command="printf 'x' > no_newline; head -c 300 logo.bin | rev > other.bin; ln -s dos.txt link; rm logo.bin")
    fix(env)
    observation, _, _, _, info = env.step(WRITE([("submit", {})]))
    assert info["outcome"].score == 1.0
    patch = observation[-1].text
    assert "-a\r\n+A\r\n b\r\n" in patch
    for part in ("GIT binary patch", "new file mode 120000", "\\ No newline at end of file", "deleted file mode 100644"):
        assert part in patch


def test_wrong_arguments_are_refused():
    for options, told in (
        ({"tasks": "huge"}, "tasks is 'huge'; allowed: 'tiny', 'shipped'"),
        ({"interface": "vim"}, "interface is 'vim'; allowed: tools, structured, mini"),
        ({"score_tests": "always"}, "score_tests is 'always'"),
        ({"weights": {"speed": 1}}, "unknown turn reward"),
        ({"time_limit_s": 0}, "time_limit_s is 0"),
        ({"max_output": 10}, "at least 200"),
        ({"sandbox": "vm"}, "unknown sandbox backend"),
        ({"dialect": "yaml"}, "unknown dialect"),
        ({"grader": {"memo": -1}}, "memo -1"),
    ):
        with pytest.raises(ValueError, match=told):
            SWE(**options)
    with pytest.raises(TypeError, match="levl"):
        SWE(options={"levl": "easy"})
    with pytest.raises(ValueError, match="kind 'other'; allowed: 'stored', 'package', 'image'"):
        load({"kind": "other"})


CALLS = st.builds(
    lambda name, arguments: WRITE([(name, arguments)]),
    st.sampled_from(["view", "find", "edit", "page", "run_tests", "open"]),
    st.dictionaries(
        st.sampled_from(["path", "start", "end", "text", "pattern", "number"]),
        st.text(max_size=8) | st.integers(-3, 9) | st.just("stack/core.py"),
    ),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=20) | CALLS, max_size=8))
def test_any_text_is_an_observation(texts):
    env = SWE()
    try:
        env.reset(seed=0, options={"task": stack()})
        for text in texts:
            observation, _, terminated, truncated, _ = env.step(text)
            assert observation
            assert not terminated
            assert not truncated
    finally:
        env.close()


# ---- other sources -----------------------------------------------------------------------------------------------------
