"""A table with the members of an enumeration as its keys has all of them, or it says here which not.

Without that, a new member passes every test that goes through the table, and is a KeyError for the first who meets it.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum
from functools import cache
from inspect import getsource
from types import ModuleType

import capi
import crm
import leadmachine
import postgresql
from capi.alerts.mail_choices import MailTopic, MemberMails

PACKAGES = (capi, crm, leadmachine, postgresql)
# They do their work when they are imported.
NOT_IMPORTED = re.compile(r"\.migrations|leadmachine\.(gunicorn|wsgi)$")

# Tables that are only asked with a default, or only walked through: they may leave out any.
HAVE_A_DEFAULT = {
    "capi.selectors.explanations.alerts.ABOUT",
    "capi.selectors.explanations.backfills.ENDS_OF_BACKFILLS",
    "capi.selectors.explanations.explain._TOPICS_OF_RESTS",
    "capi.selectors.state_groups.PARTS",
    "capi.selectors.state_groups.STATES",
    "capi.selectors.state_groups.WHOLES",
    "capi.selectors.trouble._TOKEN_TROUBLES",
    "crm.api.custom_values.READERS",
    "crm.data_exchange.importing.custom_columns.PROBLEMS",
    "crm.models.deal.Deal.kinds_by_meaning",
    "crm.models.lead.Lead.kinds_by_meaning",
    "crm.models.steps.CERTAIN_CHANCES",
    "crm.selectors.timeline.TONES",
    "crm.formatting.TYPED",
}
# The others leave out these, and no more: they never meet them.
LEAVE_OUT = {
    "capi.linkedin.answers._REASONS": {"REDIRECT"},  # always unclear
    # No news.
    "capi.selectors.explanations.alerts.CLOSED": {
        "HOLD_ENDING",
        "TOKEN_ENDING",
        "VERSION_ENDING",
    },
    "capi.selectors.explanations.reasons.REASONS": {"NONE"},
    "capi.selectors.explanations.reasons._REASONS": {"NONE"},
    "crm.api.bulk_change_bodies.NO_TARGET": {"DELETE"},  # it has no target
    # It reads the whole file, not a chunk of rows.
    "crm.data_exchange.importing.work.WORK": {"READING"},
    # What ends an earlier change of the log; only an opt-in does.
    "crm.models.privacy_log.ALLOWS_AGAIN": {
        "CANCELLED",
        "CANCELLED_BACKFILLS",
        "DELETED_DEALS",
        "DELETED_LEADS",
        "ERASED",
        "OPTED_OUT",
        "TAKEN_BACK",
    },
    "crm.selectors.bulk_changes.GONE": {"DELETE"},
    "crm.selectors.bulk_changes.TARGETS": {"DELETE"},
    # Described without a row.
    "crm.selectors.history.REFERENCES": {"AMOUNT", "EMAIL", "SHARING"},
    "crm.services.lead_changes.TARGETS": {"OWNER", "DELETE"},  # an owner may be no one
    # Of one company alone, whose admins are told.
    "leadmachine.progress.TROUBLES": {
        "ASKED",
        "DAY_LIMIT",
        "THROTTLED",
        "THROTTLED_OFTEN",
    },
}


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not NOT_IMPORTED.search(found.name):
                yield importlib.import_module(found.name)


@cache
def tables() -> dict[str, Mapping[Enum, object]]:
    """The tables of all modules and classes, by the name under which they are written down."""
    return {
        f"{place}.{name}": value
        for module in modules()
        for place, owner in [(module.__name__, module), *classes_of(module)]
        for name, value in vars(owner).items()
        if is_table(value) and is_written_in(module, name)
    }


def classes_of(module: ModuleType) -> list[tuple[str, type]]:
    classes = (each for each in vars(module).values() if isinstance(each, type))
    return [
        (f"{module.__name__}.{each.__name__}", each)
        for each in classes
        if each.__module__ == module.__name__
    ]


def is_table(value: object) -> bool:
    types = {type(key) for key in value} if isinstance(value, Mapping) else set()
    return len(types) == 1 and issubclass(types.pop(), Enum)


def is_written_in(module: ModuleType, name: str) -> bool:
    """False in a module that has only imported the table."""
    return (
        re.search(rf"^ *{name}\b[^=\n]* = ", getsource(module), re.MULTILINE)
        is not None
    )


def left_out(table: Mapping[Enum, object]) -> set[str]:
    enumeration = type(next(iter(table)))
    return {member.name for member in enumeration if member not in table}


def test_each_table_has_all_members_but_those_that_it_never_meets() -> None:
    found = {
        name: left_out(table)
        for name, table in tables().items()
        if name not in HAVE_A_DEFAULT
    }

    assert {name: names for name, names in found.items() if names} == LEAVE_OUT


def test_each_table_that_is_named_here_is_one() -> None:
    assert HAVE_A_DEFAULT | LEAVE_OUT.keys() <= tables().keys()
    assert len(tables()) > 40


def test_each_topic_of_mails_can_be_chosen() -> None:
    assert {field.name for field in fields(MemberMails)} == {
        "membership",
        *MailTopic.values,
    }
