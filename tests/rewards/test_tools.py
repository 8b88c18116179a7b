import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.rewards.tools import correctness, jaccard, match_score, progress, same_answer, tool_format

WANTED = [("get_weather", {"city": "Paris", "unit": "C"}), ("book", {"id": 7})]
MADE = [("get_weather", {"city": "Paris", "units": "C"}), ("search", {"q": "x"})]
CALLS = st.lists(st.tuples(st.sampled_from("fgh"), st.dictionaries(st.sampled_from("abc"), st.integers(0, 2))), max_size=4)


def test_the_papers_code_on_one_example():
    score, highest = match_score(MADE, WANTED)
    assert score == pytest.approx(1 / 3 + 1 / 3 + 1)
    assert highest == 6
    assert correctness(MADE, WANTED) == pytest.approx(-4 / 3)
    assert correctness(MADE, WANTED) + tool_format("<think>a</think>\n<tool_call>\n{}\n</tool_call>", calls=True, response=False) == (
        pytest.approx(-1 / 3)
    )


@pytest.mark.parametrize(
    ("made", "wanted", "value"),
    [
        (WANTED, WANTED, 3.0),
        (WANTED[::-1], WANTED, 3.0),  # every part is full although the order differs
        (None, WANTED, -3.0),
        ([], WANTED, -3.0),
        (WANTED, [], 0.0),
        ([("f", {"a": True})], [("f", {"a": 1})], 6 * 2 / 3 - 3),  # true is not 1: names and parameter names only
        ([("f", {}), ("f", {"a": 1})], [("f", {"a": 1})], 6 * (1 / 2 + 2) / 3 - 3),  # the better of the two counts
        ([("f", {"a": 1})], [("f", {"a": 1}), ("f", {"a": 1})], 6 * (1 / 2 + 2) / 5 - 3),  # one call made serves one wanted
    ],
)
def test_edges(made, wanted, value):
    assert correctness(made, wanted) == pytest.approx(value)


def test_the_scale_is_a_parameter():
    assert correctness(MADE, WANTED, low=0.0, high=1.0) == pytest.approx((5 / 3) / 6)


@given(CALLS, CALLS)
def test_correctness_is_bounded_and_highest_for_equal_lists(made, wanted):
    value = correctness(made, wanted)
    assert -3.0 <= value <= 3.0
    if wanted:
        assert correctness(wanted, wanted) == 3.0 >= value


@given(st.lists(st.sampled_from("ab")), st.lists(st.sampled_from("ab")))
def test_jaccard_is_symmetric(a, b):
    assert jaccard(a, b) == jaccard(b, a)
    assert (jaccard(a, b) == 1.0) == (sorted(a) == sorted(b))


@pytest.mark.parametrize(
    ("text", "calls", "response", "value"),
    [
        ("<think>a</think>", False, False, 1.0),
        ("<think>a</think>\n<response>b</response>", False, True, 1.0),
        ("<think>a</think>\n<tool_call>\n{}\n</tool_call>\n<response>b</response>", True, True, 1.0),
        ("<think>a</think> <response>b</response>", False, True, 0.0),
        ("<think>a</think>\n<response>b</response>", True, True, 0.0),
        ("<think>a</think>\n<think>a</think>", False, False, 0.0),
        ("a", False, False, 0.0),
    ],
)
def test_format(text, calls, response, value):
    assert tool_format(text, calls=calls, response=response) == value


@pytest.mark.parametrize(
    ("given", "wanted", "same"),
    [
        ("12", "12.0", True),
        (" The  Answer. ", "the answer", True),
        ("-3", "3", False),
        ("1.5", "15", False),
        ("nan", "nan", True),
        ("nan", "1", False),
        ("", "0", False),
        ("1e3", "1000", True),
    ],
)
def test_answers_are_equal_as_numbers_or_as_texts(given, wanted, same):
    assert same_answer(given, wanted) == same


def test_progress_is_the_match_over_its_highest():
    gold = [("a", {"x": 1}), ("b", {})]  # highest 1 + 2 + 1 = 4
    assert progress([], gold) == progress([("a", {})], []) == 0.0
    assert progress([("a", {"x": 1})], gold) == pytest.approx((0.5 + 2) / 4)
    assert progress(gold, gold) == 1.0
    assert progress([*gold, ("c", {})], gold) == pytest.approx((2 / 3 + 3) / 4)
