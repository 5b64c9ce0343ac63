#!/usr/bin/env python3
"""Times a training step of LoRA with PyTorch and PEFT, to compare our own engine with on the same machine.

    VENV/bin/python tests/peft/train_step.py [--threads 2] [--steps 5]

Two shapes with random weights in f32: a Llama of 15 million parameters (288 x 6, vocabulary 32,000) with 8 texts of 128
tokens, and SmolLM2-135M's with 4 texts of 64. r = 8 on q and v; only B is trained (A is frozen, as in a round), with AdamW
and clipped gradients. The best step counts. Each shape runs in a process of its own, so that the peak memory is its own.
"""

import argparse
import resource
import subprocess
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from adapters import SMOLLM2

SHAPES = {
    "15M": (
        dict(
            vocab_size=32000,
            hidden_size=288,
            intermediate_size=768,
            num_hidden_layers=6,
            num_attention_heads=6,
            num_key_value_heads=6,
            max_position_embeddings=256,
            tie_word_embeddings=True,
        ),
        (8, 128),
    ),
    "135M": (SMOLLM2, (4, 64)),
}


def step_seconds(name, threads, steps):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    shape, (texts, tokens) = SHAPES[name]
    model = LlamaForCausalLM(LlamaConfig(**shape))
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]))
    for parameter_name, parameter in model.named_parameters():
        if ".lora_A." in parameter_name:
            parameter.requires_grad_(False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3)
    ids = torch.randint(0, shape["vocab_size"], (texts, tokens))
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        seconds.append(time.perf_counter() - start)
    # The first step prepares things.
    return min(seconds[1:]), texts * tokens, sum(parameter.numel() for parameter in trained)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--shape", choices=SHAPES, help="this one alone [default: both]")
    arguments = parser.parse_args()
    if arguments.shape is None:
        for shape in SHAPES:
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--shape", shape], check=True)
        return
    seconds, tokens, trained = step_seconds(arguments.shape, arguments.threads, arguments.steps)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{arguments.shape:>5}: {seconds:.3f} s a step, {tokens / seconds:.0f} tokens/s, {peak:.0f} MiB peak,"
        f" {trained} trained values, {arguments.threads} threads"
    )


if __name__ == "__main__":
    main()
