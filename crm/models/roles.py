"""Roles and permissions, for views, templates and the API."""

from enum import StrEnum
from typing import Final

from django.db import models


class Role(models.TextChoices):
    """The role of a member or an API key in a company."""

    ADMIN = "admin", "Admin"
    SALES = "sales", "Sales"
    OPS = "ops", "Ops"


class Action(StrEnum):
    """An action that a role may or may not be allowed in its company."""

    SEE_LEADS = "see_leads"
    EDIT_LEADS = "edit_leads"
    DELETE_LEADS = "delete_leads"
    IMPORT_LEADS = "import_leads"
    EXPORT_LEADS = "export_leads"
    SEE_NOTES = "see_notes"
    SEE_FILES = "see_files"
    SEE_RULES = "see_rules"
    CHANGE_RULES = "change_rules"
    TEST_RULES = "test_rules"
    SEE_CONNECTION = "see_connection"
    CHANGE_CONNECTION = "change_connection"
    SEE_EVENT_LOG = "see_event_log"
    CHANGE_EVENTS = "change_events"
    BACKFILL = "backfill"
    MANAGE_COMPANY = "manage_company"


_ALL = frozenset({Role.ADMIN, Role.SALES, Role.OPS})
_ADMIN = frozenset({Role.ADMIN})
_ADMIN_AND_SALES = frozenset({Role.ADMIN, Role.SALES})
_ADMIN_AND_OPS = frozenset({Role.ADMIN, Role.OPS})

MATRIX: Final[dict[Action, frozenset[Role]]] = {
    Action.SEE_LEADS: _ALL,
    Action.EDIT_LEADS: _ADMIN_AND_SALES,
    Action.DELETE_LEADS: _ADMIN,
    Action.IMPORT_LEADS: _ADMIN_AND_SALES,
    Action.EXPORT_LEADS: _ADMIN_AND_SALES,
    Action.SEE_NOTES: _ADMIN_AND_SALES,
    Action.SEE_FILES: _ADMIN_AND_SALES,
    Action.SEE_RULES: _ADMIN_AND_OPS,
    Action.CHANGE_RULES: _ADMIN,
    Action.TEST_RULES: _ADMIN_AND_OPS,
    Action.SEE_CONNECTION: _ADMIN_AND_OPS,
    Action.CHANGE_CONNECTION: _ADMIN,
    Action.SEE_EVENT_LOG: _ADMIN_AND_OPS,
    Action.CHANGE_EVENTS: _ADMIN_AND_OPS,
    Action.BACKFILL: _ADMIN,
    Action.MANAGE_COMPANY: _ADMIN,
}


def may(role: str, action: Action) -> bool:
    """True if `role` may do `action`. An unknown role may do nothing."""
    return role in MATRIX[action]
