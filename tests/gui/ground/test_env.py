import io
import pickle
import re

import numpy as np
import pytest
from PIL import Image
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.gui.ground.answers import write_answer
from turnwise.envs.gui.ground.env import Ground
from turnwise.envs.gui.ground.pages import target_box
from turnwise.envs.gui.ground.scripts import Centre, Expert, Random, WholeScreen
from turnwise.envs.gui.ground.tasks import LAYOUTS
from turnwise.records import ImagePart, StopReason

HUES = {"red": (226, 59, 59), "green": (47, 158, 68), "blue": (47, 111, 224), "orange": (240, 140, 0)}
HUES |= {"purple": (143, 68, 214), "pink": (236, 95, 165), "brown": (138, 90, 51)}


@pytest.fixture
def env():
    made = []

    def make(**arguments):
        made.append(Ground(**arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def target(info):
    return tuple(info["turn"]["measures"][f"target_{name}"] for name in ("x1", "y1", "x2", "y2"))


def test_one_episode(env):
    ground = env()
    (system, shown), info = ground.reset(seed=0, options={"split": "test", "index": 3})
    assert "x runs from 0 (left) to 1024, y from 0 (top) to 768" in system.text
    assert shown.text == info["task"].prompt[0].text
    (picture,) = [part for part in shown.content if isinstance(part, ImagePart)]
    assert Image.open(io.BytesIO(picture.data)).size == (1024, 768)
    x1, y1, x2, y2 = target_box(info["task"])
    _, total, terminated, truncated, info = ground.step(f"({(x1 + x2) / 2}, {(y1 + y2) / 2})")
    assert target(info) == pytest.approx((x1, y1, x2, y2))
    assert (total, terminated, truncated, info["stop"]) == (pytest.approx(1.52), True, False, StopReason.SUCCESS)
    assert info["turn"]["components"] == {"gui_g2_point": pytest.approx(0.5), "format": 0.02}
    assert info["turn"]["measures"]["x"] == pytest.approx((x1 + x2) / 2)
    assert info["outcome"].score == 1.0


def test_golden_values_reach_the_turn(env):
    """The reference's pairs of boxes: a target of 40 x 20 px, the prediction 10 px right and 2 px below."""
    weights = {"hit": 1.0, "iou": 1.0, "gui_g2": 1.0, "gui_g2_point": 1.0, "gui_g2_coverage": 1.0, "gui_g1": 1.0, "distance": 1.0}
    ground = env(answer="box", weights=weights)
    ground.reset(seed=0)
    ground._target, ground._screen = (100.0, 50.0, 140.0, 70.0), (1000, 500)  # the values are those of this place alone
    *_, info = ground.step("[110, 52, 150, 68]")
    found = info["turn"]["components"]
    assert (found["gui_g2_point"], found["gui_g2_coverage"], found["gui_g2"]) == pytest.approx((0.882497, 0.957340, 1.839837), abs=1e-6)
    assert (found["hit"], found["iou"], found["gui_g1"]) == pytest.approx((1.0, 0.5, 1.249124), abs=1e-6)
    assert found["distance"] == pytest.approx((1 - 0.01 / 0.15) ** 2)
    assert info["turn"]["measures"]["difficulty"] == pytest.approx(25.0)  # sqrt(1000 * 500 / (40 * 20))
    assert info["turn"]["reward"] == pytest.approx(sum(found.values()))


def test_unreadable_answers_are_told_and_the_episode_goes_on_while_turns_are_left(env):
    ground = env(max_turns=3, weights={"hit": 1.0, "format": 0.5})
    ground.reset(seed=0)
    (told,), total, terminated, truncated, info = ground.step("I would click there.")
    assert "No point was found in 'I would click there.'" in told.text
    assert (total, terminated, truncated, info["turn"]["action_valid"]) == (0.0, False, False, False)
    (told,), *_ = ground.step("(5000, 2)")
    assert "lies outside the screenshot" in told.text
    x1, y1, x2, _ = target_box(ground.task)
    assert ground.step(write_answer(((x1 + x2) / 2, y1 + 1), (1024, 768)))[1] == 2.5
    ground.reset(seed=0)
    for text in ("", "nothing"):
        ground.step(text)
    _, _, terminated, _, info = ground.step("?")
    assert (terminated, info["stop"], info["outcome"].score) == (True, StopReason.INVALID_ACTION, 0.0)


def test_boxes_must_reach_the_asked_overlap(env):
    ground = env(answer="box", least_iou=0.5, weights={"iou": 1.0})
    for grow, score in ((0.0, 1.0), (200.0, 0.0)):
        _, info = ground.reset(seed=0, options={"split": "test", "index": 2})
        x1, y1, x2, y2 = target_box(info["task"])
        *_, info = ground.step(f"[{x1 - grow}, {y1 - grow}, {x2 + grow}, {y2 + grow}]")
        assert info["outcome"].score == score
    ground.reset(seed=0, options={"split": "test", "index": 2})
    *_, info = ground.step(f"({(x1 + x2) / 2}, {(y1 + y2) / 2})")  # a point has no area
    assert (info["turn"]["measures"]["hit"], info["turn"]["measures"]["iou"], info["outcome"].score) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("coordinates", ["pixels", "thousandths", "share", "resized", (500, 400)])
def test_the_expert_wins_at_every_scale_and_in_all_coordinates(env, scale, coordinates):
    ground = env(scale=scale, coordinates=coordinates, answer="box", layouts=["workbench", "form"], tasks=4)
    for index in range(2):
        told, info = ground.reset(seed=0, options={"split": "train", "index": index})
        (picture,) = [part for part in told[1].content if isinstance(part, ImagePart)]
        assert Image.open(io.BytesIO(picture.data)).size == (1024 * scale, 768 * scale)
        script = Expert()
        script.reset(info["task"], np.random.default_rng(0))
        *_, info = ground.step(script.act(told))
        assert info["outcome"].score == 1.0
        assert info["turn"]["measures"]["iou"] > 0.9


def test_the_target_is_where_the_screenshot_shows_it(env):
    """The pixels in the box of a coloured shape have its colour, at a scale of 2."""
    ground = env(layouts="workbench", kinds="look", themes="light", scale=2.0, tasks=40)
    seen = 0
    for index in range(12):
        (_, shown), info = ground.reset(seed=0, options={"split": "train", "index": index})
        found = re.search(r"the (\w+) square", info["task"].prompt[0].text)
        if not found:
            continue
        image = np.asarray(Image.open(io.BytesIO(shown.content[-1].data)).convert("RGB"))
        *_, info = ground.step("(0, 0)")
        x1, y1, x2, y2 = (round(v) for v in target(info))
        colour = HUES[found[1]]
        inside = (image[y1:y2, x1:x2] == colour).all(axis=-1)
        outside = (image[y1 - 6 : y2 + 6, x1 - 6 : x2 + 6] == colour).all(axis=-1)
        assert inside.mean() > 0.99
        assert outside.sum() == inside.sum()
        seen += 1
    assert seen


def test_the_tree_tells_a_text_policy_where_things_are(env):
    ground = env(layouts="toolbar", kinds="text", themes="light", observation=["axtree"], answer="box", coordinates="thousandths")
    for index in range(5):
        (_, shown), info = ground.reset(seed=0, options={"split": "validation", "index": index})
        assert isinstance(shown.content, str)
        wanted = re.search("“(.*)”", info["task"].prompt[0].text)[1]
        line = next(line for line in shown.text.splitlines() if line.startswith(f"button '{wanted}'"))
        *_, info = ground.step(line.split(" at ")[1])
        assert info["outcome"].score == 1.0
        assert info["turn"]["measures"]["iou"] > 0.95


def test_splits_differ_and_a_layout_can_be_held_out(env):
    tasks = env(held_out=["calendar", "files"], tasks=60).tasks
    layouts = {split: {t.data["layout"] for t in tasks.list_tasks(split)} for split in ("train", "validation", "test")}
    assert layouts["test"] == {"calendar", "files"}
    assert layouts["train"] == layouts["validation"] == set(LAYOUTS) - {"calendar", "files"}
    whole = env(tasks=1000).tasks
    hashes = [{t.hash for t in whole.list_tasks(split)} for split in ("train", "validation", "test")]
    assert [len(h) for h in hashes] == [1000, 1000, 1000]
    assert not hashes[0] & hashes[1] | hashes[0] & hashes[2] | hashes[1] & hashes[2]
    assert {t.data["theme"] for t in whole.get_task_range("train", 0, 50)} == {"light", "dark", "contrast", "rtl"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layouts": "tabel"}, "Did you mean 'table'"),
        ({"themes": []}, "no theme is named"),
        ({"held_out": list(LAYOUTS)}, "leaves no layout"),
        ({"size": (100, 100)}, "pages fit screens from"),
        ({"scale": 9}, "from 0.5 to 4"),
        ({"answer": "text"}, "allowed: 'point', 'box'"),
        ({"coordinates": "percent"}, "allowed: pixels, share"),
        ({"coordinates": (0, 10)}, "both above 0"),
        ({"weights": {"area": 1}}, "unknown turn reward"),
        ({"weights": {"iou": 1}}, "compare boxes, but the answer is a point"),
        ({"observation": "html"}, "there is no observation 'html'"),
        ({"least_iou": 2}, "from 0 to 1"),
        ({"tasks": 0}, "at least 1"),
        ({"data": "/nowhere"}, "does not exist"),
    ],
)
def test_wrong_arguments_are_refused(wrong, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Ground(**wrong)


def test_a_copy_opens_a_page_of_its_own(env):
    ground = env()
    ground.reset(seed=0)
    copy = pickle.loads(pickle.dumps(ground))
    try:
        first, _ = copy.reset(seed=0, options={"split": "test", "index": 1})
        again, _ = ground.reset(seed=0, options={"split": "test", "index": 1})
        assert first == again
    finally:
        copy.close()


def play(script, count, **arguments):
    env = Ground(observation="axtree", **arguments)  # no screenshots: scripts do not look
    done = rollout(lambda: env, ScriptedAgent(script), env.tasks.get_task_range("test", 0, count), concurrency=1)
    env.close()
    return [t.outcome.score for t in done]


@pytest.mark.slow
def test_the_gold_agent_wins_three_hundred_tasks():
    assert play(Expert, 300) == [1.0] * 300


def test_agents_that_do_not_look_lose():
    assert np.mean(play(Random, 60)) < 0.1
    assert np.mean(play(Centre, 60)) < 0.1
    assert np.mean(play(WholeScreen, 30, answer="box")) < 0.1
    assert np.mean(play(WholeScreen, 20, answer="box", least_iou=0.5)) == 0.0
