"""Tables of jobs, batches and deliveries, and one of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from rich.table import Table

from facefit.cli.service import Service, shown
from facefit.models.base import Model, Page

M = TypeVar("M", bound=Model)

Columns = Mapping[str, Callable[[Any], object]]

LARGEST_PAGE: Final = 100
_TIME: Final = "%Y-%m-%d %H:%M:%S"


def listed(
    read: Callable[..., Page[M]], query: Mapping[str, Any], limit: int, wanted: Callable[[M], bool] = lambda _: True
) -> Iterator[M]:
    """Yield up to so many records of a list, page by page."""
    cursor: object = None
    while limit > 0:
        page = read(**query, limit=min(limit, LARGEST_PAGE), cursor=cursor)
        for record in page.data[:limit]:
            if wanted(record):
                limit -= 1
                yield record
        cursor = page.next_cursor
        if cursor is None:
            return


def show_list(service: Service, records: Iterator[M], columns: Columns) -> None:
    """Print records as a table, or for programs."""
    if service.as_json:
        service.say_all(records)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        table.add_column(name, no_wrap=number == 0, overflow="fold")  # an id is to be copied
    for record in records:
        table.add_row(*(cell(read(record)) for read in columns.values()))
    if table.row_count:
        service.out.print(table)
    else:
        service.notes.print("there are none")


def show_one(service: Service, record: Model, columns: Columns) -> None:
    """Print what is known of a record, or for programs."""
    if service.as_json:
        service.say(record)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, read in columns.items():
        value = read(record)
        if value not in {None, ""}:
            table.add_row(name, cell(value))
    service.out.print(table)


def cell(value: object) -> str:
    """Return what is printed of a value."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime(_TIME)
    return shown(value)
