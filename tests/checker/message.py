"""Envelopes: version, community, kind; greetings and acknowledgements with what is signed in them."""

from attestation import verify
from codec import Reader
from group import require
from link import MAX_SUBSETS

VERSION, LAST_KIND, MAX_OPERATORS = 1, 16, 7
HELLO, ACKNOWLEDGEMENT, TIP, QUESTION, ANSWER, SIGHTING = 1, 5, 6, 14, 15, 16


class Hello:
    """An operator's word that it is reached at a node."""

    def __init__(self, reader):
        node, self.operator = reader.digest(), reader.digest()
        start = reader.position
        reader.uint(8)
        reader.uint(8)
        self._signed = node + reader.since(start)
        self._signature = reader.take(64)

    def check(self, community, operators):
        """Check the signature, and that it is an operator's."""
        require(self.operator in operators, "greeting: of no operator")
        good = verify("envelope", self.operator, community + self._signed, self._signature)
        require(good, "greeting: signature")


class Acknowledgement:
    """One operator's signature under the header of a contribution."""

    def __init__(self, reader):
        start = reader.position
        reader.digest()
        reader.digest()
        reader.uint(1)
        reader.boolean()
        reader.uint(2)
        reader.digest()
        reader.digest()
        reader.sequence(MAX_SUBSETS, reader.digest)
        self._header = reader.since(start)
        self._operator, self._signature = reader.uint(1), reader.take(64)

    def check(self, community, operators):
        """Check the signature of the operator that is named."""
        require(1 <= self._operator <= len(operators), "acknowledgement: of no operator")
        key = operators[self._operator - 1]
        good = verify("acknowledge", key, community + self._header, self._signature)
        require(good, "acknowledgement: signature")


def check(case):
    """Check a vector: one envelope."""
    community, envelope = case.bytes("community"), Reader(case.bytes("envelope"))
    operators = case.decode("operators", lambda reader: reader.sequence(MAX_OPERATORS, reader.digest))
    require(envelope.uint(1) == VERSION, "envelope: version")
    require(envelope.digest() == community, "envelope: community")
    kind = envelope.uint(1)
    require(1 <= kind <= LAST_KIND, "envelope: a kind that nobody knows")
    if kind in (HELLO, SIGHTING):
        message = Hello(envelope)
    elif kind == ACKNOWLEDGEMENT:
        message = Acknowledgement(envelope)
    else:
        require(kind in (TIP, QUESTION, ANSWER), "envelope: a kind that is not checked here")
        envelope.take({TIP: 8, QUESTION: 32, ANSWER: 40}[kind])
        message = None
    envelope.finish()
    if message:
        message.check(community, operators)


def self_test():
    """The kinds are distinct."""
    assert len({HELLO, ACKNOWLEDGEMENT, TIP, QUESTION, ANSWER, SIGHTING}) == 6
