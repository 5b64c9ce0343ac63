"""Merlin transcripts (merlin.cool): STROBE-128 on Keccak-f[1600], in the subset that Merlin uses."""

_MASK = (1 << 64) - 1


def _round_constants():
    """Return the 24 constants of iota, from the linear feedback shift register of FIPS 202, 3.2.5."""
    constants, state = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            if state & 1:
                constant |= 1 << ((1 << j) - 1)
            state <<= 1
            if state & 0x100:
                state ^= 0x171
        constants.append(constant)
    return constants


def _rotations():
    """Return for each lane x + 5y its offset in rho and its place after pi."""
    offsets = {(0, 0): 0}
    x, y = 1, 0
    for t in range(24):
        offsets[x, y] = (t + 1) * (t + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return [(x + 5 * y, offset, y + 5 * ((2 * x + 3 * y) % 5)) for (x, y), offset in offsets.items()]


_CONSTANTS = _round_constants()
_ROTATIONS = _rotations()


def keccak_f1600(state):
    """Permute 200 bytes in place."""
    a = [int.from_bytes(state[i : i + 8], "little") for i in range(0, 200, 8)]
    for constant in _CONSTANTS:
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[x - 1] ^ (c[(x + 1) % 5] << 1 & _MASK | c[(x + 1) % 5] >> 63) for x in range(5)]
        b = [0] * 25
        for source, offset, target in _ROTATIONS:
            lane = a[source] ^ d[source % 5]
            b[target] = (lane << offset | lane >> (64 - offset)) & _MASK
        for y in range(0, 25, 5):
            row = b[y : y + 5]
            for x in range(5):
                a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5])
        a[0] ^= constant
    state[:] = b"".join(lane.to_bytes(8, "little") for lane in a)


class _Strobe:
    """STROBE-128 with the operations AD, meta-AD and PRF."""

    RATE = 166
    FLAG_I, FLAG_A, FLAG_C, FLAG_M = 1, 2, 4, 16

    def __init__(self, label):
        self.state = bytearray(200)
        self.state[0:6] = bytes([1, self.RATE + 2, 1, 0, 1, 96])
        self.state[6:18] = b"STROBEv1.0.2"
        keccak_f1600(self.state)
        self.position = self.begin = 0
        self.meta_ad(label)

    def _permute(self):
        self.state[self.position] ^= self.begin
        self.state[self.position + 1] ^= 0x04
        self.state[self.RATE + 1] ^= 0x80
        keccak_f1600(self.state)
        self.position = self.begin = 0

    def _absorb(self, data):
        for byte in data:
            self.state[self.position] ^= byte
            self.position += 1
            if self.position == self.RATE:
                self._permute()

    def _begin(self, flags):
        before, self.begin = self.begin, self.position + 1
        self._absorb(bytes([before, flags]))
        if flags & self.FLAG_C and self.position:
            self._permute()

    def meta_ad(self, data):
        """Absorb what describes the next operation."""
        self._begin(self.FLAG_M | self.FLAG_A)
        self._absorb(data)

    def ad(self, data):
        """Absorb data."""
        self._begin(self.FLAG_A)
        self._absorb(data)

    def prf(self, length):
        """Squeeze bytes out."""
        self._begin(self.FLAG_I | self.FLAG_A | self.FLAG_C)
        out = bytearray()
        for _ in range(length):
            out.append(self.state[self.position])
            self.state[self.position] = 0
            self.position += 1
            if self.position == self.RATE:
                self._permute()
        return bytes(out)


class Merlin:
    """A transcript: labelled messages in, labelled challenges out."""

    def __init__(self, label):
        self._strobe = _Strobe(b"Merlin v1.0")
        self.append(b"dom-sep", label)

    def append(self, label, message):
        """Absorb a message."""
        self._strobe.meta_ad(label + len(message).to_bytes(4, "little"))
        self._strobe.ad(message)

    def challenge(self, label, length):
        """Draw `length` bytes."""
        self._strobe.meta_ad(label + length.to_bytes(4, "little"))
        return self._strobe.prf(length)


def self_test():
    """Known answers: Keccak-f[1600] of zeros, and Merlin's own conformance test."""
    state = bytearray(200)
    keccak_f1600(state)
    assert state[:16].hex() == "e7dde140798f25f18a47c033f9ccd584"
    transcript = Merlin(b"test protocol")
    transcript.append(b"some label", b"some data")
    expected = "d5a21972d0d5fe320c0d263fac7fffb8145aa640af6e9bca177c03c7efcf0615"
    assert transcript.challenge(b"challenge", 32).hex() == expected
