"""A process holds no more connections than it has files for."""

from __future__ import annotations

import resource

import pytest

from api.open_files import room_for_connections


@pytest.mark.parametrize(
    ("soft", "hard", "set_to", "room"),
    [
        (4096, 4096, None, 1000),
        (256, 4096, 2024, 1000),
        (256, resource.RLIM_INFINITY, 2024, 1000),
        (256, 1024, 1024, 512),
        (100, 100, 100, 50),
    ],
)
def test_connections_leave_files_to_the_rest(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, set_to: int | None, room: int
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: given.append(limits))
    assert room_for_connections(1000) == room
    assert given == ([] if set_to is None else [(set_to, hard)])
