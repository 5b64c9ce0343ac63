"""The ballot proof: committed rows are a well-formed ballot (crypto/README.md, *Ballot*)."""

import group
from codec import sequence, uint
from edwards import L
from group import point, require, require_zero
from transcript import Transcript

MAX_ITEMS = 500
DITHER_BITS, BUCKETS, FIRST_BUCKET, AXES = 20, 8, 7, 2
MAX_AUXILIARY, MAX_VARIABLES = 16, 32


class Layout:
    """Which row of a ballot means what."""

    def __init__(self, items, has_map):
        require(1 <= items <= MAX_ITEMS, "layout: items")
        self.items, self.has_map = items, has_map
        self.first_count = min(FIRST_BUCKET, items)
        self.edges = bucket_edges(items) if has_map else []
        widest = max([high - low for low, high in self.edges] + [self.first_count - 1])
        self.slack_bits = widest.bit_length() if has_map else 0
        self.votes = range(3 * items)
        self.data_rows = 3 * items + (AXES * DITHER_BITS + BUCKETS if has_map else 0)
        self.buckets = range(self.data_rows - BUCKETS if has_map else self.data_rows, self.data_rows)
        self.rows = self.data_rows + 2 * self.slack_bits
        entries = self.rows + items + (1 if has_map else 0)
        self.variables = (entries - 1).bit_length()

    def encode(self):
        """Return the encoding."""
        return uint(self.items, 2) + uint(self.has_map, 1)

    def virtual(self):
        """Return the rows that each virtual entry is the sum of: s_0, s_1, ..., then the sum of the bucket bits."""
        sums = [range(3 * item, 3 * item + 3) for item in range(self.items)]
        return sums + [self.buckets] if self.has_map else sums


def bucket_edges(items):
    """Return (lo_k, hi_k) of every bucket of vote counts."""
    first = min(FIRST_BUCKET, items)
    count = min(BUCKETS, items - first + 1)
    edges, low = [], first
    for k in range(1, count + 1):
        target = first ** (count - k) * (items + 1) ** k
        following = low + 1
        while following**count < target:
            following += 1
        edges.append((low, following - 1))
        low = following
    return edges


class Proof:
    """The prover's messages."""

    def __init__(self, reader):
        self.auxiliary = reader.sequence(MAX_AUXILIARY, reader.digest)
        self.rounds = reader.sequence(MAX_VARIABLES, lambda: (reader.digest(), reader.digest()))
        self.announced = [reader.digest() for _ in range(3)]
        self.responses = [reader.scalar() for _ in range(4)]

    def check(self, transcript, layout, commitments):
        """Check the proof for the commitments to the data rows, which are points."""
        require(len(commitments) == layout.data_rows, "ballot: number of commitments")
        require(len(self.auxiliary) == 2 * layout.slack_bits, "ballot: number of auxiliary rows")
        require(len(self.rounds) == layout.variables, "ballot: number of rounds")
        rows = commitments + [point(data, "ballot: auxiliary commitment") for data in self.auxiliary]
        rounds = [[point(data, "ballot: round") for data in pair] for pair in self.rounds]
        a, a_square, a_zero = (point(data, "ballot: announcement") for data in self.announced)
        tau, r, lam, e = self._challenges(transcript, layout)

        w = [(weight, rows[row]) for row, weight in enumerate(weights(layout, r))]
        square = list(w)
        for r_i, tau_i, (linear, quadratic) in zip(r, tau, rounds, strict=True):
            square += [(r_i - tau_i, linear), (r_i * r_i - tau_i, quadratic)]
        zero = [(factor, rows[row]) for factor, row in relations(layout, lam)]
        zero.append((constant(layout, lam), group.column(0)))

        z, z1, z2, z3 = self.responses
        base, blind = group.column(0), group.blinding()
        require_zero("ballot: value", [(z, base), (z1, blind), (-1, a)] + scaled(-e, w))
        require_zero("ballot: square", scaled(z, w) + [(z2, blind), (-1, a_square)] + scaled(-e, square))
        require_zero("ballot: linear relations", [(z3, blind), (-1, a_zero)] + scaled(-e, zero))

    def _challenges(self, transcript, layout):
        transcript.absorb("layout", layout.encode())
        transcript.absorb_sequence("auxiliary", self.auxiliary)
        tau = [transcript.challenge("zero-check challenge") for _ in range(layout.variables)]
        r = []
        for linear, quadratic in self.rounds:
            transcript.absorb("round", linear + quadratic)
            r.append(transcript.challenge("round challenge"))
        lam = transcript.challenge("linear challenge")
        transcript.absorb_sequence("announcement", self.announced)
        e = transcript.challenge("challenge")
        transcript.absorb_sequence("response", [value.to_bytes(32, "little") for value in self.responses])
        return tau, r, lam, e


def scaled(factor, terms):
    """Multiply a linear combination."""
    return [(factor * coefficient % L, base) for coefficient, base in terms]


def eq(point, index):
    """Return the value of eq at `point` and the corner with the bits of `index`, the first variable on top."""
    product = 1
    for place, coordinate in enumerate(reversed(point)):
        product = product * (coordinate if index >> place & 1 else 1 - coordinate) % L
    return product


def weights(layout, r):
    """Return the coefficient of every row in W, which commits to w(r): w is the rows, the virtual entries and zeros."""
    coefficients = [eq(r, row) for row in range(layout.rows)]
    for index, parts in enumerate(layout.virtual(), layout.rows):
        weight = eq(r, index)
        for row in parts:
            coefficients[row] += weight
    return coefficients


def relations(layout, lam):
    """Return the rows of Z as (factor, row): relations (4) and (5), right sides moved left, combined with lambda."""
    if not layout.has_map:
        return []
    below, used = layout.first_count - 1, len(layout.edges)
    lower, upper, unused = [], [], []
    for row in layout.votes:
        lower.append((1, row))
        upper.append((-1, row))
    for k, row in enumerate(layout.buckets):
        low, high = layout.edges[k] if k < used else (0, 0)
        lower.append((-low, row))
        upper.append((high - below, row))
        if k >= used:
            unused.append((pow(lam, 2 + k - used, L), row))
    for bit in range(layout.slack_bits):
        lower.append((-(1 << bit), layout.data_rows + bit))
        upper.append((-(1 << bit), layout.data_rows + layout.slack_bits + bit))
    return lower + scaled(lam, upper) + unused


def constant(layout, lam):
    """Return the constant of Z, from (m - 1) * (1 - sum of b_k) in relation (4)."""
    return lam * (layout.first_count - 1) if layout.has_map else 0


def check(case):
    """Check a vector: a ballot proof alone, over commitments that the transcript absorbs as the statement."""
    layout = Layout(case.int("items"), case.bool("map"))
    commitments = case.decode("commitments", lambda reader: reader.sequence(3 * MAX_ITEMS + 48, reader.digest))
    proof = case.decode("proof", Proof)
    transcript = Transcript("contribution")
    transcript.absorb("statement", sequence(commitments))
    proof.check(transcript, layout, [point(data, "commitment") for data in commitments])


def self_test():
    """The table of buckets in the README, numbers of rows, and eq on corners."""
    assert bucket_edges(8) == [(7, 7), (8, 8)]
    assert bucket_edges(16) == [(7, 7), (8, 8), (9, 9), (10, 10), (11, 12), (13, 13), (14, 15), (16, 16)]
    assert bucket_edges(100)[-1] == (73, 100) and bucket_edges(500)[0] == (7, 11)
    for items, data, auxiliary, variables in ((50, 198, 8, 9), (100, 348, 10, 9), (500, 1548, 16, 12)):
        layout = Layout(items, True)
        assert (layout.data_rows, layout.rows - data, layout.variables) == (data, auxiliary, variables)
    assert [eq([1, 0], index) for index in range(4)] == [0, 0, 1, 0]
