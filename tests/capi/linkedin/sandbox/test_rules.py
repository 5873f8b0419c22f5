"""The list of an ad account's conversion rules, as a Rest.li finder returns it."""

import pytest

from capi.linkedin.sandbox import scenarios
from capi.linkedin.sandbox.messages import IncomingRequest
from capi.linkedin.sandbox.validation import answer_to
from tests.capi.linkedin.sandbox.speaking import NOW, answer, headers

PATH = "/rest/conversions"
ACCOUNT = "account=urn%3Ali%3AsponsoredAccount%3A512345678"
QUERY = f"?q=account&{ACCOUNT}&start=0&count=100"


def ask(query=QUERY, *, path=PATH, method="GET", **changes):
    return answer_to(
        IncomingRequest(
            method, path + query, headers(**{"content_type": None} | changes), b""
        ),
        now=NOW,
    )


def of_account(account, **changes):
    return ask(QUERY.replace("512345678", account), **changes)


def test_the_rules_come_with_their_type_method_and_state():
    status, content = answer(ask())

    assert status == 200
    assert content["paging"] == {"start": 0, "count": 100, "links": [], "total": -1}
    assert [rule["id"] for rule in content["elements"]] == [
        104011, 104012, 104013, 104014, 104015, 104016, 104017, 104018, 400400, 400401, 104021, 104022,
    ]  # fmt: skip
    assert content["elements"][1] == {
        "account": "urn:li:sponsoredAccount:512345678",
        "attributionType": "LAST_TOUCH_BY_CAMPAIGN",
        "campaigns": [],
        "conversionMethod": "CONVERSIONS_API",
        "enabled": True,
        "id": 104012,
        "name": "Qualified lead",
        "postClickAttributionWindowSize": 30,
        "type": "QUALIFIED_LEAD",
        "viewThroughAttributionWindowSize": 7,
    }


def test_fields_that_are_asked_for_come_alone():
    _, content = answer(ask(f"{QUERY}&fields=id,name"))

    assert content["elements"][0] == {"id": 104011, "name": "Lead form sent"}


def test_pages_follow_start_and_count_and_a_page_has_ten_unless_told():
    _, second = answer(ask(f"?q=account&{ACCOUNT}&start=10&count=10"))
    _, first = answer(ask(f"?q=account&{ACCOUNT}"))

    assert [rule["id"] for rule in second["elements"]] == [104021, 104022]
    assert (len(first["elements"]), first["paging"]["count"]) == (10, 10)


def test_one_ad_account_has_250_rules():
    pages = [answer(of_account("250250", path=PATH))[1]["elements"]]
    pages += [
        answer(
            ask(
                QUERY.replace("512345678", "250250").replace(
                    "start=0", f"start={start}"
                )
            )
        )[1]["elements"]
        for start in (100, 200, 300)
    ]

    assert [len(page) for page in pages] == [100, 100, 50, 0]
    assert len({rule["id"] for page in pages for rule in page}) == 250


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"?{ACCOUNT}",
        f"?q=search&{ACCOUNT}",
        "?q=account",
        "?q=account&account=512345678",
        "?q=account&account=urn:li:sponsoredAccount:512345678",
        "?q=account&account=urn%3Ali%3AsponsoredAccount%3A",
        "?q=account&account=urn%3Ali%3AsponsoredAccount%3Aabc",
        f"?q=account&{ACCOUNT}&start=-1",
        f"?q=account&{ACCOUNT}&count=0",
        f"?q=account&{ACCOUNT}&count=ten",
    ],
)
def test_a_query_that_is_no_finder_is_refused(query):
    assert answer(ask(query)) == (
        400,
        {"message": "Invalid query parameters passed to request", "status": 400},
    )


@pytest.mark.parametrize("token", ["sendonly", "norole"])
def test_a_token_that_may_not_read_is_forbidden(token):
    reply = ask(authorization=f"Bearer demo-{token}-token")

    assert answer(reply) == (
        403,
        {
            "status": 403,
            "serviceErrorCode": 100,
            "code": "ACCESS_DENIED",
            "message": "Not enough permissions to access: conversions.FINDER-account",
        },
    )


def test_version_and_token_are_looked_at_as_for_events():
    assert answer(ask(linkedin_version=None))[1]["code"] == "VERSION_MISSING"
    assert ask(linkedin_version="202511").status == 426
    assert (
        answer(ask(authorization="Bearer revoked"))[1]["code"] == "REVOKED_ACCESS_TOKEN"
    )
    assert ask(authorization=None).status == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_rules_are_read_and_nothing_else(method):
    reply = ask(method=method, content_length="0")

    assert answer(reply) == (
        405,
        {"message": f"Method {method} is not allowed here", "status": 405},
    )


@pytest.mark.parametrize(
    ("account", "status", "body"),
    [
        ("403403", 403, b'{"message":"No ad accounts found","status":403}'),
        ("408408", None, b""),
        ("500500", 500, b'{"message":"Internal Server Error","status":500}'),
        ("503503", 503, scenarios.HTML.format("503 Service Unavailable").encode()),
    ],
)
def test_an_ad_account_chooses_the_answer(account, status, body):
    reply = of_account(account)

    assert (reply.status, reply.body) == (status, body)
