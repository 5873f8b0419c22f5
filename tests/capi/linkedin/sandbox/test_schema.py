"""What is refused in one event, and in which words."""

from datetime import timedelta

import pytest

from tests.capi.linkedin.sandbox.speaking import (
    EMAIL,
    NOW,
    answer,
    event,
    milliseconds,
    send,
)

ONE_ID = {"idType": "SHA256_EMAIL", "idValue": EMAIL}


def user(*ids, **fields):
    return {"userIds": list(ids), **fields}


def test_a_good_event_is_created_with_an_empty_body():
    reply = send(event())

    assert (reply.status, reply.body) == (201, b"")
    assert reply.headers["Location"].removeprefix("/conversionEvents/").isdigit()


@pytest.mark.parametrize(
    "good",
    [
        event(eventId=None),
        event(conversionValue=None),
        event(conversionValue={"currencyCode": "NONSENSE", "amount": "5"}),
        event(conversionValue={"currencyCode": "EUR", "amount": "-0.10"}),
        event(conversionHappenedAt=milliseconds(NOW)),
        event(conversionHappenedAt=milliseconds(NOW - timedelta(days=90))),
        # Real LinkedIn accepts it too.
        event(user=user({"idType": "SHA256_EMAIL", "idValue": "not a hash at all"})),
        event(user=user({"idType": "GOOGLE_AID", "idValue": "x"})),
        event(
            user=user(
                userInfo={"firstName": "Ada", "lastName": "Byron", "title": "Countess"}
            )
        ),
        event(
            user=user(ONE_ID, userInfo={"hashedFirstName": "x", "hashedLastName": "y"})
        ),
        event(user=user(externalIds=["crm-1"])),
        event(user=user(lead="urn:li:leadGenFormResponse:9")),
    ],
)
def test_what_linkedin_takes_is_taken(good):
    reply = send(good)

    assert answer(reply) == (201, None)


MISSING = "field is required but not found and has no default value"
UNKNOWN = "unrecognized field found but not allowed"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (event(conversion=None), f"/conversion :: {MISSING}"),
        (event(conversionHappenedAt=None), f"/conversionHappenedAt :: {MISSING}"),
        (event(user=None), f"/user :: {MISSING}"),
        (event(user={}), f"/user/userIds :: {MISSING}"),
        (
            event(user=user({"idType": "SHA256_EMAIL"})),
            f"/user/userIds/0/idValue :: {MISSING}",
        ),
        (event(user=user({"idValue": "x"})), f"/user/userIds/0/idType :: {MISSING}"),
        (
            event(conversionValue={"currencyCode": "EUR"}),
            f"/conversionValue/amount :: {MISSING}",
        ),
        (
            event(conversionValue={"amount": "1"}),
            f"/conversionValue/currencyCode :: {MISSING}",
        ),
        (
            event(conversionValue={"currencyCode": "EUR", "amount": 19.9}),
            "/conversionValue/amount :: 19.9 cannot be coerced to String",
        ),
        (
            event(conversionValue={"currencyCode": "EUR", "amount": "1E+3"}),
            '/conversionValue/amount :: "1E+3" is not a decimal number',
        ),
        (event(eventId=7), "/eventId :: 7 cannot be coerced to String"),
        (event(eventId=["a"]), '/eventId :: ["a"] cannot be coerced to String'),
        (
            event(conversionHappenedAt="1764061200000"),
            "/conversionHappenedAt :: 1764061200000 cannot be coerced to Long",
        ),
        (
            event(conversionHappenedAt=1764061200.5),
            "/conversionHappenedAt :: 1764061200.5 cannot be coerced to Long",
        ),
        (
            event(conversionHappenedAt=True),
            "/conversionHappenedAt :: true cannot be coerced to Long",
        ),
        (
            event(conversionHappenedAt=2**63),
            "/conversionHappenedAt :: 9223372036854775808 cannot be coerced to Long",
        ),
        (
            event(conversion="urn:li:llaPartnerConversion:1"),
            '/conversion :: "urn:li:llaPartnerConversion:1" has an invalid URN prefix, '
            'expected "urn:lla:llaPartnerConversion:"',
        ),
        (
            event(conversion="104012"),
            '/conversion :: "104012" has an invalid URN prefix, expected "urn:lla:llaPartnerConversion:"',
        ),
        (
            event(conversion="urn:lla:llaPartnerConversion:10a"),
            '/conversion :: "urn:lla:llaPartnerConversion:10a" has an invalid URN id',
        ),
        (
            event(conversion="urn:lla:llaPartnerConversion:"),
            '/conversion :: "urn:lla:llaPartnerConversion:" has an invalid URN id',
        ),
        (event(conversion=104012), "/conversion :: 104012 cannot be coerced to String"),
        (
            event(user=user({"idType": "PHONE", "idValue": "1"})),
            '/user/userIds/0/idType :: "PHONE" is not an enum symbol',
        ),
        (
            event(user=user({"idType": "AXCIOM_ID", "idValue": "1"})),
            '/user/userIds/0/idType :: "AXCIOM_ID" is not an enum symbol',
        ),
        (
            event(user=user({"idType": 1, "idValue": "1"})),
            "/user/userIds/0/idType :: enum type is not backed by a String",
        ),
        (
            event(user=user(ONE_ID, {"idType": "SHA256_EMAIL", "idValue": None})),
            "/user/userIds/1/idValue :: null cannot be coerced to String",
        ),
        (
            event(user={"userIds": {}}),
            "/user/userIds :: array type is not backed by a DataList",
        ),
        (event(user=[]), "/user :: record type is not backed by a DataMap"),
        (
            event(conversionValue="5"),
            "/conversionValue :: record type is not backed by a DataMap",
        ),
        (event(email="ada@example.com"), f"/email :: {UNKNOWN}"),
        (event(elements=[event()]), f"/elements :: {UNKNOWN}"),
        (event(user=user(ONE_ID, phone="1")), f"/user/phone :: {UNKNOWN}"),
        (
            event(user=user(ONE_ID | {"note": "x"})),
            f"/user/userIds/0/note :: {UNKNOWN}",
        ),
        (
            event(conversionValue={"currencyCode": "EUR", "amount": "1", "tax": "0"}),
            f"/conversionValue/tax :: {UNKNOWN}",
        ),
        (
            event(user=user(ONE_ID, userInfo={"email": "x"})),
            f"/user/userInfo/email :: {UNKNOWN}",
        ),
        ([event()], " :: record type is not backed by a DataMap"),
        ("event", " :: record type is not backed by a DataMap"),
    ],
)
def test_an_event_that_departs_from_the_schema_is_refused(bad, said):
    reply = send(bad)

    assert answer(reply) == (422, {"message": f"ERROR :: {said}\n", "status": 422})


def test_all_schema_errors_are_told_at_once():
    bad = event(
        conversionValue={"currencyCode": "EUR", "amount": 19.9}, eventId=7, user={}
    )

    reply = send(bad)

    assert answer(reply) == (
        422,
        {
            "message": "ERROR :: /eventId :: 7 cannot be coerced to String\n"
            "ERROR :: /conversionValue/amount :: 19.9 cannot be coerced to String\n"
            "ERROR :: /user/userIds :: field is required but not found and has no default value\n",
            "status": 422,
        },
    )


def test_a_batch_body_without_the_batch_header_is_an_unknown_field():
    reply = send({"elements": [event()]})

    status, said = answer(reply)
    assert (status, said["message"].splitlines()[0]) == (
        422,
        f"ERROR :: /elements :: {UNKNOWN}",
    )


def test_hashed_names_came_with_202609():
    bad = event(user=user(ONE_ID, userInfo={"hashedFirstName": "x"}))

    reply = send(bad, linkedin_version="202608")

    assert answer(reply) == (
        422,
        {
            "message": f"ERROR :: /user/userInfo/hashedFirstName :: {UNKNOWN}\n",
            "status": 422,
        },
    )


@pytest.mark.parametrize(
    ("nobody", "version"),
    [
        (user(), "202609"),
        (user(userInfo={"companyName": "Example"}), "202609"),
        (user(ONE_ID, userInfo={"firstName": "Ada"}), "202609"),
        (user(lead="urn:li:leadGenFormResponse:9"), "202604"),
    ],
)
def test_an_event_about_nobody_is_refused(nobody, version):
    reply = send(event(user=nobody), linkedin_version=version)

    assert answer(reply) == (
        400,
        {
            "status": 400,
            "code": "INVALID_USER_IDENTIFICATION_FIELD_VALUE",
            "message": "User identification is missing or incomplete, indices [0] (0-indexed).",
        },
    )


@pytest.mark.parametrize(
    "time",
    [
        milliseconds(NOW) + 1,
        milliseconds(NOW - timedelta(days=90)) - 1,
        milliseconds(NOW) // 1000,  # seconds
        0,
        -1,
    ],
)
def test_a_time_outside_the_last_90_days_is_refused(time):
    reply = send(event(conversionHappenedAt=time))

    assert answer(reply) == (
        400,
        {
            "message": "Conversion time should be within 90 days and not exceed current time, indices [0] (0-indexed).",
            "status": 400,
        },
    )
