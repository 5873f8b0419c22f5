"""A restored database, or a copy, sends nothing until the operator resumes sending."""

import logging
from datetime import timedelta
from io import StringIO

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import call_command
from django.db import connection as database
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.delivery import lane, pauses, sweep
from capi.delivery.deliver import deliver
from capi.models import Connection, ConversionEvent
from capi.models.choices import Reason
from capi.models.connection import SENDS_FROM_HERE, THIS_DATABASE
from crm.services.companies import deactivate_company, reactivate_company
from leadmachine import startup
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

ELSEWHERE = "7573000000000000000/16384/16590"


@pytest.fixture
def restored(company, connected, make_rule) -> None:
    """The company's events as a dump has them, in another database."""
    make_rule()
    make_lead(company)
    Connection.objects.update(sends_from=ELSEWHERE)


def told(command: str) -> str:
    printed = StringIO()
    call_command(command, stdout=printed)
    return printed.getvalue()


def paused() -> tuple[bool, str]:
    return Connection.objects.values_list("is_paused", "paused_reason").get()


def test_a_new_connection_sends_from_its_database(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)

    send_all(company)

    assert states(company) == ["accepted"]
    assert (
        Connection.objects.filter(sends_from=THIS_DATABASE)
        .exclude(sends_from="")
        .count()
        == 1
    )


def test_a_sweep_notes_the_database_of_a_connection_that_a_script_made(company) -> None:
    Connection.objects.create(company=company)

    sweep.due_companies()

    assert (
        Connection.objects.filter(sends_from=THIS_DATABASE)
        .exclude(sends_from="")
        .count()
        == 1
    )


def test_restored_events_are_not_sent(company, restored, sandbox) -> None:
    turn = send_all(company)

    assert turn.requests == 0
    assert sweep.due_companies() == []
    assert requests_made(sandbox) == []
    assert ConversionEvent.objects.get().attempts == 0
    assert paused() == (True, Reason.ALL_PAUSED)


def test_a_sweep_logs_the_pause_once(restored, caplog) -> None:
    sweep.due_companies()
    sweep.due_companies()

    [record] = [each for each in caplog.records if each.name == "capi.delivery.pauses"]
    assert record.levelno == logging.ERROR
    assert "All sending is paused (companies: 1)" in record.message
    assert "repeat_privacy_changes" in record.message


def test_a_test_event_of_the_dump_is_held_back_too(
    company, connected, sandbox, make_rule
) -> None:
    services.send_test_event(rule=make_rule())
    Connection.objects.update(sends_from=ELSEWHERE)

    send_all(company)

    assert requests_made(sandbox) == []
    told("resume_sending")
    send_all(company)
    assert states(company) == ["accepted"]


def test_resuming_sends_everything_under_its_event_ids(
    company, restored, sandbox
) -> None:
    sweep.due_companies()
    event_id = ConversionEvent.objects.get().event_id

    said = told("resume_sending")

    assert (
        said
        == "Sending resumed (companies: 1). Workers send what is due within seconds.\n"
    )
    assert sweep.due_companies() == [company.pk]
    send_all(company)
    assert [element["eventId"] for element in received(sandbox)] == [event_id]
    assert paused() == (False, "")
    assert told("resume_sending") == "Sending was not paused.\n"


def test_what_was_paused_before_the_dump_stays_paused(company, restored) -> None:
    Connection.objects.update(is_paused=True, paused_reason=Reason.TOKEN_REFUSED)
    sweep.due_companies()

    told("resume_sending")

    assert paused() == (True, Reason.TOKEN_REFUSED)
    assert not Connection.objects.exclude(SENDS_FROM_HERE).exists()


def test_the_operator_pauses_by_hand(company, connected, sandbox, make_rule) -> None:
    make_rule()
    make_lead(company)

    said = told("pause_sending")

    assert said.startswith("All sending is paused (companies with a connection: 1).")
    send_all(company)
    assert requests_made(sandbox) == []
    told("resume_sending")
    send_all(company)
    assert states(company) == ["accepted"]


def test_a_restore_during_a_turn_stops_the_turn(
    company, connected, sandbox, make_rule, settings, monkeypatch
) -> None:
    """As `pg_restore --clean` into the database of a running worker does, with the lease of the dump."""
    settings.BATCH_SIZE = 2
    make_rule()
    for _ in range(6):
        make_lead(company)
    spend = lane.spend_request

    def restore_after_the_first(lease, snapshot, pks, **unless_changed) -> bool:
        has_begun = bool(requests_made(sandbox))
        if has_begun:
            Connection.objects.update(sends_from=ELSEWHERE)
        return spend(lease, snapshot, pks, **unless_changed)

    monkeypatch.setattr(lane, "spend_request", restore_after_the_first)

    send_all(company)

    assert len(requests_made(sandbox)) == 1
    assert states(company).count("pending") == 4
    assert Connection.objects.get().lease_id is None


def test_a_test_event_of_a_database_restored_during_its_turn_waits(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    services.send_test_event(rule=make_rule())
    read = lane.read_lane

    def restore_after(lease):
        snapshot = read(lease)
        Connection.objects.update(sends_from=ELSEWHERE)
        return snapshot

    monkeypatch.setattr(lane, "read_lane", restore_after)

    deliver(company.pk)

    assert requests_made(sandbox) == []
    assert states(company) == ["pending"]


def test_recent_events_says_why_and_counts_them_as_on_hold(
    client_as, admin, restored
) -> None:
    sweep.due_companies()
    event = ConversionEvent.objects.get()

    page = (
        client_as(admin).get(reverse("events"), {"state": "on_hold"}).content.decode()
    )

    assert (
        "LeadMachine was restored from a backup, or its operator has paused all sending."
        in page
    )
    assert (
        "its operator has paused all sending"
        in client_as(admin).get(reverse("event", args=[event.pk])).content.decode()
    )


def test_each_start_says_that_all_sending_is_paused(restored, caplog, settings) -> None:
    settings.LINKEDIN_SANDBOX = True
    startup.refuse_wrong_settings()
    sweep.due_companies()
    startup.refuse_wrong_settings()

    said = [
        each.message for each in caplog.records if each.name == "leadmachine.startup"
    ]
    assert [line.startswith("capi.W112: All sending is paused") for line in said] == [
        True,
        True,
    ]
    told("resume_sending")
    assert run_checks(tags=[Tags.database], databases=["default"]) == []


def test_events_on_hold_still_expire(company, restored) -> None:
    ConversionEvent.objects.update(happened_at=timezone.now() - timedelta(days=91))

    sweep.tidy()

    assert states(company) == ["expired"]


def test_no_admin_ends_the_pause(company, other_company, restored, sandbox) -> None:
    sweep.due_companies()

    with pytest.raises(services.SendingPaused):
        services.resume_connection(company=company)
    services.save_token(company=company, token=TOKEN)

    assert paused() == (True, Reason.ALL_PAUSED)
    services.remove_token(company=company)
    services.save_token(company=company, token=TOKEN)
    deactivate_company(company=company)
    reactivate_company(company=company)
    assert paused() == (True, Reason.ALL_PAUSED)
    send_all(company)
    assert requests_made(sandbox) == []


def test_a_company_that_connects_during_the_pause_waits_as_well(
    company, other_company, restored, sandbox, make_rule
) -> None:
    services.save_token(company=other_company, token=TOKEN)
    make_rule(company=other_company)
    make_lead(other_company)

    send_all(other_company)

    assert requests_made(sandbox) == []
    assert set(Connection.objects.values_list("company", "is_paused")) == {
        (company.pk, False),
        (other_company.pk, True),
    }
    told("resume_sending")
    send_all(other_company)
    assert states(other_company) == ["accepted"]


def test_play_says_why_no_test_is_sent(company, connected, make_rule) -> None:
    rule = make_rule()
    pauses.pause_all()

    with pytest.raises(
        services.SendingPaused,
        match="The operator of LeadMachine has to resume it first",
    ):
        services.send_test_event(rule=rule)

    assert not ConversionEvent.objects.exists()


def test_another_database_table_or_server_has_another_identity(
    company, connected
) -> None:
    sweep.due_companies()
    server, database_oid, table = Connection.objects.get().sends_from.split("/")

    with database.cursor() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        assert cursor.fetchone() == (server,)
        cursor.execute(
            "SELECT oid::text FROM pg_database WHERE datname = current_database()"
        )
        assert cursor.fetchone() == (database_oid,)
        cursor.execute("SELECT 'capi_connection'::regclass::oid::text")
        assert cursor.fetchone() == (table,)


def test_a_vacuum_that_rewrites_the_table_pauses_nothing(company, connected) -> None:
    sweep.due_companies()

    with database.cursor() as cursor:
        cursor.execute("VACUUM FULL capi_connection")

    assert not Connection.objects.exclude(SENDS_FROM_HERE).exists()
    assert Connection.objects.update(recalls=F("recalls")) == 1
