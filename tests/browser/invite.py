"""Prints an invitation to the community of an audit bundle: its founding document, without addresses."""

import base64
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "checker"))

from blake3 import blake3  # noqa: E402

PREFIX = "chorus-invite-2-"

# Magic, version, and the length of the founding document.
HEADER = ">8sBI"


def main():
    with open(sys.argv[1], "rb") as bundle:
        _, _, length = struct.unpack(HEADER, bundle.read(struct.calcsize(HEADER)))
        genesis = bundle.read(length)
    # No addresses, no checkpoint.
    value = genesis + bytes(4) + bytes(1)
    checksum = blake3(PREFIX.encode() + value)[:8]
    print(PREFIX + base64.urlsafe_b64encode(value + checksum).decode().rstrip("="))


if __name__ == "__main__":
    main()
