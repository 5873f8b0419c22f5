"""Making conversion rules of those that LinkedIn lists."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from capi import services
from capi.delivery.linkedin_rules import take_facts
from capi.linkedin.rules import LinkedInRule
from capi.models import Connection, ConversionRule
from capi.selectors.explanations.rules import EVENTS
from crm.models import Company


@dataclass(frozen=True, slots=True)
class Chosen:
    """A rule of LinkedIn's, and the CRM event that shall be sent to it."""

    rule: LinkedInRule
    crm_event: str

    @property
    def is_risky(self) -> bool:
        """True where the rule starts switched off and without a value."""
        return EVENTS[self.crm_event].is_risky


@dataclass(frozen=True, slots=True)
class Imported:
    """How many rules were made, how many of the chosen ones were there already, and how many of the new are off."""

    added: int
    there_already: int
    off: int = 0


def import_rules(*, company: Company, chosen: Sequence[Chosen]) -> Imported:
    """Make a rule of each that was chosen, all or none; one that maps the same already stays as it is.

    Raises ValidationError where a rule can't be saved, and then none is.
    """
    services.connection_of(company)
    with transaction.atomic():
        # Two people may import the same list at once: the second waits, and then finds the first one's rules.
        Connection.objects.select_for_update().get(company=company)
        rules = ConversionRule.objects.for_company(company)
        mapped = set(rules.values_list("crm_event", "linkedin_id"))
        fresh = [one for one in chosen if (one.crm_event, one.rule.id) not in mapped]
        for one in fresh:
            services.save_rule(rule=_rule(company, one))
    return Imported(added=len(fresh), off=sum(one.is_risky for one in fresh), there_already=len(chosen) - len(fresh))


def _rule(company: Company, chosen: Chosen) -> ConversionRule:
    told = chosen.rule
    name = told.name or f"Conversion {told.id}"
    is_safe = not chosen.is_risky
    rule = ConversionRule(
        company=company,
        crm_event=chosen.crm_event,
        linkedin_id=told.id,
        name=name,
        is_active=is_safe,
        send_value=is_safe,
    )
    take_facts(rule, told)
    return rule
