"""The daily check-up: each connected company once a day, the newest result kept."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from capi import services
from capi.diagnostics import checkups
from capi.diagnostics.checkups import check_up, check_up_due
from capi.models import Checkup, Connection
from crm.models import Company
from leadmachine.timers import Watcher
from tests.conftest import TOKEN

pytestmark = pytest.mark.django_db


@pytest.fixture
def connected_companies(company, other_company) -> None:
    for each in (company, other_company):
        services.save_token(company=each, token=TOKEN)


def checked() -> list[str]:
    """The slugs of the companies with a check-up in the last hour."""
    fresh = Checkup.objects.filter(ran_at__gt=Now() - timedelta(hours=1))
    return sorted(fresh.values_list("company__slug", flat=True))


def test_the_newest_result_takes_the_place_of_the_former(company) -> None:
    check_up(company)
    services.save_token(company=company, token=TOKEN)
    check_up(company)

    found = {
        finding["check"]: finding["level"] for finding in Checkup.objects.get().findings
    }
    assert found["token"] == "green"


def test_every_connected_company_is_checked(connected_companies) -> None:
    check_up_due(seconds=60)

    assert checked() == ["contoso", "northwind"]


def test_one_that_was_checked_within_the_day_is_left_alone(
    connected_companies, company, other_company
) -> None:
    Checkup.objects.create(company=company, findings=["untouched"])
    Checkup.objects.create(
        company=other_company, ran_at=Now() - timedelta(hours=24, minutes=1)
    )

    check_up_due(seconds=60)

    assert Checkup.objects.get(company=company).findings == ["untouched"]
    assert len(Checkup.objects.get(company=other_company).findings) >= 10


def test_companies_without_a_connection_and_closed_ones_are_left_out(
    connected_companies, company
) -> None:
    Company.objects.create(name="Fabrikam", slug="fabrikam")
    Company.objects.filter(slug="contoso").update(is_active=False)

    check_up_due(seconds=60)

    assert checked() == ["northwind"]


def test_a_turn_ends_when_its_time_is_up(connected_companies) -> None:
    check_up_due(seconds=0)

    assert checked() == []


def test_what_one_worker_is_at_no_other_does(connected_companies, monkeypatch) -> None:
    examine, examined = checkups.examine, []

    def while_another_worker_looks(company, **asked):
        examined.append(company.slug)
        check_up_due(seconds=60)
        return examine(company, **asked)

    monkeypatch.setattr(checkups, "examine", while_another_worker_looks)

    check_up_due(seconds=60)

    assert sorted(examined) == ["contoso", "northwind"]
    assert checked() == ["contoso", "northwind"]


@pytest.mark.parametrize(("minutes", "is_tried"), [(59, False), (61, True)])
def test_one_whose_worker_was_ended_is_tried_again_in_an_hour(
    connected_companies, minutes, is_tried
) -> None:
    Connection.objects.filter(company__slug="contoso").update(
        checkup_claimed_at=Now() - timedelta(minutes=minutes)
    )

    check_up_due(seconds=60)

    assert ("contoso" in checked()) == is_tried
    assert "northwind" in checked()


def test_one_that_fails_does_not_keep_the_others_waiting(
    connected_companies, company, monkeypatch, caplog
) -> None:
    examine = checkups.examine
    monkeypatch.setattr(
        checkups,
        "examine",
        lambda each, **_: 1 / 0 if each == company else examine(each),
    )

    check_up_due(seconds=60)

    assert checked() == ["contoso"]
    assert f"The check-up of company {company.pk} failed" in caplog.text


def test_a_check_up_changes_nothing_of_the_line(connected_companies, company) -> None:
    before = Connection.objects.values().get(company=company)

    check_up(company)

    assert Connection.objects.values().get(company=company) == before


def test_the_worker_s_timer_does_it_once_its_sweep_left_a_sign_of_life(
    connected_companies,
) -> None:
    watcher = Watcher()

    watcher.round(0)
    before = checked()
    watcher.round(1)

    assert before == []
    assert checked() == ["contoso", "northwind"]
