"""The run folder survives a full disk and refuses what it should not touch; the configuration names what is wrong."""

import errno
from pathlib import Path

import pytest
from turnwise.trainers.config import TrainConfig, load_config
from turnwise.trainers.runs import RunFolder


def test_config_comes_back_as_it_took_effect(tmp_path):
    config = load_config(None, {"steps": 3, "estimator_args": {"gamma": 0.9}})
    RunFolder.create(tmp_path / "run", config)
    assert RunFolder.open(tmp_path / "run").config == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grop_size: 4", "unknown key 'grop_size'. Did you mean 'group_size'"),
        ("steps: many", "steps: .*seen: 'many'"),
        ("group_size: 0", "group_size: .*greater than or equal to 1"),
        ("- 1", "a recipe is a mapping"),
    ],
)
def test_bad_recipes_name_key_and_file(tmp_path, text, message):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_config(recipe)
    assert "r.yaml" in str(caught.value)


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path):
    run = RunFolder.create(tmp_path / "run", TrainConfig())
    run.save_checkpoint("step", 1, lambda folder: (folder / "w").write_text("one") and None)

    def full(folder: Path) -> None:
        (folder / "w").write_text("tw")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"step-00002 could not be written.*step-00001.*resume"):
        run.save_checkpoint("step", 2, full)
    assert run.latest_checkpoint().name == "step-00001"
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == ["step-00001"]


def test_only_the_two_newest_checkpoints_are_kept(tmp_path):
    run = RunFolder.create(tmp_path / "run", TrainConfig())
    for step in range(1, 5):
        run.save_checkpoint("step", step, lambda folder: (folder / "w").write_text("x") and None)
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == ["step-00003", "step-00004"]


def test_metrics_after_the_checkpoint_are_done_again(tmp_path):
    run = RunFolder.create(tmp_path / "run", TrainConfig())
    for step in range(3):
        run.log({"phase": "rl", "step": step, "loss": 0.5})
    run.rewind_metrics(rl=1, warm=0)
    assert [row["step"] for row in run.metrics()] == [0, 1]


def test_a_row_that_a_kill_cut_off_is_passed_over(tmp_path):
    run = RunFolder.create(tmp_path / "run", TrainConfig())
    run.log({"phase": "rl", "step": 1, "loss": 0.5})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"phase": "rl", "ste')
    assert [row["step"] for row in run.metrics()] == [1]
    run.rewind_metrics(rl=1, warm=0)
    run.log({"phase": "rl", "step": 2})
    assert [row["step"] for row in run.metrics()] == [1, 2]


def test_folders_are_not_confused(tmp_path):
    RunFolder.create(tmp_path / "run", TrainConfig())
    with pytest.raises(ValueError, match="already holds a run; continue it with --resume"):
        RunFolder.create(tmp_path / "run", TrainConfig())
    with pytest.raises(ValueError, match="holds no run"):
        RunFolder.open(tmp_path)
