"""What runs in a container of which nothing is known: for any ``sh``, and one for bash. Used by image.py."""

from __future__ import annotations

KEEPER = ["/bin/sh", "-c", "until cat >/dev/null; do :; done"]
"""Process 1: ends with its input, which is the life of the caller; collects orphans; starts again what code kills."""
SWEEP = """
passes=50
while [ "$passes" -gt 0 ]; do
  passes=$((passes - 1)) found=
  for file in /proc/[0-9]*/stat; do
    { read -r line <"$file"; } 2>/dev/null || continue
    pid=${line%% *}
    set -- ${line##*) }
    if [ "$4" = "$leader" ] && [ "$pid" != "$$" ] && [ "$1" != Z ]; then
      kill -9 "$pid" 2>/dev/null && found=1
    fi
  done
  [ -n "$found" ] || break
done
"""
"""Kills the session of ``leader`` but for the shell that runs this, until a pass finds nothing of it: some may be forked during one."""
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
