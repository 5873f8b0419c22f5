"""A save finds out what it changed: in one statement where the database can tell, in three where it can't."""

from itertools import pairwise
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.signals import pre_save
from django.db.models.sql.compiler import SQLUpdateCompiler

from crm.models import (
    Change,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadStatus,
    Stage,
)
from crm.models.tracking import tracked
from crm.models.tracking.snapshots import supports_returning_old
from tests.conftest import make_deal, make_lead
from tests.faults.threads import in_threads

RACERS = 8


@pytest.fixture(params=["told", "looked_up"])
def statements(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many statements write a row and tell what changed: on PostgreSQL 18, and on every other database."""
    if request.param == "looked_up":
        monkeypatch.setattr(tracked, "supports_returning_old", lambda connection: False)
        return 3
    if not supports_returning_old(connection):
        pytest.skip("This database can't tell.")
    return 1


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("statements")]


def kinds() -> list[str]:
    return list(CrmEvent.objects.order_by("pk").values_list("kind", flat=True))


@pytest.fixture
def ada(company: Company) -> Lead:
    return make_lead(company)


@pytest.fixture
def qualified(company: Company) -> LeadStatus:
    return LeadStatus.objects.get(company=company, meaning="qualified")


@pytest.mark.parametrize(
    "fields", [None, ["status"], ["status_id", "phone"], ["phone"]]
)
def test_a_lead_that_is_qualified_is_recorded_once(
    fields: Any, ada: Lead, qualified: LeadStatus
) -> None:
    ada.status = qualified
    ada.save(update_fields=fields)
    ada.save()
    ada.save()

    assert kinds() == ["lead_created", "lead_qualified"]


def test_it_costs_the_crm_event_and_its_conversions_more(
    statements: int, ada: Lead, qualified: LeadStatus, django_assert_num_queries: Any
) -> None:
    ada.status = qualified

    with django_assert_num_queries(statements + 2):
        ada.save()


def test_the_statement_of_a_save_is_built_once(
    statements: int, ada: Lead, qualified: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    if statements > 1:
        pytest.skip("Django builds it here.")
    ada.save()
    monkeypatch.setattr(
        SQLUpdateCompiler, "as_sql", Mock(side_effect=AssertionError("built again"))
    )

    ada.status, ada.owner, ada.phone = qualified, None, "030 1234"
    ada.save()

    monkeypatch.undo()
    saved = Lead.objects.get(pk=ada.pk)
    assert (saved.status, saved.owner, saved.phone) == (qualified, None, "030 1234")
    assert kinds() == ["lead_created", "lead_qualified"]


@pytest.mark.parametrize(
    "fields", [["status"], ["phone"], ["email"], ["status", "email"]]
)
def test_one_change_and_many_are_kept_with_and_without_a_crm_event(
    fields: list[str], ada: Lead, qualified: LeadStatus
) -> None:
    was = str(ada.status_id)
    ada.status, ada.phone, ada.email = qualified, "030 1234", "ada@example.org"

    ada.save(update_fields=fields)

    event = CrmEvent.objects.filter(kind="lead_qualified").first()
    kept = {
        "status": ("status", was, str(qualified.pk), event and event.public_id),
        "email": ("email", "", "", None),
    }
    assert list(
        Change.objects.order_by("pk").values_list("field", "old", "new", "caused")
    ) == [kept[field] for field in fields if field in kept]
    assert (event is not None) == ("status" in fields)


def test_a_value_may_be_an_expression(ada: Lead, company: Company) -> None:
    deal = make_deal(ada, amount="10")
    for amount in (F("amount") + 2, F("amount") * 3):
        deal.amount = amount
        deal.save()
        deal = Deal.objects.get()

    deal.stage = Stage.objects.get(company=company, meaning="won")
    deal.save()

    assert CrmEvent.objects.get(kind="deal_won").amount == 36


def test_a_lead_with_a_key_of_one_s_own_is_created(
    company: Company, qualified: LeadStatus
) -> None:
    Lead(pk=900_001, company=company, first_name="Grace", status=qualified).save()

    assert kinds() == ["lead_created", "lead_qualified"]


def test_a_deal_keeps_the_amount_that_the_database_holds(
    ada: Lead, company: Company
) -> None:
    deal = make_deal(ada, amount="10")
    deal.amount, deal.stage = (
        "12.345",
        Stage.objects.get(company=company, meaning="won"),
    )

    deal.save()

    assert CrmEvent.objects.get(kind="deal_won").amount == Deal.objects.get().amount


def test_a_listener_that_saves_the_row_again_records_what_it_changes_and_no_more(
    ada: Lead, qualified: LeadStatus
) -> None:
    def qualify_first(instance: Lead, **kwargs: Any) -> None:
        pre_save.disconnect(qualify_first, sender=Lead)
        instance.status = qualified
        instance.save()

    pre_save.connect(qualify_first, sender=Lead)
    ada.save()

    assert kinds() == ["lead_created", "lead_qualified"]


def test_a_save_that_fails_leaves_nothing_behind_for_the_next(
    ada: Lead, qualified: LeadStatus
) -> None:
    ada.status, ada.first_name = qualified, "A" * 121
    with pytest.raises(Exception, match="too long"), transaction.atomic():
        ada.save()

    ada.first_name = "Ada"
    ada.save(update_fields=["first_name"])
    assert kinds() == ["lead_created"]
    ada.save()
    assert kinds() == ["lead_created", "lead_qualified"]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_qualify_one_lead_at_once_one_is_recorded(
    ada: Lead, qualified: LeadStatus
) -> None:
    read = [Lead.objects.get(pk=ada.pk) for _ in range(RACERS)]

    def qualify(number: int) -> None:
        read[number].status = qualified
        read[number].save()

    in_threads(RACERS, qualify)

    assert kinds() == ["lead_created", "lead_qualified"]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_move_a_lead_to_and_fro_each_records_what_it_changed(
    company: Company, ada: Lead, qualified: LeadStatus
) -> None:
    statuses = [ada.status, qualified]
    journey = [ada.status]  # of the row: each thread appends while it holds the lock

    def move(number: int) -> None:
        lead = Lead.objects.get(pk=ada.pk)
        for turn in range(10):
            lead.status = statuses[(turn + number) % 2]
            with transaction.atomic():
                lead.save()
                journey.append(lead.status)

    in_threads(RACERS, move)

    assert len(journey) == 1 + 10 * RACERS
    assert kinds().count("lead_qualified") == sum(
        one != other == qualified for one, other in pairwise(journey)
    )
