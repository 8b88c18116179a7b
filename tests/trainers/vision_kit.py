"""Pictures, tiny vision-language checkpoints loaded as hub folders are, and a two-turn environment that shows a picture a turn."""

import asyncio
import io

import numpy as np
import torch
from PIL import Image, ImageDraw
from turnwise.agents.base import Episode
from turnwise.agents.models import load_policy
from turnwise.agents.policy import PolicyAgent
from turnwise.agents.tiny_vision import build_tiny_vlm
from turnwise.envs.base import Env, Manifest, TurnResult
from turnwise.envs.registry import register
from turnwise.envs.tasks import Split, TaskSet
from turnwise.records import ImagePart, Message, Outcome, StopReason, Task, TextPart, Trajectory, Turn

FAMILIES = ("qwen3_vl", "qwen2_5_vl")
TEXTS = ["Where is the square? Click its row and column.", "<click>1,2</click> missed, look again", "0,1 0,2 1,0 1,1 2,0 2,1 2,2"]
COLOURS = ((220, 30, 30), (30, 160, 60), (30, 60, 220), (200, 160, 0))
CELL = 16


def png(image) -> ImagePart:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return ImagePart(data=buffer.getvalue())


def picture(row=0, column=0, colour=0, *, cells=3, marked=()) -> ImagePart:
    """A white picture of ``cells`` x ``cells`` cells of 16 pixels with a coloured square in one and black crosses in others."""
    image = Image.new("RGB", (cells * CELL, cells * CELL), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((column * CELL + 2, row * CELL + 2, column * CELL + 13, row * CELL + 13), fill=COLOURS[colour])
    for r, c in marked:
        draw.line((c * CELL, r * CELL, c * CELL + 15, r * CELL + 15), fill="black", width=3)
    return png(image)


def load(folder, family, **vision):
    """(model, processor) of the tiny checkpoint of ``family``, written once under ``folder``."""
    path = folder / family
    if not path.exists():
        build_tiny_vlm(TEXTS, path, family=family, vocab_size=330, hidden=32, layers=2, heads=2, vision_hidden=16, seed=5)
    model, processor = load_policy(path, vision=vision or None)
    with torch.no_grad():  # as built, layers hardly mix positions, and a wrong picture would pass for the right one
        for module in model.model.language_model.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.mul_(10.0)
    return model, processor


def ask(*parts) -> Message:
    return Message(role="user", content=tuple(TextPart(text=p) if isinstance(p, str) else p for p in parts))


TALKS = [
    # two pictures in one message, then one a turn
    [(ask(picture(0, 1), "and", picture(2, 2, 1, cells=4), "which"),), (ask("again", picture(1, 1, 2)),), (ask(picture(0, 1), "?"),)],
    # the same beginning, another picture later: the first turns are shared
    [(ask(picture(0, 1), "and", picture(2, 2, 1, cells=4), "which"),), (ask("again", picture(1, 0, 3)),)],
    # the same ids as the first, another picture in the same place: nothing after it is shared
    [(ask(picture(1, 2), "and", picture(2, 2, 1, cells=4), "which"),)],
    # text alone, and a picture of another size after text
    [(Message(role="user", content="no picture"),), (ask("now", picture(1, 1, cells=7)),), (Message(role="user", content="and now"),)],
]


async def _talk(agent: PolicyAgent, observations, number: int, seed: int) -> Trajectory:
    task = Task(id=f"t{number}", env_id="x/X-v0", split="train", prompt=observations[0])
    episode, turns = Episode(task=task, rollout=number, policy_seed=seed), []
    for index, observation in enumerate(observations):
        episode.messages.extend(observation)
        act = await agent.act(observation, episode)
        assert act.stop is None, act.note
        episode.messages.append(act.message)
        turns.append(Turn(index=index, observation=observation, action=act.message, tokens=act.tokens))
    agent.forget(episode)
    return Trajectory(task=task, turns=tuple(turns), outcome=Outcome(score=1.0), stop=StopReason.SUCCESS, rollout=number)


def play(agent: PolicyAgent, talks=TALKS, seed=11) -> list[Trajectory]:
    """Real episodes of the policy, all at once."""

    async def main():
        return await asyncio.gather(*(_talk(agent, talk, number, seed + number) for number, talk in enumerate(talks)))

    return list(asyncio.run(main()))


def own_logits(model, processor, samples):
    """Transformers' own forward on padded samples: its positions, its placing of image features, its attention. [B, W, V]."""
    for s in samples:  # transformers takes every image token for an image; ours may be sampled, and then is only a token
        assert (s.ids == processor.image_token_id).sum() == sum(p.span.end - p.span.start for p in s.images)
    width = max(len(s.ids) for s in samples)
    ids, mask, types = (torch.zeros(len(samples), width, dtype=torch.long) for _ in range(3))
    pixels = []
    for row, s in enumerate(samples):
        ids[row, : len(s.ids)], mask[row, : len(s.ids)] = torch.from_numpy(s.ids), 1
        for p in s.images:
            types[row, p.span.start : p.span.end] = 1
            pixels.append(processor.reader.pixels(p.image))
    seen = {}
    if pixels:
        values = torch.from_numpy(np.concatenate([p.values for p in pixels]))
        seen = {"pixel_values": values, "image_grid_thw": torch.tensor([p.grid for p in pixels]), "mm_token_type_ids": types}
    return model(input_ids=ids, attention_mask=mask, **seen).logits.float()


class Squares(Env):
    """Find the square: ``<click>row,column</click>``. A miss shows the picture again with a cross where it was. Two turns."""

    def __init__(self, train: int = 10, *, max_turns: int = 2) -> None:
        super().__init__(Pictures(train), max_turns=max_turns)

    def start(self, task: Task):
        self._task, self._tried = task, []
        return task.prompt

    def act(self, action: Message) -> TurnResult:
        text = action.text
        row, column = self._task.data["row"], self._task.data["column"]
        if text == f"<click>{row},{column}</click>":
            return TurnResult(reward=1.0, outcome=Outcome(score=1.0))
        valid = len(text) == 18 and text.startswith("<click>") and text[7].isdigit() and text[9].isdigit()
        if valid:
            self._tried.append((int(text[7]), int(text[9])))
        shown = picture(row, column, self._task.data["colour"], marked=self._tried)
        return TurnResult(observation=(ask("missed, look again", shown),), reward=0.0, action_valid=valid)


class Pictures(TaskSet):
    def __init__(self, train: int) -> None:
        self.train = train

    def list_splits(self):
        return [Split(name="train", type="train", num_tasks=self.train), Split(name="test", type="test", num_tasks=4)]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        number = index if split == "train" else 20 + index
        row, column, colour = number % 3, (number // 3) % 3, (number // 9) % 4
        prompt = (ask(picture(row, column, colour), "Where is the square?"),)
        data = {"row": row, "column": column, "colour": colour}
        return Task(id=f"{split}{number}", env_id="test/Squares-v0", split=split, prompt=prompt, data=data)


class Pointer:
    """Always right."""

    def reset(self, task, rng):
        self.task = task

    def act(self, observation):
        return f"<click>{self.task.data['row']},{self.task.data['column']}</click>"


class Guess(Pointer):
    """Any cell: what a policy knows before it looks."""

    def reset(self, task, rng):
        self.rng = rng

    def act(self, observation):
        return f"<click>{int(self.rng.integers(3))},{int(self.rng.integers(3))}</click>"


register("test/Squares-v0", Squares, Manifest(max_turns=2, images=True, scripts={"expert": Pointer, "guess": Guess}))
