import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.scripts import Echo, Null
from turnwise.envs.tools.dialects import DIALECTS, Hermes
from turnwise.envs.users.domains import DOMAINS
from turnwise.envs.users.intent import Intent, Wishes, same
from turnwise.envs.users.intent_scripts import AskAll, Clarify, Erring, Guess, RandomClerk, Skip, Spam
from turnwise.envs.users.user import asked_for, asks_consent
from turnwise.records import StopReason

WRITE = Hermes().write


def begin(index=0, split="test", **options):
    env = Intent(**options)
    observation, _ = env.reset(seed=0, options={"split": split, "index": index})
    return env, observation, env.task.data


def submit(details):
    return WRITE([("submit", {"details": details})])


def test_one_episode_in_numbers():
    env, observation, data = begin(domains=["table"])
    assert [m.text for m in observation[1:]] == ["I want to eat out. It is for a farewell."]
    assert data["missing"] == {"restaurant": 3, "day": 3, "time": 3, "people": 3, "place": 2}
    assert set(data["wanted"]) == {*data["missing"], "occasion"}  # nobody is on a diet
    assert data["important"] == ["restaurant", "day", "time", "people", "place"]

    observation, _, _, _, info = env.step("Where do you want to sit?")
    assert observation[0].text == "We want to sit indoors."
    assert info["turn"]["components"] == {"intention": 0.7}
    assert info["turn"]["potential"] == 2 / 14
    # two calls in one message are one turn: the best of 3 and 3, less one too many
    two = [("ask", {"question": "Which restaurant?"}), ("ask", {"question": "the day"})]
    observation, _, _, _, info = env.step(WRITE(two))
    assert "At Bimago." in observation[0].text
    assert "On Monday." in observation[0].text
    assert info["turn"]["reward"] == pytest.approx(0.8)
    assert env.step("On which day, please?")[4]["turn"]["reward"] == 0.0  # known already
    observation, reward, *_ = env.step("Any diet?")
    assert (observation[0].text, reward) == ("The diet does not matter to me.", 0.0)
    assert env.step("At what time, and how many people?")[1] == pytest.approx(0.8)
    _, _, terminated, _, info = env.step(submit({**data["wanted"], "people": 5}))
    assert (terminated, info["outcome"].score, info["stop"]) == (True, 1.0, StopReason.SUCCESS)
    assert info["outcome"].components == {"complete": 1.0, "exact": 1.0}


def test_asking_for_three_details_at_once_is_worth_what_userrl_says():
    env, *_ = begin(domains=["table"])
    assert env.step("Which day, which time, and how many people?")[1] == pytest.approx(0.6)


def test_asking_for_everything_at_once_costs_more_than_it_brings():
    tasks = Wishes().get_task_range("test", 0, 60)
    polite = rollout(Intent, ScriptedAgent(Clarify), tasks)
    rude = rollout(Intent, ScriptedAgent(AskAll), tasks)
    assert all(t.outcome.score == 1 for t in (*polite, *rude))
    assert all(t.turns[0].reward == pytest.approx(1 - 0.2 * 6) for t in rude)
    assert min(t.turn_reward_sum for t in polite) > 2 > max(t.turn_reward_sum for t in rude)


@pytest.mark.parametrize(
    ("change", "complete", "exact", "note"),
    [
        ({"occasion": None}, 1.0, 1.0, ""),  # of no importance
        ({"occasion": "a wedding day"}, 1.0, 0.0, "not wanted occasion: 'a wedding day'"),
        ({"day": None}, 0.8, 1.0, "missing day"),
        ({"day": "  "}, 0.8, 1.0, "missing day"),
        ({"day": "Tuesday"}, 0.8, 0.0, "not wanted day: 'Tuesday'"),
        ({"diet": "vegan"}, 1.0, 0.0, "not wanted diet: 'vegan'"),  # invented
        ({"restaurant": "at BIMAGO", "people": "5 people"}, 1.0, 1.0, ""),
    ],
)
def test_what_counts(change, complete, exact, note):
    env, _, data = begin(domains=["table"])
    details = {**data["wanted"], **change}
    _, _, terminated, _, info = env.step(submit({k: v for k, v in details.items() if v is not None}))
    outcome = info["outcome"]
    assert (terminated, outcome.components, outcome.note) == (True, {"complete": complete, "exact": exact}, note)
    assert outcome.score == float(complete == exact == 1)


def test_same_values():
    assert same("7 nights", "7")
    assert same("1,200 €", "1200")
    assert same("2.0 kg", "2")
    assert same("by the Window", "window")
    assert same("street", "Street")  # a unit alone is a value
    for left, right in (("17", "7"), ("", ""), ("not Friday", "Friday"), ("Friday or Sunday", "Friday"), ("12:15", "12")):
        assert not same(left, right)
    for domain in DOMAINS.values():
        for field in domain.fields.values():
            assert sum(same(a, b) for a in field.values for b in field.values) == len(field.values)


@pytest.mark.parametrize("name", DOMAINS)
def test_each_question_asks_for_its_field_alone(name):
    domain = DOMAINS[name]
    facts = {n: {"say": "", "asked": list(f.asked)} for n, f in domain.fields.items()}
    for field, details in domain.fields.items():
        assert asked_for(facts, details.question) == [field]
        assert not asks_consent(details.question, facts)
    for request in domain.requests:
        assert all("{" not in text for text in (request, *(f.question for f in domain.fields.values())))
    assert [f.importance for f in domain.fields.values() if f.values == ("{name}",)] == [3]


def test_what_cannot_be_used_is_told():
    env, *_ = begin(domains=["trip"])
    for text, told, valid in (
        (submit({"hotel": "x"}), "the form has no field 'hotel'; its fields: destination, month,", False),
        (WRITE([("ask", {"question": " "})]), "question is empty", False),
        (WRITE([("submit", {})]), "details is missing", False),
        (submit({"month": ["May"]}), "wrong arguments for submit", False),
        ("<tool_call>{", "Error: <tool_call> is not closed", False),
        ("How do you like the weather?", "", True),
    ):
        observation, _, terminated, _, info = env.step(text)
        assert told in observation[0].text
        assert (info["turn"]["action_valid"], terminated) == (valid, False)
    assert "(The user has left. Finish with what you know.)" in env.step("Here you are.")[0][0].text
    assert env.step("Where?")[0][0].text == "The user has left. Finish with what you know."
    assert env.step(submit({}))[2]
    for wrong, message in (
        ({"holdout": "both"}, "allowed: entity, template"),
        ({"domains": ["war"]}, "allowed: at least one of table,"),
        ({"domains": ["trip", "car"], "holdout": "template"}, "2 are too few"),
        ({"tasks": 0}, "at least 1"),
        ({"weights": {"x": 1}}, "unknown turn reward"),
    ):
        with pytest.raises(ValueError, match=message):
            Intent(**wrong)


@pytest.mark.parametrize(("dialect", "talk"), [*((d, False) for d in DIALECTS), ("hermes", True)])
def test_the_gold_agent_wins_a_thousand_tasks(dialect, talk):
    env = Intent(dialect=dialect)
    tasks = env.tasks.get_task_range("test", 0, 1000 if talk or dialect == "hermes" else 60)
    done = rollout(lambda: env, ScriptedAgent(Clarify, dialect=dialect, talk=talk), tasks, concurrency=1)
    assert all(t.outcome.score == 1.0 for t in done)
    worth = {1: 0.4, 2: 0.7, 3: 1.0}
    assert all(t.turn_reward_sum == pytest.approx(sum(worth[n] for n in t.task.data["missing"].values())) for t in done)
    assert all(t.turns[-1].potential == 1.0 for t in done)


@pytest.mark.parametrize("script", [Null, Echo, Spam, Guess, Skip])
def test_bad_agents_score_nothing(script):
    tasks = Wishes().get_task_range("validation", 0, 1000)
    assert sum(t.outcome.score for t in rollout(Intent, ScriptedAgent(script), tasks)) == 0


def test_half_of_the_questions_are_not_enough():
    tasks = Wishes().get_task_range("train", 0, 300)
    lucky = sum(t.outcome.score for t in rollout(Intent, ScriptedAgent(RandomClerk), tasks)) / 300
    assert 0.05 < lucky < 0.4  # 0.7 to the power of 3 to 5 missing details, and some luck


def test_an_erring_clerk_leaves_out_questions_and_what_they_ask_for():
    tasks = Wishes().get_task_range("train", 0, 300)
    for share, least, most in ((0.0, 1.0, 1.0), (0.25, 0.25, 0.45), (1.0, 0.0, 0.0)):  # 0.75 to the power of 3 to 5 is 0.42 to 0.24
        done = rollout(Intent, ScriptedAgent(Erring, leave_out=share), tasks)
        assert least <= sum(t.outcome.score for t in done) / 300 <= most
        assert all(t.outcome.components["exact"] == 1 for t in done)  # nothing is made up
        assert all(len(t.turns) <= 7 for t in done)  # one field of seven is told by the request
        if share in (0, 1):
            assert {len(t.turns) for t in done} == {1 if share else 7}


def test_instructions_stand_in_place_of_rules_and_signatures():
    env, observation, _ = begin(domains=["table"], instructions="Clarify.")
    assert [m.text for m in observation] == ["Clarify.", "I want to eat out. It is for a farewell."]
    assert env.step("On which day?")[0][0].text == "On Monday."


def test_splits_share_no_names_and_if_wanted_no_domain():
    tasks = {s: Wishes().get_task_range(s, 0, 1000) for s in ("train", "validation", "test")}
    names = [{v for t in tasks[s] for v in t.data["wanted"].values() if v.isalpha() and v.istitle()} for s in tasks]
    made_up = [n - {v for d in DOMAINS.values() for f in d.fields.values() for v in f.values} for n in names]
    assert made_up[0] & made_up[1] == made_up[0] & made_up[2] == made_up[1] & made_up[2] == set()
    assert min(map(len, made_up)) == 1000
    kinds = [{t.data["domain"] for t in Wishes(holdout="template").get_task_range(s, 0, 50)} for s in tasks]
    assert [len(k) for k in kinds] == [6, 3, 3]
    assert set.union(*kinds) == set(DOMAINS)


def test_unscored_turns_still_have_potentials():
    env, *_ = begin(domains=["table"], weights={})
    info = env.step("Which restaurant?")[4]
    assert (info["turn"]["reward"], info["turn"]["potential"]) == (None, 3 / 14)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text() | st.sampled_from(["When?", "Shall I?", "Done.", submit({"day": "x" * 50})]), max_size=14), st.integers(0, 99))
def test_any_text_is_an_observation(texts, index):
    env = Intent(tasks=100)
    env.reset(seed=0, options={"split": "train", "index": index})
    for text in texts:
        observation, _, terminated, truncated, info = env.step(text)
        assert observation
        json.loads(env.snapshot())
        if terminated or truncated:
            assert info["outcome"].score == 0
            return


def test_the_contract_is_kept_with_a_held_out_template():
    report = check_env("turnwise/Intent-v0", holdout="template")
    assert report.ok, str(report)
