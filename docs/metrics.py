"""Writes docs/operations/metrics.md from the registry: `make docs`. A test compares the two."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shared.metrics import METRICS, CountedBy, Metric

PAGE: Final = Path(__file__).parent / "operations" / "metrics.md"
_HEAD: Final = """# Metrics

Every metric of the service, as `GET /metrics` shows it; this page is generated from `shared/metrics.py` by `make docs`.
Any process of the API answers for all processes of the service, so scrape one address. `prometheus.yml` beside this
page is an example, with a bearer token for when there are keys. Labels never carry a tenant, an id or an address.

Who counts says what is lost when:

- **change**: counted in Redis by the very script that makes the change, exactly once with it. Losing Redis starts these
  anew, which Prometheus takes for a restart. What is made anew from storage afterwards is not accepted again, so
  always, for each queue: accepted + restored open + reopened = terminal + dropped open + open.
- **process**: counted by the process that saw it, and sent every `FACEFIT_METRICS_INTERVAL_S`. A killed process loses
  what it had not sent. A gauge is forgotten three intervals after its process was heard of last; those of several
  processes are added, but for `facefit_up` (the least) and `facefit_storage_check_seconds` (the most).
- **scrape**: read when asked for.

While Redis is away there is `facefit_up{part="redis"} 0` and nothing else; the answer is a 200.

| Metric | Kind | Labels | Counted by | What it says |
|---|---|---|---|---|
"""
_SHOWN: Final = {CountedBy.CHANGE: "change", CountedBy.PROCESS: "process", CountedBy.SCRAPE: "scrape"}


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {_SHOWN[metric.counted_by]} | {metric.text} |"


def page() -> str:
    """Return the page as the registry is now."""
    return _HEAD + "\n".join(map(_row, METRICS.values())) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
