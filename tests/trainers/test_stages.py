"""Recipes of several stages: each goes on with the policy of the one before, also after a stop."""

import pytest
import yaml
from turnwise.trainers.config import TrainConfig, quickened
from turnwise.trainers.loop import Training
from turnwise.trainers.progress import Display
from turnwise.trainers.runs import RunFolder
from turnwise.trainers.stages import create_stages, read_stages, run_stages

SHARED = {
    "env": "turnwise/GuessNumber-v0",
    "tiny": {"hidden": 32, "layers": 1, "heads": 2, "vocab_size": 300},
    "warm_batch": 8,
    "groups": 2,
    "group_size": 2,
    "eval_split": "validation",
    "eval_tasks": 4,
    "max_new_tokens": 8,
}
STAGES = [
    {"name": "imitate", "warm_episodes": 16, "steps": 0},
    {"name": "easy", "steps": 1, "env_args": {"high": 8}},
    {"name": "hard", "steps": 2, "lr": 0.001},
]


def recipe(tmp_path, stages=None, **shared):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**SHARED, **shared, "stages": STAGES if stages is None else stages}))
    return path


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_every_stage_has_the_shared_settings_and_its_own(tmp_path):
    stages = read_stages(recipe(tmp_path), {"seed": 7})
    assert [(name, c.steps, c.warm_episodes, c.lr, c.seed) for name, c in stages] == [
        ("imitate", 0, 16, 0.0003, 7),
        ("easy", 1, 0, 0.0003, 7),
        ("hard", 2, 0, 0.001, 7),
    ]
    assert read_stages("recipes/search-tiny.yaml") is None


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([], "give a list of mappings"),
        (["a"], "give a list of mappings"),
        ([{"name": "a b"}], "use letters, digits"),
        ([{"name": "a"}, {"name": "a"}], "every name once"),
        ([{}, {"policy": "x"}], "stage 'stage2' has a policy"),
        ([{"stepps": 1}], "stage 'stage1': options: unknown key 'stepps'. Did you mean 'steps'"),
    ],
)
def test_wrong_stages_are_told(tmp_path, stages, said):
    with pytest.raises(ValueError, match=said):
        read_stages(recipe(tmp_path, stages))


def test_each_stage_goes_on_with_the_one_before(tmp_path):
    out = tmp_path / "out"
    create_stages(out, read_stages(recipe(tmp_path)))
    with Display() as display:
        summaries = run_stages(out, display)
    assert [s["stage"] for s in summaries] == ["imitate", "easy", "hard"]
    assert RunFolder.open(out / "3-hard").config.policy == str(out / "2-easy" / "policy")
    assert RunFolder.open(out / "2-easy").config.env_args == {"high": 8}
    # The first stage trains by imitation, so that what the second starts from is not the untrained policy.
    first, untrained = weights(out / "1-imitate" / "policy"), weights(out / "1-imitate" / "tiny")
    assert any((first[name] != value).any() for name, value in untrained.items())
    with Display() as display:
        assert run_stages(out, display) == []
    with pytest.raises(ValueError, match="already holds a run"):
        create_stages(out, read_stages(recipe(tmp_path)))


def test_a_stopped_stage_goes_on_where_it_was(tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        create_stages(folder, read_stages(recipe(tmp_path, checkpoint_every=1)))
    with Display() as display:
        run_stages(whole, display)
    step = Training._step

    def stopping(self, learner, stream, display):
        if self.config.lr == 0.001 and self.cursor.step == 1:
            raise KeyboardInterrupt
        step(self, learner, stream, display)

    monkeypatch.setattr(Training, "_step", stopping)
    with Display() as display, pytest.raises(KeyboardInterrupt):
        run_stages(cut, display)
    monkeypatch.undo()
    with Display() as display:
        assert [s["stage"] for s in run_stages(cut, display)] == ["hard"]
    expected = weights(whole / "3-hard" / "policy")
    assert all((expected[name] == value).all() for name, value in weights(cut / "3-hard" / "policy").items())


def test_quick_takes_the_smaller_number_and_leaves_what_was_given():
    config = quickened(TrainConfig(warm_episodes=0, steps=2, groups=64, eval_tasks=500), {"eval_tasks"})
    assert (config.warm_episodes, config.steps, config.groups, config.eval_tasks) == (0, 2, 8, 500)
