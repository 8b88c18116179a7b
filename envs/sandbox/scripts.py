"""What runs in a container of which nothing is known: for any ``sh``, and one for bash. Used by image.py."""

from __future__ import annotations

_KEEP = """
trap 'exec /bin/sh -c "$0" "$0" 2>/dev/null' EXIT
until jobs >/dev/null; cat >/dev/null; do :; done
trap - EXIT
"""
KEEPER = ["/bin/sh", "-c", _KEEP, _KEEP]
"""Process 1: ends with its input, which is the life of the caller; collects orphans; starts again what code kills.

A shell that cannot fork exits, and commands of the daemon may fill the container above its limit of processes: process 1 then becomes
a new shell, which needs no fork, and collects those that have ended (``jobs``) to make room, until it can."""
SWEEP = """
passes=50
while [ "$passes" -gt 0 ]; do
  passes=$((passes - 1)) found=
  for file in /proc/[0-9]*/stat; do
    { read -r line <"$file"; } 2>/dev/null || continue
    pid=${line%% *}
    set -- ${line##*) }
    [ "$4" = "$leader" ] && [ "$pid" != "$$" ] || continue
    case $1$2 in
      Z1) found=1 ;;
      Z*) ;;
      *) kill -9 "$pid" 2>/dev/null && found=1 ;;
    esac
  done
  [ -n "$found" ] || break
done
"""
"""Kills the session of ``leader`` but for the shell that runs this, until a pass finds nothing of it: some may be forked during one.

A process that has ended still counts against the limit until process 1 collects it, so that is waited for."""
KILL_ALL = "kill -9 -1; until set -- /proc/[0-9]*; [ $# -le 3 ]; do :; done"
"""Leaves process 1, its ``cat`` and the shell that runs this: the next command finds room for its own processes."""
RUN = f"""
read -r go
echo "$$" >&2
cd -- "$0" || cd /
(exec "$@")
code=$?
leader=$$
{SWEEP}
exit "$code"
"""
PYTHON = 'read -r go; exec python3 -S -s -c "$@"'
SHELL = r"""
exec 240<&0 241>&1 2>&1 </dev/null
cd -- "$0" || cd /
_turnwise_call=""
_turnwise_status() { return "$1"; }
while :; do
  while {
    _turnwise_code=$?
    [ -z "$_turnwise_call" ] || builtin printf "\0%s %d\n" "${_turnwise_call%% *}" "$_turnwise_code" >&241
    IFS= builtin read -r -d "" -u 240 _turnwise_call || exit 0
  }; do
    _turnwise_status "$_turnwise_code" && :; eval "${_turnwise_call#* }" 240<&- 241>&-
  done
done
"""
"""Two loops: a command that says "break" leaves the inner one."""
READ = """
[ -f "$1" ] && [ -r "$1" ] || exit 3
exec head -c "$2" "$1"
"""
WRITE = 'case $1 in */*) mkdir -p -- "${1%/*}" || exit;; esac; cat >"$1"'
