"""Slow, half-open and idle clients at a real server: whatever they hold on to, health checks and polls get a thread."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from api.lingering import MOST_CONNECTIONS as MOST_ENDING
from stack.data_folder import LOOPBACK
from tests.served import SMALL, Server, received, serving

pytestmark = pytest.mark.enable_socket

THREADS = int(SMALL["FACEFIT_API_THREADS"])
MORE_THAN_THREADS = 3 * THREADS
SOON_S = 15.0
"""Much longer than an answer takes, much shorter than a server takes that deals with these clients one by one."""
HOST = b"Host: localhost\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
LAST_HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
UPLOAD = b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: image/jpeg\r\nContent-Length: 10\r\n"
NO_HTTP = b"\x16\x03\x01"
PHOTO = b"\xff\xd8\xff photo "
HANGING = b"\xff\xd8\xff hangs "
OPENAPI = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
BUNDLE = b"GET /docs/swagger/js/swagger-ui-bundle.js HTTP/1.1\r\n" + HOST + b"\r\n"
"""1.5 MB: more than the sockets here hold when it is asked for a few times."""

SLOW = {
    "send nothing": b"",
    "half a request line": b"GET /heal",
    "half the headers": HEALTH[:-4],
    "half of a second request": HEALTH + b"GET /heal",
    "uploads without their bodies": UPLOAD + b"\r\n",
    "bodies that nobody reads": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 9999\r\n\r\n",
    "chunks that nobody reads": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "do not close": LAST_HEALTH,
    "do not read": BUNDLE * 8,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def health(server: Server) -> int:
    return httpx.get(f"{server.url}/healthz", trust_env=False, timeout=SOON_S).status_code


def lets_in(server: Server) -> bool:
    try:
        socket.create_connection((LOOPBACK, server.port)).close()
    except (ConnectionRefusedError, ConnectionResetError):  # the latter in the very moment
        return False
    return True


def is_told_to_end(pid: int) -> bool:
    """Tell whether a stopped process will find SIGTERM when it goes on."""
    pending = re.search(r"^ShdPnd:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert pending is not None
    return bool(int(pending[1], 16) >> (signal.SIGTERM - 1) & 1)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def problem_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert b"\r\nConnection: close" in head
    return status_of(answer), json.loads(body)["code"]


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_keep_no_thread_from_a_good_one(server: Server, kind: str) -> None:
    with ExitStack() as held:
        for _ in range(MORE_THAN_THREADS):
            held.enter_context(server.connected(SLOW[kind]))
        assert [health(server) for _ in range(3)] == [200] * 3


def test_half_a_head_is_told_that_it_is_late_and_silence_is_not(server: Server) -> None:
    with server.connected(b"GET /heal") as half, server.connected() as silent, server.connected(HEALTH) as kept:
        assert problem_of(received(half)) == (408, "request_timeout")
        assert received(silent) == b""
        assert kept.recv(1000).startswith(b"HTTP/1.1 200")
        kept.sendall(LAST_HEALTH)  # a connection that is kept may be silent for longer than a head may take
        assert received(kept).startswith(b"HTTP/1.1 200")


def test_a_request_that_comes_in_pieces_is_served(server: Server) -> None:
    with server.connected() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(LAST_HEALTH)):
            connection.sendall(LAST_HEALTH[at : at + 1])
        assert received(connection).endswith(b'{"status":"ok"}')


def test_requests_that_come_together_are_answered_in_turn(server: Server) -> None:
    photo = UPLOAD + b"\r\n" + PHOTO
    unread = b"DELETE /v1/jobs/none HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
    with server.connected(HEALTH + photo + unread + LAST_HEALTH) as connection:
        answer = received(connection)
    assert [int(part[1:4]) for part in answer.split(b"HTTP/1.1")[1:]] == [200, 202, 404, 200]


def test_uploads_wait_for_a_place_without_a_thread_and_then_hear_when_to_come_again(server: Server) -> None:
    with ExitStack() as held:
        uploads = [held.enter_context(server.connected(UPLOAD + b"\r\n")) for _ in range(MORE_THAN_THREADS)]
        first, _, _ = select.select(uploads, [], [], SOON_S)
        answer = received(first[0])
        assert problem_of(answer) == (503, "unavailable")
        assert b"\r\nRetry-After: " in answer


def test_what_is_short_or_not_read_does_not_wait_behind_bodies_that_do_not_come(server: Server) -> None:
    with ExitStack() as held:
        for _ in range(THREADS):
            held.enter_context(server.connected(UPLOAD + b"\r\n"))
        with server.connected(HEALTH.replace(HOST, HOST + b"Content-Length: 9999\r\n")) as unread:
            assert status_of(unread.recv(1000)) == 200
        with server.connected(UPLOAD + b"\r\n" + PHOTO) as short:
            assert status_of(short.recv(1000)) == 202


def test_an_upload_gets_the_place_of_one_that_ends(server: Server) -> None:
    with ExitStack() as held:
        uploads = [held.enter_context(server.connected(UPLOAD + b"\r\n")) for _ in range(THREADS)]
        for upload in uploads:
            upload.sendall(PHOTO)
        assert {status_of(upload.recv(1000)) for upload in uploads} == {202}


def test_a_place_is_free_as_soon_as_the_photo_is_stored(server: Server) -> None:
    """Those who wait for their job afterwards keep a thread, and no place."""
    waiting = UPLOAD + b"Prefer: wait=20\r\n\r\n"
    with ExitStack() as held:
        uploads = [held.enter_context(server.connected(waiting)) for _ in range(4)]
        for upload in uploads:
            upload.sendall(PHOTO)
        with server.connected(UPLOAD + b"\r\n") as one_more:
            one_more.sendall(PHOTO)
            assert status_of(one_more.recv(1000)) == 202


@pytest.mark.parametrize("comes_with_its_head", [True, False])
def test_a_store_that_hangs_keeps_no_thread_from_the_others(comes_with_its_head: bool) -> None:
    at_once, then = (HANGING, b"") if comes_with_its_head else (HANGING[:-1], HANGING[-1:])
    with serving() as hanging, ExitStack() as held:
        uploads = [held.enter_context(hanging.connected(UPLOAD + b"\r\n" + at_once)) for _ in range(MORE_THAN_THREADS)]
        for upload in uploads:
            upload.sendall(then)
        first, _, _ = select.select(uploads, [], [], SOON_S)
        assert problem_of(received(first[0])) == (503, "unavailable")
        assert health(hanging) == 200
        os.kill(hanging.worker(), signal.SIGKILL)


def test_a_store_that_hangs_while_results_are_read_keeps_no_thread_from_the_others() -> None:
    with serving() as hanging, ExitStack() as held:
        poll = f"GET /v1/jobs/{hanging.batches['hanging job']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        polls = [held.enter_context(hanging.connected(poll)) for _ in range(MORE_THAN_THREADS)]
        first, _, _ = select.select(polls, [], [], SOON_S)
        answer = first[0].recv(1000)
        assert status_of(answer) == 503
        assert b"\r\nRetry-After: " in answer
        assert httpx.get(f"{hanging.url}/v1/jobs", trust_env=False, timeout=SOON_S).status_code == 200
        os.kill(hanging.worker(), signal.SIGKILL)


def test_when_every_thread_is_kept_the_process_still_says_that_it_is_well() -> None:
    with serving() as hanging, ExitStack() as held:
        job_id = hanging.batches["hanging job"]
        deletion = f"DELETE /v1/jobs/{job_id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()
        deletions = [held.enter_context(hanging.connected(deletion)) for _ in range(MORE_THAN_THREADS)]
        assert [health(hanging) for _ in range(3)] == [200] * 3
        assert select.select(deletions, [], [], 0)[0] == []
        os.kill(hanging.worker(), signal.SIGKILL)


def test_with_everything_taken_polls_and_health_checks_are_answered(server: Server) -> None:
    job_id = httpx.post(f"{server.url}/v1/jobs", content=PHOTO, headers={"Content-Type": "image/jpeg"}).json()["id"]
    wait = f"GET /v1/jobs/{job_id}?wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with ExitStack() as held:
        for sends in (wait, UPLOAD + b"\r\n", BUNDLE * 8):
            for _ in range(THREADS):
                held.enter_context(server.connected(sends))
        for _ in range(2):
            held.enter_context(server.asked("long", "1.1")).recv(1000)
        assert health(server) == 200
        poll = httpx.get(f"{server.url}/v1/jobs/{job_id}", trust_env=False, timeout=SOON_S)
        cancel = httpx.post(f"{server.url}/v1/jobs/{job_id}/cancel", trust_env=False, timeout=SOON_S)
        assert (poll.status_code, cancel.status_code) == (200, 200)


def test_an_empty_line_after_a_request_is_no_head_that_comes_slowly(server: Server) -> None:
    with server.connected(HEALTH + b"\r\n") as connection:
        assert received(connection).count(b"HTTP/1.1") == 1


def test_a_process_whose_arbiter_has_died_shuts_its_door_at_once() -> None:
    with serving({"FACEFIT_MAX_UPLOAD_PAUSE_S": "60"}) as orphaned, orphaned.connected(UPLOAD + b"\r\n"):
        worker = orphaned.worker()
        assert health(orphaned) == 200
        os.kill(orphaned.process.pid, signal.SIGKILL)
        deadline_s = time.monotonic() + SOON_S
        while lets_in(orphaned):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        os.kill(worker, signal.SIGKILL)


def test_those_who_do_not_read_how_it_is_keep_it_from_nobody() -> None:
    unread = BUNDLE + OPENAPI * 10 + HEALTH * 100
    with serving({"FACEFIT_MAX_DOWNLOAD_PAUSE_S": "60"}) as server, ExitStack() as held:
        for _ in range(4):
            held.enter_context(server.connected(unread))
            time.sleep(0.1)
        time.sleep(2)  # the grace of an answer is over
        assert [health(server) for _ in range(3)] == [200] * 3
        os.kill(server.worker(), signal.SIGKILL)


def test_what_nobody_reads_is_broken_off(server: Server) -> None:
    with server.connected(BUNDLE * 8) as connection:
        time.sleep(3)  # a second of grace, and one for those that have a place
        taken = received(connection)
    assert taken.startswith(b"HTTP/1.1 200")
    assert taken.count(b"HTTP/1.1 200") < 8
    assert "Traceback" not in server.logged()


def test_an_answer_is_received_although_not_all_was_sent(server: Server) -> None:
    """The end of a connection waits for what the client still sends, up to the 20 MB of a photo and far beyond."""
    too_much = b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: image/jpeg\r\nContent-Length: 50000000\r\n\r\n"
    with server.connected(too_much) as connection:
        for _ in range(50):
            connection.sendall(bytes(1_000_000))
        answer = received(connection)
    assert b"\r\nConnection: close\r\n" in answer
    assert status_of(answer) == 413


def test_more_refused_clients_than_are_waited_for_end_no_process() -> None:
    """One is closed to make room for another, while what it has sent meanwhile is there to be read."""
    with serving({"FACEFIT_MAX_CONNECTIONS": "1000"}) as crowded, ExitStack() as held:
        worker = crowded.worker()
        clients = [held.enter_context(crowded.connected(NO_HTTP)) for _ in range(MOST_ENDING)]
        for client in clients:
            assert status_of(client.recv(1000)) == 400
        os.kill(worker, signal.SIGSTOP)
        held.enter_context(crowded.connected(NO_HTTP))  # heard of before the others, since it comes first
        for client in clients:
            client.sendall(NO_HTTP)
        os.kill(worker, signal.SIGCONT)
        assert health(crowded) == 200
        assert crowded.worker() == worker
        assert "Traceback" not in crowded.logged()


def test_idle_connections_make_room_for_new_ones() -> None:
    with serving({"FACEFIT_MAX_CONNECTIONS": "20", "FACEFIT_MAX_HEAD_S": "600"}) as full, ExitStack() as held:
        for sends in (b"", b"GET /heal", HEALTH):
            for _ in range(30):
                held.enter_context(full.connected(sends))
            assert [health(full) for _ in range(3)] == [200] * 3
        assert "Traceback" not in full.logged()


def test_a_stop_waits_for_requests_and_not_for_slow_clients() -> None:
    settings = {"FACEFIT_MAX_HEAD_S": "600", "FACEFIT_MAX_UPLOAD_WAIT_S": "600", "FACEFIT_MAX_UPLOAD_PAUSE_S": "600"}
    with serving(settings) as stopping, ExitStack() as held:
        for sends in (b"", b"GET /heal", HEALTH):
            for _ in range(5):
                held.enter_context(stopping.connected(sends))
        upload = held.enter_context(stopping.connected(UPLOAD + b"\r\n" + PHOTO[:-1]))
        assert health(stopping) == 200  # all before it have been accepted
        stopping.process.send_signal(signal.SIGTERM)
        upload.sendall(PHOTO[-1:])
        assert status_of(upload.recv(1000)) == 202
        assert stopping.process.wait(SOON_S) == 0
        assert "Traceback" not in stopping.logged()


def test_whoever_came_before_a_stop_is_answered() -> None:
    """They have connected and asked, and the process has not looked yet."""
    with serving() as stopping, ExitStack() as held:
        worker = stopping.worker()
        os.kill(worker, signal.SIGSTOP)
        clients = [held.enter_context(stopping.connected(HEALTH)) for _ in range(MORE_THAN_THREADS)]
        stopping.process.send_signal(signal.SIGTERM)
        while not is_told_to_end(worker):
            time.sleep(0.01)
        os.kill(worker, signal.SIGCONT)
        answers = [received(client) for client in clients]
    assert {status_of(answer) for answer in answers} == {200}
    assert all(b"\r\nConnection: close\r\n" in answer for answer in answers)


def test_whoever_comes_during_a_stop_is_turned_away_at_once() -> None:
    """A proxy tries the next one then; taken in and left alone, it would wait for as long as the last answer takes."""
    with serving({"FACEFIT_MAX_UPLOAD_PAUSE_S": "600"}) as stopping, ExitStack() as held:
        upload = held.enter_context(stopping.connected(UPLOAD + b"\r\n" + PHOTO[:-1]))
        assert health(stopping) == 200
        stopping.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + SOON_S
        while lets_in(stopping):
            assert time.monotonic() < deadline
        upload.sendall(PHOTO[-1:])
        assert status_of(upload.recv(1000)) == 202
