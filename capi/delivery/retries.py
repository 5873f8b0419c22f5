"""What a person asks of events: to send them again, or not at all.

Both work on many events at once, in statements and not row by row, and both say nothing of events that have moved on
meanwhile: asking twice does nothing the second time.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, CharField, F, Q, Value, When
from django.db.models.functions import Now

from capi.delivery import planning
from capi.models import ConversionEvent
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import Reason, State

TRIES = 3
HURRIED_AT_ONCE = 10_000
# Endings that a person may have wanted to be otherwise. All others were the lead's, LinkedIn's or time's word.
CALLED_OFF = (Reason.CANCELLED_BY_HAND, Reason.BACKFILL_CANCELLED, Reason.RULE_INACTIVE)
UNDOABLE = (State.EXHAUSTED, State.REJECTED, State.CANCELLED)  # of the last, only what was called off
ENDED = Q(state__in=[State.EXHAUSTED, State.REJECTED]) | Q(state=State.CANCELLED, reason__in=CALLED_OFF)


def retryable(events: Events) -> Events:
    """Those that have come to an end which a person may undo, each with its `obstacle`: a reason, "" for none."""
    return events.counted().filter(ENDED).annotate(obstacle=_obstacle())


def retry(*, company_id: int, pks: Sequence[int]) -> int:
    """Put the company's events back into the queue that have no obstacle. Returns how many there were.

    Tries and waits begin anew, the event id stays. Of several events that need one place the first gets it.
    """
    events = ConversionEvent.objects.for_company(company_id).filter(pk__one_of=pks)
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                return _put_back(events)
        except IntegrityError:
            continue  # an event that was planned at this moment has taken a place: look again
    return 0


def hurry(*, company_id: int) -> int:
    """Make the oldest of the company's events due that wait for their next try, one chunk of them. Returns how many."""
    waiting = ConversionEvent.objects.for_company(company_id).pending().filter(next_attempt_at__gt=Now())
    oldest = waiting.order_by("next_attempt_at").values_list("pk", flat=True)[:HURRIED_AT_ONCE]
    # Asked for `pending` once more: a row that was settled meanwhile is not to be touched.
    return ConversionEvent.objects.pending().filter(pk__one_of=list(oldest)).update(next_attempt_at=Now())


def _put_back(events: Events) -> int:
    going = retryable(events).filter(Q(obstacle="")).annotate(place=planning.place()).order_by("-pk")
    # The lowest of each place comes last, and so it is the one that stays.
    first = {(rule, place or -pk): pk for pk, rule, place in going.values_list("pk", "rule_id", "place")}
    # Asked for ENDED once more without any join: else PostgreSQL would not see that a row has just moved on.
    return ConversionEvent.objects.filter(ENDED, pk__one_of=list(first.values())).update(
        state=State.PENDING,
        reason=Reason.NONE,
        message="",
        attempts=0,
        http_status=None,
        next_attempt_at=Now(),
        settled_at=None,
        once_key=planning.place(),
    )


def _obstacle() -> Case:
    """Why an event can't be sent again, the same whether one is asked for or 100,000."""
    too_old = Now() - timedelta(days=settings.EVENT_MAX_AGE_DAYS)
    # A person's address is all that LinkedIn can have refused, and the rule's id: without a change it refuses again.
    unchanged = Q(lead__updated_at__lte=F("settled_at"), rule__linkedin_id=F("last_attempt__linkedin_id"))
    found = [
        When(rule__deleted_at__isnull=False, then=Value(Reason.RULE_DELETED)),
        When(rule__is_active=False, then=Value(Reason.RULE_INACTIVE)),
        When(lead=None, then=Value(Reason.LEAD_DELETED)),
        When(deal=None, rule__crm_event__startswith="deal_", then=Value(Reason.DEAL_DELETED)),
        When(lead__share_with_ad_platforms=False, then=Value(Reason.OPTED_OUT)),
        When(happened_at__lte=too_old, then=Value(Reason.TOO_OLD)),
        When(planning.is_taken(), then=Value(Reason.ALREADY_COUNTED)),
        When(unchanged, state=State.REJECTED, then=Value(Reason.DATA_REFUSED)),
    ]
    return Case(*found, default=Value(""), output_field=CharField())
