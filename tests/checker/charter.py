"""The founding document and the rules in force: who runs a community, and by which numbers."""

from attestation import MAX_ATTESTERS
from codec import is_blank
from group import content, digest, require
from leaf import SLOTS

MAX_TEXT, MAX_NAME, MAX_OPERATORS, MAX_VALUES = 1024, 64, 7, 32
MAX_CLASSES, MAX_WEIGHT, MAX_ANONYMOUS = MAX_VALUES + 1, 1_000_000, 20
QUORUM = 1
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
        start = reader.position
        self.numbers = {name: reader.uint(size) for name, size, _ in NUMBERS}
        require(reader.uint(1) == QUORUM, "policy: admission but by a quorum is not checked here")
        self.admission = tuple(reader.uint(1) for _ in range(3))
        self.attributes = reader.sequence(SLOTS, lambda: self._attribute(reader))
        self.numbers |= {name: reader.uint(size) for name, size, _ in MORE_NUMBERS}
        self.digest = content(reader.since(start))

    @staticmethod
    def _attribute(reader):
        return reader.text(MAX_NAME), reader.sequence(MAX_VALUES, lambda: reader.text(MAX_NAME))

    def check(self, attesters):
        """Check that the numbers go together, and the quorum with the attesters."""
        it = self.numbers
        require(2 <= it["floor"] <= it["min_contributions"], "policy: floor")
        require(it["group_floor"] >= min(2 * it["floor"], (1 << 32) - 1), "policy: floor of groups")
        require(0 < it["bar_numerator"] < it["bar_denominator"], "policy: bar")
        require(it["floor"] <= it["class_floor"] <= it["class_members"], "policy: floor of classes")
        require(it["anonymous_proposals"] <= MAX_ANONYMOUS, "policy: anonymous proposals")
        needed, faulty, per_organisation = self.admission
        possible = _count([organisation for _, organisation in attesters], per_organisation)
        require(possible >= needed, "policy: nobody could be admitted")
        require(2 * needed > len(attesters) + faulty, "policy: one person could be admitted twice")
        for name, values in self.attributes:
            require(not any(map(is_blank, [name, *values])), "policy: a blank name")
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

    def admits(self, attestations, now):
        """Tell whether enough attesters vouch for somebody at log time `now`."""
        needed, _, per_organisation = self.policy.admission
        counting = {word.attester for word in attestations if word.valid_from <= now < word.expires}
        organisations = [organisation for key, organisation in self.attesters if key in counting]
        return _count(organisations, per_organisation) >= needed

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


def _count(organisations, most):
    return sum(min(organisations.count(one), most) for one in set(organisations))


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
        require(not is_blank(reader.text(MAX_TEXT)), "genesis: name")
        reader.text(MAX_TEXT)
        self.charter_at = reader.position - start
        self.charter = Charter(*people(reader), [])
        self.charter.check()
        self.operators, self.policy = self.charter.operators, self.charter.policy
        self.community = digest("community", reader.since(start))
