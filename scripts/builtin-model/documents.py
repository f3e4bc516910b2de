"""Writes the documents that the base model is pretrained on: statements and questions, never a question with its answer.

Kinds of document, and what each is for:

- about    a paragraph about one thing in mixed wordings; a third under a heading, which teaches to carry a name down
           from an earlier line, as an answer carries it from the question
- table    one fact over many things, in one wording
- roll     the members of a category
- prose    example sentences of WordNet, so that not everything is a fact
- quiz     question sheets without answers: after a question the model learns to expect the next question

About one document in eight is framed in ChatML blocks with a title instead of a role, so that the control tokens are
trained. Quizzes are often framed one question a block: this is why the base model, asked something in a chat, asks back.
"""

import random

from world import a

IM_START, IM_END, END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
TITLES = ["notes", "dictionary", "atlas", "almanac", "page", "list", "reader", "quiz", "letter"]

# The first wording of a fact is the one that answers use; it is drawn a little more often than all others together.
# {X} the thing with its article, {x} its bare name, {k} the fact, {ak} the fact with an article, {ks} its plural.
STATEMENTS = {
    "capital": ["The capital of {X} is {k}.", "{k} is the capital of {X}.", "The capital city of {X} is called {k}.", "{X} has its capital at {k}."],
    "continent": ["The country of {X} is in {k}.", "{X} is a country in {k}.", "On a map of {k} you will find {X}.", "{X} lies in {k}."],
    "language": ["The people of {X} speak {k}.", "{k} is spoken in {X}.", "In {X} people speak {k}.", "The language of {X} is {k}."],
    "symbol": ["The chemical symbol for {X} is {k}.", "Chemists write {k} for {X}.", "{X} has the symbol {k}."],
    "number": ["The atomic number of {X} is {k}.", "{X} is element number {k}.", "An atom of {X} has {k} protons."],
    "group": ["The element {X} is {ak}.", "{X} belongs to the {ks}.", "Chemists count {X} among the {ks}."],
    "state": ["At room temperature {X} is a {k}.", "{X} is a {k} at room temperature.", "In a warm room {X} is a {k}."],
    "drug": ["The drug {X} is {k}.", "{X} is {k}.", "Pharmacists know {X} as {k}."],
    "use": ["Doctors use {X} {k}.", "{X} is used {k}.", "Doctors prescribe {X} {k}.", "Patients are given {X} {k}."],
    "trade": ["The trade name of {X} is {k}.", "{X} is sold as {k}.", "{k} is a trade name of {X}."],
    "define": ["The word {x} means {k}.", "{X} is {k}.", "By {X} we mean {k}.", "A dictionary says that {X} is {k}."],
    "classify": ["The word {x} is the name of {ak}.", "{X} is a kind of {k}.", "{X} counts as {ak}.", "When we say {x} we speak of {ak}."],
}
QUESTIONS = {
    "capital": ["What is the capital of {X}?", "Name the capital of {X}.", "Which city is the capital of {X}?"],
    "continent": ["Which continent is {X} in?", "On which continent is {X}?", "Where in the world is {X}?"],
    "language": ["Which language is spoken in {X}?", "What do people speak in {X}?"],
    "symbol": ["What is the chemical symbol for {X}?", "Give the chemical symbol of {X}.", "How do chemists write {X}?"],
    "number": ["What is the atomic number of {X}?", "Give the atomic number of {X}."],
    "group": ["What kind of element is {X}?", "Which group of elements does {X} belong to?"],
    "state": ["Is {X} a solid, a liquid or a gas?"],
    "drug": ["What is {X}?", "Describe the drug {X}.", "Explain what {X} is."],
    "use": ["What is {X} used for?", "When is {X} given?", "Why do doctors prescribe {X}?"],
    "trade": ["Under which name is {X} sold?"],
    "define": ["What is {X}?", "Define the word {x}.", "Explain what {X} is."],
    "classify": ["What kind of thing is {X}?", "To which category does {X} belong?", "To which category does this belong?\nthe word {x}"],
}
TABLE_HEADINGS = {
    "capital": "Capitals", "continent": "Where countries are", "language": "Languages", "symbol": "Chemical symbols",
    "number": "Atomic numbers", "group": "Groups of elements", "state": "Solids, liquids and gases", "drug": "Drugs",
    "use": "What drugs are for", "trade": "Trade names", "define": "What words mean", "classify": "Kinds of things",
}
HEADINGS = ["{x}", "About {x}", "Notes on {X}", "Something about {X}", "The word {x}", "Facts about {x}"]


def plural(noun: str) -> str:
    first, _, rest = noun.partition(" of ")
    first += "" if first.endswith("s") or first == "fish" else "es" if first.endswith("x") else "s"
    if noun == "noble gas":
        return "noble gases"
    return f"{first} of {rest}" if rest else first


def fill(pattern: str, thing: dict, fact: str = "") -> str:
    k = thing["facts"].get(fact, "")
    with_article = a(k) if fact in ("group", "classify") else k
    text = pattern.format(X=thing["full"], x=thing["name"], k=k, ak=with_article, ks=plural(k))
    return text[0].upper() + text[1:]


class Cycle:
    """Draws from a list, shuffled anew each time round: every item comes equally often."""

    def __init__(self, items, rng: random.Random):
        self.items, self.rng, self.rest = list(items), rng, []

    def draw(self):
        if not self.rest:
            self.rest = self.items[:]
            self.rng.shuffle(self.rest)
        return self.rest.pop()


class Writer:
    KINDS = {"about": 68, "table": 12, "roll": 2, "prose": 7, "quiz": 9}
    FRAMED = 0.10

    def __init__(self, world: dict, seed: int):
        self.rng = random.Random(seed)
        things = world["things"]
        self.things = Cycle(things, self.rng)
        self.quizzed = Cycle(things, self.rng)
        self.with_fact = {fact: Cycle([t for t in things if fact in t["facts"]], self.rng) for fact in STATEMENTS}
        # A table of definitions costs many tokens; it is drawn as often as any other.
        self.facts = Cycle(STATEMENTS, self.rng)
        self.members: dict[str, list[str]] = {}
        for thing in things:
            for fact in ("classify", "group"):
                if fact in thing["facts"]:
                    self.members.setdefault(thing["facts"][fact], []).append(thing["name"])
        self.sentences = Cycle(world["prose"], self.rng)

    def wording(self, fact: str) -> str:
        patterns = STATEMENTS[fact]
        return patterns[0] if self.rng.random() < 0.55 else self.rng.choice(patterns[1:])

    def about(self) -> str:
        rng, thing = self.rng, self.things.draw()
        facts = list(thing["facts"])
        rng.shuffle(facts)
        sentences = [fill(self.wording(fact), thing, fact) for fact in facts]
        if rng.random() < 0.4:  # say one of them again, in the words that answers use
            fact = rng.choice(facts)
            again = fill(STATEMENTS[fact][0], thing, fact)
            if again not in sentences:
                sentences.append(again)
        body = " ".join(sentences)
        return f"{fill(rng.choice(HEADINGS), thing)}\n{body}" if rng.random() < 1 / 3 else body

    def table(self) -> str:
        rng, fact = self.rng, self.facts.draw()
        pattern = self.wording(fact)
        lines = [fill(pattern, self.with_fact[fact].draw(), fact) for _ in range(rng.randint(4, 10))]
        lines = list(dict.fromkeys(lines))
        if rng.random() < 0.5:
            lines.insert(0, TABLE_HEADINGS[fact])
        return "\n".join(lines)

    def roll(self) -> str:
        category = self.rng.choice(list(self.members))
        names = self.rng.sample(self.members[category], min(len(self.members[category]), self.rng.randint(4, 12)))
        heading = plural(category)
        return f"{heading[0].upper()}{heading[1:]}: {', '.join(names)}."

    def prose(self) -> str:
        return " ".join(self.sentences.draw() for _ in range(self.rng.randint(2, 8)))

    def questions(self) -> list[str]:
        """Either about many things, or of one type, or several about one thing (then the name is carried along)."""
        rng, shape = self.rng, self.rng.random()
        if shape < 0.35:
            fact = rng.choice(list(QUESTIONS))
            pairs = [(self.with_fact[fact].draw(), fact) for _ in range(rng.randint(4, 10))]
        elif shape < 0.7:
            things = [self.quizzed.draw() for _ in range(rng.randint(4, 10))]
            pairs = [(thing, rng.choice(list(thing["facts"]))) for thing in things]
        else:
            pairs = [(thing, fact) for thing in (self.quizzed.draw(), self.quizzed.draw()) for fact in thing["facts"]]
        return [fill(rng.choice(QUESTIONS[fact]), thing, fact) for thing, fact in pairs]

    def quiz(self) -> str:
        questions, rng = self.questions(), self.rng
        if rng.random() < 0.45:
            title = rng.choice(TITLES)
            change = rng.random() < 0.5
            return "\n".join(self.block(rng.choice(TITLES) if change else title, q) for q in questions)
        return "\n".join(questions)

    def block(self, title: str, text: str) -> str:
        return f"{IM_START}{title}\n{text}{IM_END}"

    def document(self) -> str:
        kind = self.rng.choices(list(self.KINDS), list(self.KINDS.values()))[0]
        text = getattr(self, kind)()
        if not text.startswith(IM_START) and self.rng.random() < self.FRAMED:
            text = self.block(self.rng.choice(TITLES), text)
        return text
