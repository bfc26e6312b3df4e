"""gunicorn's threaded server, except that a request gets a thread only when its head is there, uploads only a share.

gunicorn 27 gives each connection a thread when its first byte comes, reads on there for as long as the client likes,
and ends connections one by one on the thread that accepts them, up to two seconds each. Here one thread watches all
connections that a client is slow on: heads half sent, uploads that find no place, clients that do not close.
`docs/adr/0013-head-first.md` says why not another server. What this rests on inside gunicorn, a test holds.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any, Final

from gunicorn.errors import ConfigError
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER

from api.answering import AnsweringWorker
from api.client_sockets import ClientSocket, SlowReaders
from api.connections import UPLOAD_IS_OVER, Connection, settled
from api.lingering import Lingering
from api.open_files import room_for_connections
from api.problems import ProblemError
from api.raw_problems import HEAD_TOO_LONG, HEAD_TOO_SLOW, NO_PLACE, NOT_HTTP, raw_answer
from api.request_heads import Progress, asks_how_it_is, awaits_body, has_body, only_asks
from api.request_threads import RequestThreads
from api.upload_lines import UploadLine
from shared.config import Settings

_BEAT_S: Final = 1.0
"""How often the arbiter hears that this process is well; gunicorn's own loop would tell it at every event."""
_NOTHING_THERE: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED})
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_HEALTH_THREADS: Final = 2
"""For those who ask that alone: when stores hang, all other threads may be kept for seconds, and whoever restarts what
does not answer would make it worse."""

_Waiting = OrderedDict[Connection, None]


class HeadFirstWorker(AnsweringWorker):
    """Serves the API: `worker_class` of `api/gunicorn_conf.py`.

    All but `handle_request` runs on the one thread that watches connections.
    """

    sockets: list[Any]
    worker_connections: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cfg: Any = settled(self.cfg)
        settings = Settings()
        self._head_s = settings.max_head_s
        self._upload_wait_s = settings.max_upload_wait_s
        # Bodies that are short, and have come with their heads, do not wait behind those that come slowly.
        self._short_bodies = UploadLine(settings.short_body_places)
        self._bodies = UploadLine(settings.uploading_places)
        self._slow_readers = SlowReaders(
            threading.BoundedSemaphore(settings.max_slow_readers), settings.max_download_pause_s
        )
        self._heads: _Waiting = OrderedDict()
        self._beat_at_s = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what is not built here: TLS, and protocols other than HTTP/1.

        Raises
        ------
        ConfigError
            If one of them is asked for.
        """
        super().check_config(cfg, log)
        if cfg.is_ssl or cfg.proxy_protocol != "off" or cfg.protocol != "http" or set(cfg.http_protocols) != {"h1"}:
            message = "this worker speaks plain HTTP/1.1 alone; let a proxy in front speak anything else"
            raise ConfigError(message)

    def init_process(self) -> None:
        """Begin to serve, in the process that does."""
        self.worker_connections = room_for_connections(self.worker_connections)
        self._health_threads = RequestThreads(_HEALTH_THREADS)
        super().init_process()

    def get_thread_pool(self) -> RequestThreads:
        """Return the threads that answer."""
        return RequestThreads(self.cfg.threads)

    def run(self) -> None:
        """Serve until told to stop."""
        self._lingering = Lingering(self.poller)
        super().run()

    def is_parent_alive(self) -> bool:
        """Begin to end where the arbiter has died, as if told to; gunicorn's own leaves the loop with the door open."""
        self.alive = self.alive and bool(super().is_parent_alive())
        return True

    def notify(self) -> None:
        """Tell the arbiter that this process is well, if it was not told lately."""
        now_s = time.monotonic()
        if now_s >= self._beat_at_s:
            self._beat_at_s = now_s + _BEAT_S
            super().notify()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Do what is due for each event, but for a connection that was ended for one before it."""
        current = self.poller.get_map()
        for key, _ in self.poller.select(timeout):
            if current.get(key.fd) is key:
                key.data(key.fileobj)

    # A connection that has come, or comes back for its next request

    def set_accept_enabled(self, enabled: bool) -> None:
        """Take connections or not; a process that is to end takes those that have come, and nobody else comes in.

        gunicorn's own would let them in, leave them alone for as long as its last answer takes, and then reset them.
        """
        super().set_accept_enabled(enabled and self.alive)
        if not self.alive:
            super().set_accept_enabled(False)  # it may have been told to end in between
            for listener in self.sockets:
                with suppress(OSError):  # those that are being answered are not to be given up for it
                    for _ in range(self.cfg.backlog):  # as many as can have come before
                        if not self._take(listener):
                            break
                listener.close()
            self.sockets = []

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, if there is one."""
        self._take(listener)

    def _take(self, listener: socket.socket) -> bool:
        """Take a new connection, if need be in place of the one that has been idle longest; tell whether to go on."""
        if self.nr_conns >= self.worker_connections - 1:
            self._close_idlest()
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._close_idlest()
            elif error.errno not in _NOTHING_THERE:
                raise
            return error.errno not in _NOTHING_THERE or error.errno == errno.ECONNABORTED
        client = ClientSocket.of(accepted, self._slow_readers)
        self.nr_conns += 1
        self.enqueue_req(Connection(self.cfg, client, address, listener.getsockname(), self._lingering.add))
        return True

    def enqueue_req(self, conn: Connection) -> None:
        """Have a request served once its head is there; called whenever a connection may have one."""
        conn.received += conn.parser.unreader.take_buffered()
        progress = conn.receive()
        if progress is Progress.INCOMPLETE:
            conn.until_s = time.monotonic() + (self._head_s if self.alive else STOP_KEEPALIVE_LINGER)
            self._heads[conn] = None
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_readable, conn))
        else:
            self._decide(conn, progress)

    def _on_readable(self, conn: Connection, _: Any) -> None:
        progress = conn.receive()
        if progress is not Progress.INCOMPLETE:
            self._unwatch(conn)
            self._decide(conn, progress)

    def _unwatch(self, conn: Connection) -> None:
        del self._heads[conn]
        self.poller.unregister(conn.sock)

    def _decide(self, conn: Connection, progress: Progress | None) -> None:
        if progress is None:
            self._drop(conn)
        elif progress is not Progress.READABLE:
            self._refuse(conn, NOT_HTTP if progress is Progress.NOT_HTTP else HEAD_TOO_LONG)
        elif only_asks(conn.received) or not has_body(conn.received):
            self._hand_over(conn)
        else:
            conn.until_s = time.monotonic() + (self._upload_wait_s if self.alive else STOP_KEEPALIVE_LINGER)
            (self._bodies if awaits_body(conn.received) else self._short_bodies).join(conn)
            self._let_uploads_in()

    def _let_uploads_in(self) -> None:
        for line in (self._short_bodies, self._bodies):
            for conn in line.let_in():
                self._hand_over(conn)

    def _hand_over(self, conn: Connection) -> None:
        only_at_once = asks_how_it_is(conn.received)
        threads = self._health_threads if only_at_once else self.tpool
        conn.sock.is_waited_for = not only_at_once  # two that do not read would keep both threads
        conn.parser.unreader.unread(bytes(conn.received))
        conn.received.clear()
        threads.give(partial(self._serve, conn))

    def finish_request(self, conn: Connection, is_kept: bool) -> None:
        """Go on with a connection whose request was answered."""
        self._end_upload(conn)
        try:
            self._go_on(conn, is_kept)
        except Exception:  # the outer wall of the loop that all connections share
            self.log.exception("a connection is given up")
            self.nr_conns -= 1
            conn.close()

    def _go_on(self, conn: Connection, is_kept: bool) -> None:
        if not is_kept:
            conn.close(graceful=True)
            self.nr_conns -= 1
        elif conn.parser.unreader.buf.getvalue():
            self.enqueue_req(conn)  # its next request has come already, and does not show at the socket any more
        else:
            conn.set_timeout()
            if not self.alive:
                conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn))
            self.keepalived_conns.append(conn)

    def _end_upload(self, conn: Connection) -> None:
        self._short_bodies.leave(conn)
        self._bodies.leave(conn)
        self._let_uploads_in()

    # Time is up, or there is no room

    def murder_pending(self) -> None:
        """Give up what has waited too long; called at least once in a second."""
        super().murder_pending()
        now_s = time.monotonic()
        while self._heads and (conn := next(iter(self._heads))).until_s <= now_s:
            self._unwatch(conn)
            if conn.received.strip(b"\r\n"):  # an empty line after a body is no head that has begun
                self._refuse(conn, HEAD_TOO_SLOW)
            else:
                self._drop(conn)
        for line in (self._short_bodies, self._bodies):
            for conn in line.give_up(now_s):
                self._refuse(conn, NO_PLACE)
        self._lingering.expire()

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in (*self._heads, *self._short_bodies.waiting, *self._bodies.waiting):
            conn.until_s = min(conn.until_s, deadline)

    def _close_idlest(self) -> None:
        head = next(iter(self._heads), None)
        kept = self.keepalived_conns[0] if self.keepalived_conns else None
        if kept and (head is None or kept.timeout - self.cfg.keepalive < head.until_s - self._head_s):
            self.keepalived_conns.popleft()
            self.poller.unregister(kept.sock)
            self._drop(kept)
        elif head:
            self._unwatch(head)
            self._drop(head)
        elif conn := self._bodies.turn_away() or self._short_bodies.turn_away():
            self._refuse(conn, NO_PLACE)

    def _drop(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()

    def _refuse(self, conn: Connection, problem: ProblemError) -> None:
        answer, request_id = raw_answer(problem)
        self.log.info("request %s is refused: %s", request_id, problem.kind.code)
        with suppress(OSError):  # the client has gone
            conn.sock.send(answer, socket.MSG_DONTWAIT)
        self.nr_conns -= 1
        conn.close(graceful=True)

    # In a request's thread

    def _serve(self, conn: Connection) -> None:
        is_kept = False
        try:
            is_kept = self.handle(conn)
        except BaseException:  # the outer wall of a thread: its connection ends, and others go on
            self.log.exception("a connection is given up")
        self.method_queue.defer(self.finish_request, conn, is_kept)

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Let the app answer; a client that is too slow to take the answer is no fault of ours."""
        # A place is kept until the photo is stored, not only until it has come: else a store that hangs would have them
        # all, with their photos, keep every thread.
        is_upload = conn in self._bodies or conn in self._short_bodies
        told = {UPLOAD_IS_OVER: partial(self.method_queue.defer, self._end_upload, conn)} if is_upload else {}
        try:
            return self.answer(req, conn, told)
        except TimeoutError as error:
            self.log.info("an answer is broken off: %s", error)
            return False
        finally:
            conn.sock.end_answer()
