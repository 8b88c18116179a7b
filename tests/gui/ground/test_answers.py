import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.gui.ground.answers import instructions, read_answer, write_answer

SCREEN = (1000, 500)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("(10, 20)", (10, 20)),
        ("10, 20", (10, 20)),
        ("[10,20,30,40]", (10, 20, 30, 40)),
        ("[[10, 20, 30, 40]]", (10, 20, 30, 40)),
        ("(1,2),(3,4)", (1, 2, 3, 4)),
        ('```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "cell (8, 9)"}]\n```', (1, 2, 3, 4)),
        ('{"point_2d": [5.5, 6]}', (5.5, 6)),
        ('{"x": 3, "y": 4}', (3, 4)),
        ("<point>5 6</point>", (5, 6)),
        ("<box>(1,2,3,4)</box>", (1, 2, 3, 4)),
        ("Thought: not click(1,2)\nAction: click(start_box='<|box_start|>(500,250)<|box_end|>')", (500, 250)),
        ("Action: click(point='<point>5 6</point>')", (5, 6)),
        ("I see (1, 1).\n```\nmouse_click(12.5, 30, button='left')\n```", (12.5, 30)),
        ("mouse_move(x=5, y=7)", (5, 7)),
        ("<think>(1, 2) or (9, 9)</think>(3, 4)", (3, 4)),
        ("first (1, 2), no, (3, 4).", (3, 4)),
        ("[30, 40, 10, 20]", (10, 20, 30, 40)),  # inverted: corners put in order
        ("[-50, 100, 70, 120]", (0, 100, 70, 120)),  # partly beside the screen: cut
        ("(1000, 500)", (1000, 500)),  # the last edge is still inside
        ("[7, 7, 7, 7]", (7, 7, 7, 7)),
    ],
)
def test_forms_that_are_read(text, numbers):
    answer = read_answer(text, SCREEN)
    assert (answer.numbers, answer.problem) == (numbers, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "No point was found as the message is empty. Write e.g. (250, 125)."),
        ("the blue button", "No point was found in 'the blue button'"),
        ("(1, 2, 3)", "No point was found"),
        ("(1e3, 2)", "No point was found"),
        ("click('a12')", "No point was found"),
        ("(1001, 20)", "The point (1001, 20) lies outside the screenshot: x runs from 0 to 1000, y from 0 to 500."),
        ("(20, -1)", "lies outside the screenshot"),
        ("[900, 400, 1200, 600]", "The centre of the box (900, 400, 1200, 600) lies outside"),
        ("(999999999999, 1)", "No point was found"),
        ("x" * 300_000, "The message has 300000 characters"),
    ],
)
def test_what_cannot_be_used_is_told(text, told):
    answer = read_answer(text, SCREEN)
    assert told in answer.problem
    assert answer.numbers == ()


def test_how_coordinates_count_is_given_and_never_guessed():
    assert read_answer("(500, 500)", SCREEN, "thousandths").numbers == (500, 250)
    assert read_answer("(0.5, 0.5)", SCREEN, "share").numbers == (500, 250)
    assert read_answer("(0.5, 0.5)", SCREEN).numbers == (0.5, 0.5)
    assert read_answer("(200, 100)", SCREEN, (400, 200)).numbers == (500, 250)
    assert "x runs from 0 to 1, y from 0 to 1" in read_answer("(500, 500)", SCREEN, "share").problem
    assert read_answer("(1008, 504)", SCREEN, "resized").numbers == (1000, 500)  # 1000 x 500 is seen as 1008 x 504
    assert "x runs from 0 (left) to 1008, y from 0 (top) to 504" in instructions("point", SCREEN, "resized")
    assert 'answer "negative"' in instructions("box", SCREEN, "pixels", negatives=True)
    assert read_answer(' "Negative." ', SCREEN).negative


@pytest.mark.parametrize(
    "text",
    [
        "(" * 200_000,
        "1," * 100_000,
        "click(" * 30_000,
        "[1," * 60_000,
        "<point>" * 28_000,
        "<point>1" + " " * 190_000,
        "(1," + " " * 190_000,
        '"x":' * 50_000,
        "(1,2)" * 40_000,
        "1 " * 100_000,
        '"point": [' * 19_000,
    ],
    ids=lambda text: text[:10],
)
def test_long_texts_are_read_in_little_time(text):
    started = time.perf_counter()
    read_answer(text, SCREEN)
    assert time.perf_counter() - started < 2


@given(st.text() | st.from_regex(r"[\[({]?-?\d{1,5},? ?-?\d{1,5}(, ?\d{1,5}){0,3}[\])}]?", fullmatch=True))
def test_any_text_is_an_answer_or_a_problem(text):
    answer = read_answer(text, SCREEN)
    assert bool(answer.problem) + bool(answer.numbers) + answer.negative == 1
    if answer.numbers:
        assert 0 <= answer.point[0] <= 1000
        assert 0 <= answer.point[1] <= 500
        assert answer.box[0] <= answer.box[2]


@given(
    st.tuples(*[st.integers(0, 1000) | st.floats(0, 500)] * 4),
    st.sampled_from(["pixels", "share", "thousandths", "resized", (640.0, 480.0)]),
    st.sampled_from([(1000, 1000), (1920, 1080), (3840, 2160)]),
)
def test_what_is_written_is_read_back(numbers, coordinates, screen):
    x1, y1, x2, y2 = (float(n) for n in numbers)
    box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    assert read_answer(write_answer(box, screen, coordinates), screen, coordinates).numbers == pytest.approx(box, abs=2e-2)
    assert read_answer(write_answer(box[:2], screen, coordinates), screen, coordinates).numbers == pytest.approx(box[:2], abs=2e-2)
