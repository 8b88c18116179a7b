"""Tests that are cut out, and examples that are taken from them."""

import ast
import re
from dataclasses import replace

import numpy as np
import pytest
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe.make.bench import Failure
from turnwise.envs.swe.make.cut import cut, function_of
from turnwise.envs.swe.make.examples import Snippet, reproductions, shown_lines
from turnwise.envs.swe.make.mutate import Mutation
from turnwise.envs.swe.make.statement import Example, leak, write_statement

TESTS = """\
import pytest
from shop import Cart, price
from shop.tax import rate as tax_rate

PRICES = {"a": 3}


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.filterwarnings(
    "ignore"
)
def test_price(n):
    assert price("a", n) == 3 * n


class TestCart:
    # the only one
    def test_add(self):
        cart = Cart()
        cart.add("b")
        cart = Cart(PRICES)
        cart.add("a")
        assert cart.total == 3

    async def test_later(self): ...


if True:

    def test_refuses():
        for name in ("", "b"):
            with pytest.raises(KeyError):
                price(name)
        result = tax_rate(1)
        assert result == 2


def test_helper(tmp_path):
    found = helper(tmp_path)
    assert found.total == 1


def helper(path):
    return Cart({})
"""


def line_of(text):
    return next(n for n, line in enumerate(TESTS.splitlines(), 1) if text in line)


def test_ids_name_a_file_and_a_function():
    assert function_of("tests/test_a.py::TestB::test_c[1::2-x]") == ("tests/test_a.py", "TestB.test_c")


def test_functions_are_cut_out_with_their_decorators():
    found = cut({"t.py": File(TESTS.encode())}, [("t.py", "test_price")])["t.py"].data.decode()
    start, end = TESTS.index("@pytest.mark.parametrize"), TESTS.index("class TestCart")
    assert found.replace("\n", "") == (TESTS[:start] + TESTS[end:]).replace("\n", "")


def test_an_emptied_class_and_branch_get_pass():
    names = [("t.py", name) for name in ("TestCart.test_add", "TestCart.test_later", "test_refuses")]
    module = ast.parse(cut({"t.py": File(TESTS.encode())}, names)["t.py"].data)
    held = {type(node).__name__: [type(s).__name__ for s in node.body] for node in module.body if isinstance(node, ast.ClassDef | ast.If)}
    assert held == {"ClassDef": ["Pass"], "If": ["Pass"]}


def test_line_ends_and_encoding_of_a_cut_file_stay():
    source = b"# coding: latin-1\r\nclass TestA:\r\n    def test_b(self):\r\n        assert '\xe9'\r\n\r\nx = '\xe9'\r\n"
    found = cut({"t.py": File(source)}, [("t.py", "TestA.test_b")])["t.py"].data
    assert found == b"# coding: latin-1\r\nclass TestA:\r\n    pass\r\n\r\nx = '\xe9'\r\n"


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("class A(B):\n    pass\n", "A.test_x", "A.test_x is not defined there"),
        ("x = 1; \ndef test_x(): pass\n", "test_y", "not defined"),
        ("class A: x = 1\nif 1: pass\n", "A.x", "not defined"),
        ("def test_x(): pass; y = 1\nclass A:\n    def test_x(self): pass\n", "A.test_z", "not defined"),
    ],
)
def test_what_cannot_be_cut_is_named(source, name, message):
    with pytest.raises(ValueError, match=message):
        cut({"t.py": File(source.encode())}, [("t.py", name)])


def test_a_failed_comparison_gives_its_call():
    failure = Failure(type="AssertionError", message="", line=line_of("assert price"), function="test_price", locals={"n": "2"})
    found = reproductions(TESTS, failure)
    assert found[0] == Snippet("from shop import price", "price('a', 2)", "price")


def test_an_object_comes_with_what_was_done_to_it():
    failure = Failure(type="AssertionError", message="", line=line_of("assert cart.total"), function="test_add", locals={})
    setup = "from shop import Cart\nPRICES = {'a': 3}\ncart = Cart(PRICES)\ncart.add('a')"
    assert reproductions(TESTS, failure)[0] == Snippet(setup, "cart.total", "")


def test_what_an_assertion_does_is_tried_as_well():
    source = "from shop import Cart\n\n\ndef test_x():\n    cart = Cart()\n    assert cart.add(1) is True\n    assert cart.total() == 1\n"
    found = reproductions(source, Failure(type="AssertionError", message="", line=7, function="test_x"))
    start = "from shop import Cart\ncart = Cart()"
    assert found[0] == Snippet(start, "cart.total()", "Cart.total")
    assert Snippet(f"{start}\ncart.add(1)", "cart.total()", "Cart.total") in found


def test_an_error_that_is_missing_gives_the_call_that_should_raise_it():
    failure = Failure(type="Failed", message="DID NOT RAISE", line=line_of("pytest.raises"), function="test_refuses", locals={"name": "''"})
    assert reproductions(TESTS, failure) == [Snippet("from shop import price", "price('')", "price")]


def test_an_intermediate_result_goes_by_the_call_that_made_it():
    failure = Failure(type="AssertionError", message="", line=line_of("assert result"), function="test_refuses", locals={"result": "3"})
    setup = "from shop.tax import rate as tax_rate\nresult = tax_rate(1)"
    assert reproductions(TESTS, failure)[0] == Snippet(setup, "result", "tax_rate")


def test_fixtures_cannot_be_shown():
    failure = Failure(type="AssertionError", message="", line=line_of("found.total"), function="test_helper", locals={})
    assert reproductions(TESTS, failure) == []
    assert shown_lines(TESTS, failure) == ["found = helper(tmp_path)", "assert found.total == 1"]


def test_quoted_lines_begin_with_a_statement_and_hold_the_whole_of_one():
    source = 'def test_x(self):\n    """Text."""\n    a = [\n        1,\n    ]\n    with raises(E):\n        f(\n            a)\n'
    failure = Failure(type="Failed", message="", line=6, function="test_x")
    assert shown_lines(source, failure) == ["a = [", "    1,", "]", "with raises(E):", "    f(", "        a)"]


@pytest.mark.parametrize("failure", [Failure(type="E", message="", line=0), Failure(type="E", message="", line=999, function="test_price")])
def test_failures_outside_the_test_give_nothing(failure):
    assert reproductions(TESTS, failure) == []
    assert shown_lines(TESTS, failure) == []
    assert reproductions("def (", failure) == []


WRONG = Example(code="from shop import price", expression="price('a')", name="price", expected=("value", "3"), actual=("value", "4"))
RAISES = Example(code="", expression="f(1)", name="f", expected=("error", "KeyError: 1"), actual=("value", "None"))


def texts(*examples, more=0):
    return {write_statement(examples, np.random.default_rng(np.random.SeedSequence(seed)), more) for seed in range(40)}


def test_statements_say_what_is_called_and_what_it_gives():
    found = texts(WRONG)
    assert len(found) == 6  # four forms, one of them with three openings
    for text in found:
        assert text.startswith("`price` gives a wrong result\n\n")
        assert "price('a')" in text
        assert "`3`" in text
        assert "4" in text
    assert all(re.search(r"[Ss]hould raise `KeyError: 1`|raises `KeyError: 1`|to raise `KeyError: 1`", text) for text in texts(RAISES))
    assert all(text.startswith("`f` accepts what it should refuse") for text in texts(RAISES))


def test_statements_of_several_faults_name_all():
    for text in texts(WRONG, RAISES):
        assert text.startswith("Several results are wrong: `price`, `f`\n\n")
        assert text.endswith("These look like separate faults.\n")


def test_statements_are_the_same_for_the_same_seed():
    first, second = (write_statement([WRONG], np.random.default_rng(np.random.SeedSequence([3]))) for _ in range(2))
    assert first == second


def test_leaks_are_found():
    tree = {"shop.py": File(b"def price(name):\n    return lookup(name) * 3\n")}
    mutation = Mutation(kind="constant", path="shop.py", function="price", line=2, column=26, end_line=2, end_column=27, old="3", new="4")
    assert leak("price gives 4 instead of 3\n", tree, [mutation], ["t.py::test_price"]) == ""
    assert leak("see test_price\n", tree, [mutation], ["t.py::TestA::test_price[1]"]) == "the name test_price"
    assert leak("it has\nreturn lookup(name)  * 4", tree, [mutation], []) == "the text 'return lookup(name) * 4'"
    assert leak("was return lookup(name) * 3", tree, [mutation], []) == "the text 'return lookup(name) * 3'"
    deep = replace(mutation, path="src/shop.py")
    assert leak("in src/shop.py:2", {"src/shop.py": tree["shop.py"]}, [deep], []) == "the text 'src/shop.py:2'"
