"""Instances as plain JSON with every file in line: what ``turnwise swe make`` writes for a folder of one's own.

    to_data(instance) -> {"kind": "stored", "id": ..., "base": {"a.py": "x = 1\\n", "logo.png": {"base64": ...}}, "gold": {"old.py": null}}
    from_data(data) == instance

A file is its text; or an object with "text" or "base64" and, where it may be run, "executable"; or {"link": target}. ``null``: deleted.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any, cast

from ..sandbox.tree import Changes, File, Tree, check_path
from .instance import WORK, Instance, Location

KIND = "stored"
_TEXTS = {"id": None, "project": None, "statement": None, "work": WORK}
_LISTS = {"fail_to_pass": None, "pass_to_pass": None, "withheld": (), "paths": (".",), "protected": ()}
_FILES = ("base", "held", "gold")
_KEYS = {"kind", "locations", "timeout_s", *_TEXTS, *_LISTS, *_FILES}
_FORMS = ({"text"}, {"text", "executable"}, {"base64"}, {"base64", "executable"}, {"link"})


def to_data(instance: Instance) -> dict[str, Any]:
    """The instance as JSON values; ``from_data`` gives it back."""
    return {
        "kind": KIND,
        **{name: getattr(instance, name) for name in _TEXTS},
        **{name: list(getattr(instance, name)) for name in _LISTS},
        "timeout_s": instance.timeout_s,
        "base": files_to_data(instance.base),
        "held": files_to_data(instance.held),
        "gold": files_to_data(instance.gold),
        "locations": [{"path": at.path, "first": at.first, "last": at.last, "function": at.function} for at in instance.locations],
    }


def from_data(data: Mapping[str, Any]) -> Instance:
    """The instance that ``to_data`` wrote.

    Raises ``ValueError`` for another kind, unknown or missing keys, values of another type, and what ``Instance`` refuses.
    """
    name = f"stored instance {data.get('id', '')!r}"
    if data.get("kind") != KIND:
        raise ValueError(f"{name}: kind is {data.get('kind')!r}; expected {KIND!r}")
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise ValueError(f"{name} has unknown keys {unknown}; allowed: {', '.join(sorted(_KEYS))}")
    required = [key for key, default in (_TEXTS | _LISTS).items() if default is None] + ["base", "held"]
    missing = [key for key in required if key not in data]
    if missing:
        raise ValueError(f"{name} lacks {', '.join(missing)}")
    fields: dict[str, Any] = {key: _text(data.get(key, default), f"{name}: {key}") for key, default in _TEXTS.items()}
    fields |= {key: _texts(data.get(key, default), f"{name}: {key}") for key, default in _LISTS.items()}
    return Instance(
        **fields,
        timeout_s=_seconds(data.get("timeout_s", 60.0), name),
        base=_tree(data["base"], f"{name}: base"),
        held=_tree(data["held"], f"{name}: held"),
        gold=files_from_data(data.get("gold", {}), f"{name}: gold"),
        locations=tuple(_location(at, name) for at in _list(data.get("locations", []), f"{name}: locations")),
    )


def files_to_data(changes: Changes) -> dict[str, Any]:
    """Files as JSON values, by path."""
    return {path: _file_to_data(file) for path, file in changes.items()}


def files_from_data(data: object, name: str) -> dict[str, File | None]:
    """The files that ``files_to_data`` wrote. ``name`` stands in the ``ValueError`` for whatever is no such thing."""
    if not isinstance(data, dict):
        raise ValueError(f"{name} is {_seen(data)}; expected an object of files by path")
    return {check_path(_text(path, name)): _file(value, f"{name}[{path!r}]") for path, value in cast("dict[Any, Any]", data).items()}


def _file_to_data(file: File | None) -> Any:
    if file is None:
        return None
    if file.link is not None:
        return {"link": file.link}
    try:
        value: dict[str, Any] = {"text": file.data.decode()}
    except UnicodeDecodeError:
        value = {"base64": base64.b64encode(file.data).decode()}
    if file.executable:
        value["executable"] = True
    return value["text"] if set(value) == {"text"} else value


def _file(value: object, name: str) -> File | None:
    if value is None:
        return None
    if isinstance(value, str):
        return File(value.encode())
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {_seen(value)}; expected text, an object or null")
    entry = cast("dict[str, Any]", value)
    if set(entry) not in _FORMS:
        raise ValueError(f"{name} has the keys {sorted(entry)}; expected 'text' or 'base64', with or without 'executable', or 'link' alone")
    if "link" in entry:
        return File(link=_text(entry["link"], f"{name}: link"))
    executable = entry.get("executable", False)
    if not isinstance(executable, bool):
        raise ValueError(f"{name}: executable is {_seen(executable)}; expected true or false")
    if "text" in entry:
        return File(_text(entry["text"], f"{name}: text").encode(), executable)
    try:
        return File(base64.b64decode(_text(entry["base64"], f"{name}: base64"), validate=True), executable)
    except binascii.Error as error:
        raise ValueError(f"{name}: this is not base64 ({error})") from error


def _tree(data: object, name: str) -> Tree:
    tree: dict[str, File] = {}
    for path, file in files_from_data(data, name).items():
        if file is None:
            raise ValueError(f"{name}[{path!r}] is null; only gold deletes files")
        tree[path] = file
    return tree


def _location(value: object, name: str) -> Location:
    at = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if set(at) != {"path", "first", "last", "function"}:
        raise ValueError(f"{name}: a location is {_seen(cast('object', value))}; expected an object of path, first, last and function")
    for key in ("first", "last"):
        if not isinstance(at[key], int) or isinstance(at[key], bool):
            raise ValueError(f"{name}: {key} of a location is {_seen(at[key])}; expected a line number")
    texts = {key: _text(at[key], f"{name}: {key} of a location") for key in ("path", "function")}
    return Location(first=at["first"], last=at["last"], **texts)


def _seconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: timeout_s is {_seen(value)}; expected seconds above 0")
    return float(value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {_seen(value)}; expected text")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    return tuple(_text(item, f"an item of {name}") for item in _list(value, name))


def _list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} is {_seen(value)}; expected a list")
    return list(cast("list[Any]", value))


def _seen(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}... ({type(value).__name__})"
