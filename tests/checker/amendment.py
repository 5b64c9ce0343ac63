"""An operator's consent to other rules: the draft, what members voted on, and whether their vote carries it."""

from attestation import verify
from charter import Charter, Genesis
from codec import whole
from group import content, require

MAX_ITEMS, MAX_CHARTER, MAX_AHEAD = 500, 64 * 1024, 4096
AMEND = 33
TOO_FEW, TOTALS = 0, 1


class Consent:
    """An operator's word that a draft is to be the charter from a height on."""

    def __init__(self, reader):
        self.author, start = reader.digest(), reader.position
        require(reader.uint(1) == AMEND, "amendment: an entry of another kind")
        draft = reader.position
        self.number, charter = reader.uint(4), reader.position
        self.charter = Charter.read(reader)
        self.length = reader.position - charter
        self.draft = content(reader.since(draft))
        self.round, self.effective, self.word = reader.digest(), reader.uint(8), reader.uint(1)
        self._signed, self._signature = reader.since(start), reader.take(64)

    def item(self, current):
        """Return the item that members voted on: what changes, in words, and the draft's id."""
        words = "; ".join(current.changes(self.charter))
        return content(f"Amendment {self.number}: {words}. [draft {self.draft.hex()}]".encode())

    def check(self, genesis, height):
        """Check all but the vote, for a log without amendments that has come to a height."""
        signed = genesis.community + self.author + self._signed
        require(verify("log/entry", self.author, signed, self._signature), "amendment: signature")
        current = genesis.charter
        require(self.author in current.operators, "amendment: author is no operator")
        require(self.number == 1, "amendment: number")
        require(self.word == 1, "amendment: number of the word")
        require(height + 1 < self.effective <= height + 1 + MAX_AHEAD, "amendment: height")
        require(self.length <= MAX_CHARTER, "amendment: length")
        self.charter.check()
        require(current.changes(self.charter), "amendment: it changes nothing")
        require(current.keeps_attributes(self.charter), "amendment: slots mean something else")


class Report:
    """The result of a round, of which only totals are read here."""

    def __init__(self, reader):
        self.community, _, self.round, _ = (reader.digest() for _ in range(4))
        reader.uint(4)
        self.items = reader.sequence(MAX_ITEMS, reader.digest)
        self.totals = []
        if reader.tag("Outcome", (TOO_FEW, TOTALS)) == TOTALS:
            self.totals = reader.sequence(MAX_ITEMS, lambda: [reader.uint(8) for _ in range(3)])

    def check(self, item, policy):
        """Check that the ballots carry the draft that an item asks for."""
        require(item in self.items, "vote: the round did not ask")
        index = self.items.index(item)
        require(index < len(self.totals), "vote: no totals")
        agree, disagree, passed = self.totals[index]
        require(agree + disagree + passed >= policy.numbers["min_contributions"], "vote: too few said anything")
        require(agree > 0 and 3 * agree >= 2 * (agree + disagree), "vote: two thirds")


def check(case):
    """Check a vector: founding document, height of the log, consent, result of the vote."""
    genesis, consent = case.decode("genesis", Genesis), case.decode("consent", Consent)
    consent.check(genesis, case.int("height"))
    report = case.decode("report", Report)
    require(report.community == genesis.community and report.round == consent.round, "vote: another round")
    report.check(consent.item(genesis.charter), genesis.charter.policy)


def self_test():
    """Two thirds, to the vote."""

    class Rules:
        numbers = {"min_contributions": 3}

    def carried(*tally):
        counts = b"".join(count.to_bytes(8, "big") for count in tally)
        encoded = bytes(128) + bytes(4) + (1).to_bytes(4, "big") + bytes(32) + b"\1" + (1).to_bytes(4, "big") + counts
        try:
            whole(encoded, Report).check(bytes(32), Rules)
        except Exception:
            return False
        return True

    assert carried(2, 1, 0) and carried(4, 2, 0) and carried(1, 0, 2)
    assert not carried(1, 1, 1) and not carried(0, 0, 9) and not carried(2, 0, 0) and not carried(5, 3, 0)
