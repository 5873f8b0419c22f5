"""A batch is all or nothing."""

import time

import pytest

from tests.capi.linkedin.sandbox.speaking import (
    NOW,
    answer,
    event,
    milliseconds,
    rule,
    send,
    send_batch,
)

GOOD = event()
LATE = event(conversionHappenedAt=milliseconds(NOW) + 1)


def test_every_element_of_a_good_batch_is_created():
    reply = send_batch(GOOD, GOOD, GOOD)

    assert answer(reply) == (
        200,
        {"elements": [{"status": 201}, {"status": 201}, {"status": 201}]},
    )


def test_one_element_is_a_batch_too():
    reply = send_batch(GOOD)

    assert answer(reply) == (200, {"elements": [{"status": 201}]})


def test_one_bad_element_refuses_the_batch_and_is_named_by_its_position():
    bad = event(conversionValue={"currencyCode": "EUR"}, eventId=7)

    reply = send_batch(GOOD, bad, GOOD, event(user={}))

    missing = "field is required but not found and has no default value"
    assert answer(reply) == (
        422,
        {
            "message": "Index: 1, ERROR :: /eventId :: 7 cannot be coerced to String\n"
            f"Index: 1, ERROR :: /conversionValue/amount :: {missing}\n"
            f"Index: 3, ERROR :: /user/userIds :: {missing}\n",
            "status": 422,
        },
    )


def test_elements_outside_the_time_are_named_by_their_positions():
    reply = send_batch(LATE, GOOD, LATE)

    assert answer(reply) == (
        400,
        {
            "message": "Conversion time should be within 90 days and not exceed current time, "
            "indices [0, 2] (0-indexed).",
            "status": 400,
        },
    )


def test_elements_about_nobody_are_named_by_their_positions():
    reply = send_batch(GOOD, event(user={"userIds": []}))

    status, said = answer(reply)
    assert (status, said["code"], said["message"]) == (
        400,
        "INVALID_USER_IDENTIFICATION_FIELD_VALUE",
        "User identification is missing or incomplete, indices [1] (0-indexed).",
    )


def test_a_batch_of_more_than_5000_is_refused():
    reply = send_batch(*[GOOD] * 5001)

    assert answer(reply) == (
        400,
        {"message": "The batch holds 5001 elements, more than 5000", "status": 400},
    )


def test_an_empty_batch_is_refused():
    reply = send_batch()

    assert answer(reply) == (
        400,
        {"message": "The batch holds no elements", "status": 400},
    )


@pytest.mark.parametrize(
    "body", [GOOD, [GOOD], {"elements": {}}, {"elements": [GOOD], "start": 0}, 5, None]
)
def test_a_batch_that_is_not_a_list_of_elements_is_refused(body):
    reply = send(body, x_restli_method="BATCH_CREATE")

    assert answer(reply) == (
        400,
        {
            "message": 'A batch is an object with the one field "elements", an array',
            "status": 400,
        },
    )


def test_the_elements_of_a_chosen_rule_are_named_by_their_positions():
    reply = send_batch(rule("1"), rule("400400"), rule("2"), rule("400400"))

    assert answer(reply) == (
        400,
        {
            "message": "Conversion's method should be CONVERSIONS_API, indices [1, 3] (0-indexed).",
            "status": 400,
        },
    )


def test_the_chosen_refusal_of_data_stands_on_a_line_of_its_own_for_each_element():
    reply = send_batch(rule("1"), rule("422422"), rule("422422"))

    said = "ERROR :: /conversion :: conversion does not take this event\n"
    assert answer(reply) == (
        422,
        {"message": f"Index: 1, {said}Index: 2, {said}", "status": 422},
    )


def test_a_full_batch_is_judged_quickly():
    batch = [event(eventId=f"lm-{number}") for number in range(5000)]
    started = time.process_time()

    reply = send_batch(*batch)

    assert reply.status == 200
    # Measured: 0.02 s; the rest is for slow machines and coverage.
    assert time.process_time() - started < 1
