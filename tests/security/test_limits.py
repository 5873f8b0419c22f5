"""S42, S06: test events and exports are limited per company, and the page says so."""

import gc
import time
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse

from capi.models import ConversionEvent
from crm.models import AuditEntry
from crm.models.roles import Role
from crm.selectors import streaming
from crm.services import rate_limits
from tests.conftest import join
from tests.pages import disconnect

pytestmark = pytest.mark.django_db

EXPORT = "/company/audit/export/"
SENTENCE = "Your company may do this 2 times a minute. Wait a minute, then try again."
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _two_a_minute(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TEST_EVENTS_PER_MINUTE = settings.EXPORTS_PER_MINUTE = 2
    monkeypatch.setattr(rate_limits.time, "time", lambda: 1_800_000_030.0)


def exported(client: Any) -> Any:
    """The response, read to its end."""
    answer = client.post(EXPORT)
    b"".join(answer) if answer.streaming else answer.content
    return answer


@pytest.mark.covers("S42")
def test_the_third_test_event_of_a_minute_is_not_sent_and_the_page_says_why(
    client_as: Any, admin: Any, ops: Any, connected: Any, make_rule: Any
) -> None:
    rules = [make_rule(), make_rule("deal_created", linkedin_id="422422")]
    # Counted together, and whichever rule it is.
    clients = [client_as(admin), client_as(ops)]
    for client, rule in zip(clients, rules, strict=True):
        client.post(reverse("rule_test", args=[rule.pk]), headers=HTMX)

    part = clients[0].post(reverse("rule_test", args=[rules[0].pk]), headers=HTMX)
    page = clients[0].post(reverse("rule_test", args=[rules[0].pk]), follow=True)

    assert (part.status_code, page.status_code) == (200, 200)
    assert "Nothing was sent." in part.content.decode()
    assert SENTENCE in part.content.decode()
    assert SENTENCE in page.content.decode()
    assert ConversionEvent.objects.count() == 2


@pytest.mark.covers("S42")
@pytest.mark.parametrize(
    ("url", "outcome"), [("events_retry", "retried"), ("events_cancel", "cancelled")]
)
def test_events_are_retried_and_cancelled_only_so_often(
    client_as: Any, ops: Any, monkeypatch: pytest.MonkeyPatch, url: str, outcome: str
) -> None:
    monkeypatch.setattr("capi.views.events.CHANGES_PER_MINUTE", 2)
    client = client_as(ops)
    for _ in range(2):
        client.post(reverse(url))

    page = client.post(reverse(url), follow=True)

    assert f"Nothing was {outcome}. {SENTENCE}" in page.content.decode()


@pytest.mark.covers("S42")
def test_the_third_export_of_a_minute_is_not_made_and_the_page_says_why(
    client_as: Any, admin: Any
) -> None:
    client = client_as(admin)

    answers = [exported(client) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 302]
    assert SENTENCE in client.get(answers[2].url).content.decode()
    assert AuditEntry.objects.filter(action="export").count() == 2


@pytest.mark.covers("S42")
def test_the_next_minute_is_a_new_one(
    client_as: Any, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_as(admin)
    [exported(client) for _ in range(3)]

    monkeypatch.setattr(rate_limits.time, "time", lambda: 1_800_000_060.0)

    assert client.post(EXPORT).status_code == 200


@pytest.mark.covers("S06")
def test_another_company_is_counted_for_itself(
    client_as: Any, admin: Any, other_company: Any
) -> None:
    ours, theirs = (
        client_as(admin),
        client_as(join(other_company, Role.ADMIN, email="theirs@example.com")),
    )
    [exported(ours) for _ in range(3)]

    assert [client.post(EXPORT).status_code for client in (ours, theirs)] == [302, 200]


@pytest.mark.covers("S42")
def test_a_company_makes_two_exports_at_a_time_and_a_third_when_one_has_ended(
    client_as: Any, admin: Any, other_company: Any, settings: Any
) -> None:
    settings.EXPORTS_PER_MINUTE = 10
    client, theirs = (
        client_as(admin),
        client_as(join(other_company, Role.ADMIN, email="theirs@example.com")),
    )
    first, second = client.post(EXPORT), client.post(EXPORT)

    third = client.post(EXPORT)
    b"".join(first)
    disconnect(second)  # before it has read the first line
    later = [client.post(EXPORT).status_code for _ in range(3)]

    assert third.status_code == 302
    assert (
        "Your company is doing this 2 times at the moment."
        in client.get(third.url).content.decode()
    )
    assert later == [200, 200, 302]
    assert theirs.post(EXPORT).status_code == 200
    assert (
        AuditEntry.objects.filter(action="export", company=admin.company).count() == 4
    )


def test_an_export_whose_client_disconnects_ends_its_query(
    client_as: Any, admin: Any
) -> None:
    answer = client_as(admin).post(EXPORT)
    assert open_cursors() == 1

    disconnect(answer)

    assert open_cursors() == 0


def open_cursors() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors WHERE name LIKE '_django%'")
        return int(cursor.fetchone()[0])


def test_an_export_whose_reader_takes_too_long_ends_in_the_middle(
    client_as: Any, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "EXPORT_SECONDS", 0.5)
    client = client_as(admin)
    b"".join(client.post(EXPORT))  # which is an entry of the next one

    answer = client.post(EXPORT)
    time.sleep(0.6)

    with pytest.raises(streaming.ReaderTooSlow):
        b"".join(answer)
    answer.close()
    # Its cursor on the server, which would otherwise be closed in another test's
    # transaction.
    gc.collect()
