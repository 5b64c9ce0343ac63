"""Adapters for timings: LoRA on all seven linear layers of SmolLM2-135M's shape, r = 8, 2.44 million parameters each."""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

SMOLLM2 = dict(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    max_position_embeddings=8192,
    rms_norm_eps=1e-5,
    rope_theta=100_000.0,
    tie_word_embeddings=True,
)
MLP = {"gate_proj": (576, 1536), "up_proj": (576, 1536), "down_proj": (1536, 576)}
ATTENTION = {"q_proj": (576, 576), "k_proj": (576, 192), "v_proj": (576, 192), "o_proj": (576, 576)}


def base_model():
    """A model of that shape with random weights: speed does not depend on them."""
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SMOLLM2)).eval()


def write_adapters(folder, count, shared_a, rank=8):
    """Writes adapters 0, 1, ... and returns their folders."""
    folders = []
    generator = torch.Generator().manual_seed(1)
    shared = {}
    for index in range(count):
        tensors = {}
        for layer in range(SMOLLM2["num_hidden_layers"]):
            for part, linears in (("self_attn", ATTENTION), ("mlp", MLP)):
                for name, (inputs, outputs) in linears.items():
                    key = f"base_model.model.model.layers.{layer}.{part}.{name}"
                    a = torch.randn(rank, inputs, generator=generator) / inputs**0.5
                    if shared_a:
                        a = shared.setdefault(key, a)
                    tensors[f"{key}.lora_A.weight"] = a.clone()
                    tensors[f"{key}.lora_B.weight"] = 0.05 * torch.randn(outputs, rank, generator=generator)
        path = pathlib.Path(folder) / str(index)
        path.mkdir(parents=True)
        save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
        config = dict(
            peft_type="LORA",
            task_type="CAUSAL_LM",
            base_model_name_or_path="smollm2",
            r=rank,
            lora_alpha=2 * rank,
            target_modules=[*ATTENTION, *MLP],
            bias="none",
            inference_mode=True,
        )
        (path / "adapter_config.json").write_text(json.dumps(config))
        folders.append(path)
    return folders
