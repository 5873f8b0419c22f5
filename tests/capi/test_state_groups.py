"""Every page counts by the same groups of states, and agrees on what is on hold."""

from collections import Counter

import pytest

from capi import services
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import OPEN_STATES, State
from capi.selectors.dashboard import open_events
from capi.selectors.events import EventFilter, matching
from capi.selectors.on_hold import on_hold
from capi.selectors.rules import rule_rows
from capi.selectors.state_groups import (
    FAILED,
    GROUPS,
    NOT_SENT,
    STATES,
    StateFilter,
    filter_of,
)
from tests.conftest import TOKEN


def test_the_groups_hold_every_state_once() -> None:
    assert Counter(state for states in GROUPS.values() for state in states) == Counter(
        State
    )


def test_every_final_state_but_sent_is_failed_or_not_sent() -> None:
    assert {*FAILED, *NOT_SENT} == set(State) - {State.ACCEPTED, *OPEN_STATES}


@pytest.mark.parametrize("state", State)
def test_the_filter_of_a_state_finds_that_state_alone(state: State) -> None:
    for is_on_hold in (True, False):
        chosen = filter_of(state, is_on_hold=is_on_hold)

        assert [*STATES.get(chosen, [State.ACCEPTED])] == [state]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "held_by", ["nothing", "rule", "connection", "no token", "no connection"]
)
def test_every_page_has_the_same_answer_to_what_is_on_hold(
    company, make_rule, held_by
) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule(
        is_paused=held_by == "rule",
        paused_reason="rule_not_found" if held_by == "rule" else "",
    )
    make_rule("deal_won", "104012")
    for rule in ConversionRule.objects.all():
        for state, is_test in [*((state, False) for state in State), ("pending", True)]:
            ConversionEvent.objects.create(
                company=company, rule=rule, state=state, is_test=is_test
            )
    if held_by == "connection":
        Connection.objects.update(is_paused=True, paused_reason="token_refused")
    if held_by == "no token":
        Connection.objects.update(sealed_token="")
    connection = None if held_by == "no connection" else Connection.objects.get()
    events = ConversionEvent.objects.for_company(company.pk)

    expected = [
        event for event in events.select_related("rule") if event.is_on_hold(connection)
    ]

    assert len(expected) == {"nothing": 0, "rule": 1}.get(held_by, 2)
    assert set(events.on_hold(connection)) == set(expected)
    assert events.on_hold(connection).count() + events.queued(connection).count() == 2
    held = on_hold(company.pk, connection, list(ConversionRule.objects.all()))
    assert (held.count if held else 0) == len(expected)
    assert open_events(company, connection).on_hold == len(expected)
    assert sum(row.on_hold for row in rule_rows(company.pk, connection)) == len(
        expected
    )
    assert set(
        matching(company.pk, EventFilter(chip=StateFilter.ON_HOLD), connection)
    ) == set(expected)
    assert matching(
        company.pk, EventFilter(chip=StateFilter.QUEUED), connection
    ).count() == 2 - len(expected)
