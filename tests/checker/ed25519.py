"""Ed25519 (RFC 8032), verified strictly: one verdict for every signature, on every machine.

Strict means: s is reduced, the key and R are no points of small order, and the equation holds without the cofactor,
compared byte for byte. Points whose y is not reduced are refused: nobody knows a logarithm of one that is not of small
order, so that no signature with one of them could hold anyway.
"""

import hashlib

import edwards
from edwards import IDENTITY, D, L, P, double, equal, is_negative, multiply, sqrt_ratio

_BASE_Y = 4 * pow(5, -1, P) % P


def decompress(data):
    """Return the point that 32 bytes encode, or None."""
    value = int.from_bytes(data, "little")
    y, sign = value & (2**255 - 1), value >> 255
    if len(data) != 32 or y >= P:
        return None
    was_square, x = sqrt_ratio((y * y - 1) % P, (D * y * y + 1) % P)
    if not was_square:
        return None
    # The two points with x = 0 are of small order whatever the sign bit says, and refused as such.
    if sign:
        x = -x % P
    return x, y, 1, x * y % P


def compress(point):
    """Return the 32-byte encoding of a point."""
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | is_negative(x) << 255).to_bytes(32, "little")


_BASE = decompress(_BASE_Y.to_bytes(32, "little"))


def _is_small_order(point):
    return equal(double(double(double(point))), IDENTITY)


def verify(key, message, signature):
    """Tell whether a signature over `message` holds strictly."""
    if len(key) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    public, announced = decompress(key), decompress(signature[:32])
    if s >= L or public is None or announced is None:
        return False
    if _is_small_order(public) or _is_small_order(announced):
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    # k and not k mod 8L: the key may have a small-order part, and then only this exact equation counts.
    return compress(multiply([(s, _BASE), (challenge, edwards.negate(public))])) == signature[:32]


def self_test():
    """Known answers of RFC 8032, 7.1, and keys that must sign nothing."""
    cases = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
            "655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
            "b00d291612bb0c00",
        ),
    ]
    for key, message, signature in cases:
        key, message, signature = map(bytes.fromhex, (key, message, signature))
        assert verify(key, message, signature) and not verify(key, message + b"x", signature)
        s = int.from_bytes(signature[32:], "little")
        assert not verify(key, message, signature[:32] + (s + L).to_bytes(32, "little"))
    identity = (1).to_bytes(32, "little")
    assert not verify(identity, b"any", identity + bytes(32))
    assert decompress((P + 3).to_bytes(32, "little")) is None
    assert compress(_BASE).hex() == "58" + 31 * "66"
