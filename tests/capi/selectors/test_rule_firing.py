"""Before a rule is saved, its form says how often it would have fired."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from capi.models import ConversionRule
from capi.selectors import rule_health
from capi.selectors.rule_health import firing_of
from crm.models import CrmEvent
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

NEW = reverse("rule_new")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def web(client_as, admin):
    return client_as(admin)


def happened(
    company, kind: str, *, days_ago: float = 1, lead=None, deal=None
) -> CrmEvent:
    return CrmEvent.objects.create(
        company=company,
        kind=kind,
        lead=lead,
        deal=deal,
        occurred_at=Now() - timedelta(days=days_ago),
    )


@pytest.fixture
def history(company, other_company) -> None:
    """Qualified: Ada twice, Bea once, and one long ago; won: one deal twice. Another company has some too."""
    ada, bea, eve = (
        make_lead(company),
        make_lead(company, first_name="Bea"),
        make_lead(other_company),
    )
    deal = make_deal(ada)
    for lead in (ada, ada, bea):
        happened(company, "lead_qualified", lead=lead)
    happened(company, "lead_qualified", lead=make_lead(company), days_ago=30.1)
    for _ in range(2):
        happened(company, "deal_won", lead=ada, deal=deal, days_ago=29.9)
    happened(other_company, "lead_qualified", lead=eve)


@pytest.mark.parametrize(
    ("crm_event", "frequency", "times", "events"),
    [
        ("lead_qualified", "once", 2, 3),
        ("lead_qualified", "every_time", 3, 3),
        ("deal_won", "once", 1, 2),
        ("deal_won", "every_time", 2, 2),
        ("deal_lost", "once", 0, 0),
    ],
)
def test_the_last_30_days_are_counted_as_the_rule_would(
    company, history, crm_event, frequency, times, events, django_assert_num_queries
) -> None:
    with django_assert_num_queries(1):
        counted = firing_of(company, crm_event=crm_event, frequency=frequency)

    assert counted is not None
    assert (counted.times, counted.events, counted.is_more) == (times, events, False)


@pytest.mark.parametrize("unknown", ["", "lead_lost", "<script>"])
def test_no_event_chosen_counts_nothing(
    company, unknown, django_assert_num_queries
) -> None:
    with django_assert_num_queries(0):
        assert firing_of(company, crm_event=unknown, frequency="once") is None


def test_beyond_a_bound_it_says_at_least(web, company, history, monkeypatch) -> None:
    monkeypatch.setattr(rule_health, "COUNTED_AT_MOST", 2)

    part = web.get(
        NEW, {"crm_event": "lead_qualified", "frequency": "every_time"}, headers=HTMX
    ).content.decode()

    assert "at least 2 times" in part


def test_a_change_in_the_form_brings_the_sentence_alone(web, company, history) -> None:
    part = web.get(
        NEW, {"crm_event": "lead_qualified", "frequency": "once"}, headers=HTMX
    ).content.decode()

    assert part.startswith(
        "<p>This rule would have fired <strong>2 times</strong> in the last 30 days."
    )
    assert "“Lead qualified” happened 3 times, and each lead counts once." in part


def test_a_preview_without_javascript_saves_nothing_and_keeps_what_was_typed(
    web, history
) -> None:
    typed = {
        "crm_event": "lead_qualified",
        "frequency": "every_time",
        "name": "Half",
        "is_active": "on",
    }

    page = web.post(NEW, {**typed, "preview": "1"})

    form = page.context["form"]
    assert "<strong>3 times</strong>" in page.content.decode()
    assert not form.errors
    assert (
        form["name"].value(),
        form["frequency"].value(),
        form["crm_event"].value(),
    ) == (
        "Half",
        "every_time",
        "lead_qualified",
    )
    assert (form["is_active"].value(), form["send_value"].value()) == (True, False)
    assert not ConversionRule.objects.exists()


def test_an_edited_rule_shows_its_own_event_at_once_and_in_a_preview(
    web, company, history, make_rule
) -> None:
    rule = make_rule("lead_qualified")
    address = reverse("rule_edit", args=[rule.pk])

    pages = [
        web.get(address),
        web.post(address, {"frequency": "once", "preview": "1"}),
        web.get(address, {"crm_event": "deal_lost", "frequency": "once"}, headers=HTMX),
    ]

    assert all("<strong>2 times</strong>" in page.content.decode() for page in pages)
    assert pages[1].context["form"]["crm_event"].value() == "lead_qualified"


@pytest.mark.parametrize(
    ("crm_event", "linkedin_type", "is_warned"),
    [
        ("deal_won", "", True),
        ("deal_won", "PURCHASE", True),
        ("deal_won", "LEAD", False),
        ("lead_created", "PURCHASE", True),
        ("lead_created", "", False),
    ],
)
def test_a_rule_of_the_type_purchase_warns_that_every_event_counts(
    web, make_rule, crm_event, linkedin_type, is_warned
) -> None:
    rule = make_rule(crm_event, linkedin_type=linkedin_type, frequency="every_time")

    page = web.get(reverse("rule_edit", args=[rule.pk])).content.decode()

    assert (
        "An event sent twice counts twice. “Once per lead or deal” is the safe choice."
        in page
    ) is is_warned


def test_a_refused_form_still_says_how_often(web, history) -> None:
    page = web.post(
        NEW, {"crm_event": "deal_won", "frequency": "once", "linkedin_id": "abc"}
    )

    assert page.context["form"].errors
    assert "<strong>1 time</strong>" in page.content.decode()
