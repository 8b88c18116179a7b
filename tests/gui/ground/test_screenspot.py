"""Samples in each published form, made by hand: three pictures of 200 x 100 pixels with a red target at (20, 30) to (60, 50)."""

import io
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from PIL import Image, ImageDraw
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.gui.ground.env import Ground
from turnwise.envs.gui.ground.screenspot import ScreenSpot, accuracy_table
from turnwise.envs.gui.ground.scripts import Centre, Expert, WholeScreen
from turnwise.records import ImagePart
from turnwise.trainers.cli import app
from turnwise.trainers.evaluate import evaluate
from turnwise.trajectory_io import read_trajectories
from typer.testing import CliRunner

TARGET = [20.0, 30.0, 60.0, 50.0]


def picture(kind="PNG"):
    image = Image.new("RGB", (200, 100), "white")
    ImageDraw.Draw(image).rectangle((20, 30, 59, 49), fill="red")
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


@pytest.fixture
def v2(tmp_path):
    """ScreenSpot and v2: lists of samples by platform, (x, y, width, height) in pixels, images in a folder beside them."""
    (tmp_path / "screenspotv2_image").mkdir()
    for name in ("mobile", "web"):
        (tmp_path / "screenspotv2_image" / f"{name}_1.png").write_bytes(picture())
        rows = [
            {
                "img_filename": f"{name}_1.png",
                "bbox": [20, 30, 40, 20],
                "instruction": f"{kind} of {name}",
                "data_type": kind,
                "data_source": "ios",
            }
            for kind in ("text", "icon")
        ]
        (tmp_path / f"screenspot_{name}_v2.json").write_text(json.dumps(rows))
    return tmp_path


@pytest.fixture
def pro(tmp_path):
    """ScreenSpot-Pro: a list for each application, (x1, y1, x2, y2) in pixels, images in folders."""
    (tmp_path / "images" / "cad").mkdir(parents=True)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images" / "cad" / "shot.jpg").write_bytes(picture("JPEG"))
    row = {"img_filename": "cad/shot.jpg", "img_size": [200, 100], "instruction": "press it", "ui_type": "icon", "group": "CAD"}
    rows = [
        {**row, "id": "cad_1", "bbox": [20, 30, 60, 50]},
        {**row, "id": "cad_2", "bbox": None, "instruction": "the violet lever"},
    ]
    (tmp_path / "annotations" / "cad_linux.json").write_text(json.dumps(rows))
    return tmp_path


@pytest.fixture
def export(tmp_path):
    """An export to parquet: shares of the image, the images inside."""
    rows = {
        "file_name": ["a.png", "b.png"],
        "bbox": [[0.1, 0.3, 0.3, 0.5]] * 2,
        "instruction": ["first", "second"],
        "data_type": ["text", "icon"],
        "data_source": ["windows", "gitlab"],
        "image": [{"bytes": picture(), "path": "a.png"}] * 2,
    }
    parquet.write_table(pa.table(rows), tmp_path / "test-00000-of-00001.parquet")
    return tmp_path


@pytest.mark.parametrize("form", ["v2", "pro", "export"])
def test_every_form_is_read(form, request):
    folder = request.getfixturevalue(form)
    tasks = ScreenSpot(folder)
    got = tasks.list_tasks("test")
    assert [task.data["target"] for task in got] == [pytest.approx(TARGET)] * (1 if form == "pro" else len(got)) + [None] * (form == "pro")
    assert {task.data["group"] for task in got} == {"v2": {"mobile", "web"}, "pro": {"CAD"}, "export": {"desktop", "web"}}[form]
    assert len({task.hash for task in got}) == len(got) == {"v2": 4, "pro": 2, "export": 2}[form]
    assert [(s.name, s.type) for s in tasks.list_splits()] == [("test", "test")]
    env = Ground(data=folder)
    (system, shown), _ = env.reset(options={"split": "test", "index": 0})
    assert "x runs from 0 (left) to 200" in system.text
    (image,) = [part for part in shown.content if isinstance(part, ImagePart)]
    assert image.mime == ("image/jpeg" if form == "pro" else "image/png")
    assert image.data == tasks.image(got[0])
    assert env.step("(40, 40)")[4]["outcome"].score == 1.0


def test_jsonl_and_images_elsewhere(v2, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("images")
    shutil.move(v2 / "screenspotv2_image", elsewhere / "deep")
    lines = [row for file in sorted(v2.glob("*.json")) for row in json.loads(file.read_text())]
    file = v2 / "all.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    with pytest.raises(FileNotFoundError, match=r"no image 'mobile_1\.png'"):
        ScreenSpot(file)
    assert ScreenSpot(file, images=elsewhere).num_tasks("test") == 4


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"bbox": [170, 30, 40, 20]}, {}, r"read as xywh, does not lie in its image of 200 x 100 pixels.*boxes = xyxy, xywh, share"),
        ({}, {"boxes": "xyxy"}, "read as xyxy, does not lie"),  # (20, 30, 40, 20) is inverted then
        ({}, {"boxes": "share"}, "read as share"),
        ({"bbox": [60, 50, -40, -20]}, {}, "does not lie"),
        ({"bbox": [20, 30, 0, 20]}, {}, "does not lie"),
        ({"bbox": [20, 30, 40]}, {}, "not 4 finite numbers"),
        ({"bbox": [20, 30, 40, float("nan")]}, {}, "not 4 finite numbers"),
        ({"instruction": " "}, {}, "no 'instruction'"),
        ({"img_filename": None}, {}, "names no image"),
        ({"img_filename": "../../etc/passwd"}, {}, "there is no image"),
        ({"img_size": [100, 200]}, {}, "the image is 200 x 100"),
        ({}, {"boxes": "yx"}, "allowed: xyxy, xywh, share"),
    ],
)
def test_wrong_samples_are_refused(v2, change, arguments, message):
    file = v2 / "screenspot_web_v2.json"
    rows = json.loads(file.read_text())
    rows[1] |= change
    file.write_text(json.dumps(rows))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ScreenSpot(v2, **arguments)


def test_files_that_are_no_samples_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no samples"):
        ScreenSpot(tmp_path)
    (tmp_path / "a.json").write_text('{"samples": []}')
    with pytest.raises(ValueError, match="is no list of samples"):
        ScreenSpot(tmp_path)
    (tmp_path / "a.json").write_text("[")
    with pytest.raises(ValueError, match="is not JSON"):
        ScreenSpot(tmp_path / "a.json")


def test_accuracies_by_group_and_type(v2, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("runs")
    env = {"data": str(v2)}
    evaluate(lambda: Ground(**env), ScriptedAgent(Expert), "test", out=tmp_path / "gold")
    table = accuracy_table(read_trajectories(tmp_path / "gold" / "trajectories.jsonl"))
    perfect = {"action_acc": 1.0, "text_acc": 1.0, "icon_acc": 1.0, "wrong_format": 0.0}
    assert table == {"all": {**perfect, "count": 4.0}, "mobile": {**perfect, "count": 2.0}, "web": {**perfect, "count": 2.0}}
    evaluate(lambda: Ground(**env), ScriptedAgent("turnwise.envs.scripts:Null"), "test", out=tmp_path / "null")
    null = accuracy_table(read_trajectories(tmp_path / "null" / "trajectories.jsonl"))["all"]
    assert (null["action_acc"], null["wrong_format"]) == (0.0, 1.0)
    for script in (Centre, WholeScreen):
        assert evaluate(lambda: Ground(**env), ScriptedAgent(script), "test")["score"]["mean"] == 0.0


def test_a_negative_sample_is_right_when_the_agent_says_so(pro):
    env = Ground(data=pro, answer="box")
    for text, score in (("negative", 1.0), ("[1, 2, 3, 4]", 0.0)):
        env.reset(options={"split": "test", "index": 1})
        assert env.step(text)[4]["outcome"].score == score
    env.reset(options={"split": "test", "index": 0})
    assert env.step("negative")[4]["outcome"].score == 0.0


def test_the_command_line_evaluates_a_folder(v2, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    done = CliRunner().invoke(app, ["eval", "turnwise/Ground-v0", "--env-args", json.dumps({"data": str(v2)}), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert json.loads((out / "results.json").read_text())["score"]["mean"] == 1.0
