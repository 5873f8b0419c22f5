"""deploy/prometheus and deploy/grafana: each metric and label there is in a scrape, and each alert is explained."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as product
from prometheus_client import Metric

from capi.models.choices import Reason, RestCause, State
from crm.models.job import JobState
from leadmachine.metrics import figures, requests
from tests.test_documents import anchors

ROOT: Path = product.BASE_DIR
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "leadmachine.json"
OPERATING = (ROOT / "docs" / "operating.md").read_text()

NAME = re.compile(r"\bleadmachine_\w+")
SELECTOR = re.compile(r"\b(leadmachine_\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')
# What a metric of each type is called in a query.
ENDINGS = {
    "histogram": ("_bucket", "_count", "_sum"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "info": ("_info",),
    "gauge": ("",),
}
LANE_STATES = {"held_back", "no_token", "paused", "resting", "sending", "idle"}
TIMERS = {"sweep", "count of the log", "post", "watch"}
VALUES = {
    "state": {*State.values, *JobState.values, *LANE_STATES},
    "reason": {*Reason.values, *RestCause.values},
    "timer": TIMERS,
}


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


@pytest.fixture
def metrics(db: None) -> list[Metric]:
    return [*figures.collect(), *requests.collect()]


def names_of(metrics: list[Metric]) -> set[str]:
    return {f"{each.name}{end}" for each in metrics for end in ENDINGS[each.type]}


def test_every_metric_of_a_query_exists(metrics: list[Metric]) -> None:
    named = {name for query in queries() for name in NAME.findall(query)}

    assert named - names_of(metrics) == set()


def test_the_dashboard_shows_every_metric(metrics: list[Metric]) -> None:
    shown = {
        name
        for panel in panels()
        for target in panel["targets"]
        for name in NAME.findall(target["expr"])
    }
    missing = [
        each.name
        for each in metrics
        if not shown & {f"{each.name}{end}" for end in ENDINGS[each.type]}
    ]

    assert missing == []


def test_every_value_that_a_query_selects_by_is_one_that_there_is() -> None:
    unknown = [
        (metric, label, value)
        for query in queries()
        for metric, matchers in SELECTOR.findall(query)
        for label, _, pattern in MATCHER.findall(matchers)
        for value in pattern.split("|")
        if label in VALUES and value not in VALUES[label]
    ]

    assert unknown == []


def test_the_table_of_metrics_in_the_docs_has_each_of_them(
    metrics: list[Metric],
) -> None:
    listed = re.findall(r"^\| `(leadmachine\w+)` \|", OPERATING, re.MULTILINE)

    expected = [f"{each.name}_info" if each.type == "info" else each.name for each in metrics]  # fmt: skip
    assert sorted(listed) == sorted(expected)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_is_wrong_and_the_docs_say_what_to_do(
    rule: dict[str, Any],
) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"].endswith(".")
    assert re.search(rf"^\| `{rule['alert']}` \| .+ \|$", OPERATING, re.MULTILINE)


def test_the_docs_name_no_alert_that_there_is_not() -> None:
    _, _, section = OPERATING.partition("### Alerts\n")
    table = section.partition("\n#")[0]

    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert named == [rule["alert"] for rule in rules()]
    assert "alerts" in set(anchors(OPERATING))
