"""What one vector costs with Flower's SecAgg+: a client's masking, and the server's unmasking of a sum.

The functions are Flower's own, called in the order of its client and server; sending and key agreement are left out. As in
its workflow, a client adds one mask of its own and one for each neighbour, and the server takes off the mask of every
client that stayed. Numbers are quantised before. One JSON object a line: {"operation", "seconds", "bytes"}; seconds are the
least of several runs.
"""

import json
import os
import sys
import time

import numpy
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import dequantize, quantize
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen

RANGE, CLIP, TARGET = 1 << 32, 8.0, 1 << 16
RUNS = 3


def least(action):
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        result = action()
        times.append(time.perf_counter() - began)
    return min(times), result


def main(entries, neighbours, clients):
    vector = [numpy.random.default_rng(1).normal(size=entries)]
    shape = [(entries,)]
    own, pairs = os.urandom(32), [os.urandom(32) for _ in range(neighbours)]
    quantised = quantize(vector, CLIP, TARGET)

    def mask():
        total = parameters_addition(quantised, pseudo_rand_gen(own, RANGE, shape))
        for number, pair in enumerate(pairs):
            combine = parameters_addition if number % 2 else parameters_subtraction
            total = combine(total, pseudo_rand_gen(pair, RANGE, shape))
        return parameters_mod(total, RANGE)

    seconds, masked = least(mask)
    print(json.dumps({"operation": "mask", "seconds": seconds, "bytes": 8 * entries}))
    shares = [create_shares(os.urandom(32), neighbours // 2 + 1, neighbours) for _ in range(clients)]

    def unmask():
        total = masked
        for of_client in shares:
            secret = combine_shares(of_client)
            total = parameters_subtraction(total, pseudo_rand_gen(secret, RANGE, shape))
        return dequantize(parameters_mod(total, RANGE), CLIP, TARGET)

    print(json.dumps({"operation": "unmask", "seconds": least(unmask)[0], "bytes": None}))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
