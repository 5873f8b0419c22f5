"""The names that capi and crm have in common."""

from capi.models import CrmEventName
from crm.models import CrmEventKind


def test_a_rule_can_be_mapped_to_each_crm_event_and_to_no_other() -> None:
    assert CrmEventName.choices == CrmEventKind.choices
