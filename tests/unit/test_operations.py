"""The rules, the dashboard and the runbook against what is really counted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import promql_parser
import pytest
import yaml

from docs import metrics as metrics_page
from shared.metrics import METRICS, Kind, metric

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "operations"
OF_THE_SCRAPE: Final = {"job", "instance"}
"""Labels that Prometheus adds to every series."""
UP_OF_PROMETHEUS: Final = "up"
SUFFIXES: Final = {"_bucket": {"le"}, "_sum": set(), "_count": set()}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return found


def as_prometheus_has_it(expression: str) -> str:
    """Put a time where Grafana would put one."""
    return expression.replace("$__rate_interval", "1m")


def expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield as_prometheus_has_it(target["expr"])


def labels_of(name: str) -> set[str]:
    """Return the labels of a series by its name, which for a histogram has a suffix; raise if there is none."""
    for suffix, more in SUFFIXES.items():
        base = name.removesuffix(suffix)
        if base != name and base in METRICS and METRICS[base].kind is Kind.HISTOGRAM:
            return set(METRICS[base].labels) | more | OF_THE_SCRAPE
    if name == UP_OF_PROMETHEUS:
        return set(OF_THE_SCRAPE)
    assert metric(name).kind is not Kind.HISTOGRAM, f"{name} has no series of its own name"
    return set(metric(name).labels) | OF_THE_SCRAPE


def nodes(expression: Any) -> Iterator[Any]:
    yield expression
    for part in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(expression, part, None)
        if child is not None:
            yield from nodes(child)
    for child in getattr(expression, "args", None) or ():
        yield from nodes(child)


def selectors(expression: str) -> list[Any]:
    return [node for node in nodes(promql_parser.parse(expression)) if isinstance(node, promql_parser.VectorSelector)]


@pytest.mark.parametrize("expression", list(expressions()))
def test_every_expression_speaks_of_metrics_and_labels_that_there_are(expression: str) -> None:
    found = selectors(expression)
    assert found
    for selector in found:
        allowed = labels_of(selector.name)
        named = {matcher.name for matcher in selector.matchers.matchers}
        assert named <= allowed, f"{selector.name} has no label {named - allowed}"
    everywhere = set().union(*(labels_of(selector.name) for selector in found))
    for grouped in re.findall(r"\b(?:by|on|without|ignoring) \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= everywhere


def test_the_parser_sees_through_an_expression() -> None:
    expression = 'sum by (le) (rate(a_bucket{x="1"}[5m])) / (b > 0) unless on (x) c{y="2"}'
    assert [selector.name for selector in selectors(expression)] == ["a_bucket", "b", "c"]
    with pytest.raises(ValueError, match=r".+"):
        promql_parser.parse("sum by (rate(")


def test_a_counter_is_read_as_a_rate_and_a_gauge_is_not() -> None:
    for expression in expressions():
        for name, opened in re.findall(r"(?:(?:rate|increase)\()?(facefit_\w+)(?:\{[^}]*\})?(\[)?", expression):
            counts = name.endswith(tuple(SUFFIXES)) or metric(name).kind is Kind.COUNTER
            assert bool(opened) == counts, expression


def test_every_label_in_a_legend_or_a_text_is_left_by_its_expression() -> None:
    for panel in panels():
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert label in left_by(as_prometheus_has_it(target["expr"])), (target, label)
    for rule in rules():
        for text in rule["annotations"].values():
            for label in re.findall(r"\$labels\.(\w+)", text):
                assert label in left_by(rule["expr"]), (rule["alert"], label)


def left_by(expression: str) -> set[str]:
    """Return the labels that the answer has: those that are grouped by, else all of the first series."""
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    if grouped:
        return {label.strip() for label in grouped[0].split(",")}
    return set() if re.match(r"sum\(", expression) else labels_of(selectors(expression)[0].name)


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", (FOLDER / "runbook.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_alert_has_a_section_in_the_runbook_and_no_other() -> None:
    names = [rule["alert"] for rule in rules()]
    assert list(sections()) == names
    for name, text in sections().items():
        assert "**Look**" in text, name
        assert "**Do**" in text, name


def test_the_runbook_names_only_alerts_and_metrics_that_there_are() -> None:
    text = (FOLDER / "runbook.md").read_text()
    assert set(re.findall(r"\bFacefit[A-Za-z]+", text)) == set(sections())
    for name in re.findall(r"\bfacefit_[a-z_]+", text):
        metric(name)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_rule_has_all_that_a_rule_needs(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"runbook.md#{rule['alert'].lower()}"


def test_sets_are_compared_where_they_have_labels_in_common() -> None:
    """`and` and `unless` between series with other labels never match, and the rule would never speak."""
    for rule in rules():
        tree = promql_parser.parse(rule["expr"])
        for node in nodes(tree):
            if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in {"and", "unless"}:
                sides = [shape(side) for side in (node.lhs, node.rhs)]
                assert sides[0] == sides[1] or " on (" in rule["expr"], rule["alert"]


def shape(expression: Any) -> frozenset[str] | tuple[str, ...]:
    text = str(expression).strip("() ")
    if text.startswith("sum("):
        return frozenset()
    found = selectors(str(expression))
    return frozenset(labels_of(found[0].name)) | {str(matcher) for matcher in found[0].matchers.matchers}


def test_the_dashboard_can_be_provisioned() -> None:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(dashboard)
    assert "__inputs" not in dashboard  # which only an import by hand fills in
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels()]
    assert len(places) == len(set(places))
    assert all(panel["targets"] and panel["title"] for panel in panels())
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in panels())


def test_what_is_counted_is_seen_somewhere() -> None:
    shown = " ".join(expressions())
    unseen = {name for name in METRICS if name not in shown} - {
        "facefit_jobs_restored_open_total",
        "facefit_jobs_reopened_total",
        "facefit_jobs_dropped_open_total",
    }
    assert unseen == set()


def test_the_example_of_a_scrape() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert config["rule_files"] == ["alerts.yml"]
    [scrape] = config["scrape_configs"]
    assert scrape["job_name"] in next(rule["expr"] for rule in rules() if rule["alert"] == "FacefitUnreachable")
    assert scrape["authorization"]["credentials_file"]


def test_every_metric_is_documented() -> None:
    assert metrics_page.PAGE.read_text() == metrics_page.page()
