"""What the Retry button does: queues ended events again, and hurries those that wait for their next attempt.

Neither works row by row, and both skip events that have changed meanwhile: a second call does nothing.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, CharField, F, Q, Value, When
from django.db.models.functions import Now

from capi.delivery import deduplication, duplicates
from capi.models import Connection, ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import Reason, State
from crm.models.privacy_log import PrivacyChange, log_privacy_change

TRIES = 3
# Reasons for a cancellation that a person may undo. All others come from the lead, LinkedIn or the age of the event.
UNDOABLE_REASONS = (
    Reason.CANCELLED_BY_HAND,
    Reason.BACKFILL_CANCELLED,
    Reason.RULE_INACTIVE,
)
# The last only for UNDOABLE_REASONS.
UNDOABLE = (State.EXHAUSTED, State.REJECTED, State.CANCELLED)
ENDED = Q(state__in=[State.EXHAUSTED, State.REJECTED]) | Q(
    state=State.CANCELLED, reason__in=UNDOABLE_REASONS
)
RETRYABLE = ENDED & Q(is_test=False)


def retryable(events: Events) -> Events:
    """The ended events that a person may send again, each with its `obstacle`: a reason, or ""."""
    return events.filter(RETRYABLE).annotate(obstacle=_obstacle())


def retry(*, company_id: int, pks: Sequence[int]) -> int:
    """Queue again those of the company's events that have no obstacle. Returns how many there were.

    Attempts and delays start again; the event id stays. If several events need the same `once_key`, the first gets it.
    """
    events = ConversionEvent.objects.for_company(company_id).filter(pk__one_of=pks)
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                # An undo locks the row, too: it either ends what is queued here, or is seen here as an obstacle.
                Connection.objects.for_company(company_id).select_for_update(
                    no_key=True
                ).first()
                return _put_back(company_id, events)
        except IntegrityError:
            # An event that was planned at this moment has taken a `once_key`: try
            # again.
            continue
    return 0


def hurry(*, company_id: int) -> int:
    """Bring one chunk of the company's retries forward to now, the earliest first. Returns how many there were."""
    waiting = (
        ConversionEvent.objects.for_company(company_id)
        .pending()
        .filter(next_attempt_at__gt=Now())
    )
    # The person who made the change can still undo it.
    waiting = waiting.exclude(crm_event__release_at__gt=Now())
    oldest = waiting.order_by("next_attempt_at").values_list("pk", flat=True)[:10_000]
    # `pending` again, so that a row that was settled meanwhile is not touched.
    return (
        ConversionEvent.objects.pending()
        .filter(pk__one_of=list(oldest))
        .update(next_attempt_at=Now())
    )


def _put_back(company_id: int, events: Events) -> int:
    free = (
        retryable(events)
        .filter(Q(obstacle=""))
        .annotate(needed_key=deduplication.once_key_expression())
    )
    # The lowest id of each key comes last, so the dict keeps it.
    rows = free.order_by("-pk").values_list("pk", "rule_id", "needed_key")
    first = {(rule, key or -pk): pk for pk, rule, key in rows}
    # ENDED again, without a join: otherwise PostgreSQL would not notice that a row has just changed.
    put_back = ConversionEvent.objects.filter(ENDED, pk__one_of=list(first.values()))
    cancelled = (
        put_back.filter(state=State.CANCELLED)
        .order_by("pk")
        .values_list("pk", "created_at")
    )
    log_privacy_change(PrivacyChange.RETRIED, company_id=company_id, rows=cancelled)
    return put_back.update(
        state=State.PENDING,
        reason=Reason.NONE,
        message="",
        attempts=0,
        http_status=None,
        next_attempt_at=duplicates.due_again(),
        settled_at=None,
        once_key=deduplication.once_key_expression(),
    )


def _obstacle() -> Case:
    """Why an event can't be sent again, as SQL: the same for one event and for 100,000."""
    too_old = Now() - timedelta(days=settings.EVENT_MAX_AGE_DAYS)
    # LinkedIn can only have refused the person's address or the rule's id: without a change it refuses again.
    unchanged = Q(
        lead__updated_at__lte=F("settled_at"),
        rule__linkedin_id=F("last_attempt__linkedin_id"),
    )
    obstacles = [
        When(rule__deleted_at__isnull=False, then=Value(Reason.RULE_DELETED)),
        When(crm_event__taken_back_at__isnull=False, then=Value(Reason.TAKEN_BACK)),
        When(rule__is_active=False, then=Value(Reason.RULE_INACTIVE)),
        When(lead=None, then=Value(Reason.LEAD_DELETED)),
        When(
            deal=None,
            rule__crm_event__startswith="deal_",
            then=Value(Reason.DEAL_DELETED),
        ),
        When(lead__share_with_ad_platforms=False, then=Value(Reason.OPTED_OUT)),
        When(happened_at__lte=too_old, then=Value(Reason.TOO_OLD)),
        When(deduplication.is_already_counted(), then=Value(Reason.ALREADY_COUNTED)),
        When(deduplication.is_counted_by_merge(), then=Value(Reason.ALREADY_COUNTED)),
        When(unchanged, state=State.REJECTED, then=Value(Reason.DATA_REFUSED)),
    ]
    return Case(*obstacles, default=Value(""), output_field=CharField())
