"""The chat agent against a real HTTP server on this machine."""

import asyncio

import pytest
from turnwise.agents.base import Episode
from turnwise.agents.chat import ChatAgent, ChatError
from turnwise.records import ImagePart, Message, Task, TextPart, ToolCall

TASK = Task(id="t", env_id="x/Y-v0", split="test")


def completion(content="hello", **extra):
    message = {"role": "assistant", "content": content, **extra}
    return 200, {
        "choices": [{"message": message, "logprobs": {"content": [{"logprob": -0.5}, {"logprob": -1.25}]}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
    }


def ask(agent, *messages):
    episode = Episode(task=TASK, rollout=0, policy_seed=5, messages=list(messages))
    return asyncio.run(agent.act(messages, episode)), episode


def test_one_turn_sends_the_history_and_records_usage_and_logprobs(server):
    server.answers = [completion()]
    agent = ChatAgent("m", server.url, api_key="k", options={"temperature": 0.5}, logprobs=True)
    call = ToolCall(id="c1", name="find", arguments='{"q":1}')
    act, _ = ask(
        agent,
        Message(role="user", content=(TextPart(text="see"), ImagePart(data=b"abc"))),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="found", tool_call_id="c1"),
    )
    assert act.message == Message(role="assistant", content="hello")
    assert act.usage == {"prompt_tokens": 3, "completion_tokens": 2}
    assert act.chat_logprobs == (-0.5, -1.25)
    ((path, authorization, body),) = server.asked
    assert (path, authorization) == ("/v1/chat/completions", "Bearer k")
    assert (body["model"], body["temperature"], body["seed"], body["logprobs"]) == ("m", 0.5, 5, True)
    assert body["messages"] == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}}],
        },
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q":1}'}}],
        },
        {"role": "tool", "content": "found", "tool_call_id": "c1"},
    ]


def test_tool_calls_come_back_unparsed(server):
    server.answers = [completion(None, tool_calls=[{"id": "c9", "function": {"name": "find", "arguments": "{broken"}}])]
    act, _ = ask(ChatAgent("m", server.url, tools=[{"type": "function", "function": {"name": "find"}}]), Message(role="user"))
    assert act.message == Message(role="assistant", tool_calls=(ToolCall(id="c9", name="find", arguments="{broken"),))
    assert server.asked[0][2]["tools"] == [{"type": "function", "function": {"name": "find"}}]


def test_busy_and_failing_servers_are_asked_again(server):
    server.answers = [(429, "slow down"), (503, "loading"), completion()]
    act, _ = ask(ChatAgent("m", server.url, backoff=0.001), Message(role="user"))
    assert act.message.text == "hello"
    assert len(server.asked) == 3


def test_giving_up_says_what_was_seen(server):
    server.answers = [(500, "boom")] * 2
    with pytest.raises(ChatError, match="2 attempts, last HTTP 500: boom"):
        ask(ChatAgent("m", server.url, backoff=0.001, retries=1), Message(role="user"))
    with pytest.raises(ChatError, match="2 attempts, last ConnectError"):
        ask(ChatAgent("m", "http://127.0.0.1:9/v1", backoff=0.001, retries=1), Message(role="user"))


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "pass api_key="), (404, "base_url ends in /v1"), (400, "context"), (418, "not retried")]
)
def test_a_refusal_is_not_retried(server, status, hint):
    server.answers = [(status, "no")]
    with pytest.raises(ChatError, match=f"HTTP {status}: no; .*{hint}"):
        ask(ChatAgent("m", server.url), Message(role="user"))
    assert len(server.asked) == 1


@pytest.mark.parametrize(("answer", "words"), [("<html>", "not JSON"), ([1], "JSON list"), ({"choices": []}, "without choices")])
def test_an_answer_that_is_no_completion_is_an_error(server, answer, words):
    server.answers = [(200, answer)]
    with pytest.raises(ChatError, match=words):
        ask(ChatAgent("m", server.url), Message(role="user"))
