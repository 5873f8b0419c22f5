"""A person whom any cell or row of a file says not to share is not shared."""

from typing import Any

import pytest
from django.urls import reverse

from capi.models import ConversionEvent
from crm.data_exchange.importing import storing
from crm.data_exchange.importing.column_readings import ColumnReading
from crm.models import Lead, Membership
from crm.services import lead_imports
from tests.conftest import make_lead
from tests.crm.data_exchange.importing.uploading import run, upload

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rule(token: Any, make_rule: Any) -> Any:
    return make_rule("lead_created")


def shared() -> dict[str, bool]:
    return dict(Lead.objects.values_list("email", "share_with_ad_platforms"))


def sent() -> list[str]:
    """The addresses of the leads about which something will be sent."""
    return list(
        ConversionEvent.objects.filter(state="pending")
        .values_list("lead__email", flat=True)
        .order_by("pk")
    )


@pytest.mark.parametrize(
    "text",
    [
        "First name,Email,Consent,Optout\nA,a@example.com,no,no\nB,b@example.com,yes,yes\nC,c@example.com,yes,no\n",
        "First name,Email,Optout,Consent\nA,a@example.com,no,no\nB,b@example.com,yes,yes\nC,c@example.com,no,yes\n",
    ],
)
def test_of_two_columns_about_sharing_the_one_that_says_no_counts(
    sales: Membership, client_as: Any, rule: Any, text: str
) -> None:
    known = make_lead(sales.company, first_name="A", email="a@example.com")
    checked = upload(sales, text)
    assert checked.planned["lead_created"] == 1
    page = (
        client_as(sales).get(reverse("lead_import", args=[checked.pk])).content.decode()
    )
    assert (page.count("<bdi>Not shared</bdi>"), page.count("<bdi>Shared</bdi>")) == (
        4,
        2,
    )

    run(checked, sales, tells_platforms=True)

    assert shared() == {
        known.email: False,
        "b@example.com": False,
        "c@example.com": True,
    }
    assert sent() == ["c@example.com"]


ROWS = "First name,Email,Optout\nA,a@example.com,no\nB,b@example.com,\nC,c@example.com,no\nB,B@example.com,yes\n"
ROWS += "A,a@example.com,yes\nK,k@example.com,no\nK,k@example.com,yes\n"


@pytest.mark.parametrize("chunk", [1, 2, 100])
@pytest.mark.parametrize("checked_while_read", [10.0, 0.0])
def test_an_opt_out_in_any_row_about_a_person_counts(
    sales: Membership,
    monkeypatch: pytest.MonkeyPatch,
    rule: Any,
    chunk: int,
    checked_while_read: float,
) -> None:
    monkeypatch.setattr(storing, "CHUNK", chunk)
    monkeypatch.setattr(storing, "CHECKED_WHILE_READ", checked_while_read)
    known = make_lead(sales.company, first_name="K", email="k@example.com")
    checked = upload(sales, ROWS)
    assert (
        checked.planned["lead_created"],
        checked.planned["update"],
        checked.planned["duplicate"],
    ) == (1, 1, 3)

    done = run(checked, sales, tells_platforms=True)

    assert done.done == checked.planned
    assert shared() == {
        known.email: False,
        "a@example.com": False,
        "b@example.com": False,
        "c@example.com": True,
    }
    assert sent() == ["c@example.com"]


def test_the_preview_shows_an_opt_out_of_another_row(
    sales: Membership, client_as: Any
) -> None:
    checked = upload(sales, ROWS)

    page = (
        client_as(sales).get(reverse("lead_import", args=[checked.pk])).content.decode()
    )

    assert (page.count("<bdi>Not shared</bdi>"), page.count("<bdi>Shared</bdi>")) == (
        6,
        1,
    )


def test_columns_that_are_chosen_later_say_who_is_shared(
    sales: Membership, rule: Any
) -> None:
    checked = upload(sales, ROWS.replace("Optout", "Newsletter"))
    assert checked.planned["lead_created"] == 4

    columns = [*checked.columns[:2], "consent"]
    changed = lead_imports.map_columns(lead_import=checked, columns=columns)
    # Only K's second row says yes, and the first one says no.
    assert changed.planned["lead_created"] == 1
    columns[2] = "opted_out"
    changed = lead_imports.map_columns(lead_import=checked, columns=columns)
    assert changed.planned["lead_created"] == 1
    run(changed, sales, tells_platforms=True)

    assert sent() == ["c@example.com"]


def test_an_opt_out_in_a_bad_row_counts(sales: Membership, rule: Any) -> None:
    checked = upload(
        sales,
        "Name,Email,Status,Optout\nAda,a@example.com,New,no\nAda,a@example.com,Hot,yes\n",
    )
    readings = [
        ColumnReading(),
        ColumnReading(),
        ColumnReading(otherwise="row"),
        ColumnReading(),
    ]
    changed = lead_imports.map_columns(
        lead_import=checked, columns=checked.columns, readings=readings
    )

    done = run(changed, sales, tells_platforms=True)

    assert (done.done["new"], done.done["bad"], sent()) == (1, 1, [])
    assert shared() == {"a@example.com": False}
