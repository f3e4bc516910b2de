#!/usr/bin/env python3
"""Loads an exported adapter with real PEFT and compares its logits with ours.

    check_adapter.py --model DIR --adapter DIR --logits FILE.json [--max-relative 2e-5] [--max-absolute 2e-4]

FILE.json: {"input_ids": [...], "logits": [[...], ...]}, one row of logits for each id.
PEFT loads an adapter with a wrong prefix, a missing or a surplus tensor with no more than a warning, and then computes
something else. So keys and shapes are compared first, strictly, and only then the numbers.
Exit code: 0 same, 1 different or not loadable, 3 Python packages are missing (nothing was checked).
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

try:
    import torch
    from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging
except ImportError as missing:
    print(f"NOT CHECKED: {missing}; install torch, transformers, peft and safetensors", file=sys.stderr)
    sys.exit(3)


class Different(Exception):
    pass


def load_base(folder: Path):
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    ).eval()


def check_tensors(base, adapter: Path) -> int:
    """Keys and shapes that PEFT would write for this adapter_config.json, against those that are in the file."""
    config = PeftConfig.from_pretrained(adapter)
    if config.peft_type != "LORA" or config.task_type != "CAUSAL_LM":
        raise Different(f"adapter_config.json: peft_type {config.peft_type}, task_type {config.task_type}; wanted LORA, CAUSAL_LM")
    wanted = {key: tuple(value.shape) for key, value in get_peft_model_state_dict(get_peft_model(base, config)).items()}
    stored = load_file(adapter / "adapter_model.safetensors")
    found = {key: tuple(value.shape) for key, value in stored.items()}
    for what, keys in (("missing", wanted.keys() - found.keys()), ("unexpected", found.keys() - wanted.keys())):
        if keys:
            raise Different(f"{len(keys)} {what} tensors, the first: {sorted(keys)[0]}")
    for key, shape in wanted.items():
        if found[key] != shape:
            raise Different(f"{key}: shape {list(found[key])}, wanted {list(shape)}")
    for key, value in stored.items():
        if not torch.isfinite(value.float()).all():
            raise Different(f"{key}: not all values are finite")
    return len(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--logits", type=Path, required=True)
    parser.add_argument("--max-relative", type=float, default=2e-5, help="relative L2 over all logits")
    parser.add_argument("--max-absolute", type=float, default=2e-4, help="largest difference of one logit")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    try:
        count = check_tensors(load_base(args.model), args.adapter)
        ours = json.loads(args.logits.read_text())
        ids, logits = torch.tensor([ours["input_ids"]]), torch.tensor(ours["logits"], dtype=torch.float64)
        model = PeftModel.from_pretrained(load_base(args.model), args.adapter).eval()
        with torch.no_grad():
            theirs = model(input_ids=ids, use_cache=False).logits[0].double()
            with model.disable_adapter():
                base = model(input_ids=ids, use_cache=False).logits[0].double()
        if logits.shape != theirs.shape:
            raise Different(f"logits are {list(logits.shape)}, PEFT's are {list(theirs.shape)}")
        absolute = (logits - theirs).abs().max().item()
        relative = ((logits - theirs).norm() / theirs.norm()).item()
        moved = ((theirs - base).norm() / base.norm()).item()
        print(f"{count} tensors; worst absolute difference {absolute:.3e}, relative {relative:.3e}; the adapter moves the base by {moved:.3e}")
        # Written so that NaN fails too.
        if not (absolute <= args.max_absolute and relative <= args.max_relative):
            raise Different(f"limits are {args.max_absolute:.0e} absolute, {args.max_relative:.0e} relative")
    except (Different, OSError, ValueError, KeyError, RuntimeError) as error:
        print(f"DIFFERENT: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
