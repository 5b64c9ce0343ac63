"""The link: a masked vector hides exactly the matrix that commitments open to (crypto/README.md, *Link*)."""

import itertools

import group
from codec import Reader, sequence, uint
from edwards import L
from group import digest, point, require, require_zero
from transcript import Transcript

USABLE_BITS = 250
MAX_COLUMNS = MAX_DATA_ROWS = 1 << 14
MAX_SCALARS = (1 << 20) + (1 << 14)
MAX_SUBSETS = 21


def subsets(operators):
    """Return every set of f operators among 1..=n in lexicographic order."""
    return list(itertools.combinations(range(1, operators + 1), (operators - 1) // 3))


class Shape:
    """D data rows of C columns, in lanes of w bits."""

    def __init__(self, rows, columns, lane_bits):
        self.rows, self.columns, self.lane_bits = rows, columns, lane_bits
        require(1 <= rows <= MAX_DATA_ROWS, "shape: data rows")
        require(1 <= columns <= MAX_COLUMNS, "shape: columns")
        require(2 <= lane_bits <= USABLE_BITS, "shape: lane bits")
        self.lanes = USABLE_BITS // lane_bits
        self.packed = -(-columns // self.lanes)
        require((1 + rows) * self.packed <= MAX_SCALARS, "shape: scalars")

    @classmethod
    def read(cls, reader):
        """Read a shape."""
        return cls(reader.uint(4), reader.uint(4), reader.uint(2))

    def encode(self):
        """Return the encoding."""
        return uint(self.rows, 4) + uint(self.columns, 4) + uint(self.lane_bits, 2)

    def pack(self, row):
        """Pack one row: lane l of a scalar counts in units of 2^(w*l)."""
        chunks = [row[i : i + self.lanes] for i in range(0, len(row), self.lanes)]
        return [sum(entry << self.lane_bits * lane for lane, entry in enumerate(chunk)) % L for chunk in chunks]


class Link:
    """The folds that a contributor publishes."""

    def __init__(self, reader):
        start = reader.position
        self.response = reader.sequence(MAX_COLUMNS, reader.scalar)
        self.blinding = reader.scalar()
        self.folds = reader.sequence(MAX_SUBSETS, lambda: self._fold(reader))
        self.encoded = reader.since(start)

    @staticmethod
    def _fold(reader):
        return reader.sequence(MAX_COLUMNS, reader.scalar), reader.scalar()

    def challenge(self, transcript):
        """Draw gamma, then absorb the folds."""
        gamma = transcript.challenge("link challenge")
        transcript.absorb("folds", self.encoded)
        return gamma

    def check(self, operators, shape, gamma, commitments):
        """Check lengths, the sum of the blindings, and the fold of the commitments; these are points."""
        require(len(self.response) == shape.columns, "link: length of the response")
        require(len(self.folds) == len(subsets(operators)), "link: number of folds")
        require(all(len(values) == shape.packed for values, _ in self.folds), "link: length of a fold")
        require(len(commitments) == 1 + shape.rows, "link: number of commitments")
        total = sum(part for _, part in self.folds) % L
        require(self.blinding == total, "link: the blinding is not the sum of its parts")
        terms = [(value, group.column(index)) for index, value in enumerate(self.response)]
        terms.append((self.blinding, group.blinding()))
        power = -1 % L
        for commitment in commitments:
            terms.append((power, commitment))
            power = power * gamma % L
        require_zero("link", terms)

    def check_masked(self, shape, gamma, masked):
        """Check that the masked vector plus the claimed masks is the committed matrix, packed."""
        require(len(masked) == (1 + shape.rows) * shape.packed, "link: length of the masked vector")
        sums = [
            sum(parts)
            for parts in zip(*(values for values, _ in self.folds), fold(masked, shape.packed, gamma), strict=True)
        ]
        require([value % L for value in sums] == shape.pack(self.response), "link: masked vector")

    def check_seed(self, index, operators, shape, gamma, context, seed):
        """Check the folds of one set against its seed."""
        values, blindings = expand(seed, context, subsets(operators)[index], shape)
        claimed_values, claimed_blinding = self.folds[index]
        require(fold(values, shape.packed, gamma) == claimed_values, "link: the claimed mask is not its seed's")
        require(fold(blindings, 1, gamma) == [claimed_blinding], "link: the claimed blindings are not their seed's")


def fold(values, packed, gamma):
    """Return the sum of gamma^r * row_r over the rows of a row-major vector."""
    sums = [0] * packed
    for start in range(len(values) - packed, -1, -packed):
        sums = [(total * gamma + value) % L for total, value in zip(sums, values[start : start + packed], strict=True)]
    return sums


def masked_digest(masked):
    """Return H(E)."""
    return digest("masked-digest", sequence([value.to_bytes(32, "little") for value in masked]))


def seed_digest(context, subset, seed):
    """Return h_T, the public commitment to a seed."""
    return digest("mask/seed-digest", _seed_input(context, subset, seed))


def expand(seed, context, subset, shape):
    """Return the values of a mask, row 0 first, and its blindings."""
    data = _seed_input(context, subset, seed)
    values = _values(digest("mask/values", data), (1 + shape.rows) * shape.packed)
    return values, scalars(digest("mask/blindings", data), 1 + shape.rows)


def _seed_input(context, subset, seed):
    return seed + context + uint(sum(1 << operator - 1 for operator in subset), 1)


def _values(key, count):
    blocks = [chacha20(key, block) for block in range(-(-count // 2))]
    halves = [half for block in blocks for half in (block[:32], block[32:])]
    return [int.from_bytes(half, "little") % (1 << 252) for half in halves[:count]]


def scalars(key, count):
    """Return scalars of 64 bytes of key stream each."""
    return [int.from_bytes(chacha20(key, block), "little") % L for block in range(count)]


def chacha20(key, counter, nonce=bytes(12)):
    """Return one block of the ChaCha20 key stream (RFC 8439)."""
    seed = b"expand 32-byte k" + key
    words = [int.from_bytes(seed[i : i + 4], "little") for i in range(0, len(seed), 4)]
    initial = [*words, counter, *(int.from_bytes(nonce[i : i + 4], "little") for i in (0, 4, 8))]
    x = list(initial)
    columns = [(i, 4 + i, 8 + i, 12 + i) for i in range(4)]
    diagonals = [(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4)]
    for a, b, c, d in (columns + diagonals) * 10:
        for left, right, target, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[left] = x[left] + x[right] & 0xFFFFFFFF
            mixed = x[target] ^ x[left]
            x[target] = (mixed << shift | mixed >> 32 - shift) & 0xFFFFFFFF
    return b"".join((value + start & 0xFFFFFFFF).to_bytes(4, "little") for value, start in zip(x, initial, strict=True))


def check(case):
    """Check a vector: a link alone, with the private parts that holders of the seeds see."""
    shape = Shape(case.int("rows"), case.int("columns"), case.int("lane_bits"))
    operators, context = case.int("operators"), case.bytes("context")
    commitments = case.decode("commitments", lambda reader: reader.sequence(1 + MAX_DATA_ROWS, reader.digest))
    masked = case.decode("masked", lambda reader: reader.sequence(MAX_SCALARS, reader.scalar))
    seeds = case.decode("seeds", lambda reader: reader.sequence(MAX_SUBSETS, reader.digest))
    digests = case.decode("seed_digests", lambda reader: reader.sequence(MAX_SUBSETS, reader.digest))
    link = case.decode("link", Link)
    transcript = Transcript("contribution")
    transcript.absorb_sequence("core", commitments)
    transcript.absorb_sequence("core", digests)
    transcript.absorb("core", masked_digest(masked))
    gamma = link.challenge(transcript)
    link.check(operators, shape, gamma, [point(data, "commitment") for data in commitments])
    link.check_masked(shape, gamma, masked)
    require(len(seeds) == len(subsets(operators)) == len(digests), "link: number of seeds")
    for index, (subset, seed) in enumerate(zip(subsets(operators), seeds, strict=True)):
        require(seed_digest(context, subset, seed) == digests[index], "link: a seed is not the one committed to")
        link.check_seed(index, operators, shape, gamma, context, seed)


def self_test():
    """ChaCha20 as published, lanes, sets and folds by hand."""
    assert chacha20(bytes(32), 0).hex().startswith("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7")
    assert Shape(2, 3, 125).pack([1, 2, 3]) == [1 + (2 << 125), 3]
    assert subsets(4) == [(1,), (2,), (3,), (4,)] and subsets(1) == [()] and len(subsets(7)) == 21
    assert fold([1, 2, 3, 4, 5, 6], 2, 10) == [1 + 30 + 500, 2 + 40 + 600]
    assert Reader(bytes(32)).scalar() == 0
