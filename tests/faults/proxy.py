"""A TCP proxy that can turn into a black hole: what it holds is then neither passed on nor closed, as a host that is
gone without a word leaves connections half open."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from typing import Final, Self

from stack.data_folder import LOOPBACK

_CHUNK_BYTES: Final = 65_536
_POLL_S: Final = 0.1


class _Pair:
    """A client's connection and the one that serves it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.ends = {client: server, server: client}
        self.is_dark = False

    def close(self) -> None:
        for end in self.ends:
            end.close()


class Proxy:
    """Passes connections on to a port of this machine, each by threads of its own."""

    def __init__(self, port: int) -> None:
        self._target = (LOOPBACK, port)
        self._server = socket.create_server((LOOPBACK, 0), backlog=128)
        self.port: int = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._lost: list[socket.socket] = []
        self._is_dark = False
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.close()
        with self._lock:
            for pair in self._pairs:
                pair.close()
            for connection in self._lost:
                connection.close()

    def darken(self) -> int:
        """Let what is connected lead nowhere for ever, and what connects until `lighten`; return how many it was."""
        with self._lock:
            self._is_dark = True
            dark = [pair for pair in self._pairs if not pair.is_dark]
            for pair in dark:
                pair.is_dark = True
        return len(dark)

    def lighten(self) -> None:
        """Pass on what connects from now on."""
        with self._lock:
            self._is_dark = False

    def dark_connections(self) -> int:
        """Return how many clients still hold a connection that leads nowhere."""
        with self._lock:
            return sum(pair.is_dark for pair in self._pairs)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with self._lock:
                if self._is_dark:
                    self._lost.append(client)
                    continue
            with suppress(OSError):
                pair = _Pair(client, socket.create_connection(self._target))
                with self._lock:
                    self._pairs.add(pair)
                threading.Thread(target=self._pass_on, args=(pair,), daemon=True).start()

    def _pass_on(self, pair: _Pair) -> None:
        with selectors.DefaultSelector() as ready, suppress(OSError, ValueError):
            for end in pair.ends:
                ready.register(end, selectors.EVENT_READ, end)
            while not self._closing.is_set():
                for key, _ in ready.select(_POLL_S):
                    end = key.data
                    data = end.recv(_CHUNK_BYTES)
                    if not data:
                        raise ConnectionResetError
                    if not pair.is_dark:
                        pair.ends[end].sendall(data)
        pair.close()
        with self._lock:
            self._pairs.discard(pair)
