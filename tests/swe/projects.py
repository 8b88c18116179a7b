"""A tiny project, as a folder, a git checkout and a source archive of an index of its own."""

import io
import subprocess
import tarfile

CODE = '''\
"""A shop."""


class Cart:
    def __init__(self, prices, limit=3):
        self.prices, self.limit, self.items = prices, limit, []

    def add(self, name, count=1):
        if name not in self.prices:
            raise KeyError(name)
        if len(self.items) + count > self.limit:
            return False
        self.items.extend([name] * count)
        return True

    def total(self):
        return sum(self.prices[name] for name in self.items)


def discount(total, percent):
    """What is to be paid."""
    if percent < 0 or percent > 100:
        raise ValueError("percent")
    return total - total * percent // 100


def pages(items, size):
    return [items[at : at + size] for at in range(0, len(items), size)]


def label(name, width):
    if not name:
        return "-" * width
    return name.upper().ljust(width, ".")
'''
TESTS = """\
import pytest
from shop import Cart, discount, label, pages


class TestCart:
    def test_add(self):
        cart = Cart({"a": 2})
        assert cart.add("a", 2)
        assert cart.total() == 4

    def test_limit(self):
        cart = Cart({"a": 2})
        assert cart.add("a", 3) is True
        assert cart.add("a") is False

    def test_unknown(self):
        with pytest.raises(KeyError):
            Cart({}).add("b")


@pytest.mark.parametrize(("percent", "paid"), [(0, 50), (10, 45), (100, 0)])
def test_discount(percent, paid):
    assert discount(50, percent) == paid


def test_discount_refuses():
    for percent in (-1, 101):
        with pytest.raises(ValueError):
            discount(1, percent)


def test_pages():
    assert pages("abcde", 2) == ["ab", "cd", "e"]
    assert pages([], 2) == []


def test_label():
    assert label("ab", 4) == "AB.."


def test_no_label():
    assert label("", 2) == "--"
"""
FILES = {"src/shop/__init__.py": CODE, "tests/test_shop.py": TESTS, "README.md": "A shop.\n"}
ABOUT = "Metadata-Version: 2.1\nName: shop\nVersion: 1.0\nLicense: MIT\nRequires-Python: >=3.8\n"


def write(folder, files):
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def git(folder, *words):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    named = ["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *named, "-C", str(folder), *words], check=True, capture_output=True, env=env)


def archive(files, name="shop-1.0"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, text in {"PKG-INFO": ABOUT, "setup.py": "", **files}.items():
            about = tarfile.TarInfo(f"{name}/{path}")
            about.size = len(text.encode())
            tar.addfile(about, io.BytesIO(text.encode()))
    return out.getvalue()


def use_index(monkeypatch, folder, archives):
    """An index of its own, which pip is told of: {"shop-1.0.tar.gz": data}. The cache is its own as well."""
    pages = folder / "simple"
    for name, data in archives.items():
        project = pages / name.rsplit("-", 1)[0].replace("_", "-")
        project.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(data)
        (project / "index.html").write_text("".join(f'<a href="{f.name}">{f.name}</a>\n' for f in project.glob("*.gz")))
    pages.mkdir(exist_ok=True)
    for key in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", pages.as_uri())
    monkeypatch.setenv("TURNWISE_CACHE", str(folder / "cache"))
