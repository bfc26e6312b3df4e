"""What must agree: the two clients with each other, versions, and every form in which a folder is read or written."""

from __future__ import annotations

import inspect
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import facefit
from facefit import AsyncClient, Client, ConfigurationError, async_client, client, options
from facefit.bulk.journal import Journal, Task
from facefit.bulk.scan import MAX_REFERENCE, Found, reference_of, scan
from facefit.config import connect_to
from facefit.streams import TableDownload
from shared.references import reference_fault
from shared.schemas import JobOptions
from stack.services import ROOT

PAIRS = [
    (Client, AsyncClient),
    (client.Jobs, async_client.AsyncJobs),
    (client.Batches, async_client.AsyncBatches),
    (client.Deliveries, async_client.AsyncDeliveries),
    (client.Webhooks, async_client.AsyncWebhooks),
]


def methods(kind: type) -> dict[str, list[tuple[str, Any, Any]]]:
    return {
        name: [(p.name, p.kind, p.default if isinstance(p.default, int | float | str | None) else "") for p in found]
        for name, method in inspect.getmembers(kind, callable)
        if not name.startswith("_")
        for found in [inspect.signature(method).parameters.values()]
    }


@pytest.mark.parametrize(("blocking", "asynchronous"), PAIRS)
def test_both_clients_have_the_same_methods_and_parameters(blocking: type, asynchronous: type) -> None:
    assert methods(blocking) == methods(asynchronous)


def test_options_are_those_of_the_service() -> None:
    assert set(options.JobOptions.__annotations__) == set(JobOptions.model_fields)


def test_the_client_has_the_version_of_the_service_and_needs_no_more_than_it_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert facefit.__version__ == project["version"]
    wanted = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())["project"]["dependencies"]
    imported = set()
    for path in (ROOT / "client" / "src").rglob("*.py"):
        imported |= set(re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
    vendors = {name for name in imported if name in {re.split(r"[>=<]", entry)[0] for entry in wanted}}
    assert vendors == {"anyio", "httpx", "pydantic", "rich", "typer"}
    assert imported & {"api", "worker", "shared", "stack", "tests"} == set()


# References

PRINTABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")


# Paths are what a file system gives: any bytes, and those that are no UTF-8 as lone surrogates.
@given(
    st.binary(min_size=1, max_size=300).filter(lambda path: b"\0" not in path).map(os.fsdecode)
    | st.text(PRINTABLE, min_size=1)
)
def test_every_path_has_a_reference_that_the_service_takes(path: str) -> None:
    reference = reference_of(path, set())
    assert reference_fault(reference) is None
    assert reference_fault(path) is not None or reference == path
    assert reference_fault(reference_of(path, {reference})) is None


def test_a_folder_is_read_as_it_is(tmp_path: Path) -> None:
    names = ["a.jpg", "写真/é.JPG", "_DSC1.jpg", "DSC1.jpg", "empty.png", f"{'x' * 120}/{'y' * 20}.webp", "-1.heic"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"" if "empty" in name else b"photo")
    for name in ["notes.txt", ".hidden.jpg", "__MACOSX/a.jpg", ".cache/b.jpg"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / os.fsdecode(b"latin-\xe9.jpg")).write_bytes(b"photo")
    photos, n_others = scan(tmp_path)
    found = {photo.path: photo for photo in photos}
    assert sorted(found) == sorted([*names, "gone.jpg", "pipe.jpg", os.fsdecode(b"latin-\xe9.jpg")])
    assert n_others == 1
    assert {name for name, photo in found.items() if photo.trouble} == {"empty.png", "gone.jpg", "pipe.jpg"}
    references = [photo.reference for photo in photos]
    assert len(set(references)) == len(references)
    assert all(reference_fault(reference) is None for reference in references)
    assert found["DSC1.jpg"].reference == "DSC1.jpg"
    assert max(map(len, references)) <= MAX_REFERENCE


# The journal of a run


PHOTOS = [Found(f"{n}.jpg", f"{n}.jpg", 5, 0) for n in range(5)]
TASK = Task("/photos", "http://127.0.0.1:8000", {})


def test_a_journal_cut_anywhere_is_a_state_that_was(tmp_path: Path) -> None:
    path = tmp_path / "out.csv.state"
    with Journal.begin(path, TASK, PHOTOS, 2) as journal:
        keys = [part.key for part in journal.parts]
        journal.made(journal.parts[0], "bat_1")
        for photo in PHOTOS[:2]:
            journal.photo_sent(photo.reference)
        journal.all_sent(journal.parts[0])
    whole = path.read_bytes()
    head = whole.index(b"\n") + 1
    for cut in range(head, len(whole) + 1):
        path.write_bytes(whole[:cut])
        with Journal.resume(path, TASK) as journal:
            assert [part.key for part in journal.parts] == keys
            assert [len(part.photos) for part in journal.parts] == [2, 2, 1]
            assert len(journal.sent) <= whole[:cut].count(b'"sent"')
            journal.photo_failed("4.jpg", "changed")
        with Journal.resume(path, TASK) as journal:
            assert journal.troubles == {"4.jpg": "changed"}


def test_a_journal_is_one_process_s_and_of_one_task(tmp_path: Path) -> None:
    path = tmp_path / "out.csv.state"
    with Journal.begin(path, TASK, PHOTOS, 2), pytest.raises(ConfigurationError, match="another process"):
        Journal.resume(path, TASK)
    with pytest.raises(ConfigurationError, match="another folder"):
        Journal.resume(path, Task("/others", TASK.url, {}))
    path.write_bytes(b"no journal")
    with pytest.raises(ConfigurationError, match="this version"):
        Journal.resume(path, TASK)


# Tables


TABLE = b'reference,item_index\r\na,0\r\n"b\n""x""",1\r\n"b\n""x""",1\r\nc,3\r\n'
ROWS = [["reference", "item_index"], ["a", "0"], ['b\n"x"', "1"], ['b\n"x"', "1"], ["c", "3"]]


@given(st.lists(st.integers(0, len(TABLE)), max_size=8).map(sorted), st.integers(0, len(TABLE)))
def test_a_table_is_the_same_however_it_is_cut_and_wherever_it_breaks_off(cuts: list[int], broken_at: int) -> None:
    download, rows = TableDownload("bat_1", "results"), []
    for start, end in zip([0, *cuts], [*cuts, broken_at], strict=True):
        rows += list(download.feed(TABLE[start : min(end, broken_at)]))
    download.broke_off()
    index = download.last_index
    rest = [row for row in TABLE_LINES if row[0] is None or row[0] > index]
    rows += list(download.feed(b"".join(line for _, line in rest)))
    rows += list(download.end())
    assert rows == ROWS


TABLE_LINES: list[tuple[int | None, bytes]] = [
    (None, b"reference,item_index\r\n"),
    (0, b"a,0\r\n"),
    (1, b'"b\n""x""",1\r\n'),
    (1, b'"b\n""x""",1\r\n'),
    (3, b"c,3\r\n"),
]


# Where the address and the key come from


def write_config(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "facefit" / "config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


FILE = 'url = "https://faces.example"\nkey = "ffk_file"\n'


@pytest.mark.parametrize(
    ("url", "key", "environment", "expected"),
    [
        (None, None, {}, ("https://faces.example", "ffk_file")),
        (None, None, {"FACEFIT_API_KEY": "ffk_env"}, ("https://faces.example", "ffk_env")),
        (None, "ffk_given", {"FACEFIT_API_KEY": "ffk_env"}, ("https://faces.example", "ffk_given")),
        ("https://other.example", None, {}, ("https://other.example", None)),
        (None, None, {"FACEFIT_URL": "https://other.example"}, ("https://other.example", None)),
        ("https://faces.example/", None, {}, ("https://faces.example/", "ffk_file")),
    ],
)
def test_what_is_given_wins_and_the_key_of_a_file_is_for_its_address(
    tmp_path: Path, url: str | None, key: str | None, environment: dict[str, str], expected: tuple[str, str | None]
) -> None:
    write_config(tmp_path, FILE)
    found = connect_to(url, key, environment={"XDG_CONFIG_HOME": str(tmp_path), **environment})
    assert (found.url, found.key) == expected
    assert "ffk_" not in repr(found)


def test_without_anything_it_is_this_machine(tmp_path: Path) -> None:
    found = connect_to(environment={"XDG_CONFIG_HOME": str(tmp_path)})
    assert (found.url, found.key) == ("http://127.0.0.1:8000", None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_config(tmp_path, FILE, mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        connect_to(environment={"XDG_CONFIG_HOME": str(tmp_path)})
    write_config(tmp_path, 'url = "https://faces.example"\n', mode)
    assert connect_to(environment={"XDG_CONFIG_HOME": str(tmp_path)}).url == "https://faces.example"


@pytest.mark.parametrize("text", ["nonsense", "url = 7", "token = 'x'", "url = 'ftp://x'", 'key = "a\\nb"'])
def test_a_file_that_is_wrong_is_said_in_a_line(tmp_path: Path, text: str) -> None:
    path = write_config(tmp_path, text)
    with pytest.raises(ConfigurationError) as raised:
        connect_to(config=path, environment={})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "http://", "http://u:p@x", "http://x?y=1", "file:///etc", "http://[::"]
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(ConfigurationError):
        connect_to(url, environment={"XDG_CONFIG_HOME": "/nowhere"})
