"""An operator's consent to other rules: the draft, what members voted on, and whether their vote carries it."""

from attestation import MAX_ATTESTERS, verify
from codec import whole
from contribution import MAX_NAME, MAX_OPERATORS, MAX_TEXT, MAX_VALUES
from group import content, digest, require
from leaf import SLOTS

MAX_ITEMS, MAX_CLASSES, MAX_WEIGHT = 500, MAX_VALUES + 1, 1_000_000
MAX_ANONYMOUS, MAX_CHARTER, MAX_AHEAD = 20, 64 * 1024, 4096
AMEND, QUORUM = 33, 1
TOO_FEW, TOTALS = 0, 1
COMMITTEES = (1, 4, 5, 6, 7)

NUMBERS = [
    ("min_contributions", 4, "ballots needed"),
    ("floor", 4, "floor"),
    ("group_floor", 4, "ballots for a map"),
    ("bar_numerator", 4, None),
    ("bar_denominator", 4, None),
    ("min_seen", 4, "least seen"),
]
"""The numbers of a policy before the rule of admission: name, bytes, and what a change is called."""

MORE_NUMBERS = [
    ("class_members", 4, "members of a class"),
    ("class_floor", 4, "floor of a class"),
    ("grace_millis", 8, "grace in ms"),
    ("veto_millis", 8, "veto in ms"),
    ("anonymous_proposals", 1, "anonymous proposals"),
]
"""Those after the attributes."""


class Policy:
    """The rules in numbers. Of admission rules, only a quorum of attesters is known here."""

    def __init__(self, reader):
        self.numbers = {name: reader.uint(size) for name, size, _ in NUMBERS}
        reader.tag("Admission", (QUORUM,))
        self.admission = tuple(reader.uint(1) for _ in range(3))
        self.attributes = reader.sequence(SLOTS, lambda: self._attribute(reader))
        self.numbers |= {name: reader.uint(size) for name, size, _ in MORE_NUMBERS}

    @staticmethod
    def _attribute(reader):
        return reader.text(MAX_NAME), reader.sequence(MAX_VALUES, lambda: reader.text(MAX_NAME))

    def check(self, attesters):
        """Check that the numbers go together, and the quorum with the attesters."""
        it = self.numbers
        require(2 <= it["floor"] <= it["min_contributions"], "policy: floor")
        require(it["group_floor"] >= 2 * it["floor"], "policy: floor of groups")
        require(0 < it["bar_numerator"] < it["bar_denominator"], "policy: bar")
        require(it["floor"] <= it["class_floor"] <= it["class_members"], "policy: floor of classes")
        require(it["anonymous_proposals"] <= MAX_ANONYMOUS, "policy: anonymous proposals")
        needed, faulty, per_organisation = self.admission
        organisations = [organisation for _, organisation in attesters]
        possible = sum(min(organisations.count(one), per_organisation) for one in set(organisations))
        require(possible >= needed, "policy: nobody could be admitted")
        require(2 * needed > len(attesters) + faulty, "policy: one person could be admitted twice")
        for name, values in self.attributes:
            require(all(text.strip() for text in [name, *values]), "policy: a blank name")
            require(values and len(set(values)) == len(values), "policy: values of an attribute")


class Charter:
    """Who runs a community, and by which rules."""

    def __init__(self, operators, attesters, policy, weights):
        self.operators, self.attesters, self.policy, self.weights = operators, attesters, policy, weights

    @classmethod
    def read(cls, reader):
        """Read a charter."""
        operators, attesters, policy = people(reader)
        weights = reader.sequence(SLOTS, lambda: cls._weights(reader))
        return cls(operators, attesters, policy, weights)

    @staticmethod
    def _weights(reader):
        return reader.uint(1), reader.sequence(MAX_CLASSES, lambda: reader.uint(4))

    def check(self):
        """Check that a community can have these rules."""
        keys = [key for key, _ in self.attesters]
        require(len(self.operators) in COMMITTEES, "charter: number of operators")
        for some in (self.operators, keys):
            require(some == sorted(set(some)), "charter: keys in ascending order, each once")
        require(keys, "charter: no attester")
        self.policy.check(self.attesters)
        slots = [slot for slot, _ in self.weights]
        require(slots == sorted(set(slots)), "charter: slots of weights")
        for slot, weights in self.weights:
            require(slot < len(self.policy.attributes), "charter: weights of no attribute")
            require(len(weights) == 1 + len(self.policy.attributes[slot][1]), "charter: number of weights")
            other, rest = weights[0], weights[1:]
            require(all(other <= weight <= MAX_WEIGHT for weight in rest), "charter: a weight")

    def keeps_attributes(self, new):
        """Tell whether every slot and value means the same under other rules."""
        old, new = self.policy.attributes, new.policy.attributes
        pairs = list(zip(old, new))
        return len(pairs) == len(old) and all(a[0] == b[0] and a[1] == b[1][: len(a[1])] for a, b in pairs)

    def changes(self, new):
        """Return what other rules would change, in words."""
        mine, theirs = [key for key, _ in self.attesters], [key for key, _ in new.attesters]
        said = _movements("operator", self.operators, new.operators) + _movements("attester", mine, theirs)
        old, other = self.policy.numbers, new.policy.numbers
        for name, _, words in NUMBERS + MORE_NUMBERS:
            if words and old[name] != other[name]:
                said.append(f"{words} {old[name]} → {other[name]}")
        bars = [f"{it['bar_numerator']}/{it['bar_denominator']}" for it in (old, other)]
        if bars[0] != bars[1]:
            said.append(f"bar {bars[0]} → {bars[1]}")
        flags = [
            (self.policy.admission != new.policy.admission, "another rule of admission"),
            (self.policy.attributes != new.policy.attributes, "more attributes or values"),
            (self.weights != new.weights, "other fixed weights of classes"),
            (mine == theirs and self.attesters != new.attesters, "other organisations"),
        ]
        return said + [words for differs, words in flags if differs]


def _movements(what, old, new):
    joins = [f"{what} {key.hex()[:16]} joins" for key in new if key not in old]
    return joins + [f"{what} {key.hex()[:16]} leaves" for key in old if key not in new]


def people(reader):
    """Read what a founding document and a charter have alike: operators, attesters, policy."""
    operators = reader.sequence(MAX_OPERATORS, reader.digest)
    attesters = reader.sequence(MAX_ATTESTERS, lambda: (reader.digest(), reader.text(MAX_NAME)))
    return operators, attesters, Policy(reader)


class Genesis:
    """The founding document, and the charter that it is."""

    def __init__(self, reader):
        start = reader.position
        require(reader.text(MAX_TEXT).strip(), "genesis: name")
        reader.text(MAX_TEXT)
        self.charter = Charter(*people(reader), [])
        self.charter.check()
        self.community = digest("community", reader.since(start))


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
