"""The canonical encoding: big-endian integers, counted sequences, scalars and points of 32 bytes, nothing left over."""

from edwards import L

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""What Unicode calls White_Space; `str.strip` alone takes U+001C to U+001F away, too."""


class Refused(Exception):
    """What is to be verified is not valid; says which check refused it."""


class Reader:
    """A cursor over encoded bytes. Every read is bounded and raises `Refused` where the bytes are not canonical."""

    def __init__(self, data):
        self._data = data
        self.position = 0

    def take(self, count):
        """Return the next `count` bytes."""
        end = self.position + count
        if end > len(self._data):
            raise Refused("encoding: ended early")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def since(self, start):
        """Return what has been read since a position."""
        return self._data[start : self.position]

    def uint(self, size):
        """Read an unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def boolean(self):
        """Read a byte that is 0 or 1."""
        return self.tag("bool", (0, 1)) == 1

    def tag(self, what, known):
        """Read a byte that names a variant."""
        found = self.uint(1)
        if found not in known:
            raise Refused(f"encoding: tag {found} of {what}")
        return found

    def digest(self):
        """Read 32 bytes. Points stay encoded too: whether they are points is checked where they are used."""
        return self.take(32)

    def scalar(self):
        """Read a reduced scalar."""
        value = int.from_bytes(self.take(32), "little")
        if value >= L:
            raise Refused("encoding: a scalar is not reduced")
        return value

    def count(self, bound):
        """Read the count of a sequence."""
        found = self.uint(4)
        if found > bound:
            raise Refused(f"encoding: {found} values where {bound} are the most")
        return found

    def sequence(self, bound, read):
        """Read a counted sequence with `read` for each value."""
        return [read() for _ in range(self.count(bound))]

    def data(self, bound):
        """Read a counted byte string."""
        return self.take(self.count(bound))

    def text(self, bound):
        """Read a counted UTF-8 string."""
        try:
            return self.data(bound).decode()
        except UnicodeDecodeError:
            raise Refused("encoding: text is not UTF-8") from None

    def optional(self, read):
        """Read a value that may be missing."""
        return read() if self.boolean() else None

    def finish(self):
        """Refuse bytes that are left over."""
        if self.position != len(self._data):
            raise Refused("encoding: bytes are left over")


def whole(data, read):
    """Read one value, `read(reader)`, from the whole of `data`."""
    reader = Reader(data)
    value = read(reader)
    reader.finish()
    return value


def is_blank(text):
    """Tell whether a text is white space and nothing else."""
    return not text.strip(WHITE_SPACE)


def uint(value, size):
    """Encode an unsigned integer."""
    return value.to_bytes(size, "big")


def scalar(value):
    """Encode a scalar."""
    return (value % L).to_bytes(32, "little")


def sequence(encoded):
    """Encode a sequence of values that are encoded already."""
    return uint(len(encoded), 4) + b"".join(encoded)


def data(value):
    """Encode a byte string."""
    return uint(len(value), 4) + value


def self_test():
    """One value, one encoding."""

    def sample(reader):
        numbers = reader.sequence(3, lambda: reader.uint(4))
        return reader.uint(2), numbers, reader.text(8), reader.optional(reader.boolean)

    good = bytes([0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 0, 0, 0, 2, 0xC3, 0xA9, 1, 1])
    assert whole(good, sample) == (0x0102, [3], "é", True)
    bad = [good[:-1], good + b"\0", good[:-2] + b"\2\1", b"\0\0\0\4" + good[4:], good[:-4] + b"\xff\xff\1\1"]
    for encoding in bad:
        try:
            whole(encoding, sample)
        except Refused:
            continue
        raise AssertionError("decoded what is not canonical")
    assert all(map(is_blank, ["", " \t\r\n", "\x85\u2003\u3000"]))
    assert not any(map(is_blank, ["a ", "\x1c", "\x1f \x1d\x1e", "\u200b", "\ufeff"]))
    for value, fits in ((L - 1, True), (L, False)):
        try:
            assert whole(value.to_bytes(32, "little"), Reader.scalar) == value and fits
        except Refused:
            assert not fits
