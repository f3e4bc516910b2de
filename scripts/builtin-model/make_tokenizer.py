#!/usr/bin/env python3
"""Trains the byte-level BPE tokenizer and writes tokenizer.json and tokenizer_config.json.

    make_tokenizer.py --world WORLD.json --out DIR --seed 0
"""

import argparse
import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from documents import END, IM_END, IM_START, Writer

VOCAB = 2048
DOCUMENTS = 30_000
SPECIAL = [END, IM_START, IM_END]  # ids 0, 1, 2: pad and end of document, start and end of a turn
# No default system turn: what a person types is all that the model sees.
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    writer = Writer(json.loads(args.world.read_text()), args.seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=[AddedToken(t, normalized=False, special=True) for t in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )
    # "user" and "assistant" never occur in the documents; without this line they would be spelt in pieces.
    roles = ["user\n", "assistant\n", "system\n"] * 200
    tokenizer.train_from_iterator(roles + [writer.document() for _ in range(DOCUMENTS)], trainer)
    assert [tokenizer.token_to_id(t) for t in SPECIAL] == [0, 1, 2] and tokenizer.get_vocab_size() == VOCAB
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(args.out / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": None, "eos_token": IM_END, "pad_token": END, "unk_token": None,
        "model_max_length": 256, "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {
            str(i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
            for i, t in enumerate(SPECIAL)
        },
        "chat_template": CHAT_TEMPLATE,
    }
    (args.out / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    print(f"tokenizer: {VOCAB} tokens")


if __name__ == "__main__":
    main()
