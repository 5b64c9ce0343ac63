"""A whole audit bundle: `python3 bundle.py FILE…` prints a line for each, `accepted` or why it is refused.

It reads the file as `protocol/README.md` describes it and believes nothing in it: frames and hashes; the founding
document; the chain of batches and the quorum of signatures under each; every entry by the rules; the body of every
counting contribution with its credential, link and ballot proof; what was opened against the commitments; and the
result, made anew. A bundle that needs more (`README.md` says what that is) is refused as "not checked here".
"""

import sys
import time
from functools import cache
from pathlib import Path

import attestation
import contribution
import decision
import group
from charter import MAX_OPERATORS, Genesis
from codec import Reader, Refused, sequence, uint, whole
from contribution import MAX_SEQUENCE, WITHDRAWN, Body, Log, later
from decision import BLOB, DECISION, END, MAGIC, MAX_BLOB, MAX_DECISION, MAX_GENESIS, VERSION, Decision
from edwards import L
from group import content, digest, point, require, require_zero
from link import MAX_COLUMNS, MAX_DATA_ROWS, MAX_SUBSETS, subsets

MAX_MEMBERS, MAX_BLOCKS = 16_384, 64
TOTALS, GROUPS, STEPS = 1, 4, (1, 2, 3, 4)

# What was found to hold once holds again: files that differ in one place are checked one after the other.
attestation.verify = contribution.verify = decision.verify = verify = cache(attestation.verify)


class Header:
    """What the log keeps of a contribution."""

    def __init__(self, reader):
        start = reader.position
        self.round, self.tag, self.sequence = reader.digest(), reader.digest(), reader.uint(1)
        self.on_map, self.chosen_class = reader.boolean(), reader.uint(2)
        self.body, self.core = reader.digest(), reader.digest()
        self.seed_digests = reader.sequence(MAX_SUBSETS, reader.digest)
        self.encoded = reader.since(start)


class Statements:
    """What operators state about one thing, each once. What more than f of them state alike first stays."""

    def __init__(self, faulty):
        self._faulty, self._stated, self.agreed = faulty, {}, None

    def add(self, operator, value, what):
        """Note what an operator states."""
        require(operator not in self._stated, f"log: {what} twice")
        self._stated[operator] = value
        alike = list(self._stated.values()).count(value)
        if self.agreed is None and alike > self._faulty:
            self.agreed = value

    def add_alike(self, operator, value, what):
        """Note it, where nothing else may be stated once something is agreed."""
        require(self.agreed in (None, value), f"log: other {what} than are agreed")
        self.add(operator, value, what)

    def __bool__(self):
        return bool(self._stated)


class Round:
    """What the log says of an open round, besides what it pins."""

    def __init__(self, deadline, faulty):
        self.deadline = deadline
        self.attempts, self.seeds = {}, set()
        self.sealed = self.set = None
        self.openings, self.erased = set(), set()
        self.opened = {step: Statements(faulty) for step in STEPS}
        self.partition, self.results = Statements(faulty), Statements(faulty)

    def counting(self):
        """Return the latest contribution of each tag, in order of the tags."""
        return [self.attempts[tag][max(self.attempts[tag])] for tag in sorted(self.attempts)]

    def seal(self, identity):
        """Fix the set: what counts and is no withdrawal."""
        self.sealed = [header for header in self.counting() if header.seed_digests]
        parts = [header.tag + uint(header.sequence, 1) + header.core for header in self.sealed]
        self.set = digest("sealed-set", identity + b"".join(parts))


class WholeLog(Log):
    """The state that a log leads to, with what comes of rounds."""

    def __init__(self, genesis):
        super().__init__(genesis)
        self.rounds, self.named = {}, []

    def apply(self, reader):
        """Read one entry, take it in and check its author's signature."""
        author, start = reader.digest(), reader.position
        of_rounds = {7: self._contribution, 9: self._close, 10: self._opening, 11: self._opened}
        of_rounds |= {15: self._partition, 16: self._result, 17: self._erased}
        tag = reader.uint(1)
        if tag not in of_rounds:
            reader.position -= 33
            super().apply(reader)
            return
        require(author in self.genesis.operators, "log: author is no operator")
        of_rounds[tag](reader, author)
        signed = self.genesis.community + author + reader.since(start)
        require(verify("log/entry", author, signed, reader.take(64)), "log: signature of an entry")

    def _open(self, reader, author):
        start = reader.position
        super()._open(reader, author)
        identity = reader.since(start)[:32]
        self.rounds[identity] = Round(later(self.time(), self.plans[identity].duration), self.faulty)

    def _round(self, reader):
        identity = reader.digest()
        require(identity in self.rounds, "log: no such round")
        return identity, self.rounds[identity]

    def _name(self, blob):
        if blob not in self.named:
            self.named.append(blob)

    def _contribution(self, reader, _author):
        header = Header(reader)
        words = reader.sequence(MAX_OPERATORS, lambda: (reader.uint(1), reader.take(64)))
        require(header.round in self.rounds, "log: round of a contribution")
        this = self.rounds[header.round]
        require(this.sealed is None, "log: a contribution after the closing")
        numbers = [number for number, _ in words]
        require(len(words) >= self.quorum and numbers == sorted(set(numbers)), "log: acknowledgements")
        for number, signature in words:
            require(1 <= number <= len(self.genesis.operators), "log: operator of an acknowledgement")
            operator, signed = self.genesis.operators[number - 1], self.genesis.community + header.encoded
            require(verify("acknowledge", operator, signed, signature), "log: signature of an acknowledgement")
        # Whether somebody consents to a point is theirs to say in every round without classes.
        require(header.sequence <= MAX_SEQUENCE and header.chosen_class == 0, "log: header of a contribution")
        fresh = set(header.seed_digests)
        number = len(subsets(len(self.genesis.operators))) if header.seed_digests else 0
        require(len(fresh) == len(header.seed_digests) == number, "log: number of seeds")
        require(not fresh & this.seeds, "log: a seed a second time")
        attempts = this.attempts.setdefault(header.tag, {})
        require(header.sequence not in attempts, "log: a contribution a second time")
        members = min(len(self.manifests[header.round].leaves), MAX_MEMBERS)
        require(len(this.attempts) <= members, "log: more tags than members")
        attempts[header.sequence] = header
        this.seeds |= fresh
        self._name(header.body)

    def _close(self, reader, _author):
        identity, this = self._round(reader)
        require(this.sealed is None, "log: closed twice")
        require(self.time() >= this.deadline, "log: closed before the deadline")
        this.seal(identity)

    def _of_set(self, reader):
        _, this = self._round(reader)
        require(this.sealed is not None and reader.digest() == this.set, "log: a step of another set")
        return this

    def _opening(self, reader, author):
        this, step = self._of_set(reader), reader.tag("Step", STEPS)
        reader.digest()
        sums = reader.sequence(MAX_SUBSETS, lambda: (reader.uint(1), reader.digest()))
        number = 1 + self.genesis.operators.index(author)
        sets = subsets(len(self.genesis.operators))
        held = [index for index, members in enumerate(sets) if number not in members]
        require([index for index, _ in sums] == held, "log: subsets of an opening")
        require(self.opens(this), "log: an opening of too few")
        require(step != GROUPS or this.partition.agreed, "log: an opening of groups before the partition")
        require((step, author) not in this.openings, "log: an opening twice")
        this.openings.add((step, author))

    def _opened(self, reader, author):
        this, step = self._of_set(reader), reader.tag("Step", STEPS)
        inputs, values = reader.digest(), reader.digest()
        this.opened[step].add_alike(author, (inputs, values), "values")
        self._name(values)

    def _partition(self, reader, author):
        self._of_set(reader).partition.add_alike(author, reader.digest(), "blocks")

    def _result(self, reader, author):
        identity, this = self._round(reader)
        stated = (reader.digest(), reader.optional(reader.digest))
        require(this.sealed is not None, "log: a result of an open round")
        this.results.add(author, stated, "a result")
        self.plans[identity].is_finished = this.results.agreed is not None
        for blob in filter(None, stated):
            self._name(blob)

    def _erased(self, reader, author):
        _, this = self._round(reader)
        require(this.results and author not in this.erased, "log: an erasure twice, or early")
        this.erased.add(author)

    def opens(self, this):
        """Tell whether the sealed set of a round has the least size."""
        return len(this.sealed) >= self.genesis.policy.numbers["min_contributions"]

    def needed(self):
        """Return the blobs that a bundle of this log holds, in order."""
        wanted = set()
        for this in self.rounds.values():
            result = this.results.agreed
            require(result is not None or this.sealed is None, "incomplete: a sealed round without result")
            if result is None:
                continue
            wanted |= {header.body for header in this.counting()} | set(filter(None, result))
            wanted |= {said.agreed[1] for said in this.opened.values() if said.agreed}
        return [blob for blob in self.named if blob in wanted]


def read_log(reader, genesis):
    """Read the decisions and check them; return the log and the tag of the frame that follows."""
    log, height, tip = WholeLog(genesis), 0, genesis.community
    while (tag := reader.tag("Frame", (END, DECISION, BLOB))) == DECISION:
        batch = whole(reader.data(MAX_DECISION), Decision)
        height += 1
        require(batch.height == height, "batch: height")
        require(batch.previous == tip, "batch: chain")
        batch.check(genesis.community, genesis.operators)
        require(batch.entries, "batch: without entries")
        for entry in batch.entries:
            whole(entry, log.apply)
        tip = batch.id
    return log, tag


def read_blobs(reader, log, tag):
    """Read the blobs, which must be those that are needed, in order; return them by id."""
    blobs = {}
    for expected in log.needed():
        require(tag == BLOB, "incomplete: a blob is missing")
        identity, blob = reader.digest(), reader.data(MAX_BLOB)
        require(content(blob) == identity, "blob: hash")
        require(identity == expected, "blob: order, or one that is not needed")
        blobs[identity] = blob
        tag = reader.tag("Frame", (END, DECISION, BLOB))
    require(tag == END, "blob: one that is not needed")
    reader.finish()
    return blobs


_checked = set()


def check_body(log, identity, blob):
    """Check a contribution by itself; return its header and the commitments to its data rows."""
    body = whole(blob, Body)
    require(body.round in log.manifests, "contribution: round")
    # The manifest's digest pins plan, keys and snapshot.
    key = (log.genesis.community, log.manifests[body.round].digest, identity)
    if key not in _checked:
        body.check(log)
        _checked.add(key)
    core, seeds, commitments = WITHDRAWN, [], []
    if body.ballot:
        context = digest("context", log.genesis.community + body.round + body.tag + uint(body.sequence, 1))
        core = body.ballot.core(context, body.on_map, body.chosen_class)
        seeds, commitments = body.ballot.seed_digests, body.ballot.commitments[1:]
    parts = [body.round, body.tag, uint(body.sequence, 1), uint(body.on_map, 1), uint(body.chosen_class, 2)]
    return b"".join(parts) + identity + core + sequence(seeds), commitments


class Values:
    """Sums over blocks that were opened."""

    def __init__(self, reader):
        require(reader.uint(1) == 1, "opening: values that are no sums")
        self.sums = reader.sequence(MAX_BLOCKS, lambda: self._sum(reader))

    @staticmethod
    def _sum(reader):
        def entry():
            value = reader.uint(8)
            return value - (1 << 64) if value >> 63 else value

        totals = reader.sequence(MAX_DATA_ROWS, lambda: reader.sequence(MAX_COLUMNS, entry))
        return totals, reader.sequence(MAX_DATA_ROWS, reader.scalar)


def check_totals(this, rows, blobs, commitments):
    """Check the totals of a round against the commitments; return them as (agree, disagree, pass) of each item."""
    ballots = range(len(this.sealed))
    block = sequence([uint(ballot, 4) for ballot in ballots])
    plan = uint(1, 1) + uint(rows, 4) + sequence([block])
    found = this.opened[TOTALS].agreed
    require(found is not None, "incomplete: totals were not opened")
    require(found[0] == digest("opening", plan), "opening: of something else")
    sums = whole(blobs[found[1]], Values).sums
    require(len(sums) == 1, "opening: number of blocks")
    ((totals, blindings),) = sums
    require(len(totals) == len(blindings) == rows, "opening: number of rows")
    require(all(len(row) == 1 for row in totals), "opening: number of columns")
    for row, ((total,), blinding) in enumerate(zip(totals, blindings, strict=True)):
        terms = [(total, group.column(0)), (blinding, group.blinding())]
        terms += [(L - 1, point(ballot[row], "opening: commitment")) for ballot in commitments]
        require_zero(f"opening: sum of row {row}", terms)
    flat = [row[0] for row in totals]
    require(min(flat) >= 0, "opening: a negative total")
    return [flat[item : item + 3] for item in range(0, rows, 3)]


def check_round(log, identity, this, blobs):
    """Check the contributions, openings and result of a round; return how many contributions there are."""
    result = this.results.agreed
    if result is None:
        return 0
    plan, manifest = log.plans[identity], log.manifests[identity]
    commitments = {}
    for header in this.counting():
        encoded, committed = check_body(log, header.body, blobs[header.body])
        require(encoded == header.encoded, "contribution: another than the log says")
        commitments[header.tag] = committed
    sealed = [commitments[header.tag] for header in this.sealed]
    asked, outcome = set(), uint(0, 1)
    if log.opens(this):
        require(not manifest.layout.has_map, "round: maps and constitutions are not checked here")
        totals = check_totals(this, 3 * manifest.layout.items, blobs, sealed)
        tallies = [b"".join(uint(votes, 8) for votes in item) for item in totals]
        asked, outcome = {TOTALS}, uint(1, 1) + sequence(tallies)
    opened = {step for step, said in this.opened.items() if said.agreed}
    require(opened <= asked, "opening: of what was not asked for")
    require(this.partition.agreed is None, "partition: of a round that comes to none")
    report = log.genesis.community + plan.poll + identity + this.set + uint(len(sealed), 4)
    report += sequence(plan.items) + outcome
    require(result[0] == content(report), "result: another follows")
    require(result[1] is None, "result: nothing follows from it")
    return len(commitments)


def check(encoded):
    """Check a bundle; return what it holds, in words."""
    reader = Reader(encoded)
    require(reader.take(len(MAGIC)) == MAGIC, "bundle: magic")
    require(reader.uint(1) == VERSION, "bundle: version")
    genesis = whole(reader.data(MAX_GENESIS), Genesis)
    log, tag = read_log(reader, genesis)
    blobs = read_blobs(reader, log, tag)
    contributions = [check_round(log, identity, this, blobs) for identity, this in log.rounds.items()]
    return f"{len(log.members())} members, {sum(contributions)} contributions, {len(contributions)} rounds"


def main(paths):
    """Check files one after the other; return the exit status: 1 if any was refused."""
    status = 0
    for path in paths:
        start = time.monotonic()
        try:
            said = f"accepted: {check(Path(path).read_bytes())}"
        except Refused as refused:
            said, status = f"refused: {refused}", 1
        print(f"{Path(path).name}: {said} ({time.monotonic() - start:.1f} s)")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
