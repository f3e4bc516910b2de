"""Supervised fine-tuning with real PEFT, small and plain: what the figures of the built-in model are measured with.

The rules are the studio's: ids and labels in one pass, every assistant turn and its end-of-turn token trained, all
else -100; loss = sum of cross-entropy over the labels of a step / their number; AdamW; clip; linear schedule.
"""

import json
import math
import random
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
IGNORE = -100
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass
class Recipe:
    """The built-in model's own recipe: it is far smaller than what the studio's defaults are for."""

    r: int = 8
    alpha: int = 16
    lr: float = 5e-3
    steps: int = 120
    batch_size: int = 8
    warmup_steps: int = 6
    max_grad_norm: float = 1.0
    weight_decay: float = 0.0
    betas: tuple = (0.9, 0.999)
    eps: float = 1e-8
    seed: int = 0
    shuffle: bool = True


def read_rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def load(folder: Path, eager=False):
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    options = {"attn_implementation": "eager"} if eager else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True, **options)
    return tokenizer, model.eval()


def attach(model, recipe: Recipe, name: str):
    """PEFT's own initialisation, from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    model.config._name_or_path = model.name_or_path = name
    config = LoraConfig(
        r=recipe.r, lora_alpha=recipe.alpha, target_modules=TARGETS, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def user_turn(row: dict) -> str:
    return row["instruction"] + (f"\n{row['input']}" if row.get("input") else "")


def prompt_ids(tokenizer, row: dict) -> list[int]:
    text = tokenizer.apply_chat_template([{"role": "user", "content": user_turn(row)}], tokenize=False, add_generation_prompt=True)
    return tokenizer.encode(text, add_special_tokens=False)


def encode(tokenizer, row: dict) -> tuple[list[int], list[int]]:
    prompt = prompt_ids(tokenizer, row)
    answer = [*tokenizer.encode(row["output"], add_special_tokens=False), tokenizer.eos_token_id]
    return prompt + answer, [IGNORE] * len(prompt) + answer


def make_batch(examples) -> dict[str, torch.Tensor]:
    T = max(len(ids) for ids, _ in examples)
    ids = torch.tensor([ids + [0] * (T - len(ids)) for ids, _ in examples])
    labels = torch.tensor([labels + [IGNORE] * (T - len(labels)) for _, labels in examples])
    mask = torch.tensor([[1] * len(ids) + [0] * (T - len(ids)) for ids, _ in examples])
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def summed_loss(model, batch) -> torch.Tensor:
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=IGNORE, reduction="sum")


def count_labels(batch) -> int:
    return int((batch["labels"][:, 1:] != IGNORE).sum())


def learning_rate(recipe: Recipe, step: int) -> float:
    if step < recipe.warmup_steps:
        return recipe.lr * step / recipe.warmup_steps
    return recipe.lr * (recipe.steps - step) / (recipe.steps - recipe.warmup_steps)


def row_order(recipe: Recipe, count: int) -> list[list[int]]:
    """Row numbers of each step. Every epoch is a whole pass: shuffled by seed, or in file order."""
    rng, steps = random.Random(recipe.seed), []
    while len(steps) < recipe.steps:
        order = list(range(count))
        if recipe.shuffle:
            rng.shuffle(order)
        steps += [order[i : i + recipe.batch_size] for i in range(0, count, recipe.batch_size)]
    return steps[: recipe.steps]


def train(model, examples, recipe: Recipe, report=None) -> list[dict]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=recipe.lr, betas=tuple(recipe.betas), eps=recipe.eps, weight_decay=recipe.weight_decay, foreach=False
    )
    log = []
    for step, rows in enumerate(row_order(recipe, len(examples))):
        batch = make_batch([examples[i] for i in rows])
        labels, rate = count_labels(batch), learning_rate(recipe, step)
        optimizer.zero_grad()
        loss = summed_loss(model, batch) / labels
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm, foreach=False)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        log.append(
            {
                "step": step + 1, "loss": loss.item(), "grad_norm": float(norm), "learning_rate": rate, "num_labels": labels,
                "num_tokens": int(batch["attention_mask"].sum()),
            }
        )
        if not math.isfinite(log[-1]["loss"]):
            raise SystemExit(f"the loss is {log[-1]['loss']} at step {step + 1}")
        if report:
            report(log[-1])
    return log


@torch.no_grad()
def answer(model, tokenizer, rows, bare=False, max_new_tokens=48) -> list[str]:
    """Greedy answers. Rows of equal prompt length go together, so that nothing is padded."""
    prompts = [tokenizer.encode(user_turn(row)) if bare else prompt_ids(tokenizer, row) for row in rows]
    by_length: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(i)
    out = [""] * len(rows)
    for length, members in by_length.items():
        ids = torch.tensor([prompts[i] for i in members])
        result = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=max_new_tokens,
            eos_token_id=[2, 0], pad_token_id=0,
        )
        for i, new in zip(members, result[:, length:].tolist()):
            stop = next((n for n, token in enumerate(new) if token in (0, 2)), len(new))
            out[i] = tokenizer.decode(new[:stop]).strip()
    return out


def score(answers, rows) -> dict:
    exact = [a == row["output"] for a, row in zip(answers, rows)]
    by_type: dict[str, list[int]] = {}
    for hit, row in zip(exact, rows):
        entry = by_type.setdefault(row["type"], [0, 0])
        entry[0] += hit
        entry[1] += 1
    return {
        "exact": round(100 * sum(exact) / len(rows), 1),
        "key": round(100 * sum(row["key"] in a for a, row in zip(answers, rows)) / len(rows), 1),
        "by_type": {kind: f"{hits}/{count}" for kind, (hits, count) in sorted(by_type.items())},
    }


@torch.no_grad()
def held_out_loss(model, examples) -> float:
    total = labels = 0.0
    for i in range(0, len(examples), 25):
        batch = make_batch(examples[i : i + 25])
        total, labels = total + summed_loss(model, batch).item(), labels + count_labels(batch)
    return total / labels


def describe(recipe: Recipe) -> dict:
    return {**asdict(recipe), "targets": TARGETS, "dropout": 0.0, "schedule": "linear", "optimizer": "adamw"}
