"""Sealed boxes: HPKE (RFC 9180) in base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305."""

import hmac
from hashlib import sha256

from edwards import P
from group import label, require
from link import chacha20

_KEM_SUITE = b"KEM" + bytes([0, 0x20])
_SUITE = b"HPKE" + bytes([0, 0x20, 0, 1, 0, 3])


def x25519(secret, u):
    """Return the shared secret of RFC 7748."""
    scalar = int.from_bytes(secret, "little") & ~7 & (1 << 254) - 1 | 1 << 254
    x1 = int.from_bytes(u, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swapped = 1, 0, x1, 1, 0
    for position in range(254, -1, -1):
        bit = scalar >> position & 1
        if swapped ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def _extract(salt, suite, name, key):
    return hmac.digest(salt, b"HPKE-v1" + suite + name + key, sha256)


def _expand(key, suite, name, info, length):
    data = length.to_bytes(2, "big") + b"HPKE-v1" + suite + name + info
    out, block, number = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(key, block + data + bytes([number]), sha256)
        out, number = out + block, number + 1
    return out[:length]


def _poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return (total + int.from_bytes(key[16:], "little") & (1 << 128) - 1).to_bytes(16, "little")


def _decrypt(key, nonce, aad, sealed):
    ciphertext, tag = sealed[:-16], sealed[-16:]

    def padded(data):
        return data + bytes(-len(data) % 16)

    lengths = len(aad).to_bytes(8, "little") + len(ciphertext).to_bytes(8, "little")
    expected = _poly1305(chacha20(key, 0, nonce)[:32], padded(aad) + padded(ciphertext) + lengths)
    require(expected == tag, "box: tag")
    stream = b"".join(chacha20(key, 1 + block, nonce) for block in range(-(-len(ciphertext) // 64)))
    return bytes(a ^ b for a, b in zip(ciphertext, stream))


def unseal(secret, aad, sealed):
    """Return what a box holds."""
    require(len(sealed) >= 48, "box: too short")
    encapsulated, ciphertext = sealed[:32], sealed[32:]
    shared = x25519(secret, encapsulated)
    require(shared != bytes(32), "box: a key of small order")
    context = encapsulated + x25519(secret, (9).to_bytes(32, "little"))
    secret = _expand(_extract(b"", _KEM_SUITE, b"eae_prk", shared), _KEM_SUITE, b"shared_secret", context, 32)
    schedule = bytes([0]) + _extract(b"", _SUITE, b"psk_id_hash", b"")
    schedule += _extract(b"", _SUITE, b"info_hash", label("seal"))
    secret = _extract(secret, _SUITE, b"secret", b"")
    key, nonce = (_expand(secret, _SUITE, name, schedule, size) for name, size in ((b"key", 32), (b"base_nonce", 12)))
    return _decrypt(key, nonce, aad, ciphertext)


def check(case):
    """Check a vector: one box."""
    secret, public = case.bytes("secret"), case.bytes("public")
    require(x25519(secret, (9).to_bytes(32, "little")) == public, "box: key")
    require(unseal(secret, case.bytes("aad"), case.bytes("sealed")) == case.bytes("plain"), "box: content")


def self_test():
    """Known answers of RFC 7748, 5.2, and RFC 8439, 2.5.2 and 2.8.2."""
    secret = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    u = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    assert x25519(secret, u).hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    key = bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
    assert _poly1305(key, b"Cryptographic Forum Research Group").hex() == "a8061dc1305136c6c22b8baf0c0127a9"
