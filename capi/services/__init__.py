"""Writes: one verb, one transaction, keyword arguments only.

The functions behind the LinkedIn page and Recent Events are exported here. Each other module belongs to one feature.
"""

from capi.services.connection import (
    NotConnected,
    SendingPaused,
    clean_ad_account_id,
    clean_token,
    connection_of,
    remove_token,
    resume_connection,
    save_ad_account,
    save_token,
    save_token_details,
)
from capi.services.events import BulkResult, cancel_events, retry_events
from capi.services.rules import (
    delete_rule,
    resume_rule,
    save_rule,
    send_test_event,
    set_rule_active,
)

__all__ = [
    "BulkResult",
    "NotConnected",
    "SendingPaused",
    "cancel_events",
    "clean_ad_account_id",
    "clean_token",
    "connection_of",
    "delete_rule",
    "remove_token",
    "resume_connection",
    "resume_rule",
    "retry_events",
    "save_ad_account",
    "save_rule",
    "save_token",
    "save_token_details",
    "send_test_event",
    "set_rule_active",
]
