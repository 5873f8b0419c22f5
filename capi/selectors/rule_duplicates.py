"""Rules that repeat each other: allowed, but each repetition has a consequence that people should know."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from capi.models import ConversionRule


class RuleGroups:
    """The company's rules by what they may share. Rules that are off send nothing, so only their names are compared."""

    def __init__(self, rules: Iterable[ConversionRule]) -> None:
        self._by_id: defaultdict[str, list[ConversionRule]] = defaultdict(list)
        self._by_event: defaultdict[str, list[ConversionRule]] = defaultdict(list)
        self._by_name: defaultdict[str, list[ConversionRule]] = defaultdict(list)
        for rule in rules:
            self._by_name[rule.name.casefold()].append(rule)
            if rule.is_active:
                self._by_id[rule.linkedin_id].append(rule)
                self._by_event[rule.crm_event].append(rule)

    def warnings(self, rule: ConversionRule) -> list[str]:
        """How other rules repeat this one, saved or not, and the consequences. A sentence or two each."""
        if not rule.is_active:
            return []
        return [*self._same_event(rule), *self.same_id_or_name(rule)]

    def same_id_or_name(self, rule: ConversionRule) -> list[str]:
        """The warnings without those about rules for the same CRM event."""
        if not rule.is_active:
            return []
        return [*self._same_id(rule), *self._same_name(rule)]

    def _same_id(self, rule: ConversionRule) -> Iterator[str]:
        other = _first_other(self._by_id[rule.linkedin_id], rule)
        if other is not None and other.crm_event != rule.crm_event:
            yield (
                f"“{other}” sends “{other.get_crm_event_display()}” to the same LinkedIn rule: "
                "Campaign Manager adds both up and can't distinguish them."
            )

    def _same_event(self, rule: ConversionRule) -> Iterator[str]:
        other = _first_other(self._by_event[rule.crm_event], rule)
        if other is not None and other.linkedin_id != rule.linkedin_id:
            yield (
                f"“{other}” sends “{rule.get_crm_event_display()}” too: "
                "each one counts as two conversions, one under each LinkedIn rule."
            )

    def _same_name(self, rule: ConversionRule) -> Iterator[str]:
        if (
            rule.name
            and _first_other(self._by_name[rule.name.casefold()], rule) is not None
        ):
            yield f"Another rule is called “{rule}” too: Recent Events and reports show only the name."


def earlier_rules(rules: Iterable[ConversionRule]) -> list[str]:
    """The deleted or inactive rules whose events these rules may count again. A sentence or two each."""
    found = []
    for rule in rules:
        same = ConversionRule._base_manager.filter(
            company=rule.company_id,
            crm_event=rule.crm_event,
            linkedin_id=rule.linkedin_id,
            is_active=False,
        )
        other = same.exclude(pk=rule.pk).order_by("pk").last()
        if other is not None:
            found.append(
                f"“{other}”, which is {'deleted' if other.deleted_at else 'switched off'}, was mapped to the same "
                "LinkedIn rule. What it has sent may be counted a second time: a rule knows only its own events."
            )
    return found


def _first_other(
    rules: Iterable[ConversionRule], rule: ConversionRule
) -> ConversionRule | None:
    return next((other for other in rules if other.pk != rule.pk), None)
