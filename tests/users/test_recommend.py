import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.scripts import Echo, Null
from turnwise.envs.tools.dialects import DIALECTS, Hermes
from turnwise.envs.users.catalogue import KINDS, best_liking, catalogue, choice, liking, obeys
from turnwise.envs.users.recommend import Customers, Recommend
from turnwise.envs.users.recommend_scripts import Advise, Blind, Claimless, Nothing, RandomPick, Spam, Unasked
from turnwise.envs.users.user import asked_for, asks_consent
from turnwise.records import StopReason
from turnwise.rewards.users import factual_consistency, instruction_following, relevance

WRITE = Hermes().write
ITEMS = {
    "K1": {"colour": "red", "light": "warm", "price": 50, "rating": 4.0},
    "K2": {"colour": "red", "light": "cold", "price": 40, "rating": 4.0},
    "K3": {"colour": "blue", "light": "warm", "price": 30, "rating": 3.0},
    "K4": {"colour": "blue", "light": "cold", "price": 20, "rating": 5.0},
    "K5": {"colour": "red", "light": "warm", "price": 90, "rating": 5.0},
}
RULES = {"count": 2, "max_price": 60, "min_rating": 0.0}
TASTES = {"colour": ["red", 3], "light": ["warm", 1]}


def begin(index=0, **options):
    env = Recommend(**options)
    env.reset(seed=0, options={"split": "test", "index": index})
    data = env.task.data
    return env, catalogue(*data["shop"]), data


def offer(ids, claims, prediction):
    said = [dict(zip(("item_id", "attribute", "value"), claim, strict=True)) for claim in claims]
    return WRITE([("recommend", {"item_ids": ids, "claims": said, "prediction": prediction})])


def test_what_people_like_and_take():
    assert [liking(item, TASTES) for item in ITEMS.values()] == [4, 3, 1, 0, 4]
    assert [i for i in ITEMS if not obeys(ITEMS[i], RULES)] == ["K5"]
    assert [i for i in ITEMS if obeys(ITEMS[i], {**RULES, "min_rating": 4.0, "colour": "blue"})] == ["K4"]
    assert best_liking(ITEMS, RULES, TASTES) == 7
    assert choice(ITEMS, ["K3", "K2", "K5"], RULES, TASTES) == "K2"  # K5 is liked better and too dear
    assert choice(ITEMS, ["K4"], RULES, TASTES) == "none"
    assert choice(ITEMS, ["K5"], RULES, TASTES) == "none"
    assert choice(ITEMS, ["K1", "K2"], RULES, {"colour": ["red", 3]}) == "K2"  # the cheaper of equals


def test_the_four_components():
    assert instruction_following([True, True], 2) == 1
    assert instruction_following([True, False], 2) == pytest.approx(2 / 3)
    assert instruction_following([True, True, True], 2) == 0.75
    assert instruction_following([], 2) == 0
    assert factual_consistency(4, 4, 4) == 1
    assert factual_consistency(3, 6, 4) == 0.5
    assert factual_consistency(1, 1, 4) == 0.25
    assert factual_consistency(0, 0, 4) == 0
    assert relevance([4, 3], 7, 2) == 1
    assert relevance([4], 7, 2) == pytest.approx(4 / 7)
    assert relevance([4, 3, 0, 1], 7, 2) == pytest.approx(8 / 14)
    assert relevance([], 7, 2) == 0


def test_one_episode_in_numbers():
    env, shop, data = begin(size=16)
    assert env.task.prompt[0].text == ("Recommend me 2 lamps for at most 131 euros each, rated 3.2 or better. The material must be paper.")
    assert data["tastes"] == {"colour": ["red", 3], "light": ["warm", 1]}
    observation, _, _, _, info = env.step("What light do you want?")
    assert observation[0].text == "If possible, warm as light."
    assert (info["turn"]["components"], info["turn"]["potential"]) == ({"information": 0.25}, 0.25)
    observation, reward, *_ = env.step(WRITE([("ask", {"question": "material, stand"}), ("ask", {"question": "light"})]))
    assert "The material must be paper, as I said. The stand does not matter to me." in observation[0].text
    assert reward == 0.0
    assert env.step("Colour?")[1] == 0.75
    observation, *_ = env.step(WRITE([("search", {"attribute": "material", "value": "paper", "max_price": 131})]))
    assert observation[0].text.splitlines()[1] == "K3612 Zimega, 64 euros, rated 3.9"
    claims = [("K9043", "colour", "RED"), ("K9043", "price", "107"), ("K2136", "light", "warm"), ("K2136", "rating", 4.6)]
    observation, _, terminated, _, info = env.step(offer(["K9043", "K2136"], claims, "K9043"))
    assert "The user takes K9043." in observation[0].text
    assert (terminated, info["outcome"].score, info["stop"]) == (True, 1.0, StopReason.SUCCESS)
    assert set(info["outcome"].components.values()) == {1.0}
    assert shop["K9043"]["colour"] == "red"


@pytest.mark.parametrize(
    ("ids", "claims", "prediction", "vector"),
    [
        # K3612 is neither red nor warm; of K9043 and it the user takes K9043, and two of four claims hold
        (["K9043", "K3612"], [("K9043", "price", 107), ("K3612", "colour", "red"), ("K3612", "price", 64)], "K3612", (1, 0.5, 0.75, 0)),
        # one item too few; the same claim twice is one; a claim on something else is no claim on it
        (["K9043"], [("K9043", "price", 107)] * 2 + [("K2136", "price", 100)], "K9043", (0.5, 1 / 3, 0.75, 1)),
        # nothing that is liked: "none" is foreseen, and worth nothing all the same
        (["K3612", "K1801"], [], "none", (1, 0, 0, 1)),
    ],
)
def test_the_vector(ids, claims, prediction, vector):
    for combine, expected in (("product", vector[0] * vector[1] * vector[2] * vector[3]), ("mean", sum(vector) / 4)):
        env, *_ = begin(size=16, combine=combine)
        _, _, terminated, _, info = env.step(offer(ids, claims, prediction))
        found = info["outcome"].components
        names = ("instruction_following", "factual_consistency", "relevance", "predicted_behaviour")
        assert tuple(found[name] for name in names) == pytest.approx(vector)
        assert (terminated, info["outcome"].score) == (True, pytest.approx(expected))


def test_what_cannot_be_used_is_told():
    env, shop, data = begin()
    known = list(shop)
    for text, told, valid in (
        (WRITE([("search", {"attribute": "taste", "value": "x"})]), "items have no 'taste'; they have: kind, name,", False),
        (WRITE([("search", {"max_price": 1})]), "Nothing found.", True),
        (WRITE([("search", {})]), "(4 more; search for less)", True),
        (WRITE([("read", {"item_id": "K0"})]), "there is no item 'K0'; search shows the ids", False),
        (offer(["item1"], [], "none"), "there is no item 'item1'", False),
        (offer([], [], "none"), "recommend 1 to 10 different items", False),
        (offer(known[:1] * 2, [], "none"), "these are 2, 1 of them different", False),
        (offer(known[:1], [], known[1]), f"prediction is '{known[1]}'; allowed: none, {known[0]}", False),
        (offer(known[:1], [(known[0], "price", 1)] * 11, "none"), "11 claims on 1 items", False),
        (offer(known[:1], [(known[0], "price", None)], "none"), "wrong arguments for recommend", False),
    ):
        observation, _, terminated, _, info = env.step(text)
        assert told in observation[0].text
        assert (info["turn"]["action_valid"], terminated) == (valid, False)
    for wrong, message in (({"size": 65}, "16 to 64"), ({"combine": "sum"}, "product, mean"), ({"tasks": 0}, "at least 1")):
        with pytest.raises(ValueError, match=message):
            Recommend(**wrong)
    del data


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_gold_agent_wins_a_thousand_tasks_in_every_dialect(dialect):
    env = Recommend(dialect=dialect)
    tasks = env.tasks.get_task_range("test", 0, 1000 if dialect == "hermes" else 50)
    done = rollout(lambda: env, ScriptedAgent(Advise, dialect=dialect), tasks, concurrency=1)
    assert all(t.outcome.score == 1.0 for t in done)
    assert all(t.turn_reward_sum == pytest.approx(1.0) for t in done)


@pytest.mark.parametrize("script", [Null, Echo, Spam, Blind, Claimless, Nothing])
def test_bad_agents_score_nothing(script):
    tasks = Customers(24, 1000).get_task_range("validation", 0, 1000 if script not in (Spam, Blind) else 200)
    assert sum(t.outcome.score for t in rollout(Recommend, ScriptedAgent(script), tasks)) == 0


def test_who_does_not_ask_gets_part_and_who_does_not_look_gets_next_to_nothing():
    tasks = Customers(24, 1000).get_task_range("train", 0, 300)
    unasked = sum(t.outcome.score for t in rollout(Recommend, ScriptedAgent(Unasked), tasks)) / 300
    careless = sum(t.outcome.score for t in rollout(Recommend, ScriptedAgent(RandomPick), tasks)) / 300
    assert careless < 0.05 < unasked < 0.4


@pytest.mark.parametrize("size", [16, 64])
def test_every_task_can_be_won_and_not_by_chance(size):
    for split in ("train", "validation", "test"):
        for task in Customers(size, 1000).get_task_range(split, 0, 1000):
            shop, rules, tastes = catalogue(*task.data["shop"]), task.data["rules"], task.data["tastes"]
            likes = sorted((liking(item, tastes) for item in shop.values() if obeys(item, rules)), reverse=True)
            assert len(likes) > rules["count"]
            assert likes[rules["count"] - 1] > 0
            assert likes[0] > likes[-1]


def test_catalogues():
    for group, kind in enumerate(KINDS):
        shop = catalogue("train", group, 64)
        assert {item["kind"] for item in shop.values()} == {kind}
        assert len({item["price"] for item in shop.values()}) == len({item["name"] for item in shop.values()}) == 64
        facts = {name: {"say": "", "asked": [name]} for name in KINDS[kind]}
        for name in facts:
            assert asked_for(facts, f"Which {name} do you like best?") == [name]
            assert not asks_consent(f"Which {name} do you like best?", facts)
    names = [{item["name"] for g in range(20) for item in catalogue(s, g, 24).values()} for s in ("train", "validation", "test")]
    assert names[0] & names[1] == names[0] & names[2] == names[1] & names[2] == set()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text() | st.sampled_from(["Colour?", "Done.", WRITE([("search", {})])]), max_size=16), st.integers(0, 99))
def test_any_text_is_an_observation(texts, index):
    env = Recommend(tasks=100)
    env.reset(seed=0, options={"split": "train", "index": index})
    for text in texts:
        observation, _, terminated, truncated, info = env.step(text)
        assert observation
        json.loads(env.snapshot())
        if terminated or truncated:
            assert info["outcome"].score == 0
            return


def test_the_contract_is_kept_with_fewer_items():
    report = check_env("turnwise/Recommend-v0", size=16)
    assert report.ok, str(report)


def test_only_the_product_has_a_floor():
    tasks = Customers(24, 100).get_task_range("test", 0, 20)
    done = rollout(lambda: Recommend(combine="mean"), ScriptedAgent(Claimless), tasks)
    assert {t.outcome.score for t in done} == {0.75}
