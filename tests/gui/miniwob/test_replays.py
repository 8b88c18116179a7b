"""Episodes recorded in BrowserGym replay with equal results: the same strings, elements, raw rewards and endings.

Recorded from browsergym-miniwob 0.14.3 (Playwright 1.44, Chromium 156) with the actions of our experts, types whose actions name elements
only. Left out: types where a click ran into BrowserGym's limit of 0.5 s (email-inbox-delete, email-inbox-forward-nl, phone-book,
social-media), search-engine, whose links end BrowserGym's episode ("invalid url"), and text-editor, where it selects nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from turnwise.envs.gui.browser import Browser, close_shared
from turnwise.envs.gui.miniwob.env import MiniWoB
from turnwise.records import Task

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "browsergym_replays.json").read_text(encoding="utf-8"))


def replay(env: MiniWoB, row: dict[str, Any]) -> tuple[float, bool]:
    task = Task(id="t", env_id="turnwise/MiniWoB-v0", split="test", data={"type": row["type"], "seed": row["seed"]})
    env.reset(options={"task": task})
    for action in row["actions"]:
        info = env.step(action)[4]
        assert info["turn"]["action_valid"], (row["type"], action)
        if "outcome" in info:
            assert info["outcome"].valid, (row["type"], info["outcome"].note)
            return info["outcome"].components["raw"], True
    return 0.0, False


def test_recorded_episodes(browser: Browser) -> None:
    del browser
    pytest.importorskip("miniwob")
    assert len(ROWS) == 91
    env = MiniWoB("all", max_turns=40)
    try:
        different = [row["type"] for row in ROWS if replay(env, row) != (pytest.approx(row["raw"], abs=1e-3), row["done"])]
    finally:
        env.close()
        close_shared()
    assert different == []
