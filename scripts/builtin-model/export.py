#!/usr/bin/env python3
"""Writes a pretraining run as a Hugging Face folder: config, generation config, f16 weights and the tokenizer.

    export.py --run RUN --tokenizer DIR --out MODEL
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from pretrain import make_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    saved = torch.load(args.run / "checkpoint.pt")
    if saved["step"] != saved["steps"]:
        raise SystemExit(f"the run stands at step {saved['step']} of {saved['steps']}")
    model = make_model(saved["seed"])
    args.out.mkdir(parents=True, exist_ok=True)
    config = {**model.config.to_diff_dict(), "architectures": ["LlamaForCausalLM"], "dtype": "float16", "head_dim": 32}
    (args.out / "config.json").write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n")
    generation = {"do_sample": False, "eos_token_id": [2, 0], "max_new_tokens": 64, "pad_token_id": 0}
    (args.out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    # The head is the embedding: it is stored once.
    weights = {name: w.half().contiguous() for name, w in saved["model"].items() if name != "lm_head.weight"}
    save_file(weights, args.out / "model.safetensors", metadata={"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(args.tokenizer / name, args.out / name)
    print(f"model: {sum(w.numel() for w in weights.values()):,} parameters in {args.out.name}/")


if __name__ == "__main__":
    main()
