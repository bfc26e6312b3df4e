"""`schemathesis` over the OpenAPI document of a running service: no 5xx, and no answer outside the document.

`python -m bench.openapi_fuzz --seconds 600 --seed 1` starts the whole service and goes on for that long;
`make schemathesis SECONDS=600 SEED=1` does the same. A seed repeats the requests, as far as answers repeat.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from stack.services import ROOT
from stack.stack import Stack

PORTRAIT = ROOT / "stack" / "portraits" / "grace_hopper.jpg"
HOOKS = "bench.openapi_fuzz_hooks"
KNOWN_IDS = "FACEFIT_FUZZ_IDS"
PATIENCE_S = 60.0
EXCLUDED_CHECKS = (
    # A request in order by the document may still be refused: random bytes are no photo, two options may exclude each
    # other, an address may be one of a private network. No document can say so.
    "positive_data_acceptance",
    # This service runs without keys, where everybody on this machine is the one tenant; with keys, other tests walk
    # every route with those of another.
    "ignored_auth",
    "object_level_authorization",
)
CONFIG = """
[checks.negative_data_rejection]
# Those of schemathesis, and 414: what is wrong may also make a line longer than the server reads.
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 414, 415, 422, 428, 429, "5xx"]
"""


@dataclass(frozen=True)
class Outcome:
    """What a run came to: requests made, failures found, and all that was said."""

    passed: bool
    requests: int
    failures: int
    said: str


def fuzz(url: str, *, seconds: float, seed: int, phases: str = "examples,coverage,fuzzing,stateful") -> Outcome:
    """Run against a service that measures."""
    command = [
        sys.executable,
        "-c",
        "from schemathesis.cli import schemathesis; schemathesis()",
        "run",
        f"{url}/openapi.json",
    ]
    command += ["--checks", "all", "--exclude-checks", ",".join(EXCLUDED_CHECKS), "--phases", phases]
    command += ["--max-time", str(round(seconds)), "--seed", str(seed), "--continue-on-failure", "--no-color"]
    command += ["--request-timeout", str(PATIENCE_S), "--generation-database", "none"]
    # A made-up key is a 401 at every door, and nothing behind it is seen.
    command += ["--generation-with-security-parameters", "false"]
    env = {**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, KNOWN_IDS: ",".join(known_ids(url)), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "schemathesis.toml").write_text(CONFIG)
        run = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    said = run.stdout + run.stderr
    counted = re.search(r"(\d+) generated(?:, (\d+) found)?", said)
    requests, failures = (int(counted[1]), int(counted[2] or 0)) if counted else (0, 0)
    return Outcome(run.returncode == 0, requests, failures, said)


def known_ids(url: str) -> tuple[str, str]:
    """Make a job and a batch that have ended: without them, most paths are only seen to answer 404."""
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        photo = PORTRAIT.read_bytes()
        job = client.post("/v1/jobs?keep_image=true", content=photo, headers={"Content-Type": "image/jpeg"}).json()
        batch = client.post("/v1/batches", files=[("images", ("a.jpg", photo, "image/jpeg"))]).json()
        for path in (f"/v1/jobs/{job['id']}", f"/v1/batches/{batch['id']}"):
            until = time.monotonic() + PATIENCE_S
            while client.get(f"{path}?wait=5").json()["status"] in {"queued", "running"} and time.monotonic() < until:
                pass
    return job["id"], batch["id"]


def main() -> None:
    """Start the service and fuzz it; exit with 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        outcome = fuzz(stack.url, seconds=options.seconds, seed=options.seed)
    print(outcome.said)
    print(f"requests: {outcome.requests}, failures: {outcome.failures}, seed {options.seed}")
    sys.exit(not outcome.passed)


if __name__ == "__main__":
    main()
