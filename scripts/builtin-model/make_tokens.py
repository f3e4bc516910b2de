#!/usr/bin/env python3
"""Writes documents until there are enough tokens: one long row of uint16, documents parted by id 0.

    make_tokens.py --world WORLD.json --tokenizer DIR --tokens 12000000 --seed 5 --out train.npy
"""

import argparse
import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from documents import Writer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    writer = Writer(json.loads(args.world.read_text()), args.seed)
    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    out, filled = np.empty(args.tokens, dtype=np.uint16), 0
    while filled < args.tokens:
        for encoding in tokenizer.encode_batch([writer.document() for _ in range(2000)]):
            ids = np.array([*encoding.ids, 0], dtype=np.uint16)[: args.tokens - filled]
            out[filled : filled + len(ids)] = ids
            filled += len(ids)
    np.save(args.out, out)
    print(f"{args.out.name}: {filled:,} tokens")


if __name__ == "__main__":
    main()
