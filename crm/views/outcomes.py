"""The column of outcomes that a person may have in the lists of leads and deals."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from django.db.models import Model

from crm.timeline import TimelineNote
from crm.views.access import MemberRequest

M = TypeVar("M", bound=Model)


def with_outcomes(
    page: Iterable[M], outcomes_of: Callable[[Sequence[M]], Mapping[int, TimelineNote]], request: MemberRequest
) -> list[tuple[M, TimelineNote | None]]:
    """The rows of a page, each with what it has come to: that is asked for only where the column is shown."""
    rows = list(page)
    outcomes = outcomes_of(rows) if request.membership.shows_outcomes else {}
    return [(row, outcomes.get(row.pk)) for row in rows]
