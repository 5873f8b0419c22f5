"""Random histories in which people change leads and deals in the browser, set them back and undo them.

I11: what was taken back before its release is in no request, what was taken back later in none that began after that,
and nothing else is missing. If LinkedIn may have an event and the same happens again, that is sent with its event id.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from capi.linkedin.failpoints import POINTS
from capi.models import ConversionEvent
from capi.models.choices import Reason
from capi.models.event import MAY_HAVE_ARRIVED
from crm.models import Company, CrmEvent, Deal, Lead, LeadStatus, Stage
from crm.models.tracking.origin import acting_as
from crm.services.editing import change_status, move_deal
from crm.services.undo import NothingToUndo, undo
from tests.faults import figures
from tests.faults.machine import Histories, choices, companies

GRACE_SECONDS = 120  # two of the minutes that pass between a worker's visits


class UndoHistories(Histories):
    @initialize()
    def begin(self) -> None:
        super().begin()
        Company.objects.update(grace_seconds=GRACE_SECONDS)
        self.actions: list[tuple[int, uuid.UUID]] = []
        self.never: set[str] = set()  # events that no request may hold at all

    @rule(n=companies, count=st.integers(1, 3))
    def a_person_adds_leads(self, n: int, count: int) -> None:
        with self._request(n):
            for at in range(count):
                Lead.objects.create(
                    company=self.companies[n],
                    first_name=f"Lead {at}",
                    email=f"new{at}@example.com",
                )

    @rule(
        n=companies,
        at=choices,
        meaning=st.sampled_from(["qualified", "qualified", "new", "working"]),
    )
    def a_person_picks_a_status(self, n: int, at: int, meaning: str) -> None:
        if lead := self._lead(n, at):
            with self._request(n):
                status = LeadStatus.objects.filter(
                    company=lead.company, meaning=meaning
                ).get()
                change_status(leads=Lead.objects.filter(pk=lead.pk), status=status)

    @rule(n=companies, meaning=st.sampled_from(["qualified", "qualified", "new"]))
    def a_person_changes_all_leads(self, n: int, meaning: str) -> None:
        with self._request(n):
            status = LeadStatus.objects.filter(
                company=self.companies[n], meaning=meaning
            ).get()
            change_status(
                leads=Lead.objects.filter(company=self.companies[n]), status=status
            )

    @rule(
        n=companies, at=choices, meaning=st.sampled_from(["open", "won", "won", "lost"])
    )
    def a_person_moves_a_deal(self, n: int, at: int, meaning: str) -> None:
        if lead := self._lead(n, at):
            stage = Stage.objects.filter(company=lead.company, meaning=meaning).first()
            assert stage is not None
            with self._request(n):
                deal = lead.deals.first()
                if deal is None:
                    Deal.objects.create(
                        company=lead.company, lead=lead, title="Licences", stage=stage
                    )
                else:
                    move_deal(deal=deal, stage=stage)

    @rule(at=st.integers(0, 5))
    def a_person_undoes(self, at: int) -> None:
        if len(self.actions) > at:
            n, action = self.actions[-1 - at]
            with self._request(n):
                try:
                    undo(company=self.companies[n], action=action)
                except NothingToUndo:
                    return
            figures.count("undos in histories")

    @rule(n=companies, at=st.integers(0, 5))
    def a_person_undoes_while_a_request_is_on_the_wire(self, n: int, at: int) -> None:
        self._deliver_and_meanwhile(n, lambda: self.a_person_undoes(at))

    @rule(n=companies, at=choices, point=st.sampled_from(POINTS[2:]))
    def a_person_wins_a_deal_again_after_a_crash(
        self, n: int, at: int, point: str
    ) -> None:
        for meaning in ("open", "won"):
            self.a_person_moves_a_deal(n, at, meaning)
        self._jump(timedelta(seconds=GRACE_SECONDS))
        self.a_worker_crashes(n, point)
        self.a_person_undoes(0)
        self.a_person_moves_a_deal(n, at, "won")

    # --- the end of a history ---

    def teardown(self) -> None:
        if not hasattr(self, "companies"):
            return
        super().teardown()
        sent = {
            element["eventId"]
            for entry in self.sandbox.ledger.tail(100_000)
            for element in entry.elements
        }
        assert not sent & self.never, (
            "I11: what was taken back before its release was sent"
        )
        taken_back = ConversionEvent.objects.filter(reason=Reason.TAKEN_BACK)
        assert not taken_back.filter(crm_event__taken_back_at=None).exists(), (
            "I11: something was taken back for nothing"
        )
        assert (
            self._without_an_event(
                Lead, "status__meaning", "qualified", "lead_qualified"
            )
            == []
        )
        assert self._without_an_event(Deal, "stage__meaning", "won", "deal_won") == []
        assert self._without_an_event(Deal, "stage__meaning", "lost", "deal_lost") == []

    def _without_an_event(
        self, model: Any, step: str, meaning: str, kind: str
    ) -> list[Any]:
        """The rows that have this meaning, but whose event of this kind was taken back before anyone was told of it."""
        may_have_it = Exists(
            ConversionEvent.objects.filter(MAY_HAVE_ARRIVED, crm_event=OuterRef("pk"))
        )
        told = CrmEvent.objects.filter(may_have_it | Q(taken_back_at=None), kind=kind)
        of_row = "deal" if model is Deal else "lead"
        return list(
            model.objects.filter(**{step: meaning}).exclude(
                pk__in=told.exclude(**{of_row: None}).values(of_row)
            )
        )

    # --- helpers ---

    def _request(self, n: int) -> Any:
        return _Request(self, n)

    def _jump(self, by: timedelta) -> None:
        super()._jump(by)
        CrmEvent.objects.update(release_at=F("release_at") - by)


class _Request:
    """A person's request: an action of its own. When it ends, everything that it took back is noted."""

    def __init__(self, history: UndoHistories, n: int) -> None:
        self.history, self.n, self.action = history, n, uuid.uuid4()
        self.acting = acting_as(None, action=self.action)

    def __enter__(self) -> None:
        # Without events whose id may already have been sent for another one.
        unreleased = ConversionEvent.objects.filter(
            next_attempt_at__gt=Now(), attempts=0, may_have_arrived=False
        )
        self.unreleased = set(unreleased.values_list("event_id", flat=True))
        self.before = self._taken_back()
        self.acting.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.acting.__exit__(*error)
        taken_back = {
            event_id
            for pk, event_id in self._taken_back().items()
            if pk not in self.before
        }
        self.history._call_back(sorted(taken_back))
        self.history.never |= taken_back & self.unreleased
        self.history.actions.append((self.n, self.action))
        self.history._note_changes()

    def _taken_back(self) -> dict[int, str]:
        return dict(
            ConversionEvent.objects.filter(reason=Reason.TAKEN_BACK).values_list(
                "pk", "event_id"
            )
        )
