import json
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
import turnwise
from turnwise.envs.sandbox.base import ExecResult
from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.swe.mini import SUBMIT, MiniEnvironment, Ran, command_of, format_error, patch_of, predictions, ran, run, to_mini
from turnwise.records import Message, Outcome, StopReason, Task, Trajectory, Turn

PEER = Path("/opt/peer/mini/bin/python")
SAME = (PEER.parent.parent / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}").exists()
NEEDS_PEER = pytest.mark.skipif(not SAME, reason="mini-swe-agent is not installed beside this package, with this version of Python")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("Look.\n\n```mswea_bash_command\nls -la\n```", "ls -la"),
        ("```mswea_bash_command\ncat <<'EOF' > a\n1\n\n2\nEOF\n```\n", "cat <<'EOF' > a\n1\n\n2\nEOF"),
        ("```bash\nls\n```", "ls"),
        ("```mswea_bash_command\nls\n```\nas in ```bash\npwd\n```", "ls"),
        ("```mswea_bash_command\nls\n```\n```mswea_bash_command\npwd\n```", None),
        ("```python\nprint()\n```", None),
        ("```bash ls```", None),
        ("", None),
    ],
)
def test_a_message_holds_one_command(text, command):
    assert command_of(text) == command


def test_long_outputs_lose_their_middle():
    text = "a" * 5000 + "b" * 2345 + "c" * 5000  # 12,345 characters
    shown = Ran(output=text, returncode=0).text()
    assert "<elided_chars>\n2345 characters elided\n</elided_chars>" in shown
    assert f"<output_head>\n{'a' * 5000}\n</output_head>" in shown
    assert f"<output_tail>\n{'c' * 5000}\n</output_tail>" in shown
    assert Ran(output="x" * 9999, returncode=1).text() == f"<returncode>1</returncode>\n<output>\n{'x' * 9999}</output>"
    assert "0 characters elided" in Ran(output="x" * 10_000, returncode=0).text()


def test_a_command_that_was_killed():
    killed = ran(ExecResult(exit_code=-9, stdout=b"so far\n", timed_out=True, problem="it took longer than 1 s and was killed"))
    assert killed.text() == (
        "<exception>The command did not come to its end: it took longer than 1 s and was killed</exception>\n"
        "<returncode>-1</returncode>\n<output>\nso far\n</output>"
    )


@pytest.mark.parametrize(
    ("output", "code", "submission"),
    [
        (f"{SUBMIT}\n", 0, ""),
        (f"\n {SUBMIT} \ndiff --git a/x b/x\n", 0, "diff --git a/x b/x\n"),
        (f"{SUBMIT}\n", 1, None),
        (f"done\n{SUBMIT}\n", 0, None),
        (f"{SUBMIT}!\n", 0, None),
        ("", 0, None),
    ],
)
def test_what_submits(output, code, submission):
    assert Ran(output=output, returncode=code).submission == submission


@pytest.fixture(scope="module")
def box():
    with make_sandbox() as made:
        yield made


def test_every_command_has_a_shell_of_its_own(box):
    assert run(box, "X=1; cd /tmp; echo $X; pwd", 10) == Ran(output="1\n/tmp\n", returncode=0)
    assert run(box, 'echo "[$X]"; echo err >&2; echo out; exit 3', 10) == Ran(output="[]\nerr\nout\n", returncode=3)
    assert run(box, "pwd", 10, cwd="/usr").output == "/usr\n"
    assert run(box, "echo $PAGER", 10).output == "cat\n"
    assert run(box, "if", 10).returncode == 2
    late = run(box, "echo begun; sleep 60", 2)
    assert (late.returncode, late.output) == (-1, "begun\n")
    assert "longer than 2 s" in late.exception_info


class Done(Exception):
    pass


def test_its_environment_on_our_sandbox(box):
    env = MiniEnvironment(box, submitted=Done, timeout=5)
    assert env.execute({"command": "echo hi"}) == {"output": "hi\n", "returncode": 0, "exception_info": ""}
    with pytest.raises(Done) as error:
        env.execute({"command": f"echo {SUBMIT}; echo patch"})
    assert error.value.args[0]["extra"] == {"exit_status": "Submitted", "submission": "patch\n"}
    assert env.get_template_vars()["timeout"] == 5
    assert env.serialize()["info"]["config"]["environment_type"] == "turnwise.envs.swe.mini.MiniEnvironment"


DRIVE = """
import json, os, sys
from minisweagent.agents.default import DefaultAgent
from minisweagent.models.test_models import DeterministicModel, make_output
sys.path += json.loads(os.environ["MORE"])  # behind its own packages
from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.swe.mini import MiniEnvironment

commands = ["echo 'x = 1' > a.py", "cat a.py; exit 4", "sleep 60", "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && cat a.py"]
model = DeterministicModel(outputs=[make_output(c, [{"command": c}], 0.0) for c in commands])
with make_sandbox() as box:
    agent = DefaultAgent(
        model, MiniEnvironment(box, timeout=3), system_template="s", instance_template="{{task}} {{system}} {{cwd}}", cost_limit=0
    )
    result = agent.run("Fix it.")
print(json.dumps([result, agent.serialize()]))
"""


@NEEDS_PEER
def test_the_real_agent_runs_on_our_sandbox(tmp_path):
    (tmp_path / "turnwise").symlink_to(Path(turnwise.__file__).parent)
    ours = [str(tmp_path), str(Path(gymnasium.__file__).parent.parent)]
    environ = {"MORE": json.dumps(ours), "MSWEA_SILENT_STARTUP": "1", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([str(PEER), "-c", DRIVE], capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    result, record = json.loads(done.stdout.splitlines()[-1])
    assert result == {"exit_status": "Submitted", "submission": "x = 1\n"}
    outputs = [m["content"] for m in record["messages"] if m["role"] == "user"][1:]
    assert outputs[1] == "<returncode>4</returncode>\n<output>\nx = 1\n</output>"
    assert outputs[2].startswith("<exception>The command did not come to its end: it took longer than 3 s")
    assert record["trajectory_format"] == "mini-swe-agent-1.1"
    ours = to_mini(episode())
    assert set(ours) - {"instance_id"} == set(record)
    assert set(ours["info"]) | {"mini_version"} == set(record["info"])
    assert set(ours["messages"][-1]) == set(record["messages"][-1])


SHOWN = """
import json, sys
import yaml
from importlib import resources
from jinja2 import StrictUndefined, Template
from minisweagent import package_dir

template = yaml.safe_load((package_dir / "config" / "mini_textbased.yaml").read_text())["model"]["observation_template"]
made = [Template(template, undefined=StrictUndefined).render(output=o) for o in json.load(sys.stdin)]
print(json.dumps(made))
"""


@NEEDS_PEER
def test_observations_are_written_as_its_own_template_writes_them():
    cases = [Ran(output="hi\n", returncode=0), Ran(output="", returncode=1), Ran(output="y" * 12_345, returncode=0)]
    given = json.dumps([{"output": c.output, "returncode": c.returncode, "exception_info": c.exception_info} for c in cases])
    environ = {"MSWEA_SILENT_STARTUP": "1", "HOME": "/tmp", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([str(PEER), "-c", SHOWN], input=given, capture_output=True, text=True, env=environ, timeout=60)
    assert done.returncode == 0, done.stderr

    def without_warning(text):
        head, mark, rest = text.partition("<warning>")
        return head + rest.partition("</warning>")[2] if mark else head

    assert [without_warning(c.text()) for c in cases] == [without_warning(t) for t in json.loads(done.stdout)]


def episode(**options):
    patch = "diff --git a/a.py b/a.py\n"
    turns = (
        Turn(index=0, observation=(Message(role="system", content="s"), Message(role="user", content="u")),
             action=Message(role="assistant", content="```bash\nls\n```")),
        Turn(index=1, observation=(Message(role="user", content="<returncode>0</returncode>"),),
             action=Message(role="assistant", content=f"```bash\necho {SUBMIT}\n```")),
    )  # fmt: skip
    given = {
        "task": Task(id="repo-1", env_id="turnwise/SWE-v0", split="test"),
        "turns": turns,
        "outcome": Outcome(score=1.0, components={"submitted": 1.0}),
        "stop": StopReason.SUCCESS,
        "agent": "gold",
        "final_observation": (Message(role="user", content="done"), Message(role="user", content=patch)),
    }
    return Trajectory(**(given | options))


def test_our_episodes_in_its_files():
    made = to_mini(episode())
    assert [m["role"] for m in made["messages"]] == ["system", "user", "assistant", "user", "assistant", "user", "exit"]
    assert made["messages"][2]["extra"] == {"actions": [{"command": "ls"}]}
    assert (made["info"]["exit_status"], made["info"]["submission"]) == ("Submitted", "diff --git a/a.py b/a.py\n")
    assert made["info"]["model_stats"] == {"instance_cost": 0.0, "api_calls": 2}
    cut = episode(outcome=Outcome(score=0.0), stop=StopReason.MAX_TURNS, final_observation=())
    assert (to_mini(cut)["info"]["exit_status"], patch_of(cut)) == ("LimitsExceeded", "")
    assert predictions([episode()]) == {
        "repo-1": {"model_name_or_path": "gold", "instance_id": "repo-1", "model_patch": "diff --git a/a.py b/a.py\n"}
    }
    with pytest.raises(ValueError, match="two episodes are of task 'repo-1'"):
        predictions([episode(), episode()])


def test_what_is_told_of_a_message_without_one_command():
    assert "seen 2 commands, allowed is exactly 1" in format_error("```bash\na\n```\n```bash\nb\n```")
    assert "seen 0 commands" in format_error("x" * 300_000)
