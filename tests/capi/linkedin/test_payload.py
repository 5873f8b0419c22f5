import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capi.linkedin.payload import Conversion, build, encode, fitting, most_in, problem

HASH = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"
NOON = datetime(2025, 11, 25, 12, 0, tzinfo=UTC)
NINETY_DAYS = timedelta(days=90)

DEAL_WON = Conversion(
    linkedin_id="104012",
    happened_at=datetime(2025, 11, 25, 9, 0, tzinfo=UTC),
    event_id="lm-deal_won-7f0c2c1e",
    email_sha256=HASH,
    amount=Decimal("1250.00"),
    currency="EUR",
)
LEAD_CREATED = DEAL_WON._replace(event_id="lm-lead_created-1", amount=None, currency="")

any_conversion = st.builds(
    Conversion,
    linkedin_id=st.text(max_size=19),
    happened_at=st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
    ),
    event_id=st.text(max_size=64),
    email_sha256=st.text(max_size=64),
    amount=st.one_of(st.none(), st.decimals(allow_nan=False, allow_infinity=False)),
    currency=st.text(max_size=3),
)


def test_a_deal_goes_out_with_its_value_as_a_decimal_string():
    assert build(DEAL_WON) == {
        "conversion": "urn:lla:llaPartnerConversion:104012",
        "conversionHappenedAt": 1764061200000,
        "eventId": "lm-deal_won-7f0c2c1e",
        "conversionValue": {"currencyCode": "EUR", "amount": "1250.00"},
        "user": {"userIds": [{"idType": "SHA256_EMAIL", "idValue": HASH}]},
    }


@pytest.mark.parametrize(
    "without_value",
    [LEAD_CREATED, DEAL_WON._replace(currency=""), DEAL_WON._replace(amount=None)],
)
def test_without_both_amount_and_currency_there_is_no_value_at_all(without_value):
    assert set(build(without_value)) == {
        "conversion",
        "conversionHappenedAt",
        "eventId",
        "user",
    }


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("0", "0.00"),
        ("0.10", "0.10"),
        ("1E+3", "1000.00"),
        ("1E-7", "0.00"),
        ("9999999999999.99", "9999999999999.99"),
    ],
)
def test_an_amount_is_written_without_an_exponent(amount, written):
    assert (
        build(DEAL_WON._replace(amount=Decimal(amount)))["conversionValue"]["amount"]
        == written
    )


def test_the_time_is_in_whole_milliseconds_and_never_later_than_it_was():
    late_in_its_millisecond = DEAL_WON._replace(
        happened_at=datetime(2025, 11, 25, 9, 0, 0, 123999, tzinfo=UTC)
    )

    assert build(late_in_its_millisecond)["conversionHappenedAt"] == 1764061200123


def test_one_conversion_is_encoded_as_the_bare_element():
    assert encode([LEAD_CREATED]) == (
        b'{"conversion":"urn:lla:llaPartnerConversion:104012","conversionHappenedAt":1764061200000,'
        b'"eventId":"lm-lead_created-1","user":{"userIds":[{"idType":"SHA256_EMAIL","idValue":"'
        + HASH.encode()
        + b'"}]}}'
    )


def test_more_than_one_are_encoded_as_elements_in_their_order():
    body = encode([DEAL_WON, LEAD_CREATED])

    assert json.loads(body) == {"elements": [build(DEAL_WON), build(LEAD_CREATED)]}
    assert (
        body
        == b'{"elements":[' + encode([DEAL_WON]) + b"," + encode([LEAD_CREATED]) + b"]}"
    )


@given(any_conversion)
def test_the_quick_encoding_is_exactly_that_of_json_dumps(conversion):
    assert (
        encode([conversion])
        == json.dumps(build(conversion), separators=(",", ":")).encode()
    )


@given(st.lists(any_conversion, min_size=2, max_size=5))
def test_the_quick_encoding_of_a_batch_is_exactly_that_of_json_dumps(conversions):
    expected = {"elements": [build(conversion) for conversion in conversions]}

    assert encode(conversions) == json.dumps(expected, separators=(",", ":")).encode()


@given(
    conversions=st.lists(any_conversion, min_size=1, max_size=12),
    limit=st.integers(0, 5000),
)
def test_as_many_fit_as_their_body_is_no_longer_than_the_limit_but_at_least_one(
    conversions, limit
):
    count = fitting(conversions, limit=limit)

    assert 1 <= count <= len(conversions)
    assert count == 1 or len(encode(conversions[:count])) <= limit
    assert (
        count == len(conversions)
        or len(encode(conversions[: max(2, count + 1)])) > limit
    )


def test_no_more_are_read_for_a_limit_than_the_shortest_that_it_could_hold():
    shortest = LEAD_CREATED._replace(
        linkedin_id="1", event_id="e", happened_at=datetime(2001, 9, 9, 2, tzinfo=UTC)
    )

    for limit in (1000, 131_072, 1_000_000):
        assert (
            fitting([shortest] * 5000, limit=limit)
            <= most_in(limit)
            <= 1.2 * limit / len(encode([shortest]))
        )


def test_a_sound_conversion_has_no_problem():
    assert problem(DEAL_WON, now=NOON, max_age=NINETY_DAYS) is None


@pytest.mark.parametrize("happened_at", [NOON, NOON - NINETY_DAYS])
def test_the_ends_of_the_ninety_days_are_still_sound(happened_at):
    assert (
        problem(
            DEAL_WON._replace(happened_at=happened_at), now=NOON, max_age=NINETY_DAYS
        )
        is None
    )


@pytest.mark.parametrize(
    "linkedin_id",
    [
        "",
        "0",
        "-1",
        "12a",
        "1 2",
        "urn:lla:llaPartnerConversion:1",
        "1\n",
        "١٢",
        "1" * 20,
    ],
)
def test_a_rule_id_that_is_no_number_is_a_problem(linkedin_id):
    found = problem(
        DEAL_WON._replace(linkedin_id=linkedin_id), now=NOON, max_age=NINETY_DAYS
    )

    assert found == "The LinkedIn rule id is not a number."


@pytest.mark.parametrize(
    "email_sha256",
    ["", "ada@example.com", HASH.upper(), HASH[:-1], HASH + "0", HASH + "\n"],
)
def test_anything_but_a_lower_case_hash_is_a_problem(email_sha256):
    found = problem(
        DEAL_WON._replace(email_sha256=email_sha256), now=NOON, max_age=NINETY_DAYS
    )

    assert found == "The e-mail hash is not 64 lower-case hex digits."


@pytest.mark.parametrize("event_id", ["", "x" * 65])
def test_an_event_id_that_is_empty_or_too_long_is_a_problem(event_id):
    found = problem(DEAL_WON._replace(event_id=event_id), now=NOON, max_age=NINETY_DAYS)

    assert found == "The event id is empty or longer than 64 characters."


def test_the_future_is_a_problem():
    found = problem(
        DEAL_WON._replace(happened_at=NOON + timedelta(microseconds=1)),
        now=NOON,
        max_age=NINETY_DAYS,
    )

    assert found == "The conversion is in the future."


def test_more_than_ninety_days_ago_is_a_problem():
    found = problem(
        DEAL_WON._replace(happened_at=NOON - NINETY_DAYS - timedelta(microseconds=1)),
        now=NOON,
        max_age=NINETY_DAYS,
    )

    assert found == "The conversion is older than 90 days."


@pytest.mark.parametrize("amount", ["NaN", "Infinity"])
def test_an_amount_that_is_no_number_is_a_problem(amount):
    found = problem(
        DEAL_WON._replace(amount=Decimal(amount)), now=NOON, max_age=NINETY_DAYS
    )

    assert found == "The amount is not a number."
