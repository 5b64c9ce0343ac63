"""The Fiat-Shamir transcript of a proof: Merlin with named items and scalar challenges."""

import codec
from edwards import L
from group import label
from merlin import Merlin


class Transcript:
    """The running hash of a proof. The item's name is absorbed with every message."""

    def __init__(self, domain):
        self._merlin = Merlin(label(domain))

    def absorb(self, item, encoded):
        """Absorb one encoded value."""
        self._merlin.append(item.encode(), encoded)

    def absorb_sequence(self, item, encoded):
        """Absorb a sequence of encoded values, with their count."""
        self.absorb(item, codec.sequence(encoded))

    def challenge(self, item):
        """Draw a scalar from 64 bytes."""
        return int.from_bytes(self._merlin.challenge(item.encode(), 64), "little") % L


def self_test():
    """A challenge depends on names, order and values."""

    def challenge(messages):
        transcript = Transcript("contribution")
        for item, value in messages:
            transcript.absorb(item, value)
        return transcript.challenge("challenge")

    messages = [("core", b"\1"), ("folds", b"\2")]
    others = [messages[::-1], [("core", b"\1"), ("folds", b"\3")], [("core", b"\1"), ("round", b"\2")], messages[:1]]
    assert challenge(messages) not in map(challenge, others)
