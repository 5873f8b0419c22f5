"""Custom fields: adding, changing and deleting them, the removal of their values, and what none of it does."""

import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from crm.models import AuditEntry, Change, Company, CrmEvent, CustomField, Lead
from crm.models.lead import PersonErased
from crm.services import custom_fields as service
from crm.services.erasure import erase_lead
from tests.conftest import make_deal, make_lead
from tests.crm.custom_values import make_every_field, make_field

pytestmark = pytest.mark.django_db


def go_on() -> bool:
    return True


def test_a_name_is_given_once_and_its_key_stays(company: Company) -> None:
    field = make_field(company, "Fleet size", "number")
    field.name = "Number of vehicles"
    service.change_field(field=field, fields=["name"])
    another = make_field(company, "Fleet size")

    assert (field.key, another.key) == ("fleet_size", "fleet_size_2")
    with pytest.raises(ValidationError, match="There is a field of this name already"):
        make_field(company, "fleet SIZE")
    assert make_field(company, "Fleet size", subject="deal").key == "fleet_size"


def test_there_are_only_so_many(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FIELDS_AT_MOST", 2)
    fields = [make_field(company, name) for name in ("A", "B")]
    service.set_archived(field=fields[0], archived=True)

    with pytest.raises(
        ValidationError,
        match="There are 2 fields for leads, the most that there can be",
    ):
        make_field(company, "C")
    make_field(company, "C", subject="deal")
    service.delete_field(field=fields[1])
    make_field(company, "C")


@pytest.mark.django_db(transaction=True)
def test_two_admins_at_once_don_t_exceed_the_limit(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FIELDS_AT_MOST", 1)
    refused: list[ValidationError] = []
    barrier = threading.Barrier(2)

    def add(name: str) -> None:
        barrier.wait()
        try:
            make_field(company, name)
        except ValidationError as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=add, args=[name]) for name in ("A", "B")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert CustomField.objects.count() == 1
    assert len(refused) == 1


def test_fields_move_and_stop_at_the_ends(company: Company) -> None:
    fields = [make_field(company, name) for name in "ABC"]
    make_field(company, "D", subject="deal")

    def order() -> str:
        return "".join(map(str, CustomField.objects.of(company, "lead").in_use()))

    for field, place, expected in (
        (fields[2], lambda at: at - 1, "ACB"),
        (fields[0], lambda at: at - 1, "ACB"),
        (fields[0], lambda at: 99, "CBA"),
        (fields[1], lambda at: 0, "BCA"),
    ):
        service.move_field(field=field, place=place)
        assert order() == expected


def test_no_change_of_a_field_touches_a_lead_or_fires_an_event(
    company: Company,
) -> None:
    field = make_field(company, "Region", "choice")
    make_field(company, "Seats", "number")
    lead = make_lead(company, custom={"region": "emea", "seats": "40"})
    make_deal(lead)
    before = [*Lead.objects.values()], CrmEvent.objects.count(), Change.objects.count()

    field.name = "Where"
    service.change_field(
        field=field, fields=["name"], labels=[("americas", "US"), ("emea", "Europe")]
    )
    service.move_field(field=field, place=lambda at: at + 1)
    service.set_archived(field=field, archived=True)
    service.set_archived(field=field, archived=False)
    service.delete_field(field=field)

    assert (
        [*Lead.objects.values()],
        CrmEvent.objects.count(),
        Change.objects.count(),
    ) == before


def test_two_who_change_the_choices_at_once_lose_no_label(company: Company) -> None:
    field = make_field(company, "Region", "choice", labels=[("", "EMEA")])
    stale = CustomField.objects.get(pk=field.pk)

    service.change_field(
        field=field, fields=[], labels=[("emea", "EMEA"), ("", "Mars")]
    )
    service.change_field(
        field=stale, fields=[], labels=[("emea", "EMEA"), ("", "Moon")]
    )

    stale.refresh_from_db()
    assert stale.labels == {"emea": "EMEA", "moon": "Moon", "mars": "Mars"}


def test_what_admins_do_is_on_record_without_any_value(company: Company) -> None:
    field = make_field(company, "Region", "choice")
    service.change_field(field=field, fields=["is_required"])
    service.set_archived(field=field, archived=True)
    service.set_archived(field=field, archived=True)
    service.delete_field(field=field)

    entries = AuditEntry.objects.order_by("pk").values_list(
        "action", "object_label", "details"
    )
    assert [*entries] == [
        ("custom_field_added", "Region", {"for": "lead"}),
        ("custom_field_changed", "Region", {"for": "lead", "fields": ["is_required"]}),
        ("custom_field_changed", "Region", {"for": "lead", "archived": True}),
        ("custom_field_deleted", "Region", {"for": "lead"}),
    ]


def test_the_values_of_a_deleted_field_go_and_then_its_key_is_free(
    company: Company, other_company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHUNK", 2)
    field = make_field(company, "Region")
    leads = [make_lead(company, custom={"region": "x", "seats": "4"}) for _ in range(5)]
    theirs = make_lead(other_company, custom={"region": "x"})
    service.delete_field(field=field)
    in_between = make_field(company, "Region")

    service.remove_values(go_on=go_on)

    assert [lead.custom for lead in Lead.objects.for_company(company)] == [
        {"seats": "4"}
    ] * 5
    theirs.refresh_from_db()
    assert theirs.custom == {"region": "x"}
    assert in_between.key == "region_2"
    # By a request that had read the field.
    Lead.objects.filter(pk=leads[0].pk).update(custom={"region": "late"})
    service.remove_values(go_on=go_on)
    assert Lead.objects.get(pk=leads[0].pk).custom == {}
    assert CustomField.objects.filter(pk=field.pk).exists()
    CustomField.objects.filter(pk=field.pk).update(
        removed_at=Now() - timedelta(minutes=11)
    )
    service.remove_values(go_on=go_on)
    assert not CustomField.objects.filter(pk=field.pk).exists()


def test_a_worker_that_stops_leaves_the_rest_to_the_next(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHUNK", 2)
    field = make_field(company, "Region")
    for _ in range(5):
        make_lead(company, custom={"region": "x"})
    service.delete_field(field=field)

    service.remove_values(go_on=lambda: False)

    assert service.rows_with_value(field).count() == 3


@pytest.mark.django_db(transaction=True)
def test_an_erasure_leaves_no_custom_value_of_the_person_and_no_text_of_the_deals(
    company: Company,
) -> None:
    make_every_field(company)
    make_every_field(company, subject="deal")
    lead = make_lead(company, custom={"text": "Ada", "number": "40"})
    deal = make_deal(
        lead,
        custom={
            "text": "Ada",
            "url": "https://ada.example",
            "number": "40",
            "choice": "emea",
        },
    )

    erase_lead(lead=lead)

    lead.refresh_from_db()
    deal.refresh_from_db()
    assert lead.custom == {}
    assert deal.custom == {"number": "40", "choice": "emea"}
    lead.custom = {"text": "Ada"}
    with pytest.raises(PersonErased):
        lead.save()


def test_a_save_takes_no_statement_more_with_custom_values(company: Company) -> None:
    make_every_field(company)
    lead = make_lead(company)

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            lead.save()
        return len(queries)

    without = statements()
    lead.custom = {"text": "x", "number": "40"}

    assert statements() == without
