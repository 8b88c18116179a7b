import re
from itertools import pairwise

import pytest
from turnwise.envs.search.questions import HELD_OUT, make_tasks
from turnwise.envs.search.world import SPLITS, World


def words(world):
    return {w for names in world.entities.values() for name in names for w in re.findall(r"[A-Z]\w+", name)}


def test_worlds_are_deterministic_and_disjoint():
    fixed = {"Guild", "Institute", "Society", "Company", "Song", "Letters", "Shadows", "Return"}
    made = [words(World(s, 40, seed=3)) - fixed for s in SPLITS]
    assert made[0] & made[1] == made[0] & made[2] == made[1] & made[2] == set()
    assert len(made[0]) == 40 + 10 + 60
    assert World("train", 40, seed=3).passages == World("train", 40, seed=3).passages
    assert World("train", 40, seed=3).passages != World("train", 40, seed=4).passages


def test_every_passage_states_its_fact():
    world = World("test", 30)
    for passage in world.passages:
        assert passage.title in passage.text
        assert len(passage.text) < 300
    assert len({p.id for p in world.passages}) == len(world.passages) == 30 * 4 + 15 * 3 * 3


def pairs(task):
    hops = task.data["hops"]
    step = len(hops) if task.data["kind"].startswith("chain") else 2
    branches = [hops[k : k + step] for k in range(0, len(hops), step)]
    return [(a["relation"], b["relation"]) for branch in branches for a, b in pairwise(branch)]


def test_test_questions_compose_relations_that_training_never_does():
    tasks, _ = make_tasks(train=300, validation=100, test=100)
    for split in ("train", "validation"):
        assert not any(pair in HELD_OUT for t in tasks.list_tasks(split) for pair in pairs(t))
    assert all(any(p in HELD_OUT for p in pairs(t)) for t in tasks.list_tasks("test") if len(t.data["hops"]) > 1)


def test_questions_are_sound_unique_and_of_every_kind():
    tasks, passages = make_tasks(train=300, validation=20, test=20, seed=1)
    text = {p.id: p for p in passages}
    made = tasks.list_tasks("train")
    assert {t.data["kind"] for t in made} == {"chain1", "chain2", "chain3", "chain4", "earlier", "later", "same"}
    assert len({t.hash for t in made}) == 300
    for task in made:
        for hop in task.data["hops"]:
            assert text[hop["passage"]].title == hop["entity"]
            assert hop["answer"] in text[hop["passage"]].text
            assert hop["relation"] in text[hop["passage"]].text
    same = [t.data["answers"] for t in made if t.data["kind"] == "same"]
    assert ["yes"] in same
    assert ["no"] in same
    assert [t.hash for t in make_tasks(train=300, validation=20, test=20, seed=1)[0].list_tasks("train")] == [t.hash for t in made]


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="at least 8 people"):
        make_tasks(size=4)
    with pytest.raises(ValueError, match="must be 0 or more"):
        make_tasks(train=-1)


def test_paired_names_are_new_pairs_of_words_that_all_splits_share():
    worlds = [World(split, 4000, names="pairs") for split in SPLITS]
    names = [{name for group in world.entities.values() for name in group} for world in worlds]
    assert names[0] & names[1] == names[0] & names[2] == names[1] & names[2] == set()
    firsts, seconds = ([{name.split()[k] for name in w.entities["person"]} for w in worlds] for k in (0, 1))
    assert firsts[0] == firsts[1] == firsts[2]
    assert seconds[0] == seconds[1] == seconds[2]
    assert len(firsts[0]) == len(seconds[0]) == 400


def test_worlds_of_the_splits_may_differ_in_size():
    _, passages = make_tasks(train=4, validation=4, test=4, size={"train": 40, "test": 20})
    count = {split: sum(p.id.startswith(split) for p in passages) for split in SPLITS}
    per_person = 4 + 3 * 3 / 2
    assert count == {"train": 40 * per_person, "validation": 24 * per_person, "test": 20 * per_person}
    with pytest.raises(ValueError, match=r"size names the splits \['dev'\]; allowed: train, validation, test"):
        make_tasks(train=4, validation=4, test=4, size={"dev": 40})
