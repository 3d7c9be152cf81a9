"""The commands of a shell script, as far as the pages use the language: enough to ask of each whether it exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_RESERVED: Final = frozenset(
    {"!", "{", "}", "do", "done", "else", "elif", "fi", "if", "then", "until", "while"}
)
"""Words before or after a command that are none."""

_PLACEHOLDER: Final = re.compile(r"<[a-z][a-z -]*>")
"""What the reader puts something in place of, such as `<region>`."""


@dataclass
class _Scanner:
    """Reads a script from left to right."""

    text: str
    at: int = 0
    found: list[list[str]] = field(default_factory=list[list[str]])

    def script(self, end: str = "") -> None:
        """Read commands up to ``end``, or to the end of the text."""
        words: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if end and char == end:
                break
            if self.text.startswith("\\\n", self.at):
                self.at += 2
            elif char in " \t":
                self.at += 1
            elif char == "#":
                self.at = self._find("\n")
            elif char in "\n;|&":
                self.at += 1
                words = self._ended(words)
            elif char == ")":  # what stands before it is a pattern of `case`
                self.at += 1
                words = []
            elif char == "(":
                self.at += 1
                if self.text.startswith(")", self.at):  # a function: its body is read like any commands
                    words = []
                else:
                    self.script(")")
                self.at += 1
            elif redirected := re.compile(r"(\d?[<>]&\d|\d?(>>|<<<|>|<(?![a-z]))) *").match(
                self.text, self.at
            ):
                self.at = redirected.end()
                if "&" not in redirected[0]:
                    self._word()
            else:
                words.append(self._word())
        self._ended(words)

    def _ended(self, words: list[str]) -> list[str]:
        while words and (words[0] in _RESERVED or re.match(r"\w+=", words[0])):
            words = words[1:]
        if words and words[0] not in {"for", "case", "esac"}:
            self.found.append(words)
        return []

    def _word(self) -> str:
        word = ""
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;|&()":
            char = self.text[self.at]
            if placeholder := _PLACEHOLDER.match(self.text, self.at):
                word, self.at = word + placeholder[0], placeholder.end()
            elif char == "'":
                end = self._find("'", self.at + 1)
                word, self.at = word + self.text[self.at + 1 : end], end + 1
            elif char == '"':
                word += self._quoted()
            elif self.text.startswith("$(", self.at):
                word += self._substituted()
            elif char == "\\":
                word, self.at = word + self.text[self.at + 1], self.at + 2
            else:
                word, self.at = word + char, self.at + 1
        return word

    def _quoted(self) -> str:
        word = ""
        self.at += 1
        while self.text[self.at] != '"':
            if self.text.startswith("$(", self.at):
                word += self._substituted()
            elif self.text[self.at] == "\\":
                word, self.at = word + self.text[self.at + 1], self.at + 2
            else:
                word, self.at = word + self.text[self.at], self.at + 1
        self.at += 1
        return word

    def _substituted(self) -> str:
        self.at += 2
        self.script(")")
        self.at += 1
        return "$()"

    def _find(self, char: str, start: int | None = None) -> int:
        end = self.text.find(char, self.at if start is None else start)
        return len(self.text) if end < 0 else end


def commands(script: str) -> Iterator[list[str]]:
    """The words of each command, those in substitutions and functions too; `$()` stands where one is substituted."""
    scanner = _Scanner(script)
    scanner.script()
    yield from scanner.found
