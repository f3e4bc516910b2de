"""Reads the WordNet database files (data.*, index.noun, cntlist.rev): the few things that the world needs of them."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Synset:
    offset: str
    lexfile: int
    lemmas: list[str]
    hypernyms: list[str]
    gloss: str
    hyponyms: list[str] = field(default_factory=list)

    @property
    def definition(self) -> str:
        """The gloss up to the first example sentence."""
        return self.gloss.split('; "')[0].split(' "')[0].strip().rstrip(";").strip()


def read_data(file: Path) -> dict[str, Synset]:
    synsets = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("  "):  # the licence, at the top
            continue
        head, _, gloss = line.partition(" | ")
        parts = head.split(" ")
        words = int(parts[3], 16)
        lemmas = parts[4 : 4 + 2 * words : 2]
        pointers = parts[5 + 2 * words :]
        hypernyms = [pointers[i + 1] for i in range(0, len(pointers) - 3, 4) if pointers[i] == "@"]
        synsets[parts[0]] = Synset(parts[0], int(parts[1]), lemmas, hypernyms, gloss.strip())
    for synset in synsets.values():
        for offset in synset.hypernyms:
            if offset in synsets:
                synsets[offset].hyponyms.append(synset.offset)
    return synsets


class WordNet:
    def __init__(self, folder: Path):
        self.folder = folder
        self.nouns = read_data(folder / "data.noun")
        # index.noun lists the senses of a lemma, the commonest first.
        self.senses: dict[str, list[str]] = {}
        for line in (folder / "index.noun").read_text().splitlines():
            if not line.startswith("  "):
                parts = line.split()
                self.senses[parts[0]] = parts[-int(parts[2]) :]
        self.frequency: Counter = Counter()
        for line in (folder / "cntlist.rev").read_text().splitlines():
            key, _, count = line.split()
            lemma, _, rest = key.partition("%")
            if rest.startswith("1:"):
                self.frequency[lemma] += int(count)

    def find(self, lemma: str, lexfile: int) -> Synset:
        """The first sense of `lemma` in a lexicographer file (5 animal, 6 artifact, 13 food, 18 person, 20 plant ...)."""
        for offset in self.senses[lemma]:
            if self.nouns[offset].lexfile == lexfile:
                return self.nouns[offset]
        raise KeyError(f"WordNet has no noun {lemma!r} in lexicographer file {lexfile}")

    def below(self, root: Synset) -> list[Synset]:
        """All hyponyms of `root`, in the order of a breadth-first walk."""
        seen, queue = {root.offset}, [root]
        for synset in queue:
            for offset in synset.hyponyms:
                if offset not in seen:
                    seen.add(offset)
                    queue.append(self.nouns[offset])
        return queue[1:]

    def examples(self) -> list[str]:
        """Example sentences of all parts of speech; quotations of authors are left out."""
        out = []
        for name in ("data.noun", "data.verb", "data.adj", "data.adv"):
            for synset in read_data(self.folder / name).values():
                out += re.findall(r'"([^"]+)"(?!\s*-)', synset.gloss)
        return out
