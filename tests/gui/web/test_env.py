import copy
import json
import pickle
from importlib import import_module

import numpy as np
import pytest
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.browsergym import BrowserGymSyntax
from turnwise.envs.gui.chromium import MissingBrowser
from turnwise.envs.gui.web.checks import Said, judge
from turnwise.envs.gui.web.env import DEFAULT_WEIGHTS, MANIFEST, TURN_MS, WebTasks
from turnwise.envs.gui.web.scripts import Element, Expert, elements, find
from turnwise.envs.gui.web.site import site
from turnwise.envs.gui.web.tasks import KINDS
from turnwise.records import StopReason

WRITE = BrowserGymSyntax().write


@pytest.fixture(scope="module")
def env():
    made = WebTasks()
    try:
        made.reset(seed=0)
    except MissingBrowser as missing:
        pytest.skip(str(missing))
    yield made
    made.close()


def script(name):
    module, _, attribute = MANIFEST.scripts[name].partition(":")
    return getattr(import_module(module), attribute)()


def play(env, task, policy, seed=0):
    """The infos of every step; the last one has the outcome."""
    observation, _ = env.reset(seed=seed, options={"task": task})
    policy.reset(task, np.random.default_rng(seed))
    infos = []
    while True:
        observation, _, terminated, truncated, info = env.step(policy.act(observation))
        infos.append(info)
        if terminated or truncated:
            return infos


def of(env, name, split="train", round_=0):
    """A task of this kind."""
    return env.tasks.get_task(split, list(env.tasks._kinds[split]).index(KINDS[name]) + round_ * len(KINDS))


def spoil(state, taken):
    """States in which one more row was changed, removed or added in a table; ``taken``: rows that the task is about."""
    for table, rows in state["tables"].items():
        for key, row in rows.items():
            if (table, key) not in taken and row:
                removed = copy.deepcopy(state)
                del removed["tables"][table][key]
                yield removed
                column = next(iter(row))
                changed = copy.deepcopy(state)
                changed["tables"][table][key][column] = "changed"
                yield changed
                break
        added = copy.deepcopy(state)
        added["tables"][table]["odd"] = {"odd": True}
        yield added


def check_solution(env, task, infos):
    """The expert's road was all gain, its end is a success, and every required part of that end is needed."""
    outcome = infos[-1]["outcome"]
    assert (outcome.score, infos[-1]["stop"], outcome.note) == (1.0, StopReason.SUCCESS, ""), (task.id, outcome)
    progress = [info["turn"]["components"]["progress"] for info in infos]
    assert min(progress) >= 0.0, (task.id, progress)
    assert sum(progress) == pytest.approx(1.0, abs=0.2 if task.data["config"].get("inputs") else 1e-9)
    assert infos[-1]["turn"]["potential"] == pytest.approx(1.0)
    assert all(info["turn"]["action_valid"] and info["turn"]["components"]["spoiled"] == 0 for info in infos)
    before, after, checks, said = env._begun, env._state, task.data["checks"], env._said
    assert judge(checks, before, after, said).success
    for goal in checks["goals"]:
        if not goal["required"]:
            continue
        undone = copy.deepcopy(after)
        for condition in goal["any"]:
            undone["tables"].update({condition["table"]: before["tables"][condition["table"]]} if condition["table"] else {})
        if goal["any"][0]["kind"] == "seen":
            undone["seen"] = {}
        assert goal["name"] in judge(checks, before, undone, said).missing, (task.id, goal)
    taken = {(c["table"], c.get("key")) for goal in checks["goals"] for c in goal["any"]}
    for state in spoil(after, taken):
        assert not judge(checks, before, state, said).success, task.id
    wrong = Said(message="Done.") if checks["infeasible"] or checks["answer"] else Said(infeasible=True)
    assert not judge(checks, before, after, wrong).success


@pytest.mark.parametrize("name", KINDS)
def test_the_expert_solves_every_kind_and_every_check_can_fail(env, name):
    task = of(env, name)
    check_solution(env, task, play(env, task, Expert()))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_the_expert_solves_every_kind_with_popups_slow_pages_and_half_filled_forms(name):
    env = WebTasks(popups=1.0, slow=1.0, half_filled=1.0)
    try:
        task = of(env, name, "test", 1)
        check_solution(env, task, play(env, task, Expert()))
    finally:
        env.close()


@pytest.mark.slow
def test_the_expert_solves_three_test_tasks_of_every_kind(env):
    assert all(play(env, env.tasks.get_task("test", n), Expert())[-1]["outcome"].success for n in range(3 * len(KINDS)))


@pytest.mark.parametrize("name", [name for name in MANIFEST.scripts if name.startswith("hack")])
def test_hacks_score_nothing(env, name):
    for kind in ("shop/total", "tracker/count", "mail/missing", "shop/sold_out", "shop/buy", "tracker/reporter"):
        infos = play(env, of(env, kind), script(name))
        assert infos[-1]["outcome"].score == 0.0, kind


def test_turn_rewards_in_numbers(env):
    task = of(env, "shop/address")
    label = task.data["steps"][-3][2].removeprefix("Edit ")
    street = task.data["steps"][-2][3]
    observation, info = env.reset(seed=0, options={"task": task})
    assert info["potential"] == 0.0

    def step(action):
        nonlocal observation
        observation, _, terminated, _, info = env.step(WRITE([action]))
        return terminated, info

    def at(role, name):
        return find(elements(observation[-1].text), role, name).id

    step(a.Click(at("link", "Account")))
    _, info = step(a.Click(at("link", f"Edit {label}")))
    # One page to be seen (0.5) and one row to be changed (1).
    assert info["turn"]["components"] == pytest.approx({"progress": 0.5 / 1.5, "spoiled": 0.0, "format": 0.01, "executed": 0.01})
    step(a.Fill(at("textbox", "Street and number"), street))
    step(a.Fill(at("textbox", "City"), "Elsewhere"))
    _, info = step(a.Click(at("button", "Save address")))
    assert info["turn"]["components"] == pytest.approx({"progress": 1 / 1.5, "spoiled": -0.1, "format": 0.01, "executed": 0.01})
    assert info["turn"]["potential"] == 1.0
    terminated, info = step(a.SendMessage("Done."))
    assert terminated
    assert (info["outcome"].score, info["stop"]) == (0.0, StopReason.FAILURE)
    assert info["outcome"].components == {"goals": 1.0, "unspoiled": 0.0, "answer": 1.0, "ended": 1.0}
    assert "changed without need: addresses a" in info["outcome"].note


def test_giving_up_what_can_be_done_fails(env):
    env.reset(seed=0, options={"task": of(env, "mail/rule")})
    _, _, terminated, _, info = env.step("report_infeasible('No.')")
    assert (terminated, info["outcome"].score, info["stop"]) == (True, 0.0, StopReason.GAVE_UP)
    assert info["outcome"].components["ended"] == 0.0


def test_without_a_word_the_work_counts_for_nothing(env):
    task = of(env, "shop/total")
    short = WebTasks(max_turns=2)
    try:
        short.reset(seed=0, options={"task": task})
        short.step("noop(0)")
        _, _, _, truncated, info = short.step("noop(0)")
        assert truncated
        assert (info["stop"], info["outcome"].score, info["outcome"].components["ended"]) == (StopReason.MAX_TURNS, 0.0, 0.0)
    finally:
        short.close()


def test_time_in_the_app_passes_by_actions(env):
    task = of(env, "shop/total")
    env.reset(seed=0, options={"task": task})
    start = env.tab.evaluate("app.state.clock")
    env.step("noop(70)")
    assert env.tab.evaluate("app.state.clock") == start + TURN_MS + 70
    env.step("hover('10')")
    assert env.tab.evaluate("app.state.clock") == start + 2 * TURN_MS + 70


def test_anchors_are_of_what_is_shown_and_held_not_of_the_way_there(env):
    task = of(env, "tracker/count")
    observation, _ = env.reset(seed=0, options={"task": task})
    first = env.anchor()
    observation, *_ = env.step(WRITE([a.Click(find(elements(observation[-1].text), "link", "Team").id)]))
    assert env.anchor() != first
    env.step(WRITE([a.Click(find(elements(observation[-1].text), "link", "Issues").id)]))
    assert env.anchor() == first


def test_an_address_outside_of_the_app_is_told(env):
    env.reset(seed=0, options={"task": of(env, "shop/cart")})
    observation, *_ = env.step("goto('http://example.com/')")
    assert "is not part of this site" in observation[-1].text
    observation, *_ = env.step("goto('/base.css')")
    assert "link 'Cart" not in observation[-1].text
    assert env.potential() == 0.0
    observation, *_ = env.step("goto('/index.html')")
    assert "link 'Cart (0)'" in observation[-1].text


def test_work_counts_wherever_the_task_is_ended(env):
    task = of(env, "shop/wishes")
    observation, _ = env.reset(seed=0, options={"task": task})
    expert = Expert()
    expert.reset(task, np.random.default_rng(0))
    for _ in task.data["steps"]:
        observation, *_ = env.step(expert.act(observation))
    env.step("goto('/base.css')")
    *_, info = env.step("send_msg_to_user('Done.')")
    assert info["outcome"].success


def test_a_pickled_copy_acts(env):
    copied = pickle.loads(pickle.dumps(env))
    try:
        task = of(env, "mail/rule")
        assert play(copied, task, Expert())[-1]["outcome"].success
    finally:
        copied.close()


def test_several_actions_in_a_message_reach_what_the_last_page_listed():
    env = WebTasks(kinds=["mail/contact"], popups=0, slow=0, half_filled=0, multi=True)
    try:
        observation, _ = env.reset(seed=0, options={"split": "test", "index": 0})
        write = BrowserGymSyntax(multi=True).write
        steps = env.task.data["steps"]
        for kind, role, name, *_ in steps[:2]:
            assert kind == "click"
            observation, *_ = env.step(write([a.Click(find(elements(observation[-1].text), role, name).id)]))
        seen = elements(observation[-1].text)
        fields = [a.Fill(find(seen, "textbox", name).id, text) for _, _, name, text in steps[2:-1]]
        save = a.Click(find(seen, "button", "Save contact").id)
        *_, info = env.step(write([*fields, save, a.SendMessage("Done.")]))
        assert (env.turn_index, info["outcome"].success) == (3, True)
    finally:
        env.close()


def test_an_unknown_app_is_told():
    with pytest.raises(ValueError, match="no app 'bank'; allowed: shop, tracker, mail"):
        site("bank")


def test_half_a_message_is_told(env):
    env.reset(seed=0, options={"task": of(env, "shop/cart")})
    observation, reward, _, _, info = env.step("click(")
    assert not info["turn"]["action_valid"]
    assert "Nothing was done." in observation[-1].text
    assert reward == 0.0


@pytest.mark.parametrize(
    "arguments", [{"observation": "html"}, {"observation": ("axtree", "screenshot"), "syntax": "miniwob", "subsets": None}, {"multi": True}]
)
def test_other_observations_and_syntaxes(arguments):
    env = WebTasks(kinds=["mail/contact"], weights={}, **arguments)
    try:
        observation, _ = env.reset(seed=0, options={"split": "test", "index": 0})
        assert "Inbox" in observation[-1].text
        *_, info = env.step("noop(0)")
        assert info["turn"]["reward"] is None
    finally:
        env.close()


def test_unknown_arguments_are_told():
    with pytest.raises(ValueError, match="unknown turn reward"):
        WebTasks(weights={"style": 1.0})
    with pytest.raises(ValueError, match="no app"):
        WebTasks(apps=["bank"])
    assert set(DEFAULT_WEIGHTS) == set(WebTasks.components)


def test_scripts_read_the_page_as_text():
    text = "Page:\n\t[12] link 'Ann\\'s \\\\ page', focused\n\t\t[a-3] button 'Go'\nStaticText 'no'\n[9] textbox (f-name), value='x'"
    assert elements(text) == [Element("12", "link", "Ann's \\ page"), Element("a-3", "button", "Go")]
    assert find(elements(text), "link", "Ann*") == Element("12", "link", "Ann's \\ page")
    assert find(elements(text), "button", "Ann*") is None


def test_a_task_can_be_written_by_hand(env):
    task = of(env, "mail/star")
    data = json.loads(json.dumps(task.data))
    data["checks"] = {"goals": [], "allowed": [], "answer": {"mentions": ["Inbox"]}, "infeasible": False}
    own = type(task)(id="own", env_id=task.env_id, split="train", prompt=task.prompt, data=data)
    env.reset(seed=0, options={"task": own})
    _, _, _, _, info = env.step("send_msg_to_user('The folder is Inbox')")
    assert info["outcome"].success
