"""Finds the blocks of code in the pages, and what is said of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.services import ROOT

RUN: Final = frozenset({"sh", "python"})
RUN_BY_NODE: Final = frozenset({"js"})
SHOWN: Final = frozenset({"json", "text", "http", "mermaid", "markdown", "yaml", "toml"})

_FENCE: Final = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)
_REMARK: Final = re.compile(r"<!-- *(?P<word>not run|prints)(?:: *(?P<reason>(?:(?!-->).)*?))? *-->\s*\Z", re.DOTALL)
_MIN_REASON: Final = 8


class Undecided(Exception):
    """Raised when a page does not say what is to become of a block."""


@dataclass(frozen=True)
class Block:
    """A block that is run, and what it is said to print, if anything."""

    page: str
    line: int
    language: str
    code: str
    prints: tuple[str, str] | None = None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return the pages whose code is run."""
    return [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(name: str, text: str) -> list[Block]:
    """Return what is run of a page, in order."""
    return list(_blocks(name, text))


def _blocks(name: str, text: str) -> Iterator[Block]:
    waiting: Block | None = None
    for fence in _FENCE.finditer(text):
        language, line = fence["language"], text.count("\n", 0, fence.start()) + 1
        code = re.sub(f"^{fence['indent']}", "", fence["code"], flags=re.MULTILINE)
        remark = _REMARK.search(text[: fence.start()].rstrip(" "))
        word = remark["word"] if remark else None
        if language in RUN | RUN_BY_NODE:
            if waiting is not None:
                yield waiting
            waiting = None if word == "not run" else Block(name, line, language, code)
            if word == "not run" and len((remark and remark["reason"]) or "") < _MIN_REASON:
                message = f"{name}:{line} is not run and does not say why"
                raise Undecided(message)
        elif language not in SHOWN:
            message = f"{name}:{line} is marked {language!r}: mark what is run {sorted(RUN | RUN_BY_NODE)}"
            raise Undecided(message)
        elif word == "prints":
            if waiting is None:
                message = f"{name}:{line} shows what is printed, and nothing before it is run"
                raise Undecided(message)
            yield Block(waiting.page, waiting.line, waiting.language, waiting.code, (language, code))
            waiting = None
    if waiting is not None:
        yield waiting
