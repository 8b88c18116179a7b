import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.route.env import Route, simulated
from turnwise.envs.route.models import SIMULATED_TOKENS, SimulatedModel, asked_hops, endpoint_models
from turnwise.envs.route.scripts import Blind, Cheapest, Dearest, Erring, Inject, RandomRoutes, Spam
from turnwise.envs.route.tasks import Questions
from turnwise.envs.scripts import Echo, Null
from turnwise.records import StopReason, Task
from turnwise.rewards.route import RouterReward
from turnwise.rewards.rubric import Rubric

HOPS = [
    {"entity": "Ada Moro", "words": ["birthplace", "native town"], "answer": "Bomi", "wrong": "Tuva", "topic": "person"},
    {"entity": "Bomi", "words": ["mayor", "town leader"], "answer": "Ivo Zani", "wrong": "Uma Reli", "topic": "place"},
]
ROWS = [
    {"name": "Elm", "price": 0.5, "description": "places", "knows": [False, True], "candid": True, "style": "plain"},
    {"name": "Oak", "price": 4.0, "description": "all", "knows": [True, True], "candid": True, "style": "wordy"},
    {"name": "Fir", "price": 0.1, "description": "tiny", "knows": [True, False], "candid": False, "style": "terse"},
]
QUESTION = "What is the mayor of the birthplace of Ada Moro?"
TASK = Task(
    id="t", env_id="turnwise/Route-v0", split="test", data={"question": QUESTION, "answers": ["Ivo Zani"], "hops": HOPS, "models": ROWS}
)


def begin(**options):
    env = Route(**options)
    env.reset(seed=0, options={"task": TASK})
    return env


def ask(env, text):
    observation, _, terminated, _, info = env.step(f"<think>t</think><search>{text}</search>")
    return observation[0].text, terminated, info


def test_one_episode_in_numbers():
    env = begin(weights={"found": 1.0, "cost": 1.0, "format": 0.5})
    said, _, info = ask(env, "Fir: birthplace of Ada Moro")
    assert said == "<information>Bomi.</information>"
    # one word at 0.1, of at most 60 words at 4.0: the root of 1 / 2400
    assert info["turn"]["components"] == pytest.approx({"found": 0.5, "cost": -((0.1 / 240) ** 0.5), "format": 0.5})
    assert info["turn"]["potential"] == 0.5
    said, _, info = ask(env, "elm: Who is the mayor of Bomi?")
    assert said == "<information>The mayor of Bomi is Ivo Zani.</information>"
    assert info["turn"]["components"] == pytest.approx({"found": 0.5, "cost": (0.1 / 240) ** 0.5 - (3.6 / 240) ** 0.5, "format": 0.5})
    _, total, terminated, _, info = env.step("<think>t</think><answer>ivo zani</answer>")
    assert (total, terminated, info["stop"]) == (1.5, True, StopReason.SUCCESS)
    assert info["outcome"].components == pytest.approx({"em": 1.0, "f1": 1.0, "format": 0.0, "cost": 3.6, "calls": 2.0})


def test_the_same_fact_is_found_once():
    env = begin()
    assert ask(env, "Fir: birthplace of Ada Moro")[2]["turn"]["components"]["found"] == 0.25
    assert ask(env, "Oak: birthplace of Ada Moro")[2]["turn"]["components"]["found"] == 0.0


@pytest.mark.parametrize(
    ("query", "hops"),
    [
        (QUESTION, range(2)),
        ("town leader of the native town of ada moro", range(2)),
        ("mayor of Bomi", range(1, 2)),
        ("birthplace of Ada Moro", range(1)),
        ("mayor of Ada Moro", None),
        ("birthplace of Ivo Zani", None),
        ("", None),
    ],
)
def test_what_a_simulated_model_takes_a_query_for(query, hops):
    assert asked_hops(query, HOPS) == hops


def test_simulated_models_know_guess_or_say_that_they_do_not_know():
    elm, oak, fir = (SimulatedModel(**row, hops=HOPS) for row in ROWS)
    assert elm.ask("birthplace of Ada Moro").text == "I do not know."
    assert elm.ask(QUESTION).text == "I do not know."
    assert fir.ask(QUESTION).text == "Uma Reli."
    assert fir.ask("mayor of Bomi").text == "Uma Reli."
    assert "mayor of the birthplace of Ada Moro is Ivo Zani" in oak.ask(QUESTION).text
    assert "I do not see what is asked" in oak.ask("hello").text
    assert (elm.ask(QUESTION).tokens, fir.ask(QUESTION).tokens) == (4, 2)
    assert oak.ask(QUESTION).tokens > 40


def test_what_cannot_be_used_is_told():
    for text, told in (
        ("hello", "Nothing to do was found"),
        (
            "<search>Ash: x</search>",
            "(there is no model 'Ash')</information>\nWrite <search>Name: query</search>; the models are Elm, Oak, Fir.",
        ),
        ("<search>mayor of Bomi</search>", "Write Name: query"),
        ("<search>Elm: ?</search>", "the query is empty"),
        ("<search>Elm: <b></search>", "I do not see what is asked"),
    ):
        observation, _, terminated, _, info = begin().step(text)
        assert told in observation[0].text
        assert (terminated, info["turn"]["action_valid"]) == (False, "do not see" in observation[0].text)
    several = "<think>t</think><search>Elm: mayor of Bomi</search><search>Fir: mayor of Bomi</search>"
    assert "Only the first search of a message is carried out." in begin().step(several)[0][0].text


def test_a_bad_format_takes_the_score_but_not_the_metrics():
    env = begin()
    _, _, _, _, info = env.step("<answer>Ivo Zani</answer>")
    assert (info["outcome"].score, info["outcome"].components["em"], info["outcome"].components["format"]) == (0.0, 1.0, -1.0)
    assert "format" in info["outcome"].note
    assert begin(format_gate=False).step("<answer>Ivo Zani</answer>")[4]["outcome"].score == 1.0
    assert begin(metric="f1").step("<think>t</think><answer>Ivo</answer>")[4]["outcome"].score == pytest.approx(2 / 3)
    _, _, terminated, _, info = begin().step("<think>t</think><answer> </answer>")
    assert (terminated, info["stop"], info["outcome"].components["format"]) == (True, StopReason.GAVE_UP, 0.0)


def test_an_episode_that_runs_out_of_turns_has_all_components():
    env = begin(max_turns=1)
    _, _, info = ask(env, "Fir: birthplace of Ada Moro")
    assert info["stop"] is StopReason.MAX_TURNS
    assert info["outcome"].components == pytest.approx({"em": 0.0, "f1": 0.0, "format": -1.0, "cost": 0.1, "calls": 1.0})


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_gold_agent_is_right_on_a_thousand_tasks_and_never_pays_more_than_the_dear_one(split):
    tasks = Questions().get_task_range(split, 0, 1000)
    cheap = rollout(Route, ScriptedAgent(Cheapest), tasks, concurrency=1)
    assert all(t.outcome.score == 1.0 for t in cheap)
    assert all(sum(turn.components["found"] for turn in t.turns) <= 0.5 + 1e-9 for t in cheap)
    dear = rollout(Route, ScriptedAgent(Dearest), tasks[:200], concurrency=1)
    assert all(t.outcome.score == 1.0 for t in dear)
    pairs = [(a.outcome.components["cost"], b.outcome.components["cost"]) for a, b in zip(cheap, dear, strict=False)]
    assert all(a <= b for a, b in pairs)
    assert sum(a for a, _ in pairs) < 0.15 * sum(b for _, b in pairs)


def test_the_blended_reward_is_made_from_finished_episodes():
    done = rollout(Route, ScriptedAgent(Cheapest), [TASK, TASK], concurrency=1)
    done += rollout(Route, ScriptedAgent(Blind), [TASK], concurrency=1)
    reward = RouterReward(cost_coe=0.4)
    scored = Rubric([(reward, 1.0)])(done)
    # cheapest: "Bomi." of Fir at 0.1, then seven words of Elm at 0.5; equal costs say nothing (0.5); the blind answer is wrong (0)
    assert reward.window.costs == pytest.approx((3.6, 3.6, 0.0))
    assert [s.outcome for s in scored] == pytest.approx([0.6 + 0.4 * 0.5, 0.6 + 0.4 * 0.5, 0.0])


def test_bad_agents_score_nothing():
    tasks = Questions().get_task_range("test", 0, 1000)
    for script in (Null, Echo, Spam, Blind, Inject):
        assert sum(t.outcome.score for t in rollout(Route, ScriptedAgent(script), tasks, concurrency=1)) == 0
    assert sum(t.outcome.score for t in rollout(Route, ScriptedAgent(RandomRoutes), tasks[:300], concurrency=1)) / 300 < 0.2


def test_pools_change_and_somebody_always_knows():
    tasks = Questions()
    dear = set()
    for index in range(300):
        task = tasks.get_task("train", index)
        models = simulated(task)
        assert len({m.name for m in models}) == 8
        large = max(models, key=lambda m: m.price)
        assert all(large.knows)
        dear.add(large.name)
        assert all(m.ask(q).tokens <= SIMULATED_TOKENS for m in models for q in (task.data["question"], "x"))
        assert str(task.data["answers"][0]) not in task.data["question"]
    assert len(dear) == 8
    names = [{h["entity"] for n in range(300) for h in tasks.get_task(s, n).data["hops"]} for s in ("train", "validation", "test")]
    assert names[0] & names[1] == names[0] & names[2] == names[1] & names[2] == set()


def completion(text, usage):
    return 200, {"choices": [{"message": {"content": text}}], "usage": usage}


def pool(server, **endpoint):
    one = {"url": server.url, "model": "m", "max_tokens": 100, **endpoint}
    return [{"name": "Real", "price": 2.0, "description": "a real one", "endpoint": one}]


def test_real_models_answer_questions_of_a_file(server, tmp_path):
    rows = tmp_path / "nq.jsonl"
    rows.write_text(json.dumps({"question": "capital of France?", "golden_answers": ["Paris", "City of Paris"]}))
    server.answers = [
        completion("<think>hm</think>It is <answer>Paris</answer>", {"completion_tokens": 8}),
        completion("", {"completion_tokens": 0}),
    ]
    env = Route(path=str(rows), models=pool(server))
    observation, _ = env.reset(seed=0, options={"split": "test", "index": 0})
    assert "- Real (2): a real one" in observation[0].text
    said, _, info = ask(env, "Real: capital of France")
    assert said == "<information>It is Paris</information>"
    # 8 tokens of at most 100
    assert info["turn"]["components"] == pytest.approx({"found": 0.5, "cost": -0.2 * 0.08**0.5, "format": 0.02})
    assert server.asked[0][2]["messages"][1] == {"role": "user", "content": "capital of France"}
    assert "the model said nothing" in ask(env, "Real: again?")[0]
    _, _, _, _, info = env.step("<think>t</think><answer>Paris</answer>")
    assert (info["outcome"].score, info["outcome"].components["cost"]) == (1.0, 16.0)


def test_a_dead_or_uncounting_server_voids_the_episode(server, tmp_path):
    rows = tmp_path / "nq.jsonl"
    rows.write_text(json.dumps({"question": "capital of France?", "golden_answers": ["Paris"]}))
    server.answers = [completion("Paris", None)]
    for models, words in (
        (pool(server), "reports no usage.completion_tokens"),
        (pool(server, url="http://127.0.0.1:9/v1", retries=0), "is the server up"),
    ):
        env = Route(path=str(rows), models=models)
        env.reset(seed=0, options={"split": "test", "index": 0})
        _, _, _, truncated, info = env.step("<think>t</think><search>Real: capital of France</search>")
        assert truncated
        assert info["stop"] is StopReason.ENV_FAULT
        assert not info["outcome"].valid
        assert words in info["outcome"].note


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"hops": [3]}, "allowed: 1 and 2"),
        ({"weights": {"price": 1}}, "found, cost, format"),
        ({"metric": "bleu"}, "em, f1"),
        ({"path": "x.jsonl"}, "give models= with endpoints"),
        ({"models": []}, "at least one"),
        ({"models": [{"name": "x"}]}, r"models\[0\] has the keys \['name'\]"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Route(**wrong)


def test_names_have_to_be_told_apart_and_written():
    row = {"name": "A", "price": 1, "description": "", "endpoint": {"url": "http://x/v1", "model": "m"}}
    with pytest.raises(ValueError, match="name of its own"):
        endpoint_models([row, {**row, "name": "a"}])
    for change in ({"name": "a:b"}, {"name": " "}, {"price": -1}):
        with pytest.raises(ValueError, match="no colon"):
            endpoint_models([{**row, **change}])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text() | st.text().map(lambda t: f"<search>{t}</search>") | st.text().map(lambda t: f"<search>Oak:{t}</search>")))
def test_any_text_is_an_observation(texts):
    env = begin(max_turns=50)
    for text in texts[:20]:
        observation, _, terminated, _, _ = env.step(text)
        assert observation
        assert not terminated


def test_the_contract_is_kept_with_other_arguments():
    assert check_env("turnwise/Route-v0", hops=[2], metric="f1", size=40).ok


def test_an_erring_agent_fails_where_it_gives_up_or_believes_what_is_wrong():
    env = Route((1,), names="pairs", instructions="Ask, then answer.")
    tasks = env.tasks.get_task_range("test", 0, 100)
    assert env.reset(seed=0, options={"split": "test", "index": 0})[0][0].text.startswith("Ask, then answer.\n- ")
    for astray, give_up, least, most in ((0.0, 0.0, 1.0, 1.0), (0.8, 0.8, 0.3, 0.65), (1.0, 1.0, 0.15, 0.5)):
        done = rollout(lambda: env, ScriptedAgent(Erring, astray=astray, give_up=give_up), tasks, concurrency=1)
        assert least <= sum(t.outcome.score for t in done) / 100 <= most
    patient = Route((2,), max_turns=30)  # misled in the first fact, it asks everybody for the second, again and again
    forever = ScriptedAgent(Erring, astray=1.0, give_up=0.0)
    done = rollout(lambda: patient, forever, patient.tasks.get_task_range("test", 0, 40), concurrency=1)
    assert max(len(t.turns) for t in done) == 30
    assert all(t.outcome.valid for t in done)
