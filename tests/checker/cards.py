"""What operators say about values cards: which stand for themselves, and which for others."""

import unicodedata

from codec import Refused, is_blank
from group import content, require

MAX_TEXT, MAX_STATEMENT = 1024, 4096
MAX_LINE, MAX_INSTRUCTION, MAX_POLICIES = 400, 2000, 16
MAX_STATEMENTS = 4096
INVISIBLE = [
    *((0x61C, 0x61C), (0x200B, 0x200B), (0x200E, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F)),
    *((0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0xE0000, 0xE007F)),
]


def is_card(text):
    """Tell whether a text is, to the byte, that of a values card."""
    lines = text.split("\n")
    prefixes = ["Value: ", "Instruction: "] + ["Attend to: "] * (len(lines) - 2)
    bounds = [MAX_LINE, MAX_INSTRUCTION] + [MAX_LINE] * (len(lines) - 2)
    if not 2 <= len(lines) <= 2 + MAX_POLICIES or len(text.encode()) > MAX_STATEMENT:
        return False
    parts = zip(lines, prefixes, bounds, strict=True)
    return all(line.startswith(prefix) and is_line(line[len(prefix) :], most) for line, prefix, most in parts)


def is_line(text, most):
    """Tell whether a part is one line that shows what it holds: single spaces, nothing that nobody sees."""
    hidden = any(
        unicodedata.category(one) == "Cc" or any(first <= ord(one) <= last for first, last in INVISIBLE) for one in text
    )
    return 1 <= len(text.encode()) <= most and text == " ".join(text.split()) and not hidden


class Cards:
    """Everything that operators have said about values cards, in the order of the log."""

    def __init__(self, operators):
        self._share = MAX_STATEMENTS // operators
        self.proposed, self._latest, self._into, self._said, self._words = set(), {}, {}, {}, {}

    def propose(self, text):
        """Note an item of a value poll."""
        if is_card(text):
            self.proposed.add(content(text.encode()))

    def canonical(self, reader, operator):
        """Read an operator's word that a card stands for itself."""
        card, number, reason = reader.digest(), reader.uint(2), reader.text(MAX_TEXT)
        self._state(operator, card, number, None, reason)
        self._into.pop(card, None)

    def merge(self, reader, operator):
        """Read an operator's word that one card stands for another."""
        card, into, number = reader.digest(), reader.digest(), reader.uint(2)
        self._state(operator, card, number, into, reader.text(MAX_TEXT))
        met = into
        while met is not None:
            require(met != card, "cards: a merge that leads back to the card itself")
            met = self._into.get(met)
        self._into[card] = into

    def _state(self, operator, card, number, into, reason):
        require(not is_blank(reason), "cards: a reason")
        self._said[operator] = self._said.get(operator, 0) + 1
        require(self._said[operator] <= self._share, "cards: too many words of one operator")
        require(number == self._words.get((operator, card), 0) + 1, "cards: number")
        self._words[operator, card] = number
        require(card not in self._latest or self._latest[card] != into, "cards: said already")
        require({card, into} - {None} <= self.proposed, "cards: no card that somebody proposed")
        self._latest[card] = into


def self_test():
    """One text is a card, and what differs from it is none."""
    good = "Value: Care\nInstruction: Help — é\nAttend to: SIGNS"
    assert is_card(good) and is_card(good.rsplit("\n", 1)[0])
    bad = ["", "Value: Care", good + "\n", good + " ", good.replace("Help", "Help\u200b"), good.replace("Care", "")]
    assert not any(map(is_card, [*bad, good.replace(" — ", "\u00a0— "), good.replace("SIGNS", "S" * 401)]))
    cards = Cards(4)
    try:
        cards._state(b"", b"", 1, None, "why")
    except Refused:
        return
    raise AssertionError("took a word on a card that nobody proposed")
