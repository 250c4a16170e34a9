"""Protobuf's text format, as prototxt files use it -> nested messages, each value with its line and column.

Source of the grammar: protobuf.dev, "Text Format Language Specification".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.importers.caffe.message import Message, Scalar

MAX_BYTES = 4 * 2**20
_MAX_DEPTH = 24
_MAX_TOKENS = 500_000
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\v]+|\#[^\n]*)|(?P<newline>\n)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>-?[A-Za-z0-9_.][A-Za-z0-9_.+-]*)|(?P<mark>[{}<>\[\]:;,])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CLOSING = {"{": "}", "<": ">"}


@dataclass(frozen=True)
class _Token:
    kind: str  # string, word, mark or end
    text: str
    line: int
    column: int


def parse(text: str, file: str) -> Message:
    """The message that `text` is; `file` is what errors call it. Raises with line and column."""
    parser = _Parser(text, file)
    return parser.message(parser.start(), "", 0)


class _Parser:
    """One token of look-ahead over the tokens of a file."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._tokens = _tokens(text, file)
        self._next = next(self._tokens)

    def start(self) -> _Token:
        """The position of the whole message."""
        return _Token("mark", "", 1, 1)

    def message(self, opening: _Token, closing: str, depth: int) -> Message:
        """The fields up to the mark `closing` (none: the end of the file)."""
        if depth > _MAX_DEPTH:
            raise self._error(opening, f"messages are nested more than {_MAX_DEPTH} deep")
        result = Message(self._file, opening.line, opening.column)
        while not self._ends(opening, closing):
            name = self._take()
            if name.kind != "word":
                raise self._error(name, f"expected the name of a field, found `{name.text or 'the end'}`")
            result.fields.setdefault(name.text, []).extend(self._values(name, depth))
            if self._next.text in (",", ";") and self._next.kind == "mark":
                self._take()
        return result

    def _ends(self, opening: _Token, closing: str) -> bool:
        if self._next.kind == "end":
            if closing:
                raise self._error(opening, f"the `{opening.text}` is never closed with `{closing}`")
            return True
        if self._next.kind == "mark" and self._next.text == closing:
            self._take()
            return True
        return False

    def _values(self, name: _Token, depth: int) -> list[Message | Scalar]:
        colon = self._is_mark(":")
        if colon:
            self._take()
        if self._is_mark("[") and colon:
            return self._list(depth)
        if not colon and not (self._is_mark("{") or self._is_mark("<")):
            raise self._error(self._next, f"expected `:` or `{{` after `{name.text}`")
        return [self._value(depth)]

    def _list(self, depth: int) -> list[Message | Scalar]:
        self._take()
        values: list[Message | Scalar] = []
        while not self._is_mark("]"):
            values.append(self._value(depth))
            if self._is_mark(","):
                self._take()
            elif not self._is_mark("]"):
                raise self._error(self._next, "expected `,` or `]` in a list")
        self._take()
        return values

    def _value(self, depth: int) -> Message | Scalar:
        token = self._take()
        if token.kind == "mark" and token.text in _CLOSING:
            return self.message(token, _CLOSING[token.text], depth + 1)
        if token.kind not in ("word", "string"):
            raise self._error(token, f"expected a value, found `{token.text or 'the end'}`")
        if token.kind == "word":
            return Scalar(token.text, False, token.line, token.column)
        text = _unquoted(token.text)
        while self._next.kind == "string":  # neighbouring strings are one
            text += _unquoted(self._take().text)
        return Scalar(text, True, token.line, token.column)

    def _is_mark(self, text: str) -> bool:
        return self._next.kind == "mark" and self._next.text == text

    def _take(self) -> _Token:
        token = self._next
        if token.kind != "end":
            self._next = next(self._tokens)
        return token

    def _error(self, token: _Token, what: str) -> ModelbuildError:
        return ModelbuildError(what, where=f"{self._file}:{token.line}:{token.column}")


def _tokens(text: str, file: str) -> Iterator[_Token]:
    position, line, begin, count = 0, 1, 0, 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        column = position - begin + 1
        if found is None:
            what = (
                "a string is not closed on its line" if text[position] in "\"'" else "an unexpected character"
            )
            shown = ascii(text[position])[1:-1]
            raise ModelbuildError(f"{what}: `{shown}`", where=f"{file}:{line}:{column}")
        position = found.end()
        if found.lastgroup == "newline":
            line, begin = line + 1, position
        elif found.lastgroup != "space":
            count += 1
            if count > _MAX_TOKENS:
                raise ModelbuildError("the file is too large for a network", where=f"{file}:{line}:{column}")
            yield _Token(str(found.lastgroup), found.group(), line, column)
    yield _Token("end", "", line, position - begin + 1)


def _unquoted(token: str) -> str:
    return _ESCAPE.sub(_unescaped, token[1:-1])


def _unescaped(found: re.Match[str]) -> str:
    code = found.group(1)
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8))
    return _LETTERS.get(code, code)
