"""Every block of code in the pages does what the page says, typed in as it stands."""

from __future__ import annotations

import pytest

from stack.services import ROOT
from tests.docs.pages import RUN, RUN_BY_NODE, blocks_of, pages
from tests.docs.running import Reader

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

BLOCKS = {
    path.relative_to(ROOT).as_posix(): blocks_of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    for path in pages()
}


def with_any_of(languages: frozenset[str]) -> list[str]:
    return [page for page, blocks in BLOCKS.items() if any(block.language in languages for block in blocks)]


def wrong_in(page: str, languages: frozenset[str], reader: Reader) -> list[str]:
    return [wrong for block in BLOCKS[page] if block.language in languages for wrong in reader.run(block)]


@pytest.mark.parametrize("page", with_any_of(RUN))
def test_a_page_is_typed_in(page: str, reader: Reader) -> None:
    assert wrong_in(page, RUN, reader) == []


@pytest.mark.node
@pytest.mark.parametrize("page", with_any_of(RUN_BY_NODE))
def test_a_page_is_typed_in_for_node(page: str, reader: Reader) -> None:
    assert wrong_in(page, RUN_BY_NODE, reader) == []
