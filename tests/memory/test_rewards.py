from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.rewards.memory import (
    EventTime,
    closeness,
    day_range,
    days_accuracy,
    event_consistency,
    evidence,
    memory_t1,
    option_accuracy,
    set_accuracy,
    time_consistency,
    timeline_accuracy,
)


def test_the_reward_in_numbers():
    s = closeness(0.5, 1.0)
    assert s == pytest.approx(0.156735, abs=1e-6)
    assert memory_t1(1.0, 0.5, (s + 0.5) / 2) == pytest.approx(0.765674, abs=1e-6)
    assert memory_t1(1.0, 1.0, 1.0) == pytest.approx(1.0)
    assert memory_t1(0.0, -1.0, -0.75) == pytest.approx(-0.35)


@pytest.mark.parametrize(
    ("selected", "score"), [(["a", "b"], 1.0), (["b", "a", "a"], 1.0), (["a"], 0.5), (["a", "b", "c"], 0.5), (["c"], -1.0), ([], -1.0)]
)
def test_evidence(selected, score):
    assert evidence(selected, {"a", "b"}) == score


def test_closeness_jumps_at_the_edge_and_has_a_floor():
    assert closeness(0.0, 0.0) == 1.0
    assert closeness(1e-9, 10.0) == pytest.approx(0.25)
    assert closeness(5.0, 10.0) == pytest.approx(0.156735, abs=1e-6)
    assert closeness(5.0, 0.0) == closeness(5.0, 1.0)
    assert closeness(1e9, 1.0) == pytest.approx(-0.5)


@given(st.floats(0, 1e7), st.floats(0, 1e7), st.floats(0, 1e5))
def test_closeness_falls_with_distance(a, b, span):
    near, far = sorted((a, b))
    assert -0.5 <= closeness(far, span) <= closeness(near, span) <= 1.0


def test_events_count_by_similarity_and_by_how_they_lie_to_the_range():
    inside, overlap, apart = (12.0, 13.0), (8.0, 12.0), (1.0, 2.0)
    gold = (10.0, 20.0)
    assert event_consistency([EventTime(0.8, inside)], gold) == 0.8
    assert event_consistency([EventTime(0.8, overlap)], gold) == 0.4
    assert event_consistency([EventTime(0.8, apart)], gold) == -0.8
    assert event_consistency([EventTime(0.2, inside), EventTime(0.19, apart), EventTime(0.6, apart)], gold) == pytest.approx(-0.2)
    assert event_consistency([EventTime(0.1, inside)], gold) == event_consistency([], gold) == 0.0


def test_time_is_the_mean_over_selected_sessions():
    gold = (10.0, 20.0)
    near = (15.0, [EventTime(0.5, (12.0, 12.0))])
    far = (25.0, [])
    assert time_consistency([near], gold) == 0.75
    assert time_consistency([far], gold) == pytest.approx(0.156735 / 2, abs=1e-6)
    assert time_consistency([near, far], gold) == pytest.approx((0.75 + 0.0783675) / 2, abs=1e-6)
    assert time_consistency([(5.0, [])], gold) == pytest.approx(0.156735 / 2, abs=1e-6)
    assert time_consistency([], gold) == 0.0


def test_unknown_ends_of_a_range():
    assert day_range("2022-03-01", "2022-03-05") == (738215, 738219)
    assert day_range(None, None) == (date(2020, 1, 1).toordinal(), date(2025, 8, 1).toordinal())
    with pytest.raises(ValueError, match="isoformat"):
        day_range("March", None)


def test_accuracy_by_kind():
    assert option_accuracy("The Bomi Guild.", "Bomi Guild") == 1.0
    assert option_accuracy("2022-03-02", "2022-03-01") == 0.0
    assert [days_accuracy(a, 12) for a in ("12", "11 days", "13.", "14", "twelve", "-12", "")] == [1, 1, 1, 0, 0, 0, 0]
    assert [set_accuracy(a, ["A", "C"]) for a in ("A, C", "(c) and (a)", "A", "A, B, C", "", "A C A")] == [1, 1, 0, 0, 0, 1]
    gold = ["B", "A", "D", "C"]
    assert [timeline_accuracy(a, gold) for a in ("B, A, D, C", "b a c d", "A,B,C,D", "B", "B, B, D, C", "")] == [1, 0.5, 0, 0, 0, 0]


@given(st.text())
def test_any_answer_can_be_judged(text):
    for value in (option_accuracy(text, "A"), days_accuracy(text, 3), set_accuracy(text, ["A"]), timeline_accuracy(text, ["A", "B"])):
        assert 0.0 <= value <= 1.0
