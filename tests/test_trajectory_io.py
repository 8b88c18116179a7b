"""A trajectory written and read back is the same trajectory; a bad line is named."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.records import ImagePart, Message, Outcome, StopReason, Task, TextPart, TokenTrace, ToolCall, Trajectory, Turn
from turnwise.trajectory_io import drop_torn_line, read_trajectories, write_trajectories

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
parts = st.one_of(
    st.builds(TextPart, text=text),
    st.builds(ImagePart, data=st.binary(max_size=8), mime=st.sampled_from(["image/png", "image/svg+xml", "odd"])),
)
contents = st.one_of(text, st.lists(parts, max_size=3).map(tuple))
users = st.builds(Message, role=st.just("user"), content=contents)
calls = st.lists(st.builds(ToolCall, id=text, name=text, arguments=text), max_size=2).map(tuple)
actions = st.builds(Message, role=st.just("assistant"), content=contents, tool_calls=calls)
tools = st.builds(Message, role=st.just("tool"), content=contents, tool_call_id=text)
observations = st.lists(st.one_of(users, tools), max_size=2).map(tuple)


@st.composite
def traces(draw):
    pairs = draw(st.lists(st.tuples(st.integers(0, 9), finite), max_size=3))
    context = tuple(draw(st.lists(st.integers(0, 9), max_size=3)))
    return TokenTrace(context_ids=context, action_ids=tuple(p[0] for p in pairs), logprobs=tuple(p[1] for p in pairs), restart=True)


@st.composite
def turns(draw, index):
    reward = draw(st.none() | finite)
    return Turn(
        index=index,
        observation=draw(observations),
        action=draw(actions),
        reward=reward,
        components={} if reward is None else {"all": reward},
        anchor=draw(st.none() | text),
        potential=draw(st.none() | finite),
        action_valid=draw(st.booleans()),
        trained=draw(st.booleans()),
        tokens=draw(st.none() | traces()),
        seconds=draw(finite),
        chat_logprobs=draw(st.none() | st.lists(finite, max_size=3).map(tuple)),
        measures=draw(st.dictionaries(st.text(max_size=3), finite, max_size=2)),
    )


@st.composite
def trajectories(draw):
    stop = draw(st.sampled_from(StopReason))
    taken = tuple(draw(turns(i)) for i in range(draw(st.integers(0, 3))))
    parent = draw(st.none() | st.integers(6, 9))
    fork = 0 if parent is None else draw(st.integers(0, len(taken)))
    data = draw(st.dictionaries(text, st.one_of(text, finite, st.lists(st.integers()), st.none()), max_size=2))
    return Trajectory(
        task=Task(id="t", env_id="x/Y-v0", split="test", prompt=draw(observations), data=data, seed=draw(st.integers())),
        turns=tuple(replace(turn, trained=False) if turn.index < fork else turn for turn in taken),
        parent=parent,
        fork=fork,
        probe=draw(st.booleans()),
        outcome=Outcome.void(draw(text)) if stop.voids else Outcome(score=draw(finite), components={"a": draw(finite)}),
        stop=stop,
        rollout=draw(st.integers(0, 5)),
        start_potential=draw(st.none() | finite),
        final_observation=draw(observations),
        attempts=draw(st.integers(1, 2)),
        usage=draw(st.dictionaries(text, st.integers(0, 99), max_size=2)),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(trajectories(), max_size=3))
def test_reading_back_gives_equal_objects(episodes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sub" / "a.jsonl"
        assert write_trajectories(path, episodes) == len(episodes)
        write_trajectories(path, episodes)
        assert read_trajectories(path) == episodes * 2


def example() -> Trajectory:
    task = Task(id="t", env_id="x/Y-v0", split="test", prompt=(Message(role="user", content=(ImagePart(data=b"abc"),)),))
    return Trajectory(task=task, turns=(), outcome=Outcome(score=1.0), stop=StopReason.SUCCESS)


def test_an_image_lies_beside_the_file_under_its_digest(tmp_path):
    write_trajectories(tmp_path / "a.jsonl", [example(), example()])
    name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.png"  # sha256 of "abc", FIPS 180-2
    assert [p.name for p in (tmp_path / "images").iterdir()] == [name]
    (tmp_path / "images" / name).write_bytes(b"abd")
    with pytest.raises(ValueError, match=r"a\.jsonl:1: .*digest"):
        read_trajectories(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"schema":"turnwise', "not a trajectory"),
        ('{"a":1}', "schema is None"),
        ("[1]", "schema is 'list'"),
        ('{"schema":"turnwise.trajectory/1"}', "field 'task' is missing"),
        ("\x80", "not a trajectory"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(tmp_path, line, reason):
    path = tmp_path / "a.jsonl"
    write_trajectories(path, [example()])
    with path.open("ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    with pytest.raises(ValueError, match=rf"a\.jsonl:2: .*{reason}"):
        read_trajectories(path)


def test_a_changed_task_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    write_trajectories(path, [example()])
    path.write_text(path.read_text().replace('"env_id":"x/Y-v0"', '"env_id":"x/Z-v0"'))
    with pytest.raises(ValueError, match=r"a\.jsonl:1: .*hash"):
        read_trajectories(path)


def test_a_torn_last_line_is_cut_off_and_the_rest_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    write_trajectories(path, [example()])
    assert not drop_torn_line(path)
    with path.open("a") as file:
        file.write('{"schema":"turn')
    assert drop_torn_line(path)
    assert read_trajectories(path) == [example()]


def test_files_from_before_the_latest_fields_are_read(tmp_path):
    turn = Turn(index=0, observation=(), action=Message(role="assistant", content="a"))
    write_trajectories(tmp_path / "a.jsonl", [replace(example(), turns=(turn,))])
    (tmp_path / "a.jsonl").write_text((tmp_path / "a.jsonl").read_text().replace(',"chat_logprobs":null,"measures":{}', ""))
    assert not {"chat_logprobs", "measures"} & set((tmp_path / "a.jsonl").read_text().split('"'))
    assert read_trajectories(tmp_path / "a.jsonl")[0].turns == (turn,)


def test_an_episode_that_was_not_forked_is_written_as_before_there_were_forks(tmp_path):
    write_trajectories(tmp_path / "a.jsonl", [example(), replace(example(), parent=1)])
    plain, forked = (json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines())
    assert not {"parent", "fork", "probe"} & set(plain)
    assert (forked["parent"], forked["fork"], forked["probe"]) == (1, 0, False)
    read = read_trajectories(tmp_path / "a.jsonl")[0]
    assert (read.parent, read.fork, read.probe) == (None, 0, False)
