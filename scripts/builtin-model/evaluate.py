#!/usr/bin/env python3
"""Exact match on the held-out questions before and after a LoRA run with real PEFT.

    evaluate.py --model MODEL --data DATA [--seed 0] [--out FILE.json] [--show 8]
"""

import argparse
import json
from pathlib import Path

import torch

import sft


def main() -> None:
    defaults = sft.Recipe()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", type=int, default=8, help="transcripts to print")
    parser.add_argument("--no-shuffle", action="store_true")
    for field, kind in (("seed", int), ("r", int), ("alpha", int), ("lr", float), ("steps", int), ("warmup_steps", int)):
        parser.add_argument(f"--{field.replace('_', '-')}", type=kind, default=getattr(defaults, field))
    args = parser.parse_args()
    torch.set_num_threads(1)
    recipe = sft.Recipe(
        r=args.r, alpha=args.alpha, lr=args.lr, steps=args.steps, warmup_steps=args.warmup_steps, seed=args.seed,
        shuffle=not args.no_shuffle,
    )
    tokenizer, model = sft.load(args.model)
    train, heldout = sft.read_rows(args.data / "train.jsonl"), sft.read_rows(args.data / "heldout.jsonl")
    asked = [sft.encode(tokenizer, row) for row in heldout]

    first = sft.answer(model, tokenizer, heldout)
    before = {**sft.score(first, heldout), "loss": round(sft.held_out_loss(model, asked), 4)}
    before["exact_bare_question"] = sft.score(sft.answer(model, tokenizer, heldout, bare=True), heldout)["exact"]
    print(f"before: exact {before['exact']} %, key words {before['key']} %, loss {before['loss']}, bare question {before['exact_bare_question']} %", flush=True)

    model = sft.attach(model, recipe, "builtin")
    examples = [sft.encode(tokenizer, row) for row in train]

    def report(entry):
        if entry["step"] in (1, 2, 3, 6, 11) or entry["step"] % 20 == 0:
            print(f"  step {entry['step']:4}  loss {entry['loss']:.4f}", flush=True)

    log = sft.train(model, examples, recipe, report)
    model.eval()
    last = sft.answer(model, tokenizer, heldout)
    after = {**sft.score(last, heldout), "loss": round(sft.held_out_loss(model, asked), 4)}
    print(f"after {recipe.steps} steps: exact {after['exact']} %, key words {after['key']} %, loss {after['loss']}")
    print(f"  {after['by_type']}")
    step = max(1, len(heldout) // max(1, args.show))
    for i in range(0, step * args.show, step):
        if i < len(heldout):
            print(f"  {sft.user_turn(heldout[i])!r}\n    base:  {first[i]!r}\n    tuned: {last[i]!r}\n    right: {heldout[i]['output']!r}")
    if args.out:
        result = {"recipe": sft.describe(recipe), "before": before, "after": after, "tokens": sum(e["num_tokens"] for e in log), "losses": [e["loss"] for e in log]}
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
