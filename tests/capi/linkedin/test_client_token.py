"""The access token goes into one header and nowhere else."""

import logging

import pytest

from tests.capi.linkedin.wire import (
    CREATED,
    TOKEN,
    Wire,
    keeping_alive,
    ok,
    saying,
    send,
)


@pytest.mark.parametrize(
    "bad", ["", "two words", "line\nbreak", "tab\t", "nul\0", "tökén", "\x7f"]
)
def test_a_token_that_can_not_stand_in_a_header_is_refused_without_repeating_it(
    client_for, bad
):
    token = f"{bad}secret" if bad else ""
    with (
        Wire(keeping_alive(CREATED)) as wire,
        pytest.raises(ValueError, match="Paste it again") as refused,
    ):
        send(client_for(wire.url), token=token)

    assert wire.accepted == 0
    assert "secret" not in str(refused.value)
    own_frames = [
        entry.frame for entry in refused.traceback if entry.path.name == "client.py"
    ]
    assert own_frames
    assert not any(
        "secret" in repr(value)
        for frame in own_frames
        for value in frame.f_locals.values()
    )


def test_no_repr_shows_the_token_or_what_was_answered(client_for):
    with Wire(keeping_alive(ok(b'{"message":"ada@example.com"}'))) as wire:
        client = client_for(wire.url)
        answer = send(client)

    assert repr(answer).startswith("Answer(status=200, trouble=None, duration_ms=")
    assert TOKEN not in repr(client) + repr(vars(client))


def test_a_token_that_the_answer_echoes_is_masked_at_once(client_for):
    with Wire(
        keeping_alive(ok(f'{{"message":"no such token: {TOKEN}"}}'.encode()))
    ) as wire:
        answer = send(client_for(wire.url))

    assert answer.body.decode() == '{"message":"no such token: •••"}'


def test_nothing_is_logged_that_holds_the_token(client_for, caplog):
    caplog.set_level(logging.DEBUG)

    with Wire(saying(b"HTTP/1.1 400 Bad\r\nno header\r\n\r\n")) as wire:
        send(client_for(wire.url))
        send(client_for("http://127.0.0.1:1"))

    assert TOKEN not in caplog.text
