import math

import numpy as np
import pytest
from turnwise.envs.guess_number import GuessNumber, NoisyBisection
from turnwise.envs.key_door import ACTIONS, Grid, KeyDoor, Stray
from turnwise.envs.registry import make
from turnwise.records import StopReason, Task


def number_task(number, high=8):
    return Task(id="t", env_id="turnwise/GuessNumber-v0", split="train", data={"number": number, "high": high})


def test_guesses_are_worth_the_bits_they_tell():
    env = GuessNumber(high=8)
    env.reset(options={"task": number_task(6)})
    seen = [env.step(text) for text in ("<guess>4</guess>", "2", "<guess>7</guess>", "6")]
    # 8 -> 5..8 (1 bit); 2 tells nothing; 5..8 -> 5..6 (1 bit); 5..6 -> 6 (1 bit)
    assert [s[4]["turn"]["reward"] for s in seen] == pytest.approx([1.0, 0.0, 1.0, 1.0])
    assert [s[0][0].text for s in seen[:3]] == ["higher", "higher", "lower"]
    assert [s[4]["turn"]["anchor"] for s in seen] == ["1-8", "5-8", "5-8", "5-6"]
    assert seen[3][1:4] == (2.0, True, False)
    assert seen[3][4]["outcome"].score == 1.0


def test_bits_of_an_episode_sum_to_what_there_was_to_know():
    env = GuessNumber(high=100)
    env.reset(options={"task": number_task(37, 100)})
    total = sum(env.step(str(guess))[4]["turn"]["reward"] for guess in (50, 25, 40, 30, 37))
    assert total == pytest.approx(math.log2(100))


@pytest.mark.parametrize("text", ["", "thirty", "<guess>x</guess>", "37 or 38", "<guess></guess>", "9" * 5000])
def test_what_is_no_guess_is_told_so(text):
    env = GuessNumber()
    env.reset(options={"task": number_task(6)})
    observation, reward, terminated, truncated, info = env.step(text)
    assert "no guess" in observation[0].text
    assert (reward, terminated, truncated, info["turn"]["action_valid"]) == (0.0, False, False, False)


def test_windows_of_numbers():
    env = GuessNumber(high=100, span=32)
    train, test = (env.tasks.get_task_range(split, 0, env.tasks.num_tasks(split)) for split in ("train", "test"))
    # 69 windows begin at 1 to 69: 55 of them end in 0 to 7 (0 only at 10 to 60), 7 in 9 (69 too), with 32 numbers each
    assert (len(train), len(test)) == (55 * 32, 7 * 32)
    assert {t.data["low"] for t in test} == {9, 19, 29, 39, 49, 59, 69}
    assert {t.data["number"] for t in test} == set(range(9, 101))
    assert test[0].prompt[0].text == "I think of a whole number between 9 and 40. Guess it: <guess>number</guess>."
    assert len({t.id for t in train + test}) == 62 * 32
    env.reset(options={"task": test[5]})  # 14
    seen = [env.step(text) for text in ("24", "90", "14")]
    assert [s[4]["turn"]["anchor"] for s in seen] == ["9-40", "9-23", "9-23"]
    assert [s[4]["turn"]["reward"] for s in seen] == pytest.approx([math.log2(32 / 15), 0.0, math.log2(15)])


def test_a_recap_tells_what_is_left():
    env = GuessNumber(high=8, recap=True)
    env.reset(options={"task": number_task(6)})
    assert [env.step(text)[0][0].text for text in ("4", "2", "7")] == ["higher, 5 to 8", "higher, 5 to 8", "lower, 5 to 6"]


@pytest.mark.parametrize("span", [1, 101, -4])
def test_windows_that_cannot_be(span):
    with pytest.raises(ValueError, match=f"span is {span}; allowed: 2 to high, 100"):
        GuessNumber(high=100, span=span)


@pytest.mark.parametrize(("error_rate", "turns"), [(0.0, 6), (1.0, None)])
def test_an_erring_bisection_halves_what_its_guesses_leave(error_rate, turns):
    env, agent = GuessNumber(high=100, span=32, max_turns=60), NoisyBisection(error_rate)
    lengths = []
    tasks = [t for t in env.tasks.get_task_range("train", 0, env.tasks.num_tasks("train")) if t.data["low"] == 20]
    assert len(tasks) == 32
    for seed, task in enumerate(tasks):
        agent.reset(task, np.random.default_rng(seed))
        observation, _ = env.reset(options={"task": task})
        over = False
        while not over:
            guess = agent.act(observation)
            assert 20 <= int(guess[7:-8]) <= 51
            observation, _, terminated, truncated, _ = env.step(guess)
            over = terminated or truncated
        lengths.append(env.turn_index)
    assert max(lengths) == turns if turns else max(lengths) > 20  # any guess again and again: 32 turns on average
    with pytest.raises(ValueError, match=r"error_rate is 1\.5; allowed: 0 to 1"):
        NoisyBisection(1.5)


GRID = ["#######", "#@k#..#", "#..D.T#", "#######"]


def grid_task():
    return Task(id="g", env_id="turnwise/KeyDoor-v0", split="train", data={"rows": GRID})


def test_a_walk_to_the_treasure_by_hand():
    env = KeyDoor()
    _, info = env.reset(options={"task": grid_task()})
    assert info["potential"] == -1.0
    steps = [env.step(word) for word in ("east", "take", "take", "south", "open", "east", "east", "east")]
    rewards = [s[4]["turn"]["reward"] for s in steps]
    assert rewards == pytest.approx([-0.01, 0.24, -0.01, -0.01, 0.24, -0.01, -0.01, -0.01])
    assert steps[1][4]["turn"]["components"] == {"turn": -0.01, "key": 0.25, "door": 0.0}
    # seven turns are the fewest: after "east" six are left, the second "take" changes nothing
    assert [s[4]["turn"]["potential"] for s in steps] == pytest.approx([-6 / 7, -5 / 7, -5 / 7, -4 / 7, -3 / 7, -2 / 7, -1 / 7, 0])
    assert steps[-1][2:4] == (True, False)
    assert steps[-1][4]["outcome"].score == 1.0
    assert steps[0][4]["turn"]["anchor"] == "1,1,0,0"
    assert steps[2][4]["turn"]["anchor"] == steps[3][4]["turn"]["anchor"] == "1,2,1,0"


def test_walls_doors_and_nonsense_are_explained():
    env = KeyDoor()
    env.reset(options={"task": grid_task()})
    texts = [env.step(word)[0][0].text.split("\n")[0] for word in ("north", "south", "east", "open", "east", "take", "fly")]
    assert texts == [
        "There is a wall.",
        "You go south.",
        "You go east.",
        "The door is locked.",
        "The door is closed.",
        "There is nothing to take.",
        "That is no action. Write one of: north, south, west, east, take, open.",
    ]


def test_the_turn_limit_truncates():
    env = make("turnwise/KeyDoor-v0", max_turns=3)
    env.reset(seed=0)
    *_, terminated, truncated, info = [env.step("take") for _ in range(3)][-1]
    assert (terminated, truncated, info["stop"], info["outcome"].score) == (False, True, StopReason.MAX_TURNS, 0.0)


def test_a_snapshot_continues_in_another_instance():
    env, twin = KeyDoor(), KeyDoor()
    env.reset(seed=1, options={"split": "train", "index": 5})
    for word in ("south", "east", "take"):
        env.step(word)
    twin.restore(env.snapshot())
    for word in ACTIONS:
        assert twin.step(word) == env.step(word)


def test_every_grid_can_be_solved_and_no_split_shares_one():
    tasks = KeyDoor().tasks
    hashes = [t.hash for split in ("train", "validation", "test") for t in tasks.list_tasks(split)]
    assert len(set(hashes)) == len(hashes) == 1200
    for task in tasks.get_task_range("train", 0, 60):
        grid = Grid(list(task.data["rows"]))
        assert grid.to_goal[grid.start, False, False] < 40


def test_the_compass_says_how_far_things_are():
    env = KeyDoor(view="compass")
    rows = ["#######", "#..#..#", "#..#..#", "#.k#T.#", "#..#..#", "#@.D..#", "#######"]
    seen, _ = env.reset(options={"task": Task(id="c", env_id="turnwise/KeyDoor-v0", split="train", data={"rows": rows})})
    assert seen[-1].text == "You are in a room.\nkey 2 north 1 east, door 2 east, treasure 2 north 3 east"
    texts = [env.step(word)[0][0].text for word in ("north", "north", "east", "take", "south", "south", "open", "east")]
    assert texts[2] == "You go east.\nkey here, door 2 south 1 east, treasure 2 east"
    assert texts[3] == "You take the key. You hold the key.\ndoor 2 south 1 east, treasure 2 east"
    assert texts[6:] == [
        "You open the door. You hold the key.\nopen door 1 east, treasure 2 north 2 east",
        "You go east. You hold the key.\nopen door here, treasure 2 north 1 east",
    ]


def test_more_train_grids_leave_the_others_as_they_are():
    few, many = KeyDoor().tasks, KeyDoor(train=1500).tasks
    assert many.num_tasks("train") == 1500
    for split, count in (("train", 1000), ("validation", 100), ("test", 100)):
        assert [t.hash for t in few.get_task_range(split, 0, count)] == [t.hash for t in many.get_task_range(split, 0, count)]
    hashes = {t.hash for split in ("train", "validation", "test") for t in many.list_tasks(split)}
    assert len(hashes) == 1700


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"size": 4}, "size is 4; allowed: 5 to 20"),
        # 5 doors, 10 cells on either side of the one wall there can be: 5 * 10 * 9 * 10 grids
        ({"train": 2051}, "train is 2051; allowed: 1 to 2050, half of the grids of size 5"),
        ({"view": "radar"}, "view is 'radar'; allowed: map, compass"),
    ],
)
def test_grids_that_cannot_be_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        KeyDoor(**arguments)


def test_a_noisy_teacher_strays_as_often_as_it_is_told():
    task = KeyDoor().tasks.get_task("train", 0)

    def walk(error_rate):
        teacher, env = Stray(error_rate), KeyDoor()
        teacher.reset(task, np.random.default_rng(0))
        observation, _ = env.reset(options={"task": task})
        turns = 0
        while not env.done:
            observation = env.step(teacher.act(observation))[0]
            turns += 1
        return turns

    grid = Grid(list(task.data["rows"]))
    assert walk(0.0) == grid.to_goal[grid.start, False, False]
    assert walk(0.0) < walk(0.5) <= 50
    with pytest.raises(ValueError, match="error_rate is 2; allowed: 0 to 1"):
        Stray(2)
