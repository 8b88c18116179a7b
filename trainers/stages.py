"""A recipe of several stages, each a run of its own that starts from the policy of the one before.

    env: ...                    what all stages share
    stages:
      - {name: imitate, warm_episodes: 800, steps: 0}
      - {name: steps, env: turnwise/ExpertStep-v0, steps: 20}
      - {name: episodes, steps: 40}

    OUT/stages.yaml  OUT/1-imitate/{config.yaml, ..., policy/}  OUT/2-steps/...

A stage is over once its ``policy/`` is there; a stopped run goes on in the stage it was in.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from .config import TrainConfig, load_config
from .loop import Training
from .progress import Display
from .runs import RunFolder

FILE = "stages.yaml"


def read_stages(path: str | Path, overrides: Mapping[str, Any] | None = None) -> list[tuple[str, TrainConfig]] | None:
    """(name, configuration) of every stage of a recipe, with ``overrides`` laid over each; None for a recipe without stages.

    ``policy`` may be given for the first stage only. Raises ``ValueError`` that names the stage.
    """
    values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    if not isinstance(values, dict) or "stages" not in values:
        return None
    shared = dict(cast("dict[str, Any]", values))
    stages = shared.pop("stages")
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        raise ValueError(f"{path}: stages is {stages!r}; give a list of mappings, one for each stage")
    found = list[tuple[str, TrainConfig]]()
    for number, stage in enumerate(cast("list[dict[str, Any]]", stages), start=1):
        given = dict(stage)
        name = str(given.pop("name", f"stage{number}"))
        if not name.replace("-", "").replace("_", "").isalnum() or name in dict(found):
            raise ValueError(f"{path}: stage {number} is called {name!r}; use letters, digits, - and _, and every name once")
        if number > 1 and "policy" in given:
            raise ValueError(f"{path}: stage {name!r} has a policy; every stage after the first goes on with the one before")
        try:
            found.append((name, load_config(None, {**shared, **given, **(overrides or {})})))
        except ValueError as error:
            raise ValueError(f"{path}: stage {name!r}: {error}") from None
    return found


def create_stages(folder: Path, stages: Sequence[tuple[str, TrainConfig]]) -> None:
    """Write down what is to be done. Raises ``ValueError`` where a run is already."""
    if (folder / FILE).exists() or (folder / "config.yaml").exists():
        raise ValueError(f"{folder} already holds a run; continue it with --resume {folder}, or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"name": name, **config.model_dump(exclude={"policy"} if number else None)} for number, (name, config) in enumerate(stages)]
    (folder / FILE).write_text(yaml.safe_dump({"stages": rows}, sort_keys=False))


def run_stages(folder: Path, display: Display) -> list[dict[str, Any]]:
    """Play what is left of the stages in ``folder``; the summaries of those played now."""
    stages = read_stages(folder / FILE)
    assert stages is not None
    summaries = list[dict[str, Any]]()
    before: Path | None = None
    for number, (name, config) in enumerate(stages, start=1):
        place = folder / f"{number}-{name}"
        policy = place / "policy"
        if not policy.exists():
            display.say(f"stage {number} of {len(stages)}: {name}")
            summaries.append({"stage": name, **_run_stage(place, config, before, display)})
        before = policy
    return summaries


def _run_stage(place: Path, config: TrainConfig, before: Path | None, display: Display) -> dict[str, Any]:
    if before is not None:
        config = config.model_copy(update={"policy": str(before)})
    new = not (place / "config.yaml").exists()
    run = RunFolder.create(place, config) if new else RunFolder.open(place)
    try:
        training = Training(run)
    except (ValueError, TypeError):
        if new:
            shutil.rmtree(place)
        raise
    summary = training.run(display)
    training.save_policy(place / "policy")
    return summary
