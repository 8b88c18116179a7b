"""Ground-v0 where it is used: votes over samples of an agent, and a step of training with GUI-RCPO and GUI-G1's weights."""

import json

import pytest
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.gui.ground.answers import write_answer
from turnwise.envs.gui.ground.env import Ground
from turnwise.envs.gui.ground.pages import target_box
from turnwise.envs.gui.ground.scripts import Expert
from turnwise.trainers.grounding import evaluate_votes

BOXES = {}


class Blurred(Expert):
    """Points at the target with an error of 18 pixels each way."""

    def act(self, observation):
        if self.task.hash not in BOXES:
            BOXES[self.task.hash] = target_box(self.task)
        x1, y1, x2, y2 = BOXES[self.task.hash]
        dx, dy = self.rng.normal(0, 18, 2)
        x, y = min(max((x1 + x2) / 2 + dx, 0), 1024), min(max((y1 + y2) / 2 + dy, 0), 768)
        return write_answer((x, y), self.screen)


def test_votes_beat_single_samples(tmp_path):
    env = Ground(observation="axtree", layouts="form", kinds="text", tasks=12)
    done = evaluate_votes(lambda: env, ScriptedAgent(Blurred), tmp_path / "votes", k=8, side=50.0, concurrency=1)
    env.close()
    assert (done["tasks"], done["left_out"]) == (12, 0)
    assert done["voted"] > done["single"] + 0.1
    assert json.loads((tmp_path / "votes" / "results.json").read_text())["k"] == 8


@pytest.mark.slow
def test_a_policy_trains_on_agreement_alone_with_weights_of_difficulty(tmp_path):
    from turnwise.trainers.config import TrainConfig
    from turnwise.trainers.loop import train

    config = TrainConfig(
        env="turnwise/Ground-v0",
        env_args={"observation": "axtree", "layouts": "form", "kinds": "text", "weights": {"format": 0.01}, "tasks": 8},
        tiny={"hidden": 32, "layers": 1},
        device="cpu",
        steps=1,
        groups=2,
        group_size=3,
        rubric={"gui_rcpo": 0.5},
        loss_weight="difficulty",
        max_new_tokens=12,
        eval_tasks=2,
    )
    train(config, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    step = next(row for row in rows if row.get("phase") == "rl")
    assert step["gui_rcpo_turns"] >= 6
