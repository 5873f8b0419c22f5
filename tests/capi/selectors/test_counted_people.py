"""What pages say beforehand about a rule that counts once per person."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from capi.delivery import backfill
from capi.models import Backfill, Connection, ConversionEvent
from capi.models.choices import Reason
from capi.selectors import expected_conversions
from capi.selectors.dry_run import dry_run
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.rule_health import firing_of
from capi.selectors.timeline import outlook
from capi.services import backfills
from crm.models import CrmEventKind, Lead
from crm.models.tracking.origin import acting_as
from tests.capi.conftest import hashes, received, send_all, wait_is_over
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db
with_commits = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rule(connected, make_rule):
    return make_rule("lead_created", frequency="per_person")


@pytest.fixture
def history(company, connected, make_rule, sandbox):
    """A rule that was off for a while, has since counted Ada, and has Bob in its queue."""
    rule = make_rule("lead_created", frequency="per_person", is_active=False)
    for email in (
        "ada@example.com",
        "bob@example.com",
        "cyd@example.com",
        "CYD@example.com",
        "dan@example.com",
        "",
    ):
        make_lead(company, email=email)
    rule.is_active = True
    rule.save()
    make_lead(company)
    send_all(company)
    make_lead(company, email="bob@example.com")
    return rule


@with_commits
def test_a_backfill_counts_people_and_says_so_before(company, history, sandbox) -> None:
    promised = {"goes": 2, "already_counted": 3, "no_email": 1, "sent": 1, "known": 1}
    period = {
        "since": timezone.now() - timedelta(days=1),
        "until": timezone.now() + timedelta(seconds=5),
    }
    assert dict(backfill.preview(history, **period)) == promised

    backfills.start(rule=history, **period)
    send_all(company)
    wait_is_over()
    send_all(company)

    assert Backfill.objects.get().done == {
        "goes": 2,
        "already_counted": 3,
        "no_email": 1,
        "sent": 2,
    }
    assert len(received(sandbox)) == len(set(hashes(sandbox))) == 4


def test_the_question_before_a_bulk_change_counts_people(company, history) -> None:
    leads = Lead.objects.for_company(company)

    [expected] = expected_conversions.of_leads(
        company, leads, CrmEventKind.LEAD_CREATED
    )

    assert (expected.now, expected.later) == (2, 1)


def test_a_dry_run_names_the_event_that_has_counted_the_person(
    company, history
) -> None:
    lead = Lead.objects.get(
        first_name="Ada", email="ada@example.com", conversion_events=None
    )

    found = dry_run(history, lead, None, Connection.objects.get())

    assert found.words == REASONS[Reason.ALREADY_COUNTED]
    assert found.taken_by == ConversionEvent.objects.get(state="accepted")


def test_a_form_says_how_many_people_it_would_have_counted(company, history) -> None:
    firing = firing_of(company, crm_event="lead_created", frequency="per_person")

    assert (firing.times, firing.events, firing.about) == (5, 8, "person")


def test_nothing_is_announced_about_a_person_who_is_counted(company, history) -> None:
    told, silent = uuid.uuid4(), uuid.uuid4()
    with acting_as(None, action=told):
        make_lead(company, email="eve@example.com")
        make_lead(company, email="Eve@example.com")
    with acting_as(None, action=silent):
        make_lead(company, email="Ada@example.com")

    assert outlook(company.pk, told).text == "Sends to LinkedIn now."
    assert outlook(company.pk, silent) is None
