"""S05: the database itself accepts no row that refers to another company's, whatever the code above it does."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from capi.models import (
    Alert,
    Attempt,
    Backfill,
    ConversionEvent,
    ConversionRule,
    DayCount,
    Mail,
)
from crm.models import (
    ApiKey,
    Attachment,
    CrmEvent,
    DataExport,
    Deal,
    DealExternalId,
    DealPerson,
    IntakeSource,
    Lead,
    LeadDuplicate,
    LeadExternalId,
    LeadImport,
    LeadMerge,
    LeadStatus,
    LostReason,
    Note,
    Payload,
    Pipeline,
    Stage,
    Task,
    User,
)
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

TIES = {
    ("crm_lead", "status_id"): LeadStatus,
    ("crm_deal", "lead_id"): Lead,
    ("crm_deal", "stage_id"): Stage,
    ("crm_deal", "lost_reason_id"): LostReason,
    ("crm_dealperson", "deal_id"): Deal,
    ("crm_dealperson", "lead_id"): Lead,
    ("crm_leadexternalid", "lead_id"): Lead,
    ("crm_dealexternalid", "deal_id"): Deal,
    ("crm_stage", "pipeline_id"): Pipeline,
    ("crm_task", "lead_id"): Lead,
    ("crm_task", "deal_id"): Deal,
    ("crm_note", "lead_id"): Lead,
    ("crm_note", "deal_id"): Deal,
    ("crm_note", "api_key_id"): ApiKey,
    ("crm_attachment", "lead_id"): Lead,
    ("crm_attachment", "deal_id"): Deal,
    ("crm_attachment", "note_id"): Note,
    ("crm_attachment", "api_key_id"): ApiKey,
    ("crm_dataexport", "api_key_id"): ApiKey,
    ("crm_leadimport", "api_key_id"): ApiKey,
    ("crm_leadmerge", "kept_id"): Lead,
    ("crm_leadmerge", "gone_id"): Lead,
    ("crm_leadduplicate", "first_id"): Lead,
    ("crm_leadduplicate", "second_id"): Lead,
    ("crm_payload", "source_id"): IntakeSource,
    ("crm_payload", "made_id"): Lead,
    ("crm_crmevent", "lead_id"): Lead,
    ("crm_crmevent", "deal_id"): Deal,
    ("crm_crmevent", "api_key_id"): ApiKey,
    ("capi_conversionevent", "rule_id"): ConversionRule,
    ("capi_conversionevent", "lead_id"): Lead,
    ("capi_conversionevent", "deal_id"): Deal,
    ("capi_conversionevent", "crm_event_id"): CrmEvent,
    ("capi_attempt", "rule_id"): ConversionRule,
    ("capi_backfill", "rule_id"): ConversionRule,
    ("capi_conversionevent", "backfill_id"): Backfill,
    ("capi_daycount", "rule_id"): ConversionRule,
    ("capi_alert", "rule_id"): ConversionRule,
    ("capi_mail", "alert_id"): Alert,
}


def fill(company):
    """A row of every kind for the company."""
    rule = ConversionRule.objects.create(
        company=company, crm_event="deal_created", linkedin_id="1", name="Deal"
    )
    lead = make_deal(make_lead(company)).lead
    note = Note.objects.create(company=company, lead=lead, text="Called")
    DealPerson.objects.create(company=company, deal=lead.deals.get(), lead=lead)
    named = {"company": company, "system": "hubspot", "external_id": "1"}
    LeadExternalId.objects.create(lead=lead, **named)
    DealExternalId.objects.create(deal=lead.deals.get(), **named)
    file = {"name": "Offer.pdf", "size": 1, "stored_as": str(company.pk)}
    Attachment.objects.create(company=company, lead=lead, note=note, **file)
    LeadMerge.objects.create(company=company, kept=lead, gone=lead)
    LeadDuplicate.objects.create(
        company=company, first=lead, second=lead, reason="name"
    )
    source = IntakeSource.objects.create(
        company=company, name="Form", token_sha256=company.slug
    )
    Payload.objects.create(
        company=company, source=source, key="1", body=b"{}", made=lead
    )
    LostReason.objects.create(company=company, name="Price")
    Task.objects.create(company=company, title="Call", due_on="2026-03-10")
    key, _ = ApiKey.objects.issue(company=company, role="sales", name="Nightly import")
    LeadImport.objects.create(
        company=company, api_key=key, file_name="leads.csv", size=1
    )
    DataExport.objects.create(
        company=company, api_key=key, kind="leads", format="csv", row_count=1
    )
    assert ConversionEvent.objects.for_company(company).get().deal is not None
    Attempt.objects.create(
        company=company, rule=rule, linkedin_id="1", api_version="202609"
    )
    Backfill.objects.create(company=company, rule=rule, since=Now(), until=Now())
    DayCount.objects.create(
        company=company, rule=rule, day="2026-03-10", state="accepted", count=1
    )
    alert = Alert.objects.create(company=company, kind="silent", rule=rule)
    Mail.objects.create(
        company=company,
        user=User.objects.get_or_create(username="admin")[0],
        news="opened",
        alert=alert,
    )


def point(table, column, company, pk) -> None:
    """Let the company's rows refer to this id, bypassing all of the code."""
    with connection.cursor() as cursor:
        # Table and column come from TIES above.
        cursor.execute(
            f"UPDATE {table} SET {column} = %s WHERE company_id = %s", [pk, company.pk]
        )
        assert cursor.rowcount >= 1


@pytest.mark.parametrize(("table", "column"), TIES)
@pytest.mark.covers("S05")
def test_no_row_can_refer_to_another_companys(
    company, other_company, table, column
) -> None:
    fill(company)
    fill(other_company)
    theirs = TIES[table, column].objects.for_company(other_company).last()
    own = TIES[table, column].objects.for_company(company).last()

    with pytest.raises(IntegrityError), transaction.atomic():
        point(table, column, company, theirs.pk)

    point(table, column, company, own.pk)


@pytest.mark.parametrize(("table", "column"), TIES)
def test_a_row_that_nobody_has_can_not_be_referred_to_either(
    company, table, column
) -> None:
    fill(company)

    with pytest.raises(IntegrityError), transaction.atomic():
        point(table, column, company, 10**12)


def test_a_row_can_not_move_to_another_company_and_leave_its_own_behind(
    company, other_company
) -> None:
    fill(company)

    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE crm_lead SET company_id = %s", [other_company.pk])


def test_a_lead_with_all_that_hangs_on_it_is_deleted_as_before(company) -> None:
    fill(company)

    Lead.objects.get().delete()

    assert not Deal.objects.exists()
    assert ConversionEvent.objects.get().lead is None


def test_no_reference_between_rows_of_a_company_is_left_out() -> None:
    tied = {(table, column) for table, column in TIES}

    found = {
        (model._meta.db_table, field.column)
        for model in (
            Lead,
            Deal,
            Task,
            Note,
            Attachment,
            CrmEvent,
            ConversionEvent,
            Attempt,
        )
        for field in model._meta.concrete_fields
        if field.is_relation
        and any(
            other.name == "company"
            for other in field.related_model._meta.concrete_fields
        )
    }

    # An event and its attempt are written together, under the company's lease. A lead can't refer to itself, so that
    # reference has a test of its own: tests/crm/services/test_lead_merges.py.
    assert found - tied == {
        ("capi_conversionevent", "last_attempt_id"),
        ("crm_lead", "merged_into_id"),
    }
