"""The daily check-up: each connected company once a day, the newest result kept."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from capi import checkups, services, tasks
from capi.checkups import check_up, check_up_due
from capi.models import Checkup, Connection
from crm.models import Company
from tests.conftest import TOKEN

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


@pytest.fixture
def connected_companies(company, other_company) -> None:
    for each in (company, other_company):
        services.save_token(company=each, token=TOKEN)


def checked() -> list[str]:
    """Whose check-up is of the last hour."""
    fresh = Checkup.objects.filter(ran_at__gt=Now() - timedelta(hours=1))
    return sorted(fresh.values_list("company__slug", flat=True))


def test_the_newest_result_takes_the_place_of_the_former(company) -> None:
    check_up(company)
    services.save_token(company=company, token=TOKEN)
    check_up(company)

    found = {finding["check"]: finding["level"] for finding in Checkup.objects.get().findings}
    assert found["token"] == "green"


def test_every_connected_company_is_checked(connected_companies) -> None:
    left = check_up_due(seconds=60)

    assert not left
    assert checked() == ["contoso", "northwind"]


def test_one_that_was_checked_within_the_day_is_left_alone(connected_companies, company, other_company) -> None:
    Checkup.objects.create(company=company, findings=["untouched"])
    Checkup.objects.create(company=other_company, ran_at=Now() - timedelta(hours=23, minutes=31))

    check_up_due(seconds=60)

    assert Checkup.objects.get(company=company).findings == ["untouched"]
    assert len(Checkup.objects.get(company=other_company).findings) >= 10


def test_companies_without_a_connection_and_closed_ones_are_left_out(connected_companies, company) -> None:
    Company.objects.create(name="Fabrikam", slug="fabrikam")
    Company.objects.filter(slug="contoso").update(is_active=False)

    check_up_due(seconds=60)

    assert checked() == ["northwind"]


def test_a_turn_ends_when_its_time_is_up_and_says_that_some_are_left(connected_companies) -> None:
    left = check_up_due(seconds=0)

    assert left
    assert checked() == []


def test_one_that_fails_does_not_keep_the_others_waiting(connected_companies, company, monkeypatch, caplog) -> None:
    examine = checkups.examine
    monkeypatch.setattr(checkups, "examine", lambda each: 1 / 0 if each == company else examine(each))

    left = check_up_due(seconds=60)

    assert not left
    assert checked() == ["contoso"]
    assert f"The check-up of company {company.pk} failed" in caplog.text


def test_a_check_up_changes_nothing_of_the_line(connected_companies, company) -> None:
    before = Connection.objects.values().get(company=company)

    check_up(company)

    assert Connection.objects.values().get(company=company) == before


def test_the_hourly_task_goes_on_with_a_message_to_itself_only_while_some_are_left(monkeypatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(tasks.check_up, "apply_async", lambda **options: asked.append(options))

    for left in (True, False):
        monkeypatch.setattr(checkups, "check_up_due", lambda seconds, left=left: left)
        tasks.check_up()

    assert asked == [{"retry": False}]
