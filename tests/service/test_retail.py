import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.service.retail import Retail, ShopWorld
from turnwise.envs.service.retail_tasks import TEMPLATES, RetailTasks
from turnwise.envs.service.retail_world import shop, shop_database
from turnwise.envs.service.scripts import Calls, Erring, Gold, Spam, Talker
from turnwise.envs.service.world import expected_changes
from turnwise.envs.tools.database import Database, changes
from turnwise.envs.tools.dialects import Hermes
from turnwise.envs.tools.tool import Toolbox
from turnwise.records import StopReason

WRITE = Hermes().write


def begin(template="cancel", *, index=0, split="test", **options):
    env = Retail(templates=[template], minds=0.0, **options)
    env.reset(seed=0, options={"split": split, "index": index})
    return env, env.task.data


def play(env, actions):
    for action in actions:
        observation, _, terminated, truncated, info = env.step(action)
    return observation, terminated, truncated, info


def calls(data):
    return [tuple(data["find"])], [tuple(c) for c in data["steps"][0]["reads"]], [tuple(c) for c in data["steps"][0]["writes"]]


def test_one_conversation_in_numbers():
    env, data = begin(weights={"progress": 1.0, "correctness": 1.0, "violations": 1.0, "executed": 0.5, "format": 0.25})
    find, reads, writes = calls(data)
    order, reason = writes[0][1]["order_id"], writes[0][1]["reason"]
    observation, _, _, _, info = env.step("What is your customer number, email or name, and zip?")
    assert observation[0].text.startswith("My ")
    assert info["turn"]["components"] == {"progress": 0.0, "correctness": 0.0, "violations": 0.0, "executed": 0.0, "format": 0.25}
    observation, *_ = env.step("Which order, and what is the reason?")
    assert order in observation[0].text
    _, _, _, _, info = env.step(WRITE(find))
    gold = 1 + sum(1 + len(arguments) for _, arguments in (*find, *reads, *writes))
    found = (1 / 3 + 1 + len(find[0][1])) / gold
    assert info["turn"]["components"]["correctness"] == pytest.approx(found)
    assert info["turn"]["components"]["executed"] == 0.5
    _, _, _, _, info = env.step(WRITE(reads))
    assert info["turn"]["components"]["correctness"] == pytest.approx((2 / 3 + 3 + len(find[0][1])) / gold - found)
    observation, *_ = env.step(f"Shall I cancel {order} ({reason})?")
    assert "es" in observation[0].text
    _, _, terminated, _, info = env.step(WRITE(writes))
    assert info["turn"]["components"]["progress"] == pytest.approx(1.0)
    assert info["turn"]["potential"] == 1.0
    assert not terminated
    _, _, terminated, _, info = env.step("Done.")
    assert terminated
    assert info["outcome"].components == {"database": 1.0, "informed": 1.0, "policy": 1.0}
    assert (info["outcome"].score, info["stop"]) == (1.0, StopReason.SUCCESS)


def test_what_the_shop_owes_is_in_the_rows():
    db = Database(shop_database("train", 0)[0])
    world = ShopWorld(db)
    customer = shop("train", 0).customers[0]
    order = next(o for o in customer.orders if o.status == "pending")
    before = db.rows()
    world.identified(customer.id)
    world.agreed = True
    world.cancel_order(order.id, "no longer needed")
    done = changes(before, db.rows())
    assert done["payments", "+", (order.id, order.method.id, -sum(i.price for i in order.items))] == 1
    assert [row[2] for (table, sign, row) in done if (table, sign) == ("orders", "+")] == ["cancelled"]
    assert len(done) == (5 if order.method.kind == "gift card" else 3)
    assert world.violations == set()


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_gold_calls_reach_exactly_the_stated_rows(template):
    source = RetailTasks(40, templates=[template])
    for split in ("train", "validation", "test"):
        for index in range(40):
            data = source.get_task(split, index).data
            snapshot, rows = source.start(*data["world"])
            db = Database(snapshot)
            wanted = expected_changes(db, data["edits"])
            world = ShopWorld(db)
            world.agreed = True
            box = Toolbox(world)
            find, reads, writes = calls(data)
            said = [box.call(name, arguments) for name, arguments in (*find, *reads, *writes)]
            assert all(r.ok for r in said), [r.text for r in said]
            assert changes(rows, db.rows()) == wanted
            assert world.violations == set()
            for needed in data["steps"][0]["inform"]:
                assert any(needed in r.text for r in said)
            db.close()


def test_exactly_one_version_fits_a_wish():
    source = RetailTasks(200, templates=["exchange_cheapest", "change_item"])
    for index in range(200):
        task = source.get_task("test", index)
        values = task.data["steps"][0]["writes"][0][1]
        items = [i for versions in shop("test", index // 8).items.values() for i in versions]
        old, new = (next(i for i in items if i.id == values[key]) for key in ("item_id", "new_item_id"))
        wish = task.data["user"]["requests"][0]["facts"]["item"]["say"]
        others = [i for i in items if i.product == old.product and i.id != old.id and i.stock]
        if "cheapest" in wish:
            assert [i for i in others if i.price <= new.price] == [new]
        else:
            assert [i.id for i in items if i.product == old.product and f"{i.style}, {i.version}" in wish] == [new.id]


def test_the_gold_agent_wins_a_thousand_tasks():
    env = Retail()
    done = rollout(lambda: env, ScriptedAgent(Gold), env.tasks.get_task_range("test", 0, 1000), concurrency=1)
    assert all(t.outcome.score == 1.0 for t in done)
    assert {t.task.data["templates"][0] for t in done} == set(TEMPLATES)
    minds = [t for t in done if "change" in t.task.data["user"]["requests"][0]]
    assert 20 <= len(minds) <= 80  # a quarter of two templates of fourteen
    assert max(len(t.turns) for t in done) <= 10


@pytest.mark.parametrize("options", [{"requests": 2}, {"requests": 3}, {"holdout": "template"}, {"user": "told", "requests": 3}])
def test_gold_wins_in_other_settings(options):
    env = Retail(**options)
    talk = options.get("user") != "told"
    for split in ("train", "test"):
        done = rollout(lambda: env, ScriptedAgent(Gold, talk=talk), env.tasks.get_task_range(split, 0, 150), concurrency=1)
        assert all(t.outcome.score == 1.0 for t in done)


def test_bad_agents_score_nothing():
    env = Retail()
    tasks = env.tasks.get_task_range("test", 0, 300)
    for script in (Spam, Talker, Calls):
        assert sum(t.outcome.score for t in rollout(lambda: env, ScriptedAgent(script), tasks, concurrency=1)) == 0
    score = sum(t.outcome.score for t in rollout(lambda: env, ScriptedAgent(Erring), tasks, concurrency=1)) / 300
    assert 0.3 < score < 0.8


def test_breaking_the_policy_fails_the_episode():
    env, data = begin()
    find, _, writes = calls(data)
    _, _, _, info = play(env, [WRITE(find), WRITE(writes), "Done."])
    assert info["outcome"].components == {"database": 1.0, "informed": 1.0, "policy": 0.0}
    assert info["outcome"].note == "policy: no consent"
    env, _ = begin()
    confirm = "Shall I go ahead?"
    _, _, _, info = play(env, [confirm, WRITE(writes), "Done."])
    assert info["outcome"].note == "policy: not identified"
    env, _ = begin()
    other = next(c for c in shop("test", 0).customers if c.id not in str(find) and c.email not in str(find) and c.zip not in str(find))
    _, _, _, info = play(env, [WRITE(find), WRITE([("get_customer", {"customer_id": other.id})]), confirm, WRITE(writes), "Done."])
    assert info["outcome"].note == "policy: other customer"


def test_a_refund_to_another_card_breaks_the_policy():
    env, data = begin("return_item")
    find, _, writes = calls(data)
    customer = shop("test", 0).customers[0]
    name, values = writes[0]
    other = next(m.id for m in customer.methods if m.kind == "bank account")
    _, _, _, info = play(env, [WRITE(find), "Shall I go ahead?", WRITE([(name, {**values, "payment_id": other})]), "Done."])
    assert info["outcome"].note == "policy: payment"


def test_wrong_changes_cost_and_a_cut_conversation_scores_nothing():
    env, data = begin(weights={"progress": 1.0}, max_turns=4)
    find, _, writes = calls(data)
    play(env, [WRITE(find), "May I?"])
    order = data["edits"][0]["where"]["id"]
    wrong = ("change_order_address", {"order_id": order, "street": "1 Way", "city": "X", "zip": "1"})
    _, reward, _, _, info = env.step(WRITE([wrong]))
    wanted = len(expected_changes(Database(shop_database("test", 0)[0]), data["edits"]))
    # the old row is gone, which is half of what was wanted of it; another has come instead
    assert reward == pytest.approx(1 / wanted - 0.5 / wanted)
    _, _, terminated, truncated, info = env.step(WRITE(writes))
    assert (terminated, truncated, info["stop"]) == (False, True, StopReason.MAX_TURNS)
    assert (info["outcome"].score, info["outcome"].components["database"]) == (0.0, 0.0)


def test_information_must_be_said_as_a_whole_word_in_a_short_message():
    for said, informed in (("It was {}.", 1.0), ("It was 9{}.", 0.0), ("It was {}" + " and more" * 100, 0.0), ("It was {}1.", 0.0)):
        env, data = begin("total")
        find, reads, _ = calls(data)
        _, _, _, info = play(env, [WRITE(find), WRITE(reads), said.format(data["steps"][0]["inform"][0])])
        assert info["outcome"].components["informed"] == informed
    env, data = begin("total", weights={"informed": 1.0})
    assert env.step(f"It is {data['steps'][0]['inform'][0]}.")[1] == 1.0 + 1.0  # said without looking it up: known by chance only


def test_a_user_who_changes_its_mind_gets_the_second_wish():
    env = Retail(templates=["address"], minds=1.0)
    env.reset(seed=0, options={"split": "train", "index": 1})
    script = Gold()
    script.reset(env.task, np.random.default_rng(0))
    observation, heard = (), []
    while not env.done:
        observation, _, _, _, info = env.step(script.act(observation))
        heard.append(observation[-1].text)
    assert info["outcome"].success
    final = env.task.data["edits"][0]["set"]["street"]
    first = env.task.data["user"]["requests"][0]["facts"]["address"]["say"]
    assert final not in first
    assert any(final in text and "No, I have thought about it again" in text for text in heard)


def test_a_conversation_goes_on_from_a_snapshot():
    env, data = begin("exchange", requests=1)
    find, reads, writes = calls(data)
    play(env, ["Who are you? Your number, email, name and zip please.", WRITE(find), WRITE(reads), "May I go ahead?"])
    saved = env.snapshot()
    first = [env.step(WRITE(writes)), env.step("Done.")]
    other = Retail(templates=["exchange"], minds=0.0)
    for env_again in (env, other):
        env_again.restore(saved)
        assert [env_again.step(WRITE(writes)), env_again.step("Done.")] == first
    assert first[-1][4]["outcome"].success


def test_templates_are_held_out():
    source = RetailTasks(60, holdout="template")
    kinds = {s: {source.get_task(s, i).data["templates"][0] for i in range(60)} for s in ("train", "validation", "test")}
    assert kinds["train"] == {name for name, (split, _) in TEMPLATES.items() if split == "train"}
    assert kinds["test"] == {name for name, (split, _) in TEMPLATES.items() if split == "test"}
    people = {s: {c.last_name for n in range(8) for c in shop(s, n).customers} for s in kinds}
    assert not people["train"] & people["test"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user": "alien"}, "allowed: scripted, told, or a mapping"),
        ({"user": {"kind": "scripted", "tel": "all"}}, "unknown keys"),
        ({"requests": 4}, "allowed: 1 to 3"),
        ({"holdout": "time"}, "allowed: entity, template"),
        ({"templates": ["cancle"]}, "there is no template 'cancle'; allowed: cancel,"),
        ({"templates": ["cancel"], "holdout": "template"}, "no template is left for split 'validation'"),
        ({"tasks": 0}, "at least 1"),
        ({"identity": "face"}, "allowed: mixed, number"),
        ({"minds": 2.0}, "0 to 1"),
        ({"correctness_range": (1, 1)}, "the second must be larger"),
    ],
)
def test_wrong_arguments_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        Retail(**options)


WORLD = shop("train", 0)
KNOWN = [WORLD.customers[0].id, *(o.id for o in WORLD.customers[0].orders), *(m.id for m in WORLD.customers[0].methods), "desk lamp"]
HOSTILE = ["'; DROP TABLE orders; --", '" OR 1=1 --', "\x00", "\ud800", "9" * 400, "", "%", "O%"]
TEXTS = st.sampled_from([*KNOWN, *(i.id for v in WORLD.items.values() for i in v), *HOSTILE]) | st.text(max_size=20)


def values(schema):
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("type") == "array":
        return st.lists(TEXTS, max_size=4)
    return TEXTS


SPECS = Toolbox(ShopWorld(Database(shop_database("train", 0)[0]))).specs
ANY_CALL = st.sampled_from(SPECS).flatmap(
    lambda spec: st.tuples(st.just(spec.name), st.fixed_dictionaries({k: values(s) for k, s in spec.parameters["properties"].items()}))
)


@settings(max_examples=300)
@given(st.lists(ANY_CALL, max_size=5))
def test_any_call_is_carried_out_or_explained(made):
    db = Database(shop_database("train", 0)[0])
    box = Toolbox(ShopWorld(db))
    for name, arguments in made:
        result = box.call(name, json.dumps(arguments))
        assert result.ok or result.text.startswith("Error: ")
    assert len(db.rows()["customers"]) == 8
    assert len(db.rows()["orders"]) == 40
    db.close()


def test_the_contract_is_kept_with_other_arguments():
    assert check_env("turnwise/Retail-v0", requests=2, dialect="hermes", holdout="template").ok
