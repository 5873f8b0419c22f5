"""The sandbox's ledger: each request and its answer, written so that no kill can lose them."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings

from capi.linkedin.sandbox.messages import Reply, json_reply
from capi.linkedin.sandbox.request_log import Entry, RequestLog
from tests.capi.linkedin.sandbox.speaking import NOW, event, received

ROOT = settings.BASE_DIR
CREATED = Reply(201)


@pytest.fixture
def ledger(tmp_path):
    return RequestLog(tmp_path / "new folder" / "ledger.jsonl")


def entry(content=None, reply=CREATED, **changes):
    return Entry.of(
        received(event() if content is None else content, **changes), reply, NOW
    )


def numbers(entries):
    return [item.number for item in entries]


def test_a_request_is_one_line_of_json_without_its_token(ledger):
    ledger.append(entry())

    assert json.loads(ledger.path.read_text()) == {
        "time": "2026-11-25T12:00:00+00:00",
        "method": "POST",
        "path": "/rest/conversionEvents",
        "version": "202609",
        "token": "daf28b1aea18",
        "batch": False,
        "elements": [event()],
        "text": "",
        "status": 201,
        "answer": "",
        "fault": None,
        "number": 1,
    }
    assert "AQXgood" not in ledger.path.read_text()


def test_what_is_read_is_what_was_written(ledger):
    refused = json_reply(422, {"message": "ERROR", "status": 422})

    written = ledger.append(
        entry(
            {"elements": [event(), 5, "\ud800"]},
            refused,
            x_restli_method="BATCH_CREATE",
        )
    )

    assert ledger.tail(1) == [written]
    assert written.elements == [event(), 5, "\ud800"]
    assert (written.batch, written.status, written.answer) == (
        True,
        422,
        '{"message":"ERROR","status":422}',
    )


@pytest.mark.parametrize("content", [[event()], 5, "text", {"elements": 5}])
def test_json_that_is_no_batch_is_kept_as_one_element(content):
    written = entry(content, x_restli_method="BATCH_CREATE")

    assert written.elements == [content]


def test_of_what_is_not_json_the_beginning_is_kept():
    written = entry(b"\xff" + b"x" * 5000)

    assert (written.elements, written.text) == (
        [],
        "\N{REPLACEMENT CHARACTER}" + "x" * 1999,
    )


def test_the_newest_entries_come_first(ledger):
    for _ in range(5):
        ledger.append(entry())

    assert numbers(ledger.tail(3)) == [5, 4, 3]
    assert numbers(ledger.tail(99)) == [5, 4, 3, 2, 1]


def test_lines_longer_than_a_block_are_read_whole(ledger):
    long = [event(eventId=f"lm-{number}") for number in range(12_000)]  # about 3 MB
    ledger.append(entry())
    ledger.append(entry({"elements": long}, x_restli_method="BATCH_CREATE"))
    ledger.append(entry())

    last, batch, first = ledger.tail(3)

    assert (last.number, first.number, batch.elements) == (3, 1, long)


def test_before_the_first_request_there_is_nothing(ledger):
    assert ledger.tail(10) == []


def test_clearing_forgets_everything_and_counts_anew(ledger):
    ledger.append(entry())

    ledger.clear()

    assert ledger.tail(10) == []
    assert ledger.append(entry()).number == 1


def test_clearing_what_was_never_written_is_nothing(ledger):
    ledger.clear()

    assert ledger.tail(10) == []


def test_another_process_may_clear_the_ledger_while_it_is_written(ledger):
    ledger.append(entry())

    RequestLog(ledger.path).clear()
    ledger.append(entry())

    assert numbers(ledger.tail(10)) == [2]


def test_a_restart_goes_on_counting(ledger):
    ledger.append(entry())

    ledger_after_restart = RequestLog(ledger.path)

    assert ledger_after_restart.append(entry()).number == 2


@pytest.mark.parametrize(
    "torn",
    [
        b"{",
        b'{"time": "2026-11-25T12:00:00+00:00", "method": "PO',
        b'"text"',
        b"\x00\xff",
    ],
)
def test_a_torn_last_line_is_passed_over_and_spoils_nothing(ledger, torn):
    ledger.append(entry())
    with ledger.path.open("ab") as file:
        file.write(torn)

    before = numbers(ledger.tail(10))
    RequestLog(ledger.path).append(entry())

    assert (before, numbers(ledger.tail(10))) == ([1], [2, 1])


def test_threads_do_not_mix_their_lines(ledger):
    def write():
        for _ in range(50):
            ledger.append(entry())

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert numbers(ledger.tail(999)) == list(range(200, 0, -1))


def test_a_kill_right_after_append_loses_nothing(ledger):
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from capi.linkedin.sandbox.request_log import RequestLog\n"
        "from tests.capi.linkedin.sandbox.test_request_log import entry\n"
        "ledger = RequestLog(Path(sys.argv[1])); [ledger.append(entry()) for _ in range(3)]\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )

    killed = subprocess.run(
        [sys.executable, "-c", script, str(ledger.path)], check=False, cwd=ROOT
    )

    assert (killed.returncode, numbers(ledger.tail(10))) == (-9, [3, 2, 1])


def test_a_file_that_has_grown_large_is_set_aside_and_the_one_before_it_goes(ledger):
    for _ in range(3):
        ledger.append(entry())
        ledger.set_aside(beyond_bytes=100)

    ledger.append(entry())

    before = RequestLog(ledger.path.with_name("ledger.jsonl.1"))
    assert numbers(ledger.tail(10)) == [4]
    assert numbers(before.tail(10)) == [3]
    assert len(list(ledger.path.parent.iterdir())) == 2


def test_a_file_that_is_small_or_not_there_stays_as_it_is(ledger):
    ledger.set_aside(beyond_bytes=100)
    ledger.append(entry())

    ledger.set_aside(beyond_bytes=10_000)

    assert numbers(ledger.tail(10)) == [1]
    assert list(ledger.path.parent.iterdir()) == [ledger.path]


def test_entries_that_name_an_event_can_be_forgotten_in_both_files(ledger):
    for event_id in ("first", "second", "first"):
        ledger.append(entry(event(eventId=event_id)))
        ledger.set_aside(beyond_bytes=0 if event_id == "second" else 10**9)

    forgotten = ledger.forget(["first", "third"])
    ledger.append(entry())

    text = "".join(path.read_text() for path in ledger.path.parent.iterdir())
    before = RequestLog(ledger.path.with_name("ledger.jsonl.1"))
    assert forgotten == 2
    assert "first" not in text
    assert [item.elements[0]["eventId"] for item in before.tail(10)] == ["second"]
    assert len(ledger.tail(10)) == 1


def test_nothing_is_forgotten_without_a_word_or_a_file(ledger):
    assert ledger.forget(["first"]) == 0
    ledger.append(entry())

    assert (ledger.forget([]), len(ledger.tail(10))) == (0, 1)


def test_old_entries_go_and_young_ones_stay(ledger):
    for days in (40, 31, 29):
        ledger.append(replace(entry(), time=NOW - timedelta(days=days)))

    pruned = ledger.prune(NOW - timedelta(days=30))

    assert (pruned, numbers(ledger.tail(10))) == (2, [3])
    assert ledger.prune(NOW - timedelta(days=30)) == 0
