"""The rollout loop on a small real environment: seeds, groups, faults, limits, cancelling."""

import asyncio

import pytest
from turnwise.agents.base import Act
from turnwise.agents.rollout import RolloutInterrupted, rollout, rollout_async
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.base import Env, EnvFault, TurnResult
from turnwise.envs.tasks import ListTaskSet
from turnwise.records import Message, Outcome, StopReason, Task

TASKS = [Task(id=f"t{i}", env_id="test/Guess-v0", split="test", data={"word": f"w{i}"}) for i in range(4)]


class Guess(Env):
    """Say the word; every wrong try is worth -0.1."""

    faults: tuple[str, ...] = ()

    def __init__(self, log=None, **kwargs):
        super().__init__(ListTaskSet({"test": ("test", TASKS)}), **kwargs)
        self.log = log if log is not None else []

    def start(self, task):
        self.log.append((task.id, int(self.np_random.integers(10**9))))
        return (Message(role="user", content="guess"),)

    def act(self, action):
        if action.text == "die":
            raise EnvFault("the world ended")
        if action.text == "crash":
            raise ZeroDivisionError("oops")
        if action.text == self.task.data["word"]:
            return TurnResult(reward=0.5, outcome=Outcome(score=1.0))
        return TurnResult(observation=(Message(role="user", content="no"),), reward=-0.1)


class Knows:
    def reset(self, task, rng):
        self.words = ["wrong", task.data["word"]]
        self.draw = rng.random()

    def act(self, observation):
        return self.words.pop(0)


class Says:
    """Says the given words, then repeats the last."""

    name = "says"

    def __init__(self, *words, tokens=0, wait=0.0):
        self.words, self.tokens, self.wait, self.forgotten = words, tokens, wait, 0

    async def act(self, observation, episode):
        if self.wait:
            await asyncio.sleep(self.wait)
        said = sum(m.role == "assistant" for m in episode.messages)
        word = self.words[min(said, len(self.words) - 1)]
        return Act(message=Message(role="assistant", content=word), usage={"completion_tokens": self.tokens})

    def forget(self, episode):
        self.forgotten += 1


def test_a_group_shares_task_and_env_seed_and_differs_in_policy_seed():
    log = []
    done = rollout(lambda: Guess(log), ScriptedAgent(Knows, "knows"), TASKS, group_size=3, seed=7)
    assert len(done) == 12
    assert {(t.task.id, t.rollout) for t in done} == {(f"t{i}", r) for i in range(4) for r in range(3)}
    assert len(set(log)) == 4
    assert len({t.env_seed for t in done}) == 4
    assert len({t.policy_seed for t in done}) == 12
    for t in done:
        assert [turn.reward for turn in t.turns] == [-0.1, 0.5]
        assert [turn.observation[0].text for turn in t.turns] == ["guess", "no"]
        assert (t.outcome.score, t.stop, t.attempts, t.agent) == (1.0, StopReason.SUCCESS, 1, "knows")


def test_concurrency_changes_no_seed():
    runs = [rollout(Guess, ScriptedAgent(Knows), TASKS, group_size=2, concurrency=c) for c in (1, 5)]
    seeds = [sorted((t.task.id, t.rollout, t.env_seed, t.policy_seed) for t in run) for run in runs]
    assert seeds[0] == seeds[1]


@pytest.mark.parametrize(("word", "turns", "note"), [("die", 2, "the world ended"), ("crash", 1, "ZeroDivisionError: oops")])
def test_a_dying_environment_loses_no_episode(word, turns, note):
    agent = Says("wrong", word, tokens=3)
    done = rollout(Guess, agent, TASKS, retries=1)
    assert len(done) == 4
    assert agent.forgotten == 8
    for t in done:
        assert (t.stop, t.outcome.valid, t.attempts, len(t.turns)) == (StopReason.ENV_FAULT, False, 2, turns)
        assert t.outcome.note == note
        assert t.usage == {"completion_tokens": 2 * 2 * 3}  # two attempts of two turns: all of it was spent


def test_a_second_attempt_may_succeed():
    class Flaky(Guess):
        made = 0

        def __init__(self):
            super().__init__()
            Flaky.made += 1
            self.number = Flaky.made

        def start(self, task):
            if self.number == 1:
                raise OSError("socket closed")
            return super().start(task)

    done = rollout(Flaky, Says("w0"), TASKS[:1])
    assert [(t.stop, t.attempts) for t in done] == [(StopReason.SUCCESS, 2)]
    assert Flaky.made == 2


def test_limits():
    (t,) = rollout(lambda: Guess(max_turns=3), Says("x"), TASKS[:1])
    assert (t.stop, len(t.turns)) == (StopReason.MAX_TURNS, 3)
    (t,) = rollout(Guess, Says("x", tokens=4), TASKS[:1], max_tokens=8)
    assert (t.stop, len(t.turns), t.usage) == (StopReason.MAX_TOKENS, 2, {"completion_tokens": 8})
    (t,) = rollout(Guess, Says("x", wait=5.0), TASKS[:1], timeout=0.05)
    assert (t.stop, len(t.turns), t.outcome.valid) == (StopReason.TIMEOUT, 0, True)
    with pytest.raises(ValueError, match="group_size is 0"):
        rollout(Guess, Says("x"), TASKS, group_size=0)


def test_what_the_agent_raises_is_raised():
    class Broken(Says):
        async def act(self, observation, episode):
            raise PermissionError("401")

    with pytest.raises(PermissionError, match="401"):
        rollout(Guess, Broken("x"), TASKS)


def test_cancelling_keeps_what_had_finished():
    class Stuck(Says):
        async def act(self, observation, episode):
            if episode.task.id == "t3":
                await asyncio.sleep(60)
            return Act(message=Message(role="assistant", content=episode.task.data["word"]))

    agent, kept = Stuck("x"), []

    async def main():
        task = asyncio.create_task(rollout_async(Guess, agent, TASKS, progress=kept.append))
        while len(kept) < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert [t.task.id for t in kept] == ["t0", "t1", "t2"]
    assert agent.forgotten == 4


def test_ctrl_c_hands_over_the_finished_episodes():
    class Interrupts(Says):
        async def act(self, observation, episode):
            if episode.task.id == "t2":
                raise KeyboardInterrupt
            return Act(message=Message(role="assistant", content=episode.task.data["word"]))

    with pytest.raises(RolloutInterrupted) as caught:
        rollout(Guess, Interrupts("x"), TASKS, concurrency=1)
    assert [t.task.id for t in caught.value.finished] == ["t0", "t1"]


def test_environments_that_wait_for_a_model_run_in_threads():
    from turnwise.agents.episode import pick_workers
    from turnwise.envs.service.retail import Retail

    played = {"kind": "played", "endpoint": {"url": "http://127.0.0.1:1/v1", "model": "m"}}
    assert [pick_workers(Retail(user=user), None) for user in ("scripted", "told", played)] == ["inline", "inline", "threads"]
