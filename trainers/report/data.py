"""What ``report.html`` shows, as plain JSON: read from a run folder of training, or the folder of one evaluation.

config.yaml metrics.jsonl before.json after.json eval/ trajectories/*.jsonl + *.credit.json  ->  {rows, evaluations, trajectories, ...}

Folders are read as they are found: what is missing is listed under ``missing``, what is damaged under ``problems``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ...records import ImagePart, Message, TextPart, Trajectory, Turn
from ...trajectory_io import parse_trajectory
from ..evaluate import compare

MOST_TRAJECTORIES = 200
MOST_CHARACTERS = 16_000_000
"""Of trajectories as JSON; with ``MOST_TRAJECTORIES`` it keeps the page quick to open. The page says how many were left out."""
MOST_IMAGE_BYTES = 8_000_000
_MEASURES = (
    *("success", "score", "pass_at_k", "pass_hat_k", "mean_turns", "mean_tokens", "invalid_action_rate"),
    *("faults", "episodes", "tasks", "split", "stop_reasons"),
)
Decode = Callable[[int], str]


def collect_data(run: Path, tokenizer: Any = None) -> dict[str, Any]:
    """Everything the page shows. ``tokenizer``: anything with ``decode``; by default the one in the folder's ``tokenizer/``."""
    problems: list[str] = []
    settings = next((p for p in (run / "config.yaml", run / "config.json") if p.exists()), None)
    text = "" if settings is None else settings.read_text(encoding="utf-8")
    evaluations = _evaluations(run, problems)
    viewer = _Viewer(_decoder(run, tokenizer, problems), problems)
    viewer.add_files(_trajectory_files(run))
    data: dict[str, Any] = {
        "config": yaml.safe_load(text) or {},
        "config_text": text,
        "environment": _read_json(run / "environment.json", problems) or {},
        "rows": _metrics(run / "metrics.jsonl", problems),
        "evaluations": evaluations,
        "differences": _differences(run, problems),
        "trajectories": viewer.shown,
        "vocabulary": viewer.vocabulary,
        "left_out": viewer.left_out,
        "problems": problems,
    }
    return {**_finite(data), "missing": _missing(run, data)}


def _missing(run: Path, data: Mapping[str, Any]) -> list[str]:
    names = {e["name"] for e in data["evaluations"]}
    wanted = {"trajectories": data["trajectories"]}
    if (run / "config.yaml").exists() or data["rows"]:
        wanted["metrics of training"] = data["rows"]
        wanted["the evaluation before training"] = "before" in names
        wanted["the evaluation after training (the run is not over)"] = "after" in names
    else:
        wanted["results (the evaluation is not over)"] = names
    return [what for what, there in wanted.items() if not there]


def _finite(value: Any) -> Any:
    """JSON without NaN and infinities, which no browser reads."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def _read_json(path: Path, problems: list[str]) -> Any:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        problems.append(f"{path.name} is not JSON ({error})")
        return None


def _metrics(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    """Rows in order; a row without step or phase gets its line number and "rl"."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], start=1):
        try:
            rows.append({"phase": "rl", "step": number, **json.loads(line)})
        except (ValueError, TypeError) as error:
            problems.append(f"{path.name}:{number} is not a row of measures ({error})")
    return rows


def _evaluations(run: Path, problems: list[str]) -> list[dict[str, Any]]:
    """One entry per result: those of before.json, step-*.json and after.json, and results.json of an evaluation alone."""
    order = {"before": 0, "after": 2}
    found: list[dict[str, Any]] = []
    for path in sorted(run.glob("*.json"), key=lambda p: (order.get(p.stem, 1), p.stem)):
        results = None if path.stem in ("environment", "config") else _read_json(path, problems)
        if not isinstance(results, dict):
            continue
        modes = {"": results} if path.stem == "results" else {m: results[m] for m in ("sampled", "greedy") if m in results}
        for mode, result in modes.items():
            name = str(result.get("agent", "evaluation")) if path.stem == "results" else path.stem
            found.append({"name": name, "mode": mode, **{k: result.get(k) for k in _MEASURES}})
    return found


def _differences(run: Path, problems: list[str]) -> list[dict[str, Any]]:
    """After minus before in success, paired by task."""
    found: list[dict[str, Any]] = []
    for mode in ("sampled", "greedy"):
        sides = [run / "eval" / f"{name}-{mode}" for name in ("before", "after")]
        if all((side / "results.json").exists() for side in sides):
            try:
                result = compare(*sides)
            except ValueError as error:
                problems.append(str(error))
                continue
            found.append({"mode": mode, "tasks": result["tasks"], **result["success"]})
    return found


def _trajectory_files(run: Path) -> list[tuple[str, Path]]:
    """(name on the page, file): steps of training, then evaluations."""
    files = [(path.stem, path) for path in sorted((run / "trajectories").glob("*.jsonl"))]
    files += [(f"eval {path.parent.name}", path) for path in sorted(run.glob("eval/*/trajectories.jsonl"))]
    return files + [("evaluation", path) for path in run.glob("trajectories.jsonl")]


def _decoder(run: Path, tokenizer: Any, problems: list[str]) -> Decode:
    if tokenizer is None and (run / "tokenizer" / "tokenizer.json").exists():
        try:
            from tokenizers import Tokenizer
        except ImportError:
            problems.append("tokens are shown as numbers: the library `tokenizers` is missing; pip install 'turnwise[train]'")
        else:
            tokenizer = Tokenizer.from_file(str(run / "tokenizer" / "tokenizer.json"))
    if tokenizer is None:
        return lambda token: f"[{token}]"
    return lambda token: tokenizer.decode([token], skip_special_tokens=False)


class _Viewer:
    """Trajectories for the page, evenly many of every file, within the budgets."""

    def __init__(self, decode: Decode, problems: list[str]) -> None:
        self.shown: list[dict[str, Any]] = []
        self.vocabulary: dict[str, str] = {}
        self.left_out = 0
        self._decode, self._problems, self._image_bytes = decode, problems, MOST_IMAGE_BYTES

    def add_files(self, files: Sequence[tuple[str, Path]]) -> None:
        counts = [len(_lines(path)) for _, path in files]
        shares = _shares(counts, MOST_TRAJECTORIES)
        for (name, path), share in zip(files, shares, strict=True):
            self._add_file(name, path, share, MOST_CHARACTERS * share // max(1, sum(shares)))

    def _add_file(self, name: str, path: Path, share: int, characters: int) -> None:
        lines = _lines(path)
        credit = _read_json(path.with_suffix(".credit.json"), self._problems) or {}
        notes = credit.get("episodes") or [{}] * len(lines)
        if len(notes) != len(lines):
            self._problems.append(f"{path.name}: advantages of {len(notes)} episodes for {len(lines)} lines; they are not shown")
            notes = [{}] * len(lines)
        self.left_out += len(lines)
        used = 0
        for position in (i * len(lines) // share for i in range(share)):
            number, line = lines[position]
            try:
                trajectory = parse_trajectory(line, path.parent / "images", where=f"{path.name}:{number}")
            except ValueError as error:
                self._problems.append(str(error))
                continue
            entry = self._trajectory(trajectory, _fitting(notes[position], trajectory, f"{path.name}:{number}", self._problems))
            used += len(json.dumps(entry))
            if used > characters:
                break
            self.shown.append({"source": name, "estimator": credit.get("estimator"), **entry})
            self.left_out -= 1

    def _trajectory(self, trajectory: Trajectory, note: Mapping[str, Any]) -> dict[str, Any]:
        task, outcome, nothing = trajectory.task, trajectory.outcome, [None] * len(trajectory.turns)
        per_turn = zip(trajectory.turns, note.get("advantages") or nothing, note.get("trained") or nothing, strict=True)
        return {
            "task": task.id,
            "split": task.split,
            "rollout": trajectory.rollout,
            "score": outcome.score,
            "success": outcome.success,
            "valid": outcome.valid,
            "note": outcome.note,
            "stop": trajectory.stop.value,
            "turns": [self._turn(turn, advantage, trained) for turn, advantage, trained in per_turn],
            "final": [self._message(m) for m in trajectory.final_observation],
            "facts": {
                "outcome components": dict(outcome.components),
                "agent": trajectory.agent,
                "environment": trajectory.env_version,
                "seeds": {"environment": trajectory.env_seed, "policy": trajectory.policy_seed},
                "attempts": trajectory.attempts,
                "usage": dict(trajectory.usage),
                "private data of the task": dict(task.data),
            },
        }

    def _turn(self, turn: Turn, advantage: float | None, trained: list[bool] | None) -> dict[str, Any]:
        tokens = turn.tokens
        for token in () if tokens is None else {*tokens.context_ids, *tokens.action_ids}:
            if str(token) not in self.vocabulary:
                self.vocabulary[str(token)] = self._decode(token)
        return {
            "seen": [self._message(m) for m in turn.observation],
            "action": turn.action.text,
            "calls": [f"{c.name}({c.arguments})" for c in turn.action.tool_calls],
            "reward": turn.reward,
            "components": dict(turn.components),
            "advantage": advantage,
            "valid": turn.action_valid,
            "stand_in": not turn.trained,
            "anchor": turn.anchor,
            "potential": turn.potential,
            "seconds": turn.seconds,
            "pointer": _pointer(turn),
            "tokens": None
            if tokens is None
            else {
                "context": list(tokens.context_ids),
                "action": list(tokens.action_ids),
                "logprobs": [round(p, 4) for p in tokens.logprobs],
                "trained": [int(used) for used in trained or [False] * len(tokens.action_ids)],
                "restart": tokens.restart and turn.index > 0,
                "finish": tokens.finish_reason,
                "version": tokens.version,
            },
        }

    def _message(self, message: Message) -> dict[str, Any]:
        parts = [TextPart(text=message.content)] if isinstance(message.content, str) else message.content
        return {"role": message.role, "parts": [self._image(p) if isinstance(p, ImagePart) else {"text": p.text} for p in parts]}

    def _image(self, image: ImagePart) -> dict[str, Any]:
        if len(image.data) > self._image_bytes:
            return {"left_out": len(image.data)}
        self._image_bytes -= len(image.data)
        return {"image": f"data:{image.mime};base64,{base64.b64encode(image.data).decode()}"}


def _pointer(turn: Turn) -> list[list[float]]:
    """Where the mouse went in this turn, in pixels of the screenshot the agent saw: one point, or two for a drag."""
    m = turn.measures
    points = [(m.get(f"{name}_x"), m.get(f"{name}_y")) for name in ("pointer_from", "pointer")]
    return [[x, y] for x, y in points if x is not None and y is not None]


def _lines(path: Path) -> list[tuple[int, bytes]]:
    """Lines that hold something, with their numbers."""
    return [(number, line) for number, line in enumerate(path.read_bytes().split(b"\n"), start=1) if line.strip()]


def _shares(counts: Sequence[int], most: int) -> list[int]:
    """How many to take of each file, ``most`` in all: small files whole, the others evenly, also where a share is below one."""
    level, left = 0.0, most
    for number, count in enumerate(sorted(counts)):
        level = left / (len(counts) - number)
        if count > level:
            break
        left -= count
        level = float(max(counts))
    ends = np.floor(np.cumsum([min(count, level) for count in counts]) + 1e-6).astype(int)
    return np.diff(ends, prepend=0).tolist()


def _fitting(note: Mapping[str, Any], trajectory: Trajectory, where: str, problems: list[str]) -> Mapping[str, Any]:
    """``note`` if it has one advantage per turn and one mark per action token, else nothing."""
    counts = [len(t.tokens.action_ids) if t.tokens else 0 for t in trajectory.turns]
    trained = note.get("trained") or [None] * len(counts)
    marks = [len(m) if m is not None else count for m, count in zip(trained, counts, strict=False)]
    if len(note.get("advantages") or counts) == len(trained) == len(counts) and marks == counts:
        return note
    problems.append(f"{where}: its advantages belong to another episode; they are not shown")
    return {}
