"""stub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .user import ScriptedUser, User


def user_of(config: str | Mapping[str, Any]) -> User:
    return ScriptedUser()
