"""Divided rounds: who runs the cohorts, the lots that deal members to them, and a cohort's certified result."""

from amendment import MAX_ITEMS
from attestation import verify
from charter import COMMITTEES, MAX_OPERATORS, MAX_TEXT, Genesis
from codec import sequence, uint
from group import content, digest, require
from moderation import AMENDMENT
from snapshot import deal

MAX_COHORTS, MAX_STATEMENT, MAX_LEAVES = 128, 4096, 1 << 20
BALLOTS, RESULT = 1, 16
ORDER = "cohort/order"
KINDS = (1, 2, 3, 4)
MOST = (1 << 64) - 1


def faulty(operators):
    """Return how many of so many operators may be faulty."""
    return (operators - 1) // 3


class Plan:
    """The plan of a round of ballots without classes."""

    def __init__(self, reader):
        start = reader.position
        reader.tag("Subject", (BALLOTS,))
        self.poll, _ = reader.digest(), reader.uint(4)
        self.items = reader.sequence(MAX_ITEMS, reader.digest)
        self._times = reader.take(16)
        require(not reader.boolean(), "convening: a round with classes")
        self._encoded = reader.since(start)

    def id(self, community):
        """Return the id of the round in a community."""
        return digest("round", community + content(self._encoded))

    def of_cohort(self, opening, cohort):
        """Return the id of the cohort's round: the same, about the cohort's poll, as its first."""
        subject = uint(BALLOTS, 1) + poll(opening, cohort) + uint(1, 4) + sequence(self.items)
        return digest("round", cohort + content(subject + self._times + uint(0, 1)))


def poll(opening, community):
    """Return the id of a poll in a community."""
    return digest("poll", community + content(opening))


class Convening:
    """How a round is divided."""

    def __init__(self, reader):
        start = reader.position
        self.plan = Plan(reader)
        self.cohorts = reader.sequence(MAX_COHORTS, lambda: self._cohort(reader))
        reader.take(16)
        self._encoded = reader.since(start)

    @staticmethod
    def _cohort(reader):
        operators = reader.sequence(MAX_OPERATORS, reader.digest)
        reader.boolean()
        return operators

    def digest(self, community):
        """Return what stands for it in ids and lots."""
        return digest("cohort/convening", community + content(self._encoded))

    def check(self, parents):
        """Check the cohorts' operators beside those of their parent."""
        require(len(self.cohorts) >= 2, "convening: one cohort")
        for operators in self.cohorts:
            require(len(operators) in COMMITTEES, "convening: number of operators")
            require(operators == sorted(set(operators)), "convening: order of operators")
            require(faulty(len(operators)) >= faulty(len(parents)), "convening: fewer may be faulty")


def read_opening(reader):
    """Read the opening of a poll; return its bytes."""
    start = reader.position
    require(reader.tag("PollKind", KINDS) != AMENDMENT, "convening: a vote on the rules")
    reader.text(MAX_TEXT)
    reader.text(MAX_STATEMENT)
    return reader.since(start)


def numbered(reader):
    """Read digests of operators, in ascending order of these."""
    found = reader.sequence(MAX_OPERATORS, lambda: (reader.uint(1), reader.digest()))
    numbers = [number for number, _ in found]
    require(numbers == sorted(set(numbers)), "lots: order")
    return dict(found)


def beacon(convening, parents, commitments, lots):
    """Return the digest of lots that have been committed to."""
    quorum = len(parents) - faulty(len(parents))
    require(len(commitments) >= quorum, "lots: too few commitments")
    require(len(lots) >= quorum - faulty(len(parents)), "lots: too few")
    for operator, lot in lots.items():
        require(1 <= operator <= len(parents), "lots: of no operator")
        expected = digest("cohort/lot-commitment", convening + parents[operator - 1] + lot)
        require(commitments.get(operator) == expected, "lots: commitment")
    said = b"".join(uint(operator, 1) + lot for operator, lot in lots.items())
    return digest("cohort/beacon", convening + said)


class Sums:
    """What a cohort certifies: exact counts."""

    def __init__(self, reader):
        start = reader.position
        self.contributions, self.unopened, self.missing = (reader.uint(8) for _ in range(3))
        self.items = reader.sequence(MAX_ITEMS, lambda: [reader.uint(8) for _ in range(3)])
        self.id = content(reader.since(start))

    def check(self, members, items):
        """Check that a cohort of so many members can have these sums."""
        require(len(self.items) == items, "sums: number of items")
        people = min(self.contributions + self.unopened + self.missing, MOST)
        require(people <= members, "sums: more people than members")
        require(all(min(sum(it), MOST) <= self.contributions for it in self.items), "sums: more votes than ballots")


class CohortResult:
    """A cohort's result, as it is shown to its parent."""

    def __init__(self, reader):
        self.round, self.number = reader.digest(), reader.uint(2)
        start = reader.position
        self.own_round, _ = reader.digest(), reader.digest()
        self.follows = reader.optional(reader.digest)
        self._stated = uint(RESULT, 1) + reader.since(start)
        self.signatures = reader.sequence(MAX_OPERATORS, lambda: (reader.uint(1), reader.take(64)))
        self.sums = Sums(reader)

    def check(self, cohort, operators):
        """Check that enough operators of the cohort signed a statement that names the sums."""
        require(self.follows == self.sums.id, "result: sums")
        numbers = [number for number, _ in self.signatures]
        require(numbers == sorted(set(numbers)), "result: order of signatures")
        require(len(numbers) >= len(operators) - faulty(len(operators)), "result: too few signatures")
        for number, signature in self.signatures:
            require(1 <= number <= len(operators), "result: a signature of no operator")
            author = operators[number - 1]
            require(verify("log/entry", author, cohort + author + self._stated, signature), "result: signature")


def check(case):
    """Check a vector: convening, lots, dealing, and the certificate of one cohort."""
    genesis, opening = case.decode("genesis", Genesis), case.decode("opening", read_opening)
    convening = case.decode("convening", Convening)
    parent, parents = genesis.community, genesis.charter.operators
    convening.check(parents)
    require(convening.plan.poll == poll(opening, parent), "convening: poll")
    pinned = convening.digest(parent)
    decider = beacon(pinned, parents, case.decode("commitments", numbered), case.decode("lots", numbered))
    require(decider == case.bytes("beacon"), "dealing: beacon")
    leaves = sorted(content(uint(index, 4)) for index in range(case.int("members")))
    dealt = deal(leaves, ORDER, decider, len(convening.cohorts))
    digests = case.decode("cohorts", lambda reader: reader.sequence(MAX_COHORTS, reader.digest))
    require([content(sequence(cohort)) for cohort in dealt] == digests, "dealing: members")
    result = case.decode("result", CohortResult)
    require(result.round == convening.plan.id(parent), "result: round of the parent")
    require(result.number < len(convening.cohorts), "result: no such cohort")
    cohort = digest("cohort/community", parent + result.round + pinned + uint(result.number, 2))
    require(result.own_round == convening.plan.of_cohort(opening, cohort), "result: round of the cohort")
    result.sums.check(len(dealt[result.number]), len(convening.plan.items))
    result.check(cohort, convening.cohorts[result.number])


def self_test():
    """Numbers of faulty operators, and everybody in one cohort."""
    assert [faulty(count) for count in COMMITTEES] == [0, 1, 1, 1, 2]
    leaves = [bytes([number]) * 32 for number in range(11)]
    dealt = deal(leaves, ORDER, bytes(32), 3)
    assert [len(cohort) for cohort in dealt] == [4, 4, 3]
    assert sorted(sum(dealt, [])) == leaves
