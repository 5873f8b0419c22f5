"""PostgreSQL's plans of the statements that a test executes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import connection

MEASURED: Final = (
    "Actual Rows",
    "Rows Removed by Filter",
    "Rows Removed by Index Recheck",
)
# A UNION begins with a bracket.
PLANNED: Final = re.compile(r"[\s(]*(SELECT|DELETE|UPDATE|WITH)\b")


@contextmanager
def plans(*, is_measured: bool = False) -> Iterator[list[Any]]:
    """Collects the plan of each statement that reads, updates or deletes. If `is_measured`, each is executed twice."""
    found: list[Any] = []
    options = "ANALYZE, FORMAT JSON" if is_measured else "FORMAT JSON"

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if PLANNED.match(sql):
            with connection.connection.cursor() as cursor:
                found.append(
                    cursor.execute(f"EXPLAIN ({options}) {sql}", params).fetchone()
                )
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        yield found


def analyse(*tables: str) -> None:
    """Refresh PostgreSQL's statistics of these tables, or of all, as autovacuum does now and then."""
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(tables)}")


def read_whole(plan: Any) -> set[str]:
    """The tables that the plan reads from beginning to end."""
    if isinstance(plan, dict):
        here = {plan["Relation Name"]} if plan.get("Node Type") == "Seq Scan" else set()
        return here.union(*map(read_whole, plan.values()))
    return (
        set().union(*map(read_whole, plan)) if isinstance(plan, list | tuple) else set()
    )


def read(plan: Any) -> set[str]:
    """The tables that the plan reads in any way."""
    if isinstance(plan, dict):
        here = {plan["Relation Name"]} if "Relation Name" in plan else set()
        return here.union(*map(read, plan.values()))
    return set().union(*map(read, plan)) if isinstance(plan, list | tuple) else set()


def indexes(plan: Any) -> set[str]:
    """The indexes that the plan uses."""
    if isinstance(plan, dict):
        here = {plan["Index Name"]} if "Index Name" in plan else set()
        return here.union(*map(indexes, plan.values()))
    return set().union(*map(indexes, plan)) if isinstance(plan, list | tuple) else set()


def rows_read(plan: Any, table: str) -> int:
    """How many rows of the table a measured plan has read, including those that a filter removed."""
    if isinstance(plan, dict):
        each = (
            sum(plan.get(name, 0) for name in MEASURED)
            if plan.get("Relation Name") == table
            else 0
        )
        return round(each * plan.get("Actual Loops", 1)) + sum(
            rows_read(part, table) for part in plan.values()
        )
    return (
        sum(rows_read(part, table) for part in plan)
        if isinstance(plan, list | tuple)
        else 0
    )


def nodes(plan: Any, table: str) -> list[dict[str, Any]]:
    """The plan's nodes that read the table itself or an index of it, and return its rows."""
    if isinstance(plan, dict):
        here = [plan] if plan.get("Relation Name") == table else []
        return here + [node for part in plan.values() for node in nodes(part, table)]
    return (
        [node for part in plan for node in nodes(part, table)]
        if isinstance(plan, list | tuple)
        else []
    )
