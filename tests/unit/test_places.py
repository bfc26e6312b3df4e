"""Places that clients keep for long: nobody has all of them, and none is lost."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from api.places import Places
from shared.names import LOCAL_TENANT


def taken(stack: ExitStack, places: Places, tenant: str, times: int) -> list[bool]:
    return [stack.enter_context(places.place(tenant)) for _ in range(times)]


def break_off() -> None:
    raise ZeroDivisionError


def test_the_last_place_is_for_a_tenant_that_has_none() -> None:
    places = Places(4)
    with ExitStack() as stack:
        assert taken(stack, places, "noisy", 6) == [True, True, True, False, False, False]
        assert taken(stack, places, "quiet", 2) == [True, False]
        assert taken(stack, places, "late", 1) == [False]
    with ExitStack() as stack:
        assert taken(stack, places, "quiet", 4) == [True, True, True, False]


def test_who_leaves_makes_room() -> None:
    places = Places(2)
    with places.place("noisy") as first:
        for _ in range(3):
            with places.place("quiet") as second, places.place("noisy") as third:
                assert (first, second, third) == (True, True, False)
    with places.place("quiet") as alone:
        assert alone


def test_a_place_is_freed_whatever_happens_in_it() -> None:
    places = Places(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), places.place("any"):
            break_off()
    with places.place("any") as is_given:
        assert is_given


def test_without_keys_there_is_nobody_to_leave_a_place_to() -> None:
    with ExitStack() as stack:
        assert taken(stack, Places(2), LOCAL_TENANT, 3) == [True, True, False]
