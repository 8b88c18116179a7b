import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.envs.users.user import PATIENCE, Reply, ScriptedUser, asked_for, asks_consent, sentences

GOAL = {
    "opening": ["Hello."],
    "facts": {
        "name": {"say": "My name is Bavuno Teri.", "asked": ["name", "who are you"]},
        "email": {"say": "It is teri@bavuno.com.", "asked": ["e-mail", "email"]},
    },
    "requests": [
        {
            "say": ["I want to cancel an order."],
            "facts": {"order": {"say": "The order is 481-207.", "asked": ["order number", "which order"]}},
            "change": {
                "say": "On second thoughts, cancel 993-110 instead.",
                "facts": {"order": {"say": "It is 993-110.", "asked": ["order number", "which order"]}},
            },
        },
        {
            "say": ["I also want to pay for another one."],
            "facts": {"payment": {"say": "By voucher.", "asked": ["pay", "voucher"]}},
        },
    ],
}
PLAIN = {"opening": ["Hi."], "facts": {}, "requests": [GOAL["requests"][1]]}
YES = {"Yes, please go ahead.", "Yes.", "That is right, yes."}


def user(goal=GOAL, tell="when_asked", seed=0):
    made = ScriptedUser(tell)
    made.begin(goal, np.random.default_rng(seed))
    return made


def test_it_opens_with_its_wish_and_without_its_facts():
    assert ScriptedUser().begin(GOAL, np.random.default_rng(0)) == Reply(text="Hello. I want to cancel an order.")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("What is your name?", "My name is Bavuno Teri."),
        ("May I have your name?", "My name is Bavuno Teri."),
        ("Can I get your e-mail, please?", "It is teri@bavuno.com."),
        ("Please tell me the order number.", "The order is 481-207."),
        ("I need your name and the order number.", "My name is Bavuno Teri. The order is 481-207."),
        ("Sure!\nWho are you? And which order is it (if you know)?", "My name is Bavuno Teri. The order is 481-207."),
        ("Could you confirm your order number?", "The order is 481-207."),
        ('I found a@b.com and 12.50 EUR. "What is your NAME?"', "My name is Bavuno Teri."),
    ],
)
def test_it_tells_what_is_asked_and_only_that(asked, told):
    assert user().hear(asked) == Reply(text=told)


def test_words_are_found_where_words_begin():
    facts = {"id": {"say": "It is 7.", "asked": ["id"]}, "ship": {"say": "By sea.", "asked": ["ship"]}}
    assert asked_for(facts, "Did you enjoy the friendship?") == []
    assert asked_for(facts, "Which ID is it, and how is it shipped?") == ["id", "ship"]
    assert asked_for(facts, "The id is 7 and I ship it.") == []


@pytest.mark.parametrize(
    ("text", "consent"),
    [
        ("Shall I go ahead?", True),
        ("I will refund $12.50 to a@b.com. Do you agree to a fee of $1.20?", True),
        ("Please confirm.", True),
        ('Reply "yes" to confirm the cancellation of order 481-207.', True),
        ("Is that right? (yes/no)", True),
        ("Can I cancel the order 481-207 for you?", True),
        ("How can I help you today?", False),
        ("What can I do for you?", False),
        ("Which one do you want?", False),
        ("May I have your name?", False),
        ("Is there anything else I can confirm?", False),
        ("I can confirm that it is cancelled.", False),
        ("Do you want to pay by card or voucher?", False),
        ("Do you want a voucher?", False),
        ("Do you want me to cancel the order with that order number?", True),
        ("Do you want to proceed?", True),
    ],
)
def test_what_asks_for_a_yes(text, consent):
    facts = {**GOAL["facts"], **GOAL["requests"][1]["facts"]}
    assert asks_consent(text, facts) is consent


def test_it_changes_its_mind_once_and_then_knows_other_facts():
    talk = user()
    assert talk.hear("Which order?").text == "The order is 481-207."
    assert talk.hear("Shall I cancel 481-207?") == Reply(text="On second thoughts, cancel 993-110 instead.")
    assert talk.hear("Which order?").text == "It is 993-110."
    again = talk.hear("Shall I cancel 993-110?")
    assert (again.agreed, again.over, again.text in YES) == (True, False, True)


def test_a_message_may_ask_for_consent_and_for_facts():
    talk = user()
    reply = talk.hear("Shall I cancel 481-207? And what is your name?")
    assert (reply.text, reply.agreed) == ("On second thoughts, cancel 993-110 instead. My name is Bavuno Teri.", False)
    reply = talk.hear("Please tell me your name. Do you agree?")
    assert (reply.text.endswith(" My name is Bavuno Teri."), reply.agreed) == (True, True)
    reply = talk.hear("I cancel the order with the order number 993-110. Shall I go ahead?")
    assert (reply.text in YES, reply.agreed) == (True, True)


def test_of_long_messages_the_end_is_heard_and_soon():
    start = time.monotonic()
    assert user().hear("what " * 100_000 + "\nWhat is your name?").text == "My name is Bavuno Teri."
    assert user().hear("What is your name?" + " else" * 100_000).text != "My name is Bavuno Teri."
    assert time.monotonic() - start < 2


def test_requests_come_one_after_the_other_and_then_it_leaves():
    talk = user()
    second = talk.hear("I have cancelled it. Is there anything else?")
    assert (second.text.endswith(" I also want to pay for another one."), second.over) == (True, False)
    assert talk.hear("What about the order number?").text.endswith("I also want to pay for another one.")  # a fact of the first request
    assert talk.hear("How do you pay?").text == "By voucher."
    assert talk.hear("Shall I?").agreed  # nothing to change its mind to
    last = talk.hear("Done.")
    assert (last.over, last.agreed) == (True, False)


def test_an_announcement_is_no_result():
    talk = user()
    assert talk.hear("One moment, I will look it up.") == Reply(text="All right.")
    assert talk.hear("I have looked it up.").text.endswith("I also want to pay for another one.")


def test_without_patience_it_leaves():
    talk = user()
    for left in range(PATIENCE, 0, -1):
        reply = talk.hear(["", " \n", "Do you like horses?", "Let me see."][left % 4])
        assert reply.over is (left == 1)
    assert reply.text == "This leads nowhere. I will try another time."


def test_questions_that_are_answered_cost_no_patience():
    talk = user()
    assert not any(talk.hear("What is your name?").over for _ in range(3 * PATIENCE))


def test_it_can_tell_everything_at_once():
    talk = ScriptedUser("all")
    first = talk.begin(GOAL, np.random.default_rng(0))
    assert first.agreed
    assert first.text == (
        "Hello. My name is Bavuno Teri. It is teri@bavuno.com. I want to cancel an order. It is 993-110. "
        "I also want to pay for another one. By voucher."
    )
    assert talk.hear("Shall I go ahead?").agreed  # its mind is made up
    assert talk.hear("Both are done.").over


def test_paraphrases_follow_from_the_generator():
    goal = {**PLAIN, "opening": ["Hello.", "Hi.", "Good day."]}
    openings = [ScriptedUser().begin(goal, np.random.default_rng(seed)).text for seed in range(20)]
    assert len(set(openings)) == 3
    assert openings == [ScriptedUser().begin(goal, np.random.default_rng(seed)).text for seed in range(20)]


WORDS = st.sampled_from(
    ["What is your name?", "Which order?", "Shall I go ahead?", "Done.", "Let me see.", "", "Anything else?", "Please confirm.", "\x00?"]
)


@settings(max_examples=200)
@given(st.lists(WORDS | st.text(), max_size=12), st.sampled_from(["when_asked", "all"]))
def test_any_text_gets_a_reply(texts, tell):
    talk = user(tell=tell)
    for text in texts:
        reply = talk.hear(text)
        assert reply.text
        assert not (reply.over and reply.agreed)


@settings(max_examples=50)
@given(st.lists(WORDS, max_size=6), st.lists(WORDS, max_size=6), st.integers(0, 9))
def test_a_state_carries_the_conversation_to_another_object(before, after, seed):
    talk = user(seed=seed)
    for text in before:
        talk.hear(text)
    other = ScriptedUser()
    other.resume(GOAL, json.loads(json.dumps(talk.state())))
    assert [talk.hear(text) for text in after] == [other.hear(text) for text in after]
    assert talk.state() == other.state()


@given(st.text(alphabet="a.?! \n\"'12", max_size=60))
def test_sentences_lose_no_word(text):
    kept = "".join(sentences(text))
    assert [c for c in kept if c in "a12"] == [c for c in text if c in "a12"]


def test_there_are_two_ways_to_tell():
    with pytest.raises(ValueError, match="allowed: when_asked, all"):
        ScriptedUser("never")


def test_every_request_may_have_its_change_of_mind():
    goal = {**GOAL, "requests": [GOAL["requests"][0]] * 2}
    talk = user(goal)
    for _ in range(2):
        assert not talk.hear("Shall I cancel 481-207?").agreed
        assert talk.hear("Which order?").text == "It is 993-110."
        assert talk.hear("Shall I cancel 993-110?").agreed
        talk.hear("Done.")
