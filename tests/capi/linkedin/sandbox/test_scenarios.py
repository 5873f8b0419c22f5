"""Tokens and rule ids that choose the answer, each by exact status and body."""

import pytest

from capi.linkedin.sandbox import scenarios
from tests.capi.linkedin.sandbox.speaking import answer, event, rule, send

MINUTE = {
    "status": 429,
    "serviceErrorCode": 101,
    "code": "TOO_MANY_REQUESTS",
    "message": "Resource level throttle APPLICATION_AND_MEMBER MINUTE limit for calls to this resource is reached.",
}
DAY = MINUTE | {"message": MINUTE["message"].replace("MINUTE", "DAY")}
TROUBLE = {"message": "Internal Server Error", "status": 500}
DOWN = (
    b"<!DOCTYPE html><html><head><title>503 Service Unavailable</title></head>"
    b"<body><h1>503 Service Unavailable</h1></body></html>"
)

BY_TOKEN = {
    "revoked": (
        401,
        {
            "status": 401,
            "serviceErrorCode": 65601,
            "code": "REVOKED_ACCESS_TOKEN",
            "message": "The token used in the request has been revoked by the user",
        },
    ),
    "expired": (
        401,
        {
            "status": 401,
            "serviceErrorCode": 65602,
            "code": "EXPIRED_ACCESS_TOKEN",
            "message": "The token used in the request has expired",
        },
    ),
    "invalid": (
        401,
        {
            "status": 401,
            "serviceErrorCode": 65600,
            "code": "INVALID_ACCESS_TOKEN",
            "message": "Invalid access token",
        },
    ),
    "norole": (
        403,
        {
            "status": 403,
            "serviceErrorCode": 100,
            "code": "ACCESS_DENIED",
            "message": "Not enough permissions to access: conversionEvents.CREATE",
        },
    ),
    "throttled": (429, MINUTE),
    "daylimit": (429, DAY),
    "broken": (500, TROUBLE),
}

BY_RULE = {
    "400400": (
        400,
        {
            "message": "Conversion's method should be CONVERSIONS_API, indices [0] (0-indexed).",
            "status": 400,
        },
    ),
    "400401": (
        400,
        {
            "message": "Conversion is disabled, which counts as deleted, and must be enabled, indices [0] (0-indexed).",
            "status": 400,
        },
    ),
    "403403": (403, {"message": "No ad accounts found", "status": 403}),
    "404404": (404, {"message": "Could not find entity", "status": 404}),
    "408408": (None, None),
    "422422": (
        422,
        {
            "message": "ERROR :: /conversion :: conversion does not take this event\n",
            "status": 422,
        },
    ),
    "426426": (
        426,
        {
            "status": 426,
            "code": "NONEXISTENT_VERSION",
            "message": "Requested version 20260901 is not active",
        },
    ),
    "429429": (429, MINUTE),
    "400999": (400, {"message": "Bad Request"}),
    "500500": (500, TROUBLE),
}


@pytest.mark.parametrize(("sign", "expected"), BY_TOKEN.items())
def test_a_word_in_the_token_chooses_the_answer(sign, expected):
    reply = send(event(), authorization=f"Bearer demo-{sign}-token")

    assert answer(reply) == expected


@pytest.mark.parametrize(("sign", "expected"), BY_RULE.items())
def test_a_rule_id_chooses_the_answer(sign, expected):
    reply = send(rule(sign))

    assert answer(reply) == expected


@pytest.mark.parametrize(
    "reply",
    [send(event(), authorization="Bearer unavailable"), send(rule("503503"))],
    ids=["token", "rule"],
)
def test_an_unavailable_linkedin_answers_in_html(reply):
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (
        503,
        "text/html",
        DOWN,
    )


@pytest.mark.parametrize(
    ("reply", "status", "title"),
    [
        (send(event(), authorization="Bearer proxied"), 401, b"401 Unauthorized"),
        (send(rule("201999")), 201, b"Sign in"),
        (send(rule("403999")), 403, b"403 Forbidden"),
    ],
    ids=["proxy", "sign-in page", "firewall"],
)
def test_what_is_between_us_and_linkedin_answers_with_a_page(reply, status, title):
    assert (reply.status, reply.headers["Content-Type"]) == (status, "text/html")
    assert b"<title>%s</title>" % title in reply.body


def test_every_scenario_of_the_table_is_tested_here():
    triggers = {
        scenario.trigger for scenario in (*scenarios.TOKENS, *scenarios.REFUSING_RULES)
    }

    assert triggers == BY_TOKEN.keys() | BY_RULE.keys() | {
        "unavailable", "503503", "sendonly", "proxied", "201999", "403999"
    }  # fmt: skip


@pytest.mark.parametrize(
    "rule_id", ["1", "403", "4034030", "104012", "99999999999999999999"]
)
def test_every_other_rule_is_good(rule_id):
    reply = send(rule(rule_id))

    assert answer(reply) == (201, None)


def test_a_token_that_may_only_send_is_good_for_sending():
    reply = send(event(), authorization="Bearer demo-sendonly-token")

    assert answer(reply) == (201, None)


def test_a_bad_event_is_refused_before_its_rule_is_looked_up():
    reply = send(rule("403403") | {"eventId": 7})

    assert reply.status == 422
