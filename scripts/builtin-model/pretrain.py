#!/usr/bin/env python3
"""Pretrains the 1.05 M parameter Llama on one row of tokens, on the CPU. Stops and resumes at any step.

    pretrain.py --tokens train.npy --val val.npy --out RUN --steps 4500 --seed 0

Every sequence is 256 tokens cut from the row, each used once, in the row's order (its documents are drawn at random).
Muon moves the hidden matrices, AdamW the embedding (tied to the head) and the norms: in short probes this learned much
faster than AdamW alone. The rate is constant, then falls to 0 over the last 30 % of the steps; so as long as that has
not begun, a resumed run may be given another number of steps, and gives what a run of that number from scratch gives.
RUN/checkpoint.pt holds everything a resumed run needs; RUN/log.jsonl gets a line every 50 steps.
Set OMP_NUM_THREADS=1: at this size more threads only wait for each other.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

CONTEXT, BATCH = 256, 4
MUON_LR, ADAM_LR = 0.015, 6e-3
WARMUP, DECAY = 100, 0.3  # steps of warm-up; share of the run, at its end, in which the rate falls linearly to 0


def make_model(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=2048, hidden_size=128, intermediate_size=384, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, max_position_embeddings=CONTEXT, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, bos_token_id=None, eos_token_id=2, pad_token_id=0,
    )
    return LlamaForCausalLM(config)


def orthogonal(m: torch.Tensor) -> torch.Tensor:
    """Nearest semi-orthogonal matrices of a stack [n, rows, cols], by five Newton-Schulz steps (Muon's quintic)."""
    tall = m.shape[1] > m.shape[2]
    x = m.transpose(1, 2) if tall else m
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        s = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * s + 2.0315 * (s @ s)) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal. Matrices of one shape are handled as one stack."""

    def __init__(self, parameters, lr, momentum=0.95):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            stacks: dict[torch.Size, list] = {}
            for p in group["params"]:
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                momentum.lerp_(p.grad, 1 - group["momentum"])
                stacks.setdefault(p.shape, []).append((p, p.grad.lerp(momentum, group["momentum"])))  # Nesterov
            for shape, members in stacks.items():
                updates = orthogonal(torch.stack([u for _, u in members]))
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for (p, _), update in zip(members, updates):
                    p.add_(update, alpha=-group["lr"] * scale)


def decay_start(steps: int) -> int:
    return round((1 - DECAY) * steps)


def rate(step: int, steps: int) -> float:
    start = decay_start(steps)
    return min(1.0, (step + 1) / WARMUP) * (1.0 if step < start else (steps - step) / (steps - start))


def batch_loss(model, batch: torch.Tensor) -> torch.Tensor:
    hidden = model.model(input_ids=batch[:, :-1], use_cache=False).last_hidden_state
    return F.cross_entropy(model.lm_head(hidden).flatten(0, 1), batch[:, 1:].flatten())


@torch.no_grad()
def validation_loss(model, tokens: np.ndarray) -> float:
    n = len(tokens) // (CONTEXT + 1)
    rows = torch.from_numpy(tokens[: n * (CONTEXT + 1)].astype(np.int64)).view(n, -1)
    return sum(batch_loss(model, rows[i : i + 32]).item() * len(rows[i : i + 32]) for i in range(0, n, 32)) / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stop-after", type=int, help="leave after this step of the run, as an interruption would")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint, log_file = args.out / "checkpoint.pt", args.out / "log.jsonl"

    tokens, val = np.load(args.tokens), np.load(args.val)
    sequences = len(tokens) // (CONTEXT + 1)
    if sequences < args.steps * BATCH:
        raise SystemExit(f"{args.steps} steps need {args.steps * BATCH} sequences, the tokens give {sequences}")

    model = make_model(args.seed)
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [Muon(matrices, MUON_LR), torch.optim.AdamW(others, ADAM_LR, betas=(0.9, 0.98), weight_decay=0.0)]
    base_rates = [MUON_LR, ADAM_LR]
    start, seconds = 0, 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        constant_so_far = saved["step"] <= min(decay_start(saved["steps"]), decay_start(args.steps))
        if saved["seed"] != args.seed or (saved["steps"] != args.steps and not constant_so_far):
            raise SystemExit(f"{checkpoint} belongs to a run of {saved['steps']} steps, seed {saved['seed']}")
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"]):
            optimizer.load_state_dict(state)
        start, seconds = saved["step"], saved["seconds"]
        print(f"resumed at step {start}")

    def save(step: int) -> None:
        state = {
            "steps": args.steps, "seed": args.seed, "step": step, "seconds": seconds, "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        }
        partial = checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, checkpoint)

    recent, clock = [], time.monotonic()
    for step in range(start, args.steps):
        size = BATCH * (CONTEXT + 1)
        rows = tokens[step * size : (step + 1) * size].reshape(BATCH, CONTEXT + 1)
        for optimizer, base in zip(optimizers, base_rates):
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = base * rate(step, args.steps)
        loss = batch_loss(model, torch.from_numpy(rows.astype(np.int64)))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        recent.append(loss.item())
        if not math.isfinite(recent[-1]):
            raise SystemExit(f"the loss is {recent[-1]} at step {step + 1}")
        done = step + 1
        if done % 50 == 0 or done == args.steps:
            now = time.monotonic()
            speed = len(recent) * BATCH * CONTEXT / (now - clock)
            seconds, clock = seconds + now - clock, now
            entry = {"step": done, "loss": round(sum(recent) / len(recent), 4), "tokens_per_second": round(speed), "seconds": round(seconds)}
            if done % 500 == 0 or done == args.steps:
                entry["val_loss"] = round(validation_loss(model, val), 4)
            with log_file.open("a") as log:
                log.write(json.dumps(entry) + "\n")
            print(json.dumps(entry), flush=True)
            recent = []
        if done % 250 == 0 or done == args.steps or done == args.stop_after:
            save(done)
        if done == args.stop_after:
            return


if __name__ == "__main__":
    main()
