"""What worlds share in which a user is asked questions."""

from __future__ import annotations

from ..tools.tool import ToolError, tool
from .user import User

GONE = "The user has left."


class Talk:
    """A world with somebody to ask. ``say`` takes an agent's words to the user; ``listen`` is told what came of them."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.gone = False
        """The user has left and answers no more."""

    @tool
    def ask(self, question: str) -> str:
        """Ask the user a question. A message without a call does the same.

        Args:
            question: The question, in plain words.
        """
        if not question.strip():
            raise ToolError("question is empty; write what you want to know")
        return self.say(question if "?" in question else f"{question.rstrip(' .!')}?")

    def say(self, text: str) -> str:
        if self.gone:
            return f"{GONE} Finish with what you know."
        reply = self.user.hear(text)
        self.gone = reply.over
        self.listen(text, reply.text)
        return f"{reply.text} ({GONE} Finish with what you know.)" if reply.over else reply.text

    def listen(self, text: str, answer: str) -> None:
        """Note what an answer told."""
        raise NotImplementedError(f"{type(self).__name__} must implement listen(text, answer)")
