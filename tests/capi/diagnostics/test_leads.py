"""The doctor on the leads: how many LinkedIn can be told about at all."""

import pytest

from capi.diagnostics import setup
from crm.services.erasure import erase_lead
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db


def finding(company):
    (found,) = setup.lead_findings(company)
    return found


def test_without_leads_there_is_nothing_to_tell(company, other_company) -> None:
    make_lead(other_company)

    found = finding(company)

    assert (found.level, found.sentence) == ("unknown", "There are no leads yet.")


@pytest.mark.parametrize(
    ("without", "level", "sentence"),
    [
        (0, "green", "100% of the newest 10 have one."),
        (3, "green", "70% of the newest 10 have one."),
        (4, "amber", "60% of the newest 10 have one."),
        (10, "amber", "0% of the newest 10 have one."),
    ],
)
def test_the_share_with_an_address_is_told(company, without, level, sentence) -> None:
    for number in range(10):
        make_lead(company, email="" if number < without else "ada@example.com")

    found = finding(company)

    assert (found.level, found.sentence) == (level, sentence)


@pytest.mark.django_db(transaction=True)
def test_only_the_newest_count_and_nobody_who_was_erased(company, monkeypatch) -> None:
    monkeypatch.setattr(setup, "NEWEST", 4)
    for _ in range(4):
        make_lead(company, email="")
    for _ in range(4):
        make_lead(company)
    erase_lead(lead=make_lead(company))

    assert finding(company).sentence == "100% of the newest 4 have one."
