"""A whole contribution: from a community's founding document and its log to the verdict on one ballot."""

import ballot
import credential
import snapshot
from attestation import Registration, verify
from cards import Cards
from codec import data, sequence, uint
from credential import LEAVES, ring
from group import content, digest, point, require
from leaf import SLOTS
from moderation import Items
from link import MAX_SUBSETS, Link, Shape, subsets
from transcript import Transcript

MAX_TEXT, MAX_NAME, MAX_OPERATORS, MAX_ATTESTERS, MAX_VALUES = 1024, 64, 7, 64, 32
MAX_STATEMENT, MAX_ENTRY, MAX_ENTRIES = 4096, 72 * 1024, 4096
MAX_ROWS, MAX_SEQUENCE = 3 * ballot.MAX_ITEMS + 49, 15
STATEMENTS, VALUES = 1, 2
QUORUM = 1
WITHDRAWN = bytes(32)


class Genesis:
    """The founding document. Of admission rules, only a quorum of attesters is known here."""

    def __init__(self, reader):
        start = reader.position
        reader.text(MAX_TEXT)
        reader.text(MAX_TEXT)
        self.charter_at = reader.position - start
        self.operators = reader.sequence(MAX_OPERATORS, reader.digest)
        attesters = reader.sequence(MAX_ATTESTERS, lambda: (reader.digest(), reader.text(MAX_NAME)))
        self.organisations = dict(attesters)
        policy = reader.position
        self._policy(reader)
        self.policy = content(reader.since(policy))
        self.community = digest("community", reader.since(start))

    def _policy(self, reader):
        self.min_contributions, self.floor, self.group_floor = (reader.uint(4) for _ in range(3))
        for _ in range(3):
            reader.uint(4)
        reader.tag("Admission", (QUORUM,))
        self.needed, _, self.per_organisation = (reader.uint(1) for _ in range(3))
        self.attributes = len(reader.sequence(SLOTS, lambda: self._attribute(reader)))
        for size in (4, 4, 8, 8, 1):
            reader.uint(size)

    @staticmethod
    def _attribute(reader):
        reader.text(MAX_NAME)
        reader.sequence(MAX_VALUES, lambda: reader.text(MAX_NAME))

    def admits(self, registration, now):
        """Tell whether enough attesters vouch for somebody at log time `now`."""
        count = {}
        for word in registration.attestations:
            if word.attester in self.organisations and word.valid_from <= now < word.expires:
                organisation = self.organisations[word.attester]
                count[organisation] = count.get(organisation, 0) + 1
        return sum(min(words, self.per_organisation) for words in count.values()) >= self.needed


class Plan:
    """The plan of a round."""

    def __init__(self, reader):
        start = reader.position
        require(reader.uint(1) == 1, "log: rounds of deltas are not checked here")
        self.poll, self.number = reader.digest(), reader.uint(4)
        self.items = reader.sequence(ballot.MAX_ITEMS, reader.digest)
        self.duration = reader.uint(8)
        reader.uint(8)
        require(not reader.boolean(), "log: rounds with classes are not checked here")
        self.encoded = reader.since(start)


class Poll(Items):
    """A poll, its items and how many rounds it has had."""

    def __init__(self, kind, opened_by):
        super().__init__(kind, opened_by)
        self.rounds = 0


class Log:
    """The state that a log leads to: as much of it as contributions depend on."""

    def __init__(self, genesis):
        self.genesis = genesis
        self.people, self.clocks, self.polls, self.plans, self.keys, self.manifests = {}, {}, {}, {}, {}, {}
        self.cards = Cards(len(genesis.operators))

    def apply(self, reader):
        """Read one entry, take it in and check its author's signature."""
        author, start = reader.digest(), reader.position
        tag = reader.uint(1)
        by_operators = {2: self._poll, 4: self._plan, 5: self._key, 6: self._open, 8: self._clock}
        by_operators |= {40: self.cards.canonical, 41: self.cards.merge}
        by_operators |= {50: self._rules, 51: self._moderate}
        by_others = {1: self._register, 3: self._propose, 52: self._propose_with}
        require(tag in by_operators | by_others, f"log: entries of kind {tag} are not checked here")
        require(tag in by_others or author in self.genesis.operators, "log: author is no operator")
        (by_operators | by_others)[tag](reader, author)
        signed = self.genesis.community + author + reader.since(start)
        require(verify("log/entry", author, signed, reader.take(64)), "log: signature of an entry")

    def _register(self, reader, author):
        registration = Registration(reader)
        claim, words = registration.claim, registration.attestations
        require(claim.recovers is None, "log: recoveries are not checked here")
        require(claim.slots >> self.genesis.attributes == 0, "log: slots that mean nothing")
        require(author in {word.attester for word in words} or (author == claim.key and words), "log: registrar")
        for word in words:
            require(word.attester in self.genesis.organisations, "log: attester")
            require(word.policy == self.genesis.policy, "log: policy of an attestation")
            require(word.valid_from < word.expires, "log: time of an attestation")
        registration.check(self.genesis.community)
        leaves = {person.claim.leaf for person in self.people.values()}
        require(claim.key not in self.people and claim.leaf not in leaves, "log: registered twice")
        self.people[claim.key] = registration

    def members(self):
        """Return the registrations of all members, as of now."""
        now = self.time()
        return [person for person in self.people.values() if self.genesis.admits(person, now)]

    def _poll(self, reader, author):
        start = reader.position
        poll = Poll(reader.tag("PollKind", (1, 2, 3, 4)), author)
        require(reader.text(MAX_TEXT).strip(), "log: question")
        reader.text(MAX_STATEMENT)
        identity = digest("poll", self.genesis.community + content(reader.since(start)))
        require(identity not in self.polls, "log: a poll that is there")
        self.polls[identity] = poll

    def _propose(self, reader, author):
        is_member = author in {member.claim.key for member in self.members()}
        require(author in self.genesis.operators or is_member, "log: proposer")
        poll, text = reader.digest(), reader.text(MAX_STATEMENT)
        require(poll in self.polls and text.strip(), "log: item")
        self.polls[poll].propose(content(text.encode()), text, author, self.genesis.operators)
        if self.polls[poll].kind == VALUES:
            self.cards.propose(text)
        return self.polls[poll], content(text.encode())

    def _propose_with(self, reader, author):
        require(reader.uint(1) == 1, "log: anonymous proposals are not checked here")
        poll, item = self._propose(reader, author)
        poll.annotate(reader, item, author in self.genesis.operators)

    def _poll_of(self, reader):
        poll = reader.digest()
        require(poll in self.polls, "log: poll of a word")
        return self.polls[poll]

    def _rules(self, reader, author):
        self._poll_of(reader).state_rules(reader, author, self.genesis.operators)

    def _moderate(self, reader, author):
        self._poll_of(reader).moderate(reader, author, self.genesis.operators)

    def _plan(self, reader, _author):
        plan = Plan(reader)
        require(plan.poll in self.polls, "log: poll of a round")
        poll, items = self.polls[plan.poll], set(plan.items)
        require(plan.number == poll.rounds + 1, "log: number of a round")
        require(items and len(items) == len(plan.items) and items <= set(poll.items), "log: items of a round")
        asked = [poll.is_asked(item, self.genesis.operators) for item in plan.items]
        require(all(asked), "log: a round asks what is kept out")
        poll.rounds += 1
        self.plans[digest("round", self.genesis.community + content(plan.encoded))] = plan

    def _key(self, reader, author):
        identity, key = reader.digest(), reader.digest()
        require(identity in self.plans and identity not in self.manifests, "log: round of a key")
        require((identity, author) not in self.keys, "log: a key that is there")
        self.keys[identity, author] = key

    def _clock(self, reader, author):
        now = reader.uint(8)
        require(now > self.clocks.get(author, 0), "log: a clock that runs backwards")
        self.clocks[author] = now

    def time(self):
        """Return log time: the lower median of the operators' clocks."""
        times = sorted(self.clocks.get(operator, 0) for operator in self.genesis.operators)
        return times[(len(times) - 1) // 2]

    def _open(self, reader, _author):
        identity, start = reader.digest(), reader.position
        require(identity in self.plans and identity not in self.manifests, "log: round of an opening")
        keys = reader.sequence(MAX_OPERATORS, lambda: reader.optional(reader.digest))
        encoded_keys, claimed = reader.since(start), reader.digest()
        require(None not in keys, "log: openings without every key are not checked here")
        require(keys == [self.keys.get((identity, operator)) for operator in self.genesis.operators], "log: keys")
        leaves = sorted(member.claim.leaf for member in self.members())
        root = snapshot.root(leaves, self.genesis.policy)
        require(root == claimed, "log: snapshot of a round")
        beacon = digest("registry/cohort", identity + encoded_keys)
        self.manifests[identity] = Manifest(self, identity, leaves, encoded_keys, beacon)


class Manifest:
    """What an open round pins."""

    def __init__(self, log, identity, leaves, keys, beacon):
        plan, genesis = log.plans[identity], log.genesis
        self.leaves, self.cohorts = leaves, snapshot.cohorts(leaves, beacon)
        self.root = snapshot.root(leaves, genesis.policy)
        self.digest = digest("object", plan.encoded + keys + self.root + sequence([]))
        subject = genesis.community + genesis.policy + self.root + identity
        self.scope = digest("scope", subject + data(b"vote"))
        self.layout = ballot.Layout(len(plan.items), log.polls[plan.poll].kind == STATEMENTS)


class Ballot:
    """A committed, proved and masked ballot."""

    def __init__(self, reader):
        self.shape = Shape.read(reader)
        self.commitments = reader.sequence(MAX_ROWS, reader.digest)
        self.seed_digests = reader.sequence(MAX_SUBSETS, reader.digest)
        self.masked, self.boxes = reader.digest(), reader.digest()
        self.link = Link(reader)
        self.proof = ballot.Proof(reader)

    def core(self, context, on_map, chosen_class):
        """Return the digest of the core."""
        choices = uint(on_map, 1) + uint(chosen_class, 2)
        parts = sequence(self.commitments) + sequence(self.seed_digests) + self.masked
        return digest("core", context + choices + self.shape.encode() + parts)

    def check_form(self, layout, operators):
        """Check shape and lengths."""
        shape = self.shape
        expected = (layout.data_rows, 1, 250)
        require((shape.rows, shape.columns, shape.lane_bits) == expected, "contribution: shape")
        require(len(self.commitments) == 1 + layout.data_rows, "contribution: number of commitments")
        require(len(self.seed_digests) == len(subsets(operators)), "contribution: number of seeds")

    def check(self, transcript, layout, operators):
        """Check link and proof."""
        gamma = self.link.challenge(transcript)
        commitments = [point(commitment, "contribution: commitment") for commitment in self.commitments]
        self.link.check(operators, self.shape, gamma, commitments)
        self.proof.check(transcript, layout, commitments[1:])


class Body:
    """The public part of a contribution."""

    def __init__(self, reader):
        self.round, self.tag = reader.digest(), reader.digest()
        self.sequence, self.on_map, self.chosen_class = reader.uint(1), reader.boolean(), reader.uint(2)
        self.ballot = Ballot(reader) if reader.tag("Content", (0, 1)) else None
        self.credential = credential.read(reader)

    def check(self, log):
        """Check the whole contribution against the log."""
        genesis = log.genesis
        require(self.round in log.manifests, "contribution: round")
        manifest = log.manifests[self.round]
        require(self.chosen_class == 0, "contribution: class")
        require(self.sequence <= MAX_SEQUENCE, "contribution: sequence number")
        context = digest("context", genesis.community + self.round + self.tag + uint(self.sequence, 1))
        core = boxes = WITHDRAWN
        if self.ballot:
            self.ballot.check_form(manifest.layout, len(genesis.operators))
            core, boxes = self.ballot.core(context, self.on_map, self.chosen_class), self.ballot.boxes
        else:
            require(not self.on_map, "contribution: a withdrawal on the map")

        holder = self.credential.holder(manifest.leaves)
        leaves = None
        if holder.kind == credential.HIDDEN:
            require(holder.number < len(manifest.cohorts), "contribution: cohort")
            leaves = ring(LEAVES, manifest.cohorts[holder.number])
        require(self.credential.claim is None, "contribution: a group in a round without classes")
        scopes = [(manifest.scope, self.tag)]
        statement = credential.Statement(scopes, holder, [], None, manifest.root)

        transcript = Transcript("contribution")
        transcript.absorb("manifest", manifest.digest)
        transcript.absorb_sequence("operators", genesis.operators)
        transcript.absorb("core", context + core)
        transcript.absorb("boxes", boxes)
        transcript.absorb("eligibility", statement.encode())
        if self.ballot:
            self.ballot.check(transcript, manifest.layout, len(genesis.operators))
        self.credential.check(transcript, statement, leaves, None)


def check_log(case):
    """Check a vector: founding document, log."""
    log = Log(case.decode("genesis", Genesis))
    case.decode("log", lambda reader: reader.sequence(MAX_ENTRIES, lambda: log.apply(reader)))


_logs = {}


def check(case):
    """Check a vector: founding document, log, body."""
    founding, entries = case.bytes("genesis"), case.bytes("log")
    key = content(founding + entries)
    if key not in _logs:
        log = Log(case.decode("genesis", Genesis))
        case.decode("log", lambda reader: reader.sequence(MAX_ENTRIES, lambda: log.apply(reader)))
        _logs[key] = log
    case.decode("body", Body).check(_logs[key])


def self_test():
    """Bounds that follow from one another."""
    assert MAX_ROWS == 1549 and len(WITHDRAWN) == 32
