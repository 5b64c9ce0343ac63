"""Masks and what holders of a set derive from its seeds; sums of masks, and the check that makes a sum true."""

import group
from codec import data, scalar, sequence, uint
from edwards import L
from group import digest, point, require, require_zero
from link import MAX_DATA_ROWS, MAX_SCALARS, Shape, chacha20, expand, scalars, seed_digest, subsets

MAX_SEEDS, MAX_LISTED = 1 << 14, 1 << 14


class SetKey:
    """K_T, of the seeds of one T in the order of the sealed set."""

    def __init__(self, context, seeds):
        self._key = digest("mask/set-key", data(context) + b"".join(seeds))

    def stream(self, label):
        """Return the key of the pseudorandom stream under a label."""
        return digest("mask/set-prf", self._key + label)


def within(key, bound, count):
    """Return integers uniform in -bound..=bound, by rejection of 8-byte candidates."""
    mask, found, block = (1 << (2 * bound).bit_length()) - 1, [], 0
    while len(found) < count:
        stream = chacha20(key, block)
        block += 1
        for at in range(0, 64, 8):
            candidate = int.from_bytes(stream[at : at + 8], "little") & mask
            if candidate <= 2 * bound:
                found.append(candidate - bound)
    return found[:count]


def check(case):
    """Check a vector: a seed with its digest and mask, and the streams of a set's key."""
    shape, context = case.decode("shape", Shape.read), case.bytes("context")
    sets, index, seed = subsets(case.int("operators")), case.int("index"), case.bytes("seed")
    require(index < len(sets), "masks: there is no such set")
    require(seed_digest(context, sets[index], seed) == case.bytes("digest"), "masks: digest of the seed")
    values, blindings = expand(seed, context, sets[index], shape)

    def read(reader):
        return reader.sequence(MAX_SCALARS, reader.scalar)

    require(case.decode("values", read) == values, "masks: values")
    require(case.decode("blindings", read) == blindings, "masks: blindings")
    seeds = case.decode("set_seeds", lambda reader: reader.sequence(MAX_SEEDS, reader.digest))
    key, stream = SetKey(context, seeds), case.decode("stream", read)
    require(stream == scalars(key.stream(case.bytes("label")), len(stream)), "masks: stream of the set's key")
    integers = case.decode("within", lambda reader: reader.sequence(MAX_LISTED, lambda: signed(reader)))
    require(integers == within(key.stream(b"integers"), 1000, len(integers)), "masks: integers of the set's key")


def signed(reader):
    """Read a signed integer of 8 bytes."""
    return int.from_bytes(reader.take(8), "big", signed=True)


def unpack(shape, packed):
    """Return the entries of a packed row: balanced digits of the representative in (-l/2, l/2)."""
    entries, unit = [], 1 << shape.lane_bits
    for value in packed:
        rest = value if value <= L // 2 else value - L
        for _ in range(min(shape.lanes, shape.columns - len(entries))):
            digit = (rest + unit // 2) % unit - unit // 2
            require(-(1 << 63) <= digit < 1 << 63, "sum: an entry of more than 64 bits")
            entries.append(digit)
            rest = (rest - digit) // unit
        require(rest == 0, "sum: an entry outside its lane")
    return entries


def check_sums(case):
    """Check a vector: masked vectors, sums of masks, commitments, and the sum that comes of them."""
    shape = case.decode("shape", Shape.read)
    rows, packed = shape.rows, shape.packed
    masked = case.decode("masked", lambda reader: reader.sequence(MAX_SCALARS, reader.scalar))
    length = (1 + rows) * packed
    require(len(masked) % length == 0, "sum: length of the masked vectors")
    total = [0] * (rows * packed)
    for start in range(0, len(masked), length):
        data_rows = masked[start + packed : start + length]
        total = [(a + b) % L for a, b in zip(total, data_rows, strict=True)]

    def mask_sum(reader):
        return reader.sequence(MAX_SCALARS, reader.scalar), reader.sequence(MAX_DATA_ROWS, reader.scalar)

    blindings = [0] * rows
    for values, parts in case.decode("mask_sums", lambda reader: reader.sequence(21, lambda: mask_sum(reader))):
        require(len(values) == len(total) and len(parts) == rows, "sum: length of a sum of masks")
        total = [(a + b) % L for a, b in zip(total, values, strict=True)]
        blindings = [(a + b) % L for a, b in zip(blindings, parts, strict=True)]
    totals = [unpack(shape, total[row * packed : (row + 1) * packed]) for row in range(rows)]

    def opened(reader):
        read = reader.sequence(MAX_DATA_ROWS, lambda: reader.sequence(MAX_DATA_ROWS, lambda: signed(reader)))
        return read, reader.sequence(MAX_DATA_ROWS, reader.scalar)

    require(case.decode("opened", opened) == (totals, blindings), "sum: totals")
    check_sum(case, shape, totals, blindings)


def check_sum(case, shape, totals, blindings):
    """Check totals against the commitments: one combination of all rows with 128-bit coefficients."""
    encoded = case.decode("commitments", lambda reader: reader.sequence(MAX_SCALARS, reader.digest))
    require(len(encoded) % shape.rows == 0, "sum: number of commitments")
    rows = sequence([sequence([value.to_bytes(8, "big", signed=True) for value in row]) for row in totals])
    label = group.label("sum-check").decode()
    stream = group.derive_key(label, case.bytes("set") + rows + sequence(map_scalars(blindings)), 16 * shape.rows)
    weights = [int.from_bytes(stream[16 * row : 16 * row + 16], "little") for row in range(shape.rows)]
    terms = []
    for column in range(shape.columns):
        combined = sum(weight * row[column] for weight, row in zip(weights, totals, strict=True))
        terms.append((combined, group.column(column)))
    combined = sum(weight * part for weight, part in zip(weights, blindings, strict=True))
    terms.append((combined, group.blinding()))
    for place, commitment in enumerate(encoded):
        terms.append((-weights[place % shape.rows], point(commitment, "sum: commitment")))
    require_zero("sum", terms)


def map_scalars(values):
    """Encode scalars."""
    return [scalar(value) for value in values]


def self_test():
    """Balanced digits by hand, and integers within a bound of nothing."""
    shape = Shape(1, 3, 125)
    assert unpack(shape, shape.pack([5, -7, 9])) == [5, -7, 9]
    assert within(bytes(32), 0, 3) == [0, 0, 0] and uint(1, 1) == b"\1"
