"""Why a project cannot be made into tasks. Each says in one line what was found and what to do.

SourceError (RuntimeError)
  Unreachable     the package index, or git
  Missing         no such package, version, folder or commit
  HashMismatch    the archive is another one than was recorded
  NeedsPython     the sandbox's Python is too old (or too new)
  NeedsPackages   its tests import what is not there
  NoTests         no test was found
  SuiteFails      no test passes, or most do not pass
"""


class SourceError(RuntimeError):
    """A project cannot be made into tasks."""


class Unreachable(SourceError, OSError):
    """The package index, or git, does not answer."""


class Missing(SourceError, LookupError):
    """There is no such package, version, folder or commit."""


class HashMismatch(SourceError):
    """The archive is another one than was recorded."""


class NeedsPython(SourceError):
    """The project asks for another version of Python than the sandbox has."""


class NeedsPackages(SourceError):
    """The project's tests import packages that are not there."""


class NoTests(SourceError):
    """No test was found."""


class SuiteFails(SourceError):
    """The project's own tests do not pass often enough to tell a fault from none."""
