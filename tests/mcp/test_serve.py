"""``turnwise serve mcp`` as a user runs it, played by the official client."""

import signal
import socket
import subprocess
import sys
import time

import anyio
import pytest

pytest.importorskip("mcp")
from mcp import Client, StdioServerParameters
from turnwise.agents.mcp_server import ServedEpisode
from turnwise.envs.mcp.session import python_path
from turnwise.envs.tools.dialects import Hermes
from turnwise.envs.users.twenty import ATTRIBUTES, Twenty
from turnwise.records import StopReason
from turnwise.trajectory_io import read_trajectories


def command(*arguments):
    return ["-m", "turnwise", "serve", "mcp", *map(str, arguments)]


def over_stdio(*arguments):
    return StdioServerParameters(command=sys.executable, args=command(*arguments), env={"PYTHONPATH": python_path()})


async def find_creature(client, facts):
    """Ask until one creature is left, then guess it; every text that came back."""
    possible, heard = list(facts), []
    for attribute, values in ATTRIBUTES.items():
        for value in values:
            if len(possible) > 1 and 0 < sum(facts[name][attribute] == value for name in possible) < len(possible):
                answer = await client.call_tool("ask", {"attribute": attribute, "value": value})
                heard.append(answer.content[0].text)
                possible = [name for name in possible if (facts[name][attribute] == value) == (heard[-1] == "yes")]
    last = await client.call_tool("guess", {"name": possible[0]})
    return [*heard, *(block.text for block in last.content)]


def test_a_whole_episode_over_stdio_is_recorded_turn_by_turn(tmp_path):
    out = tmp_path / "runs" / "episodes.jsonl"
    task = Twenty(size=8).tasks.get_task("test", 3)

    async def play():
        arguments = ("turnwise/Twenty-v0", "--split", "test", "--index", 3, "--env-args", "{size: 8}", "--out", out)
        async with Client(over_stdio(*arguments)) as client:
            tools = (await client.list_tools()).tools
            prompt = (await client.get_prompt("task")).messages[0].content.text
            refused = await client.call_tool("ask", {"attribute": "price", "value": "low"})
            heard = await find_creature(client, task.data["facts"])
            after = await client.call_tool("guess", {"name": "x"})
            return tools, client.instructions, prompt, refused, heard, after

    tools, instructions, prompt, refused, heard, after = anyio.run(play)
    assert [t.name for t in tools] == ["ask", "look_up", "guess"]
    assert tools[0].input_schema["required"] == ["attribute", "value"]
    assert instructions == prompt
    assert "I think of one of these creatures" in prompt
    assert "<tool_call>" not in prompt
    assert (refused.is_error, "there is no attribute 'price'" in refused.content[0].text) == (True, True)
    assert heard[-2:] == ["right", "The episode is over."]
    assert (after.is_error, after.content[0].text) == (True, "Error: the episode is over.")
    (trajectory,) = read_trajectories(out)
    assert (trajectory.task, trajectory.outcome.score, trajectory.stop) == (task, 1.0, StopReason.SUCCESS)
    assert len(trajectory.turns) == len(heard)
    assert not trajectory.turns[0].action_valid
    assert sum(turn.components["information"] for turn in trajectory.turns) == pytest.approx(1.0)
    assert trajectory.turns[1].action.tool_calls[0].name == "ask"


def test_the_record_is_what_playing_directly_gives():
    """The same calls, made through the server's side and by ``step``, give the same rewards."""
    env, task = Twenty(size=8), Twenty(size=8).tasks.get_task("test", 0)
    episode = ServedEpisode(env, task)
    direct = Twenty(size=8)
    direct.reset(seed=0, options={"task": task})
    wanted = []
    for name, arguments in (("ask", {"attribute": "size", "value": "small"}), ("guess", {"name": task.data["secret"]})):
        episode.call(name, arguments)
        wanted.append(direct.step(Hermes().write([(name, arguments)]))[4]["turn"])
    done = episode.trajectory(StopReason.GAVE_UP)
    assert [(t.reward, t.components, t.anchor, t.potential) for t in done.turns] == [
        (w["reward"], w["components"], w["anchor"], w["potential"]) for w in wanted
    ]
    assert (done.outcome.score, done.stop) == (1.0, StopReason.SUCCESS)


def test_a_client_that_goes_gave_up_and_what_it_did_is_kept(tmp_path):
    async def play():
        async with Client(over_stdio("turnwise/Twenty-v0", "--out", tmp_path / "e.jsonl")) as client:
            await client.call_tool("ask", {"attribute": "size", "value": "small"})

    anyio.run(play)
    (trajectory,) = read_trajectories(tmp_path / "e.jsonl")
    assert (trajectory.stop, trajectory.outcome.score, trajectory.outcome.valid) == (StopReason.GAVE_UP, 0.0, True)
    assert len(trajectory.turns) == 1


def test_over_http_and_interrupted(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    arguments = command("turnwise/Twenty-v0", "--http", port, "--out", tmp_path / "e.jsonl")

    async def play():
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            return (await client.call_tool("ask", {"attribute": "size", "value": "small"})).content[0].text

    with subprocess.Popen([sys.executable, *arguments], stderr=subprocess.PIPE, text=True) as server:
        try:
            for _ in range(300):
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            assert anyio.run(play) in ("yes", "no")
        finally:
            server.send_signal(signal.SIGINT)
            said = server.stderr.read()
    assert "(cancelled) after 1 turns" in said
    (trajectory,) = read_trajectories(tmp_path / "e.jsonl")
    assert (trajectory.stop, trajectory.outcome.valid) == (StopReason.CANCELLED, False)


def test_what_cannot_be_served_is_one_line(tmp_path):
    for arguments, said in (
        (["turnwise/KeyDoor-v0"], "has no tools to serve"),
        (["turnwise/Twenty-v0", "--index", "99999"], "has 1000 tasks"),
    ):
        done = subprocess.run(
            [sys.executable, *command(*arguments, "--out", tmp_path / "x")], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_tool_called_like_the_environments_own_is_not_served():
    class Odd(Twenty):
        @property
        def tools(self):
            spec = super().tools[0]
            return (*super().tools, type(spec)(name="reset", description="", parameters={"type": "object"}))

    env = Odd(size=8)
    with pytest.raises(ValueError, match="tools called reset cannot be served"):
        ServedEpisode(env, env.tasks.get_task("test", 0))


def test_a_user_can_be_talked_to():
    class Talking(Twenty):
        def hear(self, text):
            return f"You said: {text}"

    env = Talking(size=8)
    episode = ServedEpisode(env, env.tasks.get_task("test", 0))
    assert [spec.name for spec in episode.tools][-1] == "send_message"
    assert episode.call("send_message", {"text": "hello"})[0][0].text == "You said: hello"
