"""The environments' chat client against a real HTTP server on this machine."""

import gc
import os
import pickle
import time

import pytest
from turnwise.envs.base import EnvFault
from turnwise.envs.endpoint import ChatEndpoint, Completion
from turnwise.records import ImagePart, Message, TextPart, ToolCall

HELLO = (Message(role="user", content="hello"),)
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "hi"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def endpoint(server, **options):
    return ChatEndpoint(url=server.url, model="m", **{"backoff": 0.001, **options})


def test_one_request_and_its_answer(server, monkeypatch):
    monkeypatch.setenv("A_KEY", "secret")
    server.answers = [(200, ANSWER)]
    call = ToolCall(id="c1", name="find", arguments='{"q":1}')
    messages = (
        Message(role="system", content="be brief"),
        Message(role="user", content=(TextPart(text="see"), ImagePart(data=b"abc"))),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="found", tool_call_id="c1"),
    )
    asked = endpoint(server, key_env="A_KEY", max_tokens=7, temperature=0.5, extra={"top_p": 0.9})
    assert asked.complete(messages) == Completion(text="hi", prompt_tokens=3, completion_tokens=2)
    ((path, authorization, body),) = server.asked
    assert (path, authorization) == ("/v1/chat/completions", "Bearer secret")
    assert body == {
        "model": "m",
        "temperature": 0.5,
        "max_tokens": 7,
        "top_p": 0.9,
        "messages": [
            {"role": "system", "content": "be brief"},
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
        ],
    }


@pytest.mark.parametrize("content", [None, ""])
def test_an_empty_answer_is_empty_text_and_unknown_counts_are_none(server, content):
    server.answers = [(200, {"choices": [{"message": {"content": content}}]})]
    assert endpoint(server).complete(HELLO) == Completion(text="", prompt_tokens=None, completion_tokens=None)


def test_half_a_surrogate_pair_is_sent_as_a_question_mark(server):
    server.answers = [(200, ANSWER)]
    endpoint(server).complete((Message(role="user", content="a\ud800b"),))
    assert server.asked[0][2]["messages"] == [{"role": "user", "content": "a?b"}]


def test_busy_failing_and_silent_servers_are_asked_again(server):
    server.answers = [(429, "slow down", ("Retry-After", "0.01")), (503, "loading"), ("hang", 0.3), (200, ANSWER)]
    assert endpoint(server, retries=3, timeout=0.15).complete(HELLO).text == "hi"
    assert len(server.asked) == 4


def test_retry_after_is_kept_to(server):
    server.answers = [(429, "slow down", ("Retry-After", "0.3")), (200, ANSWER)]
    start = time.monotonic()
    endpoint(server).complete(HELLO)
    assert time.monotonic() - start >= 0.3


def test_giving_up_says_what_was_seen(server):
    server.answers = [(500, "boom")] * 3
    with pytest.raises(EnvFault, match=r"\(model 'm'\) gave no answer in 3 attempts, last HTTP 500: boom; is the server up"):
        endpoint(server).complete(HELLO)
    with pytest.raises(EnvFault, match="2 attempts, last ConnectError"):
        ChatEndpoint(url="http://127.0.0.1:9/v1", model="m", retries=1, backoff=0.001).complete(HELLO)


@pytest.mark.parametrize(("status", "hint"), [(401, "key_env="), (404, "ends in /v1"), (400, "context"), (418, "not tried again")])
def test_a_refusal_is_not_retried(server, status, hint):
    server.answers = [(status, "no")]
    with pytest.raises(EnvFault, match=f"HTTP {status}: no; .*{hint}"):
        endpoint(server).complete(HELLO)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("<html>", "without choices"),
        ([1], "without choices"),
        ({"choices": []}, "without choices"),
        ({"choices": [{"message": {"content": [1]}}]}, "not text"),
    ],
)
def test_an_answer_that_is_no_completion_is_a_fault(server, answer, words):
    server.answers = [(200, answer)]
    with pytest.raises(EnvFault, match=words):
        endpoint(server).complete(HELLO)


def test_a_missing_key_is_a_fault_that_names_the_variable(server, monkeypatch):
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(EnvFault, match=r"'NO_KEY' .* is not set"):
        endpoint(server, key_env="NO_KEY").complete(HELLO)
    assert server.asked == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "127.0.0.1/v1"}, "http://"),
        ({"url": "http://x:port/v1"}, "Invalid port"),
        ({"model": ""}, "model is empty"),
        ({"timeout": 0}, "timeout is 0"),
        ({"retries": -1}, "retries is -1"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"extra": {"messages": []}}, "remove them from extra"),
        ({"extra": {"seed": {1}}}, "plain JSON"),
        ({"colour": "red"}, r"unknown keys \['colour'\].*allowed: url, model, key_env"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        ChatEndpoint.of({"url": "http://x/v1", "model": "m", **wrong})
    with pytest.raises(ValueError, match=r"missing keys \['model'\]"):
        ChatEndpoint.of({"url": "http://x/v1"})


def test_it_can_be_pickled_and_leaves_nothing_open(server):
    server.answers = [(200, ANSWER)] * 5
    first = ChatEndpoint.of({"url": server.url + "/", "model": "m"})
    assert ChatEndpoint.of(first) is first
    copy = pickle.loads(pickle.dumps(first))
    assert copy == first
    copy.complete(HELLO)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(4):
        copy.complete(HELLO)
    gc.collect()
    deadline = time.monotonic() + 10  # the server, in this process too, closes its ends a moment later
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before
    assert server.asked[0][0] == "/v1/chat/completions"
