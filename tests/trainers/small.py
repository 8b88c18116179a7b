"""A run that is over in seconds, and what tests look at of it."""

from pathlib import Path

from safetensors.torch import load_file
from turnwise.trainers.config import TrainConfig
from turnwise.trainers.loop import Training
from turnwise.trainers.progress import Display
from turnwise.trainers.runs import RunFolder

SMALL = {
    "env": "turnwise/GuessNumber-v0",
    "env_args": {"high": 30, "max_turns": 5},
    "tiny": {"hidden": 32, "layers": 1, "heads": 2, "vocab_size": 320},
    "warm_episodes": 24,
    "teacher": "random",
    "warm_epochs": 40,
    "warm_batch": 8,
    "steps": 3,
    "groups": 3,
    "group_size": 4,
    "lr": 1e-3,
    "max_new_tokens": 12,
    "eval_tasks": 3,
    "eval_split": "validation",
    "save_every": 2,
}


def started(folder, **changes):
    return Training(RunFolder.create(folder, TrainConfig(**{**SMALL, **changes})))


def run(folder, **changes):
    training = started(folder, **changes)
    with Display() as display:
        return training, training.run(display)


def rows(folder):
    return [row for row in RunFolder.open(folder).metrics() if row["phase"] == "rl"]


def weights(folder):
    return load_file(sorted(Path(folder).glob("checkpoints/step-*"))[-1] / "model.safetensors")
