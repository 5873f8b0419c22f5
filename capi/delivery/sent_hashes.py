"""The hashes that a request carried, kept with the request: 40 bytes an event, all in one row.

Kept per request and not per event, because it is written once however many events there are, and because an event
that is tried again after its lead's address changed carries another hash the second time.
"""

import struct
from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import Q

from capi.models import Attempt, ConversionEvent, EarlierAttempt

ENTRY = struct.Struct(">q32s")
BLANK = bytes(32)


def pack_hashes(hashes: Iterable[tuple[int, str]]) -> bytes:
    """(event's primary key, SHA-256 in hex) pairs, as one block."""
    return b"".join(ENTRY.pack(pk, bytes.fromhex(sha256)) for pk, sha256 in hashes)


def hash_of(block: bytes, event_pk: int) -> str:
    """The hash that this event carried, in hex; "" where it is not there (any more)."""
    for pk, sha256 in ENTRY.iter_unpack(block):
        if pk == event_pk:
            return "" if sha256 == BLANK else sha256.hex()
    return ""


def packed_ids(block: bytes) -> list[int]:
    """The primary keys of the events that the request carried."""
    return [pk for pk, _ in ENTRY.iter_unpack(block)]


def blank_hashes(block: bytes, event_pks: Collection[int]) -> bytes:
    """The block without the hashes of these events."""
    entries = ENTRY.iter_unpack(block)
    return b"".join(ENTRY.pack(pk, BLANK if pk in event_pks else sha256) for pk, sha256 in entries)


def keep_only_tied(attempt: Attempt) -> None:
    """Keep the hashes of those events alone that name this attempt as theirs, and whose person was not erased.

    What no event leads to, `forget_hashes` could not find.
    """
    block = bytes(attempt.sent_hashes)
    carried = packed_ids(block)
    tied = ConversionEvent.objects.filter(pk__one_of=carried, last_attempt=attempt)
    left = set(tied.filter(Q(lead__isnull=False) | Q(is_test=True)).values_list("pk", flat=True))
    attempt.sent_hashes = blank_hashes(block, set(carried) - left)
    attempt.save(update_fields=["sent_hashes"])


@transaction.atomic
def forget_hashes(event_pks: Collection[int]) -> None:
    """Blank what every request of these events kept of them: the person was erased."""
    last = ConversionEvent.objects.filter(pk__in=event_pks).exclude(last_attempt=None)
    earlier = EarlierAttempt.objects.filter(event__in=event_pks)
    attempts = {*last.values_list("last_attempt", flat=True), *earlier.values_list("attempt", flat=True)}
    for attempt in Attempt.objects.filter(pk__in=attempts).order_by("pk").select_for_update():
        attempt.sent_hashes = blank_hashes(bytes(attempt.sent_hashes), event_pks)
        attempt.save(update_fields=["sent_hashes"])
