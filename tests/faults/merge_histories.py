"""Random histories of a company that merges leads: what people and workers do, and a book of what must follow."""

from collections import Counter
from contextlib import suppress
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from capi import services
from capi.delivery import http_session, sweep
from capi.delivery.cancellation import cancel_backfill
from capi.delivery.deduplication import REPORTED
from capi.models import Backfill, Connection, ConversionEvent, ConversionRule
from capi.models.choices import OPEN_STATES, Reason, State
from crm.models import CrmEvent, Deal, Lead, LeadMerge, LeadStatus, Stage
from crm.services.editing import change_status, move_deal
from crm.services.lead_merges import MergeRefused, merge_leads
from crm.services.merge_undo import undo_merge
from tests.capi.conftest import received, send_all, wait_is_over

STEPS = 40


class History:
    """Steps in an order that the dice decide."""

    def __init__(self, company, sandbox, monkeypatch, dice) -> None:
        self.company, self.sandbox, self.monkeypatch, self.dice = (
            company,
            sandbox,
            monkeypatch,
            dice,
        )
        # By event, the lead that it was about when it was planned.
        self.owners: dict[str, int] = {}
        # Events that were pending with an address: they must arrive.
        self.certain: set[str] = set()
        # Events of a backfill that was cancelled before they were sent.
        self.cancelled: set[str] = set()
        self.addresses: dict[int, str] = {}  # by lead, as people have entered them
        self.opted_out: set[int] = set()  # leads whose person has opted out
        self.is_sending = False
        self.merges = 0

    def live(self) -> None:
        steps = (
            self.add_lead, self.add_lead, self.add_deal, self.win_deal, self.pick_status, self.pick_status,
            self.enter_address, self.lose_address, self.opt_out, self.send, self.pause, self.expire, self.count_once,
            self.start_backfill, self.cancel_backfill, *[self.merge] * 5, self.merge_on_the_wire, self.undo, self.undo,
        )  # fmt: skip
        for _ in range(STEPS):
            self.dice.choice(steps)()
            self.note()

    # The book

    def note(self) -> None:
        """Record the events as they are now, and check who has opted out."""
        columns = ("event_id", "lead", "state", "lead__email")
        for event_id, lead, state, address in self.events().values_list(*columns):
            self.owners.setdefault(event_id, lead)
            if state == State.PENDING and address and event_id not in self.cancelled:
                self.certain.add(event_id)
            elif state != State.ACCEPTED and not address:
                # An undo has removed the address that a merge had given the lead.
                self.certain.discard(event_id)
        for lead in Lead.objects.for_company(self.company).current():
            person = set(Lead.objects.of_person(lead).values_list("pk", flat=True))
            shares = lead.share_with_ad_platforms
            assert shares == (not person & self.opted_out), (
                f"I13: lead {lead.pk} shares: {shares}"
            )

    def events(self):
        return ConversionEvent.objects.for_company(self.company)

    def counts(self) -> tuple[int, int]:
        return self.events().count(), CrmEvent.objects.for_company(self.company).count()

    def taken(self) -> Counter[str]:
        ours = set(self.events().values_list("event_id", flat=True))
        return Counter(
            element["eventId"]
            for element in received(self.sandbox)
            if element["eventId"] in ours
        )

    def rule(self, **fields) -> ConversionRule | None:
        rules = list(
            ConversionRule.objects.for_company(self.company)
            .filter(**fields)
            .order_by("pk")
        )
        return self.dice.choice(rules) if rules else None

    # What people do

    def lead(self) -> Lead | None:
        leads = list(Lead.objects.for_company(self.company).current().order_by("pk"))
        return self.dice.choice(leads) if leads else None

    def add_lead(self) -> None:
        number = Lead.objects.count()
        address = f"lead{number}@example.com" if self.dice.random() < 0.6 else ""
        shares = self.dice.random() < 0.9
        lead = Lead.objects.create(
            company=self.company,
            first_name=f"Lead {number}",
            email=address,
            share_with_ad_platforms=shares,
        )
        self.addresses[lead.pk] = address
        if not shares:
            self.opted_out.add(lead.pk)

    def add_deal(self) -> None:
        if lead := self.lead():
            Deal.objects.create(company=self.company, lead=lead, title="Licences")

    def win_deal(self) -> None:
        if deals := list(Deal.objects.for_company(self.company).open().order_by("pk")):
            move_deal(
                deal=self.dice.choice(deals),
                stage=Stage.objects.get(company=self.company, meaning="won"),
            )

    def pick_status(self) -> None:
        if lead := self.lead():
            meaning = self.dice.choice(["qualified", "qualified", "new"])
            status = LeadStatus.objects.get(company=self.company, meaning=meaning)
            change_status(leads=Lead.objects.filter(pk=lead.pk), status=status)

    def enter_address(self) -> None:
        lead = self.lead()
        if lead is not None and not lead.email:
            self.write_address(lead, f"late{lead.pk}@example.com")

    def lose_address(self) -> None:
        lead = self.lead()
        if lead is not None and lead.email and self.dice.random() < 0.5:
            self.write_address(lead, "")

    def write_address(self, lead: Lead, address: str) -> None:
        Lead.objects.filter(pk=lead.pk).update(email=address)
        self.addresses[lead.pk] = address

    def opt_out(self) -> None:
        lead = self.lead()
        if lead is not None and self.dice.random() < 0.3:
            Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=False)
            if lead.share_with_ad_platforms:
                self.opted_out |= set(
                    Lead.objects.of_person(lead).values_list("pk", flat=True)
                )

    def pause(self) -> None:
        is_paused = self.dice.random() < 0.5
        reason = Reason.TOKEN_REFUSED if is_paused else Reason.NONE
        Connection.objects.for_company(self.company).update(
            is_paused=is_paused, paused_reason=reason
        )

    def count_once(self) -> None:
        """Change a rule that counts every time to count once. What that skips is checked at the end."""
        if rule := self.rule(frequency="every_time"):
            rule.frequency = "once"
            services.save_rule(rule=rule)
            unsent = self.events().filter(rule=rule).exclude(state=State.ACCEPTED)
            self.certain -= set(unsent.values_list("event_id", flat=True))

    def start_backfill(self) -> None:
        """As if a backfill had found an event that may still be sent, or was skipped."""
        rule = self.rule(backfills=None)
        events = (
            self.events().filter(~Q(state=State.ACCEPTED), rule=rule, backfill=None)
            if rule
            else None
        )
        if events and events.exists():
            backfill = Backfill.objects.create(
                company=self.company, rule=rule, since=Now(), until=Now()
            )
            chosen = self.dice.choice(
                list(events.order_by("pk").values_list("pk", flat=True))
            )
            self.events().filter(pk=chosen).update(backfill=backfill)

    def cancel_backfill(self) -> None:
        if (
            backfill := Backfill.objects.for_company(self.company)
            .unfinished()
            .order_by("pk")
            .first()
        ):
            cancel_backfill(backfill)
            unsent = set(
                backfill.events.exclude(state=State.ACCEPTED).values_list(
                    "event_id", flat=True
                )
            )
            self.cancelled |= unsent
            self.certain -= unsent

    def expire(self) -> None:
        """As if an event had waited for 90 days."""
        if events := list(self.events().filter(state__in=OPEN_STATES).order_by("pk")):
            event = self.dice.choice(events)
            self.events().filter(pk=event.pk).update(
                happened_at=Now() - timedelta(days=91)
            )
            self.certain.discard(event.event_id)
            sweep.tidy()

    # Merges

    def merge(self) -> None:
        kept, gone = self.lead(), self.lead()
        # Often the same one, so several merges into a lead are undone in turn.
        if self.dice.random() < 0.5:
            kept = (
                Lead.objects.for_company(self.company).current().order_by("pk").first()
            )
        if kept is None or gone is None or kept == gone:
            return
        before, repeats = (
            self.counts(),
            [*self.repeats(kept, gone), *self.repeats(gone, kept)],
        )
        merge_leads(kept=kept, gone=gone, taken=[] if kept.email else ["email"])
        self.merges += 1
        assert self.counts() == before, "I13: a merge made something"
        opened = self.events().filter(pk__in=repeats, state__in=OPEN_STATES)
        assert self.is_sending or not opened.exists(), (
            "I13: a merge sends what its rule has reported of the other lead"
        )

    def repeats(self, lead: Lead, other: Lead) -> list[int]:
        """The lead's events that can't be sent without an address, under rules that have reported the other lead."""
        about_lead = (
            self.events().filter(deal=None).exclude(rule__frequency="per_person")
        )
        rules = about_lead.filter(lead=other, state=State.ACCEPTED).values("rule")
        unsent = about_lead.filter(
            lead=lead, lead__email="", state__in=OPEN_STATES, rule__in=rules
        )
        return list(unsent.values_list("pk", flat=True))

    def merge_on_the_wire(self) -> None:
        send, left = http_session.send, [self.merge]

        def send_meanwhile(**request):
            if left:
                self.is_sending = True
                left.pop()()
                self.is_sending = False
            return send(**request)

        with self.monkeypatch.context() as patch:
            patch.setattr(http_session, "send", send_meanwhile)
            self.send()

    def undo(self) -> None:
        """Undo any merge. It is refused if another one has followed it."""
        merges = list(LeadMerge.objects.for_company(self.company).order_by("pk"))
        if not merges:
            return
        merge = merges[0] if self.dice.random() < 0.3 else self.dice.choice(merges)
        followed = any(
            each.pk > merge.pk and merge.kept_id in (each.kept_id, each.gone_id)
            for each in merges
        )
        before, was_refused = self.counts(), False
        try:
            undo_merge(merge=merge)
        except MergeRefused:
            was_refused = True
        assert was_refused == followed, (
            "I13: a merge was undone out of turn, or could not be undone"
        )
        assert self.counts() == before, "I13: an undo made something"

    def undo_all(self) -> None:
        for merge in LeadMerge.objects.for_company(self.company).order_by("-pk"):
            undo_merge(merge=merge)
            self.note()

    # Workers

    def send(self) -> None:
        wait_is_over()
        with suppress(Connection.DoesNotExist):
            send_all(self.company)

    def end(self) -> None:
        """Send all that may be sent."""
        Connection.objects.for_company(self.company).update(
            is_paused=False, paused_reason="", next_attempt_at=None
        )
        for _ in range(3):
            self.send()

    def skipped_in_vain(self) -> list[str]:
        """Events that were skipped, although their lead has not opted out and nothing of it is or will be reported."""
        skipped = self.events().filter(
            state=State.SKIPPED, lead__share_with_ad_platforms=True
        )
        skipped = skipped.exclude(event_id__in=self.cancelled)
        counted = Q(
            rule__frequency="once", reason__in=[Reason.ALREADY_COUNTED, Reason.MERGED]
        )
        merged = Q(rule__frequency="every_time", reason=Reason.MERGED)
        # No one opts in here, so it was another lead that had opted out.
        unshared = Q(reason=Reason.OPTED_OUT)
        return [
            event.event_id
            for event in skipped.filter(counted | merged | unshared)
            if not self.events()
            .filter(
                REPORTED, rule=event.rule_id, lead=event.lead_id, deal=event.deal_id
            )
            .exists()
        ]
