"""The run folder: what was asked, on what it ran, what was measured, and checkpoints that survive a kill or a full disk.

config.yaml  environment.json  metrics.jsonl  trajectories/  checkpoints/{warm-00100,step-00010}/  report.html
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from .config import TrainConfig, load_config

KEEP_CHECKPOINTS = 2


def _git_revision() -> str | None:
    here = Path(__file__).parent
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def derived_seed(seed: int, *words: int) -> int:
    """A seed for one purpose of a run, independent of those for other ``words``."""
    sequence = np.random.SeedSequence([seed, *words])
    return int(sequence.generate_state(1)[0])


def environment_facts() -> dict[str, Any]:
    """Versions and machine facts that a result depends on."""
    names = ["turnwise", "torch", "transformers", "peft", "numpy", "pillow", "gymnasium", "bm25s"]
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "versions": versions,
        "git": _git_revision(),
    }


def new_run_folder(name: str) -> Path:
    """``runs/NAME-DATE-TIME``, with a number when two runs start in one second."""
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    tries = (Path("runs") / (stem + (f"-{n}" if n else "")) for n in itertools.count())
    return next(p for p in tries if not p.exists())


class RunFolder:
    """A run on disk. ``create`` refuses a folder that already holds a run; ``open`` refuses one that does not."""

    def __init__(self, path: Path, config: TrainConfig) -> None:
        self.path = path
        self.config = config

    @classmethod
    def create(cls, path: str | Path, config: TrainConfig) -> RunFolder:
        folder = Path(path)
        if (folder / "config.yaml").exists():
            raise ValueError(f"{folder} already holds a run; continue it with --resume {folder}, or choose another folder")
        (folder / "trajectories").mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints").mkdir(exist_ok=True)
        (folder / "environment.json").write_text(json.dumps({**environment_facts(), "seed": config.seed}, indent=1) + "\n")
        (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump(), sort_keys=False))
        return cls(folder, config)

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        folder = Path(path)
        if not (folder / "config.yaml").exists():
            raise ValueError(f"{folder} holds no run (no config.yaml); give the folder that training printed as its run")
        return cls(folder, load_config(folder / "config.yaml"))

    def log(self, row: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """All rows; a last line without its end was cut off by a kill and belongs to no checkpoint."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def rewind_metrics(self, **steps: int) -> None:
        """Drop rows of a phase after the step given for it: they belong to work that a resumed run does again."""
        rows = [r for r in self.metrics() if r["step"] <= steps[r["phase"]]]
        temporary = self.path / "metrics.jsonl.part"
        temporary.write_text("".join(json.dumps(r) + "\n" for r in rows))
        temporary.replace(self.path / "metrics.jsonl")

    def save_checkpoint(self, phase: Literal["warm", "step"], number: int, write: Callable[[Path], None]) -> Path:
        """Let ``write`` fill the folder ``PHASE-NUMBER``, then put it in place at once; older ones go only after that.

        On a full disk the half-written folder is removed, the previous checkpoint stays, and the error says so.
        """
        final = self.path / "checkpoints" / f"{phase}-{number:05d}"
        part = final.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            write(part)
            for file in part.rglob("*"):
                if file.is_file():
                    with file.open("rb") as handle:
                        os.fsync(handle.fileno())
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            last = self.latest_checkpoint()
            raise OSError(
                error.errno,
                f"checkpoint {final.name} could not be written ({error}); the newest intact one is {last}; free space and resume",
            ) from error
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
        for old in self._checkpoints()[:-KEEP_CHECKPOINTS]:
            shutil.rmtree(old)
        return final

    def _checkpoints(self) -> list[Path]:
        """Oldest first: those of the warm start come before those of the steps."""
        found = [p for p in (self.path / "checkpoints").glob("*-*") if p.suffix != ".part"]
        return sorted(found, key=lambda p: (p.name.startswith("step-"), p.name))

    def latest_checkpoint(self) -> Path | None:
        """The newest complete checkpoint, or None."""
        found = self._checkpoints()
        return found[-1] if found else None
