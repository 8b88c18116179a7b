"""An environment of three states whose values are known, and who walks through it."""

from turnwise.envs.base import Env, TurnResult
from turnwise.envs.tasks import Split, TaskSet
from turnwise.records import Message, Outcome, Task

ASK = "left or right"
ROOMS = {"left": ("gold", 1.0), "right": ("dust", 0.25)}


def say(text):
    return (Message(role="user", content=text),)


class Doors(Env):
    """Two doors, 0.2 for taking one; behind them a room that pays 1 or 0.25 when it is left. Half of the tasks have the left one taken."""

    def __init__(self):
        super().__init__(Rooms(), max_turns=2)
        self._room = None

    def start(self, task):
        self._room = None
        return task.prompt

    def act(self, action):
        if self._room is None:
            self._room, _ = ROOMS[action.text]
            return TurnResult(reward=0.2, observation=say(self._room))
        return TurnResult(outcome=Outcome(score=dict(ROOMS.values())[self._room]))


class Rooms(TaskSet):
    def list_splits(self):
        return [Split(name="train", type="train", num_tasks=4)]

    def get_task(self, split, index):
        return Task(id=f"{index}", env_id="test/Doors-v0", split=split, prompt=say(ASK), data={"door": ["left", "right"][index % 2]})


class Walker:
    def reset(self, task, rng):
        self.moves = iter([task.data["door"], "leave"])

    def act(self, observation):
        return next(self.moves)
