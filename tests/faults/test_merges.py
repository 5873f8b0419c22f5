"""Random histories with merges, some of them while a request is on the wire: I13, kept in a book of our own.

No merge and no undo creates a conversion event. What was ever pending reaches LinkedIn, once; what was skipped as a
duplicate is one; no one who has opted out is reported. When all merges are undone, each event belongs to its own lead
or deal again. Two events in each state: tests/capi/delivery/test_merges.py.
"""

import random
from collections import Counter

import pytest

from capi.linkedin.identity import email_sha256
from capi.models.choices import Reason, State
from crm.models import Lead
from tests.capi.conftest import received
from tests.faults import figures
from tests.faults.merge_histories import History
from tests.size import sized

pytestmark = [
    pytest.mark.faults, pytest.mark.django_db, pytest.mark.representative, pytest.mark.sized,
]  # fmt: skip

RULES = [
    ("lead_created", "1001", "once"), ("lead_qualified", "1002", "every_time"), ("lead_qualified", "1003", "once"),
    ("deal_won", "1004", "once"), ("lead_qualified", "1005", "per_person"), ("lead_qualified", "1006", "every_time"),
]  # fmt: skip
COUNTS_PEOPLE = "1005"
ALWAYS_ONCE = ["1001", "1003"]


@pytest.mark.parametrize("number", figures.seeds(sized(20, small=2)))
def test_no_conversion_is_made_lost_or_doubled_by_merges(
    company, connected, make_rule, sandbox, monkeypatch, number
) -> None:
    for crm_event, linkedin_id, frequency in RULES:
        make_rule(crm_event, linkedin_id=linkedin_id, frequency=frequency)
    history = History(company, sandbox, monkeypatch, random.Random(number))

    history.live()
    history.end()
    shared = history.events().filter(lead__share_with_ad_platforms=True)
    assert_all_arrived_once(history, shared)
    history.undo_all()
    history.end()

    assert_all_arrived_once(history, shared)
    assert_each_lead_is_as_it_was(history)


def assert_all_arrived_once(history: History, shared) -> None:
    taken = history.taken()
    of_shared = shared.exclude(rule__frequency="per_person").values_list(
        "event_id", flat=True
    )
    assert (history.certain & set(of_shared)) - taken.keys() == set(), (
        "I13: something that was pending was lost"
    )
    assert [event_id for event_id, times in taken.items() if times > 1] == [], (
        "I13: something was sent twice"
    )
    assert history.cancelled & taken.keys() == set(), (
        "I13: something was made of a backfill that was cancelled"
    )
    waiting = history.events().filter(state=State.WAITING).exclude(lead__email="")
    assert not waiting.exists(), "I13: something waits for an address that is there"
    assert history.skipped_in_vain() == [], (
        "I13: something was lost as the duplicate of nothing"
    )
    assert_people_are_counted_once(history, shared)


def assert_people_are_counted_once(history: History, shared) -> None:
    accepted = history.events().filter(
        state=State.ACCEPTED, rule__linkedin_id__in=ALWAYS_ONCE
    )
    of_owners = Counter(
        (event.rule_id, history.owners[event.event_id]) for event in accepted
    )
    assert [owner for owner, times in of_owners.items() if times > 1] == [], (
        "I13: a lead was counted twice"
    )
    hashes = Counter(
        element["user"]["userIds"][0]["idValue"]
        for element in received(history.sandbox)
        if element["conversion"].endswith(f":{COUNTS_PEOPLE}")
    )
    assert [digest for digest, times in hashes.items() if times > 1] == [], (
        "I13: a person was counted twice"
    )
    counted = shared.filter(
        rule__linkedin_id=COUNTS_PEOPLE,
        state=State.SKIPPED,
        reason=Reason.ALREADY_COUNTED,
    )
    for address in counted.exclude(lead__email="").values_list(
        "lead__email", flat=True
    ):
        assert email_sha256(address) in hashes, "I13: a person was counted by nothing"


def assert_each_lead_is_as_it_was(history: History) -> None:
    for event_id, lead, deal_lead in history.events().values_list(
        "event_id", "lead", "deal__lead"
    ):
        assert lead == (deal_lead or history.owners[event_id]), (
            "I13: an undo left an event with the other lead"
        )
    assert dict(Lead.objects.values_list("pk", "email")) == history.addresses, (
        "I13: an address is another lead's"
    )
