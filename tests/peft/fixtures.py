#!/usr/bin/env python3
"""Makes the golden fixtures under tests/fixtures with PyTorch, transformers and PEFT.

    python3 -m venv VENV && VENV/bin/pip install -r tests/peft/requirements.txt
    VENV/bin/python tests/peft/fixtures.py

Everything is drawn from fixed seeds, in f32, on one thread. Per tiny model:

    config.json, model.safetensors    the base model
    adapter/                          LoRA, r = 4, on all seven linear layers, B not zero
    golden.json                       input_ids; logits (one row per position) and loss (labels = input_ids) of the base
                                      model and with the adapter; per module PEFT's scale and the Frobenius norm of dW

and for the tiny Llama:

    patterns/                         rank-stabilised LoRA in bf16 with a rank_pattern and an alpha_pattern
    merges/own/{0,1,2}                adapters with an A of their own, of ranks 2, 3, 2, the last one rank-stabilised
    merges/shared/{0,1,2}             adapters with one A
    merges/{own,shared}-METHOD        what PEFT's add_weighted_adapter makes of them (weights in golden.json)

Only the drawing of numbers and the arithmetic are PEFT's and PyTorch's: a change of their versions may move the last
digits, and then the fixtures are made anew together with whatever compares with them.
"""

import json
import pathlib
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
INPUT_IDS = [1, 87, 200, 3, 255, 42, 42, 130]
SHAPE = dict(
    vocab_size=256,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    rms_norm_eps=1e-6,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=None,
)


def draw(parameters, generator):
    """Fills parameters with numbers large enough that every part of the model shows in the logits."""
    with torch.no_grad():
        for name, parameter in parameters:
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                parameter.copy_(1.0 + 0.2 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.5 * noise)
            elif "embed_tokens" in name:
                # Small, so that a wrong rms_norm_eps shows.
                parameter.copy_(0.05 * noise)
            else:
                parameter.copy_(0.15 * noise)


def tidy_config(folder, name):
    """No machine's paths, no random order of sets, and no model card."""
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = name
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def save_adapter(model, adapter, folder, name):
    """PEFT puts adapters other than `default` into a folder below."""
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, selected_adapters=[adapter])
    if (folder / adapter).is_dir():
        for file in list((folder / adapter).iterdir()):
            file.rename(folder / file.name)
        (folder / adapter).rmdir()
    tidy_config(folder, name)


def fill(model, adapter, generator, shared=None):
    """Draws A and B; with `shared`, A is taken from there, or put there."""
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if f".lora_A.{adapter}." in name or f".lora_B.{adapter}." in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
                if shared is not None and ".lora_A." in name:
                    parameter.copy_(shared.setdefault(name.replace(f".{adapter}.", "."), parameter.clone()))


def forward(model):
    ids = torch.tensor([INPUT_IDS])
    with torch.no_grad():
        out = model(input_ids=ids, labels=ids)
    return out.logits[0].double().tolist(), out.loss.item()


def modules(model, adapter):
    """Per module PEFT's scale and the norm of its update."""
    found = {}
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and adapter in module.lora_A:
            delta = module.get_delta_weight(adapter).double()
            found[name.removeprefix("base_model.model.")] = {
                "scale": module.scaling[adapter],
                "norm": delta.norm().item(),
            }
    return dict(sorted(found.items()))


def short(value):
    """Seven significant digits: what f32 has, and fewer than Python writes."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [short(item) for item in value]
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    return value


def write_golden(folder, golden):
    lines = [f"  {json.dumps(key)}: {json.dumps(short(value))}" for key, value in golden.items()]
    (folder / "golden.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def base(model, name, seed):
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    draw(sorted(model.named_parameters()), torch.Generator().manual_seed(seed))
    model.eval()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    logits, loss = forward(model)
    return folder, {"input_ids": INPUT_IDS, "logits_base": logits, "loss_base": loss}


def adapt(model, folder, golden, name, seed):
    config = LoraConfig(r=4, lora_alpha=6, target_modules=LINEARS, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config).eval()
    fill(adapted, "default", torch.Generator().manual_seed(seed))
    save_adapter(adapted, "default", folder / "adapter", name)
    golden["logits_adapter"], golden["loss_adapter"] = forward(adapted)
    golden["modules_adapter"] = modules(adapted, "default")
    return adapted


def patterns(adapted, folder, golden, name):
    config = LoraConfig(
        r=2,
        lora_alpha=5,
        use_rslora=True,
        target_modules=["q_proj", "v_proj", "down_proj"],
        rank_pattern={"q_proj": 3, r"layers.1.mlp.down_proj": 1},
        alpha_pattern={"v_proj": 7, r"layers.1.self_attn.q_proj": 11},
        task_type="CAUSAL_LM",
    )
    adapted.add_adapter("patterns", config)
    fill(adapted, "patterns", torch.Generator().manual_seed(40))
    with torch.no_grad():
        for parameter_name, parameter in adapted.named_parameters():
            if ".patterns." in parameter_name:
                parameter.data = parameter.data.bfloat16()
    save_adapter(adapted, "patterns", folder / "patterns", name)
    # What the file holds, in single precision again: the arithmetic of bf16 is not what is tested.
    with torch.no_grad():
        for parameter_name, parameter in adapted.named_parameters():
            if ".patterns." in parameter_name:
                parameter.data = parameter.data.float()
    adapted.set_adapter("patterns")
    golden["logits_patterns"], golden["loss_patterns"] = forward(adapted)
    golden["modules_patterns"] = modules(adapted, "patterns")


def merges(adapted, folder, golden, name):
    targets = ["q_proj", "down_proj"]
    settings = {
        "own": [dict(r=2, lora_alpha=4), dict(r=3, lora_alpha=7), dict(r=2, lora_alpha=3, use_rslora=True)],
        "shared": [dict(r=2, lora_alpha=4)] * 3,
    }
    weights = {"own": [0.5, 0.3, 0.2], "shared": [1 / 3] * 3}
    methods = {"own": ["cat", "svd"], "shared": ["cat", "linear"]}
    golden["merges"] = {}
    for seed, family in enumerate(settings):
        shared = {} if family == "shared" else None
        names = [f"{family}{index}" for index in range(3)]
        for index, (adapter, setting) in enumerate(zip(names, settings[family])):
            adapted.add_adapter(adapter, LoraConfig(target_modules=targets, task_type="CAUSAL_LM", **setting))
            fill(adapted, adapter, torch.Generator().manual_seed(50 + 10 * seed + index), shared)
            save_adapter(adapted, adapter, folder / "merges" / family / str(index), name)
        golden["merges"][family] = {"weights": weights[family]}
        for method in methods[family]:
            merged = f"{family}-{method}"
            options = dict(svd_rank=2) if method == "svd" else {}
            adapted.add_weighted_adapter(names, weights[family], merged, combination_type=method, **options)
            save_adapter(adapted, merged, folder / "merges" / merged, name)
            golden["merges"][family][method] = modules(adapted, merged)
    # The trap: with one A and weights 1/n, `linear` gives n times the mean.
    ratios = []
    for module in golden["merges"]["shared"]["cat"]:
        by_method = [golden["merges"]["shared"][method][module]["norm"] for method in ("linear", "cat")]
        ratios.append(by_method[0] / by_method[1])
    golden["merges"]["shared"]["linear_to_mean"] = ratios


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    name = "tiny-llama"
    config = LlamaConfig(**SHAPE, rope_theta=50_000.0, tie_word_embeddings=False)
    assert theta(config) == 50_000.0, "the rope base was not taken"
    model = LlamaForCausalLM(config)
    folder, golden = base(model, name, 1)
    adapted = adapt(model, folder, golden, name, 2)
    patterns(adapted, folder, golden, name)
    merges(adapted, folder, golden, name)
    write_golden(folder, golden)

    name = "tiny-qwen2"
    config = Qwen2Config(**SHAPE, rope_theta=1_000_000.0, tie_word_embeddings=True)
    assert theta(config) == 1_000_000.0, "the rope base was not taken"
    model = Qwen2ForCausalLM(config)
    folder, golden = base(model, name, 11)
    adapt(model, folder, golden, name, 12)
    write_golden(folder, golden)
    verify(golden)


def theta(config):
    return (getattr(config, "rope_parameters", None) or {}).get("rope_theta", getattr(config, "rope_theta", None))


def verify(golden):
    """What was written gives what was told: loaded anew from the files."""
    folder = FIXTURES / "tiny-qwen2"
    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert abs(forward(model.eval())[1] - golden["loss_base"]) < 1e-6
    model = PeftModel.from_pretrained(model, folder / "adapter").eval()
    assert abs(forward(model)[1] - golden["loss_adapter"]) < 1e-6


if __name__ == "__main__":
    main()
