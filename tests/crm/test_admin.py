"""The operator's admin: changes there cause CRM events like anywhere else, and what is on record can't be changed."""

import pytest
from allauth.account.models import EmailAddress

from crm.models import (
    ApiKey,
    AuditAction,
    AuditEntry,
    Company,
    CrmEvent,
    Deal,
    LeadStatus,
    LostReason,
    Stage,
)
from crm.services import audit
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from tests.conftest import make_deal, make_lead, staff_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db):
    return staff_client()


def kinds():
    return sorted(
        CrmEvent.objects.exclude(kind__endswith="created").values_list(
            "kind", "lead__first_name"
        )
    )


def list_form(field, rows, **values):
    """A changelist with `list_editable`, as a browser would send it back."""
    data = {
        "form-TOTAL_FORMS": len(rows),
        "form-INITIAL_FORMS": len(rows),
        "_save": "Save",
    }
    for at, row in enumerate(rows):
        data |= {
            f"form-{at}-id": row.pk,
            f"form-{at}-{field}": getattr(row, f"{field}_id"),
        }
    return {**data, **values}


@pytest.mark.parametrize(
    "model",
    [
        "company",
        "user",
        "membership",
        "leadstatus",
        "stage",
        "pipeline",
        "lostreason",
        "lead",
        "deal",
        "crmevent",
        "apikey",
        "auditentry",
    ],
)
def test_every_list_and_page_opens(operator, company, admin, model):
    make_deal(make_lead(company))
    LostReason.objects.create(company=company, name="Price")
    ApiKey.objects.issue(company=company, role="sales", name="Website form")
    audit.record(company=company, action=AuditAction.EXPORT)

    response = operator.get(f"/admin/crm/{model}/")
    first = response.context["cl"].result_list[0]

    assert response.status_code == 200
    assert operator.get(f"/admin/crm/{model}/{first.pk}/change/").status_code == 200


def test_an_address_is_stored_in_its_normal_form_and_refused_without_one(
    operator, sales
):
    form = {"user": sales.user_id, "verified": "on"}

    refused = operator.post(
        "/admin/account/emailaddress/add/", {**form, "email": "st\u0131eve@example.com"}
    )
    operator.post(
        "/admin/account/emailaddress/add/", {**form, "email": "\u017fteve@example.com"}
    )

    assert "Before the @" in refused.content.decode()
    assert EmailAddress.objects.get(user=sales.user).email == "steve@example.com"


def test_a_status_changed_in_the_list_fires_once_under_the_operators_name(
    operator, company
):
    lead = make_lead(company)
    qualified = LeadStatus.objects.for_company(company).get(name="Qualified")

    operator.post(
        "/admin/crm/lead/",
        list_form("status", [lead], **{"form-0-status": qualified.pk}),
    )

    assert kinds() == [("lead_qualified", "Ada")]
    assert CrmEvent.objects.get(kind="lead_qualified").actor == operator.user


def test_a_stage_changed_in_the_list_fires_once(operator, company):
    deal = make_deal(make_lead(company))
    won = Stage.objects.for_company(company).get(name="Won")

    operator.post(
        "/admin/crm/deal/", list_form("stage", [deal], **{"form-0-stage": won.pk})
    )

    assert kinds() == [("deal_won", "Ada")]


def test_a_lost_deal_that_is_opened_again_in_the_list_has_no_reason_any_more(
    operator, company
):
    reason = LostReason.objects.create(company=company, name="Price")
    lost, discovery = (
        Stage.objects.for_company(company).get(name=name)
        for name in ("Lost", "Discovery")
    )
    deal = make_deal(make_lead(company), stage=lost, lost_reason=reason)

    operator.post(
        "/admin/crm/deal/", list_form("stage", [deal], **{"form-0-stage": discovery.pk})
    )

    deal.refresh_from_db()
    assert (deal.stage, deal.lost_reason) == (discovery, None)


def test_merged_leads_are_not_in_the_list_nor_for_a_deal_to_choose(operator, company):
    kept, gone = (
        make_lead(company),
        make_lead(company, first_name="Gone", email="gone@example.com"),
    )
    deal = make_deal(kept)
    merge_leads(kept=kept, gone=gone)

    listed = operator.get("/admin/crm/lead/")
    response = operator.post(
        f"/admin/crm/deal/{deal.pk}/change/",
        {
            "company": company.pk,
            "lead": gone.pk,
            "title": "Licences",
            "stage": deal.stage_id,
            "currency": "EUR",
        },
    )

    assert (kept.first_name in listed.text, "Gone" in listed.text) == (True, False)
    assert "Select a valid choice" in response.text
    assert Deal.objects.get().lead == kept


def test_marking_leads_of_two_companies_as_qualified_gives_each_its_own_status(
    operator, company, other_company
):
    ada, grace = make_lead(company), make_lead(other_company, first_name="Grace")

    operator.post(
        "/admin/crm/lead/",
        {"action": "mark_as_qualified", "_selected_action": [ada.pk, grace.pk]},
    )

    assert kinds() == [("lead_qualified", "Ada"), ("lead_qualified", "Grace")]
    grace.refresh_from_db()
    assert (grace.status.name, grace.status.company) == ("Qualified", other_company)


def test_a_company_without_a_qualified_status_is_named_and_its_leads_stay_as_they_are(
    operator, company, other_company
):
    LeadStatus.objects.for_company(company).filter(meaning="qualified").delete()
    ada, grace = make_lead(company), make_lead(other_company, first_name="Grace")
    form = {"action": "mark_as_qualified", "_selected_action": [ada.pk, grace.pk]}

    page = operator.post("/admin/crm/lead/", form, follow=True)

    assert kinds() == [("lead_qualified", "Grace")]
    assert (
        f"Not marked: {company} has no lead status that means “qualified”."
        in page.content.decode()
    )


@pytest.mark.parametrize(("kind", "name"), [("leadstatus", "New"), ("stage", "Won")])
def test_statuses_and_stages_change_only_in_the_company_settings(
    operator, company, kind, name
):
    model = LeadStatus if kind == "leadstatus" else Stage
    step = model.objects.for_company(company).get(name=name)
    form = {
        "company": company.pk,
        "name": name,
        "meaning": "qualified",
        "position": 1,
        "colour": "",
        "post": "yes",
    }

    doors = [
        f"/admin/crm/{kind}/{step.pk}/change/",
        f"/admin/crm/{kind}/{step.pk}/delete/",
        f"/admin/crm/{kind}/add/",
    ]

    assert [operator.post(door, form).status_code for door in doors] == [403, 403, 403]
    assert model.objects.filter(pk=step.pk, meaning=step.meaning).exists()


def test_a_lead_changed_in_its_form_fires(operator, company):
    lead = make_lead(company)
    qualified = LeadStatus.objects.for_company(company).get(name="Qualified")
    fields = {
        "company": company.pk,
        "first_name": "Ada",
        "type": "inbound",
        "status": qualified.pk,
    }

    operator.post(f"/admin/crm/lead/{lead.pk}/change/", fields)

    assert kinds() == [("lead_qualified", "Ada")]


def test_the_record_of_what_happened_can_not_be_changed(operator, company):
    make_lead(company)
    event = CrmEvent.objects.get()

    assert (
        operator.post(
            f"/admin/crm/crmevent/{event.pk}/change/", {"kind": "deal_won"}
        ).status_code
        == 403
    )
    assert (
        operator.post(
            f"/admin/crm/crmevent/{event.pk}/delete/", {"post": "yes"}
        ).status_code
        == 403
    )
    assert operator.get("/admin/crm/crmevent/add/").status_code == 403


def test_the_hash_of_a_key_is_not_shown(operator, company):
    key, _ = ApiKey.objects.issue(company=company, role="sales", name="Website form")

    assert (
        key.key_sha256
        not in operator.get(f"/admin/crm/apikey/{key.pk}/change/").content.decode()
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.covers("F56")
def test_companies_are_deactivated_and_activated_by_an_action(
    operator, company, other_company
):
    chosen = {"_selected_action": [company.pk]}

    operator.post("/admin/crm/company/", {"action": "deactivate", **chosen})
    assert list(Company.objects.order_by("pk").values_list("is_active", flat=True)) == [
        False,
        True,
    ]

    operator.post("/admin/crm/company/", {"action": "reactivate", **chosen})
    assert list(Company.objects.order_by("pk").values_list("is_active", flat=True)) == [
        True,
        True,
    ]


def test_the_audit_log_is_for_looking_at_only(operator, company):
    entry = audit.record(company=company, action=AuditAction.ERASURE)

    answers = [
        operator.post(
            f"/admin/crm/auditentry/{entry.pk}/change/", {"action": "export"}
        ),
        operator.post(f"/admin/crm/auditentry/{entry.pk}/delete/", {"post": "yes"}),
        operator.post("/admin/crm/auditentry/add/", {"action": "export"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert AuditEntry.objects.get(pk=entry.pk).action == "erasure"


def test_a_list_with_an_erased_lead_or_an_old_name_can_be_saved(operator, company):
    """A list without a field for the name can't put right what a name lacks."""
    erased, ada = make_lead(company), make_lead(company, email="ada.b@example.com")
    erase_lead(lead=erased)
    deal = make_deal(ada)
    Deal.objects.filter(pk=deal.pk).update(title="\u200b")
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")
    won = Stage.objects.get(company=company, meaning="won")
    erased.refresh_from_db()

    leads = list_form("status", [ada, erased], **{"form-0-status": qualified.pk})
    answers = [
        operator.post("/admin/crm/lead/", leads),
        operator.post(
            "/admin/crm/deal/", list_form("stage", [deal], **{"form-0-stage": won.pk})
        ),
    ]

    assert [answer.status_code for answer in answers] == [302, 302]
    ada.refresh_from_db()
    deal.refresh_from_db()
    assert (ada.status, deal.stage) == (qualified, won)
