"""Checks test vectors with a verifier of its own: `python3 check.py VECTORS_DIR [--verbose]`.

It shares nothing with the Rust crates but the specification. Needs Python 3.11 and its standard library. One line for
each file of vectors; the exit status is 1 if a good vector is refused or a bad one accepted.
"""

import json
import sys
import time
from pathlib import Path

import amendment
import attestation
import ballot
import blake3
import cards
import codec
import contribution
import credential
import decision
import delta
import ed25519
import group
import leaf
import link
import masks
import merlin
import message
import moderation
import ristretto
import seal
import snapshot
import transcript
from codec import Refused

PARTS = [
    *(blake3, merlin, ristretto, ed25519, codec, group, transcript),
    *(leaf, attestation, credential, snapshot, link, ballot, delta, cards, moderation, contribution),
    *(amendment, message, decision, masks, seal),
]
"""What tests itself before it judges anything."""

SUITES = {
    "signature": attestation.check_signature,
    "leaf": leaf.check,
    "rotation": leaf.check_rotation,
    "attestation": attestation.check,
    "snapshot": snapshot.check,
    "cohorts": snapshot.check_cohorts,
    "credential": credential.check,
    "link": link.check,
    "proof": ballot.check,
    "delta": delta.check,
    "ballot": contribution.check,
    "cards": contribution.check_log,
    "moderation": contribution.check_log,
    "amendment": amendment.check,
    "envelope": message.check,
    "decision": decision.check,
    "evidence": decision.check_evidence,
    "bundle": decision.check_bundle,
    "masks": masks.check,
    "seal": seal.check,
    "sums": masks.check_sums,
}
"""The check of each file of vectors."""


class Case:
    """One vector: named values, and what is broken about them, if anything."""

    def __init__(self, name, values, breaks=None):
        self._values = values
        self.name, self.breaks = name, breaks

    def bytes(self, name):
        """Return a value that is hexadecimal."""
        return bytes.fromhex(self._values[name])

    def int(self, name):
        """Return a number."""
        value = self._values[name]
        assert isinstance(value, int) and not isinstance(value, bool)
        return value

    def bool(self, name):
        """Return a truth value."""
        value = self._values[name]
        assert isinstance(value, bool)
        return value

    def text(self, name):
        """Return a value that is text."""
        return self._values[name]

    def decode(self, name, read):
        """Return what the whole of an encoded value decodes to."""
        return codec.whole(self.bytes(name), read)


def cases(suite):
    """Return the vectors of a file. Bad ones stand as changes to a good one: a new value, or new bytes at a place."""
    good = {case["name"]: case["values"] for case in suite["good"]}
    changed = []
    for bad in suite["bad"]:
        values = dict(good[bad["of"]])
        for name, change in bad["changes"].items():
            values[name] = changed_value(values[name], change)
            assert values[name] != good[bad["of"]][name], f"{bad['breaks']}: nothing is changed"
        changed.append(Case(bad["of"], values, bad["breaks"]))
    return [Case(name, values) for name, values in good.items()] + changed


def changed_value(before, change):
    """Return what a value becomes."""
    if not isinstance(change, dict):
        return change
    at, to = 2 * change["at"], change["to"]
    return before[:at] + to + before[at + len(to) :]


def verdict(check, case):
    """Return why a case is refused, or None."""
    try:
        check(case)
    except Refused as refused:
        return str(refused)
    return None


def run(path, verbose):
    """Check one file and print a line; return the number of disagreements."""
    start = time.monotonic()
    suite = json.loads(path.read_text())
    found = [(case, verdict(SUITES[path.stem], case)) for case in cases(suite)]
    wrong = [(case, why) for case, why in found if (why is None) != (case.breaks is None)]
    for case, why in found if verbose else wrong:
        state = "WRONG" if (case, why) in wrong else "ok"
        print(f"  {state:5}  {case.name}: {case.breaks or 'good'} -> {why or 'accepted'}")
    good, seconds = len(suite["good"]), time.monotonic() - start
    line = f"{good} good, {len(found) - good} bad, {len(wrong)} disagreements"
    print(f"{path.name:18} {line} ({seconds:.1f} s)")
    return len(wrong)


def main(arguments):
    """Run all suites; return the exit status."""
    folder, verbose = Path(arguments[0]), "--verbose" in arguments[1:]
    for part in PARTS:
        part.self_test()
    paths = sorted(folder.glob("*.json"))
    missing = SUITES.keys() ^ {path.stem for path in paths}
    if missing:
        print(f"no such file, or no check of it: {', '.join(sorted(missing))}")
        return 1
    return 1 if sum([run(path, verbose) for path in paths]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
