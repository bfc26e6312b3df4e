"""`python -m stack up` keeps the service running here, `keys` and `tenants` administer it, `demo` shows it at work."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from shared.process_signals import on_signals
from stack.administration import COMMANDS, administer
from stack.demo import PHOTOS, run_demo
from stack.errors import FolderInUse, Interrupted, PortTaken, StackError
from stack.services import ROOT
from stack.stack import Stack, say

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
"""What a shell expects of a command that Ctrl-C ended."""

ASK_FOR_THE_END: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

POLL_S: Final = 0.2


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="start everything, measure two portraits, stop everything")
    up = commands.add_parser("up", help="keep the service running until Ctrl-C")
    up.add_argument("--port", type=_port, default=8000, help="where the API listens on loopback; 0 for any free port")
    up.add_argument("--data", type=Path, default=Path(".facefit"), help="the folder that everything is kept in")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what)
        command.add_argument("--data", type=Path, default=Path(".facefit"), help="the folder of that service")
        command.add_argument("arguments", nargs=argparse.REMAINDER, help=f"as for python -m api.{name}; see its --help")
    options = parser.parse_args(arguments)
    try:
        if options.command in COMMANDS:
            return administer(options.command, options.data, options.arguments)
        return _demo() if options.command == "demo" else _up(options.data, options.port)
    except (PortTaken, FolderInUse) as exc:
        print(f"facefit: {exc}", file=sys.stderr, flush=True)
        return EXIT_USAGE
    except StackError as exc:
        print(f"facefit: {exc}", file=sys.stderr, flush=True)
        return EXIT_FAILED


def _up(data: Path, port: int) -> int:
    stack = Stack(data, port)
    on_signals(ASK_FOR_THE_END, stack.interrupt)
    try:
        with stack:
            say(_welcome(stack.url, data))
            say(f"facefit is ready at {stack.url}")
            while True:
                stack.pause(POLL_S)
    except Interrupted:
        return 0


def _demo() -> int:
    with tempfile.TemporaryDirectory(prefix="facefit-demo-") as data:
        stack = Stack(Path(data))
        on_signals(ASK_FOR_THE_END, stack.interrupt)
        try:
            with stack:
                run_demo(stack)
        except Interrupted:
            return EXIT_INTERRUPTED
    say("\nall of this was measured by the service; `make up` keeps it running")
    return 0


def _welcome(url: str, data: Path) -> str:
    photo = PHOTOS[0].relative_to(ROOT)
    return f"""
  address     {url}
  page        {url}/
  reference   {url}/docs
  data, logs  {data}

  curl -F image=@{photo} {url}/face-coordinates
  curl -F image=@{photo} -H 'Prefer: wait=20' {url}/v1/jobs

  Ctrl-C stops it.
"""


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 0xFFFF:  # noqa: PLR2004 - the highest port there is
        message = f"{text} is not a port"
        raise argparse.ArgumentTypeError(message)
    return port


if __name__ == "__main__":
    sys.exit(main())
