"""Prediction files, and patches of every sort applied in a sandbox."""

import json

import pytest
from turnwise.envs.swe.formats.patches import MAX_PATCH, PatchError, apply_patch
from turnwise.envs.swe.formats.predictions import grade_predictions, read_predictions
from turnwise.envs.swe.formats.setup import prepare
from turnwise.envs.swe.formats.tasks import FormatTasks, load_image_instance

SHIFTED = """--- a/widget.py
+++ b/widget.py
@@ -3,5 +3,5 @@
 # a comment that is not there
     \"\"\"Sum of numbers.\"\"\"
-    return sum(numbers[:-1])
+    return sum(numbers)
 
 
"""
BINARY = """diff --git a/x.bin b/x.bin
new file mode 100644
index 0000000000000000000000000000000000000000..b6e9d54fe4a4f3b1b5f9a4cf1e1d2c5fb7e4d0f1
Binary files /dev/null and b/x.bin differ
"""


@pytest.fixture
def instance(make):
    form, row = make("swe-bench")
    return load_image_instance({"kind": "image", "format": form, "row": row})


@pytest.fixture
def tasks(make, tmp_path):
    row = make("swe-bench")[1]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row | {"instance_id": f"pallets__flask-{n}"}) + "\n" for n in range(1, 7)))
    return FormatTasks(path, "swe-bench")


def test_a_file_of_predictions_is_graded(tasks, instance, make_diff, tmp_path):
    gold = instance.spec.patch
    overwritten = gold + make_diff("tests/test_widget.py", "", "def test_total(): pass\n")
    patches = [gold, "", overwritten.replace("[:-1]", "[:-2]"), None, gold.replace("\n", "\r\n")]
    lines = [{"instance_id": f"pallets__flask-{n}", "model_name_or_path": "m", "model_patch": p} for n, p in enumerate(patches, 1)]
    path = tmp_path / "preds.jsonl"
    path.write_text("\n".join(map(json.dumps, [*lines, {"instance_id": "no__such-1", "model_patch": ""}])))
    report = grade_predictions(path, tasks, workers=2)
    assert report.resolved == ("pallets__flask-1", "pallets__flask-5")
    assert (report.unknown, report.missing, report.faults) == (("no__such-1",), ("pallets__flask-6",), {})
    assert report.share == pytest.approx(2 / 6)
    notes = {id[-1]: grade.note for id, grade in report.grades.items()}
    assert notes["1"] == "2 of 2 FAIL_TO_PASS and 2 of 2 PASS_TO_PASS are right"
    assert notes["2"] == "the patch is empty"
    assert notes["3"].startswith("the patch does not apply")
    assert notes["4"] == "the prediction has no patch"
    assert "the patch was applied by: " in notes["5"]


def test_an_instance_that_cannot_be_set_up_is_a_fault_and_no_grade(make, make_diff, tmp_path):
    row = make("swe-bench", test_patch=make_diff("tests/test_widget.py", "no\n", "yes\n"))[1]
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (tmp_path / "preds.json").write_text(json.dumps({row["instance_id"]: {"model_patch": row["patch"]}}))
    report = grade_predictions(tmp_path / "preds.json", FormatTasks(tmp_path / "rows.jsonl", "swe-bench"))
    assert (report.grades, report.share) == ({}, 0.0)
    assert "its test patch cannot be put into the repository" in report.faults["pallets__flask-1"]


@pytest.mark.parametrize(
    ("text", "patches"),
    [
        ('[{"instance_id": "a", "model_patch": "x"}, {"instance_id": "b", "model_patch": null}]', {"a": "x", "b": None}),
        ('{"instance_id": "a", "model_patch": "x"}\n{"instance_id": "b"}\n', {"a": "x", "b": None}),
        ('{"instance_id": "a", "model_patch": "x"}', {"a": "x"}),
        ('{"a": {"model_name_or_path": "m", "instance_id": "a", "model_patch": "x"}, "b": {"model_patch": "y"}}', {"a": "x", "b": "y"}),
        ('\ufeff{"a": {"model_patch": "x"}}', {"a": "x"}),
        ("", {}),
    ],
)
def test_forms_of_prediction_files(tmp_path, text, patches):
    (tmp_path / "preds").write_text(text)
    assert {p.id: p.patch for p in read_predictions(tmp_path / "preds")} == patches


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a": 1}', r"preds\['a'\]: it is '1'; a prediction is an object"),
        (b'[{"instance_id": "a"}, {"instance_id": "a"}]', r"preds\[1\]: there is a second prediction for 'a'"),
        (b'[{"instance_id": "a", "model_patch": 3}]', r"'model_patch' is a int"),
        (b'{"instance_id": "a"}\nnonsense', r"preds:2: neither this line nor the file is JSON"),
        (b"\xff", "it is not UTF-8"),
    ],
)
def test_files_that_are_not_predictions(tmp_path, data, said):
    (tmp_path / "preds").write_bytes(data)
    with pytest.raises(ValueError, match=said):
        read_predictions(tmp_path / "preds")


def test_the_chain_of_tries(instance):
    gold = instance.spec.patch
    box = instance._fresh("auto", None)
    try:
        prepare(box, instance.spec)
        assert apply_patch(box, gold) == "git apply"
        assert apply_patch(box, gold) in ("git apply --3way", "already there")  # a merge with what is there already changes nothing
        box.exec(["git", "-c", "safe.directory=*", "checkout", "-q", "--", "widget.py"])
        before = box.tree()
        for bad, said in (
            ("no patch", "no file is named in it"),
            (gold.replace("sum(numbers[:-1])", "nothing like it"), "does not apply"),
            (gold[: len(gold) // 2], "does not apply"),
            (gold.replace("widget.py", "../../etc/passwd"), "does not apply"),
            (BINARY, "without its data"),
            ("+" * MAX_PATCH + "\n", "bytes; the most is"),
        ):
            with pytest.raises(PatchError, match=said):
                apply_patch(box, bad)
            assert {p: f for p, f in box.tree().items() if not p.startswith(".git/")} == {
                p: f for p, f in before.items() if not p.startswith(".git/")
            }
        assert apply_patch(box, SHIFTED) == "patch"
        assert b"sum(numbers)" in box.read("widget.py")
        assert sorted(p for p in box.tree() if not p.startswith(".git/")) == sorted(p for p in before if not p.startswith(".git/"))
    finally:
        box.close()
