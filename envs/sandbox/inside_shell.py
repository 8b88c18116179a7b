"""The shell in a sandbox: a bash that reads command after command, so that its folder, variables and functions last. See driver.py."""

from __future__ import annotations

import os

from .inside import Stream, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .inside import Limits

ASK, ANSWER = 240, 241
"""Descriptors of the shell: commands come in by one, exit codes go out by the other; what it starts does not get them."""
LOOP = (
    '_turnwise_status() { return "$1"; }; while :; do while { _turnwise_code=$?; '
    f'builtin printf \'%s %s\\n\' "$_turnwise_serial" "$_turnwise_code" >&{ANSWER}; '
    f"IFS= builtin read -r -d '' -u {ASK} _turnwise_serial && IFS= builtin read -r -d '' -u {ASK} _turnwise_command || exit 0; }}; "
    f'do _turnwise_status "$_turnwise_code" && :; eval "$_turnwise_command" {ASK}<&- {ANSWER}>&-; done; done'
)
"""Two loops: a command that says "break" leaves the inner one. All on one line: bash counts an evaluated command's lines from here."""
BASHES = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash")


class Shell:
    """The process, and the pipes to it."""

    def __init__(self, limits: Limits) -> None:
        program = next((path for path in BASHES if os.access(path, os.X_OK)), "")
        if not program:
            raise OSError(0, f"there is no bash at {', '.join(BASHES)}")
        asked, self.requests = os.pipe()
        self.replies, answered = os.pipe()
        read, write = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)

        def run() -> None:
            os.dup2(asked, ASK)
            os.dup2(answered, ANSWER)
            os.closerange(3, ASK)
            os.execv(program, ["bash", "--noprofile", "--norc", "-c", LOOP, "bash"])

        self.pid = start(run, (null, write, write), (asked, answered), limits)
        for fd in (asked, answered, write, null):
            os.close(fd)
        os.set_blocking(self.requests, False)
        os.set_blocking(self.replies, False)
        self.output = Stream(read)
        self._said = b""
        self.open = True

    def close(self) -> None:
        for fd in (self.requests, self.replies, self.output.fd):
            os.close(fd)

    def reply(self, serial: int) -> int | None:
        """The exit code, once the shell says that the command with this serial ended. ``open`` is false when it cannot any more."""
        try:
            piece = os.read(self.replies, 1 << 12)
        except BlockingIOError:
            return None
        *lines, rest = (self._said + piece).split(b"\n")
        self._said = rest[:100]
        self.open = bool(piece)
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[0] == b"%d" % serial and words[1].isdigit() and len(words[1]) < 4:
                return int(words[1])
        return None
