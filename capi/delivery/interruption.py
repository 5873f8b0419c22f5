"""A request whose result nobody will ever know: its worker died in the middle of it, or could not write it.

Which events it contained is noted on the lane's row with the payment for it, and the note goes when the result is
written. So whoever finds one at the beginning of a turn knows: LinkedIn may have these events, and no others.
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
        return  # only one of them: a worker of the version before, which knows no note, has had the lane since
    pks = unpack_ids(connection.request_events)
    with transaction.atomic():
        lane.renew(lease)  # which also deletes the note
        ConversionEvent.objects.filter(pk__one_of=pks, is_test=False).update(may_have_arrived=True)
        planning.tidy_after_recall(pks)
