"""Who did what is recorded together with the action, never changes, and names no lead (S35, S36)."""

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from capi import services
from capi.models import ConversionRule
from crm.models import ApiKey, AuditAction, AuditEntry, Membership
from crm.models.audit import AppendOnly
from crm.models.tracking.origin import acting_as
from crm.services import audit
from tests.conftest import PASSWORD, TOKEN, give_password, make_lead
from tests.housekeeping import keep_house

pytestmark = pytest.mark.django_db


def on_record(company):
    """The company's audit entries other than sign-ins, oldest first."""
    entries = (
        AuditEntry.objects.for_company(company)
        .exclude(action__startswith="sign_in")
        .order_by("pk")
    )
    return [
        (entry.action, entry.actor_name, entry.object_kind, entry.details)
        for entry in entries
    ]


def test_the_linkedin_side_is_on_record_with_who_did_it_and_which_fields(
    company, admin
):
    with acting_as(admin.user):
        services.save_token(company=company, token=TOKEN, ad_account_id="507")
        rule = ConversionRule(
            company=company, crm_event="lead_created", linkedin_id="104012", name="Lead"
        )
        services.save_rule(rule=rule)
        rule.name = "New lead"
        services.save_rule(rule=rule)
        services.set_rule_active(rule=rule, active=False)
        services.resume_rule(rule=rule)
        event = services.send_test_event(rule=rule)
        services.delete_rule(rule=rule)
        services.resume_connection(company=company)
        services.remove_token(company=company)

    who = "Admin Jansen"
    assert on_record(company) == [
        ("token_saved", who, "connection", {"fields": ["token", "ad_account_id"]}),
        ("rule_created", who, "conversionrule", {
            "fields": ["crm_event", "linkedin_id", "name", "is_active", "send_value", "frequency"]}),
        ("rule_changed", who, "conversionrule", {"fields": ["name"]}),
        ("rule_changed", who, "conversionrule", {"fields": ["is_active"], "active": False}),
        ("rule_resumed", who, "conversionrule", {}),
        ("test_sent", who, "conversionrule", {"event": event.pk}),
        ("rule_deleted", who, "conversionrule", {}),
        ("connection_resumed", who, "connection", {}),
        ("token_removed", who, "connection", {}),
    ]  # fmt: skip


def test_the_company_page_is_on_record(company, admin, client_as):
    client = give_password(client_as(admin))

    form = {"currency": "EUR", "time_zone": "UTC", "initial-time_zone": "UTC"}
    client.post("/company/", {"name": "Northwind BV", **form})
    client.post("/company/", {"name": "Southwind BV", **form})
    client.post("/company/api-keys/new/", {"name": "Website", "role": "sales"})
    key = ApiKey.objects.get()
    client.post(f"/company/api-keys/{key.pk}/revoke/")

    assert on_record(company) == [
        ("company_changed", "Admin Jansen", "company", {"fields": ["name"]}),
        ("api_key_created", "Admin Jansen", "apikey", {"role": "sales"}),
        ("api_key_revoked", "Admin Jansen", "apikey", {}),
    ]


def test_what_is_refused_leaves_no_record(company):
    ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="104012", name="Lead"
    )
    second = ConversionRule(
        company=company, crm_event="lead_created", linkedin_id="104012", name="Again"
    )

    with pytest.raises(ValidationError):
        services.save_rule(rule=second)
    with pytest.raises(ValidationError):
        services.save_token(company=company, token="short")

    assert on_record(company) == []


def test_a_script_is_on_record_by_its_key_and_the_command_line_as_the_operator(company):
    call_command(
        "create_api_key",
        "--company",
        company.slug,
        "--role",
        "admin",
        "--name",
        "Script",
        stdout=None,
    )
    key, text = ApiKey.objects.issue(company=company, role="admin", name="Website")
    rule = {"crm_event": "lead_created", "linkedin_id": "104012", "name": "Lead"}

    made = Client(headers={"authorization": f"Bearer {text}"}).post(
        "/api/v1/conversion-rules/", rule, content_type="application/json"
    )
    services.remove_token(company=company)

    assert made.status_code == 201
    assert [(action, who) for action, who, _, _ in on_record(company)] == [
        ("api_key_created", "Operator"),
        ("rule_created", str(key)),
        ("token_removed", "Operator"),
    ]


def test_signing_in_and_failing_to_is_on_record_without_what_was_typed(
    company, other_company, sales, caplog
):
    Membership.objects.create(company=other_company, user=sales.user, role="ops")

    authenticate(None, username="SALES@example.com", password="a guess")
    authenticate(None, username="sales@exmaple.com", password=PASSWORD)
    Client().force_login(sales.user, backend="crm.accounts.adapter.EmailBackend")

    for own in (company, other_company):
        entries = AuditEntry.objects.for_company(own).order_by("pk")
        assert list(
            entries.values_list("action", "actor_name", "actor_id", "details")
        ) == [
            ("sign_in_failed", "Sales Jansen", sales.user_id, {}),
            ("sign_in", "Sales Jansen", sales.user_id, {}),
        ]
    assert [
        record.getMessage()
        for record in caplog.records
        if record.name == "crm.accounts.receivers"
    ] == [
        f"Failed sign-in for user {sales.user_id}.",
        "Failed sign-in for an unknown user.",
        f"User {sales.user_id} signed in.",
    ]


def test_a_lead_and_a_user_without_a_name_are_named_by_their_number(company, sales):
    lead = make_lead(company)
    sales.user.first_name = sales.user.last_name = ""

    entry = audit.record(
        company=company, action=AuditAction.ERASURE, about=lead, actor=sales.user
    )

    assert (entry.actor_name, entry.object_label) == (
        f"User {sales.user_id}",
        f"Lead {lead.pk}",
    )


def test_the_name_of_who_did_it_outlives_their_account(company, sales):
    entry = audit.record(company=company, action=AuditAction.EXPORT, actor=sales.user)

    sales.user.delete()

    entry.refresh_from_db()
    assert (entry.actor_name, entry.actor_id) == ("Sales Jansen", sales.user_id)


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.save(),
        lambda entry: entry.delete(),
        lambda entry: AuditEntry.objects.update(action="export"),
        lambda entry: AuditEntry.objects.filter(pk=entry.pk).delete(),
        lambda entry: AuditEntry.objects.bulk_update([entry], ["action"]),
        lambda entry: entry.company.audit_entries.update(action="export"),
        lambda entry: AuditEntry.objects.bulk_create(
            [entry],
            update_conflicts=True,
            update_fields=["action"],
            unique_fields=["id"],
        ),
    ],
)
def test_an_entry_can_not_be_changed_or_deleted(company, change):
    entry = audit.record(company=company, action=AuditAction.IMPORT)

    with pytest.raises(AppendOnly), transaction.atomic():
        change(entry)

    assert AuditEntry.objects.get().action == "import"


@pytest.mark.covers("S38")
def test_old_sign_ins_go_after_the_retention_period_and_all_else_stays(
    company, settings
):
    for action in (
        AuditAction.SIGN_IN,
        AuditAction.SIGN_IN_FAILED,
        AuditAction.ERASURE,
    ):
        audit.record(company=company, action=action)
    settings.RETENTION_DAYS = 0

    keep_house()

    assert AuditEntry.objects.get().action == "erasure"
