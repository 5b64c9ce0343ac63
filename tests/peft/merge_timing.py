#!/usr/bin/env python3
"""Times the mean of n adapters: PEFT against `chorus adapter merge`, both from the same files to the result.

    VENV/bin/python tests/peft/merge_timing.py --chorus target/release/chorus [--adapters 16] [--runs 3]

PEFT's time is for loading the adapters into a model that is in memory already (making it is not counted) and
`add_weighted_adapter`; ours is the whole run of the program, with the writing and hashing of files. Adapters with one A
are compared with `linear`, the fastest way that PEFT has, though it is n times too large; adapters with an A of their own
with `cat`, and with `svd` for a mean of their own rank. Of several runs the best one counts, on both sides.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import torch
from peft import PeftModel

from adapters import base_model, write_adapters

RANK = 8


def best(runs, function):
    return min(function() for _ in range(runs))


def peft_loads(folders):
    """Loads the adapters into a fresh model; returns the model, the names and the seconds."""
    model = base_model()
    start = time.perf_counter()
    names = [f"adapter{index}" for index in range(len(folders))]
    adapted = PeftModel.from_pretrained(model, folders[0], adapter_name=names[0])
    for folder, name in zip(folders[1:], names[1:]):
        adapted.load_adapter(folder, adapter_name=name)
    return adapted, names, time.perf_counter() - start


def peft_merges(adapted, names, method):
    def run():
        options = dict(svd_rank=RANK) if method == "svd" else {}
        start = time.perf_counter()
        adapted.add_weighted_adapter(names, [1 / len(names)] * len(names), "mean", combination_type=method, **options)
        seconds = time.perf_counter() - start
        adapted.delete_adapter("mean")
        return seconds

    return run


def ours(chorus, folders, out, *options):
    def run():
        shutil.rmtree(out, ignore_errors=True)
        start = time.perf_counter()
        subprocess.run([chorus, "adapter", "merge", *folders, "--out", out, *options], check=True, capture_output=True)
        return time.perf_counter() - start

    return run


def report(title, load, merge, chorus):
    total = load + merge
    print(f"{title:<34} peft {load:6.2f} + {merge:6.2f} = {total:6.2f} s   chorus {chorus:6.2f} s   {total / chorus:5.1f} x")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chorus", type=pathlib.Path, required=True, help="the program, built in release")
    parser.add_argument("--adapters", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    chorus = arguments.chorus.resolve()
    for shared, methods in ((True, ["linear"]), (False, ["cat", "svd"])):
        with tempfile.TemporaryDirectory() as folder:
            folders = write_adapters(folder, arguments.adapters, shared)
            adapted, names, load = min((peft_loads(folders) for _ in range(arguments.runs)), key=lambda it: it[2])
            for method in methods:
                runs = arguments.runs if method != "svd" else 1
                merge = best(runs, peft_merges(adapted, names, method))
                options = ["--rank", str(RANK)] if method == "svd" else []
                seconds = best(arguments.runs, ours(chorus, folders, pathlib.Path(folder) / "mean", *options))
                report(f"{'one A' if shared else 'A of their own'}, {method}", load, merge, seconds)


if __name__ == "__main__":
    main()
