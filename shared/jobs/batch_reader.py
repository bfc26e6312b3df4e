"""Every item of a batch, one after the other, in constant memory; and never fewer of them without saying so.

Records can be lost, or the batch deleted, while somebody reads. Its pages are then empty, which looks just like the
end; so whoever comes to the end looks at the batch once more, and counts.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from shared.errors import JobNotFound, RecordsRebuilding
from shared.jobs.batch_store import ItemQuery
from shared.jobs.batches import AT_ONCE, BatchLifecycle
from shared.jobs.record import JobRecord
from shared.schemas import JobStatus

logger = logging.getLogger(__name__)

READ_AHEAD: Final = 8
"""Results fetched from storage at the same time; with all points one has about 22 kB."""

ItemResult = tuple[JobRecord, bytes | None]
"""An item, and its result as the worker wrote it if it succeeded."""


class BatchReader:
    """Reads the items of a batch from the first to the last."""

    def __init__(self, batches: BatchLifecycle) -> None:
        self._batches = batches
        self._jobs = batches.jobs

    def records(self, tenant: str, batch_id: str, *, after_index: int = -1) -> Generator[JobRecord, None, None]:
        """Yield every item in item order, those after the place `after_index`.

        Raises
        ------
        BatchNotFound, RecordsRebuilding
            Before the first item, or after the last one that could be read: then it was not the last one there is.
        """
        self._batches.find(tenant, batch_id)
        return self._records(tenant, batch_id, after_index)

    def results(self, tenant: str, batch_id: str, *, after_index: int = -1) -> Generator[ItemResult, None, None]:
        """Yield every item in item order, with its result if it succeeded; raises as `records` does.

        Holds a page of records and a few results, however many items there are. An item that is deleted meanwhile is
        left out. One whose result storage has lost comes without, so that the others can be had.
        """
        records = self.records(tenant, batch_id, after_index=after_index)
        return self._results(records)

    def _records(self, tenant: str, batch_id: str, after_index: int) -> Generator[JobRecord, None, None]:
        seen, after = 0, after_index
        while page := self._batches.store.items(ItemQuery(batch_id, AT_ONCE, after_index=after)):
            yield from page
            seen += len(page)
            after = page[-1].item_index or 0
        batch = self._batches.find(tenant, batch_id)
        if seen + batch.gone < batch.total - (after_index + 1):
            raise RecordsRebuilding("the records of this batch are not complete")

    def _results(self, records: Iterator[JobRecord]) -> Generator[ItemResult, None, None]:
        ahead: deque[Future[ItemResult | None]] = deque()
        with ThreadPoolExecutor(READ_AHEAD, thread_name_prefix="results") as readers:
            try:
                for record in records:
                    ahead.append(readers.submit(self._with_result, record))
                    if len(ahead) >= READ_AHEAD and (item := ahead.popleft().result()):
                        yield item
                while ahead:
                    if item := ahead.popleft().result():
                        yield item
            finally:  # nobody reads on: what was not begun need not be
                for waiting in ahead:
                    waiting.cancel()

    def _with_result(self, record: JobRecord) -> ItemResult | None:
        if record.status is not JobStatus.SUCCEEDED:
            return record, None
        try:
            return record, self._jobs.result_json(record)
        except JobNotFound:
            # A deleted item loses its record first.
            if self._jobs.store.get(record.id) is None:
                return None
            logger.exception("%s has succeeded, and storage does not have its result", record.id)
            return record, None
