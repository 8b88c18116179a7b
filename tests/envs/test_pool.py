"""The pool with every kind of worker: order of completion, faults, hangs, deaths, and what is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from functools import partial

import pytest
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.guess_number import MANIFEST, GuessNumber
from turnwise.envs.pool import EnvPool, Fault
from turnwise.envs.registry import make, register

KINDS = ["inline", "threads", "processes"]
linux = pytest.mark.skipif(not os.path.exists("/proc/self"), reason="looks processes up in /proc")


class Sleepy(GuessNumber):
    """Does as it is told: "sleep 0.2", "fail", "exit", "socket", "lambda", "die", "spawn FILE", or a guess."""

    def __init__(self, seconds=0.0):
        time.sleep(seconds)
        super().__init__()

    def act(self, action):
        word, _, rest = action.text.partition(" ")
        if word == "sleep":
            time.sleep(float(rest))
        if word == "fail":
            raise ValueError("told to")
        if word == "exit":
            sys.exit(3)
        if word == "socket":
            raise {"timeout": TimeoutError, "reset": ConnectionResetError}[rest]("the other side")
        if word == "lambda":
            return replace(super().act(action), observation=(lambda: None,))
        if word == "spawn":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            with open(rest, "w") as file:
                file.write(str(child.pid))
        if word == "die":
            os._exit(1)
        return super().act(action)


def run(pool, calls):
    """Submit the calls at once and return results in order of completion."""

    async def main():
        for slot, method, argument in calls:
            pool.submit(slot, method, argument)
        return [item async for item in pool.ready()]

    return asyncio.run(main())


def reset(pool):
    return run(pool, [(slot, "reset", {"seed": slot}) for slot in range(pool.size)])


@pytest.mark.parametrize("workers", KINDS)
def test_every_kind_of_worker_plays_the_same(workers):
    pool = EnvPool(GuessNumber, 2, workers=workers)
    try:
        assert sorted(slot for slot, _ in reset(pool)) == [0, 1]
        results = dict(run(pool, [(0, "step", "1"), (1, "step", "<guess>100</guess>")]))
        assert results[0][0][0].text == "higher"
        assert results[1][0][0].text == "lower"
        assert dict(run(pool, [(0, "anchor", ())]))[0] == "2-100"
    finally:
        pool.close()


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_nothing_waits_for_the_slowest(workers):
    pool = EnvPool(Sleepy, 3, workers=workers)
    try:
        reset(pool)
        order = [slot for slot, _ in run(pool, [(0, "step", "sleep 1.0"), (1, "step", "sleep 0.4"), (2, "step", "5")])]
        assert order == [2, 1, 0]
    finally:
        pool.close()


@pytest.mark.parametrize("workers", KINDS)
def test_a_failing_call_is_a_fault_and_the_slot_goes_on(workers):
    pool = EnvPool(Sleepy, 1, workers=workers)
    try:
        reset(pool)
        ((_, result),) = run(pool, [(0, "step", "fail")])
        assert isinstance(result, Fault)
        assert "ValueError: told to" in result.note
        assert pool.faults == 1
        reset(pool)
        assert not isinstance(run(pool, [(0, "step", "5")])[0][1], Fault)
    finally:
        pool.close()


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_what_hangs_is_given_up_and_replaced(workers):
    pool = EnvPool(Sleepy, 1, workers=workers, call_timeout=5.0)
    try:
        reset(pool)
        pool.call_timeout = 0.2
        started = time.monotonic()
        ((_, result),) = run(pool, [(0, "step", "sleep 30")])
        assert time.monotonic() - started < 5
        assert result == Fault("step did not answer within 0.2 s")
        assert (pool.timeouts, pool.faults) == (1, 1)
        pool.call_timeout = 5.0
        assert not isinstance(reset(pool)[0][1], Fault)
    finally:
        pool.close()


def test_a_session_has_a_time_limit():
    pool = EnvPool(Sleepy, 1, workers="threads", session_timeout=0.4)
    try:
        reset(pool)
        results = [run(pool, [(0, "step", "sleep 0.3")])[0][1] for _ in range(2)]
        assert [isinstance(r, Fault) for r in results] == [False, True]
    finally:
        pool.close()


def test_a_process_that_dies_is_a_fault_and_replaced():
    pool = EnvPool(Sleepy, 1, workers="processes")
    try:
        reset(pool)
        ((_, result),) = run(pool, [(0, "step", "die")])
        assert result == Fault("step: the process of the environment ended by itself (exit code 1)")
        assert pool.deaths == 1
        assert not isinstance(reset(pool)[0][1], Fault)
    finally:
        pool.close()


@pytest.mark.parametrize("workers", KINDS)
@pytest.mark.parametrize(
    ("action", "note"),
    [
        ("socket timeout", "TimeoutError: the other side"),
        ("socket reset", "ConnectionResetError: the other side"),
        ("exit", "SystemExit: 3"),
    ],
)
def test_what_an_environment_raises_is_never_taken_for_the_pools_own(workers, action, note):
    pool = EnvPool(Sleepy, 1, workers=workers)
    try:
        reset(pool)
        assert run(pool, [(0, "step", action)]) == [(0, Fault(note))]
        assert (pool.faults, pool.timeouts, pool.deaths) == (1, 0, 0)
    finally:
        pool.close()


def test_what_cannot_cross_to_a_process_is_a_fault_of_its_own_call():
    pool = EnvPool(Sleepy, 3, workers="processes", per_process=3)
    try:
        reset(pool)
        found = dict(run(pool, [(0, "step", "lambda"), (1, "step", lambda: None), (2, "step", "1")]))
        assert "Can't pickle local object" in found[0].note
        assert "it cannot be sent to or from another process" in found[1].note
        assert found[2][0][0].text == "higher"
        assert (pool.faults, pool.deaths) == (2, 0)
    finally:
        pool.close()
    with pytest.raises(ValueError, match=r"make_env cannot be sent to a process .* functools\.partial"):
        EnvPool(lambda: Sleepy(), 1, workers="processes")


def test_messages_of_any_size_cross_to_a_process():
    pool = EnvPool(Sleepy, 1, workers="processes")
    try:
        reset(pool)
        assert run(pool, [(0, "step", "x" * 3_000_000)])[0][1][4]["turn"]["action_valid"] is False
    finally:
        pool.close()


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_making_an_environment_counts_in_no_call(workers):
    pool = EnvPool(partial(Sleepy, 0.5), 1, workers=workers, call_timeout=0.3, session_timeout=0.4)
    try:
        assert not isinstance(reset(pool)[0][1], Fault)
        assert pool.timeouts == 0
    finally:
        pool.close()
    pool = EnvPool(partial(Sleepy, 30), 1, workers=workers, start_timeout=0.2)
    try:
        assert reset(pool) == [(0, Fault("make did not answer within 0.2 s"))]
    finally:
        pool.close()


def test_environments_that_share_a_process_are_lost_together_and_come_back():
    pool = EnvPool(Sleepy, 4, workers="processes", per_process=2, call_timeout=0.5)
    try:
        reset(pool)
        found = dict(run(pool, [(0, "step", "sleep 30"), (2, "step", "1")]))
        assert found[0] == Fault("step did not answer within 0.5 s")
        assert found[2][0][0].text == "higher"
        found = dict(run(pool, [(slot, "step", "1") for slot in range(1, 4)]))
        assert found[1] == Fault("its process was lost with another environment in it; reset it")
        assert not isinstance(found[3], Fault)
        assert not any(isinstance(result, Fault) for _, result in reset(pool))
        assert (pool.faults, pool.timeouts, pool.deaths) == (2, 1, 0)
        run(pool, [(0, "step", "die"), (1, "step", "1")])
        assert pool.deaths == 1
    finally:
        pool.close()


@pytest.mark.parametrize("per_process", [1, 2])
def test_a_cancelled_call_leaves_nothing_behind(per_process):
    pool = EnvPool(Sleepy, 2, workers="processes", per_process=per_process)
    errors = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
        await pool.call(0, "reset", {"seed": 0})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.call(0, "step", "sleep 0.2"), 0.1)
        begun_anew = await pool.call(0, "step", "<guess>100</guess>")
        await pool.call(0, "reset", {"seed": 0})
        return begun_anew, await pool.call(0, "step", "<guess>100</guess>")

    try:
        begun_anew, result = asyncio.run(main())
        assert "call reset() first" in begun_anew.note
        assert result[0][0].text == "lower"
        assert not errors
    finally:
        pool.close()


def test_a_slot_takes_one_call_at_a_time():
    pool = EnvPool(Sleepy, 1, workers="threads")

    async def main():
        pool.submit(0, "reset", {"seed": 0})
        with pytest.raises(RuntimeError, match="slot 0 still has a call under way"):
            pool.submit(0, "step", "5")
        return [item async for item in pool.ready()]

    assert len(asyncio.run(main())) == 1
    pool.close()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"  # a zombie only waits for init to read its exit code
    except FileNotFoundError:
        return False


def gone(pids, seconds=10.0):
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(alive, pids))


@linux
def test_children_end_when_the_caller_is_killed_even_in_the_middle_of_a_call(tmp_path):
    code = textwrap.dedent("""
        import asyncio, multiprocessing, time
        from turnwise.envs.guess_number import GuessNumber
        from turnwise.envs.pool import EnvPool

        class Stuck(GuessNumber):
            def act(self, action):
                while True:
                    pass

        if __name__ == "__main__":
            pool = EnvPool(Stuck, 2, workers="processes")
            async def main():
                for slot in range(2):
                    await pool.call(slot, "reset", {"seed": 0})
                pool.submit(0, "step", "1")
                await asyncio.sleep(0.1)
                print(*[child.pid for child in multiprocessing.active_children()], flush=True)
                time.sleep(60)
            asyncio.run(main())
    """)
    script = tmp_path / "caller.py"
    script.write_text(code)
    caller = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    children = [int(pid) for pid in caller.stdout.readline().split()]
    assert len(children) == 2
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    caller.stdout.close()
    assert gone(children)


@linux
def test_what_an_environment_started_dies_with_its_process(tmp_path):
    pool = EnvPool(Sleepy, 2, workers="processes", call_timeout=5.0)
    try:
        reset(pool)
        run(pool, [(0, "step", f"spawn {tmp_path / 'a'}"), (1, "step", f"spawn {tmp_path / 'b'}")])
        started = [int((tmp_path / name).read_text()) for name in "ab"]
        pool.call_timeout = 0.2
        run(pool, [(0, "step", "sleep 30")])
        assert gone(started[:1], 2.0)
        assert not gone(started[1:], 0.1)
    finally:
        pool.close()
    assert gone(started, 2.0)


def test_closing_waits_a_second_for_all_together():
    pool = EnvPool(Sleepy, 3, workers="processes")

    async def main():
        for slot in range(3):
            await pool.call(slot, "reset", {"seed": 0})
        for slot in range(3):
            pool.submit(slot, "step", "sleep 30")
        await asyncio.sleep(0.1)
        started = time.monotonic()
        pool.close()
        return time.monotonic() - started

    assert asyncio.run(main()) < 2.5


def test_closing_closes_what_runs_in_threads():
    closed = []

    class Closing(GuessNumber):
        def close(self):
            time.sleep(0.1)
            closed.append(threading.current_thread().name)

    pool = EnvPool(Closing, 2, workers="threads")
    reset(pool)
    pool.close()
    assert closed == ["turnwise-env"] * 2


@pytest.mark.parametrize("workers", KINDS)
def test_rollout_gives_the_same_episodes_with_every_kind_of_worker(workers):
    tasks = GuessNumber().tasks.get_task_range("train", 0, 3)
    agent = ScriptedAgent("turnwise.envs.guess_number:RandomGuess")
    played = rollout("turnwise/GuessNumber-v0", agent, tasks, group_size=2, concurrency=3, workers=workers, seed=5)
    found = {(t.task.id, t.rollout): [(turn.action.text, turn.reward) for turn in t.turns] for t in played}
    inline = rollout("turnwise/GuessNumber-v0", agent, tasks, group_size=2, concurrency=1, seed=5)
    assert found == {(t.task.id, t.rollout): [(turn.action.text, turn.reward) for turn in t.turns] for t in inline}


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        EnvPool(GuessNumber, 0)
    with pytest.raises(ValueError, match="inline, threads, processes"):
        EnvPool(GuessNumber, 1, workers="fibres")
    with pytest.raises(ValueError, match="call_timeout is -1"):
        EnvPool(GuessNumber, 1, call_timeout=-1)
    with pytest.raises(ValueError, match="inline calls cannot be interrupted"):
        EnvPool(GuessNumber, 1, session_timeout=5)
    with pytest.raises(ValueError, match="only 'processes' can be shared"):
        EnvPool(GuessNumber, 2, workers="threads", per_process=2)


@pytest.mark.parametrize(
    ("promise", "call_timeout", "expected"),
    [({}, None, False), ({"network": True}, None, True), ({"sandbox": True}, None, True), ({"tools": True}, None, False), ({}, 5.0, True)],
)
def test_rollout_gives_threads_to_what_waits_or_may_hang(promise, call_timeout, expected):
    seen = set()

    class Waiting(GuessNumber):
        def act(self, action):
            seen.add(threading.current_thread().name)
            return super().act(action)

    name = f"pool/Waiting{''.join(promise)}{int(bool(call_timeout))}-v0"
    register(name, Waiting, replace(MANIFEST, **promise))
    tasks = GuessNumber().tasks.get_task_range("train", 0, 1)
    agent = ScriptedAgent("turnwise.envs.guess_number:Bisection")
    for env in (name, partial(make, name)):
        (played,) = rollout(env, agent, tasks, call_timeout=call_timeout)
        assert played.outcome.success
    assert seen == {"turnwise-env" if expected else "MainThread"}


def test_rollout_replaces_an_environment_that_hangs():
    class Hanging(GuessNumber):
        def act(self, action):
            if self.task.data["number"] == 3 and self.turn_index == 1:
                time.sleep(1.5)
            return super().act(action)

    tasks = GuessNumber().tasks.get_task_range("train", 0, 4)
    agent = ScriptedAgent("turnwise.envs.guess_number:Bisection")
    played = rollout(Hanging, agent, tasks, concurrency=2, call_timeout=0.3)
    assert sorted((t.outcome.valid, t.attempts) for t in played) == [(False, 2), (True, 1), (True, 1), (True, 1)]
    (lost,) = [t for t in played if not t.outcome.valid]
    assert lost.outcome.note == "step did not answer within 0.3 s"
