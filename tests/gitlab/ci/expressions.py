"""GitLab's `rules:if` expressions, evaluated: ==, !=, =~, !~, &&, ||, parentheses, null, strings, patterns, variables.

After GitLab's own evaluator (lib/gitlab/ci/pipeline/expression): && binds tighter than ||, a variable that does not
exist is null, null and "" are false, and a pattern never matches null.
"""

import re
from collections.abc import Callable, Iterator, Mapping

Value = str | bool | re.Pattern | None

TOKEN = re.compile(
    r"""\s*(?: (?P<variable>\$\w+|\$\{\w+\}) | (?P<string>"[^"]*"|'[^']*') | (?P<pattern>/(?:\\.|[^/\\])+/[ims]*)
         | (?P<null>null\b) | (?P<sign>==|!=|=~|!~|&&|\|\||\(|\)) )""",
    re.VERBOSE,
)
NOT_IN_RE2 = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]")


class BadExpressionError(ValueError):
    """GitLab would refuse the pipeline."""


def evaluate(expression: str, variables: Mapping[str, str]) -> bool:
    """Whether the expression holds. Raises BadExpressionError when it is none."""
    parser = _Parser(list(_tokens(expression)), variables, expression)
    value = parser.alternatives()
    if parser.rest:
        raise BadExpressionError(f"{expression!r}: {parser.rest[0][1]!r} is too much")
    return bool(value)


def names(expression: str) -> set[str]:
    """The variables that the expression speaks of."""
    return {text.strip("${}") for kind, text in _tokens(expression) if kind == "variable"}


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    position, text = 0, expression.rstrip()
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None:
            raise BadExpressionError(f"{expression!r}: what is {text[position:].strip()!r}?")
        position = found.end()
        assert found.lastgroup is not None
        yield found.lastgroup, found[found.lastgroup]


def pattern(text: str) -> re.Pattern:
    """The pattern between slashes. Raises BadExpressionError for one that GitLab's engine, RE2, does not know."""
    found = re.fullmatch(r"/(.*)/([ims]*)", text, flags=re.DOTALL)
    if found is None or NOT_IN_RE2.search(found[1]):
        raise BadExpressionError(f"{text!r} is no pattern of RE2")
    try:
        return re.compile(found[1], sum(getattr(re, flag.upper()) for flag in set(found[2])))
    except re.error as error:
        raise BadExpressionError(f"{text!r}: {error}") from None


class _Parser:
    """Recursive descent over the tokens that are left."""

    def __init__(self, tokens: list[tuple[str, str]], variables: Mapping[str, str], expression: str) -> None:
        self.rest, self._variables, self._expression = tokens, variables, expression

    def alternatives(self) -> Value:
        return self._chain("||", self._conditions, lambda left, right: left or right)

    def _conditions(self) -> Value:
        return self._chain("&&", self._comparison, lambda left, right: left and right)

    def _chain(self, sign: str, part: Callable[[], Value], join: Callable[[Value, Value], Value]) -> Value:
        value = part()
        while self._skip(sign):
            right = part()  # always: what is not needed must be an expression all the same
            value = join(value, right)
        return value

    def _comparison(self) -> Value:
        left = self._operand()
        for sign, compare in COMPARISONS.items():
            if self._skip(sign):
                return compare(left, self._operand())
        return left

    def _operand(self) -> Value:
        kind, text = self.rest.pop(0) if self.rest else ("", "its end")
        if kind == "variable":
            return self._variables.get(text.strip("${}"))
        if kind == "string":
            return text[1:-1]
        if kind == "pattern":
            return pattern(text)
        if kind == "null":
            return None
        if text == "(":
            value = self.alternatives()
            if self._skip(")"):
                return value
            text = "a parenthesis that is not closed"
        raise BadExpressionError(f"{self._expression!r}: not expected: {text}")

    def _skip(self, sign: str) -> bool:
        if self.rest and self.rest[0] == ("sign", sign):
            self.rest.pop(0)
            return True
        return False


def _matches(left: Value, right: Value) -> bool:
    if isinstance(right, str):
        right = pattern(right)
    if not isinstance(right, re.Pattern):
        raise BadExpressionError(f"=~ wants a pattern between slashes, got {right!r}")
    return isinstance(left, str) and right.search(left) is not None


COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "=~": _matches,
    "!~": lambda left, right: not _matches(left, right),
}
