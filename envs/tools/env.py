"""``ToolEnv``: the base of environments whose actions are tool calls.

assistant message -> dialect -> calls -> Toolbox -> results, one per call -> observation; ``scored`` says what the turn was worth
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...records import Message, Observation, Outcome, Task
from ..base import Env, TurnResult
from ..tasks import TaskSet
from .dialects import DIALECTS, Said, ToolDialect, Xml, answer
from .tool import Toolbox, ToolResult, Tools, ToolSpec


class ToolEnv(Env):
    """Arguments: ``tasks``; ``dialect``, how calls are written ("hermes", "json", "python", "xml"; native calls of a chat endpoint are
    understood in each); ``weights`` of the turn reward components (0 or left out: absent; empty: turns are not scored); ``max_turns``.

    Subclasses implement ``open``, ``scored`` and ``verdict``, and ``hear`` where there is somebody to talk to. Calls of one message are
    carried out in order until the episode ends. Raises ``ValueError`` for an unknown dialect or component.
    """

    components: tuple[str, ...] = ("format", "executed")
    """Names that ``weights`` may have: ``format``, 1 for a message that could be read and is not empty; ``executed``, the share of calls
    that ran; and what ``scored`` adds."""

    rules: str = ""
    """The episode's rules, without the tools and how they are called."""

    def __init__(self, tasks: TaskSet, *, dialect: str, weights: Mapping[str, float], max_turns: int) -> None:
        unknown = sorted(set(weights) - set(self.components))
        if unknown:
            raise ValueError(f"unknown turn reward {unknown}; allowed: {', '.join(self.components)}")
        if dialect not in DIALECTS:
            raise ValueError(f"unknown dialect {dialect!r}; allowed: {', '.join(DIALECTS)}")
        super().__init__(tasks, max_turns=max_turns)
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self._dialect_name = dialect
        self._dialect: ToolDialect | None = None
        self._toolbox: Tools | None = None
        self._shown: tuple[tuple[ToolSpec, ...], str] = ((), "")

    # ---- what an author writes -------------------------------------------------------------------------------------

    def open(self, task: Task) -> tuple[object, str]:
        """The object whose tools the agent calls (or ``Tools``), set up for ``task``, and the rules that go into the system message."""
        raise NotImplementedError(f"{type(self).__name__} must implement open(task) -> (object with tools, rules)")

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        """Unweighted components of the turn that has just been carried out."""
        del said, results
        return {}

    def verdict(self) -> Outcome | None:
        """The outcome once the episode is over, else None. Asked after every call."""
        return None

    def hear(self, text: str) -> str:
        """The reply to a message without a call."""
        del text
        return "Nobody reads messages here. Call a function."

    # ---- what Env calls --------------------------------------------------------------------------------------------

    def start(self, task: Task) -> Observation:
        world, self.rules = self.open(task)
        specs = self.attach(world)
        assert self._dialect is not None
        if self._shown[0] != specs:  # writing the signatures costs more than a turn
            self._shown = (specs, self._dialect.instructions(specs))
        return (Message(role="system", content=f"{self.rules}\n\n{self._shown[1]}"), *task.prompt)

    def attach(self, world: object) -> tuple[ToolSpec, ...]:
        """Call the tools of ``world`` from now on (also after ``restore``); what they are."""
        self._toolbox = world if isinstance(world, Tools) else Toolbox(world)
        specs = self._toolbox.specs
        self._dialect = Xml(specs) if self._dialect_name == "xml" else DIALECTS[self._dialect_name]()
        return specs

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """The tools of the episode; none before the first reset."""
        return () if self._toolbox is None else self._toolbox.specs

    def act(self, action: Message) -> TurnResult:
        assert self._dialect is not None
        assert self._toolbox is not None
        said = self._dialect.parse(action)
        results: list[ToolResult] = []
        for call in said.calls:
            results.append(self._toolbox.run(call))
            if self.verdict() is not None:
                break
        heard = Message(role="user", content=f"Error: {said.problem}" if said.problem else self.hear(said.text)) if not said.calls else None
        over = self.verdict()
        skipped = [ToolResult(text="Error: the episode was over.", failure="refused")] * (len(said.calls) - len(results))
        observation = (heard,) if heard is not None else answer(said, [*results, *skipped])
        components = self._weigh(said, results)
        return TurnResult(
            observation=observation,
            reward=sum(components.values()) if components else None,
            components=components,
            action_valid=not said.problem and (not results or any(r.ok for r in results)),
            outcome=over,
        )

    def _weigh(self, said: Said, results: Sequence[ToolResult]) -> dict[str, float]:
        if not self.weights:
            return {}
        ran = sum(r.ok for r in results) / len(results) if results else 0.0
        readable = not said.problem and said.formatted and bool(said.calls or said.text.strip())
        values = {"format": float(readable), "executed": ran, **self.scored(said, results)}
        return {name: weight * values.get(name, 0.0) for name, weight in self.weights.items()}
