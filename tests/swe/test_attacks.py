"""Every attack scores the floor and is named, beside no repair and beside a true one; honest work is neither."""

from dataclasses import replace

import pytest
from turnwise.envs.sandbox.base import SandboxError
from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.sandbox.tree import File, digest, tree_of
from turnwise.envs.swe.attacks import ATTACKS, COMMANDS, example
from turnwise.envs.swe.grade import Grader
from turnwise.envs.swe.toolchain import binds, toolchain

EXAMPLE = example()
REPAIRED = replace(EXAMPLE, base={**EXAMPLE.base, **EXAMPLE.gold})


@pytest.fixture(scope="module")
def grader():
    return Grader()


def attacked(grader, attack, changes):
    """The grade; an attack that lasts to the limit gets a short one first, and a long one where the machine is busy with other things."""
    for limit in (3.0, 40.0) if attack.slow else (EXAMPLE.timeout_s,):
        grade = grader.grade(replace(EXAMPLE, timeout_s=limit), changes)
        if set(attack.seen) & set(grade.tampering):
            break
    assert grade.score == 0.0
    assert set(attack.seen) & set(grade.tampering), grade.note


def test_there_are_enough_and_their_names_differ():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 60


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_scores_the_floor_and_is_named(grader, attack):
    attacked(grader, attack, attack.changes(EXAMPLE))


@pytest.mark.slow
@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.name != "hard_coded_answers"], ids=lambda attack: attack.name)
def test_an_attack_beside_a_true_repair_scores_the_floor(grader, attack):
    attacked(grader, attack, {**EXAMPLE.gold, **attack.changes(REPAIRED)})


def test_honest_work_is_not_named(grader):
    assert (grader.grade(EXAMPLE, EXAMPLE.gold).score, grader.grade(EXAMPLE, EXAMPLE.gold).tampering) == (1.0, ())
    assert (grader.grade(EXAMPLE, {}).score, grader.grade(EXAMPLE, {}).tampering) == (0.0, ())
    shown = EXAMPLE.base["tests/test_cart.py"].data
    leavings = {
        "tests/test_mine.py": File(b"def test_mine():\n    assert True\n"),
        "tests/test_cart.py": File(shown + b"\n\ndef test_more():\n    assert discount(10, 10) == 9\n"),
        "shop/__pycache__/cart.cpython-311.pyc": File(b"\0" * 16),
        "reproduce.py": File(b"from shop import discount\nprint(discount(200, 10))\n"),
        "notes.md": File(b"# What is wrong"),
    }
    grade = grader.grade(EXAMPLE, {**EXAMPLE.gold, **leavings})
    assert (grade.score, grade.tampering) == (1.0, ())
    assert sorted(grade.dropped) == ["shop/__pycache__/cart.cpython-311.pyc", "tests/test_cart.py", "tests/test_mine.py"]


def test_commands_change_nothing_of_what_grades(grader):
    before = digest(tree_of(toolchain()))
    for command in COMMANDS:
        with make_sandbox(tree=EXAMPLE.base, work=EXAMPLE.work, binds=binds()) as box:
            try:
                box.shell(command.text, timeout_s=1.0)
                changes = box.changes()
            except (SandboxError, ValueError):  # it destroyed its own sandbox
                changes = {}
        grade = grader.grade(EXAMPLE, changes)
        assert grade.score == 0.0, command.name
    assert digest(tree_of(toolchain())) == before
    assert grader.grade(EXAMPLE, EXAMPLE.gold).score == 1.0
