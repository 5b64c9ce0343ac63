"""An election of yes-or-no questions with Belenios: what a ballot costs to make, to verify and to tally.

Prints one JSON object a line: {"operation", "seconds", "bytes"}. Seconds are the least of several runs of a whole process,
less those of a process that does nothing. The program verifies the ballot that it has made, and all ballots again in each of
the three commands of a tally; what that takes is taken off, so that each work is measured once.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# The strongest group that Debian's version 2.0 (January 2023) knows by name: a field of 2,048 bits. 2.1 has Ed25519.
GROUP = "BELENIOS-2048"
RUNS = 3


def tool(directory, *arguments, stdin=b""):
    command = ["belenios-tool", *arguments]
    environment = {**os.environ, "BELENIOS_USE_URANDOM": "1"}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=directory, input=stdin, capture_output=True, env=environment, check=True)
    return done.stdout, time.perf_counter() - began


def least(directory, *arguments):
    runs = [tool(directory, *arguments) for _ in range(RUNS)]
    return runs[-1][0], min(seconds for _, seconds in runs)


def found(directory, questions, voters):
    """Makes an election with one trustee; returns the voters' credentials."""
    text = {"description": "d", "name": "n", "questions": [
        {"answers": ["agree", "disagree"], "min": 0, "max": 1, "question": f"q{number}"} for number in range(questions)
    ]}
    (directory / "template.json").write_text(json.dumps(text))
    votes = [([1, 0], [0, 1], [0, 0])[number % 3] for number in range(questions)]
    (directory / "vote.json").write_text(json.dumps(votes))
    uuid = tool(directory, "setup", "generate-token")[0].decode().strip()
    common = ["--uuid", uuid, "--group", GROUP]
    tool(directory, "setup", "generate-credentials", *common, "--count", str(voters))
    next(directory.glob("*.pubcreds")).rename(directory / "public_creds.json")
    private = next(directory.glob("*.privcreds"))
    tool(directory, "setup", "generate-trustee-key", "--group", GROUP)
    (directory / "public_keys.jsons").write_bytes(b"".join(key.read_bytes() for key in directory.glob("*.pubkey")))
    tool(directory, "setup", "make-trustees")
    tool(directory, "setup", "make-election", *common, "--template", "template.json")
    tool(directory, "archive", "init")
    return [line.split()[1] for line in private.read_text().splitlines()]


def post(directory, kind, payload=b""):
    tool(directory, "archive", "add-event", f"--type={kind}", stdin=payload)


def main(questions, voters):
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        credentials = found(directory, questions, voters)
        start = least(directory, "--version")[1]
        nothing_cast = least(directory, "election", "verify")[1]
        made, size = [], 0
        for credential in credentials:
            (directory / "credential.txt").write_text(credential)
            ballot, seconds = tool(
                directory, "election", "generate-ballot", "--privcred", "credential.txt", "--ballot", "vote.json"
            )
            made.append(seconds)
            size = max(size, len(ballot))
            post(directory, "Ballot", ballot)
        all_cast = least(directory, "election", "verify")[1]
        post(directory, "EndBallots")
        tally, summed = least(directory, "election", "compute-encrypted-tally")
        post(directory, "EncryptedTally", tally)
        key = next(directory.glob("*.privkey")).name
        share, decrypted = least(directory, "election", "decrypt", "--privkey", key, "--trustee-id", "1")
        post(directory, "PartialDecryption", share)
        _, found_out = least(directory, "election", "compute-result")
    verify = (all_cast - nothing_cast) / voters
    figures = [
        ("make a ballot", min(made) - start - verify, size),
        ("verify a ballot", verify, size),
        ("tally", summed + decrypted + found_out - 3 * start - 3 * voters * verify, None),
    ]
    for operation, seconds, size in figures:
        print(json.dumps({"operation": operation, "seconds": seconds, "bytes": size}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
