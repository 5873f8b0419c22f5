"""`manage.py doctor`: the same checks on the command line."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from capi import services
from capi.models import Checkup, Connection, Heartbeat
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

GOOD = {"token": "AQX-good-token-0123456789", "ad_account_id": "512345678"}


def doctor(*arguments: str) -> tuple[str, int]:
    """What it prints, and its exit code."""
    printed = StringIO()
    try:
        call_command("doctor", *arguments, stdout=printed)
    except SystemExit as end:
        return printed.getvalue(), int(str(end.code))
    return printed.getvalue(), 0


@pytest.fixture
def healthy(company, sandbox, make_rule) -> None:
    Heartbeat.objects.beat("sweep")
    services.save_token(company=company, **GOOD)
    make_lead(company)
    services.send_test_event(rule=make_rule())
    call_command("deliver", stdout=StringIO())


def test_a_healthy_company_ends_with_0_and_a_table(healthy) -> None:
    printed, code = doctor()

    lines = printed.splitlines()
    assert code == 0
    assert lines[0] == "Northwind BV (northwind): everything is OK"
    assert (
        lines[1]
        == "  OK            Access token          Saved and readable, fingerprint f08b8891."
    )
    assert len([line for line in lines if line.startswith("  OK ")]) == 16


def test_something_to_mend_ends_with_1_and_comes_first(
    healthy, company, settings
) -> None:
    settings.SITE_URL = "https://crm.example"
    services.save_token(company=company, token="AQX-revoked-token-0123456789")

    printed, code = doctor("--company", "northwind")

    lines = printed.splitlines()
    assert code == 1
    assert lines[0] == "Northwind BV (northwind): 1 thing to fix, 1 unknown"
    sentence, fix = lines[1:3]
    assert sentence.startswith(
        "  Needs fixing  Rules at LinkedIn     LinkedIn says 401: the access token is expired,"
    )
    assert fix.startswith(" " * 38 + "Generate a new token in Campaign Manager")
    assert [line.strip() for line in lines if "://" in line] == [
        "https://crm.example/integrations/linkedin/#connect",
        "https://crm.example/help/troubleshooting/#reason-token_refused",
        "https://crm.example/integrations/linkedin/#map",
    ]


def test_where_the_own_address_is_not_known_links_are_paths(company, settings) -> None:
    settings.SITE_URL = "https://"

    printed, _ = doctor()

    assert " /integrations/linkedin/#connect\n" in printed
    assert " /help/faq/#what-if-no-worker-runs\n" in printed
    assert "https:" not in printed


def test_it_looks_at_every_open_company_or_at_the_one_that_is_named(
    healthy, other_company
) -> None:
    everybody, code = doctor()
    one, code_of_one = doctor("--company", "contoso")

    assert "Contoso GmbH (contoso): 3 to check" in everybody
    assert "Northwind BV (northwind): everything is OK" in everybody
    assert "Northwind" not in one
    assert (code, code_of_one) == (0, 0)


def test_an_unknown_company_is_said_with_those_that_exist(company) -> None:
    with pytest.raises(
        CommandError,
        match=r"There is no company “acme”. Existing companies: northwind.",
    ):
        doctor("--company", "acme")


def test_without_a_company_there_is_nothing_to_check(db) -> None:
    assert doctor() == ("There are no companies yet.\n", 0)


def test_it_stores_nothing_and_shows_nothing_of_the_token(healthy) -> None:
    printed, _ = doctor()

    assert not Checkup.objects.exists()
    assert GOOD["token"] not in printed


def test_it_says_that_a_restored_database_sends_nothing_even_before_a_worker_has_run(
    healthy,
) -> None:
    Connection.objects.update(sends_from="7573000000000000000/16384/16590")

    printed, code = doctor()

    assert code == 1
    assert "Needs fixing  Sending" in printed
    assert "manage.py resume_sending" in printed
    assert "OK            Access token" in printed
