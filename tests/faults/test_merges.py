"""Random histories with merges, some of them while a request is on the wire: I13, kept in a book of our own.

No merge and no undo makes a conversion event. What was ever pending reaches LinkedIn, once. When all merges are undone,
each event is its own lead's again, or its deal's. Two events in each state: tests/capi/delivery/test_merges.py.
"""

import random
from collections import Counter
from contextlib import suppress

import pytest

from capi.delivery import http_session
from capi.models import Connection, ConversionEvent
from capi.models.choices import Reason, State
from crm.models import CrmEvent, Deal, Lead, LeadMerge, LeadStatus, Stage
from crm.services.editing import change_status, move_deal
from crm.services.lead_merges import MergeRefused, merge_leads
from crm.services.merge_undo import undo_merge
from tests.capi.conftest import received, send_all, wait_is_over
from tests.faults import figures
from tests.size import sized

pytestmark = [pytest.mark.faults, pytest.mark.django_db, pytest.mark.representative, pytest.mark.sqlite]

STEPS = 30


class History:
    """What people and workers do in a company, in an order that the dice decide."""

    def __init__(self, company, sandbox, monkeypatch, dice) -> None:
        self.company, self.sandbox, self.monkeypatch, self.dice = company, sandbox, monkeypatch, dice
        self.owners: dict[str, int] = {}  # of each event, the lead that it was about when it was planned
        self.certain: set[str] = set()  # events that were on their way to someone: they have to arrive
        self.merges = 0

    def live(self) -> None:
        steps = (
            self.add_lead, self.add_lead, self.add_deal, self.win_deal, self.pick_status, self.pick_status,
            self.enter_address, self.send, self.pause, self.merge, self.merge, self.merge_on_the_wire, self.undo,
        )  # fmt: skip
        for _ in range(STEPS):
            self.dice.choice(steps)()
            self.note()

    def note(self) -> None:
        """Write down what there is: new events with their leads, and those that are on their way."""
        for event_id, lead, state, address in self.events().values_list("event_id", "lead", "state", "lead__email"):
            self.owners.setdefault(event_id, lead)
            if state == State.PENDING and address:
                self.certain.add(event_id)
            elif state != State.ACCEPTED and not address:
                self.certain.discard(event_id)  # an undo has taken the address away that a merge had given it

    def events(self):
        return ConversionEvent.objects.for_company(self.company)

    def lead(self) -> Lead | None:
        leads = list(Lead.objects.for_company(self.company).current().order_by("pk"))
        return self.dice.choice(leads) if leads else None

    def add_lead(self) -> None:
        number = Lead.objects.count()
        address = f"lead{number}@example.com" if self.dice.random() < 0.6 else ""
        Lead.objects.create(company=self.company, first_name=f"Lead {number}", email=address)

    def add_deal(self) -> None:
        if lead := self.lead():
            Deal.objects.create(company=self.company, lead=lead, title="Licences")

    def win_deal(self) -> None:
        if deals := list(Deal.objects.for_company(self.company).open().order_by("pk")):
            move_deal(deal=self.dice.choice(deals), stage=Stage.objects.get(company=self.company, meaning="won"))

    def pick_status(self) -> None:
        if lead := self.lead():
            meaning = self.dice.choice(["qualified", "qualified", "new"])
            status = LeadStatus.objects.get(company=self.company, meaning=meaning)
            change_status(leads=Lead.objects.filter(pk=lead.pk), status=status)

    def enter_address(self) -> None:
        if lead := self.lead():
            Lead.objects.filter(pk=lead.pk, email="").update(email=f"late{lead.pk}@example.com")

    def pause(self) -> None:
        is_paused = self.dice.random() < 0.5
        reason = Reason.TOKEN_REFUSED if is_paused else Reason.NONE
        Connection.objects.for_company(self.company).update(is_paused=is_paused, paused_reason=reason)

    def send(self) -> None:
        wait_is_over()
        send_all(self.company)

    def merge(self) -> None:
        kept, gone = self.lead(), self.lead()
        if kept is None or gone is None:
            return
        before = self.counts()
        with suppress(MergeRefused):
            merge_leads(kept=kept, gone=gone, taken=[] if kept.email else ["email"])
            self.merges += 1
        assert self.counts() == before, "I13: a merge made something"

    def merge_on_the_wire(self) -> None:
        send, left = http_session.send, [self.merge]

        def send_meanwhile(**request):
            if left:
                left.pop()()
            return send(**request)

        with self.monkeypatch.context() as patch:
            patch.setattr(http_session, "send", send_meanwhile)
            self.send()

    def undo(self) -> None:
        merge = LeadMerge.objects.for_company(self.company).order_by("-pk").first()
        if merge is not None:
            before = self.counts()
            undo_merge(merge=merge)
            assert self.counts() == before, "I13: an undo made something"

    def counts(self) -> tuple[int, int]:
        return self.events().count(), CrmEvent.objects.for_company(self.company).count()

    def end(self) -> None:
        Connection.objects.for_company(self.company).update(is_paused=False, paused_reason="", next_attempt_at=None)
        for _ in range(2):
            self.send()

    def taken(self) -> Counter[str]:
        ours = set(self.events().values_list("event_id", flat=True))
        return Counter(element["eventId"] for element in received(self.sandbox) if element["eventId"] in ours)


@pytest.mark.parametrize("number", figures.seeds(sized(40, small=4)))
def test_no_conversion_is_made_lost_or_doubled_by_merges(
    company, connected, make_rule, sandbox, monkeypatch, number
) -> None:
    make_rule("lead_created", linkedin_id="1001", frequency="once")
    make_rule("lead_qualified", linkedin_id="1002", frequency="every_time")
    make_rule("lead_qualified", linkedin_id="1003", frequency="once")
    make_rule("deal_won", linkedin_id="1004", frequency="once")
    history = History(company, sandbox, monkeypatch, random.Random(number))

    history.live()
    history.end()

    taken = history.taken()
    assert history.certain - taken.keys() == set(), "I13: something that was pending was lost"
    assert [event_id for event_id, times in taken.items() if times > 1] == [], "I13: something was sent twice"
    assert_nothing_waits_in_vain(history)
    while LeadMerge.objects.exists():
        history.undo()
    history.end()
    for event_id, lead, deal_lead in history.events().values_list("event_id", "lead", "deal__lead"):
        assert lead == (deal_lead or history.owners[event_id]), "I13: an undo left an event with the other lead"


def assert_nothing_waits_in_vain(history: History) -> None:
    """Nothing waits any longer for an address that its lead has."""
    waiting = history.events().filter(state=State.WAITING).exclude(lead__email="")
    assert not waiting.exists(), "I13: something waits for an address that is there"
