"""The table in `capi.delivery.deduplication`: what happens to a key, by the state of its holder."""

import re
from collections.abc import Iterator

import pytest
from django.db.models.functions import Now

from capi.delivery import deduplication, planning
from capi.models import Connection, ConversionEvent
from capi.models.choices import OPEN_STATES, Reason, State
from capi.models.event import columns_in
from capi.models.lookups import IdList
from crm.models import CrmEvent
from tests.capi.delivery.test_duplicates import pick, qualify_again
from tests.conftest import make_lead

ANSWERS = {"yes": [True], "no": [False], "yes or no": [True, False]}


def table() -> Iterator[tuple[str, bool, bool, str]]:
    """Each case: the state, whether LinkedIn may have the event, whether its change was taken back, and the key."""
    lines = (deduplication.__doc__ or "").splitlines()
    start = (
        next(
            number for number, line in enumerate(lines) if line.split()[:1] == ["state"]
        )
        + 1
    )
    for line in lines[start : lines.index("", start)]:
        states, arrived, taken_back, key = re.split(r"\s{2,}", line.strip())
        for state in states.split(", "):
            for may_have_arrived in ANSWERS[arrived]:
                for is_taken_back in ANSWERS[taken_back]:
                    yield state, may_have_arrived, is_taken_back, key.partition(":")[0]


CASES = list(table())


@pytest.mark.django_db
@pytest.mark.parametrize(("state", "may_have_arrived", "is_taken_back", "key"), CASES)
def test_the_key_is(
    company, connected, make_rule, state, may_have_arrived, is_taken_back, key
) -> None:
    make_rule("lead_qualified", frequency="once")
    Connection.objects.update(is_paused=True)
    lead = make_lead(company)
    pick(lead, "qualified")
    qualify_again(lead)
    holder, duplicate = ConversionEvent.objects.order_by("pk")
    assert (holder.once_key, duplicate.reason) == (lead.pk, Reason.ALREADY_COUNTED)

    if is_taken_back:
        CrmEvent.objects.filter(pk=holder.crm_event_id).update(taken_back_at=Now())
    ended = ConversionEvent.objects.filter(pk=holder.pk)
    ended.update(may_have_arrived=may_have_arrived and state != State.ACCEPTED)
    ended.update(state=state, **columns_in(State(state)))
    planning.tidy_after_recall(IdList([holder.pk]))

    keys = dict(ConversionEvent.objects.values_list("pk", "once_key"))
    after = ConversionEvent.objects.get(pk=duplicate.pk)
    if key == "kept":
        assert (keys, after.state) == (
            {holder.pk: lead.pk, duplicate.pk: None},
            "skipped",
        )
    else:
        assert (keys, after.state) == (
            {holder.pk: None, duplicate.pk: lead.pk},
            "pending",
        )
        assert (
            after.event_id == (holder if key == "handed over" else duplicate).event_id
        )


def test_the_table_is_complete() -> None:
    cases = {(state, arrived, taken_back) for state, arrived, taken_back, _ in CASES}

    assert len(cases) == len(CASES)
    assert {key for *_, key in CASES} == {"kept", "released", "handed over"}
    assert cases == {
        (state, arrived, taken_back)
        for state in State.values
        for arrived in (True, False)
        for taken_back in (True, False)
        if (arrived or state != State.ACCEPTED)
        and not (taken_back and state in OPEN_STATES)
    }
