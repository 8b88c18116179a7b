"""Rewards from screens: a server that plays the judge sees what the judge would see."""

import io
import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image
from turnwise.records import ImagePart, Message, Outcome, StopReason, Task, TextPart, Trajectory, Turn
from turnwise.rewards.rubric import Rubric
from turnwise.trainers.config import TrainConfig
from turnwise.trainers.screen_rewards import ScreenChange, ScreenJudge
from turnwise.trainers.shaping import Shaping


@pytest.fixture
def judge():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.asked.append(body)
                text = server.answers[(len(server.asked) - 1) % len(server.answers)]
            data = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.answers, server.lock = [], ["SCORE: 1"], threading.Lock()
        server.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def png(colour, size=(8, 8), left="white"):
    image = Image.new("RGB", size, colour)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    out = io.BytesIO()
    image.save(out, format="PNG")
    return ImagePart(data=out.getvalue())


def episode(screens, texts=None, valid=None):
    """``screens`` [T + 1]: an image or None for each state."""
    texts = texts or [f"state {n}" for n in range(len(screens))]
    seen = []
    for number, (screen, text) in enumerate(zip(screens, texts, strict=True)):
        words = f"Goal: press it\n{text}" if number == 0 else text
        content = words if screen is None else (TextPart(text=words), screen)
        seen.append((Message(role="user", content=content),))
    valid = valid or [True] * (len(screens) - 1)
    turns = tuple(
        Turn(index=i, observation=seen[i], action=Message(role="assistant", content="I did all of it"), action_valid=valid[i])
        for i in range(len(screens) - 1)
    )
    task = Task(id="t", env_id="e", split="train")
    return Trajectory(task=task, turns=turns, outcome=Outcome(score=0.0), stop=StopReason.FAILURE, final_observation=seen[-1])


def test_the_judge_sees_the_goal_and_all_screens_and_nothing_the_agent_said(judge):
    (values,) = Rubric([(ScreenJudge(url=judge.url, model="m"), 1.0)])([episode([png("red"), png("green"), png("blue")])])
    assert values.outcome == 1.0
    assert len(judge.asked) == 4
    body = judge.asked[0]
    assert body["temperature"] == 1.0
    parts = body["messages"][1]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "image_url", "image_url", "text"]
    assert parts[0]["text"] == "Task: press it\nScreens, 3 in all:"
    assert "I did" not in json.dumps(body)
    assert "state" not in json.dumps(parts)


@pytest.mark.parametrize(
    ("answers", "rule", "expected", "unreadable"),
    [
        (["SCORE: 1"], "all", 1.0, 0),
        (["SCORE: 1", "SCORE: 1", "SCORE: 1", "SCORE: 0"], "all", 0.0, 0),
        (["SCORE: 1", "SCORE: 1", "SCORE: 1", "SCORE: 0"], "majority", 1.0, 0),
        (["SCORE: 1", "SCORE: 0", "SCORE: 1", "SCORE: 0"], "majority", 0.0, 0),
        (["SCORE: 1", "yes", "SCORE: 1", "SCORE: 1"], "all", 1.0, 1),
        (["no idea"], "all", math.nan, 4),
    ],
)
def test_votes(judge, answers, rule, expected, unreadable):
    judge.answers = answers
    function = ScreenJudge(url=judge.url, model="m", rule=rule, concurrency=1)
    (scored,) = Rubric([(function, 1.0)])([episode([png("red"), png("green")])])
    assert dict(scored.added_outcome) == ({} if math.isnan(expected) else {"screen_judge": expected})
    assert (function.asked, function.unreadable, function.unjudged) == (4, unreadable, int(math.isnan(expected)))


def test_only_the_last_screens_may_be_shown_and_no_screen_is_no_verdict(judge):
    function = ScreenJudge(url=judge.url, model="m", judgements=1, last=2)
    Rubric([(function, 1.0)])([episode([png("red"), png("green"), png("blue")]), episode([None, None])])
    assert len(judge.asked) == 1
    assert sum(part["type"] == "image_url" for part in judge.asked[0]["messages"][1]["content"]) == 2
    assert function.unjudged == 1


def test_wrong_arguments_are_told():
    with pytest.raises(ValueError, match="judgements 0"):
        ScreenJudge(url="http://x/v1", model="m", judgements=0)
    with pytest.raises(ValueError, match="missing keys"):
        ScreenJudge(url="http://x/v1")
    with pytest.raises(ValueError, match="allowed: 'image', 'text', 'both'"):
        ScreenChange(of="pixels")


def test_recipes_name_both():
    config = TrainConfig(rubric={"screen_judge": {"weight": 1.0, "url": "http://x/v1", "model": "m"}, "screen_change": 0.1})
    assert [function.name for function, _ in Shaping(config, object())._functions] == ["screen_judge", "screen_change"]


def test_change_and_novelty_of_screens():
    left, right = png("black"), png("white", left="black")
    values = ScreenChange(of="image")([episode([left, left, right, left])])[0].turns
    # cos(left, right) = -1 around the mean. S_1 of sim [1, -1, 1], S_2 of [[-1, 1], [-1, 1]], S_3 of [1, 1, -1]: 1/3, 0, 1/3.
    assert values == pytest.approx([0 + 2 / 3, 2 + 1.0, 2 + 2 / 3])
    assert ScreenChange(of="image", sequence=False)([episode([left, left, right, left])])[0].turns == pytest.approx([0, 2, 2])


def test_text_states_invalid_actions_and_missing_screens():
    texts = ["one two", "one two", "three four"]
    immediate = ScreenChange(of="text", sequence=False)
    first, second = immediate([episode([None] * 3, texts)])[0].turns
    # The first state holds the goal's words too: 2 of 5 words are shared.
    assert first == pytest.approx(1 - 2 / math.sqrt(5 * 2))
    assert second == pytest.approx(1.0)
    assert immediate([episode([None] * 3, texts, [True, False])])[0].turns == [pytest.approx(first), 0.0]
    assert all(map(math.isnan, ScreenChange(of="image")([episode([None] * 3)])[0].turns))
