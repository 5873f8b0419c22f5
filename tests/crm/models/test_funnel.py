"""How far a lead has come: qualified now or once, with a deal, with a won deal."""

import pytest

from crm.models import CrmEvent, FunnelStep, Lead, LeadStatus, Stage
from crm.models.funnel import has_reached
from crm.models.tracking.origin import acting_as
from crm.services.lead_merges import merge_leads
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def statuses(company):
    return {status.name: status for status in LeadStatus.objects.for_company(company)}


def reached(lead):
    return {
        step
        for step in FunnelStep
        if Lead.objects.filter(has_reached(step), pk=lead.pk).exists()
    }


def test_a_new_lead_has_reached_nothing(company):
    assert reached(make_lead(company)) == set()


def test_a_lead_that_was_qualified_once_still_counts(company, statuses):
    lead = make_lead(company, status=statuses["Qualified"])
    lead.status = statuses["Unqualified"]
    lead.save()

    assert reached(lead) == {FunnelStep.QUALIFIED}


def test_one_that_was_set_back_within_the_time_to_undo_does_not(
    company, sales, statuses
):
    company.grace_seconds = 60
    company.save()
    lead = make_lead(company)
    with acting_as(sales.user, action="0c5b6e7e-7c52-4a53-9f0e-3a5d0a1f9b1e"):
        for name in ("Qualified", "Contacted"):
            lead.status = statuses[name]
            lead.save()

    assert CrmEvent.objects.filter(kind="lead_qualified").count() == 1
    assert reached(lead) == set()


def test_a_deal_counts_as_qualified_and_a_won_one_as_a_deal(company):
    lead, other = make_lead(company), make_lead(company)
    make_deal(lead)
    for meaning in ("lost", "won"):
        make_deal(other, stage=Stage.objects.for_company(company).get(meaning=meaning))

    assert reached(lead) == {FunnelStep.QUALIFIED, FunnelStep.DEAL}
    assert reached(other) == set(FunnelStep)


def test_a_merged_lead_takes_along_what_it_has_reached(company, statuses):
    kept, gone = make_lead(company), make_lead(company, status=statuses["Qualified"])

    merge_leads(kept=kept, gone=gone)

    assert reached(kept) == {FunnelStep.QUALIFIED}
