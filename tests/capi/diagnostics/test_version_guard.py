"""The API version nears its end, which is announced in time, is retired and is replaced; no event is lost."""

from datetime import date, timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from capi.delivery import sweep
from capi.linkedin import versions
from capi.models import Connection, ConversionEvent
from capi.selectors.deadlines import end_of_version
from leadmachine import checks
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

LEADS, PAGE = reverse("leads"), reverse("linkedin")


@pytest.fixture
def ends_in(monkeypatch, settings):
    """Lets the version in use end so many days from today."""

    def end(days: int) -> None:
        settings.LINKEDIN_API_URL = settings.LINKEDIN_REAL_URL
        monkeypatch.setitem(
            versions.SUNSETS, "202609", timezone.localdate() + timedelta(days=days)
        )

    return end


@pytest.mark.parametrize(
    ("days", "tone", "words"),
    [
        (60, "wait", "in 60 days."),
        (30, "wait", "in 30 days."),
        (7, "bad", "in 7 days."),
        (1, "bad", "tomorrow."),
        (0, "bad", "LinkedIn switched off API version 202609"),
    ],
)
def test_every_page_tells_admins_of_its_end(
    client_as, admin, ends_in, days, tone, words
) -> None:
    ends_in(days)

    page = client_as(admin).get(LEADS).content.decode()

    assert f'<div class="banner {tone}">' in page
    assert words in page
    assert (
        "The operator of LeadMachine must set LINKEDIN_API_VERSION to a newer version."
        in page
    )


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (60, "on 1 October 2027 at the earliest, in 60 days."),
        (1, "on 1 October 2027 at the earliest, tomorrow."),
        (
            -20,
            "LinkedIn switches off API version 202610 on 1 October 2027 at the earliest: it may end any day.",
        ),
    ],
)
def test_so_it_does_of_a_version_that_the_table_does_not_know(
    client_as, admin, settings, monkeypatch, days, words
) -> None:
    settings.LINKEDIN_API_URL, settings.LINKEDIN_API_VERSION = (
        settings.LINKEDIN_REAL_URL,
        "202610",
    )
    monkeypatch.setattr(
        timezone, "localdate", lambda: date(2027, 10, 1) - timedelta(days=days)
    )

    page = client_as(admin).get(LEADS).content.decode()

    assert words in page
    assert [message.id for message in checks.api_version()] == ["capi.W106"]


def test_61_days_before_there_is_nothing_to_tell(client_as, admin, ends_in) -> None:
    ends_in(61)

    assert 'class="banner' not in client_as(admin).get(LEADS).content.decode()


def test_sales_can_not_see_to_it_and_are_not_bothered(
    client_as, sales, ends_in
) -> None:
    ends_in(7)

    assert 'class="banner' not in client_as(sales).get(LEADS).content.decode()


def test_a_token_that_ends_soon_is_told_the_same_way(
    client_as, admin, connected, settings
) -> None:
    settings.LINKEDIN_API_URL = settings.LINKEDIN_REAL_URL
    Connection.objects.update(
        token_expires_on=timezone.localdate() + timedelta(days=14)
    )

    page = client_as(admin).get(LEADS).content.decode()

    assert '<div class="banner wait">' in page
    assert "The access token expires on" in page


@pytest.mark.parametrize(
    ("days", "found"), [(61, []), (60, ["capi.W106"]), (-1, ["capi.W106"])]
)
def test_the_system_checks_warn_of_its_end(ends_in, days, found) -> None:
    ends_in(days)

    assert [message.id for message in checks.api_version()] == found


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("202405", ["capi.W106"]),
        ("202610", []),
        ("203001", []),
        ("latest", ["capi.E105"]),
    ],
)
def test_a_newer_version_than_the_table_holds_is_fine_and_an_older_one_is_not(
    settings, version, found
) -> None:
    settings.LINKEDIN_API_VERSION = version

    assert [message.id for message in checks.api_version()] == found


@pytest.mark.parametrize(
    ("version", "today", "left"),
    [
        ("202609", date(2027, 9, 14), 1),
        ("202609", date(2027, 9, 15), 0),
        ("202511", date(2026, 11, 25), -9),
        ("202610", date(2027, 9, 25), 6),
    ],
)
def test_the_days_left_are_counted_to_the_day_of_the_sunset(
    version, today, left
) -> None:
    end = end_of_version(version, today)

    assert end is not None
    assert (end.days_left, end.is_certain) == (left, version != "202610")


def test_a_retired_version_holds_everything_burns_nothing_and_goes_on_with_the_next(
    client_as, admin, company, connected, sandbox, make_rule, settings
) -> None:
    settings.LINKEDIN_API_VERSION = "202511"  # retired on 16 November 2026
    make_rule()
    web = client_as(admin)
    for number in range(5):
        make_lead(company, first_name=f"Lead {number}")

    send_all(company)
    make_lead(company, first_name="Later")
    send_all(company)
    held = web.get(PAGE).content.decode()

    assert requests_made(sandbox) == [426]
    assert states(company) == ["pending"] * 6
    assert set(ConversionEvent.objects.values_list("attempts", flat=True)) == {0}
    assert (
        "LinkedIn says 426: it has retired the API version that LeadMachine uses."
        in held
    )
    assert (
        "The operator of LeadMachine must set LINKEDIN_API_VERSION to a newer version."
        in held
    )
    assert "6 events are on hold" in held
    assert "LinkedIn says 426" in web.get(LEADS).content.decode()

    settings.LINKEDIN_API_VERSION = "202609"
    assert sweep.due_companies() == [company.pk]
    send_all(company)

    ids = list(
        ConversionEvent.objects.order_by("pk").values_list("event_id", flat=True)
    )
    assert [element["eventId"] for element in received(sandbox)] == ids
    assert states(company) == ["accepted"] * 6
    assert "LinkedIn says 426" not in web.get(LEADS).content.decode()


def test_the_command_line_lets_it_go_on_too(
    company, connected, sandbox, make_rule, settings, capsys
) -> None:
    settings.LINKEDIN_API_VERSION = "202511"
    make_rule()
    make_lead(company)
    call_command("deliver")
    settings.LINKEDIN_API_VERSION = "202609"

    call_command("deliver")

    assert states(company) == ["accepted"]
    assert requests_made(sandbox) == [426, 201]
