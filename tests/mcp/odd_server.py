"""An MCP server that behaves in every way a server can: it refuses, hangs, dies, sends pictures, lists its tools in pages."""

import os
import sys
import time

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

EMPTY = {"type": "object", "properties": {}}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = [
    types.Tool(name="repeat", description="Repeat a text.", input_schema=TEXT),
    types.Tool(name="refuse", input_schema=EMPTY),
    types.Tool(name="picture", input_schema=EMPTY),
    types.Tool(name="sleep", input_schema=EMPTY),
    types.Tool(name="block", input_schema=EMPTY),
    types.Tool(name="die", input_schema=EMPTY),
    types.Tool(name="protocol_error", input_schema=EMPTY),
    types.Tool(
        name="structured",
        input_schema=EMPTY,
        output_schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    ),
    types.Tool(
        name="broken_promise",
        input_schema=EMPTY,
        output_schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    ),
    types.Tool(name="count", input_schema=EMPTY),
]
calls = 0


def said(*blocks, **more):
    return types.CallToolResult(content=list(blocks), **more)


async def list_tools(ctx, params):
    start = int(params.cursor) if params is not None and params.cursor else 0
    more = TOOLS + ([types.Tool(name="reset", input_schema=EMPTY)] if "--reserved" in sys.argv else [])
    return types.ListToolsResult(tools=more[start : start + 3], next_cursor=str(start + 3) if start + 3 < len(more) else None)


async def call_tool(ctx, params):
    global calls
    calls += 1
    text = types.TextContent(text="")
    match params.name:
        case "repeat":
            value = (params.arguments or {}).get("text")
            return said(types.TextContent(text=f"text: {value}"), is_error=not isinstance(value, str))
        case "refuse":
            return said(types.TextContent(text="not today"), is_error=True)
        case "picture":
            return said(
                types.TextContent(text="look"),
                types.ImageContent(data="AAECAwQF", mime_type="image/png"),
                types.EmbeddedResource(resource=types.TextResourceContents(uri="memo://1", text="a memo")),
                types.ResourceLink(name="far", uri="memo://2"),
            )
        case "sleep":
            await anyio.sleep(60)
        case "block":
            time.sleep(60)  # answers nothing at all meanwhile
        case "die":
            print("I cannot go on", file=sys.stderr, flush=True)
            os._exit(3)
        case "structured":
            return said(structured_content={"n": 3})
        case "broken_promise":
            return said(structured_content={"n": "three"})
        case "count":
            return said(types.TextContent(text=str(calls)))
        case _:
            raise RuntimeError("inside")
    return said(text)


async def main():
    server = Server("odd", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    if "--no-start" in sys.argv:
        print("cannot find my configuration", file=sys.stderr)
        sys.exit(1)
    anyio.run(main)
