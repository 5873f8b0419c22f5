"""Whether a company's rows are as they were."""

import hashlib
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import Model

from crm.models import Company

# How to get from a row to its company. Without an entry: by the field `company`.
PATHS = {
    "crm.Company": "pk",
    "crm.User": "memberships__company",
    "crm.TaskReminder": "task__company",
    "capi.EarlierAttempt": "event__company",
    "capi.CountedPerson": "event__company",
    "account.EmailAddress": "user__memberships__company",
    "account.EmailConfirmation": "email_address__user__memberships__company",
    "mfa.Authenticator": "user__memberships__company",
    "socialaccount.SocialAccount": "user__memberships__company",
    "usersessions.UserSession": "user__memberships__company",
    "admin.LogEntry": "user__memberships__company",
}
# Rows that belong to the installation.
NOBODYS = {
    "auth.Permission",
    "auth.Group",
    "contenttypes.ContentType",
    "sessions.Session",
    "socialaccount.SocialApp",
    "socialaccount.SocialToken",
    "capi.Heartbeat",
    "capi.Housekeeping",
    "crm.AccountMail",
}


def tenant_models() -> dict[type[Model], str]:
    """Each model whose rows belong to a company, with the path to it. Raises AssertionError for a model of no kind."""
    found = {}
    for model in apps.get_models():
        label = model._meta.label
        if label in NOBODYS:
            continue
        names = {field.name for field in model._meta.get_fields()}
        assert label in PATHS or "company" in names, (
            f"{label} belongs neither to a company nor to the installation"
        )
        found[model] = PATHS.get(label, "company")
    return found


def checksum(company: Company) -> str:
    """A hash of the company's rows in all tables."""
    digest = hashlib.sha256()
    with connection.cursor() as cursor:
        for table, statement, parameters in _statements(company.pk):
            cursor.execute(statement, parameters)
            digest.update(repr((table, cursor.fetchall())).encode())
    return digest.hexdigest()


@cache
def _statements(company_id: int) -> list[tuple[str, str, tuple[Any, ...]]]:
    """For each table the query of the company's rows. Made once: making it takes longer than executing it."""
    queries = {
        model._meta.db_table: model._base_manager.filter(**{path: company_id})
        .order_by("pk")
        .values_list()
        .query
        for model, path in tenant_models().items()
    }
    return [(table, *query.sql_with_params()) for table, query in queries.items()]


def checksum_of_everything(*, without: frozenset[str] = frozenset()) -> dict[str, str]:
    """A hash of the rows of each table; `without` names tables to leave out."""
    return {
        table: _table(table)
        for table in connection.introspection.table_names()
        if table not in without
    }


def _table(table: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
        rows = sorted(map(repr, cursor.fetchall()))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
