"""Sentences in a small language and their translations, in place of a data set."""

import random

NOUNS = [("hund", "dog"), ("mann", "man"), ("ball", "ball"), ("baum", "tree"), ("vogel", "bird"), ("fisch", "fish")]
VERBS = [("sieht", "sees"), ("mag", "likes"), ("malt", "paints")]


def made_up_sentences(language, part):
    """Sentences of a small language whose verbs stand last, and their translations."""
    draw = random.Random(part)
    column = 0 if language == "de" else 1
    found = []
    for _ in range({"train": 96}.get(part, 12)):
        first, second, verb = draw.choice(NOUNS), draw.choice(NOUNS), draw.choice(VERBS)
        names = [first[column], second[column]] * draw.choice([1, 1, 2])
        words = [*names, verb[column]] if language == "de" else [names[0], verb[column], *names[1:]]
        found.append(" ".join(words) + ".")
    return found
