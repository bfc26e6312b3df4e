"""How a request that has a thread is answered: as gunicorn's threaded server does, in one write and without hooks."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.gthread import ThreadWorker

from api.connections import Connection
from api.joined_answers import JoinedAnswer
from api.problems import INTERNAL_ERROR
from api.raw_problems import problem_of, raw_answer

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_PASSING_OVER_S: Final = 0.2
"""For a body that nobody read and whose bytes lie here; any other ends its connection."""


class AnsweringWorker(ThreadWorker):  # type: ignore[misc]
    """Has the app answer, and answers by itself to what does not reach the app; in the thread that a request has."""

    def answer(self, req: Any, conn: Connection, told: Mapping[str, object]) -> bool:
        """Let the app answer; tell whether the client may go on over this connection.

        Parameters
        ----------
        told : mapping
            What the app finds in its environment besides.

        Raises
        ------
        OSError
            If the client has gone or is too slow.
        StopIteration
            If the answer was broken off.
        """
        if req.takes_expectation():
            conn.sock.sendall(_CONTINUE)
        answer, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg, response_class=JoinedAnswer)
        environ["wsgi.multithread"] = True
        environ.update(told)
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        if not self.alive or not self.cfg.keepalive or len(self.keepalived_conns) >= self.max_keepalived:
            answer.force_close()
        try:
            answer.send(self.wsgi(environ, answer.start_response))
        except OSError:
            raise
        except (Exception, SystemExit) as error:
            if not answer.headers_sent:
                raise
            # Another status on the same connection would be read as a part of this answer.
            self.log.exception("an answer is broken off")
            util.close_graceful(conn.sock)
            raise StopIteration from error
        return not answer.should_close()

    def _keepalive_after(self, conn: Connection, keepalive: Any) -> bool:
        if not keepalive:
            return False
        # Reading to the end of what has been read to its end would cost two calls to set the socket's time limit.
        return bool(
            conn.parser.mesg.body.is_at_end or conn.parser.finish_body(deadline=time.monotonic() + _PASSING_OVER_S)
        )

    def handle_error(self, _: Any, client: socket.socket, __: Any, exc: BaseException) -> None:
        """Answer to what the parser refuses, and to faults, with a problem; neither answer nor log names what came."""
        problem = problem_of(exc)
        answer, request_id = raw_answer(problem)
        if problem.kind is INTERNAL_ERROR:
            self.log.error("request %s failed", request_id, exc_info=exc)
        else:
            self.log.info("request %s is refused: %s", request_id, type(exc).__name__)
        with suppress(OSError):
            client.send(answer, socket.MSG_DONTWAIT)
