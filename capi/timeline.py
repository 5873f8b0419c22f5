"""What became of a CRM event at LinkedIn, for the timeline of a lead or a deal."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from django.utils import dateformat, timezone

from capi.models import Connection, ConversionEvent
from capi.reasons import State
from capi.words import explain
from crm.models import CrmEvent
from crm.timeline import TimelineNote

NO_RULE = TimelineNote("No active rule at that time: nothing is sent to LinkedIn")


def notes(crm_events: Sequence[CrmEvent]) -> Mapping[int, list[TimelineNote]]:
    """Notes by CRM event id, one for each rule, in one query."""
    events = ConversionEvent.objects.filter(crm_event__in=[event.pk for event in crm_events])
    found: defaultdict[int, list[TimelineNote]] = defaultdict(list)
    for event in events.select_related("rule", "company__linkedin_connection").order_by("pk"):
        assert event.crm_event_id is not None
        found[event.crm_event_id].append(_note(event))
    return {event.pk: found.get(event.pk, [NO_RULE]) for event in crm_events}


def _note(event: ConversionEvent) -> TimelineNote:
    connection: Connection | None = getattr(event.company, "linkedin_connection", None)
    words = explain(event, connection)
    if event.state == State.ACCEPTED and event.settled_at is not None:
        moment = dateformat.format(timezone.localtime(event.settled_at), "j M, H:i")
        text = f"Sent to LinkedIn {moment} ({event.rule.name})"
    else:
        text = f"{words.label} ({event.rule.name}): {words.what}"
    return TimelineNote(text, words.tone, event.get_absolute_url())
