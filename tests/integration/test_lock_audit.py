"""`make audit`, against a database of vulnerabilities that this test serves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from requirements.audit import FILES, FOLDER, NOT_AUDITED, audit, pins
from stack.data_folder import free_ports

PINNED = r"""flask==3.1.0 \
    --hash=sha256:00
six==1.17.0 ; python_version > '3' \
    --hash=sha256:01
    # via flask
"""


@dataclass
class Database:
    url: str
    known: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def database() -> Iterator[Database]:
    found = Database("")

    class Answers(BaseHTTPRequestHandler):
        def answer(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            names = [query["package"]["name"] for query in queries]
            found.asked += [(query["package"]["name"], query["version"]) for query in queries]
            changed = "2026-01-01T00:00:00Z"
            self.answer(
                {
                    "results": [
                        {"vulns": [{"id": found.known[name], "modified": changed}]} if name in found.known else {}
                        for name in names
                    ]
                }
            )

        def do_GET(self) -> None:
            changed = "2026-01-01T00:00:00Z"
            name = self.path.rsplit("/", 1)[1]
            self.answer({"id": name, "summary": "made up", "modified": changed, "published": changed, "affected": []})

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def pinned(tmp_path: Path) -> list[Path]:
    path = tmp_path / "some.txt"
    path.write_text(PINNED)
    return [path]


def test_what_is_pinned_is_asked_about_and_nothing_is_known(
    database: Database, pinned: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    assert audit(pinned, ["--service-url", database.url]) == 0
    assert sorted(database.asked) == [("flask", "3.1.0"), ("six", "1.17.0")]
    assert "in 2 packages" in capfd.readouterr().out


def test_a_known_vulnerability_is_named(
    database: Database, pinned: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    database.known["flask"] = "PYSEC-2099-1"
    assert audit(pinned, ["--service-url", database.url]) == 1
    assert "PYSEC-2099-1" in capfd.readouterr().out


def test_no_answer_is_no_audit(
    pinned: list[Path], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert audit(pinned, ["--service-url", f"http://127.0.0.1:{free_ports(1)[0]}"]) == NOT_AUDITED
    said = capfd.readouterr()
    assert said.err.startswith("not audited: 2 pinned packages")
    assert said.out == ""


def test_the_files_that_are_audited_pin_all_that_is_shipped() -> None:
    audited = set(pins([FOLDER / name for name in FILES]))
    assert len(audited) > 100
    for path in FOLDER.glob("*.txt"):
        assert set(pins([path])) <= audited, path.name
