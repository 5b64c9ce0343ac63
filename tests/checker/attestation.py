"""Signatures over domain-separated messages, and what an attester signs about a leaf."""

import ed25519
import group
from codec import uint
from group import require
from leaf import SLOTS, Opening

MAX_ATTESTERS = 64


def verify(label, key, message, signature):
    """Tell whether a signature holds over: length of the label, label, message."""
    domain = group.label(label)
    return ed25519.verify(key, uint(len(domain), 1) + domain + message, signature)


class Claim:
    """That a key and a leaf belong to one distinct person, and which slots of the leaf were checked."""

    def __init__(self, reader):
        start = reader.position
        self.key, self.leaf = reader.digest(), reader.digest()
        self.slots = reader.uint(1)
        self.recovers = reader.optional(reader.digest)
        self.encoded = reader.since(start)

    def zero_slots(self):
        """Return the slots that are shown to be zero: those that were not checked."""
        return [(slot, 0) for slot in range(SLOTS) if not self.slots >> slot & 1]


class Attestation:
    """An attester's word on a claim."""

    def __init__(self, reader):
        start = reader.position
        self.attester = reader.digest()
        self.claim = Claim(reader)
        self.policy = reader.digest()
        self.valid_from, self.expires = reader.uint(8), reader.uint(8)
        self._signed = reader.since(start)
        self._signature = reader.take(64)

    def check(self, community):
        """Check the signature."""
        good = verify("attestation", self.attester, community + self._signed, self._signature)
        require(good, "attestation: signature")


class Registration:
    """A person asks to be a member."""

    def __init__(self, reader):
        self.claim = Claim(reader)
        self.opening = Opening(reader)
        self.attestations = reader.sequence(MAX_ATTESTERS, lambda: Attestation(reader))

    def check(self, community):
        """Check the proof of the leaf's opening, and every attestation."""
        self.opening.check(self.claim.leaf, community + self.claim.encoded, self.claim.zero_slots())
        attesters = [attestation.attester for attestation in self.attestations]
        require(len(set(attesters)) == len(attesters), "registration: attestations of one attester")
        for attestation in self.attestations:
            require(attestation.claim.encoded == self.claim.encoded, "registration: what is attested")
            attestation.check(community)


def check(case):
    """Check a vector: a registration with the words of its attesters."""
    case.decode("registration", Registration).check(case.bytes("community"))


def check_signature(case):
    """Check a vector: one signature."""
    good = verify(case.text("label"), case.bytes("key"), case.bytes("message"), case.bytes("signature"))
    require(good, "signature")


def self_test():
    """A key of small order signs nothing, whatever the message."""
    identity = uint(1, 1) + bytes(31)
    assert not verify("log/entry", identity, b"any", identity + bytes(32))
