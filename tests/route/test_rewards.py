import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.records import Message as M
from turnwise.records import Outcome, StopReason, Task, Trajectory, Turn
from turnwise.rewards.route import CostWindow, RouterReward, cost_reward, pool_cost_reward, router_format, router_reward
from turnwise.rewards.rubric import Rubric

MODELS = ("Elm", "Oak-7B")
ROUTED = "<think>t</think><search>Elm: mayor of Bomi</search><information>x</information><answer>x</answer>"


def test_the_blended_reward_in_numbers():
    assert router_reward(1.0, 0.0, 0.6, 0.3) == pytest.approx(0.88, abs=1e-12)
    assert router_reward(1.0, -1.0, 0.6, 0.3) == -1.0
    assert router_reward(0.0, 0.0, 0.6, 0.3) == 0.0
    assert router_reward(0.5, 0.0, 1.0, 0.5) == 0.75
    assert router_reward(1.0, 0.0, 0.2) == 1.0


def test_costs_are_placed_between_percentiles_of_their_roots():
    costs = [10.0, 40.0, 90.0, 160.0, 250.0]
    assert cost_reward(250.0, costs) == pytest.approx(0.0, abs=1e-12)
    assert cost_reward(90.0, costs) == pytest.approx(0.5, abs=1e-12)
    assert cost_reward(10.0, costs) == 1.0
    # roots 1, 2, 3, 4, 5 times sqrt(10); q05 = 1.2, q95 = 4.8, so 40 lies 0.8 / 3.6 of the way up
    assert cost_reward(40.0, costs) == pytest.approx(1 - 0.8 / 3.6)
    assert cost_reward(7.0, [7.0]) == cost_reward(7.0, [7.0, 7.0]) == 0.5
    for cost, given_ in ((-1.0, [1.0]), (1.0, []), (1.0, [-2.0])):
        with pytest.raises(ValueError, match="none below 0"):
            cost_reward(cost, given_)


def test_the_pool_reward_depends_on_the_pool_alone():
    assert [pool_cost_reward(c, 100.0) for c in (0.0, 25.0, 100.0, 400.0)] == [1.0, 0.5, 0.0, 0.0]
    assert pool_cost_reward(5.0, 0.0) == 1.0


def test_a_window_forgets_the_oldest_and_is_plain_data():
    window, first = CostWindow(size=3).scored(10.0)
    assert first == 0.5
    for cost in (40.0, 90.0, 160.0):
        window, last = window.scored(cost)
    assert window == CostWindow((40.0, 90.0, 160.0), 3)
    assert last == 0.0
    assert pickle.loads(pickle.dumps(window)) == window
    longer = CostWindow(tuple(float(n) for n in range(1200)))
    assert len(longer.scored(1.0)[0].costs) == 1000


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=30), st.data())
def test_cost_rewards_fall_with_the_cost(costs, data):
    a, b = sorted(data.draw(st.tuples(st.sampled_from(costs), st.sampled_from(costs))))
    assert 0.0 <= cost_reward(b, costs) <= cost_reward(a, costs) <= 1.0


@pytest.mark.parametrize(
    ("text", "score"),
    [
        (ROUTED, 0.0),
        ("<think>t</think><answer>x</answer>", 0.0),
        ("<think>a</think><think>b</think>\n<answer>x</answer>\n", 0.0),
        (ROUTED.replace("Elm", "elm"), 0.0),
        (ROUTED.replace("Bomi", "Elmo"), 0.0),
        ("", -1.0),
        ("just text", -1.0),
        ("<answer>x</answer>", -1.0),
        ("so <think>t</think><answer>x</answer>", -1.0),
        ("<think>t</think><answer>x</answer> done", -1.0),
        ("<think>t</think><answer>x</answer><answer>x</answer>", -1.0),
        ("<think></think><answer>x</answer>", -1.0),
        ("<think>...</think><answer>x</answer>", -1.0),
        ("<think>t<answer>x</answer></think><answer>x</answer>", -1.0),
        ("<think>t<answer>x</answer>", -1.0),
        ("<think>t</think></think><answer>x</answer>", -1.0),
        (ROUTED.replace("<information>x</information>", ""), -1.0),
        (ROUTED.replace("Elm: mayor", "Elm: mayor: mayor"), -1.0),
        (ROUTED.replace("Elm: ", ""), -1.0),
        (ROUTED.replace("Elm: mayor of Bomi", "Elm: "), -1.0),
        (ROUTED.replace("mayor of Bomi", "your query"), -1.0),
        (ROUTED.replace("Elm", "Ash"), -1.0),
        (ROUTED.replace("mayor of Bomi", "ask Elm for the mayor"), -1.0),
    ],
)
def test_the_format_in_examples(text, score):
    assert router_format(text, MODELS) == score


@given(st.text() | st.lists(st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "<search>", "</search>", "a:b"])).map("".join))
def test_any_text_has_a_format(text):
    assert router_format(text, MODELS) in (0.0, -1.0)


def trajectory(cost, em=1.0, form=0.0, score=None):
    components = {"em": em, "f1": em, "format": form, "cost": cost, "calls": 1.0}
    outcome = Outcome(score=em if score is None else score, components=components)
    turn = Turn(index=0, observation=(), action=M(role="assistant"), reward=0.1)
    stop = StopReason.SUCCESS if outcome.success else StopReason.FAILURE
    return Trajectory(task=Task(id="t", env_id="x/Y-v0", split="train"), turns=(turn,), outcome=outcome, stop=stop)


def test_in_a_rubric_the_outcome_becomes_the_blended_reward():
    reward = RouterReward(cost_coe=0.3)
    episodes = [*map(trajectory, (10.0, 40.0, 90.0, 160.0)), trajectory(250.0, em=0.0), trajectory(90.0, form=-1.0, score=0.0)]
    scored = Rubric([(reward, 1.0)])(episodes)
    # alone in the window: 0.5; then always the dearest so far: 0
    expected = [0.7 + 0.3 * 0.5, 0.7, 0.7, 0.7, 0.0, -1.0]
    assert [s.outcome for s in scored] == pytest.approx(expected)
    assert [s.turn_rewards for s in scored] == [[0.1]] * 6
    assert scored[0].apply().outcome.success
    assert reward.window.costs == (10.0, 40.0, 90.0, 160.0, 250.0, 90.0)


def test_the_order_of_episodes_matters_to_a_window():
    a, b = trajectory(10.0), trajectory(90.0)
    there = [s.outcome for s in Rubric([(RouterReward(0.5), 1.0)])([a, b])]
    back = [s.outcome for s in Rubric([(RouterReward(0.5), 1.0)])([b, a])]
    assert there == pytest.approx([0.75, 0.5])
    assert back == pytest.approx([0.75, 1.0])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="allowed: em, f1"):
        RouterReward(metric="bleu")
    with pytest.raises(ValueError, match="0 to 1"):
        RouterReward(2.0)
    bare = Trajectory(task=Task(id="t", env_id="x/Y-v0", split="train"), turns=(), outcome=Outcome(score=0.0), stop=StopReason.FAILURE)
    with pytest.raises(ValueError, match=r"\['cost', 'em', 'format'\]; use it with turnwise/Route-v0"):
        RouterReward()([bare])
