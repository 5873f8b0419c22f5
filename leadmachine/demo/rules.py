"""The demo company's connection: a token that the sandbox accepts, and its conversion rules."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from capi import services
from capi.models import Connection, ConversionRule, CrmEventName
from crm.models import Company
from crm.models.roles import Role
from leadmachine.demo import people
from leadmachine.demo.crm import DAYS

TOKEN: Final = "AQX-northwind-demo-token-for-the-sandbox-7Q4w"  # noqa: S105 - the sandbox accepts any well-formed one
FIVE: Final = {
    CrmEventName.LEAD_CREATED: ("Lead form sent", "104011"),
    CrmEventName.LEAD_QUALIFIED: ("Qualified lead", "104012"),
    CrmEventName.DEAL_CREATED: ("Offer requested", "104013"),
    CrmEventName.DEAL_WON: ("Purchase", "104014"),
    CrmEventName.DEAL_LOST: ("Deal lost (attribution only)", "104015"),
}
FORBIDDEN_ID: Final = "403403"  # the sandbox answers 403 to it (capi/linkedin/sandbox/scenarios.py)


@dataclass(frozen=True, slots=True)
class Rules:
    """The five that work, one that LinkedIn has started to refuse, and one that was switched off."""

    five: dict[str, ConversionRule]
    refused: ConversionRule
    old: ConversionRule


def connect(company: Company, now: datetime) -> Rules:
    """Save the token and the rules, dated a few days before the first lead."""
    admin = people.member(company, Role.ADMIN)
    services.save_token(company=company, token=TOKEN, user=admin, ad_account_id="512345678")
    start = now - timedelta(days=DAYS + 3)
    Connection.objects.for_company(company).update(token_saved_at=start)
    five = {event: _rule(company, event, name, number) for event, (name, number) in FIVE.items()}
    refused = _rule(company, CrmEventName.DEAL_CREATED, "Offer requested, agency account", FORBIDDEN_ID)
    old = _rule(company, CrmEventName.DEAL_LOST, "Deal lost, old rule", "98761")
    ConversionRule.objects.for_company(company).update(created_at=start)
    return Rules({str(event): rule for event, rule in five.items()}, refused, old)


def _rule(company: Company, crm_event: CrmEventName, name: str, linkedin_id: str) -> ConversionRule:
    rule = ConversionRule(company=company, crm_event=crm_event, name=name, linkedin_id=linkedin_id)
    rule.send_value = crm_event != CrmEventName.DEAL_LOST  # as the rule form advises
    return services.save_rule(rule=rule)
