"""Renaming an organisation: all its leads get the name, it is on record, and LinkedIn is told nothing."""

import pytest

from capi.models import ConversionEvent
from crm.models import AuditEntry, Change, CrmEvent, Lead, LeadMerge
from crm.models.tracking.origin import acting_as
from crm.services import organisations
from crm.services.editing import ChangedMeanwhile, version_of
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from crm.services.merge_undo import undo_merge
from crm.services.organisations import RenameRefused, rename_organisation
from postgresql import bounds
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def leads(company):
    return [
        make_lead(company, organisation=name) for name in ("Acme", "ACME", "Acme Ltd")
    ]


def names():
    return list(Lead.objects.order_by("pk").values_list("organisation", flat=True))


def rename(
    company, organisation="acme", name="Acme Group", lead_count=2, joined_count=0
):
    return rename_organisation(
        company=company,
        organisation=organisation,
        name=name,
        lead_count=lead_count,
        joined_count=joined_count,
    )


def test_all_its_leads_get_the_name_and_no_others(company, other_company, leads):
    make_lead(other_company, organisation="Acme")

    assert rename(company) == 2

    assert names() == ["Acme Group", "Acme Group", "Acme Ltd", "Acme"]


def test_it_is_on_record_with_their_number_and_without_a_name(company, sales, leads):
    with acting_as(sales.user):
        rename(company)

    entry = AuditEntry.objects.get(action="organisation_renamed")
    assert (entry.actor_id, entry.details, entry.object_label) == (
        sales.user_id,
        {"leads": 2},
        "",
    )
    assert "acme" not in str(vars(entry)).lower()


def test_no_crm_event_no_change_and_no_conversion_comes_of_it(
    company, token, make_rule, leads
):
    make_rule()
    before = [model.objects.count() for model in (CrmEvent, Change, ConversionEvent)]

    rename(company)

    assert [
        model.objects.count() for model in (CrmEvent, Change, ConversionEvent)
    ] == before


def test_a_form_that_was_open_meanwhile_is_told(company, leads):
    before = version_of(leads[0])

    rename(company)

    leads[0].refresh_from_db()
    assert version_of(leads[0]) != before


def test_merged_and_erased_leads_do_not_count(company, admin, leads):
    erased = make_lead(company, organisation="Acme")
    erase_lead(lead=erased, user=admin.user)
    merge_leads(kept=leads[0], gone=leads[1])

    assert rename(company, lead_count=1) == 1

    assert AuditEntry.objects.get(action="organisation_renamed").details == {"leads": 1}


def test_the_undo_of_a_merge_does_not_bring_the_old_organisation_back(company, leads):
    other = make_lead(company, organisation="Elsewhere")
    merge = merge_leads(kept=leads[0], gone=leads[1])
    merge_leads(kept=leads[0], gone=other)
    merge_leads(kept=leads[2], gone=make_lead(company, organisation="Acme"))

    rename(company, lead_count=1)
    assert names() == ["Acme Group", "Acme Group", "Acme Ltd", "Elsewhere", "Acme"]

    LeadMerge.objects.get(gone=other).delete()  # the newest is undone first
    undo_merge(merge=merge)
    assert not Lead.objects.for_company(company).of_organisation("Acme").exists()


def test_a_spelling_that_some_have_already_changes_the_others(company, leads):
    assert rename(company, name="ACME") == 1

    assert names() == ["ACME", "ACME", "Acme Ltd"]
    assert AuditEntry.objects.get(action="organisation_renamed").details == {"leads": 1}


def test_nothing_to_change_is_not_on_record(company, leads):
    assert rename(company, "Acme Ltd", "Acme Ltd", lead_count=1) == 0

    assert not AuditEntry.objects.filter(action="organisation_renamed").exists()


def test_two_organisations_become_one(company, leads):
    rename(company, name="acme ltd", joined_count=1)

    assert Lead.objects.for_company(company).of_organisation("Acme Ltd").count() == 3


@pytest.mark.parametrize("lead_count", [1, 3, -1])
def test_another_number_of_leads_than_was_asked_about_changes_none(
    company, leads, lead_count
):
    with pytest.raises(ChangedMeanwhile):
        rename(company, lead_count=lead_count)

    assert names() == ["Acme", "ACME", "Acme Ltd"]


@pytest.mark.parametrize("joined_count", [0, 2, -1])
def test_another_organisation_than_was_asked_about_is_not_joined(
    company, leads, joined_count
):
    with pytest.raises(ChangedMeanwhile):
        rename(company, name="ACME LTD", joined_count=joined_count)

    assert names() == ["Acme", "ACME", "Acme Ltd"]


def test_its_statements_may_take_longer_than_those_of_a_page(
    company, leads, monkeypatch
):
    found = []
    monkeypatch.setattr("postgresql.bounds._bound.seconds", 5.0, raising=False)
    monkeypatch.setattr(
        "crm.services.audit.record", lambda **_: found.append(bounds.seconds())
    )

    rename(company)

    assert found == [bounds.LONG_SECONDS]
    assert bounds.seconds() == 5


def test_too_many_are_refused(company, leads, monkeypatch):
    monkeypatch.setattr(organisations, "RENAMED_AT_MOST", 1)

    with pytest.raises(RenameRefused):
        rename(company)

    assert names() == ["Acme", "ACME", "Acme Ltd"]


def test_many_are_renamed_in_chunks(company, monkeypatch, django_assert_num_queries):
    Lead.objects.bulk_create(
        Lead(company=company, first_name="Ada", organisation="Acme") for _ in range(7)
    )
    monkeypatch.setattr("crm.models.tracking.snapshots.CHUNK", 3)

    # The transaction twice, how many there are, which, what was merged into them, the locks, how many have the name
    # already, three chunks, the details, what an undo needs, the audit log.
    with django_assert_num_queries(13):
        assert rename(company, lead_count=7) == 7

    assert set(names()) == {"Acme Group"}
