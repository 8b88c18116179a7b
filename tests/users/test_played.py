"""Users played by models, against a real chat server that keeps to its part, or does not."""

import json
import pickle
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.base import EnvFault
from turnwise.envs.users.intent import Intent, Wishes
from turnwise.envs.users.intent_scripts import Clarify
from turnwise.envs.users.played import PlayedUser, agrees, tells, user_of
from turnwise.envs.users.user import ScriptedUser, questions
from turnwise.records import StopReason

GOAL = {
    "opening": ["Hello."],
    "facts": {"name": {"say": "My name is Bavuno Teri.", "asked": ["name"]}},
    "requests": [
        {
            "say": ["I want to cancel an order."],
            "facts": {
                "order": {"say": "The order is 481-207.", "asked": ["order number", "which order"]},
                "reason": {"say": "It came too late.", "asked": ["why", "reason"]},
            },
            "change": {
                "say": "On second thoughts, cancel 993-110 instead.",
                "facts": {"order": {"say": "The order is 993-110.", "asked": ["order number", "which order"]}},
            },
        }
    ],
}


@pytest.fixture
def server():
    """A chat server whose answers ``httpd.play(messages)`` writes; None: it drops the connection."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            messages = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
            httpd.asked.append(messages)
            text = httpd.play(messages)
            if text is None:
                self.close_connection = True
                return
            data = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.asked = []
        httpd.config = {"url": f"http://127.0.0.1:{httpd.server_port}/v1", "model": "m", "backoff": 0.001, "retries": 1}
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def played(server, *answers):
    """A user whose model gives these answers in order, the last again and again."""
    left = list(answers)
    server.play = lambda _: left.pop(0) if len(left) > 1 else left[0]
    return PlayedUser(server.config)


def started(server, *answers):
    user = played(server, "Hi, I would like to cancel an order.", *answers)
    user.begin(GOAL, np.random.default_rng(0))
    return user


def test_a_model_that_keeps_to_its_part(server):
    user = played(
        server,
        "<think>I greet.</think>\n\nHi, I'd like to cancel an order.",
        "Sure: Bavuno Teri, and the order is 481-207.",
        "On second thoughts, cancel 993-110 instead.",
        "Yes, please.",
        "Thank you! ###STOP###",
    )
    assert user.begin(GOAL, np.random.default_rng(0)).text == "Hi, I'd like to cancel an order."
    assert user.hear("What is your name, and which order is it?").text == "Sure: Bavuno Teri, and the order is 481-207."
    assert not user.hear("Shall I cancel 481-207?").agreed
    assert user.hear("Shall I cancel 993-110 then?").agreed
    last = user.hear("Done. Anything else?")
    assert (last.text, last.over, last.agreed) == ("Thank you!", True, False)
    assert not user.retries
    system, *talk = server.asked[-1]
    assert system["role"] == "system"
    assert [m["role"] for m in talk] == ["user", "assistant"] * 4 + ["user"]
    assert talk[1]["content"] == "Hi, I'd like to cancel an order."
    for fact in ("My name is Bavuno Teri.", "Wish 1: I want to cancel an order.", "The order is 481-207.", "The order is 993-110."):
        assert fact in system["content"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "was empty"),
        ("  \n<think>What now?</think>  ", "was empty"),
        ("<think>What now?", "held a role, a tag or a function call"),
        ("I am to tell a fact only when the assistant asks for it, and then only that one.", "spoke of the instructions"),
        ("My instructions say that I want to cancel an order.", "spoke of the instructions"),
        ("Bye. ###STOP### Bye.", "had ###STOP### before its end"),
        ("Hi, I am Bavuno and it came too late, order 481-207.", "told a fact that was not asked for (name)"),
        ("It is 481-207.", "told a fact that was not asked for (order)"),
        ("It simply came much too late.", "told a fact that was not asked for (reason)"),
        ("Sure, how can I help you today?", "spoke as the assistant"),
        ("As an AI, I have no orders.", "spoke as the assistant"),
        ('<tool_call>{"name": "cancel"}</tool_call>', "held a role, a tag or a function call"),
        ("Cancel it.\nAssistant: It is cancelled.", "held a role, a tag or a function call"),
        ("<|im_start|>user", "held a role, a tag or a function call"),
    ],
)
def test_what_breaks_the_part_is_asked_for_again(server, message, reason):
    user = started(server, message, "I just want it cancelled.")
    reply = user.hear("Hello! I am glad to see you.")
    assert reply.text == "I just want it cancelled."
    assert user.retries == {reason: 1}
    heard = server.asked[-1][-1]["content"]
    assert heard.startswith("Hello! I am glad to see you.")
    assert f"your last message {reason}." in heard
    # what was broken is not part of the conversation
    assert [m["content"] for m in user_talk(user)] == ["Hi, I would like to cancel an order.", "I just want it cancelled."]

    user = started(server, message)
    with pytest.raises(EnvFault) as fault:
        user.hear("Hello!")
    assert f"'m' broke its part 3 times: its message {reason}" in str(fault.value)
    assert user.retries == {reason: 2}


def user_talk(user):
    return [{"content": said} for _, said in user.state()["talk"]]


def test_a_fault_says_what_the_model_said(server):
    with pytest.raises(EnvFault, match="it said 'how may I assist you"):
        played(server, "how may I assist you").begin(GOAL, np.random.default_rng(0))
    with pytest.raises(EnvFault, match="ended the conversation before it began"):
        played(server, "Bye. ###STOP###").begin(GOAL, np.random.default_rng(0))
    with pytest.raises(EnvFault, match="told a fact that was not asked for"):
        played(server, "Hello, this is Bavuno. I want to cancel order 481-207.").begin(GOAL, np.random.default_rng(0))


def test_a_server_that_dies_voids_the_episode(server):
    with pytest.raises(EnvFault, match="no answer in 2 attempts"):
        played(server, None).begin(GOAL, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("Which order is it, and why?", "Order 481-207; it came too late."),
        ("Is it order 481-207 of Bavuno Teri?", "Yes, 481-207, I am Bavuno Teri."),  # nothing that the assistant did not know
        ("Can I cancel it?", "On second thoughts, cancel 993-110 instead."),
        ("Here you are.", "I want to cancel an order!"),
    ],
)
def test_what_may_be_told(server, heard, said):
    user = started(server, said)
    assert user.hear(heard).text == said
    assert not user.retries


def test_what_was_asked_once_may_be_told_later(server):
    user = started(server, "One moment.", "It is 481-207.", "993-110!", "Never mind.", "993-110!")
    user.hear("What is the order number?")
    assert user.hear("Take your time.").text == "It is 481-207."
    assert user.hear("Thanks.").text == "Never mind."  # it has not changed its mind yet
    assert user.retries == {"told a fact that was not asked for (order)": 1}
    assert user.hear("Shall I?").text == "993-110!"


def test_only_a_marker_is_a_goodbye(server):
    reply = started(server, "###STOP###").hear("That is impossible.")
    assert (reply.text, reply.over) == ("Goodbye.", True)


def test_everything_at_once_if_wanted(server):
    server.play = lambda _: "I am Bavuno Teri; please cancel order 993-110, it came too late."
    user = PlayedUser(server.config, tell="all")
    assert user.begin(GOAL, np.random.default_rng(0)).agreed
    assert "states your first wish and all the facts below" in server.asked[0][0]["content"]
    assert "On second thoughts" not in server.asked[0][0]["content"]


def test_long_messages_are_cut_and_silence_is_told(server):
    user = started(server, "Hm.")
    user.hear("x" * 100_000)
    assert server.asked[-1][-1]["content"] == "x" * 4000
    user.hear(" \ud800"[:1])
    assert server.asked[-1][-1]["content"] == "(says nothing)"


def test_a_yes_to_something_else_is_no_consent(server):
    user = started(server, "Yes, it came too late.", "Yes. ###STOP###")
    assert not user.hear("Why? Was it late?").agreed
    assert not user.hear("Shall I cancel it?").agreed  # it says yes and leaves


def test_the_brief_keeps_to_one_paraphrase(server):
    wishes = ["Cancel my order.", "I want to cancel an order.", "Please cancel something."]
    goal = {**GOAL, "requests": [{**GOAL["requests"][0], "say": wishes}]}
    seen = set()
    for seed in range(12):
        user = played(server, "Hi.")
        user.begin(goal, np.random.default_rng(seed))
        other = PlayedUser(server.config)
        other.resume(goal, user.state())
        assert other.brief() == user.brief()
        seen |= {wish for wish in wishes if f"Wish 1: {wish}" in user.brief()}
    assert seen == set(wishes)


def test_a_state_carries_the_conversation_to_another_object(server):
    user = started(server, "It is 481-207.", "It is 481-207.")
    user.hear("Which order is it?")
    other = PlayedUser(server.config)
    other.resume(GOAL, json.loads(json.dumps(user.state())))
    assert other.hear("Thanks.") == user.hear("Thanks.")
    assert server.asked[-1] == server.asked[-2]


@pytest.mark.parametrize(
    ("answer", "yes"),
    [
        ("Yes.", True),
        ("Sure, go ahead!", True),
        ("That's correct, please proceed. Thank you.", True),
        ("No problem, that's fine.", True),
        ("No.", False),
        ("Yes, but make it two.", False),
        ("Actually, yes, cancel the other one.", False),
        ("That is not right.", False),
        ("I don't agree.", False),
        ("What does it cost?", False),
        ("Is that right?", False),
        ("", False),
    ],
)
def test_agreement(answer, yes):
    assert agrees(answer) is yes


def test_what_tells_a_fact():
    def fact(say):
        return {"say": say, "asked": []}

    assert tells("it's for TERI", fact("My name is Bavuno Teri."), [])
    assert not tells("It's for Teri", fact("My name is Bavuno Teri."), ["teri"])
    assert not tells("My order. The name.", fact("My name is Bavuno Teri."), [])
    assert tells("a@b.com works", fact("Write to a@b.com."), [])
    assert not tells("There are 5 reasons.", fact("There will be 5 people."), [])
    assert tells("We are 5 people.", fact("There will be 5 people."), [])
    assert not tells("We are 5 people.", fact("There will be 5 people."), ["5", "people"])
    assert not tells("anything", fact("It is."), [])


@given(st.text(), st.text())
def test_any_text_can_be_judged(text, say):
    tells(text, {"say": say, "asked": ["x"]}, [])
    agrees(text)
    questions(text)


def test_users_by_their_settings(server):
    assert isinstance(user_of("scripted"), ScriptedUser)
    assert user_of({"kind": "scripted", "tell": "all"}).tell == "all"
    user = user_of({"kind": "played", "endpoint": server.config, "attempts": 5})
    assert (user.attempts, user.endpoint.model) == (5, "m")
    for wrong, message in (
        ("real", "user is 'real'; allowed: scripted, told, or a mapping with kind scripted or played"),
        (7, "or an object with begin, hear, state and resume"),
        ({"tell": "all"}, "or a mapping with kind"),
        ({"kind": "scripted", "endpoint": {}}, r"unknown keys \['endpoint'\] of a scripted user; allowed: kind, tell"),
        ({"kind": "played"}, 'needs "endpoint"'),
        ({"kind": "played", "endpoint": {"ulr": "x"}}, "unknown keys \\['ulr'\\], missing keys \\['url', 'model'\\]"),
        ({"kind": "played", "endpoint": server.config, "tell": "never"}, "allowed: when_asked, all"),
        ({"kind": "played", "endpoint": server.config, "attempts": 0}, "attempts is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            user_of(wrong)


def play_table(messages):
    """A model that finds its answers in the brief."""
    facts = dict(line[2:].split(": ", 1) for line in messages[0]["content"].splitlines() if line.startswith("- "))
    heard = messages[-1]["content"].lower()
    if len(messages) == 2:
        return next(line for line in messages[0]["content"].splitlines() if line.startswith("Wish 1")).partition(": ")[2]
    return " ".join(say for name, say in facts.items() if name in heard) or "I do not know."


def test_an_environment_with_a_played_user(server):
    server.play = play_table
    env = Intent(user={"kind": "played", "endpoint": server.config}, domains=["table"])
    observation, _ = env.reset(seed=0, options={"split": "test", "index": 0})
    assert observation[1].text == "I want to eat out. It is for a farewell."
    observation, reward, *_ = env.step("Which restaurant?")
    assert (observation[0].text, reward) == ("At Bimago.", 1.0)
    saved = env.snapshot()
    first = env.step("At what time?")
    other = pickle.loads(pickle.dumps(Intent(user={"kind": "played", "endpoint": server.config}, domains=["table"])))
    other.restore(saved)
    assert other.step("At what time?") == first
    server.play = lambda _: "At Bimago, on Monday, 12:15, with 5 people."
    _, reward, terminated, truncated, info = env.step("Hm.")
    assert (reward, terminated, truncated, info["stop"], info["outcome"].valid) == (0.0, False, True, StopReason.ENV_FAULT, False)


def test_an_episode_with_a_broken_user_is_void_from_the_first_word_on(server):
    server.play = lambda _: ""
    task = Wishes().get_task("test", 0)
    config = {"kind": "played", "endpoint": server.config, "attempts": 1}
    (played,) = rollout(lambda: Intent(user=config), ScriptedAgent(Clarify), [task])
    assert (played.outcome.valid, played.stop, len(played.turns)) == (False, StopReason.ENV_FAULT, 0)
    assert "its message was empty" in played.outcome.note
