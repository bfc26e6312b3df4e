"""Many clients against a limit of photos a minute, over a real stack: `python -m bench.limits --clients 16 --limit 60`.

Every client sends photos as fast as it is answered, whatever it is answered. Exits with 1 unless exactly as many photos
are admitted in the first minute as the limit says, no minute has more, and every other answer is a 429.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

import httpx

from stack.stack import Stack

PHOTO: Final = (Path(__file__).parents[1] / "stack" / "portraits" / "grace_hopper.jpg").read_bytes()
MINUTE_S: Final = 60.0
REPLY_TIMEOUT_S: Final = 60.0


class Clients:
    """What was answered, and when."""

    def __init__(self, url: str, until_s: float) -> None:
        self.url = url
        self.until_s = until_s
        self.answers: list[tuple[float, int]] = []
        self.retry_after: Counter[bool] = Counter()

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=REPLY_TIMEOUT_S, trust_env=False) as http:
            while time.monotonic() < self.until_s:
                sent_s = time.monotonic()
                answer = http.post("/v1/jobs", files={"image": ("a.jpg", PHOTO)})
                self.answers.append((sent_s if answer.status_code == 202 else time.monotonic(), answer.status_code))
                if answer.status_code == 429:
                    fields = {"retry-after", "ratelimit", "ratelimit-policy"}
                    self.retry_after[fields <= set(answer.headers)] += 1


def run(n_clients: int, limit: int, seconds: float) -> bool:
    """Run the load; tell whether all was as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), overrides={"FACEFIT_LIMIT_PHOTOS_PER_MINUTE": str(limit)})
        try:
            stack.start_stores()
            stack.start_services()
            begun_s = time.monotonic()
            clients = Clients(stack.url, begun_s + seconds)
            threads = [threading.Thread(target=clients.run) for _ in range(n_clients)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            stack.close()
    admitted_s = sorted(at_s - begun_s for at_s, status in clients.answers if status == 202)
    in_first_minute = sum(at_s < MINUTE_S for at_s in admitted_s)
    at_most = max(sum(start <= at_s < start + MINUTE_S for at_s in admitted_s) for start in admitted_s)
    statuses = Counter(status for _, status in clients.answers)
    print(f"{n_clients} clients, limit {limit} a minute, {seconds:g} s; answers: {dict(statuses)}")
    print(f"admitted in the first minute: {in_first_minute}; in any minute, as clients see it: at most {at_most}")
    print(f"last of the first {limit} after {admitted_s[:limit][-1]:.2f} s")
    print(f"429 with Retry-After, RateLimit and RateLimit-Policy: {clients.retry_after[True]} of {statuses[429]}")
    return (
        in_first_minute == at_most == limit
        and set(statuses) <= {202, 429}
        and clients.retry_after[True] == statuses[429]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=75.0)
    asked = parser.parse_args()
    sys.exit(not run(asked.clients, asked.limit, asked.seconds))


if __name__ == "__main__":
    main()
