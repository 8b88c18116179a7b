"""A hand-made instance in a container image as SWE-bench makes them: the repository with its history in /testbed, pytest installed."""

import io
import os
import tarfile
import uuid

import pytest
from turnwise.envs.base import EnvFault
from turnwise.envs.sandbox.base import SandboxUnavailable
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.formats.predictions import grade_predictions
from turnwise.envs.swe.formats.tasks import FormatTasks, load_image_instance
from turnwise.envs.swe.toolchain import toolchain

BASE = os.environ.get("TURNWISE_DOCKER_IMAGE", "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not BASE, reason="TURNWISE_DOCKER_IMAGE names no image; see .ci/docker")]

HISTORY = """
set -e
cd /testbed && git init -q -b main . && git config user.name a && git config user.email a@b.c
git add -A && git commit -qm base && git rev-parse HEAD
sed -i 's/numbers\\[:-1\\]/numbers/' widget.py && git commit -qam 'the fix' && git tag v2 && git reset -q --hard HEAD~1
"""
PYTEST = b'#!/bin/sh\nPYTHONPATH=/opt/toolchain exec python3 -m pytest --no-header -p no:cacheprovider "$@"\n'


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, (data, mode) in files.items():
            about = tarfile.TarInfo(path)
            about.size, about.mode = len(data), mode
            tar.addfile(about, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture(scope="module")
def image(built_rows):
    """(name of the image, base commit)"""
    client = pytest.importorskip("docker").from_env()
    container = client.containers.create(BASE, command=["sleep", "600"], network_mode="none")
    name = f"turnwise/handmade:{uuid.uuid4().hex[:12]}"
    try:
        files = {f"testbed/{path}": (text.encode(), 0o644) for path, text in built_rows.items()}
        files |= {f"opt/toolchain/{p.relative_to(toolchain())}": (p.read_bytes(), 0o644) for p in toolchain().rglob("*") if p.is_file()}
        container.put_archive("/", archive({**files, "usr/local/bin/pytest": (PYTEST, 0o755)}))
        container.start()
        code, output = container.exec_run(["bash", "-c", HISTORY])
        assert code == 0, output
        container.commit(*name.split(":"))
        yield name, output.decode().split()[0]
    finally:
        container.remove(force=True)
        if client.images.list(name):
            client.images.remove(name, force=True)
        client.close()


@pytest.fixture
def row(make, image):
    row = make("swe-bench", image=image[0], base_commit=image[1])[1]
    del row["repository"]
    return row


@pytest.fixture
def instance(row):
    return load_image_instance({"kind": "image", "format": "swe-bench", "row": row})


def test_gold_scores_one_and_empty_and_attacks_zero(instance):
    with instance.open("docker") as box:
        assert box.changes() == {}
        assert box.shell("git log --all --format=%s; git tag").stdout == b"base\n"
        assert box.shell(instance.fix).ok
        changes = box.changes()
    assert list(changes) == ["widget.py"]
    gold = instance.grade(changes, "docker")
    assert (gold.score, gold.resolved) == (1.0, "FULL"), gold
    assert (instance.grade({}, "docker").score, instance.grade({}).valid) == (0.0, True)
    attacks = [
        {"tests/test_widget.py": File(b"def test_total(): pass\ndef test_one(): pass\ndef test_double(): pass\ndef test_empty(): pass\n")},
        {"conftest.py": File(b"import os\nos._exit(0)\n")},
        {"widget.py": File(b"import os\nos._exit(0)\n")},
        {"pytest.py": File(b"print('PASSED tests/test_widget.py::test_total')\n")},
    ]
    for attack in attacks:
        assert instance.grade(attack, "docker").score == 0.0


def test_swe_smith_in_a_container(make, instance, image, built_rows, make_diff):
    row = make("swe-smith", image_name=image[0])[1]
    fixed = built_rows["widget.py"].replace("numbers[:-1]", "numbers[:-1]  # the bug is there already")
    bug = make_diff("widget.py", built_rows["widget.py"], fixed)
    row |= {"patch": bug, "FAIL_TO_PASS": ["tests/test_widget.py::test_double"], "PASS_TO_PASS": []}
    del row["repository"]
    smith = load_image_instance({"kind": "image", "format": "swe-smith", "row": row})
    with smith.open("docker") as box:
        assert b"the bug is there already" in box.read("widget.py")
        assert box.shell("ls tests; git log --all --format=%s").stdout == b"base\n"
        assert box.shell(smith.fix).ok
        changes = box.changes()
    assert changes == {"widget.py": File(built_rows["widget.py"].encode())}
    assert smith.grade(changes, "docker").score == 1.0


def test_predictions_in_containers(row, tmp_path):
    import json

    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    (tmp_path / "preds.json").write_text(json.dumps({row["instance_id"]: {"model_patch": row["patch"]}}))
    report = grade_predictions(tmp_path / "preds.json", FormatTasks(tmp_path / "rows.jsonl", "swe-bench"), backend="docker")
    assert report.resolved == ("pallets__flask-1",), report


def test_images_that_do_not_fit(make, instance, row):
    missing = load_image_instance({"kind": "image", "format": "swe-bench", "row": row | {"image": "turnwise/no-such:1"}})
    with pytest.raises(SandboxUnavailable, match="no-such"):
        missing.open("docker")
    bare = load_image_instance({"kind": "image", "format": "swe-bench", "row": row | {"image": BASE}})
    with pytest.raises(EnvFault, match="no git repository"):
        bare.open("docker")
    other = load_image_instance({"kind": "image", "format": "swe-bench", "row": row | {"base_commit": "f" * 40}})
    with pytest.raises(EnvFault, match="does not have the base commit"):
        other.open("docker")
