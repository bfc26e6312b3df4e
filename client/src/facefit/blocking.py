"""Carries out calls and flows with threads: what `Client` runs on."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from facefit.calls import Call, Flow, Pause, Step, Together
from facefit.connection import Connection
from facefit.errors import FacefitError
from facefit.retries import Attempts
from facefit.streams import Download

T = TypeVar("T")


class Runner:
    """Sends calls, repeats what may be repeated, and carries out flows.

    Parameters
    ----------
    connection : Connection
        To which service.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._service = httpx.Client(**connection.service_arguments())
        self._storage = httpx.Client(**connection.storage_arguments())

    def close(self) -> None:
        """Close the connections."""
        self._service.close()
        self._storage.close()

    def send(self, call: Call[T]) -> T:
        """Return what a call comes to."""
        http = self._storage if call.to_storage else self._service
        attempts = Attempts(self.connection.retries, call)
        while True:
            try:
                with ExitStack() as opened:
                    body = call.body(opened) if call.body else {}
                    response = http.request(**self.connection.request_arguments(call), **body)
            except httpx.RequestError as error:
                time.sleep(attempts.after_error(error))
                continue
            pause_s = attempts.after_answer(response)
            if pause_s is None:
                return call.read(response)
            time.sleep(pause_s)

    def run(self, flow: Flow[T]) -> T:
        """Return what a flow comes to."""
        try:
            step = next(flow)
            while True:
                try:
                    answer = self._perform(step)
                except FacefitError as error:
                    step = flow.throw(error)  # which raises it, or knows what to do
                else:
                    step = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    def _perform(self, step: Step) -> Any:
        if isinstance(step, Call):
            return self.send(step)
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        return self._run_together(step)

    def _run_together(self, step: Together[Any]) -> None:
        """Carry out flows in threads, which begin nothing more once one has failed or this one is interrupted."""
        results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        lock, is_over = threading.Lock(), threading.Event()

        def work() -> None:
            while not is_over.is_set():
                with lock:
                    flow = next(step.flows, None)
                if flow is None:
                    return
                results.put(_Result(self.run(flow)))

        workers = ThreadPoolExecutor(step.at_once, thread_name_prefix="facefit")
        try:
            for _ in range(step.at_once):
                workers.submit(work).add_done_callback(results.put)
            n_working = step.at_once
            while n_working:
                came = results.get()
                if isinstance(came, _Result):
                    step.done(came.value)
                else:
                    n_working -= 1
                    came.result()  # raises what that thread has ended with
        finally:
            is_over.set()
            workers.shutdown(wait=False)

    def stream(self, download: Download[T]) -> Generator[T, None, None]:
        """Yield the records of a report while they come, and go on where the connection breaks off."""
        attempts = Attempts(self.connection.retries, download.call())
        while True:
            call = download.call()
            try:
                with self._service.stream(**self.connection.request_arguments(call)) as response:
                    if not response.is_success:
                        response.read()
                    pause_s = attempts.after_answer(response)
                    if pause_s is None:
                        call.read(response)
                        for records in _fed(download, response.iter_bytes(), attempts):
                            yield from records
                        yield from download.end()
                        return
            except httpx.RequestError as error:
                download.broke_off()
                pause_s = attempts.after_error(error)
            time.sleep(pause_s)


@dataclass(frozen=True, slots=True)
class _Result:
    value: Any


def _fed(download: Download[T], chunks: Iterator[bytes], attempts: Attempts) -> Iterator[list[T]]:
    for chunk in chunks:
        records = list(download.feed(chunk))
        if records:
            attempts.went_on()
            yield records
