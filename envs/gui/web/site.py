"""The files of the three apps, and where they are served."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from .draft import AppName

APPS: tuple[AppName, ...] = ("shop", "tracker", "mail")


@lru_cache(maxsize=3)
def site(app: AppName) -> Mapping[str, bytes]:
    """Path -> content of every file of an app; "/index.html" is its page. Raises ``ValueError`` for an unknown app."""
    if app not in APPS:
        raise ValueError(f"there is no app {app!r}; allowed: {', '.join(APPS)}")
    apps = files("turnwise.envs.gui.web") / "apps"
    own = {f"/{name}": (apps / app / name).read_bytes() for name in ("index.html", f"{app}.js")}
    return {**own, **{f"/{name}": (apps / "common" / name).read_bytes() for name in ("base.js", "base.css")}}
