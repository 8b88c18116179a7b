"""The report of a run, opened in a real browser: nothing may be loaded, and no text of a trajectory may become markup."""

import io
import json
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from playwright.sync_api import sync_playwright
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.registry import manifest
from turnwise.records import ImagePart, Message, Outcome, StopReason, Task, TextPart, TokenTrace, Trajectory, Turn
from turnwise.trainers.config import TrainConfig
from turnwise.trainers.evaluate import evaluate
from turnwise.trainers.report import data
from turnwise.trainers.report.write import write_report
from turnwise.trainers.runs import RunFolder
from turnwise.trajectory_io import write_trajectories

CHROMIUM = shutil.which("chromium")
ENV = "turnwise/GuessNumber-v0"
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u2028\ud800"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)


def trajectory(number, text="<search> mayor of Bomi </search>", score=1.0):
    turns = [
        Turn(
            index=index,
            observation=(Message(role="user", content=f"question {number}" if index == 0 else EVIL),),
            action=Message(role="assistant", content=text),
            reward=[0.25, None][index],
            components=[{"gold": 0.25}, {}][index],
            potential=0.5,
            tokens=TokenTrace(context_ids=(1, 2, 3), action_ids=(4, 5), logprobs=(-0.5, -1.25), restart=index == 0),
        )
        for index in range(2)
    ]
    stop = StopReason.SUCCESS if score else StopReason.FAILURE
    task = Task(id=f"task-{number}", env_id="x/X-v0", split="train", data={"answers": [EVIL[:-1]]})
    return Trajectory(task=task, turns=tuple(turns), outcome=Outcome(score=score), stop=stop, rollout=number)


def save_step(run, step, episodes, notes):
    path = run / "trajectories" / f"step-{step:05d}.jsonl"
    write_trajectories(path, episodes)
    path.with_suffix(".credit.json").write_text(json.dumps({"estimator": "gigpo", "episodes": notes}))


def save_tokenizer(run):
    from tokenizers import Tokenizer, models

    words = {"?": 0, "what": 1, "is": 2, "\n": 3, "<b>": 4, "end": 5}
    (run / "tokenizer").mkdir()
    Tokenizer(models.WordLevel(words, unk_token="?")).save(str(run / "tokenizer" / "tokenizer.json"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with invented measures, evaluations by scripts, and hand-made training episodes."""
    folder = RunFolder.create(tmp_path_factory.mktemp("report") / "run", TrainConfig(env=ENV, estimator="gigpo"))
    run = folder.path
    folder.log({"phase": "warm", "step": 20, "loss": 2.0})
    folder.log({"phase": "warm", "step": 40, "loss": 1.0})
    for step in range(1, 7):
        row = {"success": step / 10, "rollouts": step * 8, "entropy": float("nan"), "faults": step % 2, "brand_new_measure": step * 1.5}
        folder.log({"phase": "rl", "step": step, **row, "seconds": {"rollout": 3.0, "train": 1.0}})
    scripts = manifest(ENV).scripts
    for name, script in (("before", "null"), ("after", "expert")):
        agent = ScriptedAgent(scripts[script], script)
        results = {mode: evaluate(ENV, agent, n_tasks=8, out=run / "eval" / f"{name}-{mode}") for mode in ("sampled", "greedy")}
        (run / f"{name}.json").write_text(json.dumps(results))
    notes = [{"advantages": [0.5, -0.5], "trained": [[True, True], [True, False]]}, {"advantages": [0.0, 0.0], "trained": None}]
    save_step(run, 1, [trajectory(0), trajectory(1, score=0.0)], notes)
    save_tokenizer(run)
    return run


@pytest.fixture(scope="module")
def browser(finished):  # made first: playwright keeps an event loop running, in which nothing can be evaluated
    if CHROMIUM is None:
        pytest.skip("chromium is missing; install Debian's package chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def visit(browser):
    """Open the report of a folder; afterwards nothing was requested, complained about or executed."""
    opened, troubles = browser.new_page(), []
    opened.on("console", lambda m: troubles.append(m.text))
    opened.on("pageerror", lambda e: troubles.append(str(e)))
    opened.on("request", lambda r: troubles.append(r.url) if not r.url.startswith(("file:", "data:")) else None)

    def go(run, **options):
        opened.goto(write_report(run, **options).as_uri())
        return opened

    yield go
    assert troubles == []
    assert opened.title() != "owned"
    opened.close()


@pytest.fixture
def page(visit, finished):
    return visit(finished)


def test_held_out_results_are_shown_with_their_difference(page):
    rows = page.locator("#held tbody tr")
    assert [row.split("\t")[:3] for row in rows.all_inner_texts()] == [
        ["before", "sampled", "0"],
        ["before", "greedy", "0"],
        ["after", "sampled", "1"],
        ["after", "greedy", "1"],
    ]
    assert page.locator("#held svg").nth(2).get_attribute("aria-label") == "1, from 1 to 1"
    differences = page.locator("#held .difference").all_inner_texts()
    assert "sampled: +1 [1, 1] in success, paired on 8 tasks: better on 8, worse on 0, equal on 0" in differences[0]
    tiles = page.locator("#tiles").inner_text()
    assert "0 → 1" in tiles
    assert "faults\n3\n" in tiles
    assert page.locator("#notices").inner_text() == ""


def test_every_measure_has_a_curve(page):
    titles = page.locator(".chart h4").all_inner_texts()
    for title in ("Success, training and held out", "brand new measure", "Where the time went", "Seconds per step", "Loss"):
        assert title in titles
    assert "Entropy, nats per token" not in titles  # there was nothing but NaN
    first = page.locator(".chart").first
    assert first.locator("path").count() == 1
    heights = first.locator("circle").evaluate_all("nodes => nodes.map(n => +n.getAttribute('cy'))")
    assert heights == [122, 8]  # held out, 0 before and 1 after: the bottom and the top of the plot
    box = first.locator("svg").bounding_box()
    first.locator("svg").hover(position={"x": box["width"] - 12, "y": 40})
    assert "success 0.600" in first.locator(".legend").inner_text()
    assert "step 6, 48 rollouts" in first.locator(".legend").inner_text()
    assert "18.0 s\t75.0 %" in page.locator("#phases").inner_text()


def test_the_viewer_shows_rewards_advantages_and_trained_tokens(page):
    page.select_option("#source", "step-00001")
    text = page.locator("#episode").inner_text()
    assert "outcome 1 (success) step-00001, gigpo" in text
    assert "reward 0.250 = gold 0.250" in text
    assert "reward not scored" in text
    assert "advantage -0.500" in text
    assert "trained 1 of 2 tokens" in text
    assert EVIL[:80] in text
    assert page.locator("#episode .token").all_inner_texts() == ["<b>", "end"] * 2
    marked = page.locator("#episode .token.trained")
    assert marked.count() == 3
    tints = marked.evaluate_all("nodes => nodes.map(n => getComputedStyle(n).backgroundColor)")
    assert tints[0] == tints[1] != tints[2]  # equal advantages but for the sign
    page.locator("#episode .token").nth(1).hover()
    tip = page.locator("#tip").inner_text()
    assert '"end"' in tip
    assert "log-prob -1.250, probability 0.287" in tip
    assert "trained, advantage +0.500" in tip


def test_exact_tokens_show_the_context_in_grey(page):
    page.select_option("#source", "step-00001")
    assert page.locator("#episode .token.context").count() == 0
    page.check("#exact")
    assert page.locator("#turn-1 .token.context").all_inner_texts() == ["what", "is", "↵\n"]
    assert "question 0" not in page.locator("#episode").inner_text()


def test_the_list_switches_and_filters(page):
    page.select_option("#source", "step-00001")
    assert page.locator("#list button").count() == 2
    page.locator("#list button").nth(1).click()
    assert "task-1" in page.locator("#episode").inner_text()
    assert page.locator("#episode .token.trained").count() == 0
    page.keyboard.press("ArrowUp")
    assert "task-0" in page.locator("#episode").inner_text()
    page.select_option("#result", "0")
    assert page.locator("#list button").count() == 1
    page.select_option("#result", "")
    page.fill("#search", "QUESTION 0")
    assert page.locator("#list button").count() == 1
    page.fill("#search", "nowhere to be found")
    assert page.locator("#episode").inner_text() == "No trajectory fits."


def test_scripted_episodes_without_tokens_are_shown(page):
    page.select_option("#source", "eval after-sampled")
    page.check("#exact")
    assert page.locator("#list button").count() == 8
    assert page.locator("#episode .message.action").count() >= 1
    assert "trained" not in page.locator("#episode").inner_text()


def test_what_is_unusual_about_a_turn_is_said(visit, tmp_path):
    first, second = trajectory(0).turns
    cut = replace(second.tokens, finish_reason="length", restart=True)
    turns = (replace(first, trained=False, seconds=0.25, anchor="a" * 64), replace(second, action_valid=False, tokens=cut))
    void = {"outcome": Outcome.void("the server died"), "stop": StopReason.ENV_FAULT}
    write_trajectories(tmp_path / "trajectories.jsonl", [replace(trajectory(0), turns=turns), replace(trajectory(1), **void)])
    page = visit(tmp_path)
    heads = page.locator("#episode h4").all_inner_texts()
    assert heads[0].endswith("so it is not trained here")
    assert heads[1].endswith("action could not be used; context rebuilt: a new sample starts here; cut off at the length limit")
    facts = page.locator("#turn-1 .facts").inner_text()
    assert "environment 0.25 s" in facts
    assert "state aaaaaaaa…" in facts
    page.select_option("#result", "void")
    assert "no verdict (env fault)" in page.locator("#episode").inner_text()
    assert "the server died" in page.locator("#episode").inner_text()


def test_a_long_episode_scrolls_to_a_turn_in_its_own_pane(visit, tmp_path):
    first, second = trajectory(0).turns
    turns = [first, *(replace(second, index=index) for index in range(1, 40))]
    write_trajectories(tmp_path / "trajectories.jsonl", [replace(trajectory(n), turns=tuple(turns)) for n in range(2)])
    page = visit(tmp_path)
    page.locator(".strip button").nth(29).scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    page.locator(".strip button").nth(29).click()
    top = page.locator("#turn-30 h4").bounding_box()["y"] - page.locator("#episode").bounding_box()["y"]
    assert 0 < top < 150
    assert page.evaluate("scrollY") == before
    page.locator("#list button").nth(1).click()
    assert page.evaluate("document.getElementById('episode').scrollTop") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_does_not_scroll_sideways(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(246, 246, 243)", "dark": "rgb(18, 21, 24)"}[scheme]


def test_images_are_inside_the_page_up_to_a_budget(visit, tmp_path, monkeypatch):
    seen = Message(role="user", content=(TextPart(text="look"), ImagePart(data=PIXEL)))
    turn = replace(trajectory(0).turns[0], observation=(seen,))
    write_trajectories(tmp_path / "trajectories.jsonl", [replace(trajectory(0), turns=(turn,)), replace(trajectory(1), turns=(turn,))])
    monkeypatch.setattr(data, "MOST_IMAGE_BYTES", len(PIXEL) + 5)
    page = visit(tmp_path)
    assert page.locator("#episode img").evaluate("image => image.naturalWidth") == 1
    page.locator("#list button").nth(1).click()
    assert "[image of 1 kB, not in this file]" in page.locator("#episode").inner_text()


def test_where_the_mouse_went_is_drawn_on_the_screenshot(visit, tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (160, 210), "white").save(picture, format="PNG")
    seen = Message(role="user", content=(TextPart(text="look"), ImagePart(data=picture.getvalue())))
    first, second = trajectory(0).turns[:2]
    clicked = replace(first, observation=(seen,), measures={"pointer_x": 40.0, "pointer_y": 105.0})
    from_to = {"pointer_from_x": 80.0, "pointer_from_y": 21.0, "pointer_x": 120.0, "pointer_y": 42.0}
    write_trajectories(
        tmp_path / "trajectories.jsonl", [replace(trajectory(0), turns=(clicked, replace(second, observation=(seen,), measures=from_to)))]
    )
    page = visit(tmp_path)
    image, ring = page.locator("#turn-1 img").bounding_box(), page.locator("#turn-1 .pointer .dot").bounding_box()
    assert (ring["x"] + ring["width"] / 2 - image["x"]) / image["width"] == pytest.approx(0.25, abs=0.01)
    assert (ring["y"] + ring["height"] / 2 - image["y"]) / image["height"] == pytest.approx(0.5, abs=0.01)
    assert page.locator("#turn-1 img").get_attribute("alt") == "image the agent saw; mouse at (40, 105)"
    assert page.locator("#turn-2 .pointer line").count() == 1
    assert page.locator("#turn-2 img").get_attribute("alt") == "image the agent saw; dragged from (80, 21) to (120, 42)"


def test_a_run_that_is_not_over_says_what_is_missing(visit, tmp_path):
    page = visit(RunFolder.create(tmp_path / "run", TrainConfig()).path)
    notices = page.locator("#notices").inner_text()
    for what in ("trajectories", "metrics of training", "the evaluation before training", "the evaluation after training"):
        assert what in notices
    assert "No trajectory fits." in page.locator("#episode").inner_text()


def test_an_evaluation_alone_has_a_report(visit, finished, tmp_path):
    shutil.copytree(finished / "eval" / "after-greedy", tmp_path / "alone")
    page = visit(tmp_path / "alone")
    assert page.locator("#held tbody tr").inner_text().startswith("expert\t")
    assert page.locator("#list button").count() == 8
    assert page.locator("#notices").inner_text() == ""
    (tmp_path / "alone" / "results.json").unlink()
    assert "results (the evaluation is not over)" in visit(tmp_path / "alone").locator("#notices").inner_text()


def test_damage_is_told_and_the_rest_is_shown(visit, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"phase": "rl", "st')
    with (run / "trajectories" / "step-00001.jsonl").open("a") as file:
        file.write('{"schema"')
    (run / "after.json").write_text("{")
    notes = [{"advantages": [1.0, 1.0, 1.0], "trained": None}]
    save_step(run, 2, [trajectory(0)], notes)
    page = visit(run)
    notices = page.locator("#notices").inner_text()
    for what in ("metrics.jsonl:9 is not a row", "step-00001.jsonl:3: not a trajectory", "after.json is not JSON"):
        assert what in notices
    assert "step-00001.jsonl: advantages of 2 episodes for 3 lines" in notices
    assert "step-00002.jsonl:1: its advantages belong to another episode" in notices
    page.select_option("#source", "step-00001")
    assert page.locator("#list button").count() == 2


def test_large_runs_are_cut_and_say_so(visit, finished, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    save_step(run, 2, [replace(trajectory(0), rollout=n) for n in range(300)], [])
    there = 2 + 300 + 4 * 8
    cut = data.collect_data(run)
    assert len(cut["trajectories"]) == data.MOST_TRAJECTORIES == 200
    assert len(cut["trajectories"]) + cut["left_out"] == there
    rollouts = [t["rollout"] for t in cut["trajectories"] if t["source"] == "step-00002"]
    assert rollouts[0] == 0
    assert rollouts[-1] > 290  # taken evenly, not from the front
    monkeypatch.setattr(data, "MOST_CHARACTERS", 60_000)
    small = data.collect_data(run)
    assert 0 < len(small["trajectories"]) < len(cut["trajectories"])
    count, left_out = len(small["trajectories"]), small["left_out"]
    shown = visit(run).locator("#count").inner_text()
    assert shown == f"{count} of {count} shown; {left_out} more are in the run folder alone"


@given(st.lists(st.integers(0, 60), min_size=1, max_size=30), st.integers(1, 100))
def test_files_share_what_is_shown(counts, most):
    shares = data._shares(counts, most)
    assert sum(shares) == min(most, sum(counts))
    assert all(0 <= share <= count for share, count in zip(shares, counts, strict=True))
    cut = [share for share, count in zip(shares, counts, strict=True) if share < count]
    assert not cut or max(shares) - min(cut) <= 1


def test_any_tokenizer_can_be_given(finished):
    class Upper:
        def decode(self, ids, skip_special_tokens):
            return "ABCDEF"[ids[0]]

    assert data.collect_data(finished, Upper())["vocabulary"] == {"1": "B", "2": "C", "3": "D", "4": "E", "5": "F"}


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no run and no evaluation"):
        write_report(tmp_path)
