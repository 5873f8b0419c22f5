"""What stops a request before its event is checked."""

from datetime import UTC, datetime

import pytest

from capi.linkedin.sandbox.validation import answer_to
from tests.capi.linkedin.sandbox.speaking import (
    answer,
    event,
    milliseconds,
    received,
    send,
)


def test_a_request_without_a_version_is_refused_by_the_gateway():
    reply = send(event(), linkedin_version=None)

    assert answer(reply) == (
        400,
        {
            "status": 400,
            "code": "VERSION_MISSING",
            "message": "A version must be present. Please specify a version by adding the LinkedIn-Version header.",
        },
    )
    assert reply.headers["X-RestLi-Gateway-Error"] == "true"


@pytest.mark.parametrize(
    ("version", "named"),
    [
        ("202511", "20251101"),  # retired on 16 November 2026
        ("202402", "20240201"),
        ("202512", "20251201"),  # there never was one
        ("203001", "20300101"),
        ("2026-09", "2026-09"),
        ("latest", "latest"),
    ],
)
def test_a_retired_unknown_or_malformed_version_is_not_active(version, named):
    reply = send(event(), linkedin_version=version)

    assert answer(reply) == (
        426,
        {
            "status": 426,
            "code": "NONEXISTENT_VERSION",
            "message": f"Requested version {named} is not active",
        },
    )


def test_a_version_ends_on_its_sunset_day():
    eve = datetime(2027, 1, 14, 23, 59, tzinfo=UTC)
    day = datetime(2027, 1, 15, 0, 0, tzinfo=UTC)
    request = received(
        event(conversionHappenedAt=milliseconds(eve)), linkedin_version="202601"
    )

    statuses = [answer_to(request, now=eve).status, answer_to(request, now=day).status]

    assert statuses == [201, 426]


def test_the_version_is_looked_at_before_the_token():
    reply = send(event(), linkedin_version=None, authorization=None)

    assert reply.status == 400


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer   "])
def test_a_request_without_a_token_is_refused(authorization):
    reply = send(event(), authorization=authorization)

    assert answer(reply) == (
        401,
        {
            "status": 401,
            "code": "EMPTY_ACCESS_TOKEN",
            "message": "Empty oauth2 access token",
        },
    )


@pytest.mark.parametrize(
    "authorization", ["Basic Z29vZA==", "Bearer two words", "Bearer tökén"]
)
def test_what_is_no_bearer_token_is_invalid(authorization):
    reply = send(event(), authorization=authorization)

    assert answer(reply) == (
        401,
        {
            "status": 401,
            "serviceErrorCode": 65600,
            "code": "INVALID_ACCESS_TOKEN",
            "message": "Invalid access token",
        },
    )


@pytest.mark.parametrize(
    "path",
    ["/", "/conversionEvents", "/rest/conversionEvents/", "/rest/conversionEvents?a=1"],
)
def test_another_path_is_not_found(path):
    reply = send(event(), path=path)

    assert answer(reply) == (
        404,
        {
            "status": 404,
            "code": "RESOURCE_NOT_FOUND",
            "message": "No virtual resource found",
        },
    )


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_not_allowed(method):
    reply = send(event(), method=method)

    assert answer(reply) == (
        405,
        {"message": f"Method {method} is not allowed here", "status": 405},
    )


def test_a_post_without_a_length_is_refused():
    reply = send(event(), content_length=None)

    assert answer(reply) == (
        411,
        {"message": "Content-Length is required", "status": 411},
    )


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (None, "none"),
        ("text/plain", "text/plain"),
        ("application/x-json", "application/x-json"),
    ],
)
def test_a_body_that_is_not_called_json_is_refused(kind, named):
    reply = send(event(), content_type=kind)

    assert answer(reply) == (
        415,
        {"message": f"Content type {named} is not supported", "status": 415},
    )


def test_the_content_type_may_name_its_charset():
    reply = send(event(), content_type="application/json; charset=utf-8")

    assert reply.status == 201


def test_another_restli_method_is_refused():
    reply = send(event(), x_restli_method="PARTIAL_UPDATE")

    assert answer(reply) == (
        400,
        {
            "message": "X-RestLi-Method is neither CREATE nor BATCH_CREATE",
            "status": 400,
        },
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"NaN", b'{"a": Infinity}', b"\xff\xfe", b"[" * 100_000, b"1" * 10_000],
    ids=[
        "empty",
        "cut",
        "NaN",
        "Infinity",
        "not UTF-8",
        "nested deeply",
        "huge number",
    ],
)
@pytest.mark.parametrize("method", [None, "BATCH_CREATE"])
def test_what_is_not_json_is_refused(body, method):
    reply = send(body, x_restli_method=method)

    assert answer(reply) == (
        400,
        {"message": "Cannot parse request entity", "status": 400},
    )
