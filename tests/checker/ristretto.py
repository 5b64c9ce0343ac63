"""Ristretto255 (RFC 9496): a group of prime order made from edwards25519.

Elements are edwards25519 points; several points stand for one element, so only `equal` and `encode` compare them.
"""

import edwards
from edwards import IDENTITY, SQRT_M1, D, P, Tables, add, is_negative, multiply, negate, sqrt_ratio

_INV_SQRT_A_MINUS_D = sqrt_ratio(1, -1 - D)[1]
_ONE_MINUS_D_SQ = (1 - D * D) % P
_D_MINUS_ONE_SQ = (D - 1) * (D - 1) % P
# The odd root of a*d - 1: RFC 9496 fixes this one.
_SQRT_AD_MINUS_ONE = P - sqrt_ratio(-D - 1, 1)[1]

__all__ = ["IDENTITY", "Tables", "add", "decode", "encode", "equal", "from_uniform_bytes", "multiply", "negate"]


def decode(data):
    """Return the element that 32 bytes encode, or None unless they are its canonical encoding (RFC 9496, 4.3.1)."""
    s = int.from_bytes(data, "little")
    if len(data) != 32 or s >= P or is_negative(s):
        return None
    ss = s * s % P
    u1, u2 = (1 - ss) % P, (1 + ss) % P
    u2_sqr = u2 * u2 % P
    v = (-D * u1 * u1 - u2_sqr) % P
    was_square, invsqrt = sqrt_ratio(1, v * u2_sqr % P)
    den_x = invsqrt * u2 % P
    den_y = invsqrt * den_x * v % P
    x = 2 * s * den_x % P
    if is_negative(x):
        x = P - x
    y = u1 * den_y % P
    t = x * y % P
    if not was_square or is_negative(t) or y == 0:
        return None
    return x, y, 1, t


def encode(point):
    """Return the 32-byte encoding of an element (RFC 9496, 4.3.2)."""
    x0, y0, z0, t0 = point
    u1, u2 = (z0 + y0) * (z0 - y0) % P, x0 * y0 % P
    _, invsqrt = sqrt_ratio(1, u1 * u2 * u2 % P)
    den1, den2 = invsqrt * u1 % P, invsqrt * u2 % P
    z_inv = den1 * den2 * t0 % P
    x, y, den_inv = x0, y0, den2
    if is_negative(t0 * z_inv % P):
        x, y, den_inv = y0 * SQRT_M1 % P, x0 * SQRT_M1 % P, den1 * _INV_SQRT_A_MINUS_D % P
    if is_negative(x * z_inv % P):
        y = -y
    s = den_inv * (z0 - y) % P
    return (P - s if is_negative(s) else s).to_bytes(32, "little")


def equal(p, q):
    """Tell whether two points stand for one element (RFC 9496, 4.3.3)."""
    return (p[0] * q[1] - p[1] * q[0]) % P == 0 or (p[1] * q[1] - p[0] * q[0]) % P == 0


def _map(data):
    """Map 32 bytes to an element (RFC 9496, 4.3.4: Elligator)."""
    t = (int.from_bytes(data, "little") & (2**255 - 1)) % P
    r = SQRT_M1 * t * t % P
    u = (r + 1) * _ONE_MINUS_D_SQ % P
    v = (-1 - r * D) * (r + D) % P
    was_square, s = sqrt_ratio(u, v)
    c = P - 1
    if not was_square:
        s = s * t % P
        s = s if is_negative(s) else (P - s) % P
        c = r
    n = (c * (r - 1) * _D_MINUS_ONE_SQ - v) % P
    w0, w1 = 2 * s * v % P, n * _SQRT_AD_MINUS_ONE % P
    w2, w3 = (1 - s * s) % P, (1 + s * s) % P
    return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P


def from_uniform_bytes(data):
    """Map 64 uniform bytes to an element whose discrete logarithm nobody knows."""
    assert len(data) == 64
    return add(_map(data[:32]), _map(data[32:]))


def self_test():
    """Known answers of RFC 9496, appendix A."""
    edwards.self_test()
    base = decode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"))
    multiples = {
        0: "0000000000000000000000000000000000000000000000000000000000000000",
        2: "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
        15: "e0c418f7c8d9c4cdd7395b93ea124f3ad99021bb681dfc3302a9d99a2e53e64e",
    }
    for factor, encoding in multiples.items():
        assert encode(multiply([(factor, base)])).hex() == encoding
        assert equal(decode(bytes.fromhex(encoding)), multiply([(factor, base)]))
    for bad in (
        "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",  # not reduced
        "0100000000000000000000000000000000000000000000000000000000000000",  # negative
        "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",  # no square
        "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",  # t is negative
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # y = 0
    ):
        assert decode(bytes.fromhex(bad)) is None
    uniform = {
        "5d1be09e3d0c82fc538112490e35701979d99e06ca3e2b5b54bffe8b4dc772c1"
        "4d98b696a1bbfb5ca32c436cc61c16563790306c79eaca7705668b47dffe5bb6": (
            "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46"
        ),
        "f116b34b8f17ceb56e8732a60d913dd10cce47a6d53bee9204be8b44f6678b27"
        "0102a56902e2488c46120e9276cfe54638286b9e4b3cdb470b542d46c2068d38": (
            "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2e5c31a64f133189fa76ed61b"
        ),
    }
    for data, encoding in uniform.items():
        assert encode(from_uniform_bytes(bytes.fromhex(data))).hex() == encoding
