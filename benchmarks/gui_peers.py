"""Played by benchmarks/gui.py in the peers' own virtual environment: one episode for each line "task seed" on its input.

    python benchmarks/gui_peers.py browsergym|selenium|selenium-screenshots|playwright

An episode is a reset and one click on the first button, field or link, both with an observation. It prints the seconds as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


def pages() -> str:
    import miniwob

    return f"file://{Path(miniwob.__file__).parent}/html/miniwob/"


def browsers() -> str:
    """A folder in which Playwright finds our Chromium under the name of its own: BrowserGym's second browser cannot be told another."""
    import playwright

    listed = json.loads((Path(playwright.__file__).parent / "driver/package/browsers.json").read_text())["browsers"]
    revision = next(one["revision"] for one in listed if one["name"] == "chromium")
    folder = Path(tempfile.mkdtemp(prefix="browsers-"))
    place = folder / f"chromium-{revision}/chrome-linux"
    place.mkdir(parents=True)
    (place / "chrome").symlink_to(CHROMIUM)
    return str(folder)


class BrowserGym:
    def __init__(self) -> None:
        os.environ["MINIWOB_URL"] = pages()
        os.environ["PLAYWRIGHT_BROWSERS_PATH"] = browsers()
        import browsergym.miniwob  # noqa: F401  registers its environments

        self.env: Any = None
        self.task = ""

    def reset(self, task: str, seed: int) -> None:
        import gymnasium

        if self.task != task:
            if self.env is not None:
                self.env.close()
            self.env, self.task = gymnasium.make(f"browsergym/miniwob.{task}", disable_env_checker=True), task
        self.seen, _ = self.env.reset(seed=seed)

    def step(self) -> None:
        nodes = self.seen["axtree_object"]["nodes"]
        found = next(n for n in nodes if n["role"]["value"] in ("button", "textbox", "link", "checkbox", "radio") and "browsergym_id" in n)
        self.seen, *_ = self.env.step(f"click('{found['browsergym_id']}')")
        if self.seen["last_action_error"]:
            raise RuntimeError(self.seen["last_action_error"])


class Selenium:
    def __init__(self, screenshots: bool) -> None:
        import gymnasium
        import miniwob

        gymnasium.register_envs(miniwob)
        self.screenshots = screenshots
        self.env: Any = None
        self.task = ""

    def reset(self, task: str, seed: int) -> None:
        import gymnasium

        if self.task != task:
            if self.env is not None:
                self.env.close()
            self.env, self.task = gymnasium.make(f"miniwob/{task}-v1", disable_env_checker=True), task
        options = {"record_screenshots": self.screenshots}
        self.seen, _ = self.env.reset(seed=seed, options=options)

    def step(self) -> None:
        from miniwob.action import ActionTypes

        tags = ("button", "input_text", "input", "input_checkbox", "input_radio", "a", "span")
        found = next(e for e in self.seen["dom_elements"] if e["tag"] in tags)
        action = self.env.unwrapped.create_action(ActionTypes.CLICK_ELEMENT, ref=found["ref"])
        self.seen, *_ = self.env.step(action)


class Playwright:
    """A bare loop: one page, the page's own restart, no isolation; accessibility tree and clicks through CDP."""

    def __init__(self) -> None:
        from playwright.sync_api import sync_playwright

        self.playwright = sync_playwright().start()
        self.browser = self.playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        self.page = self.browser.new_page(viewport={"width": 160, "height": 210})
        self.cdp = self.page.context.new_cdp_session(self.page)
        self.task = ""

    def reset(self, task: str, seed: int) -> None:
        if self.task != task:
            self.page.goto(pages() + task + ".html")
            self.task = task
        self.page.evaluate(f"Math.seedrandom({seed}); core.EPISODE_MAX_TIME = 1e9; core.startEpisodeReal()")
        self.cdp.send("Accessibility.getFullAXTree")

    def step(self) -> None:
        box = self.page.evaluate(
            "(() => { const r = document.querySelector('button, #area input, #area a, #area span').getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        self.page.mouse.click(*box)
        self.page.evaluate("[WOB_DONE_GLOBAL, WOB_RAW_REWARD_GLOBAL]")
        self.cdp.send("Accessibility.getFullAXTree")


def main() -> None:
    kind = sys.argv[1]
    made = {"browsergym": BrowserGym, "playwright": Playwright}
    subject = made[kind]() if kind in made else Selenium(kind.endswith("screenshots"))
    print("ready", flush=True)
    for line in sys.stdin:
        task, seed = line.split()
        began = time.perf_counter()
        subject.reset(task, int(seed))
        between = time.perf_counter()
        subject.step()
        ended = time.perf_counter()
        print(json.dumps([between - began, ended - between]), flush=True)


if __name__ == "__main__":
    main()
