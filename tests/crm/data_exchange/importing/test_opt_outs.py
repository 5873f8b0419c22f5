"""A person whom any cell or row of a file says not to share is not shared."""

from typing import Any

import pytest
from django.urls import reverse

from capi.models import ConversionEvent
from crm.models import Lead, Membership
from tests.conftest import make_lead
from tests.crm.data_exchange.importing.uploading import run, upload

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]


@pytest.fixture
def rule(token: Any, make_rule: Any) -> Any:
    return make_rule("lead_created")


def shared() -> dict[str, bool]:
    return dict(Lead.objects.values_list("email", "share_with_ad_platforms"))


def sent() -> list[str]:
    """The addresses of the leads about which something will be sent."""
    return list(ConversionEvent.objects.filter(state="pending").values_list("lead__email", flat=True).order_by("pk"))


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
    page = client_as(sales).get(reverse("lead_import", args=[checked.pk])).content.decode()
    assert (page.count("<bdi>Not shared</bdi>"), page.count("<bdi>Shared</bdi>")) == (4, 2)

    run(checked, sales, tells_platforms=True)

    assert shared() == {known.email: False, "b@example.com": False, "c@example.com": True}
    assert sent() == ["c@example.com"]
