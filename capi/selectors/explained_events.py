"""Events with their explanations, for Recent Events, the dashboard and tests."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from capi.models import Connection, ConversionEvent, CrmEventName
from capi.models.choices import State
from capi.selectors.explanations.explain import explain
from capi.selectors.explanations.states import STATES, Explanation


@dataclass(frozen=True, slots=True)
class ExplainedEvent:
    """An event and its current explanation. `event.rule` and `event.crm_event` should be loaded."""

    event: ConversionEvent
    words: Explanation
    is_on_hold: bool = False
    lane_rests_until: datetime | None = None

    @property
    def kind(self) -> CrmEventName:
        """The CRM event, or for a test the one that its rule is mapped to."""
        recorded = self.event.crm_event
        return CrmEventName(recorded.kind if recorded else self.event.rule.crm_event)

    @property
    def title(self) -> str:
        return str(self.kind.label)

    @property
    def gone(self) -> str:
        """Whether a missing lead was erased or deleted: the CRM event still refers to an erased one."""
        recorded = self.event.crm_event
        return "erased" if recorded is not None and recorded.lead_id else "deleted"

    @property
    def why(self) -> str:
        """The short reason next to the state, "" if the state is enough."""
        return "" if self.words == STATES[State(self.event.state)] else self.words.what

    @property
    def is_moving(self) -> bool:
        """True while the event is about to be sent, so the page should refresh itself."""
        return self.event.state == State.PENDING and not self.is_on_hold

    @property
    def next_try(self) -> datetime | None:
        """When the event is next sent: not before the lane's rest ends. None if at once, or if not `is_moving`."""
        if not self.is_moving or self.event.next_attempt_at is None:
            return None
        if self.lane_rests_until is None:
            is_later = self.event.attempts or self.event.seconds_of_grace(
                timezone.now()
            )
            return self.event.next_attempt_at if is_later else None
        return max(self.event.next_attempt_at, self.lane_rests_until)


def explained(event: ConversionEvent, connection: Connection | None) -> ExplainedEvent:
    until = None
    if connection is not None and not event.is_test:
        until = connection.next_attempt_at
    rests_until = until if until is not None and until > timezone.now() else None
    return ExplainedEvent(
        event, explain(event, connection), event.is_on_hold(connection), rests_until
    )


def all_explained(
    events: Iterable[ConversionEvent], connection: Connection | None
) -> list[ExplainedEvent]:
    return [explained(event, connection) for event in events]
