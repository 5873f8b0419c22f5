"""What of LinkedIn's rules is offered for import: those that take events, the mapped ones shown as such."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capi.linkedin.rules import API_METHOD, LinkedInRule, RulesRead
from capi.models import ConversionRule
from capi.selectors.explanations.rules import SWITCHED_OFF, WRONG_SOURCE, suggested_event, type_label
from capi.selectors.explanations.states import Explanation


@dataclass(frozen=True, slots=True)
class ImportableRule:
    """A rule that may be imported. `suggested` is the CRM event that its type usually stands for.

    `preset` is the one that is chosen unless somebody chooses another: the suggested one, where the company has no
    rule for it yet and no rule above is preset for it. `mapped` are the company's rules that send to it already.
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
    """A rule that takes no events, and why."""

    rule: LinkedInRule
    why: Explanation


def importable_rules(read: RulesRead, own: Sequence[ConversionRule]) -> list[ImportableRule]:
    """Those that take events, in LinkedIn's order, the ones that are mapped already last."""
    taken = {rule.crm_event for rule in own}
    fitting = [rule for rule in read.rules if rule.takes_events]
    return sorted(_offers(fitting, own, taken), key=lambda offer: bool(offer.mapped))


def skipped_rules(read: RulesRead) -> list[SkippedRule]:
    """Those that take no events."""
    return [SkippedRule(rule, _why(rule)) for rule in read.rules if not rule.takes_events]


def _offers(rules: Sequence[LinkedInRule], own: Sequence[ConversionRule], taken: set[str]) -> Iterator[ImportableRule]:
    by_id: dict[str, list[ConversionRule]] = {}
    for mine in own:
        by_id.setdefault(mine.linkedin_id, []).append(mine)
    for rule in rules:
        mapped = by_id.get(rule.id, [])
        suggested = suggested_event(rule.type)
        is_free = bool(suggested) and not mapped and suggested not in taken
        if is_free:
            taken.add(suggested)
        yield ImportableRule(rule, mapped, suggested, suggested if is_free else "")


def _why(rule: LinkedInRule) -> Explanation:
    return WRONG_SOURCE if rule.method != API_METHOD else SWITCHED_OFF
