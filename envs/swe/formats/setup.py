"""A repository made ready in a sandbox: at its base commit, with the bug where the format has one; for the agent without later history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...base import EnvFault
from ...sandbox.base import ExecResult, PythonResult, Sandbox, Snapshot
from ...sandbox.tree import Changes, File
from .patches import GIT, PatchError, apply_patch, git, paths_of
from .spec import Spec

_HISTORY_S = 300.0
_DATE = {"GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z"}
_STRIP = """
set -e
git() { command git "${options[@]}" "$@"; }
for name in $(git remote); do git remote remove "$name"; done
git for-each-ref --format='delete %(refname)' --no-merged=HEAD | git update-ref --stdin
rm -rf .git/logs .git/ORIG_HEAD .git/FETCH_HEAD .git/MERGE_HEAD .git/CHERRY_PICK_HEAD .git/REVERT_HEAD .git/BISECT_LOG
git reflog expire --expire=now --all
git repack -q -a -d
git prune --expire=now
test -z "$(git rev-list --all --not HEAD | head -n 1)"
"""


def prepare(box: Sandbox, spec: Spec) -> str:
    """Bring the work folder to where the agent begins, and say its base commit. Raises ``EnvFault`` where the image does not fit."""
    if not git(box, "rev-parse", "--git-dir").ok:
        if spec.repository is None:
            raise EnvFault(f"{spec.id}: there is no git repository in {spec.work} of the image {spec.image!r}")
        _must(box, spec, ("init", "-q"), ("add", "-A", "-f"), ("commit", "-q", "-m", "base"))
        base = "HEAD"
    else:
        base = _checked_out(box, spec)
    if spec.bug:
        try:
            apply_patch(box, spec.bug, chain=spec.chain)
        except PatchError as error:
            raise EnvFault(f"{spec.id}: its bug cannot be put into the repository: {error}") from error
        _must(box, spec, ("add", "-A", "-f", "--", *_there(box, paths_of(spec.bug))), ("commit", "-q", "-m", "base"))
    found = git(box, "rev-parse", base if not spec.bug else "HEAD").stdout.decode().strip()
    return found


def hide(box: Sandbox, spec: Spec) -> None:
    """Take from the agent's copy what must not be seen: hidden tests, and all history that is not before the base commit."""
    if spec.hidden:
        box.exec(("rm", "-rf", "--", *spec.hidden))
        left = box.exec(("bash", "-c", 'for path; do if [ -e "$path" ]; then echo "$path"; fi; done', "-", *spec.hidden)).stdout
        if left.strip():
            raise EnvFault(f"{spec.id}: {left.decode('utf-8', 'replace').split()[0]} cannot be taken away, and the agent must not read it")
    if spec.bug:  # the commit before holds the fix
        _must(box, spec, ("checkout", "-q", "--orphan", "turnwise-base"), ("add", "-u"), ("commit", "-q", "-m", "base"))
    options = " ".join(f"'{word}'" for word in GIT[1:])
    done = box.exec(("bash", "-c", f"options=({options})\n{_STRIP}"), timeout_s=_HISTORY_S)
    if not done.ok:
        raise EnvFault(f"{spec.id}: the later history cannot be taken out of the agent's copy: {_words(done)}")


def place_tests(box: Sandbox, spec: Spec, base: str) -> None:
    """The tests that grade: files of the test patch as at ``base``, those it adds taken away, then the patch."""
    if not spec.test_patch:
        return
    before, added = paths_of(spec.test_patch)
    if before:
        git(box, "checkout", "-q", base, "--", *before)
    if added:
        box.exec(("rm", "-f", "--", *added))
    try:
        apply_patch(box, spec.test_patch, chain=spec.chain)
    except PatchError as error:
        raise EnvFault(f"{spec.id}: its test patch cannot be put into the repository: {error}") from error


def files_at(box: Sandbox, paths: Iterable[str]) -> dict[str, File | None]:
    """The plain files at ``paths`` as they are; ``None``: not there."""
    wanted = list(paths)
    script = 'for path; do if [ -x "$path" ]; then printf "%s\\0" "$path"; fi; done'
    said = box.exec(("bash", "-c", script, "-", *wanted)).stdout if wanted else b""
    executable = said.decode("utf-8", "surrogateescape").split("\0")
    found: dict[str, File | None] = {}
    for path in wanted:
        try:
            found[path] = File(box.read(path), path in executable)
        except FileNotFoundError:
            found[path] = None
    return found


def plain(changes: Changes) -> dict[str, File | None]:
    """Changes without git's own folder."""
    return {path: file for path, file in changes.items() if path != ".git" and not path.startswith(".git/")}


def _checked_out(box: Sandbox, spec: Spec) -> str:
    wanted = spec.base_commit
    if not wanted:
        return "HEAD"
    if not git(box, "cat-file", "-e", f"{wanted}^{{commit}}").ok:
        if spec.patch_is_bug:  # such rows name a commit of a mirror that the image does not have
            return "HEAD"
        raise EnvFault(f"{spec.id}: the image {spec.image!r} does not have the base commit {wanted}")
    if not git(box, "merge-base", "--is-ancestor", wanted, "HEAD").ok:
        _must(box, spec, ("checkout", "-q", "-f", wanted))
    return wanted


def _there(box: Sandbox, paths: tuple[Sequence[str], Sequence[str]]) -> list[str]:
    """Of the paths of a patch those that git can add: there now, or there before."""
    before, added = paths
    return [*before, *added]


def _must(box: Sandbox, spec: Spec, *commands: Sequence[str]) -> None:
    for words in commands:
        done = box.exec((*GIT, *words), timeout_s=_HISTORY_S, environ=_DATE)
        if not done.ok:
            raise EnvFault(f"{spec.id}: git {words[0]} failed: {_words(done)}")


def _words(done: ExecResult) -> str:
    text = (done.stderr + done.stdout).decode("utf-8", "replace").strip()
    return " ".join((done.problem, text[-300:], f"exit code {done.exit_code}")).strip()


class OpenedSandbox:
    """A sandbox whose changes are told relative to where the agent began, not to the image. All else is the inner one's."""

    def __init__(self, inner: Sandbox, base: Changes, image: Mapping[str, File | None]) -> None:
        """``base``: the changes of the image that making ready made; ``image``: those files as the image has them."""
        self.inner, self._base, self._image = inner, plain(base), image

    @property
    def backend(self) -> str:
        return self.inner.backend

    @property
    def starts(self) -> int:
        return self.inner.starts

    def python(self, code: str, timeout_s: float | None = None) -> PythonResult:
        return self.inner.python(code, timeout_s)

    def exec(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float | None = None, environ: Mapping[str, str] | None = None
    ) -> ExecResult:
        return self.inner.exec(argv, stdin=stdin, timeout_s=timeout_s, environ=environ)

    def shell(self, command: str, timeout_s: float | None = None) -> ExecResult:
        return self.inner.shell(command, timeout_s)

    def read(self, path: str) -> bytes:
        return self.inner.read(path)

    def write(self, path: str, data: bytes) -> None:
        self.inner.write(path, data)

    def put(self, changes: Changes) -> None:
        self.inner.put(changes)

    def tree(self) -> dict[str, File]:
        return self.inner.tree()

    def changes(self) -> dict[str, File | None]:
        now = plain(self.inner.changes())
        found = {path: file for path, file in now.items() if path not in self._base or self._base[path] != file}
        found.update((path, self._image.get(path)) for path in self._base if path not in now)
        return dict(sorted(found.items()))

    def snapshot(self) -> Snapshot:
        return self.inner.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        self.inner.restore(snapshot)

    def close(self) -> None:
        self.inner.close()

    def __enter__(self) -> OpenedSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
