#!/usr/bin/env python3
"""What `chorus adapter` writes, loaded by PEFT itself: the same loss to six digits, and not one warning.

    VENV/bin/python tests/peft/roundtrip.py --chorus target/release/chorus
    VENV/bin/python tests/peft/roundtrip.py --base MODEL --adapter DIR --loss 6.478413 [--ids 1,87,200]

The first form exports, merges, truncates and imports the adapters of tests/fixtures and compares each result with what
PEFT makes of the originals. The second loads one adapter, such as one trained by the node, onto a base model, and compares
the loss with the one that our own model gave for the same tokens.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

FIXTURE = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "tiny-llama"
DIGITS = 1e-6


def base_model(folder=FIXTURE):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def loss_of(model, ids):
    ids = torch.tensor([ids])
    with torch.no_grad():
        return model(input_ids=ids, labels=ids).loss.item()


def loss_with(adapter, ids, base=FIXTURE):
    """The loss with an adapter as PEFT loads it; a warning about it is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return loss_of(PeftModel.from_pretrained(base_model(base), adapter).eval(), ids)


def check(title, found, expected):
    relative = abs(found / expected - 1)
    print(f"{title:<44} {found:.7f}  expected {expected:.7f}  {'ok' if relative < DIGITS else 'WRONG'}")
    return relative < DIGITS


def chorus(program, *arguments):
    subprocess.run([program, "adapter", *arguments], check=True, capture_output=True)


def last_layer_only(folder):
    """An adapter of one layer, and an uneven one: PEFT must invent no weights for the others."""
    tensors = load_file(FIXTURE / "adapter" / "adapter_model.safetensors")
    config = json.loads((FIXTURE / "adapter" / "adapter_config.json").read_text())
    kept = {
        "last": lambda name: ".layers.1." in name,
        "uneven": lambda name: ".layers.1.self_attn.v" in name or ".layers.0.mlp.down" in name,
    }
    for title, keep in kept.items():
        path = folder / title
        path.mkdir()
        part = {name: tensor for name, tensor in tensors.items() if keep(name)}
        modules = sorted({name.removeprefix("base_model.model.").partition(".lora_")[0] for name in part})
        save_file(part, path / "adapter_model.safetensors", metadata={"format": "pt"})
        (path / "adapter_config.json").write_text(json.dumps(config | {"target_modules": modules}))
        yield title, path


def projected_loss(adapter, onto, ids):
    """The loss with the update projected onto the rows of another adapter's A, worked out with dense matrices."""
    base = base_model()
    scale = json.loads((adapter / "adapter_config.json").read_text())
    scale = scale["lora_alpha"] / (scale["r"] ** 0.5 if scale["use_rslora"] else scale["r"])
    own, shared = (load_file(folder / "adapter_model.safetensors") for folder in (adapter, onto))
    for name, a in own.items():
        if ".lora_A." not in name:
            continue
        delta = scale * own[name.replace("lora_A", "lora_B")].double() @ a.double()
        rows = shared[name].double()
        delta = delta @ torch.linalg.pinv(rows) @ rows
        module = base.get_submodule(name.removeprefix("base_model.model.").partition(".lora_")[0])
        module.weight.data += delta.float()
    return loss_of(base, ids)


def whole_round(program):
    golden = json.loads((FIXTURE / "golden.json").read_text())
    ids, merges, fine = golden["input_ids"], FIXTURE / "merges", []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name in ("adapter", "patterns"):
            chorus(program, "export", FIXTURE / name, "--out", folder / f"out-{name}")
            found = loss_with(folder / f"out-{name}", ids)
            fine.append(check(f"export of {name}", found, golden[f"loss_{name}"]))
        for title, path in last_layer_only(folder):
            chorus(program, "export", path, "--out", folder / f"out-{title}")
            fine.append(check(f"export of {title}", loss_with(folder / f"out-{title}", ids), loss_with(path, ids)))
        for family, method, options in (
            ("own", "cat", ["--weight", "0.5", "--weight", "0.3", "--weight", "0.2"]),
            ("own", "svd", ["--weight", "0.5", "--weight", "0.3", "--weight", "0.2", "--rank", "2"]),
            ("shared", "cat", []),
        ):
            out = folder / f"mean-{family}-{method}"
            chorus(program, "merge", *sorted((merges / family).iterdir()), "--out", out, *options)
            expected = loss_with(merges / f"{family}-{method}", ids)
            fine.append(check(f"merge {family} against {method}", loss_with(out, ids), expected))
        adapter, onto, out = merges / "own" / "2", merges / "shared" / "0", folder / "imported"
        chorus(program, "import", adapter, "--onto", onto, "--out", out)
        fine.append(check("import onto a shared A", loss_with(out, ids), projected_loss(adapter, onto, ids)))
    return all(fine)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chorus", type=pathlib.Path, help="the program")
    parser.add_argument("--base", type=pathlib.Path, default=FIXTURE)
    parser.add_argument("--adapter", type=pathlib.Path)
    parser.add_argument("--loss", type=float)
    parser.add_argument("--ids", default="1,87,200,3,255,42,42,130")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    if arguments.adapter:
        ids = [int(number) for number in arguments.ids.split(",")]
        fine = check(str(arguments.adapter.name), loss_with(arguments.adapter, ids, arguments.base), arguments.loss)
    elif arguments.chorus:
        fine = whole_round(arguments.chorus.resolve())
    else:
        parser.error("give --chorus or --adapter")
    sys.exit(not fine)


if __name__ == "__main__":
    main()
