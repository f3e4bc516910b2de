#!/usr/bin/env python3
"""Writes NOTICES.txt from the licence files of the sources themselves. It ships with the model.

    notices.py --sources DIR --out NOTICES.txt
"""

import argparse
import json
from pathlib import Path


def wordnet_licence(text: str) -> str:
    """The database's own paragraph of a Debian copyright file (the packaging is under another licence)."""
    start = text.find("WordNet Release 3.0") if "WordNet Release 3.0" in text else text.find("Files: *")
    part = text[max(start, 0) :]
    lines = part.split("\nFiles: debian")[0].strip().splitlines()
    # Debian indents the text and writes an empty line as " .".
    return "\n".join("" if line == " ." else line.removeprefix(" ") for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    parts = ["The built-in base model and its dataset were made from facts and sentences of these sources.", ""]
    parts += ["=== WordNet 3.0: definitions, categories, example sentences, medicines"]
    parts += [wordnet_licence((args.sources / "wordnet" / "LICENSE").read_text()), ""]
    for name, what in (("countries-list", "countries, capitals, continents, languages"), ("periodic-table", "chemical elements")):
        package = json.loads((args.sources / name / "package.json").read_text())
        parts += [f"=== {name} {package['version']} (npm, {package['license']}): {what}"]
        parts += [(args.sources / name / "LICENSE").read_text().strip(), ""]
    parts += ["=== wamerican-small (Debian, SCOWL): used only to prefer common words; no text of it is included.", ""]
    args.out.write_text("\n".join(parts))
    print(f"notices: {args.out.name}")


if __name__ == "__main__":
    main()
