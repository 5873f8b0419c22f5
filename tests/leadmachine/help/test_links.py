"""Wherever something is wrong, the page links to its place in the help, and that place exists."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.linkedin import versions
from capi.models import Connection, ConversionEvent
from capi.services import backfills
from leadmachine.help.troubleshooting import page
from tests.capi.counted import count_now, record
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def web(client_as, admin):
    return client_as(admin)


def topics(answer) -> set[str]:
    """The places in the help that the page links to. Fails if one doesn't exist."""
    found = set(
        re.findall(r'href="/help/troubleshooting/#([\w-]+)"', answer.content.decode())
    )
    assert found <= {section.anchor for section in page().sections}
    return found


def test_a_pause(web, token) -> None:
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    assert "reason-token_refused" in topics(web.get(reverse("linkedin")))


def test_days_that_come_near(web, company, token, monkeypatch) -> None:
    monkeypatch.setitem(
        versions.SUNSETS, "202609", timezone.localdate() + timedelta(days=5)
    )
    Connection.objects.update(token_expires_on=timezone.localdate() + timedelta(days=2))

    assert {"reason-token_refused", "reason-version_retired"} <= topics(
        web.get(reverse("linkedin"))
    )


def test_the_import_that_can_not_be_read(web, company, sandbox) -> None:
    without_token = web.get(reverse("rule_import"))
    services.save_token(
        company=company,
        token="AQX-sendonly-token-0123456789",
        ad_account_id="512345678",
    )
    not_allowed = web.post(reverse("rule_import"), {"read": "1"})

    assert topics(without_token) == {"reason-no_token"}
    assert topics(not_allowed) == {"reading-cannot_tell"}


def test_the_dry_run(web, company, make_rule) -> None:
    rule, lead = make_rule("deal_won"), make_lead(company)

    assert topics(web.get(reverse("dry_run"), {"lead": lead.pk, "rule": rule.pk})) == {
        "dry-run-no-deal"
    }


def test_a_backfill(web, company, token, make_rule) -> None:
    make_lead(company)
    rule, now = make_rule(), timezone.now()
    backfill = backfills.start(rule=rule, since=now - timedelta(days=1), until=now)
    backfills.pause(backfill=backfill)

    assert topics(web.get(backfill.get_absolute_url())) == {"backfill-paused"}


def test_the_reasons_of_the_overview(web, make_rule) -> None:
    record(make_rule(), "skipped", reason="opted_out")
    count_now()

    assert topics(web.get(reverse("overview"))) == {"reason-opted_out"}


def test_the_lines_of_the_reconcile(web, company, token, make_rule) -> None:
    make_rule()
    make_lead(company)
    ConversionEvent.objects.update(
        state="skipped", reason="opted_out", next_attempt_at=None
    )

    answer = web.get(reverse("reconcile"), {"week": timezone.localdate().isoformat()})

    assert topics(answer) == {"reason-opted_out"}


def test_the_hash_box(web) -> None:
    assert topics(web.post(reverse("check_hash"), {"address": " "})) == {"hash-empty"}


def test_the_alerts_of_a_rule_that_fails_or_falls_silent(
    web, company, make_rule
) -> None:
    rule = make_rule()
    for kind in ("failing", "silent"):
        company.alerts.create(
            kind=kind,
            rule=rule,
            facts={"failed": 4, "ended": 9, "days": 3, "per_week": 7},
        )

    assert topics(web.get(reverse("alerts"))) == {"alert-failing", "alert-silent"}
