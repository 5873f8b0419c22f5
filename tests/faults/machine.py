"""Random histories of two companies: people, admins, LinkedIn's moods, crashes and faults in any order.

Each history ends with everything healed; then the invariants must hold. It runs in one process, so that hundreds of
histories fit into minutes: a crash is an exception at a kill point that nothing may catch, so not even the lease is
given back.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, ClassVar
from unittest.mock import patch

from django.db import OperationalError, connection, transaction
from django.db.models import F, Q
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from capi import services
from capi.delivery import http_session, lane, settle, sweep, wakeup
from capi.delivery.deliver import deliver
from capi.linkedin import failpoints
from capi.linkedin.failpoints import POINTS
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.linkedin.sandbox.request_log import Entry
from capi.linkedin.sandbox.server import SandboxServer
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import OPEN_STATES, Frequency, State
from crm.models import Company, CrmEvent, Deal, Lead, LeadStatus, Stage
from crm.services.erasure import erase_lead
from tests.faults import figures
from tests.faults.invariants import (
    Allowed,
    broken,
    counted_twice,
    fingerprint,
    hashes_of,
    people_counted_twice,
    skipped_for_nothing,
    taken_elements,
    taken_under_two_ids,
)

GOOD_TOKENS = ("AQV-token-of-company-{}-first", "AQV-token-of-company-{}-second")
REVOKED = "AQV-revoked-token-of-company-{}"
KINDS = ("lead_created", "lead_qualified", "deal_created", "deal_won", "deal_lost")
HIDING = (
    "body_sent",
    "answer_begun",
    "answer_read",
    "first_result_row",
    "before_commit",
)
MOODS = (
    Fault(status=500), Fault(status=503, body="<html>"), Fault(status=429), Fault(status=200, body=""),
    Fault(status=429, headers={"Retry-After": "1"}), Fault(status=202), Fault(status=204), Fault(body="<html>"),
    Fault(status=200, body='{"elements":[{"status":201}]}'), Fault(status=408), Fault(status=403), Fault(status=404),
    Fault(status=413), Fault(drop=Drop.BEFORE_BODY), Fault(drop=Drop.AFTER_BODY), Fault(cut_after=20),
    Fault(status=400, body='{"message":"x"}'), Fault(status=401, body="<html>"), Fault(status=403, body="<html>"),
    Fault(status=504, body="<html>"),
)  # fmt: skip

companies = st.integers(0, 1)
choices = st.integers(0, 1_000)
mostly = st.sampled_from([True, True, True, False])


class Crash(BaseException):
    """The process is gone. Nothing may catch it."""


class Histories(RuleBasedStateMachine):
    sandbox: ClassVar[SandboxServer]

    @initialize()
    def begin(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE crm_company CASCADE")
        self.sandbox.ledger.clear()
        self.sandbox.faults.clear()
        wakeup.breaker.closed_at = 0.0
        self.hidden = self.steps = 0
        self.expected: Counter[tuple[int, int]] = Counter()
        self.seen = 0
        # By event: no request after this one may hold it.
        self.gone: dict[str, int] = {}
        # Hashes of erased people, who may be counted again.
        self.forgotten: set[str] = set()
        self.on_the_wire = 0  # 1 while a request is under way that has not arrived
        self.ids = 200_000
        self.companies = [
            Company.objects.create(name=f"Company {n}", slug=f"company-{n}")
            for n in range(2)
        ]
        for number, company in enumerate(self.companies):
            services.save_token(company=company, token=GOOD_TOKENS[0].format(number))
            for kind in ("lead_created", "deal_won"):
                self._add_rule(company, kind, "once")

    # --- people ---

    @rule(n=companies, count=st.integers(1, 4), has_email=mostly, shares=mostly)
    def create_leads(self, n: int, count: int, has_email: bool, shares: bool) -> None:
        leads = [
            Lead(
                company=self.companies[n], first_name=f"Lead {at}", share_with_ad_platforms=shares,
                email=f"lead{at}@example.com" if has_email else "",
            )
            for at in range(count)
        ]  # fmt: skip
        Lead.objects.bulk_create(leads)
        self._note_changes()

    @rule(n=companies)
    def roll_a_creation_back(self, n: int) -> None:
        try:
            with transaction.atomic():
                Lead.objects.create(
                    company=self.companies[n],
                    first_name="Nobody",
                    email="nobody@example.com",
                )
                raise RuntimeError
        except RuntimeError:
            pass

    @rule(n=companies, at=choices, meaning=st.sampled_from(["qualified", "new"]))
    def flip(self, n: int, at: int, meaning: str) -> None:
        if lead := self._lead(n, at):
            lead.status = LeadStatus.objects.filter(
                company=lead.company, meaning=meaning
            ).first()
            lead.save()
            self._note_changes()

    @rule(n=companies, at=choices, meaning=st.sampled_from(["open", "won", "lost"]))
    def create_or_move_a_deal(self, n: int, at: int, meaning: str) -> None:
        lead = self._lead(n, at)
        if lead is None:
            return
        stage = Stage.objects.filter(company=lead.company, meaning=meaning).first()
        deal = lead.deals.first()
        if deal is None:
            Deal.objects.create(
                company=lead.company,
                lead=lead,
                title="Licences",
                amount="10.00",
                currency="EUR",
                stage=stage,
            )
        else:
            deal.stage = stage
            deal.save()
        self._note_changes()

    @rule(
        n=companies,
        at=choices,
        email=st.sampled_from(["", "new@example.com", "other@example.com"]),
    )
    def change_address(self, n: int, at: int, email: str) -> None:
        if lead := self._lead(n, at):
            lead.email = email
            lead.save()

    @rule(n=companies, at=choices)
    def opt_out_or_in(self, n: int, at: int) -> None:
        if lead := self._lead(n, at):
            # A recall waits for what a crashed worker seems to be sending.
            self._jump(timedelta(minutes=1))
            lead.share_with_ad_platforms = not lead.share_with_ad_platforms
            open_events = self._open_events(lead=lead)
            lead.save()
            if not lead.share_with_ad_platforms:
                self._call_back(open_events)

    @rule(n=companies, at=choices)
    def delete_lead(self, n: int, at: int) -> None:
        if lead := self._lead(n, at):
            event_ids = self._open_events(lead=lead)
            lead.delete()
            self._call_back(event_ids)

    @rule(n=companies, at=choices)
    def erase(self, n: int, at: int) -> None:
        if lead := self._lead(n, at):
            self._jump(timedelta(minutes=1))
            event_ids = self._open_events(lead=lead)
            self.forgotten |= hashes_of(lead, self._entries())
            erase_lead(lead=lead)
            self._call_back(event_ids)

    # --- admins ---

    @rule(
        n=companies,
        kind=st.sampled_from(KINDS),
        frequency=st.sampled_from(Frequency.values),
    )
    def add_rule(self, n: int, kind: str, frequency: str) -> None:
        if ConversionRule.objects.filter(company=self.companies[n]).count() < 6:
            self._add_rule(self.companies[n], kind, frequency)

    @rule(
        n=companies,
        at=choices,
        change=st.sampled_from(
            ["off", "on", "on", "edit", "delete", "resume", "resume"]
        ),
    )
    def change_rule(self, n: int, at: int, change: str) -> None:
        rules = list(ConversionRule.objects.filter(company=self.companies[n]))
        if not rules:
            return
        chosen = rules[at % len(rules)]
        if change in ("off", "on"):
            services.set_rule_active(rule=chosen, active=change == "on")
        elif change == "edit":
            self.ids += 1
            chosen.linkedin_id = str(self.ids)
            services.save_rule(rule=chosen)
        elif change == "delete":
            self._call_back(self._open_events(rule=chosen, is_test=False))
            services.delete_rule(rule=chosen)
        else:
            services.resume_rule(rule=chosen)

    @rule(
        n=companies,
        at=choices,
        change=st.sampled_from(["rule", "delete a rule", "address", "lead"]),
    )
    def something_changes_while_a_request_is_on_the_wire(
        self, n: int, at: int, change: str
    ) -> None:
        changes: dict[str, Callable[[], None]] = {
            "rule": lambda: self.change_rule(n, at, "edit"),
            "delete a rule": lambda: self.change_rule(n, at, "delete"),
            "address": lambda: self.change_address(n, at, "other@example.com"),
            "lead": lambda: self.delete_lead(n, at),
        }
        self._deliver_and_meanwhile(n, changes[change])

    @rule(
        n=companies,
        change=st.sampled_from(
            ["first", "second", "first", "second", "revoked", "remove"]
        ),
    )
    def change_token(self, n: int, change: str) -> None:
        company = self.companies[n]
        if change == "remove":
            services.remove_token(company=company)
        else:
            token = {
                "first": GOOD_TOKENS[0],
                "second": GOOD_TOKENS[1],
                "revoked": REVOKED,
            }[change]
            services.save_token(company=company, token=token.format(n))

    @rule(n=companies, at=choices)
    def press_play(self, n: int, at: int) -> None:
        rules = list(ConversionRule.objects.filter(company=self.companies[n]))
        if rules and Connection.objects.get(company=self.companies[n]).has_token:
            services.send_test_event(rule=rules[at % len(rules)])

    # --- the world ---

    @rule(fault=st.sampled_from(MOODS))
    def linkedin_has_a_mood(self, fault: Fault) -> None:
        self.sandbox.faults.add(fault)
        self.hidden += fault.drop == Drop.AFTER_BODY or fault.cut_after is not None

    @rule(minutes=st.sampled_from([1, 10, 60, 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        self._jump(timedelta(minutes=minutes))

    @rule(is_up=st.booleans())
    def broker_goes_or_comes(self, is_up: bool) -> None:
        wakeup.breaker.closed_at = 0.0 if is_up else float("inf")

    @rule()
    def a_worker_sweeps(self) -> None:
        sweep.tidy()
        for company_id in sweep.due_companies():
            deliver(company_id)

    @rule(n=companies, point=st.sampled_from(POINTS[2:]))
    def a_worker_crashes(self, n: int, point: str) -> None:
        self.create_leads(n, 2, True, True)
        self._jump(timedelta(minutes=1))
        release = lane.release
        crashed = []

        def reached(name: str) -> None:
            if name == point and not crashed:
                crashed.append(name)
                raise Crash

        with ExitStack() as stack:
            stack.enter_context(patch.object(failpoints, "FOLDER", "on"))
            stack.enter_context(patch.object(failpoints, "reached", reached))
            stack.enter_context(
                patch.object(
                    lane, "release", lambda lease: None if crashed else release(lease)
                )
            )
            try:
                deliver(self.companies[n].pk)
            except Crash:
                figures.count("crashes in histories")
                self.hidden += point in HIDING
                http_session.close()

    @rule(
        n=companies,
        point=st.sampled_from(["first_result_row", "before_commit", "after_commit"]),
    )
    def the_database_fails_while_a_result_is_written(self, n: int, point: str) -> None:
        self.create_leads(n, 2, True, True)
        failed = []

        def reached(name: str) -> None:
            if name == point and not failed:
                failed.append(name)
                raise OperationalError("the database is away")

        with (
            patch.object(failpoints, "reached", reached),
            patch.object(settle, "PAUSE_SECONDS", 0.0),
        ):
            try:
                deliver(self.companies[n].pk)
            except OperationalError:
                # After the commit there is nothing left to write, so nothing is
                # retried.
                assert point == "after_commit"

    @invariant()
    def a_worker_comes_by_and_nothing_is_false(self) -> None:
        """A worker comes by after every second step. At every step, what is accepted here was accepted there."""
        figures.count("steps in histories")
        if hasattr(self, "companies"):
            self.steps += 1
            if self.steps % 2 == 0:
                self._jump(timedelta(minutes=1))
                deliver(self.companies[self.steps // 2 % 2].pk)
            entries = self.sandbox.ledger.tail(100_000)
            taken = {
                element["eventId"]
                for entry in entries
                for element in taken_elements(entry)
            }
            accepted = ConversionEvent.objects.filter(state=State.ACCEPTED).values_list(
                "event_id", flat=True
            )
            assert set(accepted) <= taken

    # --- the end of a history ---

    def teardown(self) -> None:
        if not hasattr(self, "companies"):
            return
        self._heal()
        fingerprints = {
            company.pk: {
                fingerprint(token.format(n)) for token in (*GOOD_TOKENS, REVOKED)
            }
            for n, company in enumerate(self.companies)
        }
        endings = {
            State.CANCELLED,
            State.SKIPPED,
            State.EXPIRED,
            State.REJECTED,
            State.EXHAUSTED,
        }
        allowed = Allowed(
            hidden_answers=self.hidden, edits=True, rule_changes=True, open_events=True, tokens=fingerprints,
            endings=endings if self.hidden else (),
        )  # fmt: skip
        entries = self._entries()
        assert broken(entries, allowed) == []
        assert not ConversionEvent.objects.pending().exists(), (
            "something is still queued"
        )
        planned = Counter(
            ConversionEvent.objects.filter(is_test=False).values_list(
                "crm_event_id", "rule_id"
            )
        )
        assert planned == self.expected, "I1: planned is not what happened"
        assert counted_twice() == [], "I12: a lead or deal was counted twice"
        assert taken_under_two_ids(entries) == [], (
            "I12: LinkedIn took two conversions of a lead or deal"
        )
        assert people_counted_twice(entries) <= self.forgotten, (
            "I12: a person was counted twice"
        )
        assert skipped_for_nothing() == [], (
            "I12: a conversion was skipped for one that was taken back"
        )
        for entry in entries:
            late = [
                element["eventId"]
                for element in entry.elements
                if self.gone.get(element["eventId"], entry.number) < entry.number
                and not self._is_of_an_heir(element)
            ]
            assert not late, (
                f"request {entry.number} holds {late}, who were called back before"
            )
        figures.count("requests in histories", len(entries))
        figures.count("histories")

    def _heal(self) -> None:
        self.sandbox.faults.clear()
        wakeup.breaker.closed_at = 0.0
        for n, company in enumerate(self.companies):
            services.save_token(company=company, token=GOOD_TOKENS[0].format(n))
            for each in ConversionRule.objects.filter(company=company):
                services.resume_rule(rule=each)
        for _ in range(3):
            self._jump(timedelta(days=1))
            sweep.tidy()
            for company in self.companies:
                deliver(company.pk)

    # --- helpers ---

    def _entries(self) -> list[Entry]:
        return self.sandbox.ledger.tail(100_000)[::-1]

    def _add_rule(self, company: Company, kind: str, frequency: str) -> None:
        self.ids += 1
        new = ConversionRule(
            company=company,
            crm_event=kind,
            linkedin_id=str(self.ids),
            name=kind,
            frequency=frequency,
        )
        services.save_rule(rule=new)

    def _lead(self, n: int, at: int) -> Lead | None:
        leads = list(
            Lead.objects.filter(company=self.companies[n], erased_at=None).order_by(
                "pk"
            )
        )
        return leads[at % len(leads)] if leads else None

    def _open_events(self, **of: Any) -> list[str]:
        return list(
            ConversionEvent.objects.filter(state__in=OPEN_STATES, **of).values_list(
                "event_id", flat=True
            )
        )

    def _call_back(self, event_ids: list[str]) -> None:
        last = self.sandbox.ledger.tail(1)
        self.gone.update(
            dict.fromkeys(event_ids, (last[0].number if last else 0) + self.on_the_wire)
        )

    def _is_of_an_heir(self, element: dict[str, Any]) -> bool:
        """True if the element is about another event, which took over the id of one that was taken back."""
        heirs = ConversionEvent.objects.filter(
            event_id=element["eventId"], may_have_arrived=True
        )
        left = heirs.filter(Q(crm_event__taken_back_at=None) | Q(state=State.ACCEPTED))
        times = left.values_list("happened_at", flat=True)
        return element["conversionHappenedAt"] in {
            int(at.timestamp() * 1000) for at in times
        }

    def _deliver_and_meanwhile(self, n: int, do: Callable[[], None]) -> None:
        """Deliver for the company, and run `do` while its first request is on the wire."""
        send = http_session.send
        done = []

        def send_and_do(**request: Any) -> Any:
            if not done:
                done.append(True)
                self.on_the_wire = 1
                do()
                self.on_the_wire = 0
            return send(**request)

        self._jump(timedelta(minutes=1))
        with patch.object(http_session, "send", send_and_do):
            deliver(self.companies[n].pk)

    def _note_changes(self) -> None:
        """Note what the rules that are active now must have planned for the changes since the last call."""
        for pk, company, kind in CrmEvent.objects.filter(pk__gt=self.seen).values_list(
            "pk", "company_id", "kind"
        ):
            self.seen = max(self.seen, pk)
            for each in ConversionRule.objects.active().filter(
                company=company, crm_event=kind
            ):
                self.expected[pk, each.pk] += 1

    def _jump(self, by: timedelta) -> None:
        ConversionEvent.objects.filter(state__in=OPEN_STATES).update(
            next_attempt_at=F("next_attempt_at") - by
        )
        Connection.objects.update(
            next_attempt_at=F("next_attempt_at") - by,
            leased_until=F("leased_until") - by,
            requests_counted_at=F("requests_counted_at") - by,
            request_started_at=F("request_started_at") - by,
            resting_since=F("resting_since") - by,
        )
