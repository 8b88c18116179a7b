from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from turnwise.envs.gui.browser import Browser, BrowserOptions, Tab
from turnwise.envs.gui.chromium import MissingBrowser, find_chromium, sweep
from turnwise.envs.gui.page import PageFault
from turnwise.envs.gui.site import Document, Folder

from ..conftest import page_of

LEAKS = """
<p id=said>nothing</p><script>
document.getElementById('said').textContent = [
  typeof window.left, window.name, (() => { try { return document.cookie; } catch (e) { return ''; } })(),
  history.length > 1 ? 'history' : '', Math.max(1, 2),
  (() => { try { return localStorage.getItem('x'); } catch (e) { return 'no storage'; } })(),
].join('|');
window.left = 1; window.name = 'mine'; Math.max = () => 7;
try { document.cookie = 'c=1'; } catch (e) { /* no cookies here */ }
try { localStorage.setItem('x', 'y'); } catch (e) { /* no storage here */ }
history.pushState(null, '', '#one'); addEventListener('click', () => { window.clicks = 1; });
</script>"""


def said(tab: Tab) -> str:
    return tab.evaluate("document.getElementById('said').textContent")


def look_often(tab: Tab) -> None:
    for _ in range(100):
        tab.look()


def test_nothing_is_left_for_the_next_episode(tab: Tab) -> None:
    tab.load(page_of(LEAKS))
    first = said(tab)
    assert first.startswith("undefined|||")
    assert first.endswith("|2|no storage")
    for _ in range(3):
        tab.load(page_of(LEAKS))
        assert said(tab) == first


def test_pages_with_an_address_keep_nothing_either(tab: Tab) -> None:
    seen = set[str]()
    for _ in range(3):
        tab.load(page_of(LEAKS, inlined=False))
        seen.add(said(tab))
    assert seen == {"undefined||||2|"}


def test_two_tabs_do_not_see_each_other(browser: Browser) -> None:
    one, two = browser.tab(size=(100, 100)), browser.tab(size=(100, 100))
    one.load(page_of(LEAKS, inlined=False))
    two.load(page_of(LEAKS, inlined=False))
    assert said(two) == "undefined||||2|"
    assert one.evaluate("localStorage.getItem('x')") == "y"
    one.close()
    two.close()


def test_a_page_cannot_reach_around_itself(tab: Tab) -> None:
    tab.load(page_of("<p>x"))
    assert tab.evaluate("(() => { try { return typeof parent.documents; } catch (e) { return e.name; } })()") == "SecurityError"
    assert (
        tab.evaluate("(() => { try { top.location = 'about:blank'; return 'went'; } catch (e) { return e.name; } })()") == "SecurityError"
    )


def test_a_page_cannot_put_a_document_into_the_frame_of_the_next_episode(tab: Tab) -> None:
    tab.load(page_of("<p>x"))
    time.sleep(0.2)  # the next frame is made while the agent thinks
    assert tab.evaluate("parent.frames.length") == 2
    tab.evaluate("parent.frames[1].postMessage('<p>mine', '*')")
    assert tab.load(page_of("<p>next", "document.body.innerText")) == "next"


def test_a_page_shown_again_and_again_is_loaded_ahead_and_no_other(tab: Tab, tmp_path: Path) -> None:
    """Its scripts have run before its turn comes; one that was not expected is loaded as ever."""
    for name in "ab":
        (tmp_path / f"{name}.html").write_text(f"<p>{name}<script>born = Date.now(); left = 0;</script>")
    site = Folder(tmp_path)
    start = "(() => { left += 1; return [document.body.innerText.trim(), left, Date.now() - born > 100, document.hasFocus()]; })()"
    found = list[list[object]]()
    for name in "aaabba":
        found.append(tab.load(Document(site, f"/{name}.html", start, ahead=True)))
        time.sleep(0.3)
    ahead = [False, False, True, False, False, False]
    assert found == [[name, 1, early, True] for name, early in zip("aaabba", ahead, strict=True)]


def test_a_page_that_stands_alone_follows_its_own_links_and_sends_no_forms(tab: Tab) -> None:
    tab.load(page_of("<a href='#part'>x</a><form><button>send</button></form><p id=part>y</p>"))
    tab.evaluate("document.querySelector('a').click()")
    tab.evaluate("document.querySelector('button').click()")
    view = tab.look()
    assert tab.evaluate("[location.hash, part.innerText]") == ["#part", "y"]
    assert len(view.notes) == 1
    assert "http://page.test/document? was blocked" in view.notes[0]


def test_start_gives_its_value_also_of_a_promise(tab: Tab) -> None:
    assert tab.load(page_of("<p>x", "new Promise((done) => setTimeout(() => done([1, 'two']), 5))")) == [1, "two"]


def test_a_failing_start_is_a_fault_that_names_the_reason_and_the_tab_goes_on(tab: Tab) -> None:
    with pytest.raises(PageFault, match="a script in the page failed: Error: no such thing"):
        tab.load(page_of("<p>x", "(() => { throw new Error('no such thing'); })()"))
    assert tab.load(page_of("<p>x", "1 + 1")) == 2


def test_files_come_from_memory_and_the_rest_is_blocked_and_told(tab: Tab) -> None:
    site = {
        "/index.html": b"<!doctype html><script src='a.js'></script><img src='http://93.184.216.34/x.png'><a href='/two.html'>two</a>",
        "/a.js": b"window.loaded = 'a';",
        "/two.html": b"<!doctype html><h1>Two</h1>",
    }
    tab.load(Document(site, "/index.html", "window.loaded", inlined=False))
    assert tab.evaluate("window.loaded") == "a"
    notes = tab.look().notes
    assert len(notes) == 1
    assert "http://93.184.216.34/x.png was blocked" in notes[0]
    tab.evaluate("fetch('http://example.com/').then(() => 'answered', () => 'blocked').then((said) => { window.fetched = said; })")
    tab.settle()
    assert tab.evaluate("window.fetched") == "blocked"


@pytest.mark.parametrize("inlined", [True, False])
def test_an_endless_script_costs_its_episode_and_no_more(inlined: bool) -> None:
    browser = Browser(BrowserOptions(timeout=2.0))
    try:
        other, tab = browser.tab(size=(50, 50)), browser.tab(size=(50, 50))
        other.load(page_of("<p>other"))
        with pytest.raises(PageFault, match="did not answer within"):
            tab.load(page_of("<script>while (true);</script>", inlined=inlined))
        assert tab.load(page_of("<p>again", "document.body.innerText")) == "again"
        assert other.evaluate("document.body.innerText") == "other"
        assert browser.counters.faults == 1
        assert browser.counters.renewed == 1
        assert browser.counters.restarts == 0
    finally:
        browser.close()


def test_a_page_that_never_loads_is_given_up(tab: Tab) -> None:
    started = time.monotonic()
    with pytest.raises(PageFault):
        tab.load(page_of("<p>x", "new Promise(() => {})"), seconds=0.3)
    assert time.monotonic() - started < 5
    assert tab.load(page_of("<p>x", "3")) == 3


def test_a_crashed_page_costs_its_episode_only(browser: Browser) -> None:
    tab, other = browser.tab(size=(50, 50)), browser.tab(size=(50, 50))
    tab.load(page_of("<p>x"))
    other.load(page_of("<p>other"))
    restarts = browser.counters.restarts
    tab.page.send("Page.crash")
    with pytest.raises(PageFault, match=r"crashed|did not answer"):
        look_often(tab)
    assert tab.load(page_of("<p>x", "4")) == 4
    assert browser.counters.restarts == restarts
    tab.close()
    other.close()


def test_a_killed_browser_is_started_again() -> None:
    browser = Browser(BrowserOptions(timeout=3.0))
    try:
        tab = browser.tab(size=(50, 50))
        tab.load(page_of("<p>x"))
        first = tab.page.chromium
        os.killpg(first.pid, signal.SIGKILL)  # it may have been started by a shell script
        with pytest.raises(PageFault, match="the browser is gone"):
            look_often(tab)
        assert tab.load(page_of("<p>x", "5")) == 5
        assert tab.page.chromium.pid != first.pid
        assert not first.profile.exists()
        assert browser.counters.restarts == 1
    finally:
        browser.close()


def test_pages_and_browser_are_renewed_and_nothing_stays() -> None:
    browser = Browser(BrowserOptions(renew=3, restart=7))
    try:
        tab = browser.tab(size=(50, 50))
        pids = list[int]()
        for _ in range(12):
            tab.load(page_of("<p>x"))
            pids.append(tab.page.chromium.pid)
        assert browser.counters.loads == 12
        assert browser.counters.renewed == 3
        assert len(set(pids)) == 2
        assert not Path(f"/proc/{pids[0]}").exists()
    finally:
        browser.close()
    assert not Path(f"/proc/{pids[-1]}").exists()


def test_a_browser_that_holds_too_much_ends_with_its_last_page() -> None:
    browser = Browser(BrowserOptions(most_memory=1))
    try:
        old, new = browser.tab(size=(50, 50)), browser.tab(size=(50, 50))
        old.load(page_of("<p>old"))
        first = old.page.chromium
        assert 20 << 20 < (browser.memory() or 0) < 1 << 30
        new.load(page_of("<p>new"))
        assert new.page.chromium is not first
        assert browser.counters.restarts == 1
        assert old.evaluate("document.body.innerText") == "old"
        old.close()
        assert not first.alive
        assert new.evaluate("document.body.innerText") == "new"
    finally:
        browser.close()


def test_a_closed_tab_leaves_its_page_and_nothing_else_for_the_next() -> None:
    browser = Browser(BrowserOptions(keep=1))
    try:
        first = set[str]()
        for size in ((50, 50), (60, 40), (50, 50)):
            tab = browser.tab(size=size)
            tab.load(page_of(LEAKS))
            first.add(said(tab))
            assert tab.evaluate("[innerWidth, innerHeight]") == list(size)
            tab.close()
        assert browser.counters.opened == 1
        assert len(first) == 1
        tabs = [browser.tab(size=(50, 50)) for _ in range(3)]
        for tab in tabs:
            tab.load(page_of("<p>x"))
        processes = tabs[0].page.chromium
        for tab in tabs:
            tab.close()
        assert browser.counters.opened == 3
        assert processes.pages == 1
    finally:
        browser.close()


def test_what_a_page_did_on_a_timer_ends_with_its_tab() -> None:
    browser = Browser(BrowserOptions())
    try:
        tab = browser.tab(size=(50, 50))
        tab.load(page_of("<script>setInterval(() => fetch('http://e.example/'), 5);</script>"))
        page = tab.page
        tab.close()
        page.notes.take()
        time.sleep(0.1)
        assert page.notes.take() == ()
    finally:
        browser.close()


def test_a_page_in_an_endless_script_is_not_kept() -> None:
    browser = Browser(BrowserOptions(timeout=3.0))
    try:
        tab = browser.tab(size=(50, 50))
        tab.load(page_of("<p>x"))
        tab.page.send(
            "Runtime.evaluate", {"expression": "while (true);"}
        )  # commands are carried out in order: it runs before the page is cleared
        tab.close()
        assert browser.tab(size=(50, 50)).load(page_of("<p>x", "6")) == 6
        assert browser.counters.opened == 2
    finally:
        browser.close()


def test_many_threads_share_one_browser(browser: Browser) -> None:
    found = dict[int, list[int]]()

    def play(number: int) -> None:
        tab = browser.tab(size=(60, 60))
        found[number] = [tab.load(page_of("<p>x", f"{number} * 100 + {i}")) for i in range(5)]
        tab.close()

    threads = [threading.Thread(target=play, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [n * 100 + i for i in range(5)] for n in range(8)}


def test_no_browser_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    monkeypatch.delenv("TURNWISE_CHROMIUM", raising=False)
    with pytest.raises(MissingBrowser, match="apt-get install chromium"):
        find_chromium()
    monkeypatch.setenv("TURNWISE_CHROMIUM", str(tmp_path / "none"))
    with pytest.raises(MissingBrowser, match="TURNWISE_CHROMIUM is"):
        find_chromium()


def test_a_program_that_is_no_browser_is_told(tmp_path: Path) -> None:
    browser = Browser(BrowserOptions(executable="/bin/false"))
    try:
        with pytest.raises(MissingBrowser, match="/bin/false did not start"):
            browser.tab().load(page_of("<p>x"))
    finally:
        browser.close()


def test_the_browser_ends_with_a_killed_process() -> None:
    code = (
        "import sys, time\n"
        "from turnwise.envs.gui.browser import shared_browser\n"
        "from turnwise.envs.gui.site import Document\n"
        "tab = shared_browser().tab()\n"
        "tab.load(Document({'/i.html': b'<p>x'}, '/i.html'))\n"
        "print(tab.page.chromium.pid, tab.page.chromium.profile, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid, profile = process.stdout.readline().split()
    process.kill()
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 15
    while _runs(int(pid)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(int(pid))
    sweep()
    assert not Path(profile).exists()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_no_file_handles_are_left() -> None:
    def handles() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    def once() -> None:
        browser = Browser()
        tab = browser.tab(size=(50, 50))
        tab.load(page_of("<p>x"))
        browser.close()

    once()
    before = handles()
    for _ in range(3):
        once()
    assert handles() == before
