#!/usr/bin/env python3
"""Checks population.json, the two-camp population of the adapter experiment. Needs nothing but Python.

    python3 tests/adapters/check_population.py

The file holds

* principles: `statement`, which is what its supporters hold, in the form with "should" or with "should not"; `negation`,
  the same words with the "not" removed or put in; `camp`: `both` agree, or the `first` agrees and the `second` disagrees
  (it holds the negation), or the other way round; `split`;
* questions: everyday ones, for context distillation; `split`;
* cards: value cards by camp: `title`, `instruction`, attention `policies`.

All texts were written for this project. In each class of principles as many are held in the form with "not" as without:
a model that merely learns to like or dislike the word gains nothing, and both halves are reported apart.

The split depends on the text alone, so nobody can choose it: `held_out` if the first byte of the SHA-256 of the
statement (of the question), in UTF-8, is below 96, else `train`. Nothing is tuned on what is held out.
"""

import collections
import hashlib
import json
import pathlib
import re
import sys

FILE = pathlib.Path(__file__).with_name("population.json")
HELD_OUT_BELOW = 96
LEAST = {"both": 60, "first": 40, "second": 40}
LEAST_QUESTIONS = 24
CARDS_PER_CAMP = range(6, 9)
# Two statements that share more of their words than this say too nearly the same.
MOST_COMMON_WORDS = 0.7


def split(text):
    return "held_out" if hashlib.sha256(text.encode()).digest()[0] < HELD_OUT_BELOW else "train"


def words(text):
    return re.findall(r"[\w'-]+", text.lower())


def is_negative(text):
    return "should not" in text


def negate(text):
    """The same words, but for the `not` after the only `should`."""
    if is_negative(text):
        return text.replace("should not", "should", 1)
    return text.replace("should", "should not", 1)


def check_principles(principles):
    statements = [principle["statement"] for principle in principles]
    for principle in principles:
        text, negation = principle["statement"], principle["negation"]
        assert set(principle) == {"statement", "negation", "camp", "split"}, principle
        assert words(text).count("should") == 1, f"not exactly one should: {text}"
        assert words(text).count("not") == is_negative(text), f"a not elsewhere: {text}"
        assert words(text)[words(text).index("should") + 1] != "never", f"say should not: {text}"
        assert negation == negate(text), f"not the exact negation: {negation}"
        assert negate(negation) == text, text
        assert negation not in statements, f"both held: {text}"
        assert text.endswith(".") and text[0].isupper() and "  " not in text, text
        assert principle["split"] == split(text), f"in the wrong half: {text}"
    assert len(set(statements)) == len(statements), "a statement is given twice"
    for index, one in enumerate(statements):
        for other in statements[:index]:
            a, b = set(words(one)) - {"not"}, set(words(other)) - {"not"}
            assert len(a & b) / len(a | b) <= MOST_COMMON_WORDS, f"nearly the same: {one} / {other}"


def count(principles):
    table = collections.Counter((it["camp"], it["split"], is_negative(it["statement"])) for it in principles)
    for camp, least in LEAST.items():
        total = {form: sum(table[camp, half, form] for half in ("train", "held_out")) for form in (False, True)}
        assert sum(total.values()) >= least, f"{camp}: {total}"
        assert total[False] == total[True], f"{camp} is not balanced: {total}"
        for half in ("train", "held_out"):
            plain, negative = table[camp, half, False], table[camp, half, True]
            assert min(plain, negative) >= 10, f"{camp}, {half}: {plain} and {negative}"
            print(f"{camp:>7} {half:>9}: {plain:3} should, {negative:3} should not")


def main():
    population = json.loads(FILE.read_text(encoding="utf-8"))
    check_principles(population["principles"])
    count(population["principles"])
    questions = population["questions"]
    assert len({it["question"] for it in questions}) == len(questions) >= LEAST_QUESTIONS
    assert all(it["split"] == split(it["question"]) for it in questions)
    halves = collections.Counter(it["split"] for it in questions)
    print(f"questions: {halves['train']} train, {halves['held_out']} held out")
    cards = collections.Counter(card["camp"] for card in population["cards"])
    assert set(cards) == {"first", "second"} and all(number in CARDS_PER_CAMP for number in cards.values()), cards
    for card in population["cards"]:
        assert card["title"] and card["instruction"].endswith(".") and len(card["policies"]) >= 2, card
    print(f"cards: {dict(cards)}")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as error:
        sys.exit(f"population.json: {error}")
