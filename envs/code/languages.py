"""Programming languages for tasks that are judged by input and output: each is a short YAML file (after Agnostics, arXiv 2508.04865).

language: {name: lua, image: ..., filename: main.lua, run: [lua, main.lua], timeout_s: 5, memory_mb: 256}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FOLDER = Path(__file__).parent / "languages"
_Words = Annotated[list[str], Field(min_length=1)]


class Language(BaseModel):
    """How a program becomes output. ``compile`` and ``run`` are commands in the folder that holds ``filename``; no shell."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    image: str = ""
    """A Docker image that has it; the bubblewrap sandbox uses what is installed."""
    filename: Annotated[str, Field(pattern=r"^[\w.-]{1,60}$")]
    compile: _Words | None = None
    run: _Words
    timeout_s: Annotated[float, Field(gt=0)] = 5.0
    """For each run."""
    memory_mb: Annotated[int, Field(gt=0)] = 256

    @property
    def programs(self) -> list[str]:
        """What must be installed."""
        return [words[0] for words in (self.compile, self.run) if words and "/" not in words[0]]


def list_languages() -> list[str]:
    """Names of the languages that come with Turnwise."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_language(name: str) -> Language:
    """A language that comes with Turnwise, or that of a YAML file (a name that ends in .yaml).

    Raises ``ValueError`` for an unknown name or a file that is not as above, ``FileNotFoundError`` where there is none.
    """
    if not name.endswith((".yaml", ".yml")) and name not in list_languages():
        raise ValueError(f"unknown language {name!r}; allowed: {', '.join(list_languages())}, or the path of a YAML file")
    path = FOLDER / f"{name}.yaml" if name in list_languages() else Path(name)
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(given, dict) or set(given) != {"language"}:  # pyright: ignore[reportUnknownArgumentType]
            raise ValueError(f"{path}: it must hold one mapping called 'language'")
        return Language.model_validate(given["language"])
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ValueError(f"{path}: {problems}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
