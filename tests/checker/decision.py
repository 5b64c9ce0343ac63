"""What operators decide: batches with their certificates, evidence of contradictions, a bundle with a checkpoint."""

from attestation import verify
from charter import MAX_OPERATORS, Genesis
from codec import Reader, Refused, data, sequence, uint, whole
from group import content, digest, require

MAX_ENTRIES, MAX_ENTRY, MAX_BATCH = 4096, 72 * 1024, 1024 * 1024
MAX_GENESIS, MAX_DECISION, MAX_BLOB = 256 * 1024, MAX_BATCH + 4 * MAX_ENTRIES + 1024, 64 * 1024 * 1024
LAST_ROUND = (1 << 31) - 1
PREVOTE, PRECOMMIT = 0, 1
MAGIC, VERSION = b"CHORUSAB", 1
END, DECISION, BLOB = 0, 1, 2
CLOCK, CHECKPOINT = 8, 34
CHECKPOINT_EVERY = 16


def _round(reader):
    found = reader.uint(4)
    require(found <= LAST_ROUND, "log: a round beyond all rounds")
    return found


class Decision:
    """A batch, and the precommits that made it final."""

    def __init__(self, reader):
        start = reader.position
        self.height, self.previous = reader.uint(8), reader.digest()
        self.entries = [reader.data(MAX_ENTRY) for _ in range(reader.count(MAX_ENTRIES))]
        require(sum(map(len, self.entries)) <= MAX_BATCH, "encoding: a batch over its bound")
        self.id = digest("log/batch", reader.since(start))
        self._height, self._round, self._value = reader.uint(8), _round(reader), reader.digest()
        self._signatures = reader.sequence(MAX_OPERATORS, lambda: (reader.digest(), reader.take(64)))

    def check(self, community, operators):
        """Check that a quorum of the operators precommitted this batch."""
        require(self._height == self.height, "certificate: height")
        require(self._value == self.id, "certificate: batch")
        require(len(self._signatures) == 2 * len(operators) // 3 + 1, "certificate: number of signatures")
        signers = [signer for signer, _ in self._signatures]
        require(all(a < b for a, b in zip(signers, signers[1:])), "certificate: order of the signers")
        require(set(signers) <= set(operators), "certificate: a signer who is no operator")
        for signer, signature in self._signatures:
            vote = uint(PRECOMMIT, 1) + uint(self.height, 8) + uint(self._round, 4) + uint(1, 1) + self.id + signer
            require(verify("log/vote", signer, community + vote, signature), "certificate: signature")


def check(case):
    """Check a vector: one decision."""
    operators = case.decode("operators", lambda reader: reader.sequence(MAX_OPERATORS, reader.digest))
    require(operators and all(a < b for a, b in zip(operators, operators[1:])), "committee: order")
    decision = case.decode("decision", Decision)
    require(decision.previous == case.bytes("previous"), "batch: the one before")
    decision.check(case.bytes("community"), operators)


class Vote:
    """A prevote or precommit with its signature."""

    def __init__(self, reader):
        start = reader.position
        self.step = reader.tag("vote", (PREVOTE, PRECOMMIT)), reader.uint(8), _round(reader)
        self.value = reader.optional(reader.digest)
        self.signer = reader.digest()
        self._statement = reader.since(start)
        self._signature = reader.take(64)
        self.encoded = reader.since(start)

    def check(self, community):
        """Check the signature."""
        require(verify("log/vote", self.signer, community + self._statement, self._signature), "evidence: signature")


def check_evidence(case):
    """Check a vector: two votes of one operator that contradict each other."""

    def read(reader):
        reader.tag("evidence of votes", (0,))
        return Vote(reader), Vote(reader)

    first, second = case.decode("evidence", read)
    require(first.encoded <= second.encoded, "evidence: order")
    require(first.signer == second.signer, "evidence: of two signers")
    require(first.step == second.step, "evidence: of two steps")
    require(first.value != second.value, "evidence: of one value")
    for vote in (first, second):
        vote.check(case.bytes("community"))
    require(first.signer == case.bytes("culprit"), "evidence: whom it convicts")


class Clocks:
    """A log of clock readings and checkpoints, and the state that it leads to."""

    def __init__(self, founding):
        self._founding = founding
        self.genesis = whole(founding, Genesis)
        self.height, self.tip, self._clocks = 0, self.genesis.community, {}

    def push(self, decision):
        """Take a decision in."""
        require(decision.height == self.height + 1, "log: height")
        require(decision.previous == self.tip, "log: the batch before")
        decision.check(self.genesis.community, self.genesis.operators)
        require(decision.entries, "log: a batch without entries")
        for place, entry in enumerate(decision.entries):
            self._apply(entry, place == 0)
        self.height, self.tip = decision.height, decision.id

    def _apply(self, entry, is_first):
        reader = Reader(entry)
        author, start = reader.digest(), reader.position
        kind = reader.tag("entries checked here", (CLOCK, CHECKPOINT))
        require(author in self.genesis.operators, "log: author is no operator")
        if kind == CLOCK:
            time = reader.uint(8)
            require(time > self._clocks.get(author, 0), "log: a clock that does not go on")
        else:
            height, state, length = reader.uint(8), reader.digest(), reader.uint(4)
            due = is_first and self.height > 0 and self.height % CHECKPOINT_EVERY == 0
            require(due and height == self.height, "checkpoint: height")
            require(state == content(self.state()) and length == len(self.state()), "checkpoint: state")
        signed = self.genesis.community + author + reader.since(start)
        require(verify("log/entry", author, signed, reader.take(64)), "log: signature of an entry")
        reader.finish()
        if kind == CLOCK:
            self._clocks[author] = time

    def state(self):
        """Return the state as bytes. All that nobody spoke of is empty."""
        founding, operators = self._founding, self.genesis.operators
        nothing = sequence([])
        # People, leaves, vouches, words about them, last vouches, penalties, vouched; when they were counted; removals, removed,
        # expulsions, census; snapshots taken.
        registry = 7 * nothing + uint(0, 8) + 4 * nothing + uint(0, 8)
        # The founding document is name, purpose and the charter but for the weights, of which there are none.
        charter = founding[self.genesis.charter_at :] + nothing
        governance = uint(self.height, 8) + uint(0, 8) + nothing + uint(0, 1) + 2 * nothing + sequence(operators)
        clocks = sequence([author + uint(time, 8) for author, time in sorted(self._clocks.items())])
        tables = sequence([charter]) + nothing
        # Polls, series, rounds, statements about cards, convicted operators.
        return uint(1, 1) + founding + registry + tables + governance + clocks + 5 * nothing


def check_bundle(case):
    """Check a vector: a bundle of clock readings and a checkpoint."""
    bundle = Reader(case.bytes("bundle"))
    require(bundle.take(8) == MAGIC, "bundle: magic")
    require(bundle.uint(1) == VERSION, "bundle: version")
    log = Clocks(bundle.data(MAX_GENESIS))
    while True:
        kind = bundle.uint(1)
        if kind == END:
            return bundle.finish()
        if kind != DECISION:
            raise Refused("bundle: a blob that nothing names" if kind == BLOB else "bundle: an unknown frame")
        log.push(whole(bundle.data(MAX_DECISION), Decision))


def self_test():
    """A quorum is more than two thirds."""
    assert [2 * n // 3 + 1 for n in (1, 4, 5, 7)] == [1, 3, 4, 5]
    assert data(b"") == sequence([])
