"""Each answer of LinkedIn that is documented or was recorded, and the outcome of the events."""

from dataclasses import replace

import pytest

from capi.linkedin.answers import decide
from capi.linkedin.decisions import (
    Accepted,
    ElementResult,
    PauseConnection,
    PauseRule,
    PerElement,
    RefusedNamed,
    RefusedUnnamed,
    Throttled,
    TooLarge,
    TransportError,
    TryLater,
    Unclear,
    Verdict,
    VersionRetired,
)
from tests.capi.linkedin.said import answered, troubled

TIME_TEXT = "Conversion time should be within 90 days and not exceed current time, indices [0] (0-indexed)."
AMOUNT_TEXT = "ERROR :: /conversionValue/amount :: 19.9 cannot be coerced to String"


def test_a_created_event_is_accepted_without_a_body():
    assert decide(answered(201), count=1) == Accepted()


@pytest.mark.parametrize("body", [b"", b"\r\n", b'{"elements":[{"status":201}]}'])
def test_a_single_event_is_accepted_by_200_where_the_body_says_so_or_says_nothing(body):
    assert decide(answered(200, body), count=1) == Accepted()


UNKNOWN_SUCCESSES = [
    (200, b"<html><title>Sign in to the guest network</title></html>"),
    (200, b'{"status":500}'),
    (200, b'{"status":201}'),  # documented nowhere
    (200, b'{"elements":[]}'),
    (200, b'{"elements":[{"status":201},{"status":201}]}'),
    (200, b"{}"),
    (200, b"OK"),
    (201, b'{"status":500}'),
    (201, b'{"status":"201"}'),
    (201, b'{"status":[201]}'),
    (201, b'{"elements":[]}'),
    (202, b""),
    (203, b""),
    (204, b""),
    (206, b""),
    (206, b'{"elements":[{"status":201}]}'),
    (207, b'{"elements":[{"status":201}]}'),
    (299, b""),
]


@pytest.mark.parametrize(("status", "body"), UNKNOWN_SUCCESSES)
def test_any_other_success_of_a_single_event_leaves_unknown_what_became_of_it(
    status, body
):
    assert decide(answered(status, body), count=1) == Unclear(is_unknown=True)


@pytest.mark.parametrize("status", [202, 203, 204, 206, 207, 299])
@pytest.mark.parametrize("body", [b"", b'{"elements":[{"status":201},{"status":201}]}'])
def test_any_other_success_of_a_batch_leaves_unknown_what_became_of_it(status, body):
    assert decide(answered(status, body), count=2) == Unclear(is_unknown=True)


def test_the_one_element_of_a_single_event_goes_by_its_own_status():
    assert decide(
        answered(200, {"elements": [{"status": 401}]}), count=1
    ) == PauseConnection("token_refused")
    assert decide(
        answered(200, {"elements": [{"status": 422, "message": "Odd"}]}), count=1
    ) == PerElement((ElementResult(Verdict.REJECTED, 422, "Odd"),))


@pytest.mark.parametrize("status", [200, 201])
def test_a_batch_is_accepted_when_each_element_is(status):
    body = b'{"elements":[{"status":201},{"status":201}]}'

    assert decide(answered(status, body), count=2) == Accepted()


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("INVALID_ACCESS_TOKEN", 65600),
        ("REVOKED_ACCESS_TOKEN", 65601),
        ("EXPIRED_ACCESS_TOKEN", 65602),
        ("EMPTY_ACCESS_TOKEN", 65604),
    ],
)
def test_a_refused_token_pauses_the_connection(code, number):
    body = {
        "status": 401,
        "serviceErrorCode": number,
        "code": code,
        "message": "Invalid access token",
    }

    assert decide(answered(401, body), count=3) == PauseConnection("token_refused")


@pytest.mark.parametrize(
    "body",
    [
        {"message": "No ad accounts found", "status": 403},
        {
            "status": 403,
            "serviceErrorCode": 100,
            "code": "ACCESS_DENIED",
            "message": "Not enough permissions to access: conversionEvents.CREATE.20260901",
        },
        {
            "status": 403,
            "code": "USER_NOT_AUTHORIZED",
            "message": "User not authorized",
        },
    ],
)
def test_a_rule_out_of_reach_is_paused(body):
    assert decide(answered(403, body), count=1) == PauseRule("rule_forbidden")
    assert decide(answered(403, body), count=3) == PauseRule("rule_forbidden")


def test_a_rule_that_is_not_found_is_paused():
    assert decide(
        answered(404, {"status": 404, "message": "Not found"}), count=2
    ) == PauseRule("rule_not_found")


def test_a_schema_error_rejects_the_single_event_with_linkedins_words():
    body = {"message": f"{AMOUNT_TEXT}\n", "status": 422}

    assert decide(answered(422, body), count=1) == RefusedNamed({0: AMOUNT_TEXT})


def test_a_schema_error_in_a_batch_names_its_element():
    text = "ERROR :: /conversionValue/amount :: field is required but not found and has no default value"
    body = {"message": f"Index: 1, {text}\n", "status": 422}

    assert decide(answered(422, body), count=3) == RefusedNamed({1: text})


def test_several_errors_of_one_element_stay_together():
    body = {
        "message": "Index: 0, ERROR :: /a :: bad\nERROR :: /b :: bad\nIndex: 2, ERROR :: /c :: bad\n",
        "status": 422,
    }

    decision = decide(answered(422, body), count=3)

    assert decision == RefusedNamed(
        {0: "ERROR :: /a :: bad ERROR :: /b :: bad", 2: "ERROR :: /c :: bad"}
    )


def test_a_wrong_time_rejects_the_single_event():
    assert decide(
        answered(400, {"message": TIME_TEXT, "status": 400}), count=1
    ) == RefusedNamed({0: TIME_TEXT})


def test_a_wrong_time_in_a_batch_names_its_elements():
    text = "Conversion time should be within 90 days and not exceed current time"
    body = {"message": f"{text}, indices [0, 3] (0-indexed).", "status": 400}

    assert decide(answered(400, body), count=5) == RefusedNamed({0: text, 3: text})


def test_two_troubles_in_one_answer_name_the_elements_of_each():
    body = {
        "message": "Too old, indices [0,2] (0-indexed). No identifier, indices [2, 4] (0-indexed).",
        "status": 400,
    }

    decision = decide(answered(400, body), count=5)

    assert decision == RefusedNamed(
        {0: "Too old", 2: "Too old No identifier", 4: "No identifier"}
    )


def test_the_longer_documented_form_names_its_elements():
    body = {
        "message": "Validation failed because [{field=user, batchIndex=0, type=A}, {field=id, batchIndex=2, type=B}]",
        "status": 400,
    }

    decision = decide(answered(400, body), count=3)

    assert decision == RefusedNamed(
        {0: "field=user, batchIndex=0, type=A", 2: "field=id, batchIndex=2, type=B"}
    )


def test_a_missing_identifier_rejects_the_single_event():
    body = {
        "status": 400,
        "code": "INVALID_USER_IDENTIFICATION_FIELD_VALUE",
        "message": "No identifier",
    }

    assert decide(answered(400, body), count=1) == RefusedNamed({0: "No identifier"})


def test_indexes_out_of_range_are_ignored():
    body = {
        "message": "Too old, indices [2, 7, 99999999999999999999] (0-indexed).",
        "status": 400,
    }

    assert decide(answered(400, body), count=3) == RefusedNamed({2: "Too old"})


@pytest.mark.parametrize("status", [400, 409, 422])
@pytest.mark.parametrize(
    "message", ["Something is wrong", "Too old, indices [3] (0-indexed)", ""]
)
def test_a_refusal_that_names_nobody_of_the_batch_is_halved(status, message):
    assert decide(
        answered(status, {"message": message, "status": status}), count=3
    ) == RefusedUnnamed(message)


@pytest.mark.parametrize(
    "message",
    [
        "Conversion's method should be CONVERSIONS_API, indices [0] (0-indexed).",
        "The conversion is disabled and counts as deleted. It must be enabled, indices [0, 1] (0-indexed).",
        "Conversion rule must be enabled",
        "This conversion has been deleted",
    ],
)
@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("count", [1, 2, 5000])
def test_a_refusal_about_the_rule_pauses_it_and_burns_nobody(message, status, count):
    assert decide(
        answered(status, {"message": message, "status": status}), count=count
    ) == PauseRule("rule_misconfigured")


@pytest.mark.parametrize(
    "message",
    [
        'Index: 0, ERROR :: /x :: "a" is no value\nIndex: 1, ERROR :: /x :: "b" is no value\n',
        "Index: 0, ERROR :: /x :: 19.9 is no value\nIndex: 1, ERROR :: /x :: 20 is no value\n",
        "Not accepted, indices [0, 1] (0-indexed)",
    ],
)
def test_a_batch_whose_elements_are_all_refused_for_one_reason_pauses_the_rule(message):
    assert decide(
        answered(422, {"message": message, "status": 422}), count=2
    ) == PauseRule("rule_misconfigured")


def test_a_batch_whose_elements_are_refused_for_different_reasons_rejects_them():
    body = {
        "message": "Index: 0, ERROR :: /x :: bad\nIndex: 1, ERROR :: /y :: bad\n",
        "status": 422,
    }

    assert decide(answered(422, body), count=2) == RefusedNamed(
        {0: "ERROR :: /x :: bad", 1: "ERROR :: /y :: bad"}
    )


def test_five_thousand_long_reasons_are_all_found():
    lines = "".join(
        f"Index: {index}, ERROR :: /x :: {'long ' * 20}{index}\n"
        for index in range(4999)
    )

    decision = decide(answered(422, {"message": lines, "status": 422}), count=5000)

    assert isinstance(decision, RefusedNamed)
    assert list(decision.reasons) == list(range(4999))
    assert decision.reasons[4998] == f"ERROR :: /x :: {'long ' * 20}4998"


def test_a_refusal_too_long_to_be_read_is_halved_since_half_of_it_may_not_be():
    assert decide(
        troubled(TransportError.TOO_LARGE, 422), count=5000
    ) == RefusedUnnamed("")


@pytest.mark.parametrize(("status", "count"), [(200, 5000), (500, 5000)])
def test_any_other_answer_too_long_to_be_read_is_tried_again(status, count):
    expected = TryLater("answer_unreadable", is_unknown=status == 200)

    assert decide(troubled(TransportError.TOO_LARGE, status), count=count) == expected


@pytest.mark.parametrize("sent_bytes", [256 * 1024, 2_000_000, None])
def test_a_large_body_that_is_too_large_is_halved(sent_bytes):
    assert decide(answered(413), count=2, sent_bytes=sent_bytes) == TooLarge()


@pytest.mark.parametrize(
    ("count", "sent_bytes"), [(2, 544), (900, 256 * 1024 - 1), (1, 300), (1, None)]
)
def test_413_for_a_small_body_is_a_gateways_bad_moment(count, sent_bytes):
    answer = answered(413, headers={"retry-after": "7"})

    assert decide(answer, count=count, sent_bytes=sent_bytes) == TryLater(
        "server_trouble", 7
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (426, "NONEXISTENT_VERSION"),
        (400, "VERSION_MISSING"),
        (400, "NONEXISTENT_VERSION"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_a_retired_or_missing_version_holds_everything(status, code, count):
    body = {
        "status": status,
        "code": code,
        "message": "Requested version 20240201 is not active",
    }

    assert decide(answered(status, body), count=count) == VersionRetired()


@pytest.mark.parametrize(
    ("limit", "until_midnight"), [("DAY", True), ("MINUTE", False)]
)
def test_a_throttle_waits_for_midnight_only_at_the_days_limit(limit, until_midnight):
    body = {
        "status": 429,
        "serviceErrorCode": 101,
        "code": "TOO_MANY_REQUESTS",
        "message": f"Resource level throttle APPLICATION {limit} limit for calls to this resource is reached.",
    }

    assert decide(answered(429, body), count=2) == Throttled(
        retry_after=None, until_midnight=until_midnight
    )


def test_a_throttle_passes_on_how_long_linkedin_asks_to_wait():
    assert decide(answered(429, headers={"retry-after": "7"}), count=1) == Throttled(
        7, until_midnight=False
    )


@pytest.mark.parametrize("status", [100, 103, 408, 421, 423, 425, 500, 503, 599, 999])
@pytest.mark.parametrize("count", [1, 2])
def test_what_may_pass_is_tried_again_and_retry_after_honoured(status, count):
    answer = answered(
        status, b"<html>Bad gateway</html>", headers={"retry-after": "120"}
    )

    assert decide(answer, count=count) == TryLater("server_trouble", 120)


@pytest.mark.parametrize("status", [402, 405, 406, 410, 411, 415, 431, 451, 501])
@pytest.mark.parametrize("count", [1, 2])
def test_a_request_refused_as_a_whole_holds_the_events_instead_of_losing_them(
    status, count
):
    body = {"message": "Not allowed", "status": status}

    assert decide(answered(status, body), count=count) == PauseRule("refused")


def test_an_unusual_refusal_that_names_elements_is_about_them():
    body = {"message": "Index: 1, ERROR :: gone", "status": 410}

    assert decide(answered(410, body), count=2) == RefusedNamed({1: "ERROR :: gone"})


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (TransportError.TIMED_OUT, "timed_out"),
        (TransportError.UNREACHABLE, "unreachable"),
        (TransportError.CUT, "answer_unreadable"),
        (TransportError.TOO_LARGE, "answer_unreadable"),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_without_a_whole_answer_the_outcome_is_unknown_and_tried_again(
    trouble, reason, count
):
    assert decide(troubled(trouble), count=count) == TryLater(reason, is_unknown=True)


def test_a_redirect_and_a_request_that_never_left_have_reached_nobody():
    assert decide(troubled(TransportError.REDIRECT, 302), count=1) == Unclear()
    refused = replace(troubled(TransportError.UNREACHABLE), was_sent=False)
    assert decide(refused, count=1) == TryLater("unreachable")


def test_an_element_reason_is_masked_and_shortened():
    body = {
        "message": f"Index: 1, ERROR :: ada@example.com {'long ' * 1000}\0",
        "status": 422,
    }

    decision = decide(answered(422, body), count=2)

    assert isinstance(decision, RefusedNamed)
    assert decision.reasons[1].startswith("ERROR :: ••• long long")
    assert len(decision.reasons[1]) == 2000
