"""What has to be counted: it is counted before the look's transaction, with queries that read a bounded number of rows.

Counting says nothing of a line or a rule that is on hold: what it said before then stands.
"""

from collections.abc import Sequence
from datetime import datetime

from capi.alerts.conditions import Condition
from capi.alerts.failures import failing_rules
from capi.alerts.hold import hold_ending
from capi.alerts.silence import silent_rules
from capi.models import Connection, ConversionRule
from capi.reasons import AlertKind


def measures_of(company_id: int, *, now: datetime) -> list[Condition]:
    """The conditions of the company that counting brings to light."""
    connection = Connection.objects.for_company(company_id).first()
    if connection is None:
        return []
    rules = list(ConversionRule.objects.for_company(company_id).active())
    sending = [rule for rule in rules if connection.is_sending and not rule.is_paused]
    held = [rule for rule in rules if rule not in sending]
    return [
        *hold_ending(connection, now=now),
        *failing_rules(company_id, sending, now=now),
        *silent_rules(company_id, sending, now=now),
        *_as_before(held),
    ]


def _as_before(rules: Sequence[ConversionRule]) -> list[Condition]:
    kinds = (AlertKind.FAILING, AlertKind.SILENT)
    return [Condition(kind, rule.pk, only_keeps=True) for rule in rules for kind in kinds]
