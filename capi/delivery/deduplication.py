"""Deduplication: a rule with the frequency `once` reports each lead or deal by one event, the holder of its key.

The deduplication key is the id of the deal, or of the lead if the event is about no deal. Its holder stores it in
`once_key`, which is unique within the rule. The first event planned takes the key. Those planned later are duplicates,
which are skipped (Reason.ALREADY_COUNTED). The holder's state decides about the key, together with whether LinkedIn may
have the event (`may_have_arrived`), and whether the change behind it was taken back, which ends an open event:

    state                                   LinkedIn may have it   taken back   key
    pending, waiting                        yes or no              no           kept
    accepted                                yes                    yes or no    kept
    exhausted                               no                     no           kept: a person can retry the event
    exhausted                               no                     yes          released
    exhausted                               yes                    no           kept: LinkedIn may count the event
    exhausted                               yes                    yes          handed over
    rejected, expired, skipped, cancelled   no                     yes or no    released
    rejected, expired, skipped, cancelled   yes                    no           kept: LinkedIn may count the event
    rejected, expired, skipped, cancelled   yes                    yes          handed over

A key that is released goes to the oldest duplicate that can still be sent, which is queued (`duplicates.pass_on`). It
does not if a person cancelled the holder and so decided about the lead or deal, or if what ended the holder ends the
duplicates as well: an opt-out, a deleted rule. A key that nobody has goes to the next event that is planned.

With a key that is handed over, the duplicate gets the holder's event id. The holder is never sent again, so LinkedIn
counts one conversion, whether or not the request with the holder arrived.
"""

from collections.abc import Collection
from typing import Final

from django.db.models import BigIntegerField, Case, Exists, OuterRef, Q, QuerySet, When
from django.db.models.functions import Coalesce

from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import OPEN_STATES, STATES_THAT_HOLD_ONCE, Frequency, State
from capi.models.event import MAY_HAVE_ARRIVED

NEEDED_KEY: Final = Coalesce("deal_id", "lead_id")
# Events that are reported, may be, or are about to be.
REPORTED: Final = Q(state__in=STATES_THAT_HOLD_ONCE) | Q(may_have_arrived=True)
# Holders whose keys are handed over. `planning_sql` has the same condition.
HANDS_OVER: Final = Q(
    ~Q(state__in=[*OPEN_STATES, State.ACCEPTED]),
    may_have_arrived=True,
    once_key__isnull=False,
    crm_event__taken_back_at__isnull=False,
)


def once_key_expression() -> Case:
    """The `once_key` that an event needs, null if its rule does not count once."""
    once = ConversionRule._base_manager.filter(frequency=Frequency.ONCE)
    return Case(When(rule__in=once, then=NEEDED_KEY), output_field=BigIntegerField())


def is_already_counted() -> Q:
    """True if another event holds the key that this one needs."""
    return Q(
        Exists(holder().exclude(pk=OuterRef("pk"))), rule__frequency=Frequency.ONCE
    )


def is_counted_by_merge() -> Q:
    """True if another event about the same lead holds a key: perhaps that of a lead that was merged into it."""
    return Q(
        Exists(others_of_lead().filter(once_key__isnull=False)),
        deal=None,
        rule__frequency=Frequency.ONCE,
    )


def is_counted_otherwise() -> Q:
    """True if its rule reported the same lead or deal before it began to count people: no person was recorded then."""
    same = about_the_same().filter(MAY_HAVE_ARRIVED, counted_people=None, is_test=False)
    return Q(
        Exists(same.exclude(pk=OuterRef("pk"))), rule__frequency=Frequency.PER_PERSON
    )


def about_the_same() -> QuerySet[ConversionEvent]:
    """The events under the rule of the outer query's event that are about the same lead or deal."""
    events = ConversionEvent.objects.filter(
        rule=OuterRef("rule"), lead=OuterRef("lead")
    )
    return events.alias(key=NEEDED_KEY).filter(
        key=Coalesce(OuterRef("deal_id"), OuterRef("lead_id"))
    )


def others_of_lead() -> QuerySet[ConversionEvent]:
    """The other events about the lead of the outer query's event, under its rule."""
    events = ConversionEvent.objects.filter(
        rule=OuterRef("rule"), lead=OuterRef("lead"), deal=None, is_test=False
    )
    return events.exclude(pk=OuterRef("pk"))


def holder() -> QuerySet[ConversionEvent]:
    """The holder of the key that the outer query's event needs."""
    key = Coalesce(OuterRef("deal_id"), OuterRef("lead_id"))
    return ConversionEvent.objects.filter(rule=OuterRef("rule"), once_key=key)


def holders_of(keys: Collection[tuple[int, int]]) -> QuerySet[ConversionEvent]:
    """The holders of these keys, (rule, key) each. If one rule holds another's key, its holder is among them."""
    rules = {rule for rule, _ in keys}
    return ConversionEvent.objects.filter(
        rule__in=rules, once_key__in={key for _, key in keys}
    )
