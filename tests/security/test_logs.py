"""S35, S36: no one can write a line into the log that looks like another event, and errors reveal no one's data."""

import io
import logging
import re
import secrets
import time
from typing import Any

import pytest
from django.conf import settings as product
from django.db import IntegrityError, transaction
from django.test import Client

from crm.models import IntakeSource, Invitation, Lead
from crm.services.calendar_feeds import renew_feed
from crm.services.intake_sources import add_source
from leadmachine import log_format
from leadmachine.log_format import SafeFormatter, _nodes, keep_readable
from tests.conftest import make_lead

FORGED = "2026-11-26 10:00:00.000+00:00 INFO crm: Signed in as admin"


@pytest.fixture
def log() -> Any:
    """What the product's own handler writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        SafeFormatter(fmt=product.LOGGING["formatters"]["line"]["format"], style="{")
    )
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def test_the_product_logs_with_it() -> None:
    assert (
        product.LOGGING["formatters"]["line"]["()"]
        == "leadmachine.log_format.SafeFormatter"
    )


@pytest.mark.parametrize(
    ("zone", "offset"), [("UTC", "+00:00"), ("Asia/Kolkata", "+05:30")]
)
def test_a_line_has_its_time_with_the_offset(
    log: Any, monkeypatch: pytest.MonkeyPatch, zone: str, offset: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()

    logging.getLogger("crm").warning("Nothing")

    monkeypatch.undo()
    time.tzset()
    assert re.match(
        rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}}{re.escape(offset)} WARNING crm: ",
        log.getvalue(),
    )


@pytest.mark.parametrize(
    "break_",
    [
        "\n",
        "\r",
        "\r\n",
        "\x0b",
        "\x0c",
        "\x1b[2K\x1b[1A",
        "\x85",
        "\u2028",
        "\u2029",
        "\x00",
        "\x08" * 40,
    ],
)
def test_a_message_stays_on_its_line(log: Any, break_: str) -> None:
    logging.getLogger("crm").warning("No such page: %s", f"/leads/{break_}{FORGED}")

    written = log.getvalue().removesuffix("\n")
    assert len(written.splitlines()) == 1
    assert written.isprintable()


@pytest.mark.django_db
def test_an_address_with_a_line_break_writes_one_line(log: Any) -> None:
    Client().get(f"/login/%0a{FORGED}")
    Client(raise_request_exception=False).get("/login/", HTTP_HOST="evil\n" + FORGED)

    assert [
        line
        for line in log.getvalue().splitlines()
        if line.startswith("2026-11-26 10:00")
    ] == []


def test_an_errors_words_cannot_look_like_another_event(log: Any) -> None:
    try:
        raise ValueError(f"bad value\n{FORGED}")
    except ValueError:
        logging.getLogger("crm").exception("It failed")

    first, *rest = log.getvalue().splitlines()
    assert first.endswith("ERROR crm: It failed")
    assert rest
    assert all(line.startswith("    ") for line in rest)


@pytest.mark.parametrize(
    "personal",
    ["ada@example.com", "ada%40example.com", "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b",
     "Bearer AQXdSP-short", "lm_Zk0Yx3vJ8q1mB7cT5nR2wU9sE4hL6dG0aKpFyVxNiQo"],
)  # fmt: skip
def test_addresses_hashes_and_keys_are_masked_wherever_they_come_from(
    log: Any, personal: str
) -> None:
    try:
        raise RuntimeError(f"it was {personal}!")
    except RuntimeError:
        logging.getLogger("urllib3.connectionpool").exception("With %s", personal)

    assert personal not in log.getvalue()
    assert log.getvalue().count("•••") == 2


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setattr(log_format, "_nodes", set())
    return _nodes


@pytest.mark.parametrize(
    "node",
    [
        "celery@web-1",
        "celery@web-1.example.com",
        "two@leadmachine-production-workers-7c9d8b6f5d-x2x7q-long",
    ],
)
def test_the_name_of_this_worker_can_be_read(
    log: Any, nodes: set[str], node: str
) -> None:
    keep_readable(node)

    logging.getLogger("celery.apps.worker").warning("%s ready.", node)

    assert log.getvalue().endswith(f": {node} ready.\n")


@pytest.mark.parametrize(
    "personal",
    [
        "celery@example.com",
        "celery@web-10",
        "my.celery@web-1",
        "celery@web-1.example.com",
    ],
)
def test_an_address_that_looks_like_a_worker_stays_masked(
    log: Any, nodes: set[str], personal: str
) -> None:
    keep_readable("celery@web-1")

    logging.getLogger("celery.app.trace").error("Task failed: %s", personal)

    assert personal not in log.getvalue()
    assert log.getvalue().endswith("Task failed: •••\n")


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("postgres://leadmachine@db-1:5432/crm", "postgres://•••@db-1:5432/crm"),
        ("postgresql://leadmachine:password@db-1/crm", "postgresql://•••@db-1/crm"),
        ("redis://:**@redis-1:6379/0", "redis://•••@redis-1:6379/0"),
        ("rediss://:password@redis-1:6379/0", "rediss://•••@redis-1:6379/0"),
        (
            "smtp+tls://ada%40example.com:password@mail-1:587",
            "smtp+tls://•••@mail-1:587",
        ),
        (
            "leadmachine.celery_transport:Transport://:**@redis-1:6379/0",
            "leadmachine.celery_transport:Transport://•••@redis-1:6379/0",
        ),
        ("redis://ada@example.com", "redis://•••@example.com"),
        ("https://ada@example.com/", "https://•••/"),
    ],
)
def test_of_a_services_address_the_host_can_be_read_and_who_signs_in_cannot(
    log: Any, url: str, written: str
) -> None:
    logging.getLogger("celery.worker.consumer.consumer").error(
        "consumer: Cannot connect to %s: away", url
    )

    assert log.getvalue().endswith(f"Cannot connect to {written}: away\n")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["calendar", "in", "invitations"])
def test_the_secret_part_of_an_address_is_masked_whatever_is_drawn(
    kind: str, company: Any, sales: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In Base64, there would be no digit among these bits.
    monkeypatch.setattr(secrets, "token_bytes", bytes)
    source = IntakeSource(company=company, name="Contact form")
    tokens = {
        "calendar": lambda: renew_feed(membership=sales),
        "in": lambda: add_source(source=source),
        "invitations": lambda: Invitation().new_token(),
    }

    line = log_format.sanitise(f"Gone: /{kind}/{tokens[kind]()}/")

    assert line == f"Gone: /{kind}/•••/"


def test_the_row_that_the_database_refuses_is_not_told(log: Any, company: Any) -> None:
    lead = make_lead(
        company,
        last_name="Kestrel",
        phone="+31 77 1102",
        notes="line\n\nKestrel notes",
        email="",
    )
    try:
        with transaction.atomic():
            Lead.objects.filter(pk=lead.pk).update(erased_at="2026-01-01T00:00:00Z")
    except IntegrityError:
        logging.getLogger("django.request").exception(
            "Internal Server Error: %s", "/leads/1/"
        )

    assert "nothing_of_an_erased_lead" in log.getvalue()
    assert "Kestrel" not in log.getvalue()
    assert "77 1102" not in log.getvalue()
