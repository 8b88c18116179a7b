"""Where projects come from: folders, git checkouts, source archives of an index; and what is said of those that will not do."""

import hashlib
import os
import subprocess
import sys

import pytest
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.make import download
from turnwise.envs.swe.make.errors import HashMismatch, Missing, NeedsPython, NoTests, SourceError, Unreachable
from turnwise.envs.swe.make.sources import folder_tree, is_permissive, project, read_source

from .projects import ABOUT, FILES, archive, git, use_index, write


def files(**named):
    return {path.replace("__", "/"): File(data) for path, data in named.items()}


def test_a_folder_without_what_tools_leave(tmp_path):
    write(tmp_path, {**FILES, ".venv/lib/x.py": "", "__pycache__/a.pyc": "", "src/shop/a.pyc": "", "a.so": "", ".git/HEAD": ""})
    (tmp_path / "README.md").chmod(0o755)
    (tmp_path / "link").symlink_to("README.md")
    found = folder_tree(tmp_path)
    assert sorted(found) == ["README.md", "link", "src/shop/__init__.py", "tests/test_shop.py"]
    assert (found["README.md"].executable, found["link"].link) == (True, "README.md")


def test_a_src_layout(tmp_path):
    found = read_source(write(tmp_path / "shop", FILES))
    assert (found.name, found.version, found.sha256, found.paths) == ("shop", "", "", ("src", "."))
    assert (found.tests, found.code()) == (("tests/test_shop.py",), ["src/shop/__init__.py"])
    assert sorted(found.held()) == ["tests/test_shop.py"]


def test_tests_inside_the_package_and_what_grading_puts_back():
    tree = files(shop____init__=b"")
    names = [
        "shop/__init__.py",
        "shop/tests/test_a.py",
        "shop/tests/data.json",
        "shop/conftest.py",
        "pytest.ini",
        "setup.py",
        "docs/test_x.py",
        "examples/a.py",
    ]
    found = project("shop", tree | {name: File(b"") for name in names})
    assert found.paths == (".",)
    assert found.tests == ("shop/tests/test_a.py",)
    assert set(found.held()) == {"shop/tests/test_a.py", "shop/tests/data.json", "shop/conftest.py", "pytest.ini"}
    assert "shop/__init__.py" in found.code()
    assert not {"setup.py", "docs/test_x.py", "examples/a.py", "shop/conftest.py"} & set(found.code())


def test_metadata_of_a_folder_is_read_from_pyproject():
    about = b'[project]\nname = "Shop"\nversion = "2"\nrequires-python = ">=3.9"\n'
    found = project("x", {"pyproject.toml": File(about), "test_a.py": File(b"")})
    assert (found.name, found.version, found.requires_python) == ("Shop", "2", ">=3.9")
    assert project("x", {"pyproject.toml": File(b"\xff["), "test_a.py": File(b"")}).name == "x"


def test_metadata_is_left_where_importlib_finds_it():
    found = project("x", {"PKG-INFO": File(ABOUT.encode()), "test_a.py": File(b""), "src/a.py": File(b"")})
    assert found.tree["src/shop-1.0.dist-info/METADATA"].data == ABOUT.encode()
    own = project("x", {"PKG-INFO": File(ABOUT.encode()), "test_a.py": File(b""), "shop.egg-info/PKG-INFO": File(b"")})
    assert not [path for path in own.tree if "dist-info" in path]


def test_a_git_checkout_gives_what_is_committed(tmp_path):
    write(tmp_path, FILES)
    (tmp_path / "README.md").chmod(0o755)
    (tmp_path / "link").symlink_to("README.md")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    write(tmp_path, {"README.md": "changed\n", "new.py": "", "src/shop/__init__.py": "broken ("})
    found = read_source(str(tmp_path))
    assert sorted(found.tree) == ["README.md", "link", "src/shop/__init__.py", "tests/test_shop.py"]
    assert found.tree["README.md"] == File(b"A shop.\n", executable=True)
    assert found.tree["link"] == File(link="README.md")


def test_a_git_checkout_without_a_commit(tmp_path):
    git(tmp_path, "init", "-q")
    with pytest.raises(Missing, match="has no commit"):
        read_source(tmp_path)


def test_folders_that_will_not_do(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no files"):
        read_source(tmp_path / "empty")
    with pytest.raises(NoTests, match="no test files"):
        read_source(write(tmp_path / "code", {"a.py": "x = 1\n"}))
    with pytest.raises(Missing, match="is not a folder"):
        read_source(tmp_path / "nothing")
    with pytest.raises(ValueError, match="neither a folder nor a package"):
        read_source("shop >= 1")


def test_an_archive_of_the_index_is_fetched_once_and_its_code_never_runs(tmp_path, monkeypatch):
    data = archive({**FILES, "setup.py": f"open({str(tmp_path / 'ran')!r}, 'w')\n"})
    use_index(monkeypatch, tmp_path, {"shop-1.0.tar.gz": data})
    found = read_source("shop==1.0")
    assert (found.name, found.version, found.licence, found.requires_python) == ("shop", "1.0", "MIT", ">=3.8")
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert not (tmp_path / "ran").exists()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert read_source("shop==1.0", found.sha256).tree == found.tree
    assert os.listdir(tmp_path / "cache" / "sdists") == ["shop-1.0.tar.gz"]


def test_the_newest_version_is_the_default(tmp_path, monkeypatch):
    newer = archive({**FILES, "PKG-INFO": ABOUT.replace("1.0", "1.10")}, "shop-1.10")
    use_index(monkeypatch, tmp_path, {"shop-1.0.tar.gz": archive(FILES), "shop-1.10.tar.gz": newer})
    assert read_source("shop").version == "1.10"


def test_another_archive_than_was_recorded(tmp_path, monkeypatch):
    use_index(monkeypatch, tmp_path, {"shop-1.0.tar.gz": archive(FILES)})
    with pytest.raises(HashMismatch, match="has the sha256"):
        read_source("shop==1.0", "0" * 64)
    assert os.listdir(tmp_path / "cache" / "sdists") == []


def test_versions_and_packages_that_are_not_there(tmp_path, monkeypatch):
    use_index(monkeypatch, tmp_path, {"shop-1.0.tar.gz": archive(FILES)})
    with pytest.raises(Missing, match=r"there is no shop==3; the newest that are there: 1\.0"):
        read_source("shop==3")
    with pytest.raises(Missing, match="no source archive of stall"):
        read_source("stall")


def test_no_index_and_no_pip(tmp_path, monkeypatch):
    use_index(monkeypatch, tmp_path, {})
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(Unreachable, match="does not answer"):
        read_source("shop==1.0")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(Unreachable, match="python -m ensurepip"):
        read_source("shop==1.0")


def test_a_package_for_another_python(tmp_path, monkeypatch):
    use_index(monkeypatch, tmp_path, {"shop-1.0.tar.gz": archive(FILES)})
    page = tmp_path / "simple" / "shop" / "index.html"
    page.write_text('<a href="shop-1.0.tar.gz" data-requires-python="&gt;=3.99">shop-1.0.tar.gz</a>\n')
    with pytest.raises(NeedsPython, match=r"asks for Python >=3\.99"):
        read_source("shop==1.0")


def test_an_index_that_takes_too_long(tmp_path, monkeypatch):
    use_index(monkeypatch, tmp_path, {})
    monkeypatch.setattr(download, "TIMEOUT_S", 0.01)
    with pytest.raises(Unreachable, match="did not download"):
        read_source("shop==1.0")


@pytest.mark.parametrize("licence", ["MIT", "MIT License", "BSD-3-Clause", "Apache 2.0", "ISC", "ZPL-2.1"])
def test_permissive_licences(licence):
    assert is_permissive(licence)


@pytest.mark.parametrize("licence", ["", "GPLv3", "LGPL", "MPL-2.0", "MIT OR GPL-2.0", "Proprietary (permitted use)"])
def test_other_licences(licence):
    assert not is_permissive(licence)


def reachable():
    argv = [sys.executable, "-m", "pip", "index", "versions", "roman", "--disable-pip-version-check", "--retries", "0", "--timeout", "5"]
    return subprocess.run(argv, capture_output=True, timeout=60).returncode == 0


@pytest.mark.slow
def test_a_real_archive(tmp_path, monkeypatch):
    if not reachable():
        pytest.skip("the package index cannot be reached")
    monkeypatch.setenv("TURNWISE_CACHE", str(tmp_path))
    found = read_source("inflection==0.5.1", "1a29730d366e996aaacffb2f1f1cb9593dc38e2ddd30c91250c6dde09ea9b417")
    assert (found.name, found.licence, found.tests) == ("inflection", "MIT", ("test_inflection.py",))
