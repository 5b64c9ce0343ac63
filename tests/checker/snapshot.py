"""Snapshots of the registry: the list of leaves, its Merkle root, and the cohorts it is dealt out to."""

import functools

import group
import ristretto
from codec import sequence, uint
from credential import LEAVES, MAX_RING, padding, ring
from group import content, digest, require

_digest = functools.cache(digest)


def merkle_root(leaves):
    """Return the root over encoded leaves: the tree of RFC 6962, 2.1."""
    if not leaves:
        return digest("registry/node", b"")
    if len(leaves) == 1:
        return _digest("registry/leaf", leaves[0])
    left = split(len(leaves))
    return _digest("registry/node", merkle_root(leaves[:left]) + merkle_root(leaves[left:]))


def split(count):
    """Return the number of leaves on the left: the largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def root(leaves, policy):
    """Return the digest that pins a snapshot of sorted leaves under a policy."""
    return pin(policy, len(leaves), merkle_root(leaves))


def pin(policy, count, merkle):
    """Return the digest over policy, number of leaves and their Merkle root."""
    return digest("snapshot", policy + uint(count, 8) + merkle)


def cohorts(leaves, beacon):
    """Deal sorted leaves out to as few cohorts as hold them, of sizes that differ by one at most."""
    if len(leaves) <= MAX_RING:
        return [leaves]
    return deal(leaves, "registry/cohort", beacon, -(-len(leaves) // MAX_RING))


def deal(leaves, label, decider, count):
    """Deal leaves out by the order of their digests, in parts whose sizes differ by one at most; each part is sorted."""
    order = sorted(leaves, key=lambda leaf: (_digest(label, decider + leaf), leaf))
    size, larger = divmod(len(leaves), count)
    dealt, start = [], 0
    for number in range(count):
        end = start + size + (number < larger)
        dealt.append(sorted(order[start:end]))
        start = end
    return dealt


class Inclusion:
    """The siblings on the way from a leaf to the Merkle root, from below."""

    def __init__(self, reader):
        self.index, self.count = reader.uint(4), reader.uint(4)
        self.siblings = reader.sequence(32, reader.digest)

    def root(self, leaf):
        """Return the Merkle root that follows, or None if the proof does not fit its tree."""
        return self._climb(self.index, self.count, leaf, self.siblings) if self.index < self.count else None

    def _climb(self, index, count, leaf, siblings):
        if count == 1:
            return None if siblings else digest("registry/leaf", leaf)
        if not siblings:
            return None
        *below, sibling = siblings
        left = split(count)
        is_left = index < left
        node = self._climb(index if is_left else index - left, left if is_left else count - left, leaf, below)
        if node is None:
            return None
        return digest("registry/node", node + sibling if is_left else sibling + node)


def check(case):
    """Check a vector: root, ring and padding of a small snapshot, and the inclusion of one leaf."""
    leaves = case.decode("leaves", lambda reader: reader.sequence(MAX_RING, reader.digest))
    require(leaves == sorted(set(leaves)), "snapshot: leaves are not ascending")
    require(root(leaves, case.bytes("policy")) == case.bytes("root"), "snapshot: root")
    of_leaves = ring(LEAVES, leaves)
    require(of_leaves.id == case.bytes("ring"), "snapshot: ring")
    points = case.decode("padding", lambda reader: reader.sequence(MAX_RING, reader.digest))
    expected = [ristretto.encode(padding(place)) for place in range(len(leaves), len(of_leaves.points))]
    require(points == expected, "snapshot: padding")
    inclusion = case.decode("inclusion", Inclusion)
    merkle = inclusion.root(case.bytes("leaf"))
    # A proof's own count is bound by the snapshot's root, not by the Merkle root.
    require(merkle is not None, "snapshot: inclusion does not fit its tree")
    require(pin(case.bytes("policy"), inclusion.count, merkle) == case.bytes("root"), "snapshot: inclusion")


def check_cohorts(case):
    """Check a vector: the root and the cohorts of many leaves, leaf i being the hash of i; no points are needed."""
    leaves = sorted(_content(index) for index in range(case.int("count")))
    require(root(leaves, case.bytes("policy")) == case.bytes("root"), "cohorts: root")
    found = [content(sequence(cohort)) for cohort in cohorts(leaves, case.bytes("beacon"))]
    digests = case.decode("cohorts", lambda reader: reader.sequence(MAX_RING, reader.digest))
    require(found == digests, "cohorts: members")


@functools.cache
def _content(index):
    return group.content(uint(index, 4))


def self_test():
    """Trees by hand, and sizes of cohorts."""
    a, b, c = (bytes([byte]) * 32 for byte in (1, 2, 3))
    h = [digest("registry/leaf", leaf) for leaf in (a, b, c)]
    ab = digest("registry/node", h[0] + h[1])
    assert merkle_root([a, b, c]) == digest("registry/node", ab + h[2])
    assert [split(count) for count in (2, 3, 4, 5, 8, 9)] == [1, 2, 2, 4, 4, 8]
