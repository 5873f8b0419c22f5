"""Connections, rules, conversion events and everything about sending them."""

from capi.models.alert import Alert, AlertQuerySet, Mail, MailChoice
from capi.models.attempt import Attempt, EarlierAttempt
from capi.models.backfill import Backfill
from capi.models.choices import (
    CrmEventName,
    Frequency,
    check_linkedin_id,
    clean_linkedin_id,
    only_digits,
)
from capi.models.connection import Checkup, Connection, Recall
from capi.models.event import (
    ConversionEvent,
    ConversionEventQuerySet,
    CountedPerson,
    new_test_event_id,
)
from capi.models.rule import ConversionRule, ConversionRuleQuerySet
from capi.models.statistics import CountedLog, DayCount
from capi.models.workers import BACKUP, REHEARSAL, SWEEP, Heartbeat, Housekeeping
from crm.models.tenancy import CompanyQuerySet

__all__ = [
    "BACKUP",
    "REHEARSAL",
    "SWEEP",
    "Alert",
    "AlertQuerySet",
    "Attempt",
    "Backfill",
    "Checkup",
    "CompanyQuerySet",
    "Connection",
    "ConversionEvent",
    "ConversionEventQuerySet",
    "ConversionRule",
    "ConversionRuleQuerySet",
    "CountedLog",
    "CountedPerson",
    "CrmEventName",
    "DayCount",
    "EarlierAttempt",
    "Frequency",
    "Heartbeat",
    "Housekeeping",
    "Mail",
    "MailChoice",
    "Recall",
    "check_linkedin_id",
    "clean_linkedin_id",
    "new_test_event_id",
    "only_digits",
]
