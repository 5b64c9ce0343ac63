"""The delta proof: the squares of a committed matrix add up to at most B^2 (crypto/README.md, *Delta*)."""

import group
from ballot import eq, scaled
from blake3 import derive_key
from codec import sequence, uint
from edwards import L
from group import point, require, require_zero
from transcript import Transcript

MAX_SIDE, MAX_ENTRIES = 1 << 14, 1 << 23
ROWS, COLUMNS = 189, 2
PROJECTIONS = ROWS * COLUMNS
ACCEPTED = 1 << 110
SQUARES, LAST, MAX_VARIABLES = 4, 4, 32
HALF = pow(2, -1, L)


class Statement:
    """Dimensions and bound, and the numbers that follow from them."""

    def __init__(self, rows, columns, bound):
        require(1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE, "delta: dimensions")
        require(rows * columns <= MAX_ENTRIES, "delta: entries")
        require(1 <= bound < 1 << 31, "delta: bound")
        self.rows, self.columns, self.bound = rows, columns, bound
        self.square_rows, self.mask_rows = -(-SQUARES // columns), -(-PROJECTIONS // columns)
        self.norm_rows = rows + self.square_rows
        self.column_variables = (columns - 1).bit_length()
        self.variables = self.column_variables + (max(self.norm_rows, self.mask_rows) - 1).bit_length()
        padded = 1 << self.column_variables
        self.halvings = max(padded // LAST, 1).bit_length() - 1

    def encode(self):
        """Return the encoding."""
        return uint(self.rows, 4) + uint(self.columns, 4) + uint(self.bound, 4)


class Projection:
    """The random rows and columns, as lists of (position, sign)."""

    def __init__(self, statement, seed):
        height, width = statement.norm_rows, statement.columns
        length = ROWS * -(-height // 4) + PROJECTIONS * -(-width // 4)
        self._stream = derive_key("chorus/v1/delta/projection", seed.to_bytes(32, "little"), length)
        self.rows = [self._signs(height) for _ in range(ROWS)]
        self.columns = [[self._signs(width) for _ in range(COLUMNS)] for _ in range(ROWS)]

    def _signs(self, length):
        taken, self._stream = self._stream[: -(-length // 4)], self._stream[-(-length // 4) :]
        bits = [taken[index // 4] >> 2 * (index % 4) & 3 for index in range(length)]
        return [(index, 1 - 2 * two) for index, two in enumerate(bits) if two < 2]

    def at(self, weights, rows, columns):
        """Return m_0(r), the sum of weight * <a_s, rows> * <b_st, columns>."""
        total = 0
        for s, (a, pair) in enumerate(zip(self.rows, self.columns, strict=True)):
            inner = sum(weights[COLUMNS * s + t] * _sum(b, columns) for t, b in enumerate(pair))
            total += _sum(a, rows) * inner
        return total % L


def _sum(signs, values):
    return sum(sign * values[index] for index, sign in signs)


class Proof:
    """The messages of a delta proof."""

    def __init__(self, reader):
        self.auxiliary = reader.sequence(SQUARES + PROJECTIONS, reader.digest)
        self.projections = reader.sequence(PROJECTIONS, lambda: reader.take(16))
        self.rounds = reader.sequence(MAX_VARIABLES, lambda: (reader.digest(), reader.digest()))
        self.evaluations = reader.digest(), reader.digest()
        self.vector = reader.digest(), reader.digest()
        self.vector_responses = reader.scalar(), reader.scalar()
        self.halvings = reader.sequence(MAX_VARIABLES, lambda: (reader.digest(), reader.digest()))
        self.last = reader.sequence(LAST, reader.scalar)
        self.announced = [reader.digest() for _ in range(3)]
        self.responses = [reader.scalar() for _ in range(4)]

    def check(self, transcript, statement, commitments):
        """Check the proof for the commitments to the rows of the matrix, which are points."""
        self._check_lengths(statement, commitments)
        projections = [int.from_bytes(value, "big", signed=True) for value in self.projections]
        require(all(abs(value) < ACCEPTED for value in projections), "delta: a projection is too large")
        auxiliary = [point(data, "delta: auxiliary commitment") for data in self.auxiliary]
        rounds = [[point(data, "delta: round") for data in pair] for pair in self.rounds]
        e0, e1 = (point(data, "delta: evaluation") for data in self.evaluations)
        halvings = [[point(data, "delta: halving") for data in pair] for pair in self.halvings]
        drawn = Challenges(self, transcript, statement)

        rows = [eq(drawn.r[statement.column_variables :], row) for row in range(statement.norm_rows)]
        rows += [
            eq(drawn.r[statement.column_variables :], row) for row in range(statement.norm_rows, statement.mask_rows)
        ]
        columns = [eq(drawn.r[: statement.column_variables], column) for column in range(statement.columns)]
        weights = [pow(drawn.lam, index + 1, L) for index in range(PROJECTIONS)]
        claim = statement.bound**2 + sum(weight * value for weight, value in zip(weights, projections, strict=True))
        opened = list(zip(rows, commitments + auxiliary[: statement.square_rows], strict=False))
        opened += scaled(drawn.delta, list(zip(rows, auxiliary[statement.square_rows :], strict=False)))
        self._check_folding(drawn, columns, opened, halvings)

        m0 = drawn.projection.at(weights, rows, columns)
        m1 = sum(
            weight * rows[index // statement.columns] * columns[index % statement.columns]
            for index, weight in enumerate(weights)
        )
        square = [(claim, group.column(0))]
        for r, (linear, quadratic) in zip(drawn.r, rounds, strict=True):
            square = scaled(HALF, square) + [(r - HALF, linear), (r * r - HALF, quadratic)]
        square += [(-m0, e0), (-m1, e1)]
        self._check_opening(drawn, square, e0, e1)

    def _check_lengths(self, statement, commitments):
        require(len(commitments) == statement.rows, "delta: number of commitments")
        expected = statement.square_rows + statement.mask_rows
        require(len(self.auxiliary) == expected, "delta: number of auxiliary rows")
        require(len(self.projections) == PROJECTIONS, "delta: number of projections")
        require(len(self.rounds) == statement.variables, "delta: number of rounds")
        require(len(self.halvings) == statement.halvings, "delta: number of halvings")
        require(len(self.last) == min(LAST, statement.columns), "delta: number of last entries")

    def _check_folding(self, drawn, columns, opened, halvings):
        y, z_rho = self.vector_responses
        scaled_j = group.to_group("generator/inner-product")
        q = [(1, point(self.vector[0], "delta: vector"))] + scaled(drawn.e, opened)
        q += [(-z_rho, group.blinding()), (y * drawn.xi, scaled_j)]
        form = list(columns)
        generators = [[(1, group.column(index))] for index in range(len(columns))]
        if halvings:
            missing = (1 << (len(columns) - 1).bit_length()) - len(columns)
            form, generators = form + [0] * missing, generators + [[] for _ in range(missing)]
        for x, (left, right) in zip(drawn.x, halvings, strict=True):
            half = len(form) // 2
            form = [(x * low + high) % L for low, high in zip(form[:half], form[half:], strict=True)]
            pairs = zip(generators[:half], generators[half:], strict=True)
            generators = [scaled(x, low) + high for low, high in pairs]
            q = scaled(x, q) + [(1, left), (x * x, right)]
        # Columns that are missing are last, and no more entries are left than columns.
        left = [term for entry, terms in zip(self.last, generators, strict=False) for term in scaled(entry, terms)]
        value = sum(entry * coefficient for entry, coefficient in zip(self.last, form, strict=False))
        require_zero("delta: folding", left + [(value * drawn.xi, scaled_j)] + scaled(-1, q))

    def _check_opening(self, drawn, square, e0, e1):
        a, a_square, a_zero = (point(data, "delta: announcement") for data in self.announced)
        z, z1, z2, z3 = self.responses
        base, blind, e = group.column(0), group.blinding(), drawn.last
        require_zero("delta: value", [(z, base), (z1, blind), (-1, a), (-e, e0)])
        require_zero("delta: square", [(z, e0), (z2, blind), (-1, a_square)] + scaled(-e, square))
        value = point(self.vector[1], "delta: value of the vector")
        zero = [(1, value), (drawn.e, e0), (drawn.e * drawn.delta, e1), (-self.vector_responses[0], base)]
        require_zero("delta: zero", [(z3, blind), (-1, a_zero)] + scaled(-e, zero))


class Challenges:
    """What the transcript draws, in order."""

    def __init__(self, proof, transcript, statement):
        transcript.absorb("delta", statement.encode())
        transcript.absorb_sequence("auxiliary", proof.auxiliary)
        self.projection = Projection(statement, transcript.challenge("projection challenge"))
        transcript.absorb_sequence("projections", proof.projections)
        self.lam = transcript.challenge("linear challenge")
        self.r = [self._after(transcript, "round", pair, "round challenge") for pair in proof.rounds]
        self.delta = self._after(transcript, "evaluations", proof.evaluations, "evaluation challenge")
        transcript.absorb_sequence("announcement", proof.vector)
        self.e = transcript.challenge("challenge")
        transcript.absorb_sequence("response", _scalars(proof.vector_responses))
        self.xi = transcript.challenge("folding challenge")
        self.x = [self._after(transcript, "folding", pair, "folding challenge") for pair in proof.halvings]
        transcript.absorb_sequence("response", _scalars(proof.last))
        transcript.absorb_sequence("announcement", proof.announced)
        self.last = transcript.challenge("challenge")
        transcript.absorb_sequence("response", _scalars(proof.responses))

    @staticmethod
    def _after(transcript, item, pair, challenge):
        transcript.absorb(item, b"".join(pair))
        return transcript.challenge(challenge)


def _scalars(values):
    return [value.to_bytes(32, "little") for value in values]


def check(case):
    """Check a vector: a delta proof alone, over commitments that the transcript absorbs as the statement."""
    statement = Statement(case.int("rows"), case.int("columns"), case.int("bound"))
    commitments = case.decode("commitments", lambda reader: reader.sequence(MAX_SIDE, reader.digest))
    proof = case.decode("proof", Proof)
    transcript = Transcript("contribution")
    transcript.absorb("statement", sequence(commitments))
    proof.check(transcript, statement, [point(data, "commitment") for data in commitments])


def self_test():
    """Numbers of rows, rounds and halvings, and how often a sign is drawn."""
    expected = {(1024, 1024): (1, 1, 21, 8), (8, 8): (1, 48, 9, 1), (3, 2): (2, 189, 9, 0), (5, 11): (1, 35, 10, 2)}
    for (rows, columns), (squares, masks, variables, halvings) in expected.items():
        s = Statement(rows, columns, 1)
        assert (s.square_rows, s.mask_rows, s.variables, s.halvings) == (squares, masks, variables, halvings)
    signs = [sign for row in Projection(Statement(64, 64, 1), 5).rows for _, sign in row]
    assert 0.22 < signs.count(1) / (65 * ROWS) < 0.28 and 0.22 < signs.count(-1) / (65 * ROWS) < 0.28
