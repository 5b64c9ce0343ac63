"""A whole contribution: from a community's founding document and its log to the verdict on one ballot."""

import ballot
import credential
import snapshot
from attestation import Registration, verify
from cards import Cards
from charter import MAX_OPERATORS, MAX_TEXT, Genesis
from codec import data, is_blank, sequence, uint
from credential import LEAVES, ring
from group import content, digest, point, require
from moderation import Items
from link import MAX_SUBSETS, Link, Shape, subsets
from seal import x25519
from transcript import Transcript

MAX_STATEMENT, MAX_ENTRIES = 4096, 4096
MAX_ROWS, MAX_SEQUENCE = 3 * ballot.MAX_ITEMS + 49, 15
MAX_POLLS, MAX_OPEN_ROUNDS = 4096, 56
MAX_REGISTRATIONS, MAX_CANDIDATES = 32_768, 512
LAST_TIME = (1 << 64) - 1
STATEMENTS, VALUES = 1, 2
WITHDRAWN = bytes(32)


def later(time, millis):
    """Return the moment so many milliseconds later; there is none after the last."""
    return min(time + millis, LAST_TIME)


class Plan:
    """The plan of a round, and what happens to it before the opening."""

    def __init__(self, reader, planned_by):
        start = reader.position
        require(reader.uint(1) == 1, "log: rounds of deltas are not checked here")
        self.poll, self.number = reader.digest(), reader.uint(4)
        self.items = reader.sequence(ballot.MAX_ITEMS, reader.digest)
        self.duration, self.key_grace = reader.uint(8), reader.uint(8)
        require(not reader.boolean(), "log: rounds with classes are not checked here")
        self.encoded = reader.since(start)
        self.planned_by, self.is_finished = planned_by, False
        self.clocks_read, self.planned_at = set(), None

    def on_clock(self, operator, log):
        """Note that an operator read its clock: so many of them make log time a fresh one."""
        self.clocks_read.add(operator)
        if self.planned_at is None and len(self.clocks_read) >= log.quorum:
            self.planned_at = log.time()


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
        self.faulty = (len(genesis.operators) - 1) // 3
        self.quorum = len(genesis.operators) - self.faulty
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

    def _has_room(self, what, most, own):
        """Check an operator's share of what all of them may have."""
        require(len(own) < most // len(self.genesis.operators), f"log: too many {what} of one operator")

    def _register(self, reader, author):
        registration = Registration(reader)
        claim, words = registration.claim, registration.attestations
        attesters = [word.attester for word in words]
        require(claim.recovers is None, "log: recoveries are not checked here")
        require(claim.slots >> len(self.genesis.policy.attributes) == 0, "log: slots that mean nothing")
        require(author in attesters or (author == claim.key and words), "log: registrar")
        for word in words:
            require(word.attester in dict(self.genesis.charter.attesters), "log: attester")
            require(word.policy == self.genesis.policy.digest, "log: policy of an attestation")
            require(word.valid_from < word.expires, "log: time of an attestation")
        registration.check(self.genesis.community)
        leaves = {person.claim.leaf for person in self.people.values()}
        require(claim.key not in self.people and claim.leaf not in leaves, "log: registered twice")
        require(len(self.people) < MAX_REGISTRATIONS, "log: too many registrations")
        registration.sponsor = author if author in attesters else attesters[0]
        waiting = [one for one in self.people.values() if one.sponsor == registration.sponsor and not self._admits(one)]
        require(len(waiting) < MAX_CANDIDATES, "log: too many of one attester who are not admitted")
        self.people[claim.key] = registration

    def _admits(self, person):
        return self.genesis.charter.admits(person.attestations, self.time())

    def members(self):
        """Return the registrations of all members, as of now."""
        return list(filter(self._admits, self.people.values()))

    def _poll(self, reader, author):
        start = reader.position
        poll = Poll(reader.tag("PollKind", (1, 2, 3, 4)), author)
        require(not is_blank(reader.text(MAX_TEXT)), "log: question")
        reader.text(MAX_STATEMENT)
        self._has_room("polls", MAX_POLLS, [one for one in self.polls.values() if one.opened_by == author])
        identity = digest("poll", self.genesis.community + content(reader.since(start)))
        require(identity not in self.polls, "log: a poll that is there")
        self.polls[identity] = poll

    def _propose(self, reader, author):
        is_member = author in {member.claim.key for member in self.members()}
        require(author in self.genesis.operators or is_member, "log: proposer")
        poll, text = reader.digest(), reader.text(MAX_STATEMENT)
        require(poll in self.polls and not is_blank(text), "log: item")
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

    def _plan(self, reader, author):
        plan = Plan(reader, author)
        own = [one for one in self.plans.values() if one.planned_by == author and not one.is_finished]
        self._has_room("open rounds", MAX_OPEN_ROUNDS, own)
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
        require(x25519(bytes(32), key) != bytes(32), "log: a key of small order")
        require((identity, author) not in self.keys, "log: a key that is there")
        self.keys[identity, author] = key

    def _clock(self, reader, author):
        now = reader.uint(8)
        require(now > self.clocks.get(author, 0), "log: a clock that runs backwards")
        self.clocks[author] = now
        for plan in self.plans.values():
            plan.on_clock(author, self)

    def time(self):
        """Return log time: the lower median of the operators' clocks."""
        times = sorted(self.clocks.get(operator, 0) for operator in self.genesis.operators)
        return times[(len(times) - 1) // 2]

    def _open(self, reader, _author):
        identity, start = reader.digest(), reader.position
        require(identity in self.plans and identity not in self.manifests, "log: round of an opening")
        keys = reader.sequence(MAX_OPERATORS, lambda: reader.optional(reader.digest))
        encoded_keys, claimed = reader.since(start), reader.digest()
        require(keys == [self.keys.get((identity, operator)) for operator in self.genesis.operators], "log: keys")
        require(len(keys) - keys.count(None) >= self.quorum, "log: too few keys")
        plan = self.plans[identity]
        require(plan.planned_at is not None, "log: an opening before the clocks were read")
        is_due = self.time() >= later(plan.planned_at, plan.key_grace)
        require(is_due or None not in keys, "log: an opening without every key")
        leaves = sorted(member.claim.leaf for member in self.members())
        root = snapshot.root(leaves, self.genesis.policy.digest)
        require(root == claimed, "log: snapshot of a round")
        beacon = digest("registry/cohort", identity + encoded_keys)
        self.manifests[identity] = Manifest(self, identity, leaves, encoded_keys, beacon)


class Manifest:
    """What an open round pins."""

    def __init__(self, log, identity, leaves, keys, beacon):
        plan, genesis = log.plans[identity], log.genesis
        self.leaves, self.cohorts = leaves, snapshot.cohorts(leaves, beacon)
        self.root = snapshot.root(leaves, genesis.policy.digest)
        self.digest = digest("object", plan.encoded + keys + self.root + sequence([]))
        subject = genesis.community + genesis.policy.digest + self.root + identity
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
