import numpy as np
import pytest
from turnwise.envs import scripts
from turnwise.envs.search import experts
from turnwise.envs.search.bm25 import BM25Retriever
from turnwise.envs.search.env import MANIFEST, Search
from turnwise.envs.search.questions import make_tasks
from turnwise.records import Message, StopReason, ToolCall

TASKS, PASSAGES = make_tasks(train=150, validation=50, test=100, seed=5)
BM25 = BM25Retriever(PASSAGES)


def play(env, script, task, seed=0):
    observation, _ = env.reset(seed=0, options={"task": task})
    script.reset(task, np.random.default_rng(seed))
    total, infos = 0.0, []
    while not env.done:
        observation, reward, _, _, info = env.step(script.act(observation))
        total += reward
        infos.append(info)
    scored = sum(i["turn"]["reward"] for i in infos)
    assert total == pytest.approx(scored + infos[-1]["outcome"].score)
    assert all(0.0 <= i["turn"]["reward"] <= 1.0 for i in infos)
    return infos


def mean(env, script, split):
    return float(np.mean([play(env, script, t, i)[-1]["outcome"].score for i, t in enumerate(TASKS.list_tasks(split))]))


@pytest.mark.parametrize("dialect", ["tags", "json"])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_expert_finds_every_gold_passage_and_answers_every_question(split, dialect):
    env = Search(TASKS, BM25, dialect=dialect)
    for task in TASKS.list_tasks(split):
        infos = play(env, experts.Expert(dialect), task)
        assert infos[-1]["outcome"].score == 1.0, task.data["question"]
        assert infos[-1]["stop"] is StopReason.SUCCESS
        assert infos[-1]["turn"]["potential"] == 1.0, task.data["question"]
        assert sum(i["turn"]["components"]["gold_passages"] for i in infos) == pytest.approx(0.5)


def test_weaker_scripts_are_weaker():
    env = Search(TASKS, BM25)
    assert mean(env, scripts.Null(), "train") == mean(env, scripts.Echo(), "train") == 0.0
    assert mean(env, experts.Random(), "train") <= MANIFEST.random_score
    assert mean(env, experts.NoisyExpert(error_rate=0.0), "train") == 1.0
    assert 0.3 < mean(env, experts.NoisyExpert(error_rate=0.2), "train") < 0.95
    assert 0.2 < mean(env, experts.NoisyExpert(error_rate=0.0, stop_early=0.4), "train") < 0.9
    assert 0.2 < mean(env, experts.NoisyExpert(error_rate=0.0, first_passage=True), "train") < 0.95


def act(env, text):
    observation, reward, terminated, truncated, info = env.step(text)
    return "".join(m.text for m in observation), reward, terminated or truncated, info["turn"]


def test_bad_queries_are_observations():
    env = Search(TASKS, BM25)
    env.reset(seed=0, options={"split": "train", "index": 0})
    for text, said in (("<search> ; </search>", "was empty"), ("<search>?!</search>", "no letters or digits"), ("hello", "Nothing to do")):
        seen, reward, done, turn = act(env, text)
        assert said in seen
        assert (reward, done, turn["action_valid"]) == (0.0, False, False)
    seen, _, _, turn = act(env, f"<search>{'mayor of ' * 12_000}</search>")
    assert "only its beginning was used" in seen
    assert turn["action_valid"]
    seen, *_ = act(env, f"<search>{';'.join(['mayor'] * 20)}</search>")
    assert "Only the first 8 of 20 queries were run" in seen
    assert "No documents were found" in act(env, "<search>xyzzy</search>")[0]


def test_one_turn_in_numbers():
    env = Search(TASKS, BM25)
    task = next(t for t in TASKS.list_tasks("train") if t.data["kind"] == "chain1")
    _, info = env.reset(seed=0, options={"task": task})
    assert info["potential"] == 0.0
    query = f"<think>x</think><search>{task.data['hops'][0]['query']}</search>"
    before = env.anchor()
    seen, reward, _, turn = act(env, query)
    assert seen.startswith("\n\n<information>Doc 1(Title: ")
    assert turn["components"] == {"gold_passages": 0.5, "sub_answers": 0.2, "novelty": 0.02, "format": 0.02}
    assert reward == pytest.approx(0.74)
    assert turn["anchor"] == before != env.anchor()
    _, reward, _, turn = act(env, query)
    assert turn["components"] == {"gold_passages": 0.0, "sub_answers": 0.0, "novelty": 0.0, "format": 0.02}
    *_, info = env.step("<answer></answer>")
    assert (info["outcome"].score, info["stop"]) == (0.0, StopReason.GAVE_UP)


def test_tool_calls_are_answered_one_by_one():
    env = Search(TASKS, BM25, dialect="json", weights={})
    env.reset(seed=0)
    calls = tuple(ToolCall(id=i, name="search", arguments='{"query": "mayor"}') for i in ("a", "b"))
    observation, _, _, _, info = env.step(Message(role="assistant", tool_calls=calls))
    assert [(m.role, m.tool_call_id) for m in observation] == [("tool", "a"), ("tool", "b")]
    assert info["turn"]["reward"] is None


def test_outcome_metrics():
    task = next(t for t in TASKS.list_tasks("train") if len(t.data["answers"][0].split()) == 2)
    said = f"<answer>{task.data['answers'][0]} xyzzy xyzzy</answer>"
    for metric, score in (("em", 0.0), ("f1", 2 / 3), ("contains", 1.0)):
        env = Search(TASKS, BM25, outcome_metric=metric)
        env.reset(seed=0, options={"task": task})
        assert env.step(said)[4]["outcome"].score == pytest.approx(score)


def test_an_answer_of_punctuation_is_wrong_by_every_metric():
    for metric in ("em", "f1", "contains"):
        env = Search(TASKS, BM25, outcome_metric=metric)
        env.reset(seed=0)
        _, _, terminated, _, info = env.step("<answer> ...!? </answer>")
        assert (terminated, info["outcome"].score, info["outcome"].success, info["stop"]) == (True, 0.0, False, StopReason.FAILURE)


def test_wrong_arguments_name_what_is_allowed():
    with pytest.raises(ValueError, match="allowed: json, tags"):
        Search(TASKS, BM25, dialect="xml")
    with pytest.raises(ValueError, match="unknown turn reward"):
        Search(TASKS, BM25, weights={"luck": 1.0})
    with pytest.raises(ValueError, match="only one of tasks and retriever"):
        Search(TASKS)
