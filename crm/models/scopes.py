"""The scopes of API keys: reading and writing, noun by noun. A view of the API names its nouns (`crm.api.viewsets`)."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from django.db import models


class Noun(models.TextChoices):
    """What a part of the API is about. The label says what belongs to it."""

    LEADS = "leads", "Leads"
    DEALS = "deals", "Deals"
    TASKS = "tasks", "Tasks"
    NOTES = "notes", "Notes and calls"
    FILES = "files", "Files"
    ORGANISATIONS = "organisations", "Organisations"
    CONVERSIONS = "conversions", "Conversion rules and events"
    LISTS = "lists", "Statuses, pipelines, tags and custom fields"
    VIEWS = "views", "Saved views"
    IMPORTS = "imports", "Imports of leads, deals, tasks and notes"
    EXPORTS = "exports", "Exports of any list"


class Access(StrEnum):
    """What a scope allows. Writing includes the answer, which has the row that was written."""

    READ = "read"
    WRITE = "write"


READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def scope(noun: Noun, access: Access) -> str:
    """The name of the scope, such as `leads:read`."""
    return f"{noun}:{access}"


SCOPES: Final = tuple(scope(noun, access) for noun in Noun for access in Access)


def needed(nouns: Iterable[Noun], method: str) -> list[str]:
    """The scopes that a request with this method needs."""
    access = Access.READ if method in READING_METHODS else Access.WRITE
    return [scope(noun, access) for noun in nouns]
