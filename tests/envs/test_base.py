from turnwise.envs.base import Env, EnvFault, TurnResult
from turnwise.envs.tasks import ListTaskSet
from turnwise.records import StopReason, Task


class Silent(Env):
    """Nobody answers when the verdict is asked for."""

    def __init__(self) -> None:
        super().__init__(ListTaskSet({"train": ("train", [Task(id="a", env_id="x", split="train")])}), max_turns=2)

    def act(self, action):
        return TurnResult(reward=0.5)

    def outcome(self):
        raise EnvFault("the judge is down")


def test_a_fault_while_judging_at_the_turn_limit_voids_the_episode():
    env = Silent()
    env.reset(seed=0)
    assert env.step("a")[1:4] == (0.5, False, False)
    _, reward, terminated, truncated, info = env.step("b")
    assert (reward, terminated, truncated, info["stop"]) == (0.0, False, True, StopReason.ENV_FAULT)
    assert (info["outcome"].valid, info["outcome"].note, info["turn"]["reward"]) == (False, "the judge is down", None)
    assert (env.done, env.turn_index) == (True, 2)
