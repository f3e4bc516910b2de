#!/usr/bin/env python3
"""An adapter loaded by real PEFT against its base with the same change added to the weights by hand: same logits?

    compare_with_merged.py --model DIR --adapter DIR --deltas FILE.json

FILE.json: {"input_ids": [...], "deltas": {weight name: {"shape": [out, in], "data": [...]}}}
Prints {"relative", "absolute", "moved", "warnings"} as JSON; `moved` is how far the adapter moves the base's logits (relative L2).
"""

import argparse
import json
import warnings
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging


def load_base(folder: Path):
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    ).eval()


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--model", type=Path, required=True)
parser.add_argument("--adapter", type=Path, required=True)
parser.add_argument("--deltas", type=Path, required=True)
args = parser.parse_args()
torch.set_num_threads(1)
logging.set_verbosity_error()
logging.disable_progress_bar()
given = json.loads(args.deltas.read_text())
ids = torch.tensor([given["input_ids"]])
with torch.no_grad():
    merged = load_base(args.model)
    base = merged(input_ids=ids).logits.double()
    weights = dict(merged.named_parameters())
    for name, delta in given["deltas"].items():
        weights[name] += torch.tensor(delta["data"], dtype=torch.float64).reshape(delta["shape"]).float()
    by_hand = merged(input_ids=ids).logits.double()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(load_base(args.model), args.adapter).eval()
    by_peft = model(input_ids=ids).logits.double()
print(json.dumps({
    "relative": ((by_peft - by_hand).norm() / by_hand.norm()).item(),
    "absolute": (by_peft - by_hand).abs().max().item(),
    "moved": ((by_peft - base).norm() / base.norm()).item(),
    "warnings": [str(w.message) for w in caught],
}))
