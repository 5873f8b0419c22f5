"""The rows of all tables by company, to compare a database with its backup. Knows no models, so any version will do."""

from collections.abc import Mapping
from typing import Final

from django.db import connection
from psycopg.sql import NULL, SQL, Identifier

RowCounts = Mapping[str, Mapping[str, int]]

OF_NO_COMPANY: Final = ""
COUNT: Final = SQL(
    "SELECT coalesce({company}::text, ''), count(*) FROM {table} GROUP BY 1"
)


def by_company() -> RowCounts:
    """Return the number of rows of each table, by the company's id; those of no company by an empty text."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns "
            "WHERE column_name = 'company_id' AND table_schema = current_schema()"
        )
        of_companies = {name for (name,) in cursor.fetchall()}
        rows = {}
        for table in sorted(connection.introspection.table_names(cursor)):
            company = Identifier("company_id") if table in of_companies else NULL
            count = COUNT.format(company=company, table=Identifier(table))
            cursor.execute(count.as_string())
            rows[table] = dict(cursor.fetchall())
        return rows


def total(rows: RowCounts) -> int:
    """Return how many rows there are in all."""
    return sum(sum(counts.values()) for counts in rows.values())


def differences(before: RowCounts, after: RowCounts) -> list[str]:
    """Return a line for each table and company whose number of rows is not the same."""
    lines = []
    for table in sorted({*before, *after}):
        old, new = before.get(table, {}), after.get(table, {})
        for company in sorted({*old, *new}):
            if old.get(company, 0) != new.get(company, 0):
                whose = f" of company {company}" if company != OF_NO_COMPANY else ""
                lines.append(
                    f"{table}{whose}: {old.get(company, 0)} rows, now {new.get(company, 0)}"
                )
    return lines
