"""The list of tasks. Its page shows a member's own."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

import django_filters
from django import forms
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field

from crm.lists.columns import Column, FileColumn, by, by_optional
from crm.lists.definition import List
from crm.lists.filter_choices import colleagues
from crm.lists.filter_types import IdFilter, OptionalRowFilter, SinceFilter, UntilFilter
from crm.lists.filters import ListFilter
from crm.lists.keyset import ByFields
from crm.lists.leads import owner_name
from crm.models import Task


class StrictBoolean(forms.Field):
    """true or false, in the words of JSON."""

    def clean(self, value: Any) -> bool | None:
        if value not in (None, "", "true", "false"):
            raise forms.ValidationError("Enter true or false.")
        return value == "true" if value else None


@extend_schema_field({"type": "boolean"})
class DoneFilter(django_filters.Filter):  # type: ignore[misc]
    """Tasks that are done, or those that are not."""

    field_class = StrictBoolean

    def filter(self, tasks: QuerySet[Task], value: bool | None) -> QuerySet[Task]:
        return tasks if value is None else tasks.filter(done_at__isnull=not value)


class TaskFilter(ListFilter):
    """The filters of tasks."""

    is_searchable = False

    owner = OptionalRowFilter(
        queryset=colleagues, empty_label="Any owner", null_label="No owner"
    )
    lead, deal = IdFilter("lead"), IdFilter("deal")
    is_done = DoneFilter(label="Done")
    created_from = SinceFilter("created_at", "Created from")
    created_until = UntilFilter("created_at", "Until")
    updated_from = SinceFilter("updated_at", "Changed from")
    updated_until = UntilFilter("updated_at", "Until")


class ByDay(ByFields):
    """By the day when tasks are due. In a file, those of a day are in order of their times."""

    def whole(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        found: QuerySet[Any] = rows.in_order()  # type: ignore[attr-defined]
        return found


COLUMNS: Final = (
    Column("task", "Task", read=attrgetter("title")),
    Column("due", "Due", by("due_on"), attrgetter("due_on")),
    Column("subject", "About", read=attrgetter("subject")),
    Column("done", "Done", by_optional("done_at"), attrgetter("done_at")),
)


def _of_person(name: str) -> Callable[[Task], object]:
    """Reads the attribute of the lead that a task is about, directly or through its deal; None without a lead."""
    return lambda task: getattr(task.person, name, None)


FILE_COLUMNS: Final = (
    FileColumn("Task number", attrgetter("pk")),
    FileColumn("Task", attrgetter("title"), "task"),
    FileColumn("Kind", lambda task: task.get_kind_display(), "task"),
    FileColumn("Due", attrgetter("due_on"), "due"),
    FileColumn("Time", attrgetter("due_time"), "due"),
    FileColumn("Lead number", attrgetter("person_id")),
    FileColumn("Lead", _of_person("name"), "subject"),
    FileColumn("Organisation", _of_person("organisation"), "subject"),
    FileColumn("E-mail", _of_person("email")),
    FileColumn("Phone", _of_person("phone")),
    FileColumn("May be shared", _of_person("share_with_ad_platforms")),
    FileColumn("Deal number", attrgetter("deal_id")),
    FileColumn("Deal", lambda task: task.deal.title if task.deal else None, "subject"),
    FileColumn("Owner", owner_name),
    FileColumn("Reminder", attrgetter("reminder")),
    FileColumn("Done", attrgetter("done_at"), "done"),
    FileColumn("Created", attrgetter("created_at")),
    FileColumn("Last activity", attrgetter("updated_at")),
)

TASKS: Final = List(
    noun="task",
    page="tasks",
    rows=Task.objects.for_company,
    filters=TaskFilter,
    columns=COLUMNS,
    default_order=ByDay(("due_on",), is_descending=False),
    orders={"created": by("created_at"), "updated": by("updated_at")},
    file_columns=lambda company: FILE_COLUMNS,
    in_file=lambda tasks: tasks.prefetch_related("owner", "lead", "deal__lead"),
    also_in_file="the e-mail and phone of the lead, and times",
)
