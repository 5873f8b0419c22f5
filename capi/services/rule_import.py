"""Import the rules that LinkedIn lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from capi import services
from capi.delivery.linkedin_rules import set_facts
from capi.linkedin.rules import LinkedInRule
from capi.models import Connection, ConversionRule
from capi.models.choices import EVENTS_WITH_VALUE
from capi.models.functions import database_now
from capi.selectors.explanations.rules import EVENTS
from crm.models import Company


@dataclass(frozen=True, slots=True)
class ChosenRule:
    """One of LinkedIn's rules, and the CRM event to send to it."""

    rule: LinkedInRule
    crm_event: str

    @property
    def is_risky(self) -> bool:
        """True if the rule starts switched off and without a value."""
        return EVENTS[self.crm_event].is_risky


@dataclass(frozen=True, slots=True)
class Imported:
    """How many rules were added, how many of the chosen ones already existed, and how many new ones are off."""

    added: int
    existing: int
    off: int = 0


def import_rules(*, company: Company, chosen: Sequence[ChosenRule]) -> Imported:
    """Create the chosen rules, all or none. A rule with the same mapping stays as it is.

    Raises ValidationError if any rule can't be saved.
    """
    services.connection_of(company)
    with transaction.atomic():
        # Two people may import the same list at once: the second waits, then finds the rules of the first.
        Connection.objects.select_for_update().get(company=company)
        rules = ConversionRule.objects.for_company(company)
        mapped = set(rules.values_list("crm_event", "linkedin_id"))
        new = [one for one in chosen if (one.crm_event, one.rule.id) not in mapped]
        now = database_now()
        for one in new:
            services.save_rule(rule=_rule(company, one, read_at=now))
    return Imported(
        added=len(new),
        off=sum(one.is_risky for one in new),
        existing=len(chosen) - len(new),
    )


def _rule(company: Company, chosen: ChosenRule, *, read_at: datetime) -> ConversionRule:
    source = chosen.rule
    name = source.name or f"Conversion {source.id}"
    rule = ConversionRule(
        company=company,
        crm_event=chosen.crm_event,
        linkedin_id=source.id,
        name=name,
        is_active=not chosen.is_risky,
        send_value=chosen.crm_event in EVENTS_WITH_VALUE,
    )
    set_facts(rule, source, read_at=read_at)
    return rule
