"""A checksum of every column by company, to see what a migration changes. Knows no models, so any version will do."""

from collections.abc import Mapping
from typing import Final

from django.db import connection
from psycopg.sql import NULL, SQL, Composable, Identifier

# By table, then column, then the company's id. The order of rows doesn't matter.
Checksums = Mapping[str, Mapping[str, Mapping[str, int]]]

COLUMNS: Final = """
    SELECT table_name, column_name
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
    ORDER BY table_name, ordinal_position
"""
SUM: Final = SQL("coalesce(sum(hashtextextended({column}::text, 0)), 0)")
QUERY: Final = SQL(
    "SELECT coalesce({company}::text, ''), {sums} FROM {table} GROUP BY 1"
)


def by_column() -> Checksums:
    """Return the checksums of all columns. Reads every row."""
    return {table: _of(table, columns) for table, columns in _columns().items()}


def _columns() -> Mapping[str, list[str]]:
    columns: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        for table, column in cursor.fetchall():
            columns.setdefault(table, []).append(column)
    return columns


def _of(table: str, columns: list[str]) -> Mapping[str, Mapping[str, int]]:
    company: Composable = Identifier("company_id") if "company_id" in columns else NULL
    sums = SQL(", ").join(SUM.format(column=Identifier(name)) for name in columns)
    query = QUERY.format(company=company, sums=sums, table=Identifier(table))
    found: dict[str, dict[str, int]] = {name: {} for name in columns}
    with connection.cursor() as cursor:
        cursor.execute(query.as_string())
        for company_id, *values in cursor:
            for name, value in zip(columns, values, strict=True):
                found[name][company_id] = int(value)
    return found


def differences(before: Checksums, after: Checksums) -> list[str]:
    """Return a line for each column of `before` that is gone, or whose values are others."""
    lines = []
    for table, columns in before.items():
        for column, sums in columns.items():
            now = after.get(table, {}).get(column)
            if now is None:
                lines.append(f"{table}.{column} is removed")
            elif changed := _companies(sums, now):
                lines.append(
                    f"{table}.{column} has other values (companies: {changed})"
                )
    return lines


def _companies(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Return in how many companies the values are not the same."""
    return sum(before.get(each) != after.get(each) for each in {*before, *after})
