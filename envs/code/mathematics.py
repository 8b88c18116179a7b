"""Templates of mathematical problems. Each answer is computed here by another method than that of the gold code, which proves both."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import comb, gcd

from ..base import Rng
from .problem import Problem, Template, draw, some


def power_modulo(rng: Rng) -> Problem:
    a, b, m = draw(rng, 1000, 9999), draw(rng, 300, 3000), draw(rng, 10**6, 10**8)
    return Problem(question=f"What is the remainder of {a}^{b} divided by {m}?", answer=str(a**b % m), gold=f"print(pow({a}, {b}, {m}))")


def digit_sum(rng: Rng) -> Problem:
    a, b = draw(rng, 10**5, 10**6), draw(rng, 60, 200)
    n, total = a**b, 0
    while n:
        n, low = divmod(n, 10**9)
        while low:
            low, digit = divmod(low, 10)
            total += digit
    return Problem(
        question=f"What is the sum of the decimal digits of {a}^{b}?", answer=str(total), gold=f"print(sum(map(int, str({a}**{b}))))"
    )


def fraction_sum(rng: Rng) -> Problem:
    pairs = [(draw(rng, 1, 97), draw(rng, 100, 999)) for _ in range(4)]
    top, bottom = 0, 1
    for a, b in pairs:
        top, bottom = top * b + a * bottom, bottom * b
    shared = gcd(top, bottom)
    answer = f"{top // shared}/{bottom // shared}"
    terms = " + ".join(f"{a}/{b}" for a, b in pairs)
    gold = f"from fractions import Fraction\nprint(sum(Fraction(a, b) for a, b in {pairs}))"
    return Problem(question=f"Compute {terms} exactly, as a reduced fraction p/q.", answer=answer, gold=gold)


def prime_sum(rng: Rng) -> Problem:
    low = draw(rng, 1000, 9000)
    high = low + draw(rng, 500, 1500)
    sieve = bytearray([1]) * (high + 1)
    for n in range(2, int(high**0.5) + 1):
        if sieve[n]:
            sieve[n * n :: n] = bytes(len(range(n * n, high + 1, n)))
    answer = sum(n for n in range(low, high + 1) if sieve[n])
    gold = f"print(sum(n for n in range({low}, {high} + 1) if all(n % d for d in range(2, int(n**0.5) + 1))))"
    return Problem(question=f"What is the sum of all prime numbers from {low} to {high}, both included?", answer=str(answer), gold=gold)


def least_common_multiple(rng: Rng) -> Problem:
    numbers = some(rng, 5, 100, 999)
    powers: dict[int, int] = {}
    for n in numbers:
        p = 2
        while n > 1:
            k = 0
            while n % p == 0:
                n, k = n // p, k + 1
            powers[p] = max(powers.get(p, 0), k)
            p += 1
    answer = 1
    for p, k in powers.items():
        answer *= p**k
    question = f"What is the least common multiple of {', '.join(map(str, numbers))}?"
    return Problem(question=question, answer=str(answer), gold=f"import math\nprint(math.lcm(*{numbers}))")


def remainders(rng: Rng) -> Problem:
    moduli = [int(m) for m in rng.choice([17, 19, 23, 29, 31, 37, 41, 43, 47], size=3, replace=False)]
    wanted = [draw(rng, 1, m - 1) for m in moduli]
    product = moduli[0] * moduli[1] * moduli[2]
    answer = sum(r * (product // m) * pow(product // m, -1, m) for r, m in zip(wanted, moduli, strict=True)) % product
    told = ", ".join(f"{r} when divided by {m}" for r, m in zip(wanted, moduli, strict=True))
    gold = f"print(next(n for n in range(1, {product} + 1) if all(n % m == r for r, m in {list(zip(wanted, moduli, strict=True))})))"
    return Problem(question=f"What is the smallest positive integer that leaves a remainder of {told}?", answer=str(answer), gold=gold)


def subsets(rng: Rng) -> Problem:
    numbers, k, m = sorted(some(rng, draw(rng, 13, 16), 1, 99)), draw(rng, 5, 6), draw(rng, 3, 7)
    table = [[0] * m for _ in range(k + 1)]
    table[0][0] = 1
    for x in numbers:
        for size in range(k, 0, -1):
            for rest in range(m):
                table[size][(rest + x) % m] += table[size - 1][rest]
    question = f"How many subsets of {{{', '.join(map(str, numbers))}}} with exactly {k} elements have a sum divisible by {m}?"
    gold = f"from itertools import combinations\nprint(sum(sum(c) % {m} == 0 for c in combinations({numbers}, {k})))"
    return Problem(question=question, answer=str(table[k][0]), gold=gold)


def lattice_paths(rng: Rng) -> Problem:
    width, height = draw(rng, 9, 15), draw(rng, 9, 15)
    blocked = sorted({(draw(rng, 1, width - 1), draw(rng, 1, height - 1)) for _ in range(3)})

    def ways(a: tuple[int, int], b: tuple[int, int]) -> int:
        dx, dy = b[0] - a[0], b[1] - a[1]
        return comb(dx + dy, dx) if dx >= 0 and dy >= 0 else 0

    answer = 0  # inclusion and exclusion over chains of blocked points, which are sorted
    for size in range(len(blocked) + 1):
        for chain in combinations(blocked, size):
            stops = [(0, 0), *chain, (width, height)]
            product = (-1) ** size
            for a, b in pairwise(stops):
                product *= ways(a, b)
            answer += product
    question = (
        f"A path goes from (0, 0) to ({width}, {height}) in steps of one to the right or one up, and visits none of the points "
        f"{', '.join(map(str, blocked))}. How many such paths are there?"
    )
    gold = (
        f"blocked = {set(blocked)}\nways = {{}}\nfor x in range({width} + 1):\n    for y in range({height} + 1):\n"
        "        ways[x, y] = 0 if (x, y) in blocked else 1 if x == y == 0 else ways.get((x - 1, y), 0) + ways.get((x, y - 1), 0)\n"
        f"print(ways[{width}, {height}])"
    )
    return Problem(question=question, answer=str(answer), gold=gold)


def linear_system(rng: Rng) -> Problem:
    while True:
        rows = [[draw(rng, -9, 9) for _ in range(3)] for _ in range(3)]
        (a, b, c), (d, e, f), (g, h, i) = rows
        if a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g):
            break
    x = [draw(rng, -99, 99) for _ in range(3)]
    right = [sum(r * v for r, v in zip(row, x, strict=True)) for row in rows]
    told = "\n".join(f"{a} x + {b} y + {c} z = {r}".replace("+ -", "- ") for (a, b, c), r in zip(rows, right, strict=True))
    gold = f"""from fractions import Fraction
m = [[Fraction(v) for v in row] for row in {[[*row, r] for row, r in zip(rows, right, strict=True)]}]
for i in range(3):
    p = next(r for r in range(i, 3) if m[r][i])
    m[i], m[p] = m[p], m[i]
    m[i] = [v / m[i][i] for v in m[i]]
    for r in range(3):
        if r != i:
            m[r] = [v - m[r][i] * w for v, w in zip(m[r], m[i])]
print(", ".join(str(row[3]) for row in m))"""
    question = f"Solve this system; answer with x, y, z, separated by commas.\n{told}"
    return Problem(question=question, answer=", ".join(map(str, x)), gold=gold)


def polynomial_roots(rng: Rng) -> Problem:
    roots = sorted(some(rng, 4, -60, 60))
    coefficients = [1]
    for root in roots:
        coefficients = [a - root * b for a, b in zip([*coefficients, 0], [0, *coefficients], strict=True)]
    told = "".join(f"{c:+d} x^{4 - n} ".replace(" x^0", "") for n, c in enumerate(coefficients) if c).strip()
    gold = f"print(', '.join(str(x) for x in range(-100, 101) if sum(c * x**(4 - n) for n, c in enumerate({coefficients})) == 0))"
    question = f"All roots of {told} are whole numbers from -100 to 100. Give them in rising order, separated by commas."
    return Problem(question=question, answer=", ".join(map(str, roots)), gold=gold)


def recurrence(rng: Rng) -> Problem:
    p, q, first, second = (draw(rng, 2, 9) for _ in range(4))
    last, m = draw(rng, 1000, 20_000), draw(rng, 10**5, 10**7)

    def times(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
        (e, f, g, h), (i, j, k, n) = a, b
        return (e * i + f * k) % m, (e * j + f * n) % m, (g * i + h * k) % m, (g * j + h * n) % m

    power, base, left = (1, 0, 0, 1), (p, q, 1, 0), last - 1
    while left:
        power, base, left = (times(power, base) if left & 1 else power), times(base, base), left >> 1
    question = f"A sequence has a(1) = {first}, a(2) = {second} and a(n) = {p} a(n-1) + {q} a(n-2). What is a({last}) modulo {m}?"
    gold = f"a, b = {first}, {second}\nfor _ in range({last} - 1):\n    a, b = b, ({p} * b + {q} * a) % {m}\nprint(a)"
    return Problem(question=question, answer=str((power[2] * second + power[3] * first) % m), gold=gold)


def divisor_sum(rng: Rng) -> Problem:
    n = 6 * draw(rng, 10**4, 10**5)
    answer, rest, p = 1, n, 2
    while rest > 1:
        term = 1
        while rest % p == 0:
            rest, term = rest // p, term * p + 1
        answer, p = answer * term, p + 1
    gold = f"print(sum(d for d in range(1, {n} + 1) if {n} % d == 0))"
    return Problem(question=f"What is the sum of all positive divisors of {n}?", answer=str(answer), gold=gold)


MATHEMATICS: dict[str, Template] = {
    t.__name__: t
    for t in (
        power_modulo, digit_sum, fraction_sum, prime_sum, least_common_multiple, remainders, subsets, lattice_paths, linear_system,
        polynomial_roots, recurrence, divisor_sum,
    )
}  # fmt: skip
