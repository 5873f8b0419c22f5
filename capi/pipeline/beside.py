"""What the CRM holds beside a conversion event. The pipeline knows the CRM by the keys of its events alone."""

from typing import Any

from django.db.models import OuterRef, Q, Subquery

from capi.models import ConversionEvent


def named(key: str) -> Any:
    """The manager of all that this foreign key of an event can name."""
    return ConversionEvent._meta.get_field(key).related_model._base_manager  # type: ignore[union-attr]


def beside(key: str, column: str, condition: Q | None = None) -> Subquery:
    """The column of what this foreign key of an event names; NULL where that is nothing that meets the condition.

    It is looked up by its key for each event. A join of thousands can be twice as quick, but where PostgreSQL believes
    from before an import that its tables are empty it compares all events with all rows: for seconds then, or minutes.
    """
    found = named(key).filter(condition or Q(), pk=OuterRef(f"{key}_id")).order_by()
    return Subquery(found.values(column)[:1])
