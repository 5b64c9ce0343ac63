"""Leaves: what a member registers, the proof that its opening is known, and rotation (crypto/README.md, *Credential*).

A leaf is L = s*G_0 + sum of a_j*A_j + b*H with four attribute slots.
"""

import group
import ristretto
from codec import Reader, data, sequence, uint, whole
from edwards import L
from group import combine, point, require, require_zero
from transcript import Transcript

SLOTS = 4


def bases():
    """Return G_0, A_0, ..., A_3, H."""
    return [group.leaf_secret(), *(group.leaf_attribute(slot) for slot in range(SLOTS)), group.leaf_blinding()]


def commit(secret, attributes, blinding):
    """Return the encoded leaf of an opening."""
    return ristretto.encode(combine(zip([secret, *attributes, blinding], bases(), strict=True)))


def read_disclosed(reader):
    """Read (slot, value) pairs, which are strictly ascending slots of a leaf."""
    disclosed = reader.sequence(SLOTS, lambda: (reader.uint(1), reader.uint(8)))
    slots = [slot for slot, _ in disclosed]
    require(slots == sorted(set(slots)) and all(slot < SLOTS for slot in slots), "credential: disclosed slots")
    return disclosed


def encode_disclosed(disclosed):
    """Encode (slot, value) pairs."""
    return sequence([uint(slot, 1) + uint(value, 8) for slot, value in disclosed])


class Responses:
    """The responses of a proof of a leaf's opening: for s, for the slots that stay hidden, for b."""

    def __init__(self, reader):
        self.secret = reader.scalar()
        self.attributes = reader.sequence(SLOTS, reader.scalar)
        self.blinding = reader.scalar()

    def terms(self, disclosed, challenge):
        """Return the left side of the leaf's equation: responses where hidden, challenge * value where shown."""
        shown = dict(disclosed)
        hidden = [slot for slot in range(SLOTS) if slot not in shown]
        require(len(self.attributes) == len(hidden), "leaf: number of responses")
        coefficients = dict(zip(hidden, self.attributes, strict=True)) | {
            slot: challenge * value for slot, value in disclosed
        }
        terms = [(coefficients[slot], group.leaf_attribute(slot)) for slot in range(SLOTS)]
        return [(self.secret, group.leaf_secret()), *terms, (self.blinding, group.leaf_blinding())]

    def check(self, what, disclosed, challenge, announcement, leaf):
        """Check the leaf's equation."""
        terms = self.terms(disclosed, challenge)
        require_zero(what, [*terms, (-1, announcement), (-challenge, leaf)])


class Opening:
    """The proof that a leaf's opening is known."""

    def __init__(self, reader):
        self.announcement = reader.digest()
        self.responses = Responses(reader)

    def check(self, leaf, context, disclosed):
        """Check the proof for an encoded leaf, with the values of disclosed slots."""
        target = point(leaf, "leaf", identity_allowed=False)
        announcement = point(self.announcement, "leaf: announcement")
        transcript = Transcript("leaf-opening")
        transcript.absorb("statement", data(context))
        transcript.absorb("statement", leaf)
        transcript.absorb("statement", encode_disclosed(disclosed))
        transcript.absorb("announcement", self.announcement)
        self.responses.check("leaf: opening", disclosed, transcript.challenge("challenge"), announcement, target)


class Rotation:
    """The proof that two leaves hold the same attributes, and that both openings are known."""

    def __init__(self, reader):
        self.announcements = [reader.digest(), reader.digest()]
        self.secrets = [reader.scalar(), reader.scalar()]
        self.attributes = reader.sequence(SLOTS, reader.scalar)
        self.blindings = [reader.scalar(), reader.scalar()]

    def check(self, old, new, context):
        """Check the proof: two openings with the same responses for the attributes."""
        require(len(self.attributes) == SLOTS, "rotation: number of responses")
        leaves = [point(leaf, "leaf", identity_allowed=False) for leaf in (old, new)]
        announced = [point(announcement, "rotation: announcement") for announcement in self.announcements]
        transcript = Transcript("leaf-rotation")
        transcript.absorb("statement", data(context))
        for leaf in (old, new):
            transcript.absorb("statement", leaf)
        for announcement in self.announcements:
            transcript.absorb("announcement", announcement)
        challenge = transcript.challenge("challenge")
        for which, leaf, announcement, secret, blinding in zip(
            ("old", "new"), leaves, announced, self.secrets, self.blindings, strict=True
        ):
            terms = zip([secret, *self.attributes, blinding], bases(), strict=True)
            require_zero(f"rotation: {which} leaf", [*terms, (-1, announcement), (-challenge, leaf)])


def check(case):
    """Check a vector: generators, a leaf with its secret opening, and the proof that the opening is known."""
    generators = case.decode("generators", lambda reader: reader.sequence(SLOTS + 2, reader.digest))
    require(generators == [ristretto.encode(base) for base in bases()], "leaf: generators")
    secret, attributes, blinding = whole(case.bytes("secret"), read_secret)
    leaf, context = case.bytes("leaf"), case.bytes("context")
    require(commit(secret, attributes, blinding) == leaf, "leaf: not of this secret")
    disclosed = case.decode("disclosed", read_disclosed)
    case.decode("opening", Opening).check(leaf, context, disclosed)


def check_rotation(case):
    """Check a vector: two leaves and the proof that their attributes are equal."""
    case.decode("rotation", Rotation).check(case.bytes("old"), case.bytes("new"), case.bytes("context"))


def read_secret(reader):
    """Read s, the attributes and b."""
    secret = reader.scalar()
    require(secret != 0, "leaf: the secret is zero")
    return secret, [reader.uint(8) for _ in range(SLOTS)], reader.scalar()


def self_test():
    """A leaf is additive in its openings."""
    one, two = ((1, [2, 3, 4, 5], 6), (L - 1, [1, 0, 1, 0], 7))
    total = (0, [3, 3, 5, 5], 13)
    points = [point(commit(*opening), "leaf") for opening in (one, two)]
    assert ristretto.encode(combine([(1, leaf) for leaf in points])) == commit(*total)
    assert read_disclosed(Reader(encode_disclosed([(0, 9), (3, 2**64 - 1)]))) == [(0, 9), (3, 2**64 - 1)]
