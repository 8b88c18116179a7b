"""What happened in a page without being part of it: dialogs, refused windows, blocked addresses."""

from __future__ import annotations

from dataclasses import dataclass, field

_MOST_NOTES = 5


@dataclass(slots=True)
class Notes:
    """Sentences for the agent, the first few of them and a count of the rest, until they are taken."""

    texts: list[str] = field(default_factory=list[str])
    left_out: int = 0

    def add(self, text: str) -> None:
        if len(self.texts) < _MOST_NOTES:
            self.texts.append(text)
        else:
            self.left_out += 1

    def take(self) -> tuple[str, ...]:
        texts = [*self.texts, *([f"{self.left_out} further events"] if self.left_out else [])]
        self.texts, self.left_out = [], 0
        return tuple(texts)
