"""The dashboard: leads, deals and conversion events in numbers."""

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import Reason, State
from capi.models.functions import days_ago
from capi.selectors.connection import connection_status
from capi.selectors.dashboard import deal_numbers, lead_numbers, open_events
from capi.selectors.explained_events import ExplainedEvent, all_explained
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.on_hold import OnHold, on_hold
from capi.selectors.reports import ReportPeriod, outcomes_of
from crm.accounts.decorators import MemberRequest, member
from crm.models import Company, Lead, Membership
from crm.models.roles import Action

DAYS = 14


@require_safe
@member(Action.SEE_LEADS)
def dashboard(request: MemberRequest) -> HttpResponse:
    company = request.membership.company
    connection = connection_status(request).connection
    period = ReportPeriod(days_ago(DAYS - 1), days_ago(0))
    context = {
        "leads": lead_numbers(company),
        "pipeline": deal_numbers(company),
        "outcomes": outcomes_of(company.pk, period),
        "open": open_events(company, connection),
        "waiting": REASONS[Reason.NO_EMAIL].label,
        "held": None,
        "start": None,
        "latest": None,
    }
    if request.membership.may(Action.SEE_CONNECTION):
        context["held"] = _held(company, connection)
        context["start"] = _start(request.membership, connection)
    if request.membership.may(Action.SEE_EVENT_LOG):
        context["latest"] = _latest(company, connection)
    return render(request, "capi/dashboard.html", context)


@dataclass(frozen=True, slots=True)
class GettingStarted:
    """The setup steps that a company has completed. `has_colleagues` is None for those who can't invite anyone."""

    has_token: bool
    has_rule: bool
    has_sent: bool
    has_leads: bool
    has_colleagues: bool | None

    @property
    def is_complete(self) -> bool:
        """True once LinkedIn receives events. Some companies have one user, so colleagues don't count."""
        return self.has_token and self.has_rule and self.has_sent and self.has_leads

    @property
    def steps(self) -> list[tuple[bool, str, str]]:
        """Whether each step is done, its title, and its link."""
        page = reverse("linkedin")
        linkedin = [
            (self.has_token, "Connect your ad account", f"{page}#connect"),
            (self.has_rule, "Map a CRM event to a conversion rule", f"{page}#map"),
            (self.has_sent, "Send a test event", f"{page}#verify"),
        ]
        leads = (
            self.has_leads,
            "Add your leads, manually or through the API",
            reverse("leads"),
        )
        if self.has_colleagues is None:
            return [*linkedin, leads]
        return [
            *linkedin,
            leads,
            (self.has_colleagues, "Invite your colleagues", reverse("people")),
        ]


def _start(membership: Membership, connection: Connection | None) -> GettingStarted:
    company = membership.company
    colleagues = Membership.objects.for_company(company).exclude(pk=membership.pk)
    invites = membership.may(Action.MANAGE_COMPANY)
    sent = ConversionEvent.objects.newest_of(company.pk).filter(state=State.ACCEPTED)
    return GettingStarted(
        has_token=connection is not None and connection.has_token,
        has_rule=ConversionRule.objects.for_company(company).active().exists(),
        # exists() would drop the order, and with it the index.
        has_sent=sent.values("pk").first() is not None,
        has_leads=Lead.objects.for_company(company).exists(),
        has_colleagues=colleagues.exists() if invites else None,
    )


def _held(company: Company, connection: Connection | None) -> OnHold | None:
    return on_hold(
        company.pk, connection, list(ConversionRule.objects.for_company(company))
    )


def _latest(company: Company, connection: Connection | None) -> list[ExplainedEvent]:
    newest = (
        ConversionEvent.objects.newest_of(company.pk)
        .counted()
        .select_related("rule", "lead", "crm_event")
    )
    return all_explained(newest[:6], connection)
