"""BLAKE3: plain hash, derive-key mode and extendable output (the BLAKE3 paper, section 2)."""

_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_CHUNK_START, _CHUNK_END, _PARENT, _ROOT = 1, 2, 4, 8
_DERIVE_KEY_CONTEXT, _DERIVE_KEY_MATERIAL = 32, 64
_BLOCK, _CHUNK = 64, 1024
_MASK = 0xFFFFFFFF

# Columns, then diagonals.
_MIXES = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)


def _compress(chaining, block, counter, length, flags):
    """Return the 16 words of one compression."""
    v = [*chaining, *_IV[:4], counter & _MASK, counter >> 32 & _MASK, length, flags]
    m = list(block)
    for _ in range(7):
        for index, (a, b, c, d) in enumerate(_MIXES):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = va + vb + m[2 * index] & _MASK
            vd ^= va
            vd = (vd >> 16 | vd << 16) & _MASK
            vc = vc + vd & _MASK
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & _MASK
            va = va + vb + m[2 * index + 1] & _MASK
            vd ^= va
            vd = (vd >> 8 | vd << 24) & _MASK
            vc = vc + vd & _MASK
            vb ^= vc
            vb = (vb >> 7 | vb << 25) & _MASK
            v[a], v[b], v[c], v[d] = va, vb, vc, vd
        m = [m[index] for index in _PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ chaining[i] for i in range(8)]


def _words(block):
    block = block.ljust(_BLOCK, b"\0")
    return [int.from_bytes(block[i : i + 4], "little") for i in range(0, _BLOCK, 4)]


class _Node:
    """A compression that has not been made yet, as it may turn out to be the root's."""

    def __init__(self, chaining, block, counter, length, flags):
        self.input = chaining, block, counter, length, flags

    def chaining(self):
        """Return the chaining value for the parent."""
        return _compress(*self.input)[:8]

    def output(self, length):
        """Return the root's output."""
        chaining, block, _, block_length, flags = self.input
        out = b""
        counter = 0
        while len(out) < length:
            words = _compress(chaining, block, counter, block_length, flags | _ROOT)
            out += b"".join(word.to_bytes(4, "little") for word in words)
            counter += 1
        return out[:length]


def _chunk(key, data, number, flags):
    """Return the last compression of one chunk."""
    chaining = key
    blocks = [data[i : i + _BLOCK] for i in range(0, len(data), _BLOCK)] or [b""]
    for index, block in enumerate(blocks[:-1]):
        start = _CHUNK_START if index == 0 else 0
        chaining = _compress(chaining, _words(block), number, _BLOCK, flags | start)[:8]
    start = _CHUNK_START if len(blocks) == 1 else 0
    return _Node(chaining, _words(blocks[-1]), number, len(blocks[-1]), flags | start | _CHUNK_END)


def _tree(key, data, first, flags):
    """Return the last compression of a subtree: the left side is the largest power of two of whole chunks."""
    if len(data) <= _CHUNK:
        return _chunk(key, data, first, flags)
    chunks = (len(data) - 1) // _CHUNK
    left = 1 << (chunks.bit_length() - 1)
    split = left * _CHUNK
    children = _tree(key, data[:split], first, flags).chaining()
    children += _tree(key, data[split:], first + left, flags).chaining()
    return _Node(key, children, 0, _BLOCK, flags | _PARENT)


def blake3(data, length=32):
    """Return the plain BLAKE3 hash of `data`."""
    return _tree(_IV, data, 0, 0).output(length)


_context_keys = {}


def derive_key(context, data, length=32):
    """Return `length` bytes of BLAKE3 in derive-key mode: `context` is text, `data` the key material."""
    if context not in _context_keys:
        key = _tree(_IV, context.encode(), 0, _DERIVE_KEY_CONTEXT).output(32)
        _context_keys[context] = tuple(int.from_bytes(key[i : i + 4], "little") for i in range(0, 32, 4))
    return _tree(_context_keys[context], data, 0, _DERIVE_KEY_MATERIAL).output(length)


def self_test():
    """Known answers of the official test vectors: inputs are the bytes 0, 1, ..., 250, 0, 1, ... of a length."""
    context = "BLAKE3 2019-12-27 16:29:52 test vectors context"
    hashes = {
        0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
        1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
        1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
        5120: "9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833",
    }
    keys = {
        0: "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d",
        1025: "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb",
    }
    for length, expected in hashes.items():
        assert blake3(bytes(i % 251 for i in range(length))).hex() == expected
    for length, expected in keys.items():
        assert derive_key(context, bytes(i % 251 for i in range(length))).hex() == expected
    extended = (
        "e00f03e7b69af26b7faaf09fcd333050338ddfe085b8cc869ca98b206c08243a26f5487789e8f660afe6c99ef9e0c52b92e7393024a804"
        "59cf91f476f9ffdbda7001c22e159b402631f277ca96f2defdf1078282314e763699a31c5363165421cce14d"
    )
    assert blake3(b"", 131).hex() == hashes[0] + extended
