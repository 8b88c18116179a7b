"""An episode as an MCP server: an agent that speaks MCP acts in it, and every call of a tool is a turn.

    serve(ServedEpisode(env, task), Path("episode.jsonl"))

The agent can call the environment's tools and nothing else: reset, step and state are no tools, so rewards, the end and the count
of turns stay the environment's. The task is the server's instructions, and its prompt "task".
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..envs.mcp.env import OWN_NAMES, need_mcp
from ..envs.tools.env import ToolEnv
from ..envs.tools.tool import ToolSpec
from ..records import ImagePart, Message, Observation, Outcome, StopReason, Task, ToolCall, Trajectory, Turn
from ..trajectory_io import write_trajectories
from .episode import episode_seeds

SAY = ToolSpec(
    name="send_message",
    description="Send a message to the user you are talking to.",
    parameters={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False},
)
"""Offered where there is somebody to talk to, as an MCP client can do nothing but call."""


class ServedEpisode:
    """One episode of ``task``, played by calls. Raises ``ValueError`` for an environment without tools, or with tools that are called
    like something an environment does itself."""

    def __init__(self, env: Any, task: Task, seed: int = 0) -> None:
        need_mcp()
        inner = env.unwrapped
        if not isinstance(inner, ToolEnv):
            raise ValueError(f"{task.env_id} has no tools to serve; only environments on ToolEnv have")
        self.env, self.task, self.seed = env, task, seed
        self.env_seed, self.policy_seed = episode_seeds(seed, task, 0)
        observation, info = env.reset(seed=self.env_seed, options={"task": task})
        self._start_potential = info.get("potential")
        # The environment's first message also says how calls are written as text; here they are structured.
        self.observation: Observation = (Message(role="system", content=inner.rules), *observation[1:])
        self.instructions = "\n\n".join(message.text for message in self.observation)
        talks = type(inner).hear is not ToolEnv.hear
        self.tools: tuple[ToolSpec, ...] = (*inner.tools, SAY) if talks else inner.tools
        names = [spec.name for spec in self.tools]
        taken = sorted({name for name in names if name in OWN_NAMES or names.count(name) > 1})
        if taken:
            raise ValueError(f"tools called {', '.join(taken)} cannot be served: such a name is the environment's own or is given twice")
        self._talks = talks
        self._turns: list[Turn] = []
        self._ended: tuple[Outcome, StopReason] | None = None

    @property
    def over(self) -> bool:
        return self._ended is not None

    def call(self, name: str, arguments: Mapping[str, Any]) -> tuple[Observation, bool]:
        """Make a turn of one call; the new messages, and whether they tell of an error."""
        if self.over:
            return (Message(role="user", content="Error: the episode is over."),), True
        if self._talks and name == SAY.name:
            action = Message(role="assistant", content=str(arguments.get("text", "")))
        else:
            call = ToolCall(id=f"call_{len(self._turns)}", name=name, arguments=json.dumps(dict(arguments)))
            action = Message(role="assistant", tool_calls=(call,))
        started = time.perf_counter()
        observation, _, _, _, info = self.env.step(action)
        seconds = time.perf_counter() - started
        self._turns.append(Turn(index=len(self._turns), observation=self.observation, action=action, seconds=seconds, **info["turn"]))
        self.observation = observation
        if "outcome" in info:
            self._ended = info["outcome"], info["stop"]
            over = Message(role="user", content="The episode is over.")
            return (*observation, over), not info["turn"]["action_valid"]
        return observation, not info["turn"]["action_valid"]

    def trajectory(self, stop: StopReason) -> Trajectory:
        """The record of the episode. One that is not over ends here, with ``stop``."""
        if self._ended is None:
            outcome = Outcome.void(f"stopped with {stop.value}") if stop.voids else self.env.unwrapped.outcome()
            self._ended = outcome, stop
        outcome, stop = self._ended
        return Trajectory(
            task=self.task,
            turns=tuple(self._turns),
            outcome=outcome,
            stop=stop,
            env_seed=self.env_seed,
            policy_seed=self.policy_seed,
            agent="mcp-client",
            env_version=self.task.env_id,
            start_potential=self._start_potential,
            final_observation=self.observation,
        )


def create_server(episode: ServedEpisode, ended: Callable[[], None]) -> Any:
    """The MCP server of an episode (``mcp.server.lowlevel.Server``); ``ended`` is called once, when the episode is over."""
    from mcp import types
    from mcp.server.lowlevel import Server

    task_prompt = types.Prompt(name="task", description="The task of this episode.")

    async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
        del ctx, params
        return types.ListToolsResult(
            tools=[types.Tool(name=s.name, description=s.description, input_schema=dict(s.parameters)) for s in episode.tools]
        )

    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        # Not in a thread: turns are made one after the other, and some environments belong to the thread that made them.
        del ctx
        before = episode.over
        messages, wrong = episode.call(params.name, params.arguments or {})
        if episode.over and not before:
            ended()
        return types.CallToolResult(content=[block for message in messages for block in _blocks(message)], is_error=wrong)

    async def list_prompts(ctx: Any, params: Any) -> types.ListPromptsResult:
        del ctx, params
        return types.ListPromptsResult(prompts=[task_prompt])

    async def get_prompt(ctx: Any, params: Any) -> types.GetPromptResult:
        del ctx, params
        text = types.TextContent(text=episode.instructions)
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=text)])

    handlers: dict[str, Any] = {"on_list_tools": list_tools, "on_call_tool": call_tool}
    handlers |= {"on_list_prompts": list_prompts, "on_get_prompt": get_prompt}
    return Server(f"turnwise {episode.task.env_id}", instructions=episode.instructions, **handlers)


def _blocks(message: Message) -> list[Any]:
    from mcp import types

    if isinstance(message.content, str):
        return [types.TextContent(text=message.content)]
    return [
        types.ImageContent(data=base64.b64encode(part.data).decode(), mime_type=part.mime)
        if isinstance(part, ImagePart)
        else types.TextContent(text=part.text)
        for part in message.content
    ]


def serve(episode: ServedEpisode, out: Path, http: int | None = None, host: str = "127.0.0.1") -> None:
    """Serve until the client goes (stdio) or until interrupted (``http``, a port). The trajectory is appended to ``out`` when the episode
    is over; a client that goes before that gave up, and an interrupt cancels."""
    written: list[Trajectory] = []

    def write(stop: StopReason = StopReason.GAVE_UP) -> None:
        if not written:
            written.append(episode.trajectory(stop))
            write_trajectories(out, written)
            done = written[0]
            text = f"outcome {done.outcome.score} ({done.stop.value}) after {len(done.turns)} turns, written to {out}"
            print(text, file=sys.stderr, flush=True)  # stdout belongs to the protocol

    server = create_server(episode, write)
    try:
        if http is None:
            _over_stdio(server)
        else:
            import uvicorn

            uvicorn.run(server.streamable_http_app(host=host), host=host, port=http, log_level="warning")
    except KeyboardInterrupt:
        write(StopReason.CANCELLED)
    write(StopReason.GAVE_UP if http is None else StopReason.CANCELLED)


def _over_stdio(server: Any) -> None:
    import anyio
    from mcp.server.stdio import stdio_server

    async def run() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(run)
