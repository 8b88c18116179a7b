"""Finding Chromium, starting it with a pipe, and ending it. Nothing is left behind: profile folders of processes that died are swept up."""

from __future__ import annotations

import asyncio
import fcntl
import glob
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .cdp import Connection, Disconnected

VARIABLE = "TURNWISE_CHROMIUM"
_NAMES = ("chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
_PLAYWRIGHT = ("chromium_headless_shell-*/*/headless_shell", "chromium_headless_shell-*/*/chrome-headless-shell", "chromium-*/*/chrome")
_PREFIX = "turnwise-chromium-"
_START_SECONDS = 30.0

_FLAGS = (
    *("--no-first-run", "--no-default-browser-check", "--mute-audio", "--hide-scrollbars", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-quic", "--disable-sync", "--disable-extensions", "--disable-background-networking", "--disable-component-update"),
    *("--disable-default-apps", "--disable-client-side-phishing-detection", "--metrics-recording-only", "--no-pings"),
    *("--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows"),
    *("--disable-ipc-flooding-protection", "--password-store=basic", "--use-mock-keychain", "--force-color-profile=srgb"),
    *("--font-render-hinting=none", "--lang=en-US", "--force-webrtc-ip-handling-policy=disable_non_proxied_udp"),
    # A sandboxed frame then lives in its page's process: an episode's document is made and read without a process of its own.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateSandboxedIframes,Translate,BackForwardCache,PaintHolding,MediaRouter,OptimizationHints,DialMediaRouteProvider",
    # Fetch interception serves the task's pages before any name is looked up; whatever gets past it finds no host.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
FAST_FRAMES = "--disable-frame-rate-limit"


class MissingBrowser(RuntimeError):
    """There is no browser; the text says how to install one."""


def find_chromium(*, window: bool = False) -> str:
    """Path of the browser: ``TURNWISE_CHROMIUM``, else one on the path, else one that Playwright installed.

    The headless shell comes first, as it starts and opens pages fastest; ``window`` leaves it out. Raises ``MissingBrowser``.
    """
    if named := os.environ.get(VARIABLE):
        if found := shutil.which(named):
            return found
        raise MissingBrowser(f"{VARIABLE} is {named!r}, which is no program; give the path of Chromium or Chrome, or unset it")
    for name in _NAMES:
        if not (window and "headless" in name) and (found := shutil.which(name)):
            return found
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or str(Path.home() / ".cache" / "ms-playwright")
    for pattern in _PLAYWRIGHT:
        matches = sorted(glob.glob(str(Path(folder) / pattern)))
        if matches and not (window and "headless" in matches[-1]):
            return matches[-1]
    raise MissingBrowser(
        "no Chromium was found. Install one: `apt-get install chromium` (Debian, Ubuntu), `brew install chromium` (macOS), or "
        f"`pip install playwright && playwright install chromium`; or set {VARIABLE} to the path of a Chrome or Chromium"
    )


class Chromium:
    """A running browser. ``await Chromium.start(...)``; ``connection`` speaks to it, ``alive`` says whether it does."""

    def __init__(self, pid: int, profile: Path, connection: Connection) -> None:
        self.pid, self.profile, self.connection = pid, profile, connection
        self.loads = 0
        self.pages = 0

    @property
    def alive(self) -> bool:
        return not self.connection.closed

    @classmethod
    async def start(cls, executable: str, *, window: bool = False, network: bool = False, arguments: Sequence[str] = ()) -> Chromium:
        """Raises ``MissingBrowser`` when it does not come up, with the last lines it wrote."""
        sweep()
        profile = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        flags = [f for f in _FLAGS if not (network and f.startswith("--host-resolver-rules"))]
        flags += [] if window else ["--headless"]
        # Chromium refuses to be its own sandbox as root; what it shows are the task's pages only.
        flags += ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
        first = "--no-startup-window" if window else "about:blank"
        command = [executable, *flags, *arguments, "--remote-debugging-pipe", f"--user-data-dir={profile}", first]
        pid, read_fd, write_fd = _spawn(command, profile / "log.txt")
        browser: list[Chromium] = []

        def ended() -> None:
            _end(pid)
            shutil.rmtree(profile, ignore_errors=True)

        connection = Connection(read_fd, write_fd, ended)
        browser.append(cls(pid, profile, connection))
        try:
            await asyncio.wait_for(connection.send("Browser.getVersion"), _START_SECONDS)
        except (TimeoutError, Disconnected) as error:
            log = _tail(profile / "log.txt")
            connection.close()
            raise MissingBrowser(f"{executable} did not start ({type(error).__name__}); it wrote:\n{log}") from error
        return browser[0]

    def close(self) -> None:
        self.connection.close()

    def memory(self) -> int | None:
        """Resident bytes of all of its processes, of what they share the largest part only; None where /proc is not there."""
        members = _session_members(self.pid)
        if members is None:
            return None
        own, shared = 0, [0]
        for pid in members:
            try:
                _, resident, mapped = Path(f"/proc/{pid}/statm").read_text().split()[:3]
            except (OSError, ValueError):
                continue  # it ended meanwhile
            own += int(resident) - int(mapped)
            shared.append(int(mapped))
        return (own + max(shared)) * os.sysconf("SC_PAGE_SIZE")


def sweep() -> None:
    """Remove profile folders whose Python process is gone (it was killed)."""
    for folder in glob.glob(str(Path(tempfile.gettempdir()) / f"{_PREFIX}*-*")):
        owner = Path(folder).name.removeprefix(_PREFIX).split("-")[0]
        if owner.isdigit() and not _running(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _spawn(command: list[str], log: Path) -> tuple[int, int, int]:
    """Start ``command`` in a session of its own with the pipe at descriptors 3 and 4. Gives its pid and our two ends."""
    to_browser, write_fd = os.pipe()
    read_fd, from_browser = os.pipe()
    # Descriptors 3 and 4 may be these very ones; copies out of the way make the two moves safe in any case.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (to_browser, from_browser)]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        (os.POSIX_SPAWN_DUP2, high[0], 3),
        (os.POSIX_SPAWN_DUP2, high[1], 4),
    ]
    try:
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    except OSError as error:
        for fd in (read_fd, write_fd):
            os.close(fd)
        shutil.rmtree(log.parent, ignore_errors=True)
        raise MissingBrowser(f"{command[0]} cannot be started: {error}") from error
    finally:
        for fd in (*high, to_browser, from_browser):
            os.close(fd)
    return pid, read_fd, write_fd


def _end(pid: int) -> None:
    """Kill the browser's whole session and collect it."""
    for member in _session_members(pid) or [pid]:
        _quietly(lambda member=member: os.kill(member, signal.SIGKILL))
    _quietly(lambda: os.kill(pid, signal.SIGKILL))
    _quietly(lambda: os.waitpid(pid, 0))


def _quietly(call: Callable[[], object]) -> None:
    try:
        call()
    except (ProcessLookupError, ChildProcessError, PermissionError):
        return


def _session_members(leader: int) -> list[int] | None:
    """Processes of the session that ``leader`` leads."""
    if not Path("/proc/self/stat").exists():
        return None
    members = list[int]()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[3]) == leader:
            members.append(int(entry))
    return members


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tail(path: Path, characters: int = 600) -> str:
    try:
        return path.read_text(errors="replace")[-characters:].strip() or "(nothing)"
    except OSError:
        return "(nothing)"
