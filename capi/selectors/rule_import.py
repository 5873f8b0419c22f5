"""LinkedIn's rules for import: those that accept events, and which of them are already mapped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capi.linkedin.rules import API_METHOD, LinkedInRule, RulesRead
from capi.models import ConversionRule
from capi.selectors.explanations.rules import (
    SWITCHED_OFF,
    WRONG_SOURCE,
    suggested_event,
    type_label,
)
from capi.selectors.explanations.states import Explanation


@dataclass(frozen=True, slots=True)
class ImportableRule:
    """A rule that can be imported. `suggested` is the usual CRM event for its type.

    `preset` is the CRM event selected by default: the suggested one, unless the company has a rule for it or an earlier
    rule in the list presets it. `mapped` are the company's rules that already send to it.
    """

    rule: LinkedInRule
    mapped: Sequence[ConversionRule]
    suggested: str
    preset: str

    @property
    def type(self) -> str:
        return type_label(self.rule.type) or "unknown type"


@dataclass(frozen=True, slots=True)
class SkippedRule:
    """A rule that accepts no events, and why."""

    rule: LinkedInRule
    why: Explanation


def importable_rules(
    read: RulesRead, own: Sequence[ConversionRule]
) -> list[ImportableRule]:
    """The rules that accept events, in LinkedIn's order, those already mapped last."""
    taken = {rule.crm_event for rule in own}
    importable = [rule for rule in read.rules if rule.takes_events]
    return sorted(
        _importable(importable, own, taken), key=lambda item: bool(item.mapped)
    )


def skipped_rules(read: RulesRead) -> list[SkippedRule]:
    """The rules that accept no events."""
    return [
        SkippedRule(rule, _why(rule)) for rule in read.rules if not rule.takes_events
    ]


def _importable(
    rules: Sequence[LinkedInRule], own: Sequence[ConversionRule], taken: set[str]
) -> Iterator[ImportableRule]:
    by_id: dict[str, list[ConversionRule]] = {}
    for own_rule in own:
        by_id.setdefault(own_rule.linkedin_id, []).append(own_rule)
    for rule in rules:
        mapped = by_id.get(rule.id, [])
        suggested = suggested_event(rule.type)
        is_free = bool(suggested) and not mapped and suggested not in taken
        if is_free:
            taken.add(suggested)
        yield ImportableRule(rule, mapped, suggested, suggested if is_free else "")


def _why(rule: LinkedInRule) -> Explanation:
    return WRONG_SOURCE if rule.method != API_METHOD else SWITCHED_OFF
