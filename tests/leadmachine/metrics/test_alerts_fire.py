"""A real Prometheus evaluates deploy/prometheus/alerts.yml: quiet while all is well, each alert in its own trouble, and
quiet again afterwards.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from tests.faults.processes import free_port, wait_for
from tests.leadmachine.metrics.test_dashboard_and_alerts import ALERTS, rules

PROGRAM = shutil.which("prometheus")

Samples = dict[str, float]

HEALTHY: Samples = {
    "leadmachine_database_up": 1,
    'leadmachine_beat_age_seconds{timer="sweep"}': 5,
    'leadmachine_beat_age_seconds{timer="post"}': 5,
    "leadmachine_queue_age_seconds": 2,
    'leadmachine_recent_attempts{status="201"}': 90,
    'leadmachine_recent_attempts{status="503"}': 10,
    'leadmachine_recent_events{state="accepted",reason=""}': 900,
    'leadmachine_recent_events{state="rejected",reason="data_refused"}': 10,
    'leadmachine_lanes{state="idle",reason=""}': 40,
    'leadmachine_lanes{state="paused",reason="token_refused"}': 1,
    "leadmachine_lapsed_leases": 0,
    'leadmachine_jobs{kind="leadimport",state="waiting"}': 1,
    'leadmachine_job_age_seconds{kind="leadimport",state="waiting"}': 3,
    'leadmachine_mail_age_seconds{kind="account"}': 1,
    "leadmachine_database_connections": 20,
    "leadmachine_database_connections_limit": 97,
    "leadmachine_housekeeping_age_seconds": 3600,
    "leadmachine_backup_age_seconds": 3600,
}
TROUBLE: dict[str, Samples] = {
    "DatabaseAway": {"leadmachine_database_up": 0},
    "NoWorker": {'leadmachine_beat_age_seconds{timer="sweep"}': 120},
    "TimerStopped": {'leadmachine_beat_age_seconds{timer="post"}': 1000},
    "QueueLate": {"leadmachine_queue_age_seconds": 400},
    "LinkedInFailing": {'leadmachine_recent_attempts{status="none"}': 200},
    "EventsFailing": {'leadmachine_recent_events{state="exhausted",reason=""}': 400},
    "VersionRetired": {'leadmachine_lanes{state="paused",reason="version_retired"}': 3},
    "SendingHeldBack": {'leadmachine_lanes{state="held_back",reason=""}': 41},
    "LeaseStuck": {"leadmachine_lapsed_leases": 1},
    "JobsLate": {'leadmachine_job_age_seconds{kind="leadimport",state="waiting"}': 1000},
    "MailLate": {'leadmachine_mail_age_seconds{kind="account"}': 1000},
    "ConnectionsNearLimit": {"leadmachine_database_connections": 90},
    "HousekeepingLate": {"leadmachine_housekeeping_age_seconds": 3 * 86400},
    "BackupLate": {"leadmachine_backup_age_seconds": 3 * 86400},
}  # fmt: skip
# Of requests, by how many a second each sample grows. Their rates are of five minutes, so these come last.
OF_REQUESTS: dict[str, Samples] = {
    "PagesSlow": {
        'leadmachine_request_seconds_bucket{route="lead",status="200",le="2.5"}': 0,
        'leadmachine_request_seconds_bucket{route="lead",status="200",le="5.0"}': 100,
        'leadmachine_request_seconds_bucket{route="lead",status="200",le="+Inf"}': 100,
    },
    "PagesFailing": {
        'leadmachine_request_seconds_count{route="lead",status="200"}': 100,
        'leadmachine_request_seconds_count{route="lead",status="500"}': 20,
    },
}


class Scraped(BaseHTTPRequestHandler):
    """Answers each scrape with the present samples."""

    samples: Samples = HEALTHY
    growing: Samples = {}
    scrapes = 0

    def do_GET(self) -> None:
        cls = type(self)
        cls.scrapes += 1
        grown = {name: speed * cls.scrapes for name, speed in cls.growing.items()}
        lines = [f"{name} {value}\n" for name, value in (cls.samples | grown).items()]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write("".join(lines).encode())

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def alerts(tmp_path) -> Iterator[Callable[[], set[str]]]:
    """Returns the alerts whose condition holds, whether or not it has held for long enough to be sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scraped)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    targets = [f"127.0.0.1:{server.server_port}"]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "leadmachine", "static_configs": [{"targets": targets}]}],
    }  # fmt: skip
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    log = (tmp_path / "log").open("wb")
    prometheus = subprocess.Popen(
        [
            str(PROGRAM),
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=log,
        stderr=log,
    )

    def holding() -> set[str]:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=5) as answer:
            found = json.load(answer)["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in found}

    def is_ready() -> bool:
        try:
            return bool(urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5))
        except URLError:
            return False

    try:
        wait_for(is_ready, seconds=60, told="Prometheus is ready")
        yield holding
    finally:
        prometheus.terminate()
        prometheus.wait(30)
        log.close()
        server.shutdown()
        server.server_close()
        Scraped.samples, Scraped.growing = HEALTHY, {}


@pytest.mark.processes
@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    PROGRAM is None, reason="Prometheus is not installed (apt install prometheus)"
)
def test_each_alert_fires_in_its_trouble_alone_and_ends_with_it(alerts) -> None:
    def become(expected: set[str]) -> None:
        wait_for(
            lambda: alerts() == expected, seconds=60, told=f"{expected or 'all quiet'}"
        )

    become(set())
    for alert, samples in TROUBLE.items():
        Scraped.samples = HEALTHY | samples
        become({alert})
        Scraped.samples = HEALTHY
        become(set())

    for alert, growing in OF_REQUESTS.items():
        Scraped.growing = growing
        wait_for(
            lambda alert=alert: alert in alerts(),  # type: ignore[misc]
            seconds=60,
            told=alert,
        )


def test_every_alert_has_its_trouble_here() -> None:
    # A server that doesn't answer is Prometheus's own metric.
    assert {*TROUBLE, *OF_REQUESTS, "WebServerDown"} == {
        rule["alert"] for rule in rules()
    }
