import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from turnwise.envs.base import EnvFault
from turnwise.envs.mcp.session import McpSession, ServerSpec

pytest.importorskip("mcp")
ODD = [sys.executable, str(Path(__file__).with_name("odd_server.py"))]


def odd(*arguments, **options):
    return McpSession(ServerSpec.of([*ODD, *arguments]), **options)


def test_tools_are_read_from_every_page_and_answers_become_text():
    with odd() as session:
        assert [spec.name for spec in session.tools][:4] == ["repeat", "refuse", "picture", "sleep"]
        assert len(session.tools) == 10
        assert session.tools[0].parameters["required"] == ["text"]
        assert session.call("repeat", {"text": "hé"}).text == "text: hé"
        for name, told in (("repeat", "Error: text: None"), ("refuse", "Error: not today")):
            result = session.call(name, {})
            assert (result.text, result.failure) == (told, "refused")
        assert (
            session.call("picture", {}).text == "look\n[image: image/png, 6 bytes, not shown]\na memo\n[resource_link: memo://2, not shown]"
        )
        assert (session.call("structured", {}).text, session.call("structured", {}).value) == ('{"n": 3}', {"n": 3})
        assert "unusable answer" in session.call("broken_promise", {}).text
        assert session.call("protocol_error", {}).failure == "refused"
        assert session.call("count", {}).value == 9
        assert not session.spent
    assert not session.alive


@pytest.mark.parametrize("name", ["sleep", "block"])
def test_what_takes_too_long_is_told_and_the_session_is_spent(name):
    with odd(call_timeout=0.3) as session:
        result = session.call(name, {})
        assert (result.text, result.failure) == (f"Error: {name} took longer than 0.3 s and was given up.", "refused")
        assert session.spent
        assert session.alive


def test_a_server_that_dies_in_mid_call_is_a_fault_with_its_last_words():
    with odd() as session:
        with pytest.raises(EnvFault, match="ended during die; it wrote: I cannot go on"):
            session.call("die", {})
        with pytest.raises(EnvFault, match="ended during repeat"):
            session.call("repeat", {"text": "x"})


def test_a_server_that_cannot_be_started_is_told_with_a_reason():
    with pytest.raises(EnvFault, match=r"did not start: .*it wrote: cannot find my configuration"):
        odd("--no-start")
    with pytest.raises(EnvFault, match="did not start: not within"):
        McpSession(ServerSpec.of(["sleep", "30"]), start_timeout=0.5)
    with pytest.raises(EnvFault, match="did not start"):
        McpSession(ServerSpec.of("http://127.0.0.1:9/mcp"), start_timeout=10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no-such-program --x", "'no-such-program --x' cannot be run"),
        ([], "cannot be run"),
        ({"command": "python", "url": "http://x"}, "give command"),
        ({"url": "http://x", "port": 3}, r"unknown: \['port'\]"),
    ],
)
def test_wrong_servers(given, message):
    with pytest.raises(ValueError, match=message):
        ServerSpec.of(given)


def test_servers_are_written_in_three_ways():
    assert ServerSpec.of("python -m 'my server'").command == ("python", "-m", "my server")
    assert ServerSpec.of({"command": "python", "args": ["-m", "x"], "env": {"A": "1"}}).env == {"A": "1"}
    assert ServerSpec.of("https://host/mcp") == ServerSpec.of({"url": "https://host/mcp"})


def children(pid):
    return [int(p) for listed in Path(f"/proc/{pid}/task").glob("*/children") for p in listed.read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="servers are tied to their client by a Linux call")
def test_a_killed_client_takes_even_a_hanging_server_with_it():
    code = (
        f"from turnwise.envs.mcp.session import *; s = McpSession(ServerSpec.of({ODD!r}), call_timeout=60)\n"
        "print('ready', flush=True); s.call('block', {})"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "ready\n"
        time.sleep(0.3)
        servers = children(client.pid)
        assert servers
        client.send_signal(signal.SIGKILL)
        client.wait()
    deadline = time.monotonic() + 5
    while any(map(alive, servers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, servers))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
