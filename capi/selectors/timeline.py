"""The outcomes of CRM events, for the timeline of a lead or a deal."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Final
from uuid import UUID

from django.conf import settings
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import dateformat, timezone

from capi.delivery.persons import counted_people, people_of
from capi.models import (
    Connection,
    ConversionEvent,
    ConversionEventQuerySet,
    ConversionRule,
)
from capi.models.choices import OPEN_STATES, Frequency, Reason, State
from capi.selectors.explanations.explain import NO_EVENT, explain
from capi.selectors.explanations.states import ON_HOLD, STATES
from crm.models import CrmEvent
from crm.models.roles import Action
from crm.selectors.timeline import EventOutcome, Outlook

MINUTE: Final = 60
IMPORTED = EventOutcome(
    "Imported without sending to LinkedIn, as chosen", label="Not sent", is_nothing=True
)
NO_RULE = EventOutcome(NO_EVENT.what.removesuffix("."), is_nothing=True)


def outcomes(crm_events: Sequence[CrmEvent]) -> Mapping[int, list[EventOutcome]]:
    """Outcomes by CRM event id, one for each rule, in one query."""
    events = ConversionEvent.objects.filter(
        crm_event__in=[event.pk for event in crm_events]
    )
    by_crm_event: defaultdict[int, list[EventOutcome]] = defaultdict(list)
    for event in events.select_related("rule", "company__linkedin_connection").order_by(
        "pk"
    ):
        assert event.crm_event_id is not None
        by_crm_event[event.crm_event_id].append(_outcome(event))
    return {
        event.pk: by_crm_event.get(event.pk) or [_outcome_without_log(event)]
        for event in crm_events
    }


def _outcome_without_log(event: CrmEvent) -> EventOutcome:
    if event.history_only:
        return IMPORTED
    # Its conversion event may have been sent and since deleted from the log.
    days = settings.RETENTION_DAYS
    if event.occurred_at < timezone.now() - timedelta(days=days):
        return EventOutcome(
            f"More than {days} day{pluralize(days)} ago: its log is no longer kept",
            label="Not kept",
        )
    return NO_RULE


def _outcome(event: ConversionEvent) -> EventOutcome:
    connection: Connection | None = getattr(event.company, "linkedin_connection", None)
    words, rule, url = (
        explain(event, connection),
        str(event.rule),
        event.get_absolute_url(),
    )
    label = STATES[State(event.state)].label
    if event.state == State.ACCEPTED and event.settled_at is not None:
        moment = dateformat.format(timezone.localtime(event.settled_at), "j M, H:i")
        return EventOutcome(
            f"Sent to LinkedIn {moment} ({rule})", words.tone, url, label=label
        )
    if (
        event.state == State.WAITING
        and event.reason == Reason.NO_EMAIL
        and event.lead_id
    ):
        address = reverse("lead_edit", args=[event.lead_id])
        return EventOutcome(
            f"{words.label} ({rule})",
            words.tone,
            url,
            "Enter an address",
            address,
            label=label,
        )
    if event.is_on_hold(connection):
        # The reason means nothing to people who don't see the LinkedIn page, and has nothing to do with this lead.
        text = f"On hold ({rule}): an admin needs to check the LinkedIn page"
        cancel = f"{reverse('events_cancel')}?event={event.pk}"
        return EventOutcome(
            text,
            "wait",
            url,
            "Cancel it",
            cancel,
            Action.CHANGE_EVENTS,
            label=ON_HOLD.label,
        )
    is_open = event.state == State.PENDING
    label = words.label if is_open else label
    return EventOutcome(
        f"{words.label} ({rule}): {words.what}",
        words.tone,
        url,
        is_open=is_open,
        label=label,
    )


def outlook(company_id: int, action: UUID) -> Outlook | None:
    """What an action will send to LinkedIn, None if it causes no conversion."""
    events = ConversionEvent.objects.for_company(company_id).filter(
        crm_event__action=action, state__in=OPEN_STATES
    )
    first = events.select_related("rule").order_by("state", "pk").first()
    count = events.count() - _repeats(events)
    if first is None or not count:
        return None
    connection = Connection.objects.for_company(company_id).first()
    conversions = "" if count == 1 else f" {count:,} conversions"
    if first.is_on_hold(connection):
        return Outlook(f"Sends{conversions} to LinkedIn once sending continues.")
    if first.state == State.WAITING:
        return Outlook(
            f"Sends{conversions} to LinkedIn once there is an e-mail address."
        )
    seconds = ceil(first.seconds_of_grace(timezone.now()))
    return Outlook(f"Sends{conversions} to LinkedIn {_in(seconds)}.", seconds)


def _repeats(events: ConversionEventQuerySet) -> int:
    """How many of these open events will be skipped, because their rule counts people.

    Either it has already counted theirs, or several of these events are about the same person.
    """
    addresses: defaultdict[int, list[str]] = defaultdict(list)
    of_people = events.filter(rule__frequency=Frequency.PER_PERSON, lead__email__gt="")
    for rule_id, address in of_people.values_list("rule", "lead__email"):
        addresses[rule_id].append(address)
    repeats = 0
    for rule in ConversionRule._base_manager.filter(pk__in=addresses):
        people = people_of(rule, addresses[rule.pk])
        repeats += (
            len(addresses[rule.pk]) - len(people) + len(counted_people(rule, people))
        )
    return repeats


def _in(seconds: int) -> str:
    if seconds <= 0:
        return "now"
    if seconds < MINUTE:
        return f"in {seconds} s"
    return f"in {round(seconds / MINUTE)} min"
