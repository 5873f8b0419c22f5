"""Whichever way of the ORM changes a lead or a deal, what happened is recorded, and nothing else is."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.serializers import serialize
from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, Case, F, Value, When

from crm.models import Company, CrmEvent, Deal, Lead, LeadStatus, Stage
from crm.models.tracking.origin import acting_as
from crm.signals import crm_events_recorded, lead_contact_changed
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


def kinds(**filters: Any) -> list[str]:
    return list(
        CrmEvent.objects.filter(**filters).order_by("pk").values_list("kind", flat=True)
    )


@pytest.fixture
def qualified(company: Company) -> LeadStatus:
    return LeadStatus.objects.get(company=company, meaning="qualified")


@pytest.fixture
def won(company: Company) -> Stage:
    return Stage.objects.get(company=company, meaning="won")


@pytest.fixture
def ada(company: Company) -> Lead:
    lead = make_lead(company)
    CrmEvent.objects.all().delete()
    return lead


# --- each way of writing a lead --------------------------------------------------------------------------------------


def _save(lead: Lead, status: LeadStatus) -> None:
    lead.status = status
    lead.save()


def _save_some_fields(lead: Lead, status: LeadStatus) -> None:
    lead.status = status
    lead.save(update_fields=["status"])


def _save_deferred(lead: Lead, status: LeadStatus) -> None:
    partly = Lead.objects.only("first_name").get(pk=lead.pk)
    partly.status = status
    partly.save()


def _update(lead: Lead, status: LeadStatus) -> None:
    Lead.objects.filter(pk=lead.pk).update(status=status)


def _update_by_id(lead: Lead, status: LeadStatus) -> None:
    Lead.objects.filter(pk=lead.pk).update(status_id=status.pk)


def _update_by_expression(lead: Lead, status: LeadStatus) -> None:
    chosen = Case(
        When(first_name="Ada", then=Value(status.pk)),
        default=F("status"),
        output_field=BigIntegerField(),
    )
    Lead.objects.filter(pk=lead.pk).update(status=chosen)


def _update_through_a_join(lead: Lead, status: LeadStatus) -> None:
    Lead.objects.filter(status__meaning="new", company__slug="northwind").update(
        status=status
    )


def _bulk_update(lead: Lead, status: LeadStatus) -> None:
    lead.status = status
    Lead.objects.bulk_update([lead], ["status"])


def _update_or_create(lead: Lead, status: LeadStatus) -> None:
    Lead.objects.update_or_create(pk=lead.pk, defaults={"status": status})


def _related_manager(lead: Lead, status: LeadStatus) -> None:
    status.leads.add(lead)


def _base_manager(lead: Lead, status: LeadStatus) -> None:
    Lead._base_manager.filter(pk=lead.pk).update(status=status)


WAYS = [
    _save,
    _save_some_fields,
    _save_deferred,
    _update,
    _update_by_id,
    _update_by_expression,
    _update_through_a_join,
    _bulk_update,
    _update_or_create,
    _related_manager,
    _base_manager,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_qualifying_a_lead_is_recorded_once(
    way: Callable[..., None], ada: Lead, qualified: LeadStatus
) -> None:
    way(ada, qualified)

    assert kinds(lead=ada) == ["lead_qualified"]
    ada.refresh_from_db()
    assert ada.status == qualified


def _create(company: Company) -> None:
    Lead.objects.create(company=company, first_name="Grace")


def _save_new(company: Company) -> None:
    Lead(company=company, first_name="Grace").save()


def _bulk_create(company: Company) -> None:
    Lead.objects.bulk_create([Lead(company=company, first_name="Grace")])


def _get_or_create(company: Company) -> None:
    Lead.objects.get_or_create(company=company, first_name="Grace")
    Lead.objects.get_or_create(company=company, first_name="Grace")


def _update_or_create_new(company: Company) -> None:
    Lead.objects.update_or_create(company=company, first_name="Grace")


def _through_the_company(company: Company) -> None:
    company.leads.create(first_name="Grace")


@pytest.mark.parametrize(
    "way",
    [
        _create,
        _save_new,
        _bulk_create,
        _get_or_create,
        _update_or_create_new,
        _through_the_company,
    ],
    ids=lambda way: way.__name__.strip("_"),
)
def test_creating_a_lead_is_recorded_once_with_the_first_new_status(
    way: Callable[..., None], company: Company
) -> None:
    way(company)

    assert kinds() == ["lead_created"]
    assert Lead.objects.get().status.meaning == "new"


def test_a_lead_created_as_qualified_is_created_and_qualified(
    company: Company, qualified: LeadStatus
) -> None:
    make_lead(company, status=qualified)
    Lead.objects.bulk_create(
        [Lead(company=company, first_name="Grace", status=qualified)]
    )

    assert kinds() == ["lead_created", "lead_qualified"] * 2


def test_a_deal_created_as_won_is_created_and_won(ada: Lead, won: Stage) -> None:
    make_deal(ada, stage=won)

    assert kinds() == ["deal_created", "deal_won"]


def test_a_deal_s_events_keep_its_amount_at_that_moment(ada: Lead, won: Stage) -> None:
    deal = make_deal(ada, amount="1250.5", currency="EUR")

    Deal.objects.update(amount=F("amount") * 2, stage=won)

    created, sold = CrmEvent.objects.order_by("pk")
    assert (created.lead, created.deal, str(created.amount), created.currency) == (
        ada,
        deal,
        "1250.50",
        "EUR",
    )
    assert (sold.kind, str(sold.amount)) == ("deal_won", "2501.00")


def test_a_lost_deal_is_recorded_and_a_reopened_one_is_not(
    ada: Lead, company: Company
) -> None:
    deal = make_deal(ada)
    lost, opened = Stage.objects.get(company=company, meaning="lost"), deal.stage

    for stage in (lost, opened, lost):
        Deal.objects.filter(pk=deal.pk).update(stage=stage)

    assert kinds() == ["deal_created", "deal_lost", "deal_lost"]


# --- what is not an event -------------------------------------------------------------------------------------------


def test_saving_without_a_change_is_nothing(ada: Lead, qualified: LeadStatus) -> None:
    ada.save()
    Lead.objects.update(status=ada.status)
    Lead.objects.filter(pk=ada.pk).update(first_name="Augusta")

    assert kinds() == []


def test_moving_between_two_statuses_of_one_meaning_is_nothing(
    ada: Lead, company: Company, qualified: LeadStatus
) -> None:
    _update(ada, qualified)
    twin = LeadStatus.objects.create(
        company=company, name="Very qualified", meaning="qualified"
    )

    _update(ada, twin)

    assert kinds() == ["lead_qualified"]


def test_changing_what_a_status_means_fires_nothing(ada: Lead) -> None:
    LeadStatus.objects.filter(pk=ada.status_id).update(meaning="qualified")

    assert kinds() == []


def test_memory_is_not_trusted_when_the_row_has_changed_meanwhile(
    ada: Lead, qualified: LeadStatus
) -> None:
    stale = Lead.objects.get(pk=ada.pk)
    _update(ada, qualified)

    stale.status = qualified
    stale.save()

    assert kinds() == ["lead_qualified"]


def test_a_change_that_is_rolled_back_leaves_no_event(
    ada: Lead, qualified: LeadStatus, company: Company
) -> None:
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            _update(ada, qualified)
            raise IntegrityError
        make_lead(company, first_name="Grace")

    assert kinds() == ["lead_created"]


def test_bulk_create_refuses_conflict_options_and_writes_nothing(
    company: Company,
) -> None:
    lead = Lead(company=company, first_name="Grace")

    with pytest.raises(ValueError, match="update_or_create"):
        Lead.objects.bulk_create([lead], ignore_conflicts=True)
    with pytest.raises(ValueError, match="update_or_create"):
        Lead.objects.bulk_create(
            [lead], update_conflicts=True, update_fields=["phone"], unique_fields=["id"]
        )

    assert not Lead.objects.exists()


# --- tenants, people, signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way", [_save, _update, _bulk_update], ids=lambda way: way.__name__.strip("_")
)
def test_another_company_s_status_is_refused_on_every_path(
    way: Callable[..., None], ada: Lead, other_company: Company
) -> None:
    foreign = LeadStatus.objects.get(company=other_company, meaning="qualified")

    with pytest.raises(ValidationError, match="another company"), transaction.atomic():
        way(ada, foreign)

    ada.refresh_from_db()
    assert ada.status.meaning == "new"
    assert kinds() == []


def test_another_company_s_lead_is_refused_in_a_deal(
    ada: Lead, other_company: Company
) -> None:
    with pytest.raises(ValidationError, match="another company"), transaction.atomic():
        Deal.objects.create(company=other_company, lead=ada, title="Forty licences")

    assert not Deal.objects.exists()


def test_the_person_who_acts_is_on_record(
    ada: Lead, qualified: LeadStatus, sales: Any
) -> None:
    with acting_as(sales.user):
        _update(ada, qualified)

    assert CrmEvent.objects.get().actor == sales.user


def test_listeners_hear_in_the_transaction_of_the_change(
    ada: Lead, qualified: LeadStatus
) -> None:
    heard: list[tuple[str, bool]] = []

    def listen(events: list[CrmEvent], **kwargs: Any) -> None:
        heard.extend(
            (event.kind, transaction.get_connection().in_atomic_block)
            for event in events
        )

    crm_events_recorded.connect(listen)
    try:
        _update(ada, qualified)
    finally:
        crm_events_recorded.disconnect(listen)

    assert heard == [("lead_qualified", True)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"email": "countess@example.com"}, True),
        ({"share_with_ad_platforms": False}, True),
        ({"email": "ada@example.com"}, False),
        ({"phone": "+44 20 7946 0000"}, False),
    ],
)
def test_a_changed_address_or_opt_out_is_told_and_nothing_else(
    ada: Lead, changes: dict[str, Any], told: bool
) -> None:
    heard: list[int] = []

    def listen(lead_ids: list[int], **kwargs: Any) -> None:
        heard.extend(lead_ids)

    lead_contact_changed.connect(listen)
    try:
        Lead.objects.filter(pk=ada.pk).update(**changes)
        Lead.objects.get(pk=ada.pk).save()
    finally:
        lead_contact_changed.disconnect(listen)

    assert heard == ([ada.pk] if told else [])


# --- fixtures --------------------------------------------------------------------------------------------------------


def load(tmp_path: Any, text: str) -> None:
    path = tmp_path / "leads.json"
    path.write_text(text)
    call_command("loaddata", path, verbosity=0)


def test_a_fixture_fires_what_it_makes_happen_also_with_forward_references(
    tmp_path: Any, company: Company
) -> None:
    lead = make_lead(company)
    rows = json.loads(serialize("json", [lead]))
    status = json.loads(
        serialize(
            "json", [LeadStatus.objects.get(company=company, meaning="qualified")]
        )
    )
    Lead.objects.all().delete()
    CrmEvent.objects.all().delete()
    status[0]["pk"] = rows[0]["fields"]["status"] = 90_001
    status[0]["fields"]["name"] = "Ripe"

    load(tmp_path, json.dumps(rows + status))

    assert kinds(lead=rows[0]["pk"]) == ["lead_created", "lead_qualified"]


def test_a_fixture_that_changes_a_lead_fires_the_change_once(
    tmp_path: Any, ada: Lead, qualified: LeadStatus
) -> None:
    rows = json.loads(serialize("json", [ada]))
    rows[0]["fields"]["status"] = qualified.pk

    load(tmp_path, json.dumps(rows))
    load(tmp_path, json.dumps(rows))

    assert kinds() == ["lead_qualified"]


def test_restoring_a_dump_fires_nothing(
    tmp_path: Any, company: Company, qualified: LeadStatus
) -> None:
    make_lead(company, status=qualified)
    dump = serialize("json", [*Lead.objects.all(), *CrmEvent.objects.all()])
    CrmEvent.objects.all().delete()
    Lead.objects.all().delete()

    load(tmp_path, dump)

    assert kinds() == ["lead_created", "lead_qualified"]


# --- companies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Company.objects.create(name="Fabrikam", slug="fabrikam"),
        lambda: Company(name="Fabrikam", slug="fabrikam").save(),
        lambda: Company.objects.bulk_create(
            [Company(name="Fabrikam", slug="fabrikam")]
        ),
        lambda: Company.objects.get_or_create(name="Fabrikam", slug="fabrikam"),
    ],
    ids=["create", "save", "bulk_create", "get_or_create"],
)
def test_a_company_gets_its_statuses_and_stages_however_it_is_made(
    make: Callable[[], Any],
) -> None:
    make()

    company = Company.objects.get(slug="fabrikam")
    assert list(
        LeadStatus.objects.for_company(company).values_list("meaning", flat=True)
    ) == [
        "new",
        "working",
        "qualified",
        "unqualified",
    ]
    assert list(
        Stage.objects.for_company(company).values_list("meaning", flat=True)
    ) == ["open"] * 3 + ["won", "lost"]


def test_a_company_restored_without_steps_gets_them_with_its_first_lead(
    tmp_path: Any,
) -> None:
    fields = {
        "name": "Fabrikam",
        "slug": "fabrikam",
        "created_at": "2026-11-01T00:00:00Z",
    }
    load(tmp_path, json.dumps([{"model": "crm.company", "pk": 77, "fields": fields}]))

    lead = Lead.objects.create(company_id=77, first_name="Grace")

    assert lead.status.meaning == "new"


def test_events_are_dated_by_the_database(ada: Lead, qualified: LeadStatus) -> None:
    from capi.models.functions import database_now

    before = database_now()
    _update(ada, qualified)

    assert (
        before - timedelta(seconds=1)
        <= CrmEvent.objects.get().occurred_at
        <= database_now() + timedelta(seconds=1)
    )


def test_an_amount_that_the_database_rounds_is_recorded_as_rounded(
    ada: Lead, won: Stage
) -> None:
    deal = make_deal(ada, amount="10")

    deal.amount, deal.stage = Decimal("12.345"), won
    deal.save()

    deal.refresh_from_db()
    assert CrmEvent.objects.get(kind="deal_won").amount == deal.amount


def test_an_amount_still_in_text_is_recorded_as_a_number(ada: Lead, won: Stage) -> None:
    deal = make_deal(ada, amount="10")

    deal.amount, deal.stage = "12.50", won
    deal.save()

    assert CrmEvent.objects.get(kind="deal_won").amount == Decimal("12.50")


def test_only_the_fields_that_are_written_count(
    ada: Lead, qualified: LeadStatus
) -> None:
    ada.status, ada.email = qualified, "countess@example.com"

    ada.save(update_fields=["email"])
    assert kinds() == []

    ada.save(update_fields=["status"])
    assert kinds() == ["lead_qualified"]


def test_an_expression_is_compared_with_what_it_became(
    ada: Lead, qualified: LeadStatus
) -> None:
    ada.status_id = Case(
        When(first_name="Ada", then=Value(qualified.pk)), output_field=BigIntegerField()
    )

    ada.save()

    assert kinds() == ["lead_qualified"]
