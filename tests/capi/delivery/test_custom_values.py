"""Custom fields are never sent to LinkedIn."""

from typing import Any

import pytest

from crm.models import Company
from crm.models.custom_field import FREE_TEXT
from tests.capi.conftest import received, send_all
from tests.conftest import make_deal, make_lead
from tests.crm.custom_values import KINDS, make_every_field

VALUES: dict[str, Any] = {
    **{kind: f"https://canary.example/{kind}" for kind in FREE_TEXT}, "number": "7319731", "money": "7319731.00",
    "date": "2731-07-19", "yes_no": True, "choice": "canary", "choices": ["canary"],
}  # fmt: skip
CANARIES = ("canary", "7319731", "2731-07-19", "yes_no")


@pytest.mark.django_db(transaction=True)
def test_no_custom_value_and_no_key_of_one_reaches_linkedin(
    company: Company, connected: Any, make_rule: Any, sandbox: Any
) -> None:
    assert set(VALUES) == set(KINDS)
    for subject in ("lead", "deal"):
        make_every_field(company, subject=subject, labels=[("", "Canary")])
    for kind in ("lead_created", "deal_created"):
        make_rule(kind)

    make_deal(make_lead(company, custom=VALUES), custom=VALUES)
    send_all(company)

    assert len(received(sandbox)) == 2
    ledger = sandbox.ledger.path.read_text()
    assert [canary for canary in CANARIES if canary in ledger.lower()] == []
