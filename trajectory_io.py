"""Trajectories as JSON lines: one line per episode, images saved once beside the file and referenced by digest.

write_trajectories("runs/a.jsonl", trajectories)  ->  runs/a.jsonl, runs/images/<sha256>.png
read_trajectories("runs/a.jsonl")                 ->  equal objects
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .records import (
    ImagePart,
    ImageSpan,
    Message,
    Observation,
    Outcome,
    Part,
    StopReason,
    Task,
    TextPart,
    TokenTrace,
    ToolCall,
    Trajectory,
    Turn,
)

SCHEMA = "turnwise.trajectory/1"
_FILE_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,12}")


def write_trajectories(path: str | Path, trajectories: Iterable[Trajectory]) -> int:
    """Append one line per trajectory (folders are made) and return how many were written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("a", encoding="utf-8", newline="\n") as file:
        for trajectory in trajectories:
            record = _trajectory_to_dict(trajectory, path.parent / "images")
            # ASCII keeps lone surrogates and line separators inside the line.
            file.write(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")
            file.flush()
            count += 1
    return count


def read_trajectories(path: str | Path) -> list[Trajectory]:
    """All trajectories of a file, in order. ``ValueError`` names file, line and reason if a line is damaged or foreign."""
    path = Path(path)
    lines = enumerate(path.read_bytes().split(b"\n"), start=1)
    return [parse_trajectory(line, path.parent / "images", where=f"{path}:{number}") for number, line in lines if line.strip()]


def parse_trajectory(line: bytes, images: Path, where: str) -> Trajectory:
    """The trajectory of one line; ``images`` is the folder beside the file. ``ValueError`` names ``where`` and the reason."""
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            seen = record.get("schema") if isinstance(record, dict) else type(record).__name__
            raise ValueError(f"schema is {seen!r}, expected {SCHEMA!r}; was this file written by write_trajectories?")
        return _trajectory_from_dict(record, images)
    except KeyError as error:
        raise ValueError(f"{where}: field {error} is missing; remove the line or write the file again") from error
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"{where}: not a trajectory: {error}; remove the line or write the file again") from error


def drop_torn_line(path: str | Path) -> bool:
    """Cut off a last line that has no line end (a writer killed in the middle of it); True if there was one."""
    path = Path(path)
    if not path.exists():
        return False
    data = path.read_bytes()
    keep = data.rfind(b"\n") + 1
    if keep == len(data):
        return False
    os.truncate(path, keep)
    return True


def _save_image(image: ImagePart, folder: Path) -> str:
    suffix = re.sub(r"[^a-z0-9]", "", image.mime.rsplit("/", 1)[-1].split("+")[0].lower())[:12] or "bin"
    name = f"{hashlib.sha256(image.data).hexdigest()}.{suffix}"
    target = folder / name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{name}.{os.getpid()}.part"
        partial.write_bytes(image.data)
        partial.replace(target)
    return name


def _load_image(part: dict[str, Any], folder: Path) -> ImagePart:
    name = part["file"]
    if not _FILE_NAME.fullmatch(name):
        raise ValueError(f"image file {name!r} is not <sha256>.<extension>")
    data = (folder / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != name.split(".")[0]:
        raise ValueError(f"image {folder / name} does not have the digest its name says; it was changed")
    return ImagePart(data=data, mime=part["mime"])


def _message_to_dict(message: Message, folder: Path) -> dict[str, Any]:
    content: Any = message.content
    if not isinstance(content, str):
        content = [
            {"text": p.text} if isinstance(p, TextPart) else {"mime": p.mime, "file": _save_image(p, folder)} for p in message.content
        ]
    calls = [[c.id, c.name, c.arguments] for c in message.tool_calls]
    return {"role": message.role, "content": content, "tool_calls": calls, "tool_call_id": message.tool_call_id}


def _message_from_dict(record: dict[str, Any], folder: Path) -> Message:
    content = record["content"]
    if not isinstance(content, str):
        parts: list[Part] = [TextPart(text=p["text"]) if "text" in p else _load_image(p, folder) for p in content]
        content = tuple(parts)
    calls = tuple(ToolCall(id=i, name=n, arguments=a) for i, n, a in record["tool_calls"])
    return Message(role=record["role"], content=content, tool_calls=calls, tool_call_id=record["tool_call_id"])


def _messages_to_list(messages: Observation, folder: Path) -> list[dict[str, Any]]:
    return [_message_to_dict(m, folder) for m in messages]


def _messages_from_list(records: list[dict[str, Any]], folder: Path) -> Observation:
    return tuple(_message_from_dict(r, folder) for r in records)


_SPAN_FIELDS = ("digest", "start", "height", "width")


def _trace_to_dict(trace: TokenTrace) -> dict[str, Any]:
    record = {name: getattr(trace, name) for name in TokenTrace.__slots__ if name != "images"}
    if trace.images:
        record["images"] = [[getattr(span, name) for name in _SPAN_FIELDS] for span in trace.images]
    return record


def _trace_from_dict(record: dict[str, Any]) -> TokenTrace:
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    spans = [ImageSpan(**dict(zip(_SPAN_FIELDS, span, strict=True))) for span in record.get("images", ())]
    return TokenTrace(**{**values, "images": tuple(spans)})


def _turn_to_dict(turn: Turn, folder: Path) -> dict[str, Any]:
    tokens = turn.tokens
    return {
        "index": turn.index,
        "observation": _messages_to_list(turn.observation, folder),
        "action": _message_to_dict(turn.action, folder),
        "reward": turn.reward,
        "components": dict(turn.components),
        "anchor": turn.anchor,
        "potential": turn.potential,
        "action_valid": turn.action_valid,
        "trained": turn.trained,
        "tokens": None if tokens is None else _trace_to_dict(tokens),
        "seconds": turn.seconds,
        "chat_logprobs": turn.chat_logprobs,
        "measures": dict(turn.measures),
    }


def _turn_from_dict(record: dict[str, Any], folder: Path) -> Turn:
    values = dict(record)
    values["observation"] = _messages_from_list(record["observation"], folder)
    values["action"] = _message_from_dict(record["action"], folder)
    tokens = record["tokens"]
    if tokens is not None:
        values["tokens"] = _trace_from_dict(tokens)
    if record.get("chat_logprobs") is not None:  # files from before there were any lack the field
        values["chat_logprobs"] = tuple(record["chat_logprobs"])
    return Turn(**values)


_TASK_FIELDS = ("id", "env_id", "split", "seed", "hash")
_OUTCOME_FIELDS = ("score", "success", "valid", "note")
_FORK_FIELDS = ("parent", "fork", "probe")  # written of forked episodes and probes only, as files from before there were any
_PLAIN_FIELDS = ("rollout", "env_seed", "policy_seed", "agent", "env_version", "start_potential", "attempts")


def _trajectory_to_dict(trajectory: Trajectory, folder: Path) -> dict[str, Any]:
    task, outcome = trajectory.task, trajectory.outcome
    forked = trajectory.parent is not None or trajectory.probe
    return {
        "schema": SCHEMA,
        "task": {n: getattr(task, n) for n in _TASK_FIELDS} | {"prompt": _messages_to_list(task.prompt, folder), "data": dict(task.data)},
        "turns": [_turn_to_dict(turn, folder) for turn in trajectory.turns],
        "outcome": {n: getattr(outcome, n) for n in _OUTCOME_FIELDS} | {"components": dict(outcome.components)},
        "stop": trajectory.stop.value,
        "final_observation": _messages_to_list(trajectory.final_observation, folder),
        "usage": dict(trajectory.usage),
        **{name: getattr(trajectory, name) for name in (*_PLAIN_FIELDS, *(_FORK_FIELDS if forked else ()))},
    }


def _trajectory_from_dict(record: dict[str, Any], folder: Path) -> Trajectory:
    values = {k: v for k, v in record.items() if k != "schema"}
    content = dict(record["task"])
    digest = content.pop("hash")
    content["prompt"] = _messages_from_list(content["prompt"], folder)
    values["task"] = task = Task(**content)
    if task.hash != digest:
        raise ValueError(f"task {task.id!r} has hash {digest}, but its content hashes to {task.hash}; the line was changed")
    values["outcome"] = Outcome(**record["outcome"])
    values["stop"] = StopReason(record["stop"])
    values["turns"] = tuple(_turn_from_dict(turn, folder) for turn in record["turns"])
    values["final_observation"] = _messages_from_list(record["final_observation"], folder)
    return Trajectory(**values)
