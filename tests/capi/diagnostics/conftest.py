"""What the doctor says about one thing."""

from collections.abc import Iterable
from typing import Any

from capi.diagnostics.findings import Finding
from capi.models import ConversionEvent, ConversionRule
from capi.selectors.rules import RuleRow, rule_rows
from capi.services.connection import connection_of
from crm.models import Company


def levels(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Check and level of each finding, in their order."""
    return [(str(finding.check), str(finding.level)) for finding in findings]


def about(findings: Iterable[Finding], check: str) -> Finding:
    """The one finding of this check."""
    (found,) = [finding for finding in findings if finding.check == check]
    return found


def rows_of(company: Company) -> list[RuleRow]:
    return rule_rows(company.pk, connection_of(company))


def log(rule: ConversionRule, state: str, **fields: Any) -> ConversionEvent:
    """An event of the rule in the log."""
    return ConversionEvent.objects.create(
        company_id=rule.company_id, rule=rule, state=state, **fields
    )
