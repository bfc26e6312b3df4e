"""How blocks of code are found in pages, and how what they print is compared: that it can fail."""

from __future__ import annotations

import pytest

from tests.docs.pages import Undecided, blocks_of
from tests.docs.shown import differences


def fence(language: str, code: str) -> str:
    return f"```{language}\n{code}\n```\n"


def test_blocks_are_found_in_order_with_what_they_print() -> None:
    text = fence("sh", "echo 1") + "\n<!-- prints -->\n" + fence("text", "1") + fence("python", "pass")
    found = blocks_of("p.md", text)
    assert [(block.language, block.prints) for block in found] == [("sh", ("text", "1\n")), ("python", None)]
    assert [block.place for block in found] == ["p.md:1", "p.md:9"]


def test_what_is_not_run_says_why() -> None:
    assert blocks_of("p.md", "<!-- not run: it needs Docker -->\n" + fence("sh", "docker")) == []
    with pytest.raises(Undecided, match="does not say why"):
        blocks_of("p.md", "<!-- not run -->\n" + fence("sh", "docker"))


def test_a_remark_is_about_the_next_block_alone() -> None:
    text = "<!-- not run: it needs Docker -->\n" + fence("sh", "docker") + "\nThen:\n\n" + fence("sh", "echo 1")
    assert [block.code for block in blocks_of("p.md", text)] == ["echo 1\n"]


@pytest.mark.parametrize("language", ["", "bash", "console", "py"])
def test_a_block_that_nobody_decided_on_is_told(language: str) -> None:
    with pytest.raises(Undecided, match=r"p\.md:1"):
        blocks_of("p.md", fence(language, "ls"))


def test_fences_within_longer_fences_are_text() -> None:
    assert blocks_of("p.md", "````markdown\n" + fence("sh", "ls") + "````\n") == []


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ('{"a": 1.0, "…": 0}', '{"a": 1.04, "b": 2}'),
        ('{"id": "job_…", "list": [1, "…"], "c": "…"}', '{"id": "job_01", "list": [1, 2, 3], "c": {}}'),
        ('{"a": null, "yaw_deg": 0.1}', '{"a": null, "yaw_deg": -0.2}'),
    ],
)
def test_json_that_is_as_shown(shown: str, printed: str) -> None:
    assert differences("json", shown, printed) == []


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ('{"a": 100.0}', '{"a": 106.0}'),
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', '{"b": 1}'),
        ('{"a": "queued"}', '{"a": "running"}'),
        ('{"a": false}', '{"a": 0}'),
        ('{"a": null}', '{"a": "x"}'),
        ("[1, 2]", "[1]"),
        ('{"a": []}', '{"a": [1]}'),
        ("{}", "no JSON"),
    ],
)
def test_json_that_is_not_as_shown(shown: str, printed: str) -> None:
    assert len(differences("json", shown, printed)) == 1


def test_text_is_compared_line_by_line() -> None:
    assert differences("text", "…\nwidth: … mm\n…\n", "a: 1 mm\nwidth: 2 mm\nb\n") == []
    assert differences("text", "width: … mm\n", "height: 2 mm\n") != []
    assert differences("text", "1\n", "1\n2\n") != []
