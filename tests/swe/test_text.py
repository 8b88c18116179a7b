import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.swe.paging import Pager, numbered, one_line, whole
from turnwise.envs.swe.textfile import TextFile
from turnwise.envs.tools.tool import ToolError


def edited(data, start, end, text, path="a.py"):
    file = TextFile(data, path)
    file.replace(start, end, text)
    return file.data


@pytest.mark.parametrize(
    ("data", "start", "end", "text", "after"),
    [
        (b"1\n2\n3\n", 2, 2, "two", b"1\ntwo\n3\n"),
        (b"1\n2\n3\n", 2, 2, "two\n", b"1\ntwo\n3\n"),
        (b"1\n2\n3\n", 2, 3, "x\ny\nz", b"1\nx\ny\nz\n"),
        (b"1\n2\n3\n", 2, 1, "new", b"1\nnew\n2\n3\n"),
        (b"1\n2\n3\n", 4, 3, "end", b"1\n2\n3\nend\n"),
        (b"1\n2\n3\n", 2, 2, "", b"1\n3\n"),
        (b"1\n2\n3\n", 2, 2, "\n", b"1\n\n3\n"),
        (b"1\n", 1, 1, "", b""),
        (b"", 1, 0, "a\nb", b"a\nb\n"),
        (b"1\n2", 2, 2, "two", b"1\ntwo"),
        (b"1\n2", 3, 2, "three", b"1\n2\nthree\n"),
        (b"1\r\n2\r\n", 2, 2, "two\nthree", b"1\r\ntwo\r\nthree\r\n"),
        (b"1\r\n2\r\n", 1, 1, "one\r\n", b"one\r\n2\r\n"),
        (b"\xff\xfe\n2\n", 2, 2, "zwei \u00fc", b"\xff\xfe\nzwei \xc3\xbc\n"),
        (b"# coding: latin-1\ns = '\xe9'\nx\n", 3, 3, "y = 'ü'", b"# coding: latin-1\ns = '\xe9'\ny = '\xfc'\n"),
        (b"a\x0cb\x0b\x1c\n2\n", 2, 2, "two", b"a\x0cb\x0b\x1c\ntwo\n"),
    ],
)
def test_whole_lines_are_replaced_and_every_other_byte_stays(data, start, end, text, after):
    assert edited(data, start, end, text) == after


@given(st.binary(max_size=60).filter(lambda data: b"\0" not in data), st.data())
def test_replacing_lines_by_themselves_changes_nothing(data, draw):
    lines = TextFile(data, "a.txt").lines
    start = draw.draw(st.integers(1, len(lines) + 1))
    end = draw.draw(st.integers(start - 1, len(lines)))
    after = edited(data, start, end, "X\n", "a.txt")
    kept = [*lines[: start - 1], *lines[end:]]
    assert [line for line in TextFile(after, "a.txt").lines if line.rstrip(b"\r") != b"X"] == [k for k in kept if k.rstrip(b"\r") != b"X"]


def test_what_cannot_be_edited_is_told():
    for data, start, end, text, told in (
        (b"1\n2\n", 3, 3, "x", "has 2 lines; seen: start 3, end 3; allowed: 1 <= start <= 3"),
        (b"1\n2\n", 0, 1, "x", "seen: start 0, end 1"),
        (b"1\n2\n", 2, 0, "x", "seen: start 2, end 0"),
        (b"", 2, 1, "x", "is empty or new"),
        (b"a\0b", 1, 1, "x", "is a binary file of 3 bytes"),
        (b"# coding: latin-1\n'\xe9'\n", 2, 2, "'\u20ac'", "encoded in iso-8859-1, which has no \\u20ac"),
        (b"1\n", 1, 1, "\ud800", "which has no \\ud800"),
    ):
        with pytest.raises(ToolError) as error:
            edited(data, start, end, text)
        assert told in str(error.value)


def test_what_one_should_know_of_a_file():
    assert TextFile(b"a\r\nb\r\n", "a.txt").note == "lines end with CRLF, which is kept"
    assert TextFile(b"\xff\n", "a.txt").note == "not UTF-8: other bytes are shown as \\xNN"
    assert "encoded in iso-8859-1" in TextFile(b"# coding: latin-1\n'\xe9'\n", "a.py").note
    assert TextFile("# é\n".encode(), "a.py").note == ""


def test_lines_are_numbered_as_many_as_fit():
    lines = [b"abc"] * 9
    assert numbered(lines, 2, 3, 100) == ("2\tabc\n3\tabc", 3)
    assert numbered(lines, 1, 9, 20) == ("1\tabc\n2\tabc\n3\tabc", 3)  # six characters each
    assert numbered([b"x" * 50], 1, 1, 10) == (f"1\t{'x' * 50}", 1)
    assert one_line(b"x" * 3000).startswith("x" * 1000 + " [... 1000 characters left out ...] x")
    assert (one_line(b"a\tb\r"), one_line(b"\xff\x1b[2J </tool_response>")) == ("a\tb", "\\xff\\x1b[2J \\x3c/tool_response>")


def test_long_outputs_are_cut_and_can_be_paged_through():
    pager = Pager(200)
    text = "".join(f"line {n:04}\n" for n in range(100))  # 1000 characters
    shown = pager.show(text)
    assert shown.startswith(text[:100])
    assert shown.endswith(text[-100:])
    assert "[... 800 characters left out; page(number=1, output=1) to page(number=5, output=1) show everything ...]" in shown
    pages = [pager.page(n).rpartition("\n[page")[0] for n in range(1, 6)]
    assert "".join(pages) == text
    assert pager.show("short") == "short"
    for _ in range(8):
        pager.show(text)
    for number, output, told in ((6, 0, "has 5 pages; seen: 6, allowed: 1 to 5"), (1, 1, "there is no long output 1; allowed: 2, 3")):
        with pytest.raises(ToolError, match=told):
            pager.page(number, output)
    with pytest.raises(ToolError, match="nothing to page through"):
        Pager(200).page(1)


def test_everything_of_an_output_is_shown_safely():
    assert whole(b"a\x1b[31m\xff</tool_response>\r\n") == "a\\x1b[31m\\xff\\x3c/tool_response>\n"
    assert whole(bytes(range(128, 256)) * 100).count("\\x") == 12800
