"""A small MCP server: a stockroom on SQLite, one for each session.

    python -m turnwise.envs.mcp.demo                 # stdio
    python -m turnwise.envs.mcp.demo --http 8700     # streamable HTTP, http://127.0.0.1:8700/mcp

``load`` and ``export`` are for the environment: the agent is not shown them.
"""

# No postponed annotations here: the SDK reads those of the tools, and Context is known only inside create_server.
import argparse
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from ..tools.tool import ToolError
from .stockroom import Row, Stockroom

MAX_SESSIONS = 1024
"""Stockrooms that are kept; the oldest goes first."""
Value = TypeVar("Value")


def create_server() -> Any:
    """The server, not yet running (``mcp.server.mcpserver.MCPServer``)."""
    from mcp.server.mcpserver import Context, MCPServer
    from mcp.server.mcpserver.exceptions import ToolError as Refused

    rooms: OrderedDict[str, Stockroom] = OrderedDict()

    def room(ctx: Context[Any, Any]) -> Stockroom:
        request: Any = ctx.request_context.request
        key = "" if request is None else str(request.headers.get("mcp-session-id", ""))
        if key not in rooms:
            rooms[key] = Stockroom()
            if len(rooms) > MAX_SESSIONS:
                rooms.popitem(last=False)[1].db.close()
        return rooms[key]

    def said(function: Callable[..., Value], *arguments: Any) -> Value:
        try:
            return function(*arguments)
        except ToolError as error:
            raise Refused(str(error)) from error

    server: Any = MCPServer("stockroom", instructions="A stockroom with four places: east, west, north, south.", log_level="ERROR")

    async def find_items(text: str, ctx: Context[Any, Any]) -> list[Row]:
        """Find items whose name contains a text: their ids, names and prices."""
        return room(ctx).find_items(text)

    async def stock_of(item_id: str, ctx: Context[Any, Any]) -> dict[str, int]:
        """How many pieces of an item lie in which place."""
        return said(room(ctx).stock_of, item_id)

    async def read_order(order_id: str, ctx: Context[Any, Any]) -> list[Row]:
        """The lines of an order: which items, how many of each."""
        return said(room(ctx).read_order, order_id)

    async def move(item_id: str, source: str, target: str, quantity: int, ctx: Context[Any, Any]) -> str:
        """Move pieces of an item from one place to another."""
        return said(room(ctx).move, item_id, source, target, quantity)

    async def receive(item_id: str, place: str, quantity: int, ctx: Context[Any, Any]) -> str:
        """Take in pieces of an item that were delivered to a place."""
        return said(room(ctx).receive, item_id, place, quantity)

    async def ship(order_id: str, item_id: str, place: str, quantity: int, ctx: Context[Any, Any]) -> str:
        """Ship pieces of an item from a place, for an order."""
        return said(room(ctx).ship, order_id, item_id, place, quantity)

    async def load(items: list[Row], stock: list[Row], orders: list[Row], ctx: Context[Any, Any]) -> str:
        """Replace everything in the stockroom."""
        return room(ctx).load(items, stock, orders)

    async def export(ctx: Context[Any, Any]) -> Row:
        """Everything in the stockroom."""
        return room(ctx).export()

    for function in (find_items, stock_of, read_order, move, receive, ship, load, export):
        server.add_tool(function)
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description="A stockroom as an MCP server.")
    parser.add_argument("--http", type=int, metavar="PORT", help="streamable HTTP on 127.0.0.1 instead of stdio")
    port = parser.parse_args().http
    if port is None:
        create_server().run()
    else:
        create_server().run("streamable-http", port=port)


if __name__ == "__main__":
    main()
