"""The fields of a task that a column can be, and how their cells are read."""

from datetime import date
from typing import Any, Final

from django.utils import timezone

from crm.data_exchange.importing.cells import Cell, Reader, TextReader
from crm.data_exchange.importing.objects.definition import Field
from crm.data_exchange.importing.objects.lead_references import number_reader
from crm.data_exchange.importing.objects.subjects import (
    SUBJECT_FIELDS,
    subject_readers,
)
from crm.models import FieldType, RowProblem, Task
from crm.models.dates import time_of
from crm.models.deal import FIRST_YEAR
from crm.models.task import LAST_YEAR

TASK_FIELDS: Final = {
    "task_title": Field(
        "Task",
        "task tasktitle taskname tasksubject todo activity taak aufgabe tache tarea",
        unsure="title subject name",
    ),
    "task_number": Field("Task number", "tasknumber taskid"),
    "kind": Field("Kind", "kind tasktype activitytype type soort art"),
    "due_on": Field(
        "Due",
        "due duedate dueon deadline vervaldatum faellig fallig falligkeit echeance "
        "vencimiento",
        unsure="date datum",
    ),
    "due_time": Field("Time", "time duetime tijd uhrzeit heure hora"),
    **SUBJECT_FIELDS,
    "owner": Field(
        "Owner",
        "owner taskowner assignedto assignee eigenaar besitzer proprietaire "
        "responsable propietario",
    ),
    "state": Field("Open or done", "status state taskstatus isdone completed"),
    "done_on": Field(
        "Done on", "done doneon donedate completedat completedon completeddate"
    ),
    "created": Field(
        "Created",
        "created createdate createddate createdat createdtime aangemaakt erstellt "
        "datedecreation fechadecreacion",
    ),
}
TYPED: Final = {
    "due_on": FieldType.DATE,
    "done_on": FieldType.DATE,
    "created": FieldType.DATE,
}


def readers_of_tasks() -> dict[str, Reader]:
    """The readers of fields whose values are from no list, by field, without dates."""
    return {
        **subject_readers(),
        "task_title": TextReader("title", Task._meta.get_field("title")),
        "task_number": number_reader("task_number"),
        "due_time": _read_time,
    }


def problem_of_task(name: str, value: Any) -> str:
    """What is wrong with a date in this field of a task, "" if nothing is."""
    day = date.fromisoformat(value)
    is_past = name == "due_on" or day <= timezone.localdate()
    is_possible = FIRST_YEAR <= day.year <= LAST_YEAR and is_past
    return "" if is_possible else RowProblem.DATE_IMPOSSIBLE


def _read_time(cell: str) -> Cell:
    found = time_of(cell)
    if found is None:
        return {}, RowProblem.NOT_A_TIME
    return {"due_time": found.replace(tzinfo=None)}, ""
