"""Arithmetic on edwards25519: the curve below both Ristretto255 and Ed25519.

-x^2 + y^2 = 1 + d*x^2*y^2 over GF(2^255 - 19). A point is a tuple (X, Y, Z, T) of extended homogeneous coordinates
with x = X/Z, y = Y/Z and x*y = T/Z (Hisil, Wong, Carter, Dawson, *Twisted Edwards curves revisited*, 2008). The
addition law is complete, so no case is special. Nothing here is constant time: a checker has no secrets.
"""

P = 2**255 - 19
"""The order of the field."""

L = 2**252 + 27742317777372353535851937790883648493
"""The order of the prime-order subgroup, and of Ristretto255."""

D = -121665 * pow(121666, -1, P) % P
"""The curve's d."""

SQRT_M1 = pow(2, (P - 1) // 4, P)
"""A square root of -1, the even one."""

IDENTITY = (0, 1, 1, 0)
"""The neutral element."""

_TWO_D = 2 * D % P
_WINDOW = 4


def is_negative(element):
    """Tell whether a reduced field element counts as negative: whether it is odd."""
    return element & 1 == 1


def sqrt_ratio(u, v):
    """Return (was_square, r) with r = +sqrt(u/v), or +sqrt(SQRT_M1*u/v) if u/v is no square (RFC 9496, 4.2)."""
    v3 = v * v * v % P
    v7 = v3 * v3 * v % P
    r = u * v3 * pow(u * v7 % P, (P - 5) // 8, P) % P
    check = v * r * r % P
    correct = check == u % P
    flipped = check == -u % P
    flipped_i = check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, P - r if is_negative(r) else r


def add(p, q):
    """Return p + q."""
    x1, y1, z1, t1 = p
    x2, y2, z2, t2 = q
    a = (y1 - x1) * (y2 - x2) % P
    b = (y1 + x1) * (y2 + x2) % P
    c = t1 * _TWO_D % P * t2 % P
    d = 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def double(p):
    """Return 2p."""
    x, y, z, _ = p
    a, b = x * x % P, y * y % P
    h = a + b
    e = h - (x + y) * (x + y) % P
    g = a - b
    f = 2 * z * z % P + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def negate(p):
    """Return -p."""
    x, y, z, t = p
    return P - x, y, z, P - t


def equal(p, q):
    """Tell whether two points of the curve are the same."""
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def _multiples(point):
    """Return [0, point, 2*point, ..., 15*point]."""
    table = [IDENTITY, point]
    for _ in range(2, 1 << _WINDOW):
        table.append(add(table[-1], point))
    return table


class Tables:
    """The multiples of points, kept between multiplications for points that come again."""

    def __init__(self):
        self._tables = {}

    def of(self, point):
        """Return the table of a point."""
        if point not in self._tables:
            self._tables[point] = _multiples(point)
        return self._tables[point]


def multiply(terms, tables=None):
    """Return the sum of k*P over the (k, P) of `terms`, with 4-bit windows that share their doublings (Straus).

    `tables` remembers the multiples of points for the next call. Scalars are not negative.
    """
    lookup = tables.of if tables else _multiples
    rows = [(f"{scalar:x}", lookup(point)) for scalar, point in terms if scalar]
    width = max((len(digits) for digits, _ in rows), default=0)
    columns = [[] for _ in range(width)]
    for digits, table in rows:
        for place, digit in enumerate(digits, width - len(digits)):
            if digit != "0":
                columns[place].append(table[int(digit, 16)])
    total = IDENTITY
    for column in columns:
        for _ in range(_WINDOW):
            total = double(total)
        for entry in column:
            total = add(total, entry)
    return total


def self_test():
    """The base point has order L, and the group laws hold for some multiples."""
    base_y = 4 * pow(5, -1, P) % P
    was_square, x = sqrt_ratio(base_y * base_y - 1, D * base_y * base_y + 1)
    base = (x, base_y, 1, x * base_y % P)
    assert was_square and not is_negative(x)
    assert equal(multiply([(L, base)]), IDENTITY) and not equal(multiply([(L - 1, base)]), IDENTITY)
    assert equal(add(base, base), double(base)) and equal(add(base, negate(base)), IDENTITY)
    five, tables = multiply([(5, base)]), Tables()
    for _ in range(2):
        mixed = multiply([(2**200 + 3, base), (17, five), (0, five)], tables)
        assert equal(mixed, multiply([(2**200 + 3 + 85, base)]))
    assert SQRT_M1 * SQRT_M1 % P == P - 1
