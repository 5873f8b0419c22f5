"""Tasks, as an import adds and removes them."""

from collections.abc import Collection, Iterable
from datetime import date, datetime, time
from typing import Any, ClassVar, Final

from django.db.models import Q

from crm.data_exchange.importing.cells import Reader
from crm.data_exchange.importing.custom_columns import TIME
from crm.data_exchange.importing.objects.activities import (
    SUBJECT,
    ZONE,
    Content,
    ImportedActivity,
    moment_of,
)
from crm.data_exchange.importing.objects.definition import Lack, Values
from crm.data_exchange.importing.objects.fixed_lists import (
    TaskState,
    task_kinds,
    task_states,
)
from crm.data_exchange.importing.objects.new_deals import ADDED
from crm.data_exchange.importing.objects.subjects import SUBJECT_FIELDS
from crm.data_exchange.importing.objects.task_cells import (
    TASK_FIELDS,
    TYPED,
    problem_of_task,
    readers_of_tasks,
)
from crm.data_exchange.importing.value_lists import colleagues
from crm.models import (
    ImportSubject,
    LeadImport,
    LeadImportRow,
    RowProblem,
    Task,
    TaskKind,
)
from crm.models.validators import is_seen

NO_TITLE: Final = "Choose the column that has the title of the task."
NO_DUE: Final = "Choose the column that has the day when the task is due."
MIDNIGHT: Final = time()


class ImportedTasks(ImportedActivity):
    subject = ImportSubject.TASK
    model = Task
    noun = "task"
    plural = "tasks"
    matched_by = (
        "Tasks are matched by title, due date and lead or deal. Known ones stay as they"
        " are."
    )
    list_url = "tasks"
    fields = TASK_FIELDS
    proof = frozenset({"task_title", "task_number"})
    distinct = frozenset({"task_title", "task_number", *SUBJECT_FIELDS})
    lists: ClassVar = {"kind": task_kinds, "state": task_states, "owner": colleagues}
    typed = TYPED
    timed = TYPED
    number_field = "task_number"
    columns = (
        "title",
        "kind",
        "due_on",
        "due_time",
        "owner_id",
        "lead_id",
        "deal_id",
        "done_at",
        "created_at",
        "updated_at",
    )

    def problem_of_columns(self, chosen: Collection[str]) -> str:
        if "task_title" not in chosen:
            return NO_TITLE
        return "" if "due_on" in chosen else NO_DUE

    def readers(self) -> dict[str, Reader]:
        return readers_of_tasks()

    def problem_of(self, name: str, value: Any) -> str:
        return problem_of_task(name, value)

    def checked(self, values: dict[str, Any]) -> tuple[dict[str, Any], Lack | None]:
        return values, self.lacks(values)

    def lacks(self, values: Values) -> Lack | None:
        if not is_seen(values.get("title", "")):
            return Lack(RowProblem.TITLE_MISSING, ["task_title"])
        if "due_on" not in values:
            return Lack(RowProblem.DUE_MISSING, ["due_on"])
        return None

    def content(self, values: Values) -> Content:
        day, _ = _due(values)
        return values[SUBJECT].key, day, values["title"].lower()

    def contents(self, record: Any) -> Iterable[Content]:
        subject = ("deal", record.deal_id) if record.deal_id else ("", 0)
        if record.lead_id:
            subject = ("lead", record.lead_id)
        yield subject, record.due_on, record.title.lower()

    def alike(self, wanted: Collection[Values]) -> Q:
        return Q(due_on__in={_due(values)[0] for values in wanted})

    def new(self, lead_import: LeadImport, values: Values, now: datetime) -> list[Any]:
        lead, deal = values[SUBJECT].lead, values[SUBJECT].deal
        return [
            values["title"],
            values.get("kind", TaskKind.TASK).value,
            *_due(values),
            values.get("owner_id", lead_import.owner_id),
            lead.pk if lead and not deal else None,
            deal.pk if deal else None,
            _done_at(values, now),
            min(moment_of(values, "created") or now, now),
            now,
        ]

    def is_untouched(self, row: LeadImportRow, record: Any) -> bool:
        return bool(record.updated_at.isoformat() == row.filled.get(ADDED))


def _due(values: Values) -> tuple[date, time | None]:
    """The day, and the time of a column of its own or else of the same cell. Midnight is what others write for none."""
    day = date.fromisoformat(values["due_on"])
    clock: time | None = values.get("due_on" + TIME)
    if "due_time" in values or clock is None or clock == MIDNIGHT:
        return day, values.get("due_time")
    moment = datetime.combine(day, clock)
    if clock.tzinfo:
        moment = moment.astimezone(values[ZONE])
    return moment.date(), moment.time()


def _done_at(values: Values, now: datetime) -> datetime | None:
    """When the task was done, None if it wasn't. Without a date of that: when it was due, if that is past."""
    usual = TaskState.DONE if "done_on" in values else TaskState.OPEN
    if values.get("state", usual) == TaskState.OPEN:
        return None
    due = moment_of({**values, "due_on" + TIME: None}, "due_on")
    return min(moment_of(values, "done_on") or due or now, now)


TASKS: Final = ImportedTasks()
