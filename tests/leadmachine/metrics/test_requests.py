"""How long web processes took to answer: by route and status, of all processes of a machine together."""

import re
from typing import Any

import pytest
import requests
from django.core.exceptions import MiddlewareNotUsed

from leadmachine.metrics import processes
from leadmachine.metrics.requests import RequestSecondsMiddleware
from tests.conftest import make_lead
from tests.faults.installation import create_database, drop_database
from tests.faults.processes import Processes, command, free_port, wait_for
from tests.leadmachine.metrics.scraping import TOKEN, families, scrape, values

COUNT = "leadmachine_request_seconds_count"


@pytest.fixture
def _open(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def counted(text: str) -> dict[tuple[str, ...], float]:
    return values(text, COUNT)


@pytest.mark.usefixtures("_open")
def test_each_request_counts_under_the_name_of_its_route(
    company, sales, client_as
) -> None:
    lead = make_lead(company, last_name="Byron")
    before = counted(scrape())
    client = client_as(sales)

    client.get(lead.get_absolute_url(), {"q": "ada@example.com"})
    client.get("/leads/999999999/")
    client.get("/nothing/here/")
    client.get("/api/v1/leads/")

    text = scrape()
    after = counted(text)
    new = {key: n - before.get(key, 0) for key, n in after.items()}
    assert new["lead", "200"] == 1
    assert new["lead", "404"] == 1
    assert new["none", "404"] == 1
    assert new["api-lead-list", "200"] == 1
    assert "999999999" not in text
    assert "Byron" not in text
    assert "@" not in text


@pytest.mark.django_db
def test_nothing_is_measured_while_the_metrics_are_closed() -> None:
    with pytest.raises(MiddlewareNotUsed):
        RequestSecondsMiddleware(lambda request: None)  # type: ignore[arg-type, return-value]


@pytest.mark.django_db
@pytest.mark.usefixtures("_open")
def test_the_format_is_the_one_that_prometheus_asks_for() -> None:
    open_metrics = scrape(Accept="application/openmetrics-text; version=1.0.0")

    assert open_metrics.endswith("# EOF\n")
    assert families(scrape())["leadmachine_request_seconds"].type == "histogram"


# The processes of a machine


def test_a_slot_is_the_lowest_that_no_process_has() -> None:
    assert processes.free_slot([]) == 1
    assert processes.free_slot([1, 3]) == 2
    assert processes.free_slot([2, 1]) == 3


@pytest.mark.processes
def test_all_processes_count_together_and_one_that_dies_takes_nothing_with_it(
    tmp_path,
) -> None:
    database = create_database()
    installation = Processes(
        tmp_path,
        port=free_port(),
        DATABASE_URL=database,
        WEB_CONCURRENCY="2",
        LEADMACHINE_METRICS_TOKEN=TOKEN,
        LEADMACHINE_EMBEDDED_WORKER="off",
    )
    try:
        installation.start("web", command("web"))
        wait_for(installation.is_up, seconds=60, told="the web server answers")

        def redirects() -> float:
            answer = requests.get(
                f"{installation.url}/metrics",
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=10,
            )
            assert answer.status_code == 200, answer.text
            return sum(
                n for (_, status), n in counted(answer.text).items() if status == "302"
            )

        for _ in range(40):
            # A connection each, so that both processes get some.
            requests.get(
                f"{installation.url}/leads/", timeout=10, allow_redirects=False
            )
        assert redirects() == 40

        first, second = installation.children("web")
        first.kill()
        wait_for(
            lambda: {first.pid, second.pid} != {each.pid for each in installation.children("web")}
            and len(installation.children("web")) == 2
            and installation.is_up(),
            seconds=60,
            told="gunicorn has started another process",
        )  # fmt: skip
        for _ in range(40):
            requests.get(
                f"{installation.url}/leads/", timeout=10, allow_redirects=False
            )

        assert redirects() == 80
        assert re.search("Traceback|Error", installation.log("web")) is None
    finally:
        installation.stop()
        drop_database(database)


def test_files_of_a_master_that_is_gone_are_removed_and_those_of_others_stay(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv(processes.FOLDER, "")
    monkeypatch.setattr(processes.values, "ValueClass", None)
    gone = tmp_path / "histogram_999999999-1.db"
    there = tmp_path / "histogram_1-1.db"
    for path in (gone, there):
        path.touch()

    processes.share(tmp_path)

    assert (gone.exists(), there.exists()) == (False, True)
    assert processes.folder() == str(tmp_path)


def test_a_folder_that_cannot_be_written_is_no_reason_not_to_start(
    tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setenv(processes.FOLDER, "")
    (tmp_path / "file").touch()

    processes.share(tmp_path / "file" / "folder")

    assert processes.folder() == ""
    assert "/metrics has the requests of one web process." in caplog.text
