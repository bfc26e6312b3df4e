"""Runs the blocks of a page one after the other, as a reader would who types them into one terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from stack.services import ROOT
from tests.docs.pages import Block
from tests.docs.shown import differences

PATIENCE_S: Final = 120.0
SERVICE: Final = "http://127.0.0.1:8000"
RECEIVER: Final = "5000"
_CURL: Final = "fail-with-body\nmax-time = 60\nnoproxy = *\n"
"""For curl: an answer that is an error is one here, too."""


class Reader:
    """A terminal in a folder with the files that the pages speak of."""

    def __init__(self, folder: Path, url: str, receiver_port: int) -> None:
        self._folder = folder
        self._url = url
        self._port = str(receiver_port)
        self._exported = folder / ".exported"
        self._exported.touch()
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, block: Block) -> list[str]:
        """Run a block; return what is wrong with it."""
        script = self._folder / {"sh": ".block.sh", "python": ".block.py", "js": ".block.mjs"}[block.language]
        script.write_text(self._here(block.code), encoding="utf-8")
        command = {
            "sh": f". ./.exported; set -a\n. ./{script.name}\nset +a; export -p > .exported",
            "python": f". ./.exported; exec python {script.name}",
            "js": f". ./.exported; exec node {script.name}",
        }[block.language]
        said, complained = self._folder / ".stdout", self._folder / ".stderr"
        with said.open("wb") as out, complained.open("wb") as err:
            process = subprocess.Popen(
                ["sh", "-eu", "-c", command],
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            self._started.append(process)
            try:
                code = process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                code = None
        printed = said.read_text(encoding="utf-8")
        if code != 0:
            ended = "did not end" if code is None else f"ended with {code}"
            return [f"{block.place} {ended}:\n{printed[-1500:]}\n{complained.read_text(errors='replace')[-1500:]}"]
        if block.prints is None:
            return []
        return [f"{block.place}: {difference}" for difference in differences(*block.prints, self._back(printed))]

    def _here(self, text: str) -> str:
        return (
            text.replace(SERVICE, self._url)
            .replace(f":{RECEIVER}/", f":{self._port}/")
            .replace(f"--port {RECEIVER}", f"--port {self._port}")
        )

    def _back(self, text: str) -> str:
        return text.replace(self._url, SERVICE).replace(f":{self._port}/", f":{RECEIVER}/")

    def _environment(self) -> dict[str, str]:
        path = [str(self._folder / ".bin"), str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
        return {
            "PATH": os.pathsep.join(path),
            "HOME": str(self._folder),
            "PYTHONPATH": str(ROOT / "client" / "src"),
            "LC_ALL": "C.UTF-8",
            "FACEFIT_URL": self._url,
            "NO_PROXY": "127.0.0.1",
            "MPLCONFIGDIR": str(self._folder / ".matplotlib"),
        }

    def leave(self) -> None:
        """End what was left running."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def reading(folder: Path, url: str, receiver_port: int, photos: dict[str, bytes]) -> Iterator[Reader]:
    """Yield a reader in a folder with photos, a zip of two, the portraits and the examples."""
    (folder / ".curlrc").write_text(_CURL)
    (folder / ".bin").mkdir()
    # What `pip install ./client` would leave: the package, and its command.
    for name, arguments in (("python", ""), ("facefit", " -m facefit")):
        program = folder / ".bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        program.chmod(0o755)
    for name in ("stack", "examples"):
        (folder / name).symlink_to(ROOT / name)
    for name, photo in photos.items():
        (folder / name).write_bytes(photo)
    (folder / "photos").mkdir()
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for name in ("a.jpg", "b.jpg"):
            (folder / "photos" / name).write_bytes(photos[name])
            archive.write(folder / "photos" / name, f"photos/{name}")
    reader = Reader(folder, url, receiver_port)
    try:
        yield reader
    finally:
        reader.leave()
