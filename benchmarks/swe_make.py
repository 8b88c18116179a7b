"""How many validated software-engineering tasks a minute are made of projects, and which kinds of edits give them.

python benchmarks/swe_make.py [toolz==1.2.0 voluptuous==0.16.0 ...] [--suite-s 2] [--count 40]

Without projects: one made up on the spot, of 40 functions, whose suite computes for ``--suite-s`` seconds of processor time.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter

from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.make.sources import Project, project, read_source
from turnwise.envs.swe.make.tasks import Factory

FUNCTION = '''
def f{n}(items, low={n}, high=None):
    """Those that are in the range, doubled."""
    if high is None:
        high = low + len(items)
    if low > high:
        raise ValueError("range")
    return [item * 2 for item in items if low <= item < high]
'''
TEST = """
def test_f{n}():
    busy({seconds})
    assert made.f{n}([{n}, {n} + 1, {n} + 9]) == [2 * {n}, 2 * {n} + 2]
    assert made.f{n}([{n} - 1, {n}], high={n} + 1) == [2 * {n}]


def test_f{n}_refuses():
    with pytest.raises(ValueError):
        made.f{n}([], 3, 2)
"""
BUSY = """
def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))
"""


def made_up(seconds: float, functions: int = 40) -> Project:
    numbers = range(functions)
    code = "".join(FUNCTION.format(n=n) for n in numbers)
    tests = "import time\nimport pytest\nimport made\n\n" + BUSY + "".join(TEST.format(n=n, seconds=seconds / functions) for n in numbers)
    return project("made-up", {"made.py": File(code.encode()), "tests/test_made.py": File(tests.encode())})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("projects", nargs="*", help="folders, or packages as name==version")
    parser.add_argument("--suite-s", type=float, default=2.0)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--hard", type=float, default=0.2)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    tried, kept, dropped = Counter[str](), Counter[str](), Counter[str]()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before, {arguments.workers} sandboxes")
    sources = [read_source(name) for name in arguments.projects] or [made_up(arguments.suite_s)]
    for source in sources:
        started = time.perf_counter()
        with Factory(source, workers=arguments.workers) as factory:
            ready, used = time.perf_counter(), factory.processor_s
            made = list(factory.tasks(arguments.count, arguments.hard))
            took, used = time.perf_counter() - ready, factory.processor_s - used
        tests = factory.baseline
        print(
            f"{source.name} {source.version}: suite {tests.suite_s:.2f} s, {len(tests.passing)} tests; "
            f"measuring it took {ready - started:.1f} s; {len(made)} tasks in {took:.1f} s: {60 * len(made) / took:.1f} a minute; "
            f"{used:.1f} s of processor time in the sandboxes, {used / len(made):.2f} a task; "
            f"{sum(t.shown for t in made)} with an example that runs by itself; load {os.getloadavg()[0]:.1f}"
        )
        for total, part in ((tried, factory.tally.tried), (kept, factory.tally.kept), (dropped, factory.tally.dropped)):
            total.update(part)
    for kind, number in sorted(tried.items(), key=lambda item: -kept[item[0]] / item[1]):
        print(f"  {kind:18} {kept[kind]:4} of {number:4} kept ({kept[kind] / number:.0%})")
    print("  dropped: " + ", ".join(f"{number} {reason}" for reason, number in dropped.most_common()))


if __name__ == "__main__":
    main()
