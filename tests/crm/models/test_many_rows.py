"""Many rows written at once end up as the ORM's own statements would have written them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from logging import LogRecord
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, transaction
from django.db.models import Value
from django.db.models.functions import Now
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import (
    Change,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadImport,
    LeadImportRow,
    LeadStatus,
    Membership,
    Stage,
    many_rows,
)
from crm.models.tracking import recorder_sql
from crm.models.tracking.origin import acting_as
from crm.signals import crm_events_recorded, lead_contact_changed
from leadmachine.log_format import SafeFormatter
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
ODD: Any = [
    {
        "first_name": "Zoë",
        "last_name": 'O"Brien\\',
        "notes": "a\tb\nc\\N",
        "custom": {"size": "10", "of": ["a", "ß"]},
    },
    {"first_name": "{,}", "email": "Two@example.com", "share_with_ad_platforms": False},
    {"first_name": "'; --", "organisation": "NULL", "phone": "\\."},
]
IGNORED = {"id", "created_at", "updated_at"}


@contextmanager
def received(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    """The arguments of each time that the signal is sent inside the block."""
    sent: list[dict[str, Any]] = []

    def listen(**values: Any) -> None:
        sent.append(values)

    signal.connect(listen)
    try:
        yield sent
    finally:
        signal.disconnect(listen)


def columns(lead: Lead) -> dict[str, Any]:
    return {
        field.attname: getattr(lead, field.attname)
        for field in Lead._meta.concrete_fields
    } | dict.fromkeys(IGNORED)


def test_leads_like_a_template_are_those_of_bulk_create(
    company: Company, admin: Membership
) -> None:
    usual = Lead.objects.bulk_create(
        [Lead(company=company, owner=admin.user, **values) for values in ODD]
    )

    keys = Lead.objects.insert_like(Lead(company=company, owner=admin.user), ODD)

    found = Lead.objects.in_bulk(keys)
    assert [columns(found[key]) for key in keys] == [
        columns(Lead.objects.get(pk=lead.pk)) for lead in usual
    ]
    assert all(found[key].created_at and found[key].updated_at for key in keys)


def test_leads_like_a_template_are_recorded(
    company: Company, admin: Membership
) -> None:
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")

    with received(crm_events_recorded) as signals, acting_as(admin.user):
        keys = Lead.objects.insert_like(
            Lead(company=company), [{"last_name": "A"}, {"status_id": qualified.pk}]
        )

    events = CrmEvent.objects.order_by("pk").values_list("lead", "kind", "actor")
    created = [(key, "lead_created", admin.user.pk) for key in keys]
    assert sorted(events) == sorted(
        [*created, (keys[1], "lead_qualified", admin.user.pk)]
    )
    assert [len(signal["events"]) for signal in signals] == [3]


@pytest.mark.parametrize("history_only", [True, False])
def test_deals_of_the_past_are_recorded_as_of_their_day(
    company: Company, admin: Membership, history_only: bool
) -> None:
    won = Stage.objects.usual_of(company).get(meaning="won")
    lead = make_lead(company)
    keys = many_rows.new_keys(Deal, 2, using=DEFAULT_DB_ALIAS)
    rows = [{"lead_id": lead.pk, "stage_id": won.pk, "title": title} for title in "AB"]
    day = timezone.now() - timedelta(days=30)

    with acting_as(admin.user, history_only=history_only):
        times = {("deal_won", keys[0]): day}
        Deal.objects.insert_like(Deal(company=company), rows, keys=keys, times=times)

    events = CrmEvent.objects.filter(deal__in=keys)
    of_the_past = events.filter(occurred_at=day)
    assert [(each.deal_id, each.kind) for each in of_the_past] == [
        (keys[0], "deal_won")
    ]
    assert events.filter(occurred_at__gt=day, history_only=history_only).count() == 3


@pytest.mark.parametrize("history_only", [True, False])
def test_many_leads_take_few_statements(
    company: Company, admin: Membership, history_only: bool
) -> None:
    rows = [{"last_name": str(number)} for number in range(2 * recorder_sql.MANY)]

    with (
        received(crm_events_recorded) as signals,
        CaptureQueriesContext(connection) as queries,
        acting_as(admin.user, history_only=history_only),
    ):
        keys = Lead.objects.insert_like(Lead(company=company), rows)

    events = list(CrmEvent.objects.order_by("lead"))
    expected = {
        (key, "lead_created", admin.user.pk, history_only, None) for key in keys
    }
    assert {
        (e.lead_id, e.kind, e.actor_id, e.history_only, e.release_at) for e in events
    } == expected
    assert len({event.public_id for event in events}) == len(keys)
    assert all(event.occurred_at for event in events)
    sent = [{event.pk for event in signal["events"]} for signal in signals]
    assert sent == ([] if history_only else [{event.pk for event in events}])
    assert len(queries) < 25


def test_many_leads_of_an_action_are_held_for_the_grace_period(
    company: Company, admin: Membership
) -> None:
    Company.objects.update(grace_seconds=60)
    rows = [{"last_name": str(number)} for number in range(2 * recorder_sql.MANY)]

    with acting_as(admin.user, action=uuid4()):
        Lead.objects.insert_like(Lead(company=company), rows)

    assert CrmEvent.objects.filter(release_at__gt=Now()).count() == len(rows)


def test_postgresql_counts_a_table_that_has_grown(company: Company) -> None:
    def counted() -> float:
        with connection.cursor() as cursor:
            cursor.execute(many_rows.COUNTED, ["crm_lead"])
            return float(cursor.fetchone()[0])

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE crm_lead")
    assert counted() == 0
    Lead.objects.insert_like(
        Lead(company=company), [{"last_name": str(number)} for number in range(200)]
    )

    many_rows.count_again(Lead, 200, using="default")
    assert counted() == 200

    make_lead(company)
    # hasn't grown enough for plans to suffer.
    many_rows.count_again(Lead, 400, using="default")
    assert counted() == 200


def test_rows_that_are_updated_have_their_own_values_and_are_recorded(
    company: Company,
) -> None:
    leads = [make_lead(company, email=""), make_lead(company, email="")]
    Lead.objects.update(updated_at=LONG_AGO)
    values = {
        leads[0].pk: ["Zoë\n", "a@example.com", {"size": "1"}],
        leads[1].pk: ["", "", {}],
    }

    with received(lead_contact_changed) as signals:
        Lead.objects.update_rows(["notes", "email", "custom"], values, updated_at=Now())

    written = Lead.objects.in_bulk(values)
    assert {
        pk: [lead.notes, lead.email, lead.custom] for pk, lead in written.items()
    } == values
    assert all(lead.updated_at > LONG_AGO for lead in written.values())
    assert list(Change.objects.values_list("lead", "field")) == [(leads[0].pk, "email")]
    assert [signal["lead_ids"] for signal in signals] == [[leads[0].pk]]


def test_other_rows_keep_their_values(company: Company) -> None:
    lead_import = LeadImport.objects.create(company=company, file_name="a.csv", size=1)
    names = ("company_id", "lead_import_id", "number", "cells", "filled")
    new = [
        (company.pk, lead_import.pk, number, ["é", str(number)], {})
        for number in (1, 2, 3)
    ]
    assert many_rows.insert_rows(LeadImportRow, names, iter(new), using="default") == 3
    first, _, third = LeadImportRow.objects.of(lead_import)

    values = {first.pk: ["k1", None, {"a": [1]}], third.pk: ["k3", 7, {}]}
    many_rows.update_rows(
        LeadImportRow, ["key", "column", "filled"], values, using="default"
    )

    rows = LeadImportRow.objects.of(lead_import).values_list(
        "cells", "key", "column", "filled"
    )
    assert list(rows) == [
        (["é", "1"], "k1", None, {"a": [1]}), (["é", "2"], "", None, {}), (["é", "3"], "k3", 7, {}),
    ]  # fmt: skip


def test_a_row_that_the_database_refuses_is_an_error_of_the_database(
    company: Company,
) -> None:
    with pytest.raises(DatabaseError):
        Lead.objects.insert_like(
            Lead(company=company), [{"last_name": "A"}, {"last_name": "x" * 200}]
        )


@pytest.mark.parametrize(
    "text", ["a,b", 'a"b', "a\\b", "{a}", "NULL", "", "Zoë", "a\nb", "'"]
)
def test_one_of_many_texts_is_found_however_it_is_written(
    company: Company, text: str
) -> None:
    lead = make_lead(company, last_name=text)
    make_lead(company, last_name="another")

    assert list(Lead.objects.filter(last_name__one_of_texts=[text, "x", "y"])) == [lead]
    assert not Lead.objects.filter(last_name__one_of_texts=[]).exists()


def test_a_copy_is_a_statement_like_others(company: Company) -> None:
    """It must count as one: the watchdog takes a worker without statements for stuck."""
    statements = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        Lead.objects.insert_like(Lead(company=company), [{"first_name": "Zoë"}])

    assert any(sql.startswith('COPY "crm_lead" ') for sql in statements)


def test_an_error_within_a_copy_tells_the_log_nothing_of_its_row(
    company: Company,
) -> None:
    rows = [{"first_name": "Zoë", "phone": "555 0142", "last_name": "Lovelace" * 100}]
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        Lead.objects.insert_like(Lead(company=company), rows)

    error = caught.value
    logged = SafeFormatter().format(
        LogRecord(
            "", 40, "", 1, "%s", (error,), (type(error), error, error.__traceback__)
        )
    )

    assert "COPY crm_lead" in str(error)
    assert "value too long" in logged
    assert not any(said in logged for said in ("Lovelace", "Zoë", "555 0142"))


def test_an_expression_for_all_rows_has_no_values_of_its_own(company: Company) -> None:
    lead = make_lead(company)

    with pytest.raises(FieldError), transaction.atomic():
        Lead.objects.update_rows(
            ["first_name"], {lead.pk: ["Zoë"]}, notes=Value("alike")
        )

    lead.refresh_from_db()
    assert lead.first_name == "Ada"


def test_history_that_nobody_is_told_of_is_the_same_as_any_other(
    company: Company, admin: Membership
) -> None:
    qualified = LeadStatus.objects.for_company(company).get(meaning="qualified")
    rows = [{"last_name": "A"}, {"last_name": "B", "status_id": qualified.pk}]

    for history_only in (False, True):
        with acting_as(admin.user, history_only=history_only):
            Lead.objects.insert_like(Lead(company=company), rows)

    told, untold = (
        list(
            events.order_by("lead", "kind").values_list(
                "kind", "lead__last_name", "actor", "api_key", "amount"
            )
        )
        for events in (
            CrmEvent.objects.filter(history_only=False),
            CrmEvent.objects.filter(history_only=True),
        )
    )
    assert told == untold
    assert sorted(kind for kind, *_ in told) == [
        "lead_created",
        "lead_created",
        "lead_qualified",
    ]
    assert CrmEvent.objects.values("public_id").distinct().count() == 6


def test_no_history_is_kept_of_a_lead_with_the_status_of_another_company(
    company: Company, other_company: Company
) -> None:
    theirs = LeadStatus.objects.for_company(other_company).first()
    assert theirs is not None

    with (
        pytest.raises(ValidationError, match="another"),
        transaction.atomic(),
        acting_as(None, history_only=True),
    ):
        Lead.objects.insert_like(
            Lead(company=company), [{"last_name": "A", "status_id": theirs.pk}]
        )

    assert not Lead.objects.exists()


def test_no_history_is_kept_of_a_deal_with_the_lead_of_another_company(
    company: Company, other_company: Company
) -> None:
    theirs = make_lead(other_company)

    with (
        pytest.raises(ValidationError, match="another"),
        transaction.atomic(),
        acting_as(None, history_only=True),
    ):
        Deal.objects.insert_like(
            Deal(company=company, lead=theirs, title="Ten licences"), [{}]
        )

    assert not Deal.objects.exists()
