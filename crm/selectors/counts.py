"""Counting within another query."""

from django.db.models import IntegerField, Subquery


class CountOf(Subquery):
    """The number of rows of a query."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()
    empty_result_set_value = 0
