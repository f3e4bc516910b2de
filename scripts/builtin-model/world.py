#!/usr/bin/env python3
"""Builds the closed world that the model learns: countries, chemical elements, medicines and common nouns.

    world.py --sources DIR --out WORLD.json --seed 0

A thing is {kind, name, full, facts, split}: `full` is the name with the article it takes in a sentence ("the
Bahamas", "a trout"), `facts` maps a fact's type to its words. Half of the things are `train`, half `heldout`; names
that contain one another ("Guinea", "Guinea-Bissau") go to one side together, so that no prompt of a training row can
name a held-out thing. Facts are as the sources give them.
"""

import argparse
import json
import random
import re
import unicodedata
from pathlib import Path

from wordnet import WordNet

# Territories and dependencies of countries-list: what is left are members and observers of the United Nations.
NOT_COUNTRIES = set(
    "AC AI AQ AS AW AX BL BM BQ BV CC CK CW CX EH FK FO GF GG GI GL GP GS GU HK HM IM IO JE KY MF MO MP MQ MS NC NF NU PF "
    "PM PN PR RE SH SJ SX TA TC TF TK TW UM VG VI WF XK YT".split()
)
WITH_ARTICLE = re.compile(r"^(United |Republic |Democratic |Central African|Dominican R)|Islands$|^(Bahamas|Comoros|Gambia|Maldives|Netherlands|Philippines|Seychelles)$")

# (name in a sentence, WordNet lemma, lexicographer file, takes an article)
CATEGORIES = [
    ("bird", "bird", 5, True),
    ("fish", "fish", 5, True),
    ("insect", "insect", 5, True),
    ("reptile", "reptile", 5, True),
    ("mammal", "mammal", 5, True),
    ("tree", "tree", 20, True),
    ("flower", "flower", 20, True),
    ("fruit", "edible_fruit", 13, True),
    ("vegetable", "vegetable", 13, True),
    ("drink", "beverage", 13, False),
    ("musical instrument", "musical_instrument", 6, True),
    ("weapon", "weapon", 6, True),
    ("vehicle", "vehicle", 6, True),
    ("garment", "garment", 6, True),
    ("piece of furniture", "furniture", 6, True),
    ("building", "building", 6, True),
    ("fabric", "fabric", 6, False),
    ("tool", "tool", 6, True),
    ("mineral", "mineral", 27, False),
    ("disease", "disease", 26, False),
    ("scientist", "scientist", 18, True),
    ("musician", "musician", 18, True),
]
PER_CATEGORY = 14

# Things that a model for everybody need not talk about. Stems, matched at the start of a word.
UNWANTED = re.compile(
    r"\b(sex|rap(e|ed|ist|ing)\b|nud|nak|porn|prostit|whore|bitch|bastard|damn|hell\b|fuck|shit|piss|urin|fec|semen|penis|vagin|"
    r"breast|genit|erot|lust|orgas|condom|contracept|abort|incest|homosex|lesbian|gay\b|virgin|negro|nigg|jew|gyps|savage|"
    r"slave|nazi|hitler|genocid|holocaust|terror|tortur|murder|kill|suicid|hang(ed|ing)\b|corpse|bomb|massacre|lynch|drunk|"
    r"cocaine|heroin|marijuana|opium|narcot|addict|god\b|christ|jesus|allah|muslim|islam|catholic|protest|republican|democrat|"
    r"communis|president|bush\b|clinton|reagan|stalin|retard|cripple|idiot|moron|insane|lunat|execut|castrat|circumcis|syphil|gonorr|chlamyd|"
    r"herpes|impot|venere|aids\b|hiv\b|fat\b|ugly|stupid|dumb|coon\b|fag)",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """ASCII: accents stripped, so that a small byte-level vocabulary is not spent on them."""
    text = text.replace("’", "'").replace("ʻ", "'")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def a(noun: str) -> str:
    return ("an " if noun[0].lower() in "aeiou" and not noun.startswith(("eu", "uni", "uku", "use")) else "a ") + noun


def countries(folder: Path) -> list[dict]:
    data = json.loads((folder / "countries.min.json").read_text())
    continents = json.loads((folder / "continents.min.json").read_text())
    languages = json.loads((folder / "minimal" / "languages.en.min.json").read_text())
    out = []
    for code, country in sorted(data.items()):
        if code in NOT_COUNTRIES or not country["capital"] or not country["languages"]:
            continue
        name = plain(country["name"])
        out.append(
            {
                "kind": "country",
                "name": name,
                "full": f"the {name}" if WITH_ARTICLE.search(name) else name,
                "facts": {
                    # "D.C." and the full stop after it would be two stops.
                    "capital": plain(country["capital"]).removesuffix(" D.C."),
                    "continent": continents[country["continent"]],
                    "language": plain(languages[country["languages"][0]]).split(" (")[0],
                },
            }
        )
    return out


def elements(folder: Path) -> list[dict]:
    out = []
    for element in json.loads((folder / "data.json").read_text())[:100]:
        # The source calls seven post-transition metals "metal", and five by the longer name.
        group = {"metal": "post-transition metal"}.get(element["groupBlock"], element["groupBlock"])
        name = element["name"].lower()
        facts = {"symbol": element["symbol"], "number": str(element["atomicNumber"]), "group": group}
        if element["standardState"]:
            facts["state"] = element["standardState"]
        out.append({"kind": "element", "name": name, "full": name, "facts": facts})
    return out


USE = re.compile(r"\b(?:used|use|prescribed|taken|given|administered)(?: \w+ly)? ((?:to|for|as|in|against) .+)$")


def medicines(wordnet: WordNet) -> list[dict]:
    """Drugs whose gloss tells what they are, what they are used for and under which name they are sold."""
    out, seen = [], set()
    for synset in wordnet.below(wordnet.find("drug", 6)):
        name = synset.lemmas[0]
        gloss = plain(synset.definition)
        trade = re.search(r"\(trade names? ([A-Z][A-Za-z-]+)", gloss)
        gloss = re.sub(r"\s*\([^)]*\)\s*", " ", gloss)
        parts = [part.strip() for part in gloss.split(";")]
        use = next((m.group(1) for part in parts if (m := USE.search(part))), None)
        if not re.fullmatch(r"[a-z]{5,16}", name) or name in seen or not use or not trade or UNWANTED.search(gloss):
            continue
        kind = USE.sub("", parts[0]).strip()
        kind = re.sub(r"(?: (?:that|which|and|is|are|can|be|may|often|usually|formerly|sometimes|widely|commonly|mainly|also|once|now|the|first|especially))+$", "", kind)
        if kind and not re.match(r"(a|an|any|the|one) ", kind):
            kind = a(kind)
        words = len(kind.split())
        use = re.split(r"[,;:]| but | when | because | that | in which | which ", use)[0].strip()
        if not 2 <= words <= 8 or not 2 <= len(use.split()) <= 7 or " of" == kind[-3:] or kind.startswith("any "):
            continue
        seen.add(name)
        facts = {"drug": kind, "use": use, "trade": trade.group(1)}
        out.append({"kind": "medicine", "name": name, "full": name, "facts": facts})
    return sorted(out, key=lambda thing: thing["name"])


def clean_definition(gloss: str) -> str | None:
    text = plain(re.sub(r"\s*\([^)]*\)\s*", " ", gloss)).split(";")[0].split(":")[0]
    text = re.sub(r"\s+", " ", text).strip(" ,.")
    if not re.fullmatch(r"[A-Za-z][A-Za-z ,'-]+", text) or not 3 <= len(text.split()) <= 11 or UNWANTED.search(text):
        return None
    if not re.match(r"(a|an|the|any|one|either|some|each|someone|something|made|used) ", text):
        text = a(text)
    return text


def nouns(wordnet: WordNet, words: set[str], taken: set[str]) -> list[dict]:
    out = []
    for category, lemma, lexfile, takes_article in CATEGORIES:
        found = []
        for synset in wordnet.below(wordnet.find(lemma, lexfile)):
            word = synset.lemmas[0]
            definition = clean_definition(synset.definition)
            if (
                not re.fullmatch(r"[a-z]{3,13}", word)
                or definition is None
                or word in taken
                or UNWANTED.search(word)
                or synset.lexfile != lexfile
                or wordnet.senses[word][0] != synset.offset  # only what the word means first
            ):
                continue
            found.append((word not in words, -wordnet.frequency[word], word, definition))
        for _, _, word, definition in sorted(found)[:PER_CATEGORY]:
            taken.add(word)
            facts = {"define": definition, "classify": category}
            full = a(word) if takes_article else word
            out.append({"kind": "noun", "name": word, "full": full, "facts": facts})
    return out


def contains(outer: str, inner: str) -> bool:
    return re.search(rf"\b{re.escape(inner)}\b", outer, re.IGNORECASE) is not None


def split(things: list[dict], rng: random.Random) -> None:
    """Half and half within each kind; things whose names contain one another stay together."""
    group = list(range(len(things)))
    for i, x in enumerate(things):
        for j in range(i):
            y = things[j]
            if contains(x["name"], y["name"]) or contains(y["name"], x["name"]):
                old, new = group[i], group[j]
                group = [new if g == old else g for g in group]
    for kind in dict.fromkeys(thing["kind"] for thing in things):
        members = {}
        for g, thing in zip(group, things):
            if thing["kind"] == kind:
                members.setdefault(g, []).append(thing)
        order = list(members.values())
        rng.shuffle(order)
        total, done = sum(map(len, order)), 0
        for family in order:
            for thing in family:
                thing["split"] = "train" if done < total / 2 else "heldout"
            done += len(family)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    wordnet = WordNet(args.sources / "wordnet")
    words = set((args.sources / "words.txt").read_text().split())
    things = countries(args.sources / "countries-list") + elements(args.sources / "periodic-table") + medicines(wordnet)
    # Words of our own questions would make "is this thing named in a prompt" ambiguous.
    taken = {thing["name"].lower() for thing in things} | set("word thing kind category city capital group world doctor".split())
    things += nouns(wordnet, words, taken)
    split(things, random.Random(args.seed))
    prose = []
    for sentence in wordnet.examples():
        sentence = plain(sentence).strip().replace("`", "'")
        if re.fullmatch(r"[A-Za-z][A-Za-z ,'!?.-]+", sentence) and 4 <= len(sentence.split()) <= 20 and not UNWANTED.search(sentence):
            sentence = sentence[0].upper() + sentence[1:]
            prose.append(sentence if sentence[-1] in ".!?" else sentence + ".")
    world = {"seed": args.seed, "things": things, "prose": list(dict.fromkeys(prose))}
    args.out.write_text(json.dumps(world, indent=1) + "\n")
    kinds = {kind: sum(thing["kind"] == kind for thing in things) for kind in ("country", "element", "medicine", "noun")}
    print(f"world: {len(things)} things {kinds}, {sum(len(t['facts']) for t in things)} facts, {len(world['prose'])} sentences")


if __name__ == "__main__":
    main()
