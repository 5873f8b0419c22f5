"""The hashes that a request contained, stored with the request: 40 bytes an event, all in one row.

They are stored per request and not per event, because one write is enough for any number of events, and because an
event that is retried after its lead's address changed has another hash the second time.
"""

import struct
from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import Q

from capi.models import Attempt, ConversionEvent, EarlierAttempt

ENTRY = struct.Struct(">q32s")
BLANK = bytes(32)


def pack_hashes(hashes: Iterable[tuple[int, str]]) -> bytes:
    """Pack pairs of an event's primary key and its SHA-256 in hex into one block."""
    return b"".join(ENTRY.pack(pk, bytes.fromhex(sha256)) for pk, sha256 in hashes)


def hash_of(block: bytes, event_pk: int) -> str:
    """The hash of this event in the block, in hex; "" if it has none, or if it was blanked."""
    for pk, sha256 in ENTRY.iter_unpack(block):
        if pk == event_pk:
            return "" if sha256 == BLANK else sha256.hex()
    return ""


def packed_ids(block: bytes) -> list[int]:
    """The primary keys of the events in the block."""
    return [pk for pk, _ in ENTRY.iter_unpack(block)]


def blank_hashes(block: bytes, event_pks: Collection[int]) -> bytes:
    """The block without the hashes of these events."""
    entries = ENTRY.iter_unpack(block)
    return b"".join(
        ENTRY.pack(pk, BLANK if pk in event_pks else sha256) for pk, sha256 in entries
    )


def keep_only_tied(attempt: Attempt) -> None:
    """Blank all hashes but those of events whose last attempt this is, and whose person was not erased.

    `forget_hashes` finds hashes through the events, and could not find the others.
    """
    block = bytes(attempt.sent_hashes)
    packed = packed_ids(block)
    tied = ConversionEvent.objects.filter(pk__one_of=packed, last_attempt=attempt)
    left = set(
        tied.filter(Q(lead__isnull=False) | Q(is_test=True)).values_list(
            "pk", flat=True
        )
    )
    attempt.sent_hashes = blank_hashes(block, set(packed) - left)
    attempt.save(update_fields=["sent_hashes"])


@transaction.atomic
def forget_hashes(event_pks: Collection[int]) -> None:
    """Blank the hashes of these events in every request: the person was erased."""
    last = ConversionEvent.objects.filter(pk__in=event_pks).exclude(last_attempt=None)
    earlier = EarlierAttempt.objects.filter(event__in=event_pks)
    attempts = {
        *last.values_list("last_attempt", flat=True),
        *earlier.values_list("attempt", flat=True),
    }
    for attempt in (
        Attempt.objects.filter(pk__in=attempts).order_by("pk").select_for_update()
    ):
        attempt.sent_hashes = blank_hashes(bytes(attempt.sent_hashes), event_pks)
        attempt.save(update_fields=["sent_hashes"])
