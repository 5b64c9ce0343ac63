"""A whole audit bundle: `python3 bundle.py FILE…` prints a line for each, `accepted` or why it is refused.

It reads the file as `protocol/README.md` describes it and believes nothing in it: frames and hashes; the chain of batches
and the quorum of signatures under each; every entry; the body of every counting contribution with its credential, link
and ballot proof; what was opened against the commitments; and the result, made anew. It knows bundles of ballots without
classes and without a map (values, transitions, or too few people), of a community with a fixed committee.
"""

import sys
import time
from functools import cache
from pathlib import Path

import attestation
import contribution
import group
from codec import Reader, Refused, data, sequence, uint, whole
from contribution import MAX_ENTRY, MAX_OPERATORS, MAX_SEQUENCE, Body, Genesis, Log
from edwards import L
from group import content, digest, point, require, require_zero
from link import MAX_SUBSETS, subsets

MAGIC, VERSION = b"CHORUSAB", 1
END, DECISION, BLOB = 0, 1, 2
MAX_GENESIS, MAX_BLOB, MAX_BATCH, MAX_BATCH_ENTRIES = 256 * 1024, 64 << 20, 1 << 20, 4096
MAX_TOTALS, MAX_COLUMNS, MAX_BLOCKS = 2048, 1 << 14, 512
TOTALS, STEPS = 1, (1, 2, 3, 4)

# What was found to hold once holds again: files that differ in one place are checked one after the other.
attestation.verify = contribution.verify = verify = cache(attestation.verify)


class Header:
    """What the log keeps of a contribution."""

    def __init__(self, reader):
        start = reader.position
        self.round, self.tag, self.sequence = reader.digest(), reader.digest(), reader.uint(1)
        self.on_map, self.chosen_class = reader.boolean(), reader.uint(2)
        self.body, self.core = reader.digest(), reader.digest()
        self.seed_digests = reader.sequence(MAX_SUBSETS, reader.digest)
        self.encoded = reader.since(start)


class Round:
    """What the log says of an open round, besides what it pins."""

    def __init__(self, deadline):
        self.deadline = deadline
        self.attempts, self.seeds = {}, set()
        self.sealed = self.set = None
        self.openings, self.opened, self.results, self.erased = {}, {}, {}, set()

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
        self.faulty = (len(genesis.operators) - 1) // 3
        self.quorum = 2 * len(genesis.operators) // 3 + 1

    def apply(self, reader):
        """Read one entry, take it in and check its author's signature."""
        author, start = reader.digest(), reader.position
        of_rounds = {7: self._contribution, 9: self._close, 10: self._opening, 11: self._opened}
        of_rounds |= {16: self._result, 17: self._erased}
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
        self.rounds[identity] = Round(self.time() + self.plans[identity].duration)

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
        require(header.sequence <= MAX_SEQUENCE and header.chosen_class == 0, "log: header of a contribution")
        fresh = set(header.seed_digests)
        number = len(subsets(len(self.genesis.operators))) if header.seed_digests else 0
        require(len(fresh) == len(header.seed_digests) == number, "log: number of seeds")
        require(not fresh & this.seeds, "log: a seed a second time")
        attempts = this.attempts.setdefault(header.tag, {})
        require(header.sequence not in attempts, "log: a contribution a second time")
        require(len(this.attempts) <= len(self.manifests[header.round].leaves), "log: more tags than members")
        attempts[header.sequence] = header
        this.seeds |= fresh
        self._name(header.body)

    def _close(self, reader, _author):
        identity, this = self._round(reader)
        require(this.sealed is None, "log: closed twice")
        require(self.time() >= this.deadline, "log: closed before the deadline")
        this.seal(identity)

    def _step(self, reader):
        _, this = self._round(reader)
        require(this.sealed is not None and reader.digest() == this.set, "log: a step of another set")
        return this, reader.tag("Step", STEPS), reader.digest()

    def _opening(self, reader, author):
        this, step, _ = self._step(reader)
        sums = reader.sequence(MAX_SUBSETS, lambda: (reader.uint(1), reader.digest()))
        number = 1 + self.genesis.operators.index(author)
        sets = subsets(len(self.genesis.operators))
        held = [index for index, members in enumerate(sets) if number not in members]
        require([index for index, _ in sums] == held, "log: subsets of an opening")
        require(len(this.sealed) >= self.genesis.min_contributions, "log: an opening of too few")
        require((step, author) not in this.openings, "log: an opening twice")
        this.openings[step, author] = sums

    def _opened(self, reader, author):
        this, step, inputs = self._step(reader)
        values = reader.digest()
        require((step, author) not in this.opened, "log: values twice")
        this.opened[step, author] = (inputs, values)
        self._name(values)

    def _result(self, reader, author):
        _, this = self._round(reader)
        stated = (reader.digest(), reader.optional(reader.digest))
        require(this.sealed is not None and author not in this.results, "log: a result twice, or early")
        this.results[author] = stated
        for blob in filter(None, stated):
            self._name(blob)

    def _erased(self, reader, author):
        _, this = self._round(reader)
        require(this.results and author not in this.erased, "log: an erasure twice, or early")
        this.erased.add(author)

    def agreed(self, stated):
        """Return what more than f operators state, or None."""
        values = list(stated)
        return next((value for value in values if values.count(value) > self.faulty), None)

    def agreed_values(self, this, step):
        """Return the digest of the plan and the values of a step that more than f operators state."""
        return self.agreed(value for (of, _), value in this.opened.items() if of == step)

    def needed(self):
        """Return the blobs that a bundle of this log holds, in order."""
        wanted = set()
        for identity, this in self.rounds.items():
            result = self.agreed(this.results.values())
            require(result is not None or this.sealed is None, "incomplete: a sealed round without result")
            if result is None:
                continue
            wanted |= {header.body for header in this.counting()} | set(filter(None, result))
            wanted |= {found[1] for step in STEPS if (found := self.agreed_values(this, step))}
        return [blob for blob in self.named if blob in wanted]


class Certificate:
    """The precommits of a quorum."""

    def __init__(self, reader):
        self.height, self.round, self.value = reader.uint(8), reader.uint(4), reader.digest()
        self.signatures = reader.sequence(MAX_OPERATORS, lambda: (reader.digest(), reader.take(64)))

    def check(self, log):
        """Check who signed, and the signatures."""
        signers = [signer for signer, _ in self.signatures]
        require(len(signers) == log.quorum, "certificate: number of signatures")
        require(signers == sorted(set(signers)), "certificate: order of the signers")
        require(set(signers) <= set(log.genesis.operators), "certificate: a signer is no operator")
        for signer, signature in self.signatures:
            vote = uint(1, 1) + uint(self.height, 8) + uint(self.round, 4) + uint(1, 1) + self.value + signer
            good = verify("log/vote", signer, log.genesis.community + vote, signature)
            require(good, "certificate: a signature")


def read_batch(reader):
    """Read a batch; return height, previous batch, entries and id."""
    start = reader.position
    height, previous = reader.uint(8), reader.digest()
    entries = reader.sequence(MAX_BATCH_ENTRIES, lambda: reader.data(MAX_ENTRY))
    require(sum(map(len, entries)) <= MAX_BATCH, "batch: too long")
    return height, previous, entries, digest("log/batch", reader.since(start))


def read_log(reader, genesis):
    """Read the decisions and check them; return the log and the tag of the frame that follows."""
    log, height, tip = WholeLog(genesis), 0, genesis.community
    while (tag := reader.tag("Frame", (END, DECISION, BLOB))) == DECISION:
        decision = Reader(reader.data(MAX_BATCH + 4 * MAX_BATCH_ENTRIES + 1024))
        found, previous, entries, identity = read_batch(decision)
        certificate = Certificate(decision)
        decision.finish()
        height += 1
        require(found == height, "batch: height")
        require(previous == tip, "batch: chain")
        require((certificate.height, certificate.value) == (height, identity), "certificate: of another batch")
        certificate.check(log)
        require(entries, "batch: without entries")
        for entry in entries:
            whole(entry, log.apply)
        tip = identity
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
    core, seeds, commitments = contribution.WITHDRAWN, [], []
    if body.ballot:
        context = digest("context", log.genesis.community + body.round + body.tag + uint(body.sequence, 1))
        core = body.ballot.core(context, body.on_map, body.chosen_class)
        seeds, commitments = body.ballot.seed_digests, body.ballot.commitments[1:]
    parts = [body.round, body.tag, uint(body.sequence, 1), uint(body.on_map, 1), uint(body.chosen_class, 2)]
    return b"".join(parts) + identity + core + sequence(seeds), commitments


class Values:
    """Sums over blocks that were opened."""

    def __init__(self, reader):
        require(reader.uint(1) == 1, "opening: only sums are checked here")
        self.sums = reader.sequence(MAX_BLOCKS, lambda: self._sum(reader))

    @staticmethod
    def _sum(reader):
        def entry():
            value = reader.uint(8)
            return value - (1 << 64) if value >> 63 else value

        totals = reader.sequence(MAX_TOTALS, lambda: reader.sequence(MAX_COLUMNS, entry))
        return totals, reader.sequence(MAX_TOTALS, reader.scalar)


def check_totals(log, this, rows, blobs, commitments):
    """Check the totals of a round against the commitments; return them as (agree, disagree, pass) of each item."""
    ballots = range(len(this.sealed))
    block = sequence([uint(ballot, 4) for ballot in ballots])
    plan = uint(1, 1) + uint(rows, 4) + sequence([block])
    found = log.agreed_values(this, TOTALS)
    require(found is not None, "incomplete: totals were not opened")
    require(found[0] == digest("opening", plan), "opening: of something else")
    require(len(ballots) >= log.genesis.floor, "opening: fewer than the floor")
    (values,) = whole(blobs[found[1]], Values).sums or [None]
    totals, blindings = values
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
    """Check the contributions, openings and result of a round."""
    result = log.agreed(this.results.values())
    if result is None:
        return 0
    plan, manifest = log.plans[identity], log.manifests[identity]
    commitments = {}
    for header in this.counting():
        encoded, committed = check_body(log, header.body, blobs[header.body])
        require(encoded == header.encoded, "contribution: another than the log says")
        commitments[header.tag] = committed
    sealed = [commitments[header.tag] for header in this.sealed]
    outcome = uint(0, 1)
    if len(sealed) >= log.genesis.min_contributions:
        consenting = sum(header.on_map for header in this.sealed)
        has_map = manifest.layout.has_map and consenting >= log.genesis.group_floor
        require(not has_map, "round: maps are not checked here")
        totals = check_totals(log, this, 3 * manifest.layout.items, blobs, sealed)
        outcome = uint(1, 1) + sequence([b"".join(uint(votes, 8) for votes in item) for item in totals])
    require(set(step for step, _ in this.opened) <= {TOTALS}, "opening: of what was not asked for")
    report = log.genesis.community + plan.poll + identity + this.set + uint(len(sealed), 4)
    report += sequence(plan.items) + outcome
    require(result[0] == content(report), "result: another follows")
    require(manifest.layout.has_map or result[1] is None, "result: nothing follows from it")
    require(result[1] is None or outcome[0] == 1, "result: nothing follows from it")
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
