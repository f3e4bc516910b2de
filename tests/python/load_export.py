"""Loads adapters with real PEFT, as someone who unpacked an export would, and compares logits.

    python tests/python/load_export.py CASES.json

CASES.json: [{name, base, adapter, ids: [[..]], mask: [[..]], reference}] where `reference` is one of
  {"logits": [[[..]]]}   what they must be, [B][T][V]
  {"deltas": {weight name: {"shape": [out, in], "data": [..]}}}   added by hand to the base's own weights
Only positions with mask 1 are compared. Prints a JSON list of {name, warnings, maxAbs, relative, changed}; `changed` is how far the adapter moves the base's logits.
"""
import json
import sys
import warnings

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


def load(base: str):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager").eval()


def logits(model, case):
    with torch.no_grad():
        return model(input_ids=torch.tensor(case["ids"]), attention_mask=torch.tensor(case["mask"])).logits


results = []
for case in json.load(open(sys.argv[1])):
    base = logits(load(case["base"]), case)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tuned = logits(PeftModel.from_pretrained(load(case["base"]), case["adapter"]), case)
    reference = case["reference"]
    if "logits" in reference:
        wanted = torch.tensor(reference["logits"])
    else:
        by_hand = load(case["base"])
        weights = dict(by_hand.named_parameters())
        with torch.no_grad():
            for name, delta in reference["deltas"].items():
                weights[name] += torch.tensor(delta["data"], dtype=torch.float64).reshape(delta["shape"]).float()
        wanted = logits(by_hand, case)
    real = torch.tensor(case["mask"]) == 1
    base, tuned, wanted = base[real], tuned[real], wanted[real]
    results.append({
        "name": case["name"],
        "warnings": [str(w.message) for w in caught],
        "maxAbs": (tuned - wanted).abs().max().item(),
        "relative": ((tuned - wanted).norm() / wanted.norm()).item(),
        "changed": (tuned - base).abs().max().item(),
    })
print(json.dumps(results))
