"""The main job through real processes: gunicorn and two Celery workers, on PostgreSQL and Valkey."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable

import psycopg
import pytest
from django.conf import settings

from capi.linkedin.sandbox.request_log import RequestLog
from capi.linkedin.sandbox.server import SandboxServer
from leadmachine.demo.people import PASSWORD
from tests.faults.installation import (
    COMPOSE,
    PATH,
    Browser,
    Installation,
    command,
    free_port,
    wait_for,
)

pytestmark = pytest.mark.processes

# Of test@example.com.
TEST_ADDRESS_HASH = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"


@pytest.fixture
def linkedin(tmp_path):
    with SandboxServer("127.0.0.1", 0, RequestLog(tmp_path / "ledger.jsonl")) as server:
        yield server


@pytest.fixture
def install(tmp_path, linkedin):
    def make(redis_url, **environment):
        return Installation(
            tmp_path, linkedin_url=linkedin.url, redis_url=redis_url, **environment
        )

    return make


def valkey_url() -> str:
    """The Valkey of this run, in a database that no other test uses."""
    return re.sub(r"/\d*$", "", os.environ["REDIS_URL"]) + "/7"


def sign_in(installation, email) -> Browser:
    browser = Browser(installation.url)
    browser.post("/login/", form_at="/login/", username=email, password=PASSWORD)
    return browser


def connect(installation) -> Browser:
    """Sign in as the second company's admin, save a token, and map the qualified lead and the won deal.

    Without a time to undo: what is changed is due at once.
    """
    browser = sign_in(installation, "clara@contoso.example")
    browser.post(
        "/integrations/linkedin/token/",
        form_at="/integrations/linkedin/token/",
        token="AQV-a-token-for-this-test-0001",
    )
    browser.post(
        "/integrations/linkedin/grace/",
        form_at="/integrations/linkedin/",
        grace_seconds="0",
    )
    for event, name, linkedin_id in (
        ("lead_qualified", "Qualified", "104012"),
        ("deal_won", "Won", "104013"),
    ):
        browser.post(
            "/integrations/linkedin/rules/new/", form_at="/integrations/linkedin/rules/new/", crm_event=event,
            name=name, linkedin_id=linkedin_id, frequency="once", send_value="on", is_active="on",
        )  # fmt: skip
    return browser


def invite_to_sales(admin, installation) -> Browser:
    """A colleague who has followed the link in the mail, which in development is in the log of a worker."""
    admin.post(
        "/company/people/",
        form_at="/company/people/",
        email="sami@contoso.example",
        role="sales",
    )
    mailed = r"https?://\S+(/invitations/[^/\s]+/)"
    wait_for(
        lambda: re.search(mailed, installation.logs()),
        seconds=15,
        told="the mail is in a worker's log",
    )
    [link] = set(re.findall(mailed, installation.logs()))  # in the text and in the HTML
    browser = Browser(installation.url)
    browser.post(
        link, form_at=link, first_name="Sami", last_name="Example", password=PASSWORD
    )
    return browser


def add_lead(browser, **fields) -> str:
    """Fill in the form of a new lead. Returns the path of its page."""
    answer = browser.post(
        "/leads/new/", form_at="/leads/new/", first_name="Tess", last_name="Example", type="inbound",
        status=choice("New", browser.get("/leads/new/")), share_with_ad_platforms="on", **fields,
    )  # fmt: skip
    return answer.url.removeprefix(browser.url)


def add_deal(browser, lead) -> str:
    """Fill in the form of a new deal with the lead. Returns the path of its page."""
    form = f"/deals/new/?lead={lead.split('/')[2]}"
    answer = browser.post(
        form, form_at=form, title="Forty licences", amount="1250", currency="EUR",
        stage=choice("Discovery", browser.get(form)),
    )  # fmt: skip
    return answer.url.removeprefix(browser.url)


def qualify(browser, lead) -> float:
    """Set the lead's status in the web. Returns how many seconds the answer took."""
    saved = browser.post(
        f"{lead}status/", form_at=lead, status=choice("Qualified", browser.get(lead))
    )
    # Without the page to which it redirects.
    return saved.history[0].elapsed.total_seconds()


def win(browser, deal) -> None:
    """Move the deal to Won in the web."""
    browser.post(f"{deal}move/", form_at=deal, stage=choice("Won", browser.get(deal)))


def choice(name, page) -> str:
    """The value of the option of this name on the page."""
    found = re.search(rf'<option value="(\d+)"[^>]*>\s*{name}\s*<', page)
    assert found
    return found[1]


def press_play(browser, rule) -> str:
    """Send a test event of the rule, and wait on the page that this leads to for its result."""
    page = "/integrations/linkedin/"
    form = re.search(
        rf'action="([^"]+/test/)"[^<>]*>(?:(?!</form>).)*"Send a test event: {rule}"',
        browser.get(page),
        re.S,
    )
    assert form
    return browser.post(form[1], form_at=page).url.removeprefix(browser.url)


def end_a_session(installation) -> Callable[[], bool]:
    """Leave an expired session behind. Returns a function that checks if the daily housekeeping has deleted it."""
    with psycopg.connect(installation.database_url) as database:
        database.execute(
            "INSERT INTO django_session VALUES ('ended', '', now() - interval '1 day')"
        )

    def is_gone() -> bool:
        with psycopg.connect(installation.database_url) as database:
            return not database.execute(
                "SELECT 1 FROM django_session WHERE session_key = 'ended'"
            ).fetchone()

    return is_gone


def let_a_day_pass(installation) -> None:
    """Date the last housekeeping back by a day."""
    with psycopg.connect(installation.database_url) as database:
        database.execute(
            "INSERT INTO capi_housekeeping (id, done_at) VALUES (1, now() - interval '1 day')"
        )


def accepted(linkedin) -> list[dict]:
    return [
        element
        for entry in linkedin.ledger.tail(100)
        if entry.status == 201
        for element in entry.elements
    ]


def state_of(installation, event_id) -> str:
    with psycopg.connect(installation.database_url) as connection:
        [state] = connection.execute(
            "SELECT state FROM capi_conversionevent WHERE event_id = %s", [event_id]
        ).fetchone() or [""]
        return str(state)


def wait_for_acceptance(installation, event_id) -> None:
    wait_for(
        lambda: state_of(installation, event_id) == "accepted",
        seconds=5,
        told=f"{event_id} is accepted",
    )


def test_the_main_job_through_the_web_server_and_two_workers(install, linkedin) -> None:
    with install(valkey_url()) as installation:
        session_is_over = end_a_session(installation)
        let_a_day_pass(installation)
        installation.start_all()
        for worker in ("worker1", "worker2"):
            installation.wait_for_worker(worker)
        admin = connect(installation)

        played = press_play(admin, "Qualified")
        wait_for(
            lambda: "HTTP 201" in admin.get(played),
            seconds=5,
            told="the test event's page says that it is sent",
        )
        sales = invite_to_sales(admin, installation)
        lead = add_lead(
            sales,
            email="Test@Example.COM",
            phone="+31 20 555 0199",
            organisation="Quiet Harbour",
        )
        deal = add_deal(sales, lead)
        qualify(sales, lead)
        win(sales, deal)

        wait_for(
            lambda: len(accepted(linkedin)) == 3,
            seconds=10,
            told="LinkedIn has all three",
        )
        tested, qualified, won = sorted(
            accepted(linkedin), key=lambda element: element["conversionHappenedAt"]
        )
        hashed = {"userIds": [{"idType": "SHA256_EMAIL", "idValue": TEST_ADDRESS_HASH}]}
        assert [each["conversion"].rpartition(":")[2] for each in (tested, qualified, won)] == [
            "104012", "104012", "104013",
        ]  # fmt: skip
        assert (qualified["user"], won["user"]) == (hashed, hashed)
        assert tested["user"] != hashed
        assert won.pop("conversionValue") == {
            "currencyCode": "EUR",
            "amount": "1250.00",
        }
        assert {*tested, *qualified, *won} == {
            "conversion",
            "conversionHappenedAt",
            "eventId",
            "user",
        }
        for element in (tested, qualified, won):
            wait_for_acceptance(installation, element["eventId"])
        assert "Sent to LinkedIn" in sales.get(lead)
        assert admin.get("/integrations/linkedin/events/").count(">Sent</span>") >= 3
        wire = linkedin.ledger.path.read_text().lower()
        assert not [
            word
            for word in ("tess", "555 0199", "quiet", "test@example.com", "forty")
            if word in wire
        ]
        wait_for(
            session_is_over,
            seconds=5,
            told="a worker has deleted the session that has ended",
        )
        assert installation.stop() == {"web": 0, "worker1": 0, "worker2": 0}
        assert len(linkedin.ledger.tail(100)) == 3  # requests, so nothing else was sent


@pytest.mark.thorough
def test_with_redis_dead_a_save_answers_at_once_and_the_sweep_delivers(
    install, linkedin
) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    with install(nobody, LEADMACHINE_SWEEP_SECONDS="0.5") as installation:
        installation.start_all()
        browser = connect(installation)
        lead = add_lead(browser, email="test@example.com")

        seconds = qualify(browser, lead)

        assert seconds < 1
        [element] = wait_for(
            lambda: accepted(linkedin),
            seconds=30,
            told="a worker's sweep found the event",
        )
        assert element["user"]["userIds"][0]["idValue"] == TEST_ADDRESS_HASH


def test_the_compose_file_has_each_process_with_a_health_check_and_waits_for_the_migrations() -> (
    None
):
    services = COMPOSE["services"]

    assert set(services) == {"postgres", "redis", "migrate", "web", "worker", "proxy"}
    assert [
        name for name, service in services.items() if "healthcheck" not in service
    ] == ["migrate", "proxy"]
    for name in ("web", "worker"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }


def test_the_image_starts_the_web_server_as_the_compose_file_does() -> None:
    [last] = re.findall(
        r"^CMD (.*)$", (settings.BASE_DIR / "Dockerfile").read_text(), re.MULTILINE
    )

    assert json.loads(last) == command("web")


def test_without_the_settings_of_production_the_web_server_says_what_is_missing_and_ends() -> (
    None
):
    bare = {
        "PATH": PATH,
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "SECRET_KEY": "short",
        "PORT": str(free_port()),
    }

    done = subprocess.run(
        command("web"),
        env=bare,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode == 1
    assert "SECRET_KEY is missing, too short or not random." in done.stderr
    assert "ALLOWED_HOSTS does not name the hosts" in done.stderr
    assert "Traceback" not in done.stderr


def test_on_a_port_that_is_taken_the_web_server_says_so_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {
            "PATH": PATH,
            "DATABASE_URL": os.environ["DATABASE_URL"],
            "DEBUG": "on",
            "PORT": str(port),
        }

        done = subprocess.run(
            command("web"),
            env=environment,
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=30,
        )

    assert done.returncode == 1
    # After the line with the version.
    assert done.stderr.partition("the web server starts.\n")[2] == (
        f"LeadMachine can't listen on 127.0.0.1:{port} (Address already in use). "
        "Stop the program that uses this port, or choose another: PORT=8123 make run\n"
    )


@pytest.mark.thorough
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_web_server_with_its_worker_and_sandbox_at_once(
    tmp_path, linkedin, ending
) -> None:
    embedded = {
        "LEADMACHINE_EMBEDDED_WORKER": "on",
        "LINKEDIN_SANDBOX": "on",
        "LINKEDIN_SANDBOX_PORT": "0",
    }
    with Installation(
        tmp_path, linkedin_url=linkedin.url, redis_url="", **embedded
    ) as installation:
        installation.start("web", command("web"))
        installation.wait_for_web()

        codes = installation.stop(ending)

        # What does not end within STOP_SECONDS is killed, and its code shows that.
        assert codes == {"web": 0}


@pytest.mark.thorough
def test_the_embedded_worker_does_the_daily_housekeeping_too(
    tmp_path, linkedin
) -> None:
    embedded = {"LEADMACHINE_EMBEDDED_WORKER": "on"}
    with Installation(
        tmp_path, linkedin_url=linkedin.url, redis_url="", **embedded
    ) as installation:
        session_is_over = end_a_session(installation)
        let_a_day_pass(installation)

        installation.start("web", command("web"))

        wait_for(session_is_over, seconds=30, told="the session that has ended is gone")
