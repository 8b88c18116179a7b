"""Rows of the outside data sets: what is read, what is refused and how it is said; splits; sources."""

import json

import pytest
from turnwise.envs.swe.formats.r2e import diff_of, issue
from turnwise.envs.swe.formats.swebench import command_of, directives
from turnwise.envs.swe.formats.tasks import FormatTasks, format_tasks, load_image_instance, read_rows

IMAGES = {
    "swe-bench": "swebench/sweb.eval.x86_64.pallets_1776_flask-1:latest",
    "swe-gym": "docker.io/xingyaoww/sweb.eval.x86_64.getmoto_s_moto-1:latest",
    "swe-smith": "jyangballin/swesmith.x86_64.acme_1776_widget.01234567:latest",
    "r2e-gym": "namanjain12/widget_final:0123",
    "swe-rebench": "swerebench/sweb.eval.x86_64.acme_1776_widget-1:latest",
    "swe-rebench-v2": "swerebenchv2/acme-widget:2",
}
DJANGO_PATCH = """diff --git a/tests/app/test_a.py b/tests/app/test_a.py
--- a/tests/app/test_a.py
+++ b/tests/app/test_a.py
@@ -1 +1 @@
-a
+b
diff --git a/tests/app/models.json b/tests/app/models.json
new file mode 100644
--- /dev/null
+++ b/tests/app/models.json
@@ -0,0 +1 @@
+{}
diff --git a/docs/x.py b/docs/x.py
--- a/docs/x.py
+++ b/docs/x.py
@@ -1 +1 @@
-a
+b
"""


def spec_of(form, row):
    return load_image_instance({"kind": "image", "format": form, "row": row}).spec


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_image_names(make, name):
    assert spec_of(*make(name)).image == IMAGES[name]


def test_image_names_follow_from_ids_in_lower_case(make):
    assert spec_of(*make("swe-bench", instance_id="Foo__Bar-7")).image == "swebench/sweb.eval.x86_64.foo_1776_bar-7:latest"
    assert spec_of(*make("swe-gym", **{})).image.startswith("docker.io/xingyaoww/")
    form, row = make("swe-smith")
    del row["image_name"], row["repository"]
    assert spec_of(form, row).image == "swebench/swesmith.x86_64.acme_1776_widget.01234567:latest"
    assert spec_of(form, row | {"image_name": "swebench/x:1"}).image == "swebench/x:1"
    with pytest.raises(ValueError, match=r"owner__repository\.commit\.bug; give 'image_name'"):
        spec_of(form, row | {"instance_id": "widget"})


def test_work_folders(make):
    assert {n: spec_of(*make(n)).work for n in IMAGES} == {**dict.fromkeys(IMAGES, "/testbed"), "swe-rebench-v2": "/widget"}


def test_lists_as_json_texts_are_read(make):
    form, row = make("swe-bench")
    texts = {name: json.dumps(row[name]) for name in ("FAIL_TO_PASS", "PASS_TO_PASS")}
    assert spec_of(form, row | texts).fail_to_pass == tuple(row["FAIL_TO_PASS"])
    assert spec_of(form, row | {"PASS_TO_PASS": row["PASS_TO_PASS"] * 2 + row["FAIL_TO_PASS"]}).pass_to_pass == tuple(row["PASS_TO_PASS"])


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("swe-bench", {"FAIL_TO_PASS": []}, "'FAIL_TO_PASS' is empty"),
        ("swe-bench", {"FAIL_TO_PASS": "a b"}, "'FAIL_TO_PASS' is a text that is not JSON"),
        ("swe-bench", {"PASS_TO_PASS": [1]}, "it must be a list of test ids, or a JSON text of one"),
        ("swe-bench", {"PASS_TO_PASS": None}, "it has no 'PASS_TO_PASS'; its keys are"),
        ("swe-bench", {"problem_statement": " "}, "'problem_statement' is empty"),
        ("swe-bench", {"repo": "flask"}, "it must have the form owner/name"),
        ("swe-bench", {"repo": "acme/widget"}, "no log parser is known for the repository 'acme/widget'"),
        ("swe-bench", {"repo": "acme/widget", "log_parser": "parse_log_pytest"}, "no test command is known for the repository"),
        ("swe-bench", {"log_parser": "parse_log_pytst"}, "Did you mean 'parse_log_pytest'"),
        ("swe-bench", {"eval_type": "all"}, "allowed: pass_and_fail, fail_only"),
        ("swe-bench", {"test_patch": "nothing"}, "'test_patch' is not a unified diff"),
        ("swe-bench", {"repository": {}}, "'repository' must be an object"),
        ("swe-smith", {"problem_statement": None}, "it has no 'problem_statement'"),
        ("swe-smith", {"instance_id": "tornadoweb__tornado.01234567.x"}, "a test command of its own; give it as 'test_cmd'"),
        ("r2e-gym", {"expected_output_json": "{"}, "'expected_output_json' is a text that is not JSON"),
        ("r2e-gym", {"expected_output_json": {"a": "OK"}}, "allowed: PASSED, FAILED, ERROR, SKIPPED, XFAIL, XPASS"),
        ("r2e-gym", {"expected_output_json": {}}, "'expected_output_json' is empty"),
        ("swe-rebench-v2", {"install_config": None}, "'install_config'"),
        (
            "swe-rebench-v2",
            {"install_config": {"log_parser": "parse_log_jest", "test_cmd": "x"}},
            "no log parser 'parse_log_jest'; there are",
        ),
        ("swe-rebench-v2", {"install_config": {"log_parser": "parse_log_pytest"}}, "has no 'test_cmd'"),
    ],
)
def test_rows_that_cannot_be_used_are_told_with_their_place(make, tmp_path, name, fields, said):
    form, row = make(name)
    path = write(tmp_path / "rows.jsonl", [row | {"instance_id": "pallets__flask-0"} if name != "swe-smith" else row, {**row, **fields}])
    with pytest.raises(ValueError, match=r"rows\.jsonl:2: ") as error:
        read_rows(path, form)
    assert said in str(error.value)
    tasks = FormatTasks(path, form, skip_bad=True)
    assert (tasks.report.loaded, tasks.report.skipped) == (1, 1)


def test_an_instance_twice_is_refused(make, tmp_path):
    form, row = make("swe-bench")
    with pytest.raises(ValueError, match=r":2: the instance 'pallets__flask-1' occurred before"):
        read_rows(write(tmp_path / "rows.jsonl", [row, row]), form)


def test_files_of_every_kind(make, tmp_path):
    form, row = make("swe-bench")
    del row["repository"]
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").Table.from_pylist([row])
    parquet.write_table(table, tmp_path / "rows.parquet")
    read = [read_rows(tmp_path / name, form)[0].spec for name in ("rows.json", "rows.parquet")]
    assert read[0] == read[1] == spec_of(form, row)


def test_a_saved_data_set_keeps_its_splits(make, tmp_path):
    datasets = pytest.importorskip("datasets")
    form, row = make("swe-bench")
    del row["repository"]
    parts = {name: [row | {"instance_id": f"pallets__flask-{n}"}] for n, name in enumerate(("train", "dev", "test"))}
    datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name, rows in parts.items()}).save_to_disk(str(tmp_path / "saved"))
    tasks = FormatTasks(tmp_path / "saved", form)
    assert [(s.name, s.type, s.num_tasks) for s in tasks.list_splits()] == [
        ("train", "train", 1),
        ("dev", "validation", 1),
        ("test", "test", 1),
    ]
    one = format_tasks(f"swe-bench:{tmp_path / 'saved'}#dev")
    assert [(s.name, s.type) for s in one.list_splits()] == [("dev", "validation")]
    assert one.get_task("dev", 0).data["row"]["FAIL_TO_PASS"] == row["FAIL_TO_PASS"]
    with pytest.raises(ValueError, match="has no split 'lite'; it has train, dev, test"):
        FormatTasks(f"{tmp_path / 'saved'}#lite", form)


def test_a_file_of_swe_bench_is_one_test_split(make, tmp_path):
    form, row = make("swe-bench")
    tasks = format_tasks(f"swe-bench:{write(tmp_path / 'rows.jsonl', [row])}")
    assert [(s.name, s.type, s.num_tasks) for s in tasks.list_splits()] == [("test", "test", 1)]
    task = tasks.get_task("test", 0)
    assert (task.id, task.env_id, task.prompt[0].content) == ("pallets__flask-1", "turnwise/SWE-v0", row["problem_statement"])
    assert load_image_instance(task.data).spec == spec_of(form, row)


def test_other_data_sets_are_split_by_repository(make, tmp_path):
    form, row = make("swe-rebench")
    rows = [row | {"instance_id": f"acme__w{repo}-{n}", "repo": f"acme/w{repo}"} for repo in range(20) for n in range(3)]
    tasks = FormatTasks(write(tmp_path / "rows.jsonl", rows), form)
    assert {s.name: s.num_tasks for s in tasks.list_splits()} == {"train": 48, "validation": 6, "test": 6}
    repos = [{t.data["row"]["repo"] for t in tasks.list_tasks(s.name)} for s in tasks.list_splits()]
    assert sum(map(len, repos)) == len(set().union(*repos)) == 20
    back = FormatTasks(write(tmp_path / "back.jsonl", rows[::-1]), form)
    assert {t.id for t in back.list_tasks("test")} == {t.id for t in tasks.list_tasks("test")}
    one = FormatTasks(write(tmp_path / "one.jsonl", rows[:3]), form)
    assert [s.name for s in one.list_splits()] == ["train"]


def test_splits_that_overlap_or_mean_nothing_are_refused(make, tmp_path):
    form, row = make("swe-rebench")
    path = write(tmp_path / "rows.jsonl", [row | {"split": "test"}, row | {"split": "filtered"}])
    with pytest.raises(ValueError, match="is in the splits 'test' and 'filtered'; choose one, as SOURCE#test or SOURCE#filtered"):
        FormatTasks(path, form)
    assert FormatTasks(f"{path}#filtered", form).num_tasks("train") == 1
    odd = write(tmp_path / "odd.jsonl", [row | {"split": "a"}, row | {"split": "b", "instance_id": "x__y-1"}])
    with pytest.raises(ValueError, match="what the split 'a' is for is not known"):
        FormatTasks(odd, form)


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"no data format 'swe-bnch'.*Did you mean 'swe-bench'"):
        format_tasks("swe-bnch:x.jsonl")
    with pytest.raises(ValueError, match="FORMAT:PATH_OR_HUB"):
        format_tasks("swe-bench")
    with pytest.raises(FileNotFoundError, match="a hub name has the form owner/name"):
        format_tasks(f"swe-bench:{tmp_path / 'none.jsonl'}")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match="none of its 0 rows is usable"):
        format_tasks(f"swe-bench:{tmp_path / 'empty.jsonl'}")
    with pytest.raises(ValueError, match="kind 'tiny'"):
        load_image_instance({"kind": "tiny"})


def test_test_commands():
    assert command_of("django/django", "4.2", DJANGO_PATCH).endswith("--settings=test_sqlite --parallel 1 app.test_a")
    assert command_of("django/django", "1.9", DJANGO_PATCH) == "./tests/runtests.py --verbosity 2 app.test_a"
    assert command_of("astropy/astropy", "1.3", DJANGO_PATCH).startswith("pytest -rA -vv -o console_output_style=classic")
    assert command_of("psf/requests", "2.0", DJANGO_PATCH) == "pytest -rA tests/app/test_a.py docs/x.py"
    assert command_of("python/mypy", "1.0", "[case one]\n[case two]") == "pytest -n0 -rA -k 'one or two'"
    assert directives("psf/requests", DJANGO_PATCH) == ["tests/app/test_a.py", "docs/x.py"]


def test_r2e_statement_and_gold_change(make, tmp_path):
    assert issue("x [ISSUE]\nfix it\n[/ISSUE] y") == "fix it"
    assert issue("fix it") == "fix it"
    spec = spec_of(*make("r2e-gym"))
    assert (spec.statement, spec.gold_paths) == ("total([7]) gives 0.", {"widget.py"})
    kept = read_rows(write(tmp_path / "rows.jsonl", [make("r2e-gym")[1]]), "r2e-gym")[0]
    assert sorted(set(kept.fields) & {"patch", "parsed_commit_content"}) == ["patch"]
    assert spec_of("r2e-gym", kept.fields) == spec
    form, row = make("r2e-gym", parsed_commit_content=None)
    with pytest.raises(ValueError, match="does not hold its gold change"):
        _ = load_image_instance({"kind": "image", "format": form, "row": row}).fix


def test_a_diff_of_texts_without_a_last_line_feed():
    assert diff_of("a.py", "x\ny", "x\nz\n") == (
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x\n-y\n\\ No newline at end of file\n+z\n"
    )
