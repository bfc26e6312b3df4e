"""`Idempotency-Key` over real HTTP and two API processes."""

from __future__ import annotations

import socket
import threading
import time
import uuid

import httpx
import pytest

from stack.stack import Stack
from tests import files, served

pytestmark = pytest.mark.system

NO_PHOTO = b"\xff\xd8\xff\xe0" + bytes(2000)
CLIENTS = 16


def headers(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key, "Content-Type": "image/jpeg"}


def test_many_clients_with_one_key_make_one_job(service: Stack, http: httpx.Client) -> None:
    key = uuid.uuid4().hex
    start = threading.Barrier(CLIENTS)
    answers: list[httpx.Response] = []

    def send() -> None:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
            client.get("/healthz")
            start.wait()
            answers.append(client.post(f"/v1/jobs?reference={key}", content=NO_PHOTO, headers=headers(key)))

    threads = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert {answer.json()["code"] for answer in refused} <= {"idempotency_in_flight"}
    assert ["Idempotent-Replayed" in answer.headers for answer in accepted].count(False) == 1
    listed = http.get(f"/v1/jobs?reference={key}").json()["data"]
    assert [job["id"] for job in listed] == list({answer.json()["id"] for answer in accepted})
    again = http.post(f"/v1/jobs?reference={key}", content=NO_PHOTO, headers=headers(key))
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")


def test_a_large_photo_is_turned_away_while_its_like_is_on_its_way(service: Stack, http: httpx.Client) -> None:
    key, photo = uuid.uuid4().hex, files.heavy_jpeg(15_000_000)
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers(f'"{key}"').items())
        connection.sendall(
            f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n{head}\r\n".encode()
            + photo[:-1000]
        )
        refused = http.post("/v1/jobs", content=photo, headers=headers(key))
        assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_in_flight")
        assert refused.headers["Retry-After"] == "1"
        connection.sendall(photo[-1000:])
        first = connection.recv(65_536).decode()
    assert first.startswith("HTTP/1.1 202")
    again = http.post("/v1/jobs", content=photo, headers=headers(key))
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert f"Location: {again.headers['Location']}\r\n" in first


def test_a_client_that_went_away_leaves_its_key(service: Stack, http: httpx.Client) -> None:
    key = uuid.uuid4().hex
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers(key).items())
        connection.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n{head}\r\n".encode())
        connection.sendall(NO_PHOTO)
    patience = time.monotonic() + 20
    while (answer := http.post("/v1/jobs", content=NO_PHOTO, headers=headers(key))).status_code == 409:
        assert time.monotonic() < patience
        time.sleep(0.05)
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (202, False)


def test_two_headers_are_refused_by_name(service: Stack) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        head = "Host: localhost\r\nConnection: close\r\nContent-Type: image/jpeg\r\n"
        keys = "Idempotency-Key: a\r\nIdempotency-Key: b\r\n"
        connection.sendall(f"POST /v1/jobs HTTP/1.1\r\n{head}{keys}Content-Length: 4\r\n\r\n".encode() + NO_PHOTO[:4])
        answer = served.received(connection)  # head and body come in writes of their own
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"Idempotency-Key"' in answer
