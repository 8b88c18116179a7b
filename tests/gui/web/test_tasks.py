import copy
import json
import re
from collections import Counter

import pytest
from turnwise.envs.gui.web.checks import Said, judge
from turnwise.envs.gui.web.draft import listed, money
from turnwise.envs.gui.web.tasks import APPS, KINDS, THROW_AWAY, WebTaskSet

SPLITS = ("train", "validation", "test")


def names(text):
    """Made-up words: capitalised runs of consonant-vowel pairs."""
    return set(re.findall(r"\b(?:[BCDFGHJKLMNPQRSTVWYZ][aeiou])(?:[bcdfghjklmnpqrstvwyz][aeiou]){2}\b", text))


def test_every_app_has_at_least_twelve_kinds_and_every_split_a_thousand_tasks():
    assert {app: len(kinds) for app, (_, kinds, _, _) in APPS.items()} == {"shop": 17, "tracker": 17, "mail": 17}
    assert {split.name: (split.type, split.num_tasks) for split in WebTaskSet().list_splits()} == {s: (s, 1000) for s in SPLITS}


def test_a_round_of_tasks_has_every_kind_and_each_is_the_same_every_time():
    tasks = WebTaskSet()
    round_ = tasks.get_task_range("test", 0, len(KINDS))
    assert Counter(f"{t.data['app']}/{t.data['kind']}" for t in round_) == Counter(list(KINDS))
    assert [t.data["app"] for t in round_[:6]] == ["shop", "tracker", "mail"] * 2
    assert round_ == WebTaskSet().get_task_range("test", 0, len(KINDS))
    assert tasks.get_task("test", 0) != tasks.get_task("test", len(KINDS))


def test_splits_share_neither_names_nor_wording():
    tasks = WebTaskSet(half_filled=0)
    seen = {s: [tasks.get_task(s, n) for n in range(2 * len(KINDS))] for s in SPLITS}
    words = {s: names(json.dumps([t.data["config"] for t in listed_])) for s, listed_ in seen.items()}
    assert all(len(found) > 1000 for found in words.values())
    goals = {s: {t.prompt[0].text for t in listed_} for s, listed_ in seen.items()}
    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not words[a] & words[b]
        assert not goals[a] & goals[b]


@pytest.mark.parametrize("name", KINDS)
def test_three_wordings_differ(name):
    assert len(set(KINDS[name].wordings)) == 3


def test_tasks_are_plain_json_small_and_hashed_apart():
    tasks = WebTaskSet().get_task_range("train", 0, 200)
    assert len({t.hash for t in tasks}) == 200
    for task in tasks:
        assert json.loads(json.dumps(task.data)) == task.data
        assert len(json.dumps(task.data)) < 16_000
        assert "{" not in task.prompt[0].text


def test_gold_plans_have_1_to_18_steps_of_known_form():
    lengths = Counter()
    for task in WebTaskSet(half_filled=0).get_task_range("validation", 0, 300):
        steps = task.data["steps"]
        lengths[len(steps)] += 1
        for kind, role, *_ in steps:
            roles = {"click": ("link", "button", "checkbox", "radio"), "fill": ("textbox",), "select": ("combobox",), "find": ("link",)}
            assert role in roles[kind]
    assert min(lengths) == 1
    assert max(lengths) <= 18
    assert sum(n for length, n in lengths.items() if length <= 12) > 280


def test_shares_of_popups_slow_pages_and_half_filled_forms():
    plain = WebTaskSet(popups=0, slow=0, half_filled=0)
    every = WebTaskSet(popups=1, slow=1, half_filled=1)
    for index in range(60):
        config = plain.get_task("train", index).data["config"]
        assert (config["popups"], config["delays"], config.get("inputs")) == ([], [], None)
        task = every.get_task("train", index)
        config = task.data["config"]
        assert config["popups"][0]["kind"] in ("newsletter", "cookies", "survey")
        assert 1 <= config["popups"][0]["at"] <= 3
        assert all(delay == 0 or 100 <= delay <= 400 for delay in config["delays"])
        assert config["inputs"]
        assert THROW_AWAY in task.prompt[0].text
    share = sum(bool(WebTaskSet().get_task("train", n).data["config"]["popups"]) for n in range(400)) / 400
    assert 0.18 < share < 0.32


@pytest.mark.parametrize("name", KINDS)
def test_saying_done_at_the_start_solves_nothing(name):
    tasks = WebTaskSet(kinds=[name], half_filled=0)
    for index in range(5):
        task = tasks.get_task("train", index)
        start = {"tables": task.data["config"]["tables"], "seen": {task.data["config"]["start"]: {}}}
        for said in (Said(message="Done."), Said(infeasible=True), Said()):
            verdict = judge(task.data["checks"], start, copy.deepcopy(start), said)
            assert not verdict.success
            assert verdict.spoiled == ()
        assert judge(task.data["checks"], start, start, Said()).progress == 0.0


def test_some_tasks_want_an_answer_and_some_cannot_be_done():
    checks = {name: WebTaskSet(kinds=[name]).get_task("train", 0).data["checks"] for name in KINDS}
    assert {n for n, c in checks.items() if c["answer"]} == {"shop/total", "shop/better", "tracker/count", "tracker/reporter", "mail/when"}
    assert {n for n, c in checks.items() if c["infeasible"]} == {"shop/sold_out", "shop/too_late", "tracker/stranger", "mail/missing"}


def test_kinds_held_out():
    tasks = WebTaskSet(holdout="kinds")
    kinds = {s: {t.data["app"] + "/" + t.data["kind"] for t in tasks.get_task_range(s, 0, 120)} for s in SPLITS}
    assert {s: len(found) for s, found in kinds.items()} == {"train": 31, "validation": 10, "test": 10}
    assert sum(map(len, kinds.values())) == len(set().union(*kinds.values())) == 51
    assert all({name.split("/")[0] for name in found} == set(APPS) for found in kinds.values())


def test_restricted_to_apps_and_kinds():
    assert {t.data["app"] for t in WebTaskSet(9, apps=["mail"]).list_tasks("train")} == {"mail"}
    assert {t.data["kind"] for t in WebTaskSet(4, kinds=["shop/buy", "mail/rule"]).list_tasks("test")} == {"buy", "rule"}
    assert WebTaskSet({"train": 5}).num_tasks("test") == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"apps": ["bank"]}, "no app .*'bank'.*; allowed: shop, tracker, mail"),
        ({"kinds": ["shop/steal"]}, "no kind .*'shop/steal'.*; allowed: shop/cart"),
        ({"tasks": {"tset": 3}}, "no split .*'tset'"),
        ({"tasks": -1}, "-1 tasks"),
        ({"holdout": "all"}, "holdout is 'all'; allowed: records, kinds"),
        ({"popups": 1.5}, "popups is 1.5; it is a share"),
        ({"holdout": "kinds", "kinds": ["shop/buy"]}, "split 'validation' has 1000 tasks and 0 kinds"),
    ],
)
def test_unknown_arguments_are_told(arguments, told):
    with pytest.raises(ValueError, match=told):
        WebTaskSet(**arguments)


def test_an_index_outside_is_told():
    with pytest.raises(IndexError, match="index 3 is outside"):
        WebTaskSet(3).get_task("train", 3)


def test_texts():
    assert (money(1250), money(5)) == ("12.50", "0.05")
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b and c")
