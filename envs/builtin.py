"""The environments that come with Turnwise, named but not imported."""

from __future__ import annotations

from typing import Any, cast

BUILTIN: tuple[tuple[str, str, str], ...] = (
    ("turnwise/GuessNumber-v0", "turnwise.envs.guess_number:GuessNumber", "turnwise.envs.guess_number:MANIFEST"),
    ("turnwise/KeyDoor-v0", "turnwise.envs.key_door:KeyDoor", "turnwise.envs.key_door:MANIFEST"),
    ("turnwise/Twenty-v0", "turnwise.envs.users.twenty:Twenty", "turnwise.envs.users.twenty:MANIFEST"),
    ("turnwise/Retail-v0", "turnwise.envs.service.retail:Retail", "turnwise.envs.service.retail:MANIFEST"),
    ("turnwise/Airline-v0", "turnwise.envs.service.airline:Airline", "turnwise.envs.service.airline:MANIFEST"),
    ("turnwise/Desk-v0", "turnwise.envs.service.desk:Desk", "turnwise.envs.service.desk:MANIFEST"),
    ("turnwise/MCP-v0", "turnwise.envs.mcp.env:MCP", "turnwise.envs.mcp.env:MANIFEST"),
    ("turnwise/BFCL-v0", "turnwise.envs.formats.bfcl:BFCL", "turnwise.envs.formats.bfcl:MANIFEST"),
    ("turnwise/ToolCalls-v0", "turnwise.envs.formats.toolrl:ToolCalls", "turnwise.envs.formats.toolrl:MANIFEST"),
    ("turnwise/Intent-v0", "turnwise.envs.users.intent:Intent", "turnwise.envs.users.intent:MANIFEST"),
    ("turnwise/Recommend-v0", "turnwise.envs.users.recommend:Recommend", "turnwise.envs.users.recommend:MANIFEST"),
    ("turnwise/Code-v0", "turnwise.envs.code.env:Code", "turnwise.envs.code.env:MANIFEST"),
    ("turnwise/SWE-v0", "turnwise.envs.swe.env:SWE", "turnwise.envs.swe.env:MANIFEST"),
    ("turnwise/WebTasks-v0", "turnwise.envs.gui.web.env:WebTasks", "turnwise.envs.gui.web.env:MANIFEST"),
    ("turnwise/MiniWoB-v0", "turnwise.envs.gui.miniwob.env:MiniWoB", "turnwise.envs.gui.miniwob.env:MANIFEST"),
    ("turnwise/Ground-v0", "turnwise.envs.gui.ground.env:Ground", "turnwise.envs.gui.ground.env:MANIFEST"),
    ("turnwise/ExpertStep-v0", "turnwise.envs.gui.step:ExpertStep", "turnwise.envs.gui.step:MANIFEST"),
    ("turnwise/Search-v0", "turnwise.envs.search.env:Search", "turnwise.envs.search.env:MANIFEST"),
    ("turnwise/Memory-v0", "turnwise.envs.memory.env:Memory", "turnwise.envs.memory.env:MANIFEST"),
    ("turnwise/Route-v0", "turnwise.envs.route.env:Route", "turnwise.envs.route.env:MANIFEST"),
    ("turnwise/SelfCorrect-v0", "turnwise.envs.self_correct:SelfCorrect", "turnwise.envs.self_correct:MANIFEST"),
)
"""(id, "module:Class", "module:MANIFEST") of each."""


def register_with_gymnasium() -> None:
    """Let ``gymnasium.make`` know the ids; done when ``turnwise`` is imported, because Gymnasium has no hook of its own."""
    from gymnasium.envs import registration

    for id, entry_point, _ in BUILTIN:
        if id not in registration.registry:
            cast("Any", registration).register(id, entry_point=entry_point, disable_env_checker=True, order_enforce=False)
