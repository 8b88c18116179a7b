"""The files of the three apps, and the expressions that set an app up and read it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from .draft import AppName

ORIGIN = "http://webtasks.test"
_NAMES: dict[AppName, tuple[str, ...]] = {app: ("index.html", f"{app}.js") for app in ("shop", "tracker", "mail")}
_COMMON = ("base.js", "base.css")


@lru_cache(maxsize=1)
def site() -> Mapping[str, bytes]:
    """Path -> content of every file; each app has a folder of its own ("/shop/index.html")."""
    apps = files("turnwise.envs.gui.web") / "apps"
    found: dict[str, bytes] = {}
    for app, names in _NAMES.items():
        for name in names:
            found[f"/{app}/{name}"] = (apps / app / name).read_bytes()
        for name in _COMMON:
            found[f"/{app}/{name}"] = (apps / "common" / name).read_bytes()
    return found


def address(app: AppName) -> str:
    """Where an app starts."""
    return f"{ORIGIN}/{app}/index.html"
