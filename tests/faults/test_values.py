"""Odd names, addresses, amounts and moments: what is sent fits the schema, and is right (F62)."""

import calendar
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capi.linkedin.payload import Conversion, build
from capi.models import ConversionEvent
from crm.models import Stage
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import make_deal, make_lead
from tests.faults.invariants import broken

pytestmark = pytest.mark.faults

zones = st.integers(-12 * 60, 14 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
turns_of_the_year = st.sampled_from(
    [
        datetime(2025, 12, 31, 23, 59, 59, 999_999),
        datetime(2024, 2, 29, 23),
        datetime(2025, 3, 1),
        datetime(2038, 1, 20),
    ]
)


@given(
    moment=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)) | turns_of_the_year,
    zone=zones,
)
@pytest.mark.covers("F62")
def test_a_moment_is_the_same_millisecond_in_every_time_zone(moment, zone) -> None:
    there = moment.replace(tzinfo=zone)

    element = build(Conversion("104012", there, "lm-1", "a" * 64))

    utc = there.astimezone(UTC)
    assert (
        element["conversionHappenedAt"]
        == calendar.timegm(utc.timetuple()) * 1000 + utc.microsecond // 1000
    )


ADDRESSES = {
    "  Ada.Lovelace@Example.COM ": "ada.lovelace@example.com",
    "ada+crm@bücher.example": "ada+crm@bücher.example",
    "ADA@xn--bcher-kva.EXAMPLE": "ada@xn--bcher-kva.example",
    "Ame\u0301lie@example.com": "am\u00e9lie@example.com",
    "\u00a0ada@example.com\u2003": "ada@example.com",
    "\U0001f984@example.com": "\U0001f984@example.com",
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.covers("F62")
def test_odd_names_and_addresses_go_out_in_one_batch_as_the_hash_of_the_plain_address(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    for address in ADDRESSES:
        make_lead(
            company,
            first_name="\U0001f984" * 120,
            last_name="<b>'\"\\\u202e",
            email=address,
        )

    send_all(company)

    assert requests_made(sandbox) == [200]
    found = [element["user"]["userIds"][0]["idValue"] for element in received(sandbox)]
    assert found == [
        hashlib.sha256(plain.encode()).hexdigest() for plain in ADDRESSES.values()
    ]
    assert broken(sandbox.ledger.tail(10)) == []


AMOUNTS = [
    ("0.00", "EUR"),
    ("0.01", "USD"),
    ("1500.00", "JPY"),
    ("999999999999.99", "KWD"),
    (None, "EUR"),
    ("5.00", ""),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.representative
@pytest.mark.covers("F62")
def test_odd_amounts_are_taken_as_they_are_and_without_a_currency_there_is_no_value(
    company, connected, sandbox, make_rule
) -> None:
    make_rule("deal_won")
    won = Stage.objects.filter(company=company, meaning="won").first()
    for number, (amount, currency) in enumerate(AMOUNTS):
        lead = make_lead(company, email=f"ada{number}@example.com")
        make_deal(lead, amount=amount and Decimal(amount), currency=currency, stage=won)

    send_all(company)

    assert set(states(company)) == {"accepted"}
    assert requests_made(sandbox) == [200]
    values = [element.get("conversionValue") for element in received(sandbox)]
    assert values == [
        {"currencyCode": currency, "amount": amount} if amount and currency else None
        for amount, currency in AMOUNTS
    ]
    assert ConversionEvent.objects.count() == len(AMOUNTS)
    assert broken(sandbox.ledger.tail(10)) == []
