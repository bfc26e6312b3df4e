"""Carries out calls and flows in an event loop, asyncio's or trio's: what `AsyncClient` runs on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import ExitStack
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx

from facefit.calls import Call, Flow, Pause, Step, Together
from facefit.connection import Connection
from facefit.errors import FacefitError
from facefit.retries import Attempts
from facefit.streams import Download

T = TypeVar("T")


class AsyncRunner:
    """Sends calls, repeats what may be repeated, and carries out flows.

    Parameters
    ----------
    connection : Connection
        To which service.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._service = httpx.AsyncClient(**connection.service_arguments())
        self._storage = httpx.AsyncClient(**connection.storage_arguments())

    async def close(self) -> None:
        """Close the connections."""
        await self._service.aclose()
        await self._storage.aclose()

    async def send(self, call: Call[T]) -> T:
        """Return what a call comes to."""
        http = self._storage if call.to_storage else self._service
        attempts = Attempts(self.connection.retries, call)
        while True:
            try:
                with ExitStack() as opened:
                    body = await anyio.to_thread.run_sync(call.body, opened) if call.body else {}
                    response = await http.request(**self.connection.request_arguments(call), **body)
            except httpx.RequestError as error:
                await anyio.sleep(attempts.after_error(error))
                continue
            pause_s = attempts.after_answer(response)
            if pause_s is None:
                return call.read(response)
            await anyio.sleep(pause_s)

    async def run(self, flow: Flow[T]) -> T:
        """Return what a flow comes to."""
        try:
            step = next(flow)
            while True:
                try:
                    answer = await self._perform(step)
                except FacefitError as error:
                    step = flow.throw(error)  # which raises it, or knows what to do
                else:
                    step = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    async def _perform(self, step: Step) -> Any:
        if isinstance(step, Call):
            return await self.send(step)
        if isinstance(step, Pause):
            await anyio.sleep(step.seconds)
            return None
        return await self._run_together(step)

    async def _run_together(self, step: Together[Any]) -> None:
        async def work() -> None:
            for flow in step.flows:
                step.done(await self.run(flow))

        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(step.at_once):
                    tasks.start_soon(work)
        except ExceptionGroup as failed:  # as whoever waits one by one hears it
            raise failed.exceptions[0] from None

    async def stream(self, download: Download[T]) -> AsyncGenerator[T, None]:
        """Yield the records of a report while they come, and go on where the connection breaks off."""
        attempts = Attempts(self.connection.retries, download.call())
        while True:
            call = download.call()
            try:
                async with self._service.stream(**self.connection.request_arguments(call)) as response:
                    if not response.is_success:
                        await response.aread()
                    pause_s = attempts.after_answer(response)
                    if pause_s is None:
                        call.read(response)
                        async for chunk in response.aiter_bytes():
                            for record in download.feed(chunk):
                                attempts.went_on()
                                yield record
                        for record in download.end():
                            yield record
                        return
            except httpx.RequestError as error:
                download.broke_off()
                pause_s = attempts.after_error(error)
            await anyio.sleep(pause_s)
