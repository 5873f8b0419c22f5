"""Another company's id in any address is a 404, and changes nothing."""

from datetime import timedelta

import pytest
from django.urls import get_resolver, reverse
from django.utils import timezone

from capi import services
from capi.models import Backfill, ConversionEvent, ConversionRule
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db

RULE_PAGES = [
    "rule",
    "rule_edit",
    "rule_active",
    "rule_resume",
    "rule_delete",
    "rule_test",
]
EVENT_PAGES = ["event", "test_result"]
BACKFILL_PAGES = ["backfill", "backfill_pause", "backfill_resume", "backfill_cancel"]


@pytest.fixture
def foreign_rule(other_company) -> ConversionRule:
    services.save_token(company=other_company, token=TOKEN)
    return ConversionRule.objects.create(
        company=other_company,
        crm_event="lead_created",
        linkedin_id="104012",
        name="Theirs",
    )


@pytest.mark.parametrize("name", RULE_PAGES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_another_companys_rule_is_not_found(
    client_as, admin, foreign_rule, name, method
) -> None:
    before = ConversionRule.objects.filter(pk=foreign_rule.pk).values().get()

    answer = getattr(client_as(admin), method)(
        reverse(name, args=[foreign_rule.pk]), {"active": "0"}, follow=True
    )

    assert answer.status_code in (404, 405)
    assert ConversionRule.objects.filter(pk=foreign_rule.pk).values().get() == before
    assert not ConversionEvent.objects.exists()


@pytest.mark.parametrize("name", EVENT_PAGES)
def test_another_companys_event_is_not_found(
    client_as, admin, foreign_rule, name
) -> None:
    make_lead(foreign_rule.company)
    theirs = ConversionEvent.objects.get()
    ConversionEvent.objects.update(is_test=True)

    answer = client_as(admin).get(reverse(name, args=[theirs.pk]))

    assert answer.status_code == 404


@pytest.mark.parametrize("name", BACKFILL_PAGES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_another_companys_backfill_is_not_found(
    client_as, admin, foreign_rule, name, method
) -> None:
    now = timezone.now()
    theirs = Backfill.objects.create(
        company=foreign_rule.company,
        rule=foreign_rule,
        since=now - timedelta(days=7),
        until=now,
    )
    before = Backfill.objects.values().get()

    answer = getattr(client_as(admin), method)(
        reverse(name, args=[theirs.pk]), follow=True
    )

    assert answer.status_code in (404, 405)
    assert Backfill.objects.values().get() == before


def test_every_address_with_an_id_is_asked_here() -> None:
    routes = {
        key: value
        for key, value in get_resolver().reverse_dict.items()
        if isinstance(key, str)
    }

    with_id = {
        name
        for name, value in routes.items()
        if value[0][0][1] == ["pk"] and "integrations" in value[0][0][0]
    }

    assert with_id == {*RULE_PAGES, *EVENT_PAGES, *BACKFILL_PAGES}


def test_lists_and_numbers_hold_nothing_of_another_company(
    client_as, admin, foreign_rule
) -> None:
    make_lead(foreign_rule.company, first_name="Hedy", last_name="Lamarr")
    web = client_as(admin)

    pages = [web.get(reverse(name)) for name in ("dashboard", "linkedin", "events")]

    for page in pages:
        assert "Hedy" not in page.content.decode()
        assert "Theirs" not in page.content.decode()
    assert pages[0].context["open"].on_hold == 0
    assert pages[0].context["leads"].open == 0


def test_another_companys_rule_narrows_nothing_in_the_log(
    client_as, admin, company, foreign_rule, make_rule
) -> None:
    make_rule()
    make_lead(company)

    page = client_as(admin).get(reverse("events"), {"rule": foreign_rule.pk})

    assert len(page.context["page"].rows) == 1
