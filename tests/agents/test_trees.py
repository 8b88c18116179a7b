"""Episodes that branch: a fork is what it would have been if played from the start, whatever the timing."""

import asyncio
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.base import Act
from turnwise.agents.branching import Along, Entropy, Fork
from turnwise.agents.policy import PolicyAgent
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import RecordedAgent, ScriptedAgent
from turnwise.agents.tiny import build_model, build_tokenizer
from turnwise.agents.trees import Tree
from turnwise.envs.base import Env, EnvFault, TurnResult
from turnwise.envs.guess_number import GuessNumber
from turnwise.envs.registry import make, manifest
from turnwise.envs.tasks import ListTaskSet
from turnwise.records import Message, Outcome, StopReason, Task

SMALL_WORLD = {"world": {"train": 40, "validation": 12, "test": 12}, "max_turns": 5}
GAMES = {
    "turnwise/Search-v0": (SMALL_WORLD, "noisy"),
    "turnwise/KeyDoor-v0": ({"max_turns": 8}, "random"),
    "turnwise/Retail-v0": ({"tasks": {"train": 20, "validation": 5, "test": 5}}, "erring"),
    "turnwise/Twenty-v0": ({}, "random"),
    "turnwise/GuessNumber-v0": ({}, "random"),
}
FORKING = Tree(trunks=2, branches=3, rounds=2)
every_game = pytest.mark.parametrize("env", list(GAMES))


def game(env):
    """What makes the environment, three tasks of it, and a script that draws."""
    arguments, script = GAMES[env]
    factory = partial(make, env, **arguments)
    return factory, factory().tasks.get_task_range("train", 0, 3), ScriptedAgent(manifest(env).scripts[script], script)


def played(env, agent, tasks, **options):
    """By task and rollout index."""
    return sorted(rollout(env, agent, tasks, seed=5, **options), key=lambda t: (t.task.id, t.rollout))


def course(t):
    """All of an episode but the clock and who trains on it."""
    turns = [(u.observation, u.action, u.reward, u.anchor, u.potential, u.tokens) for u in t.turns]
    return (t.task.id, t.rollout, t.parent, t.fork, t.probe, t.policy_seed, turns, t.outcome, t.stop, t.final_observation)


@every_game
@pytest.mark.parametrize("restore", ["snapshot", "replay"])
def test_a_fork_replayed_from_the_start_is_the_same_episode(env, restore):
    factory, tasks, agent = game(env)
    done = played(factory, agent, tasks, tree=Tree(trunks=2, branches=2, rounds=2, restore=restore))
    assert [t.rollout for t in done] == [0, 1, 2, 3, 4, 5] * 3
    by_rollout = {(t.task.id, t.rollout): t for t in done}
    fresh = factory()
    for t in done:
        assert (t.parent is None) == (t.rollout < 2)
        observation, info = fresh.reset(seed=t.env_seed, options={"task": t.task})
        assert t.start_potential == info["potential"]
        for turn in t.turns:
            assert turn.observation == observation
            observation, _, terminated, truncated, info = fresh.step(turn.action)
            assert (turn.reward, turn.anchor, turn.potential) == tuple(info["turn"][k] for k in ("reward", "anchor", "potential"))
        assert terminated or truncated
        assert (t.final_observation, t.outcome, t.stop) == (observation, info["outcome"], info["stop"])
        if t.parent is not None:
            parent = by_rollout[t.task.id, t.parent]
            assert [u.action for u in t.turns[: t.fork]] == [u.action for u in parent.turns[: t.fork]]
            assert t.turns[t.fork].observation == parent.turns[t.fork].observation
            assert [u.trained for u in t.turns] == [n >= t.fork for n in range(len(t.turns))]
            assert t.policy_seed != parent.policy_seed
    assert any(t.fork > 1 for t in done)


@every_game
def test_neither_concurrency_nor_order_of_completion_nor_how_it_is_restored_changes_anything(env):
    factory, tasks, agent = game(env)
    runs = [
        played(factory, agent, tasks, tree=FORKING, concurrency=1),
        played(factory, agent, tasks[::-1], tree=FORKING, concurrency=7),
        played(factory, agent, tasks, tree=FORKING, concurrency=3, workers="threads"),
        played(factory, agent, tasks, tree=Tree(trunks=2, branches=3, rounds=2, restore="replay")),
    ]
    courses = [[course(t) for t in run] for run in runs]
    assert courses[0] == courses[1] == courses[2] == courses[3]
    assert courses[0] != [course(t) for t in rollout(factory, agent, tasks, tree=FORKING, seed=6)]


def test_snapshots_travel_between_processes():
    factory, tasks, agent = game("turnwise/KeyDoor-v0")
    here = played(factory, agent, tasks, tree=FORKING)
    assert [course(t) for t in played(factory, agent, tasks, tree=FORKING, workers="processes", concurrency=2)] == [course(t) for t in here]


def test_a_script_goes_on_where_it_was_forked_also_from_a_fork():
    class Counts:
        """Says how often it was asked, and draws."""

        def reset(self, task, rng):
            self.rng, self.asked = rng, 0

        def act(self, observation):
            self.asked += 1
            return f"{self.asked} {self.rng.integers(10**6)}"

    class Listens(Env):
        def __init__(self):
            super().__init__(ListTaskSet({"train": ("train", [Task(id="t", env_id="x/X-v0", split="train")])}), max_turns=4)

        def act(self, action):
            return TurnResult(observation=(Message(role="user", content="go on"),))

        def snapshot(self):
            return str(self.turn_index).encode()

        def restore(self, snapshot):
            self.turn_index = int(snapshot)

    class Chain:
        """Always forks the newest episode, first after its turn 1, then after its turn 2."""

        def __call__(self, members, count, rng):
            return [Fork(members[-1].rollout, members[-1].rollout + 1)]

    done = played(
        Listens, ScriptedAgent(Counts), Listens().tasks.list_tasks("train"), tree=Tree(trunks=1, branches=1, rounds=2, branching=Chain())
    )
    assert [(t.parent, t.fork) for t in done] == [(None, 0), (0, 1), (1, 2)]
    said = [[u.action.text for u in t.turns] for t in done]
    assert [[int(text.split()[0]) for text in row] for row in said] == [[1, 2, 3, 4]] * 3
    assert said[1][:1] == said[0][:1]
    assert said[2][:2] == said[1][:2]
    # what is drawn after the fork is the fork's own, from the start of its own stream
    for t, row in zip(done[1:], said[1:], strict=True):
        draws = np.random.default_rng(t.policy_seed)
        assert [int(text.split()[1]) for text in row[t.fork :]] == [int(draws.integers(10**6)) for _ in row[t.fork :]]


def test_a_fork_at_the_start_is_an_independent_episode():
    factory, tasks, agent = game("turnwise/KeyDoor-v0")

    class AtTheStart:
        def __call__(self, members, count, rng):
            return [Fork(0, 0)] * count

    forked = played(factory, agent, tasks, tree=Tree(trunks=2, branches=2, branching=AtTheStart()))
    free = played(factory, agent, tasks, group_size=4)
    assert [(t.parent, t.fork) for t in forked[:4]] == [(None, 0), (None, 0), (0, 0), (0, 0)]
    for a, b in zip(forked, free, strict=True):
        assert [(u.observation, u.action, u.reward, u.trained) for u in a.turns] == [
            (u.observation, u.action, u.reward, u.trained) for u in b.turns
        ]


@settings(max_examples=15)
@given(trunks=st.integers(1, 3), branches=st.integers(0, 3), rounds=st.integers(1, 3), probes=st.integers(0, 2))
def test_a_group_has_its_size_and_every_state_its_probes(trunks, branches, rounds, probes):
    tasks = GuessNumber(max_turns=4).tasks.get_task_range("train", 0, 2)
    tree = Tree(trunks=trunks, branches=branches, rounds=rounds, probes=probes)
    agent = ScriptedAgent("turnwise.envs.guess_number:RandomGuess")
    done = played(partial(GuessNumber, max_turns=4), agent, tasks, tree=tree)
    for task in tasks:
        own = [t for t in done if t.task == task]
        members, tried = [t for t in own if not t.probe], [t for t in own if t.probe]
        assert [t.rollout for t in members] == list(range(trunks + rounds * branches))
        states = 1 + sum(max(0, len(t.turns) - t.fork - 1) for t in members)  # the start, and what every turn but a last one led to
        assert len(tried) == probes * states
        assert [t.rollout for t in tried] == list(range(tree.size, tree.size + len(tried)))


# ---- what goes wrong ---------------------------------------------------------------------------------------------------


class Steps(Env):
    """Four turns; "die" is a fault. ``restores`` counts and may fail."""

    failing: tuple[int, ...] = ()

    def __init__(self, log=None):
        tasks = [Task(id=f"t{n}", env_id="x/X-v0", split="train", data={"n": n}) for n in range(2)]
        super().__init__(ListTaskSet({"train": ("train", tasks)}), max_turns=4)
        self.log = log if log is not None else []

    def act(self, action):
        if action.text == "die":
            raise EnvFault("the world ended")
        if action.text == "end":
            return TurnResult(reward=1.0, outcome=Outcome(score=1.0))
        return TurnResult(observation=(Message(role="user", content=f"after {self.turn_index}"),), reward=0.0)

    def snapshot(self):
        return str(self.turn_index).encode()

    def restore(self, snapshot):
        self.log.append(int(snapshot))
        if len(self.log) in self.failing:
            raise OSError("the disk is full")
        self.turn_index = int(snapshot)


class Says:
    """What each member says, turn by turn; counts what it still holds."""

    name = "says"

    def __init__(self, **words):
        self.words, self.held, self.most = {int(k[1:]): v for k, v in words.items()}, 0, 0

    async def act(self, observation, episode):
        await asyncio.sleep(0)
        if episode.memory is None:
            episode.memory, self.held = "something", self.held + 1
            self.most = max(self.most, self.held)
        turn = sum(m.role == "assistant" for m in episode.messages)
        return Act(
            message=Message(role="assistant", content=self.words.get(episode.rollout, ["on"] * 4)[turn]), usage={"completion_tokens": 2}
        )

    def forget(self, episode):
        self.held -= episode.memory is not None
        episode.memory = None


class At:
    """Forks at a given turn of the first member that can be forked, or at its last."""

    def __init__(self, turn):
        self.turn, self.seen = turn, []

    def __call__(self, members, count, rng):
        self.seen.append([t.rollout for t in members])
        return [Fork(members[0].rollout, min(self.turn, len(members[0].turns) - 1))] * count


TASKS = Steps().tasks.list_tasks("train")


def test_a_voided_episode_is_not_forked_and_without_others_a_fork_begins_at_the_start():
    branching = At(1)
    done = played(Steps, Says(m0=["on", "die"]), TASKS[:1], tree=Tree(trunks=2, branches=1, branching=branching))
    assert branching.seen == [[1]]
    assert [(t.rollout, t.parent, t.outcome.valid) for t in done] == [(0, None, False), (1, None, True), (2, 1, True)]
    done = played(Steps, Says(m0=["die"], m1=["die"]), TASKS[:1], tree=Tree(trunks=2, branches=2, branching=branching))
    assert [(t.rollout, t.parent, t.fork, len(t.turns), t.outcome.valid) for t in done[2:]] == [
        (2, None, 0, 4, True),
        (3, None, 0, 4, True),
    ]


def test_a_fork_that_faults_is_tried_again_from_its_snapshot_and_then_voided():
    class Once(Steps):
        failing = (1,)

    log = []
    done = played(lambda: Once(log), Says(), TASKS[:1], tree=Tree(trunks=1, branches=1, branching=At(2)))
    assert [(t.attempts, t.outcome.valid, t.fork, len(t.turns)) for t in done] == [(1, True, 0, 4), (2, True, 2, 4)]
    assert log == [2, 2]
    done = played(Steps, Says(m1=["on", "on", "on", "die"]), TASKS[:1], tree=Tree(trunks=1, branches=1, branching=At(2)))
    fork = done[1]
    assert (fork.attempts, fork.stop, fork.outcome.note, fork.parent, fork.fork) == (2, StopReason.ENV_FAULT, "the world ended", 0, 2)
    assert [u.trained for u in fork.turns] == [False, False, True, True]
    assert fork.usage == {"completion_tokens": 2 * 2 * 2}  # both attempts, without the parent's tokens


def test_a_limit_may_end_a_fork_where_it_begins_and_a_parents_tokens_count_for_it():
    done = played(Steps, Says(), TASKS[:1], tree=Tree(trunks=1, branches=2, branching=At(3)), max_tokens=8)
    assert [len(t.turns) for t in done] == [4, 4, 4]
    done = played(Steps, Says(), TASKS[:1], tree=Tree(trunks=1, branches=1, branching=At(2)), max_tokens=6)
    assert [(len(t.turns), t.stop) for t in done] == [(3, StopReason.MAX_TOKENS)] * 2

    class Late(Says):
        async def act(self, observation, episode):
            if episode.rollout:
                await asyncio.sleep(9)
            return await super().act(observation, episode)

    done = played(Steps, Late(), TASKS[:1], tree=Tree(trunks=1, branches=1, branching=At(2)), timeout=0.5)
    assert (done[1].stop, done[1].fork, len(done[1].turns), done[1].own_turns) == (StopReason.TIMEOUT, 2, 2, ())


def test_what_is_kept_for_forks_is_let_go_also_when_the_agent_fails():
    agent = Says(m1=["on", "die"])
    played(Steps, agent, TASKS, tree=Tree(trunks=2, branches=2, rounds=2, branching=At(1), probes=1))
    assert agent.held == 0
    assert agent.most > 2

    class Breaks(Says):
        async def act(self, observation, episode):
            if episode.rollout == 3:
                raise PermissionError("401")
            return await super().act(observation, episode)

    agent = Breaks()
    with pytest.raises(PermissionError):
        played(Steps, agent, TASKS, tree=Tree(trunks=2, branches=2, branching=At(1)))
    assert agent.held == 0


def test_what_cannot_be_restored_is_refused_before_anything_is_played():
    class Plain(Env):
        def __init__(self):
            super().__init__(Steps().tasks)

        def act(self, action):
            raise AssertionError("nothing may be played")

    with pytest.raises(ValueError, match=r"Plain offers no snapshots \(manifest: snapshots\).*'replay'"):
        rollout(Plain, Says(), TASKS, tree=Tree(trunks=1, branches=1))
    name = "turnwise/Code-v0"
    with pytest.raises(ValueError, match=f"{name} offers no snapshots"):
        Tree(trunks=1, branches=1).check(make(name))
    Tree(trunks=1, branches=1, restore="replay").check(make(name))
    with pytest.raises(ValueError, match="group_size is 4, but trunks"):
        rollout(Steps, Says(), TASKS, tree=Tree(trunks=2, branches=3), group_size=4)
    for wrong, message in (
        ({"trunks": 0}, "trunks is 0"),
        ({"trunks": 1, "branches": -1}, "branches is -1"),
        ({"trunks": 1, "rounds": 0}, "rounds is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Tree(**wrong)
    with pytest.raises(ValueError, match="restore is 'copy'"):
        Tree(trunks=1, restore="copy")
    with pytest.raises(ValueError, match="set trunks to 1"):
        Tree(trunks=2, expert=Says())


@pytest.mark.parametrize(("forks", "seen"), [([Fork(0, 4)], "turn 4 of rollout 0"), ([Fork(3, 0)], "turn 0 of rollout 3"), ([], "0 forks")])
def test_a_strategy_that_names_what_is_not_there_is_told(forks, seen):
    with pytest.raises(ValueError, match=f"gave .*{seen}; it must give 1, each at a turn of {{0: 4}}"):
        rollout(Steps, Says(), TASKS[:1], tree=Tree(trunks=1, branches=1, branching=lambda members, count, rng: forks))


def test_a_fork_of_a_turn_that_was_the_parents_is_the_parents():
    class Chain:
        """First after the trunk's turn 2, then two forks of that fork: of its own first turn, and of one it has from the trunk."""

        def __call__(self, members, count, rng):
            return [Fork(0, 2)] * count if len(members) == 1 else [Fork(1, 2), Fork(1, 1)]

    log = []
    done = played(lambda: Steps(log), Says(), TASKS[:1], tree=Tree(trunks=1, branches=2, rounds=2, branching=Chain()))
    assert [(t.parent, t.fork) for t in done] == [(None, 0), (0, 2), (0, 2), (1, 2), (0, 1)]
    assert sorted(log) == [1, 2, 2, 2]
    assert all(t.outcome.valid for t in done)


def test_every_task_and_round_draws_its_own_numbers():
    class Draws:
        def __init__(self):
            self.drawn = set()

        def __call__(self, members, count, rng):
            self.drawn.add((len(members), members[0].task.id, rng.random()))
            return [Fork(0, 0)] * count

    branching = Draws()
    tree = Tree(trunks=1, branches=1, rounds=2, branching=branching)
    played(Steps, Says(), TASKS, tree=tree)
    first = set(branching.drawn)
    assert len({number for *_, number in first}) == 4
    played(Steps, Says(), TASKS[::-1], tree=tree, concurrency=1)
    assert branching.drawn == first


def test_replay_of_an_environment_with_a_will_of_its_own_voids_the_fork():
    class Moody(Steps):
        count = 0

        def act(self, action):
            Moody.count += 1
            return TurnResult(observation=(Message(role="user", content=str(Moody.count)),))

    done = played(Moody, Says(), TASKS[:1], tree=Tree(trunks=1, branches=1, branching=At(2), restore="replay"))
    assert done[0].outcome.valid
    assert (done[1].outcome.valid, done[1].attempts) == (False, 2)
    assert "before turn 1 the environment showed something else" in done[1].outcome.note


# ---- experts -----------------------------------------------------------------------------------------------------------


def test_along_an_expert_the_agent_goes_on_from_every_prefix():
    factory, tasks, agent = game("turnwise/Search-v0")
    expert = ScriptedAgent(manifest("turnwise/Search-v0").scripts["expert"], "expert")
    done = played(factory, agent, tasks[:1], tree=Tree(trunks=1, branches=8, branching=Along(), expert=expert))
    shown, forks = done[0], done[1:]
    assert (shown.agent, shown.outcome.score) == ("expert", 1.0)
    assert not any(turn.trained for turn in shown.turns)
    assert [t.fork for t in forks] == [n * len(shown.turns) // 8 for n in range(8)]
    assert {t.agent for t in forks} == {"noisy"}
    recorded = played(factory, agent, tasks[:1], tree=Tree(trunks=1, branches=8, branching=Along(), expert=RecordedAgent([shown])))
    assert [course(t)[6:] for t in recorded] == [course(t)[6:] for t in done]


def test_a_record_that_does_not_fit_is_named():
    factory, tasks, agent = game("turnwise/KeyDoor-v0")
    (short, *_) = played(factory, agent, tasks[:1])
    with pytest.raises(ValueError, match=f"no episode of task '{tasks[1].id}' was recorded"):
        rollout(factory, RecordedAgent([short]), tasks[1:2])
    with pytest.raises(ValueError, match="has 8 turns and the environment has not ended it"):
        rollout(partial(make, "turnwise/KeyDoor-v0", max_turns=20), RecordedAgent([short]), tasks[:1])


# ---- a local policy ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(["north south west east take open", "<search> mayor of Bomi </search> <answer> Anna </answer>"], vocab_size=300)


def policy(tokenizer, **options):
    return PolicyAgent(
        build_model(len(tokenizer), seed=1, hidden=32, layers=2, heads=2, max_positions=4096), tokenizer, max_new_tokens=6, **options
    )


@pytest.mark.parametrize("env", ["turnwise/Search-v0", "turnwise/KeyDoor-v0", "turnwise/Twenty-v0"])
@pytest.mark.parametrize("branching", [Entropy(), At(2)])
def test_a_forked_policy_goes_on_token_by_token(tokenizer, env, branching):
    import torch

    factory = partial(make, env, **{**GAMES[env][0], "max_turns": 4})
    tasks = factory().tasks.get_task_range("train", 0, 2)
    agent = policy(tokenizer)
    done = played(factory, agent, tasks, tree=Tree(trunks=2, branches=2, rounds=2, branching=branching))
    assert len(agent.decoder._free) == len(agent.decoder._slots)  # every place was given back
    assert any(t.fork for t in done)
    by_rollout = {(t.task.id, t.rollout): t for t in done}
    for t in done:
        ids: list[int] = []
        for turn in t.turns:
            trace = turn.tokens
            assert trace.restart == (turn.index == 0)
            ids += trace.context_ids
            start = len(ids)
            ids += trace.action_ids
            if turn.index < t.fork:
                parent = by_rollout[t.task.id, t.parent].turns[turn.index]
                assert (turn.tokens, turn.action, turn.reward) == (parent.tokens, parent.action, parent.reward)
                continue
            with torch.no_grad():
                table = torch.log_softmax(agent.decoder.model(input_ids=torch.tensor([ids])).logits[0].float(), -1)
            want = [table[start + k - 1, token].item() for k, token in enumerate(trace.action_ids)]
            np.testing.assert_allclose(trace.logprobs, want, atol=3e-5)
        if t.fork:
            parent = by_rollout[t.task.id, t.parent]
            assert t.turns[t.fork].tokens.context_ids == parent.turns[t.fork].tokens.context_ids


def test_keys_and_values_of_the_prefix_are_copied_and_not_computed(tokenizer):
    factory, tasks, _ = game("turnwise/KeyDoor-v0")
    tree = Tree(trunks=1, branches=1, branching=At(3))
    agent = policy(tokenizer)
    trunk, fork = played(factory, agent, tasks[:1], tree=tree)
    prefix = sum(len(u.tokens.context_ids) + len(u.tokens.action_ids) for u in trunk.turns[:3])
    assert agent.decoder.shared_tokens == prefix
    contexts = sum(len(u.tokens.context_ids) for t in (trunk, fork) for u in t.own_turns)
    tails = len(trunk.own_turns) - 1 + len(fork.own_turns) - 1  # the last token of an action is fed with the next context
    assert agent.decoder.prefilled_tokens == contexts + tails


def test_where_images_of_a_prefix_or_its_tokens_differ_nothing_is_shared(tokenizer):
    decoder = policy(tokenizer).decoder

    async def main():
        first = decoder.open()
        rng = np.random.default_rng(0)
        await decoder.extend(first, [5, 6, 7, 8], max_new_tokens=1, eos_id=2, rng=rng)
        forks = [decoder.fork(history, (), first) for history in ([5, 6, 7], [5, 9, 7], [9], [5, 6, 7, 8, 9, 9])]
        return [decoder._slots[slot].fed for slot in forks]

    assert asyncio.run(main()) == [3, 1, 0, 4]


@pytest.mark.parametrize("env", ["turnwise/KeyDoor-v0", "turnwise/Retail-v0"])
def test_after_an_expert_without_tokens_the_policy_reads_everything_anew(tokenizer, env):
    short = {"instructions": "Help."} if env == "turnwise/Retail-v0" else {}
    factory = partial(make, env, **GAMES[env][0], **short)
    tasks = factory().tasks.get_task_range("train", 0, 1)
    expert = ScriptedAgent(manifest(env).scripts["expert"], "expert")
    agent = policy(tokenizer)
    shown, *forks = played(factory, agent, tasks, tree=Tree(trunks=1, branches=3, branching=Along(), expert=expert))
    for t in forks:
        messages = [m for turn in t.turns[: t.fork] for m in (*turn.observation, turn.action)] + list(t.turns[t.fork].observation)
        first, *later = t.own_turns
        assert first.tokens.restart
        assert first.tokens.context_ids == agent.renderer.context(messages).ids
        assert not any(turn.tokens.restart for turn in later)
        assert [u.action for u in t.turns[: t.fork]] == [u.action for u in shown.turns[: t.fork]]
