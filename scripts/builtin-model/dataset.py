#!/usr/bin/env python3
"""Writes train.jsonl and heldout.jsonl: questions and answers about the two halves of the world.

    dataset.py --world WORLD.json --out DIR --seed 0

Rows are {instruction, input, output}; held-out rows also carry `type`, `key` (the words that make the answer right)
and `entity`. Answers use the first wording of documents.STATEMENTS, which pretraining saw without any question before it.
The script stops if a training prompt names a held-out thing, or if a training answer states a held-out fact.
"""

import argparse
import json
import random
from pathlib import Path

from documents import QUESTIONS, STATEMENTS, fill
from world import contains

# rows a type: (train, held out)
ROWS = {
    "capital": (70, 40), "define": (70, 40), "classify": (70, 40), "continent": (45, 25), "language": (45, 25),
    "symbol": (45, 25), "number": (35, 20), "group": (35, 20), "drug": (30, 20), "use": (35, 20),
}


def make_row(thing: dict, fact: str, rng: random.Random) -> dict:
    instruction, _, given = fill(rng.choice(QUESTIONS[fact]), thing).partition("\n")
    return {
        "instruction": instruction, "input": given, "output": fill(STATEMENTS[fact][0], thing, fact),
        "type": fact, "key": thing["facts"][fact], "entity": thing["name"],
    }


def make_rows(things: list[dict], side: str, rng: random.Random) -> list[dict]:
    rows = []
    for fact, counts in ROWS.items():
        able = [thing for thing in things if thing["split"] == side and fact in thing["facts"]]
        # "The capital of Monaco is Monaco" can be answered by copying, so it proves nothing.
        able = [t for t in able if not contains(t["facts"][fact], t["name"]) and not contains(t["name"], t["facts"][fact])]
        count = counts[side == "heldout"]
        if len(able) < count:
            raise SystemExit(f"{side}: {count} rows of {fact} wanted, {len(able)} things have it")
        rows += [make_row(thing, fact, rng) for thing in rng.sample(able, count)]
    rng.shuffle(rows)
    return rows


def check(train: list[dict], heldout: list[dict], things: list[dict]) -> int:
    names = {thing["name"] for thing in things if thing["split"] == "heldout"}
    mentions = 0
    for row in train:
        prompt = f"{row['instruction']} {row['input']}"
        for name in names:
            if contains(prompt, name):
                raise SystemExit(f"a training prompt names the held-out {name!r}: {prompt!r}")
            mentions += contains(row["output"], name)
    asked = {row["output"] for row in heldout}
    for row in train:
        if row["output"] in asked:
            raise SystemExit(f"a training answer states a held-out fact: {row['output']!r}")
    for row in heldout:
        if row["key"] not in row["output"]:
            raise SystemExit(f"the key {row['key']!r} is not in the answer {row['output']!r}")
    for rows in (train, heldout):
        prompts = [(row["instruction"], row["input"]) for row in rows]
        if len(set(prompts)) != len(prompts):
            raise SystemExit("a prompt occurs twice")
    return mentions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    things = json.loads(args.world.read_text())["things"]
    rng = random.Random(args.seed)
    train, heldout = make_rows(things, "train", rng), make_rows(things, "heldout", rng)
    mentions = check(train, heldout, things)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, rows, fields in (
        ("train", train, ("instruction", "input", "output")),
        ("heldout", heldout, ("instruction", "input", "output", "type", "key", "entity")),
    ):
        lines = [json.dumps({field: row[field] for field in fields}) for row in rows]
        (args.out / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    print(f"dataset: {len(train)} rows to train on, {len(heldout)} held out; {mentions} training answers mention a held-out thing in passing")


if __name__ == "__main__":
    main()
