"""Domain-separated hashes, the generators of the protocol, and how one equation between points is checked.

`crypto/src/domain.rs` is the one list of labels; those that a verifier needs stand here again, without their prefix.
"""

from functools import cache

import ristretto
from blake3 import blake3, derive_key
from codec import Refused, uint
from edwards import L

_PREFIX = "chorus/v1/"
_TABLES = ristretto.Tables()


def digest(label, data):
    """Return H(label, data): BLAKE3 in derive-key mode."""
    return derive_key(_PREFIX + label, data)


def content(data):
    """Return the id of a blob: its plain hash."""
    return blake3(data)


def label(name):
    """Return a label as bytes."""
    return (_PREFIX + name).encode()


@cache
def to_group(label, data=b""):
    """Hash to the group: 64 bytes of output, mapped to a point."""
    return ristretto.from_uniform_bytes(derive_key(_PREFIX + label, data, 64))


def column(index):
    """Return G_c, the generator of a column of a committed matrix."""
    return to_group("generator/column", uint(index, 4))


def blinding():
    """Return B', the blinding base of a committed matrix."""
    return to_group("generator/blinding")


def leaf_secret():
    """Return G_0, the base of the secret in a leaf."""
    return to_group("generator/leaf-secret")


def leaf_attribute(slot):
    """Return A_j, the base of an attribute slot of a leaf."""
    return to_group("generator/leaf-attribute", uint(slot, 1))


def leaf_blinding():
    """Return H, the blinding base of a leaf."""
    return to_group("generator/leaf-blinding")


def ring_digit(entry):
    """Return the generator of an entry of the digit matrix of a one-out-of-many proof."""
    return to_group("generator/ring-digit", uint(entry, 2))


def scope_base(scope):
    """Return H2G(scope), the base of the tags of a scope."""
    return to_group("generator/scope", scope)


@cache
def _decode(data):
    return ristretto.decode(data)


def point(data, what, identity_allowed=True):
    """Return the point that 32 bytes encode."""
    if not identity_allowed and data == bytes(32):
        raise Refused(f"{what}: is the identity")
    decoded = _decode(data)
    if decoded is None:
        raise Refused(f"{what}: no point")
    return decoded


def combine(terms):
    """Return the sum of k*P over (k, P)."""
    return ristretto.multiply([(scalar % L, base) for scalar, base in terms], _TABLES)


def require_zero(what, terms):
    """Check one equation: the sum of k*P over (k, P) is the identity."""
    if not ristretto.equal(combine(terms), ristretto.IDENTITY):
        raise Refused(f"{what}: the equation does not hold")


def require(condition, what):
    """Check one condition."""
    if not condition:
        raise Refused(what)


def self_test():
    """An equation holds if and only if its terms cancel."""
    require_zero("sum", [(3, column(0)), (L - 3, column(0)), (0, blinding())])
    for terms in ([(1, column(0)), (L - 1, column(1))], [(1, leaf_blinding())]):
        try:
            require_zero("sum", terms)
        except Refused:
            continue
        raise AssertionError("an equation between unrelated points holds")
