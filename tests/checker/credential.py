"""Credentials: one person, one tag in each scope, in the open or hidden in a ring (crypto/README.md, *Credential*)."""

import functools

import codec
import group
from codec import data, sequence, uint
from edwards import L
from group import content, digest, point, require, require_zero, to_group
from leaf import SLOTS, Responses, encode_disclosed, read_disclosed
from transcript import Transcript

MAX_SCOPES, MAX_RING = 4, 4096
SHAPES = [(4, 2), (4, 3), (4, 4), (4, 5), (8, 4)]
MAX_DIGITS, MAX_RESPONSES = 5, 28
OPEN, HIDDEN = 1, 2
LEAVES, TAGS = 1, 2


class Holder:
    """Whom tags belong to: the leaf at a place of the snapshot, or some leaf of a cohort."""

    def __init__(self, kind, number, leaf):
        self.kind, self.number, self.leaf = kind, number, leaf

    @classmethod
    def read(cls, reader):
        """Read a holder: its kind, the place or the number of the cohort, the leaf."""
        return cls(reader.tag("Holder", (OPEN, HIDDEN)), reader.uint(4), reader.digest())

    def encode(self):
        """Return the encoding."""
        return uint(self.kind, 1) + uint(self.number, 4) + self.leaf


class Claim:
    """The claim that one of a ring's tags is the holder's own."""

    def __init__(self, reader):
        self.scope, self.ring, self.commitment = reader.digest(), reader.digest(), reader.digest()

    def encode(self):
        """Return the encoding."""
        return self.scope + self.ring + self.commitment


class Statement:
    """What a credential is about."""

    def __init__(self, scopes, holder, disclosed, claim, root):
        require(1 <= len(scopes) <= MAX_SCOPES, "credential: number of scopes")
        require(holder.kind == HIDDEN or claim is None, "credential: a shown leaf claims a group")
        self.scopes, self.holder, self.disclosed, self.claim, self.root = scopes, holder, disclosed, claim, root

    @classmethod
    def read(cls, reader):
        """Read a statement."""
        scopes = reader.sequence(MAX_SCOPES, lambda: (reader.digest(), reader.digest()))
        holder, disclosed = Holder.read(reader), read_disclosed(reader)
        return cls(scopes, holder, disclosed, reader.optional(lambda: Claim(reader)), reader.digest())

    def encode(self):
        """Return the encoding."""
        claim = uint(0, 1) if self.claim is None else uint(1, 1) + self.claim.encode()
        scopes = sequence([scope + tag for scope, tag in self.scopes])
        return scopes + self.holder.encode() + encode_disclosed(self.disclosed) + claim + self.root


class Ring:
    """Points among which a proof hides one: its members, then padding that nobody knows an opening of."""

    def __init__(self, kind, members):
        require(1 <= len(members) <= MAX_RING, "ring: number of members")
        self.kind = kind
        self.base, self.digits = next((n, m) for n, m in SHAPES if n**m >= len(members))
        shape = uint(kind, 1) + uint(self.base, 1) + uint(self.digits, 1) + uint(len(members), 4)
        self.id = digest("credential/ring", shape + b"".join(members))
        self.points = [point(member, "ring: member", identity_allowed=False) for member in members]
        self.points += [padding(place) for place in range(len(members), self.base**self.digits)]


def padding(place):
    """Return the padding point at a place of a ring."""
    return to_group("credential/padding", uint(place, 4))


@functools.cache
def _ring(kind, _key, members):
    return Ring(kind, members)


def ring(kind, members):
    """Return the ring of encoded members, from memory if it has been made before."""
    return _ring(kind, content(b"".join(members)), tuple(members))


class OneOfMany:
    """The proof that one of a ring's points differs from another point by a multiple of H."""

    def __init__(self, reader):
        start = reader.position
        self.masks, self.digits, self.products, self.squares = (reader.digest() for _ in range(4))
        self.lower = reader.sequence(MAX_DIGITS, reader.digest)
        self.first_message = reader.since(start)
        self.responses = reader.sequence(MAX_RESPONSES, reader.scalar)
        self.digit_blinding, self.product_blinding, self.blinding = (reader.scalar() for _ in range(3))

    def check(self, what, of, target, x):
        """Check the three equations for the ring `of`; `target` is the point that re-randomises a member."""
        n, m = of.base, of.digits
        require(len(self.lower) == m, f"{what}: number of commitments")
        require(len(self.responses) == m * (n - 1), f"{what}: number of responses")
        encoded = (self.masks, self.digits, self.products, self.squares)
        masks, digits, products, squares = (point(data, f"{what}: commitment") for data in encoded)
        lower = [point(data, f"{what}: commitment") for data in self.lower]

        factors = []
        for shown in (self.responses[i : i + n - 1] for i in range(0, m * (n - 1), n - 1)):
            factors.append([(x - sum(shown)) % L, *shown])
        entries = [(f, group.ring_digit(entry)) for entry, f in enumerate(f for row in factors for f in row)]
        blind = group.leaf_blinding()
        terms = [*entries, (self.digit_blinding, blind), (-x, digits), (-1, masks)]
        require_zero(f"{what}: digits", terms)
        terms = [(f * (x - f), base) for f, base in entries]
        require_zero(f"{what}: products", [*terms, (self.product_blinding, blind), (-x, products), (-1, squares)])

        # p_i(x) for every place i, whose least significant digit picks from the first row of factors.
        weights = [1]
        for row in reversed(factors):
            weights = [weight * f % L for weight in weights for f in row]
        terms = list(zip(weights, of.points, strict=True))
        terms += [(-pow(x, power, L), commitment) for power, commitment in enumerate(lower)]
        require_zero(f"{what}: members", [*terms, (-pow(x, m, L), target), (-self.blinding, blind)])


class Knowledge:
    """The proof of a leaf's opening and of tags by the same secret, in the order in which both credentials hold it."""

    def __init__(self, reader):
        self.leaf_announcement = reader.digest()
        self.tag_announcements = reader.sequence(MAX_SCOPES, reader.digest)
        self.responses = Responses(reader)

    def absorb(self, transcript):
        """Absorb the announcements."""
        transcript.absorb("announcement", self.leaf_announcement)
        transcript.absorb_sequence("announcement", self.tag_announcements)

    def check(self, statement, challenge):
        """Check one equation for the leaf and one for each tag."""
        require(len(self.tag_announcements) == len(statement.scopes), "credential: number of announcements")
        leaf = point(statement.holder.leaf, "leaf", identity_allowed=False)
        announced = point(self.leaf_announcement, "credential: announcement")
        self.responses.check("credential: leaf", statement.disclosed, challenge, announced, leaf)
        for (scope, encoded), announcement in zip(statement.scopes, self.tag_announcements, strict=True):
            tag = point(encoded, "credential: tag", identity_allowed=False)
            announced = point(announcement, "credential: announcement")
            terms = [(self.responses.secret, group.scope_base(scope)), (-1, announced), (-challenge, tag)]
            require_zero("credential: tag", terms)


class OpenCredential:
    """Shows the leaf."""

    kind = OPEN
    claim = None

    def __init__(self, reader):
        self.index = reader.uint(4)
        self.knowledge = Knowledge(reader)

    def holder(self, leaves):
        """Return the holder, given the snapshot's leaves."""
        require(self.index < len(leaves), "credential: a leaf outside the snapshot")
        return Holder(OPEN, self.index, leaves[self.index])

    def check(self, transcript, statement, _leaves, _tags):
        """Check the credential; the transcript has absorbed everything that it signs."""
        holder = statement.holder
        require((holder.kind, holder.number) == (OPEN, self.index), "credential: another holder")
        transcript.absorb("statement", statement.encode())
        self.knowledge.absorb(transcript)
        self.knowledge.check(statement, transcript.challenge("credential challenge"))


class GroupProof:
    """The proof that the holder's tag is one of a group's."""

    def __init__(self, reader):
        self.claim = Claim(reader)
        self.membership = OneOfMany(reader)
        self.announcement = reader.digest()
        self.blinding = reader.scalar()

    def check(self, tags, secret, challenge):
        """Check that K' re-randomises a tag of the ring, and that the secret made it."""
        target = point(self.claim.commitment, "credential: group commitment", identity_allowed=False)
        self.membership.check("credential: group", tags, target, challenge)
        announced = point(self.announcement, "credential: announcement")
        terms = [(secret, group.scope_base(self.claim.scope)), (self.blinding, group.leaf_blinding())]
        require_zero("credential: group commitment", [*terms, (-1, announced), (-challenge, target)])


class RingCredential:
    """Hides the leaf among those of a cohort."""

    kind = HIDDEN

    def __init__(self, reader):
        self.cohort, self.leaf = reader.uint(4), reader.digest()
        self.membership = OneOfMany(reader)
        self.knowledge = Knowledge(reader)
        self.group = reader.optional(lambda: GroupProof(reader))
        self.claim = self.group and self.group.claim

    def holder(self, _leaves):
        """Return the holder."""
        return Holder(HIDDEN, self.cohort, self.leaf)

    def check(self, transcript, statement, leaves, tags):
        """Check the credential over the rings of the cohort's leaves and of the group's tags."""
        require(statement.holder.encode() == self.holder(None).encode(), "credential: another holder")
        claims = [claim and claim.encode() for claim in (statement.claim, self.claim)]
        require(claims[0] == claims[1], "credential: another group")
        require(leaves is not None and leaves.kind == LEAVES, "credential: no ring of leaves")
        transcript.absorb("statement", statement.encode())
        transcript.absorb("ring", leaves.id)
        if self.group:
            require(tags is not None and tags.kind == TAGS, "credential: no ring of tags")
            require(tags.id == self.claim.ring, "credential: another ring of tags")
            transcript.absorb("ring", tags.id)
        transcript.absorb("membership", self.membership.first_message)
        if self.group:
            transcript.absorb("membership", self.group.membership.first_message)
        self.knowledge.absorb(transcript)
        if self.group:
            transcript.absorb("announcement", self.group.announcement)
        challenge = transcript.challenge("credential challenge")
        require(challenge != 0, "credential: the challenge is zero")
        leaf = point(self.leaf, "leaf", identity_allowed=False)
        self.membership.check("credential: membership", leaves, leaf, challenge)
        self.knowledge.check(statement, challenge)
        if self.group:
            self.group.check(tags, self.knowledge.responses.secret, challenge)


def read(reader):
    """Read a credential of either kind."""
    kind = reader.tag("Credential", (OPEN, HIDDEN))
    return OpenCredential(reader) if kind == OPEN else RingCredential(reader)


def check(case):
    """Check a vector: a credential over one message and the rings that are given."""
    statement = case.decode("statement", Statement.read)
    credential = case.decode("credential", read)
    leaves, tags = (
        case.decode(name, lambda reader: reader.sequence(MAX_RING, reader.digest)) for name in ("leaves", "tags")
    )
    transcript = Transcript("contribution")
    transcript.absorb("core", case.bytes("message"))
    transcript.absorb("eligibility", statement.encode())
    rings = (ring(kind, members) if members else None for kind, members in ((LEAVES, leaves), (TAGS, tags)))
    credential.check(transcript, statement, *rings)


def self_test():
    """The shapes of rings, and statements that say nothing or contradict themselves."""
    member = [bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")]
    sizes = [len(Ring(LEAVES, member * count).points) for count in (1, 16, 17, 65)]
    assert sizes == [16, 16, 64, 256] and SLOTS == 4
    assert Ring(LEAVES, member).id != Ring(TAGS, member).id
    leaf, zeros = Holder(OPEN, 0, bytes(32)), bytes(32)
    good = Statement([(zeros, zeros)], leaf, [(1, 5)], None, zeros).encode()
    assert codec.whole(good, Statement.read).encode() == good and data(b"") == bytes(4)
    try:
        Statement([], leaf, [], None, zeros)
    except codec.Refused:
        return
    raise AssertionError("a statement without a scope")
