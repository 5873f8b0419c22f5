"""Tenancy: querysets by company, and database constraints that keep companies apart."""

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.core.exceptions import ValidationError
from django.db import migrations, models
from django.db.models.lookups import Exact

if TYPE_CHECKING:
    from crm.models.company import Company

M = TypeVar("M", bound=models.Model, covariant=True)


class CompanyQuerySet(models.QuerySet[M]):
    """Rows that belong to a company. Always query them through `for_company`."""

    def for_company(
        self, company: "Company | int", *, keys: Collection[int] | None = None
    ) -> Self:
        """Only the rows of this company (or company id); with `keys`, only the rows with these keys.

        With keys, PostgreSQL searches by nothing else. Without statistics on a company, it expects a single row, and
        would read all of them in an index by company: 35 ms for each 500 of 500,000 leads.
        """
        if keys is None:
            return self.filter(company=company)
        pk = company if isinstance(company, int) else company.pk
        return self.filter(Exact(NotInIndex("company"), pk), pk__in=keys)


def check_company(row: Any, **messages: str) -> None:
    """Raise ValidationError with the message of the first of these foreign keys that refers to another company's row.

    A row without a company yet is left to other checks.
    """
    if not row.company_id:
        return
    for name, message in messages.items():
        is_set = getattr(row, f"{name}_id") is not None
        if is_set and getattr(row, name).company_id != row.company_id:
            raise ValidationError({name: message})


class NotInIndex(models.Func):
    """The same number, as an expression for which the database has no index."""

    template = "(%(expressions)s + 0)"
    arity = 1
    output_field = models.BigIntegerField()


# Constraints: a row can't refer to another company's row

CHECKED_AT_COMMIT = "DEFERRABLE INITIALLY DEFERRED"  # as for Django's own foreign keys
SINGLE_COLUMN_KEYS = """
    SELECT con.conname FROM pg_constraint con
    JOIN pg_attribute att ON att.attrelid = con.conrelid AND att.attnum = con.conkey[1]
    WHERE con.contype = 'f' AND con.conrelid = %s::regclass AND cardinality(con.conkey) = 1 AND att.attname = %s
"""


def unique_within_company(table: str) -> migrations.RunSQL:
    """Add the constraint that composite foreign keys refer to, unless the model already has one."""
    name = f"{table}_of_company"
    return migrations.RunSQL(
        f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" UNIQUE (company_id, id)',
        f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"',
    )


def tie(table: str, column: str, to: str) -> migrations.RunPython:
    """Make `column` refer only to rows of the table `to` with the same company."""
    return migrations.RunPython(
        partial(_tie, table, column, to), partial(_untie, table, column, to)
    )


def _tie(table: str, column: str, to: str, apps: Any, editor: Any) -> None:
    # Django adds the foreign keys of new tables at the end of a migration: this one has to exist to be dropped.
    for statement in editor.deferred_sql:
        editor.execute(statement, None)
    editor.deferred_sql.clear()
    _drop_single_column_keys(table, column, editor)
    with editor.connection.cursor() as cursor:
        cursor.execute(
            f'ALTER TABLE "{table}" ADD CONSTRAINT "{_name(table, column)}" FOREIGN KEY (company_id, {column}) '
            f'REFERENCES "{to}" (company_id, id) {CHECKED_AT_COMMIT}'
        )


def _untie(table: str, column: str, to: str, apps: Any, editor: Any) -> None:
    with editor.connection.cursor() as cursor:
        cursor.execute(
            f'ALTER TABLE "{table}" DROP CONSTRAINT "{_name(table, column)}"'
        )
        cursor.execute(
            f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_{column}_fk" FOREIGN KEY ({column}) '
            f'REFERENCES "{to}" (id) {CHECKED_AT_COMMIT}'
        )


def company_by_tie(table: str) -> migrations.RunPython:
    """Drop the constraint on `company_id`, in a table with a `tie` whose column can't be null.

    The row that each row is tied to has the same company. To check that again takes 3 µs a row.
    """

    def drop(apps: Any, editor: Any) -> None:
        _drop_single_column_keys(table, "company_id", editor)

    def add(apps: Any, editor: Any) -> None:
        editor.execute(
            f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_company_id_fk" FOREIGN KEY (company_id) '
            f'REFERENCES "crm_company" (id) {CHECKED_AT_COMMIT}'
        )

    return migrations.RunPython(drop, add)


def _drop_single_column_keys(table: str, column: str, editor: Any) -> None:
    with editor.connection.cursor() as cursor:
        cursor.execute(SINGLE_COLUMN_KEYS, [table, column])
        for (name,) in cursor.fetchall():
            cursor.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"')


def _name(table: str, column: str) -> str:
    return f"{table}_{column}_same_company"
