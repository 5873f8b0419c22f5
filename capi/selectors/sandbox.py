"""The requests that the sandbox received from a company, for development."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from capi.linkedin.sandbox.request_log import Entry, RequestLog
from capi.models import ConversionEvent

REQUESTS_READ: Final = 200
REQUESTS_SHOWN: Final = 50
# Per request: fifty full batches would make a page of 100 MB.
ELEMENTS_SHOWN: Final = 25
ELEMENTS_CHECKED: Final = 3


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request with its first elements and its response as text: `first` is indented, `further` one line each."""

    entry: Entry
    first: str
    further: Sequence[str]
    answer: str
    is_test: bool

    @property
    def count(self) -> int:
        return len(self.entry.elements)

    @property
    def not_shown(self) -> int:
        return self.count - 1 - len(self.further)

    @property
    def tone(self) -> str:
        return "good" if 200 <= (self.entry.status or 0) < 300 else "bad"


def received_from(company_id: int) -> list[ReceivedRequest]:
    """The company's newest requests, newest first. A request belongs to the company if one of its event ids does."""
    entries = RequestLog(settings.LINKEDIN_SANDBOX_LEDGER).tail(REQUESTS_READ)
    event_ids = {event_id for entry in entries for event_id in _event_ids(entry)}
    events = ConversionEvent.objects.for_company(company_id).filter(
        event_id__in=event_ids
    )
    tests = dict(events.values_list("event_id", "is_test"))
    found: list[ReceivedRequest] = []
    for entry in entries:
        marks = [tests[event_id] for event_id in _event_ids(entry) if event_id in tests]
        if marks and len(found) < REQUESTS_SHOWN:
            found.append(_request(entry, is_test=any(marks)))
    return found


def _event_ids(entry: Entry) -> Iterator[str]:
    # The first few are enough: all events in a request belong to one company.
    for element in entry.elements[:ELEMENTS_CHECKED]:
        if isinstance(element, dict) and isinstance(element.get("eventId"), str):
            yield element["eventId"]


def _request(entry: Entry, *, is_test: bool) -> ReceivedRequest:
    first, *further = entry.elements[:ELEMENTS_SHOWN]
    return ReceivedRequest(
        entry,
        _pretty(first),
        [_on_a_line(it) for it in further],
        _answer(entry),
        is_test,
    )


def _answer(entry: Entry) -> str:
    try:
        return _pretty(json.loads(entry.answer))
    except ValueError:
        return entry.answer


def _pretty(document: Any) -> str:
    return json.dumps(document, indent=2)


def _on_a_line(element: Any) -> str:
    return json.dumps(element, separators=(",", ":"))
