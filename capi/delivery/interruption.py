"""Follows up a request whose result will never be known: its worker died in the middle of it, or could not write it.

The UPDATE that pays for a request also notes its events on the lane's row, and writing the result deletes the note. So
if a worker finds a note at the beginning of its turn, LinkedIn may have these events, and no others.
"""

from django.db import transaction

from capi.delivery import lane, planning
from capi.delivery.lane import Lease
from capi.models import Connection, ConversionEvent
from capi.models.lookups import unpack_ids


def follow_up(lease: Lease, connection: Connection) -> None:
    """Treat a request that is still noted as one without a clear answer. Raises LeaseLost.

    Its events stay queued and are sent again under their ids. However they end, they keep their places.
    """
    if connection.request_started_at is None and connection.request_events is None:
        return  # if only one is null, a worker of the previous version, which knows no notes, has had the lane since
    pks = unpack_ids(connection.request_events)
    with transaction.atomic():
        lane.renew(lease)  # which also deletes the note
        ConversionEvent.objects.filter(pk__one_of=pks, is_test=False).update(may_have_arrived=True)
        planning.tidy_after_recall(pks)
