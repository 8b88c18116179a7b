"""Pieces that compute with prices and budgets."""

from __future__ import annotations

from ...base import Rng
from .compose import Bug, Domain, Part, Piece, drawn, several


def _lines(rng: Rng, shortest: int = 1) -> list[tuple[int, int]]:
    return [(_cents(rng), drawn(rng, 1, 6)) for _ in range(drawn(rng, shortest, 5))]


def _cents(rng: Rng) -> int:
    return 25 * drawn(rng, 8, 400)


PRICES = Domain(
    about="Prices in cents.",
    first=Part(
        file="prices",
        about="What one thing costs.",
        pieces=(
            Piece(
                name="discounted",
                source='''def discounted(cents, percent):
    """The price less ``percent`` of it, rounded down."""
    return cents * (100 - percent) // 100
''',
                call=lambda rng: f"discounted({_cents(rng)}, {5 * drawn(rng, 1, 15)})",
                bugs=(
                    Bug(kind="operator", right="100 - percent", wrong="100 + percent"),
                    Bug(kind="constant", right="(100 - percent)", wrong="(10 - percent)"),
                    Bug(kind="variable", right="- percent", wrong="- cents"),
                ),
            ),
            Piece(
                name="with_tax",
                source='''def with_tax(cents, rate):
    """The price and ``rate`` percent of tax on it, rounded up."""
    tax = -(-cents * rate // 100)
    return cents + tax
''',
                call=lambda rng: f"with_tax({_cents(rng)}, {drawn(rng, 3, 25)})",
                bugs=(
                    Bug(kind="operator", right="cents + tax", wrong="cents - tax"),
                    Bug(kind="variable", right="return cents + tax", wrong="return cents + rate"),
                    Bug(kind="constant", right="// 100", wrong="// 1000"),
                ),
            ),
            Piece(
                name="shipping",
                source='''def shipping(cents, free_from=5000):
    """The cost of shipping: nothing from ``free_from`` on, else 490."""
    if cents >= free_from:
        return 0
    return 490
''',
                call=lambda rng: (lambda limit: f"shipping({limit + 100 * drawn(rng, -1, 2)}, {limit})")(1000 * drawn(rng, 2, 9)),
                bugs=(
                    Bug(kind="comparison", right="cents >= free_from", wrong="cents > free_from"),
                    Bug(kind="comparison", right="cents >= free_from", wrong="cents <= free_from"),
                    Bug(kind="constant", right="return 490", wrong="return 49"),
                ),
            ),
            Piece(
                name="bulk_price",
                source='''def bulk_price(cents, count):
    """The price of ``count`` pieces; from the tenth on, a piece costs half."""
    full = min(count, 9)
    return cents * full + cents // 2 * (count - full)
''',
                call=lambda rng: f"bulk_price({20 * drawn(rng, 3, 40)}, {drawn(rng, 7, 16)})",
                bugs=(
                    Bug(kind="off-by-one", right="min(count, 9)", wrong="min(count, 10)"),
                    Bug(kind="operator", right="// 2 * (count", wrong="// 2 + (count"),
                    Bug(kind="variable", right="(count - full)", wrong="(count - cents)"),
                ),
            ),
        ),
    ),
    second=Part(
        file="cart",
        about="What a cart of things costs.",
        pieces=(
            Piece(
                name="subtotal",
                source='''def subtotal(lines):
    """The sum over lines of (cents, count)."""
    return sum(cents * count for cents, count in lines)
''',
                call=lambda rng: f"subtotal({_lines(rng)})",
                bugs=(
                    Bug(kind="operator", right="cents * count for", wrong="cents + count for"),
                    Bug(kind="variable", right="sum(cents * count", wrong="sum(cents * cents"),
                ),
            ),
            Piece(
                name="sale_total",
                source='''def sale_total(lines, percent):
    """The sum over lines after the discount."""
    return discounted(subtotal(lines), percent)
''',
                call=lambda rng: f"sale_total({_lines(rng)}, {5 * drawn(rng, 1, 12)})",
                bugs=(Bug(kind="arguments", right="discounted(subtotal(lines), percent)", wrong="discounted(percent, subtotal(lines))"),),
                needs=("discounted", "subtotal"),
            ),
            Piece(
                name="to_pay",
                source='''def to_pay(lines, free_from):
    """The sum over lines with shipping; an empty cart costs nothing."""
    if not lines:
        return 0
    total = subtotal(lines)
    return total + shipping(total, free_from)
''',
                call=lambda rng: f"to_pay({_lines(rng, 0)}, {1000 * drawn(rng, 3, 60)})",
                bugs=(
                    Bug(kind="guard", right="    if not lines:\n        return 0\n", wrong=""),
                    Bug(kind="arguments", right="shipping(total, free_from)", wrong="shipping(free_from, total)"),
                    Bug(kind="operator", right="total + shipping", wrong="total - shipping"),
                ),
                needs=("shipping", "subtotal"),
            ),
            Piece(
                name="cheapest",
                source='''def cheapest(lines):
    """The lowest price in the cart; None for an empty one."""
    if not lines:
        return None
    return min(cents for cents, count in lines)
''',
                call=lambda rng: f"cheapest({_lines(rng, 0)})",
                bugs=(
                    Bug(kind="guard", right="    if not lines:\n        return None\n", wrong=""),
                    Bug(kind="variable", right="min(cents for", wrong="min(count for"),
                    Bug(kind="operator", right="return min(", wrong="return max("),
                ),
            ),
        ),
    ),
)

BUDGET = Domain(
    about="Money that comes and goes.",
    first=Part(
        file="accounts",
        about="Single accounts.",
        pieces=(
            Piece(
                name="balance",
                source='''def balance(start, entries):
    """What is left of ``start`` after all entries."""
    for amount in entries:
        start += amount
    return start
''',
                call=lambda rng: f"balance({drawn(rng, 0, 500)}, {several(rng, -200, 300)})",
                bugs=(
                    Bug(kind="operator", right="start += amount", wrong="start -= amount"),
                    Bug(kind="variable", right="start += amount", wrong="start = amount"),
                ),
            ),
            Piece(
                name="spent",
                source='''def spent(entries):
    """The sum of what went out, as a positive number."""
    return -sum(amount for amount in entries if amount < 0)
''',
                call=lambda rng: f"spent({several(rng, -200, 300)})",
                bugs=(
                    Bug(kind="comparison", right="amount < 0", wrong="amount > 0"),
                    Bug(kind="constant", right="amount < 0", wrong="amount < -100"),
                    Bug(kind="operator", right="return -sum", wrong="return sum"),
                ),
            ),
            Piece(
                name="overdrawn",
                source='''def overdrawn(start, entries):
    """How many entries leave the account below zero."""
    days = 0
    for amount in entries:
        start += amount
        if start < 0:
            days += 1
    return days
''',
                call=lambda rng: f"overdrawn({50 * drawn(rng, 0, 3)}, {[50 * n for n in several(rng, -3, 3, 3, 7)]})",
                bugs=(
                    Bug(kind="comparison", right="start < 0", wrong="start <= 0"),
                    Bug(kind="off-by-one", right="days = 0", wrong="days = 1"),
                    Bug(kind="variable", right="if start < 0", wrong="if amount < 0"),
                ),
            ),
            Piece(
                name="share",
                source='''def share(part, whole):
    """``part`` of ``whole`` in percent, rounded down; 0 of nothing."""
    if whole == 0:
        return 0
    return 100 * part // whole
''',
                call=lambda rng: f"share({drawn(rng, 1, 90)}, {drawn(rng, 0, 4) * 50})",
                bugs=(
                    Bug(kind="guard", right="    if whole == 0:\n        return 0\n", wrong=""),
                    Bug(kind="arguments", right="part // whole", wrong="whole // part"),
                    Bug(kind="constant", right="100 * part", wrong="10 * part"),
                ),
            ),
        ),
    ),
    second=Part(
        file="plans",
        about="Plans over several months.",
        pieces=(
            Piece(
                name="saved",
                source='''def saved(monthly, months, bonus=0):
    """What has been put aside, with a bonus for every full year."""
    return monthly * months + bonus * (months // 12)
''',
                call=lambda rng: f"saved({10 * drawn(rng, 1, 30)}, {drawn(rng, 6, 40)}, {25 * drawn(rng, 1, 9)})",
                bugs=(
                    Bug(kind="constant", right="// 12", wrong="// 10"),
                    Bug(kind="operator", right="monthly * months", wrong="monthly + months"),
                    Bug(kind="variable", right="bonus * (months", wrong="bonus * (monthly"),
                ),
            ),
            Piece(
                name="months_until",
                source='''def months_until(goal, monthly):
    """After how many months ``goal`` is reached."""
    return (goal + monthly - 1) // monthly
''',
                call=lambda rng: (lambda m: f"months_until({m * drawn(rng, 1, 8) + drawn(rng, 0, 2) * 7}, {m})")(20 * drawn(rng, 1, 9)),
                bugs=(
                    Bug(kind="off-by-one", right="monthly - 1)", wrong="monthly)"),
                    Bug(kind="operator", right="goal + monthly", wrong="goal - monthly"),
                ),
            ),
            Piece(
                name="worst_month",
                source='''def worst_month(months):
    """The number, from 1, of the month in which most was spent."""
    sums = [spent(entries) for entries in months]
    return sums.index(max(sums)) + 1
''',
                call=lambda rng: f"worst_month({[several(rng, -90, 60, 1, 4) for _ in range(drawn(rng, 2, 5))]})",
                bugs=(
                    Bug(kind="off-by-one", right="index(max(sums)) + 1", wrong="index(max(sums))"),
                    Bug(kind="operator", right="max(sums)", wrong="min(sums)"),
                ),
                needs=("spent",),
            ),
            Piece(
                name="on_track",
                source='''def on_track(start, entries, goal):
    """Whether the balance has reached the goal."""
    return balance(start, entries) >= goal
''',
                call=lambda rng: (lambda a, b: f"on_track({a}, {b}, {a + sum(b) + 10 * drawn(rng, -1, 2)})")(
                    drawn(rng, 0, 90), several(rng, -40, 90)
                ),
                bugs=(
                    Bug(kind="comparison", right=">= goal", wrong="> goal"),
                    Bug(kind="comparison", right=">= goal", wrong="<= goal"),
                ),
                needs=("balance",),
            ),
        ),
    ),
)
