from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.code.answers import boxed, equal, hashed, normal, number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42), (" -7 ", -7), ("1,234,567", 1234567), ("$18", 18), ("0.125", Fraction(1, 8)), ("1e3", 1000), ("3/4", Fraction(3, 4)),
        ("-\\frac{3}{4}", Fraction(-3, 4)), ("\\dfrac{6}{8}", Fraction(3, 4)), ("50%", Fraction(1, 2)), ("50\\%", Fraction(1, 2)),
        ("\\$5", 5), ("\u22125", -5), (".5", Fraction(1, 2)), ("12,34", None), ("1/0", None), ("1/2/3", None), ("abc", None), ("", None),
        ("1e9999", None), ("٣", None), ("nan", None), ("1_000", None), ("9" * 4000, 10**4000 - 1), ("9" * 6000, None),
    ],
)  # fmt: skip
def test_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("72", "72.0", True), ("72.", "72", True), ("1/3", "0.3333333333", False), ("x,  y", "x,y", True), ("(1, 2)", "(1,2.0)", True),
        ("1, 2", "(1, 2)", False), ("[1, 2]", "1,2", True), ("1,2,3", "1,2", False), ("\\text{Monday}", "Monday", True),
        ("monday", "Monday", False), ("", "", False), ("\\left(1,2\\right)", "(1,2)", True), ("a", "a b", False), ("$12$", "12", True),
        ("9" * 20_000, "9" * 20_000, True), ("123,456", "123456", True),
    ],
)  # fmt: skip
def test_equal(answer, gold, same):
    assert equal(answer, gold) is same


def test_where_answers_stand():
    assert boxed("so \\boxed{\\frac{1}{2}} or \\boxed{3 + {x}} done") == "3 + {x}"
    assert boxed("\\boxed 7$ end") == "7"
    assert boxed("\\boxed{open") is None
    assert boxed("nothing") is None
    assert hashed("He has 3+4=<<3+4=7>>7\n#### 1,007\n") == "1,007"
    assert hashed("####") is None
    assert hashed("7") is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_compared(a, b):
    assert equal(a, b) in (True, False)
    assert equal(a, b) == equal(b, a) or any(c in a + b for c in "([")
    assert equal(a, a) is bool(normal(a))
    boxed(a + "\\boxed{" + b)
    hashed(a + "####" + b)


@given(st.fractions())
def test_fractions_are_read_back(value):
    assert number(str(value)) == value
    assert equal(str(value), f"{value.numerator * 3}/{value.denominator * 3}")
