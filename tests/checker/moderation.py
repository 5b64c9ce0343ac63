"""The rules of polls, what operators say about items, and what may be said beside one."""

from cards import is_line
from codec import is_blank
from group import require

MAX_TEXT, MAX_STATEMENT, MAX_TOPIC = 1024, 4096, 64
MAX_REASON, MAX_PROMPTS, MAX_PROMPT = 512, 5, 2048
MAX_WORDS, MAX_STATED, MAX_ITEMS, MAX_PROPOSED = 4, 16, 500, 2000
MOST_ITEMS, MOST_CHARACTERS = 20, 4096
ACCEPT, REJECT, META, TAKE_BACK = 1, 2, 3, 4
AMENDMENT = 4
USUAL = (False, MOST_ITEMS, MOST_CHARACTERS, "")


class Items:
    """The items of one poll, its rules, and every operator's last word on each."""

    def __init__(self, kind, opened_by):
        self.kind, self.opened_by = kind, opened_by
        self.rules, self._stated, self._times = USUAL, {}, {}
        self.items, self._last, self._declared = {}, {}, set()

    def propose(self, item, text, author, operators, is_anonymous=False):
        """Take an item in, within the poll's bounds."""
        require(item not in self.items, "log: an item that is there")
        require(len(self.items) < MAX_PROPOSED, "items: too many with those rejected")
        if len(self.items) >= MAX_ITEMS:
            left = [one for one in self.items if self._count(one, REJECT, operators) < enough(operators)]
            require(len(left) < MAX_ITEMS, "items: too many")
        if is_anonymous or author not in operators:
            _, most, characters, _ = self.rules
            own = [by for by in self.items.values() if by == author]
            require(len(own) < most, "items: too many of one member")
            require(len(text) <= characters, "items: too long")
        self.items[item] = author

    def annotate(self, reader, item, by_operator):
        """Read what the proposer of an item says beside it."""
        topic, meta = reader.text(MAX_TOPIC), reader.boolean()
        prompts = reader.sequence(MAX_PROMPTS, lambda: (reader.text(MAX_PROMPT), reader.text(MAX_TEXT)))
        require(topic or meta or prompts, "items: nothing beside an item")
        require(not topic or is_line(topic, MAX_TOPIC), "items: topic")
        require(not any(is_blank(prompt) for prompt, _ in prompts), "items: a blank prompt")
        require(by_operator or not meta, "items: a member's item about the voter")
        if meta:
            self._declared.add(item)

    def state_rules(self, reader, operator, operators):
        """Read an operator's word on the rules."""
        require(self.kind != AMENDMENT, "rules: of a poll about the rules")
        number = reader.uint(1)
        rules = (reader.boolean(), reader.uint(1), reader.uint(2), reader.text(MAX_STATEMENT))
        require(rules[1] <= MOST_ITEMS and 1 <= rules[2] <= MOST_CHARACTERS, "rules: wider than any poll's")
        require(number == self._times.get(operator, 0) + 1 <= MAX_STATED, "rules: number")
        require(self._stated.get(operator) != rules, "rules: said already")
        self._times[operator], self._stated[operator] = number, rules
        alike = [key for key, stated in self._stated.items() if stated == rules and key in operators]
        if (operator == self.opened_by and not self.items) or len(alike) >= enough(operators):
            self.rules, self._stated = rules, {}

    def moderate(self, reader, operator, _operators):
        """Read an operator's word on an item."""
        require(self.kind != AMENDMENT, "moderation: of a poll about the rules")
        item, number, verdict = reader.digest(), reader.uint(1), reader.tag("Verdict", (1, 2, 3, 4))
        ground = reader.optional(lambda: reader.tag("Ground", range(1, 9)))
        reason = reader.text(MAX_REASON)
        require((ground is not None) == (verdict == REJECT), "moderation: ground")
        require(verdict == ACCEPT or not is_blank(reason), "moderation: reason")
        require(item in self.items, "moderation: no such item")
        said, *last = self._last.get((item, operator), (0, None, None))
        require(number == said + 1 <= MAX_WORDS, "moderation: number")
        require(last != [verdict, ground], "moderation: said already")
        require(said or verdict != TAKE_BACK, "moderation: takes nothing back")
        self._last[item, operator] = (number, verdict, ground)

    def _count(self, item, verdict, operators):
        return sum(self._last.get((item, key), (0, None))[1] == verdict for key in operators)

    def is_meta(self, item, operators):
        """Tell whether an item asks about the voter."""
        overruled = self._count(item, ACCEPT, operators) >= enough(operators)
        return self._count(item, META, operators) >= enough(operators) or (item in self._declared and not overruled)

    def is_asked(self, item, operators):
        """Tell whether a round may ask an item."""
        if self._count(item, REJECT, operators) >= enough(operators):
            return False
        author = self.items[item]
        is_own = author in operators and (item, author) not in self._last
        is_accepted = is_own or self._count(item, ACCEPT, operators) > 0
        return is_accepted or not self.rules[0] or self.is_meta(item, operators)


def enough(operators):
    """Return how many operators contain an honest one."""
    return (len(operators) - 1) // 3 + 1


def self_test():
    """f + 1 of each committee, and an item that one operator cannot keep out."""
    assert [enough(range(n)) for n in (1, 4, 5, 7)] == [1, 2, 2, 3]
    operators = [b"a", b"b", b"c", b"d"]
    items = Items(1, b"a")
    items.propose(b"i", "Be kind", b"m", operators)
    items._last[b"i", b"b"] = (1, REJECT, 1)
    assert items.is_asked(b"i", operators)
    items._last[b"i", b"c"] = (1, REJECT, 1)
    assert not items.is_asked(b"i", operators)
