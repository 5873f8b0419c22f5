"""The main job through real processes: gunicorn, two Celery workers and beat, on PostgreSQL and Valkey."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import psycopg
import pytest
from django.conf import settings

from capi.demo.people import PASSWORD
from capi.sandbox.ledger import Ledger
from capi.sandbox.server import SandboxServer
from tests.faults.installation import COMPOSE, PATH, Browser, Installation, command, free_port, wait_for

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif("sqlite" in os.environ["DATABASE_URL"], reason="several processes need PostgreSQL"),
]

TEST_ADDRESS_HASH = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"  # linkedin-capi section 3


@pytest.fixture
def linkedin(tmp_path):
    with SandboxServer("127.0.0.1", 0, Ledger(tmp_path / "ledger.jsonl")) as server:
        yield server


@pytest.fixture
def install(tmp_path, linkedin):
    def make(redis_url, **environment):
        return Installation(tmp_path, linkedin_url=linkedin.url, redis_url=redis_url, **environment)

    return make


def valkey_url() -> str:
    """The Valkey of this run, in a database that no other test uses."""
    return re.sub(r"/\d*$", "", os.environ["REDIS_URL"]) + "/7"


def connect(installation) -> Browser:
    """Sign in as the second company's admin, save a token, and map the qualified lead."""
    browser = Browser(installation.url)
    browser.post("/login/", form_at="/login/", username="clara@contoso.example", password=PASSWORD)
    browser.post(
        "/integrations/linkedin/token/", form_at="/integrations/linkedin/", token="AQV-a-token-for-this-test-0001"
    )
    browser.post(
        "/integrations/linkedin/rules/new/", form_at="/integrations/linkedin/rules/new/", crm_event="lead_qualified",
        name="Qualified", linkedin_id="104012", frequency="once", send_value="on", is_active="on",
    )  # fmt: skip
    return browser


def add_lead(browser, **fields) -> str:
    """Fill in the form of a new lead. Returns the path of its page."""
    form = browser.get("/leads/new/")
    status = re.search(r'<option value="(\d+)"[^>]*>\s*New\s*<', form)
    assert status
    answer = browser.post(
        "/leads/new/", form_at="/leads/new/", first_name="Tess", last_name="Example", type="inbound", status=status[1],
        share_with_ad_platforms="on", **fields,
    )  # fmt: skip
    return answer.url.removeprefix(browser.url)


def qualify(browser, lead) -> float:
    """Set the lead's status in the web. Returns how many seconds the answer took."""
    page = browser.get(lead)
    status = re.search(r'<option value="(\d+)"[^>]*>\s*Qualified\s*<', page)
    assert status
    start = time.monotonic()
    browser.post(f"{lead}status/", form_at=lead, status=status[1])
    return time.monotonic() - start


def accepted(linkedin) -> list[dict]:
    return [element for entry in linkedin.ledger.tail(100) if entry.status == 201 for element in entry.elements]


def state_of(installation, event_id) -> str:
    with psycopg.connect(installation.database_url) as connection:
        [state] = connection.execute(
            "SELECT state FROM capi_conversionevent WHERE event_id = %s", [event_id]
        ).fetchone() or [""]
        return str(state)


def test_a_changed_lead_reaches_linkedin_through_the_web_server_and_two_workers(install, linkedin) -> None:
    with install(valkey_url()) as installation:
        installation.start_all()
        for worker in ("worker1", "worker2"):
            wait_for(lambda name=worker: "ready." in installation.log(name), seconds=30, told=f"{worker} is ready")
        browser = connect(installation)
        lead = add_lead(browser, email="Test@Example.COM", phone="+31 20 555 0199", organisation="Quiet Harbour")

        qualify(browser, lead)

        [element] = wait_for(lambda: accepted(linkedin), seconds=10, told="LinkedIn has the conversion")
        assert element["conversion"] == "urn:lla:llaPartnerConversion:104012"
        assert element["user"] == {"userIds": [{"idType": "SHA256_EMAIL", "idValue": TEST_ADDRESS_HASH}]}
        wait_for(
            lambda: state_of(installation, element["eventId"]) == "accepted", seconds=5, told="the event is accepted"
        )
        assert "Sent" in browser.get("/integrations/linkedin/events/")
        wire = linkedin.ledger.path.read_text().lower()
        assert not [word for word in ("tess", "555 0199", "quiet", "test@example.com") if word in wire]
        assert installation.stop() == {"web": 0, "worker1": 0, "worker2": 0, "beat": 0}


def test_with_redis_dead_a_save_answers_at_once_and_the_sweep_delivers(install, linkedin) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    with install(nobody, LEADMACHINE_SWEEP_SECONDS="0.5") as installation:
        installation.start_all()
        browser = connect(installation)
        lead = add_lead(browser, email="test@example.com")

        seconds = qualify(browser, lead)

        assert seconds < 1.5  # the form's page is fetched within this time too
        [element] = wait_for(lambda: accepted(linkedin), seconds=30, told="a worker's sweep found the event")
        assert element["user"]["userIds"][0]["idValue"] == TEST_ADDRESS_HASH


def test_the_compose_file_has_each_process_with_a_health_check_and_waits_for_the_migrations() -> None:
    services = COMPOSE["services"]

    assert set(services) == {"postgres", "redis", "migrate", "web", "worker", "beat"}
    assert [name for name, service in services.items() if "healthcheck" not in service] == ["migrate"]
    for name in ("web", "worker", "beat"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }


def test_the_image_starts_the_web_server_as_the_compose_file_does() -> None:
    [last] = re.findall(r"^CMD (.*)$", (settings.BASE_DIR / "Dockerfile").read_text(), re.MULTILINE)

    assert json.loads(last) == command("web")


def test_without_the_settings_of_production_the_web_server_says_what_is_missing_and_ends() -> None:
    bare = {"PATH": PATH, "DATABASE_URL": os.environ["DATABASE_URL"], "SECRET_KEY": "short", "PORT": str(free_port())}

    done = subprocess.run(command("web"), env=bare, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=30)

    assert done.returncode == 1
    assert "SECRET_KEY is missing or too short." in done.stderr
    assert "ALLOWED_HOSTS does not name the hosts" in done.stderr
    assert "Traceback" not in done.stderr


def test_on_a_port_that_is_taken_the_web_server_says_so_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {"PATH": PATH, "DATABASE_URL": os.environ["DATABASE_URL"], "DEBUG": "on", "PORT": str(port)}

        done = subprocess.run(
            command("web"), env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=30
        )

    assert done.returncode == 1
    assert done.stderr == (
        f"LeadMachine can't listen on 127.0.0.1:{port} (Address already in use). "
        "Stop what listens there, or choose another port: PORT=8123 make run\n"
    )


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_web_server_with_its_worker_and_sandbox_at_once(tmp_path, linkedin, ending) -> None:
    embedded = {"LEADMACHINE_EMBEDDED_WORKER": "on", "LINKEDIN_SANDBOX": "on", "LINKEDIN_SANDBOX_PORT": "0"}
    with Installation(tmp_path, linkedin_url=linkedin.url, redis_url="", **embedded) as installation:
        installation.start("web", command("web"))
        wait_for(installation.is_up, seconds=30, told="the web server answers")
        start = time.monotonic()

        codes = installation.stop(ending)

        assert codes == {"web": 0}
        assert time.monotonic() - start < 4


def test_the_embedded_worker_does_the_daily_housekeeping_too(tmp_path, linkedin) -> None:
    embedded = {"LEADMACHINE_EMBEDDED_WORKER": "on"}
    with (
        Installation(tmp_path, linkedin_url=linkedin.url, redis_url="", **embedded) as installation,
        psycopg.connect(installation.database_url, autocommit=True) as database,
    ):
        database.execute("INSERT INTO django_session VALUES ('ended', '', now() - interval '1 day')")

        installation.start("web", command("web"))

        wait_for(
            lambda: database.execute("SELECT count(*) FROM django_session").fetchone() == (0,),
            seconds=30,
            told="the session that has ended is gone",
        )
