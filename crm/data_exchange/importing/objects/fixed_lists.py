"""Lists whose entries are the same in each company, and what other programs and languages call them."""

from collections.abc import Mapping, Sequence
from typing import Final

from django.db.models import TextChoices

from crm.data_exchange.importing.value_lists import Entry, ListKind, ValueList
from crm.models import Company, NoteKind, RowProblem, TaskKind


class TaskState(TextChoices):
    """Whether a task is done."""

    OPEN = "open", "Open"
    DONE = "done", "Done"


NAMES_OF_A_CALL: Final = ("phone call", "telefoontje", "anruf", "appel", "llamada")
TASK_KINDS: Final[Mapping[TextChoices, Sequence[str]]] = {
    TaskKind.TASK: ("to-do", "to do", "taak", "aufgabe", "tâche", "tarea"),
    TaskKind.CALL: NAMES_OF_A_CALL,
    TaskKind.MEETING: ("appointment", "afspraak", "termin", "rendez-vous", "reunión"),
}
NOTE_KINDS: Final[Mapping[TextChoices, Sequence[str]]] = {
    NoteKind.NOTE: ("notitie", "notiz", "nota"),
    NoteKind.CALL: NAMES_OF_A_CALL,
}
TASK_STATES: Final[Mapping[TextChoices, Sequence[str]]] = {
    TaskState.OPEN: (
        "not started", "in progress", "to do", "pending", "waiting", "deferred", "no", "false", "0",
    ),
    TaskState.DONE: ("completed", "complete", "finished", "closed", "yes", "true", "1"),
}  # fmt: skip


def task_kinds(company: Company) -> ValueList:
    return _list("kind", TASK_KINDS)


def note_kinds(company: Company) -> ValueList:
    return _list("kind", NOTE_KINDS)


def task_states(company: Company) -> ValueList:
    return _list("state", TASK_STATES)


def _list(name: str, names: Mapping[TextChoices, Sequence[str]]) -> ValueList:
    kind = ListKind(name, f"{name}s", "", RowProblem.NOT_A_CHOICE, longest=0)
    entries = [
        Entry(each.value, str(each.label), each, aliases)
        for each, aliases in names.items()
    ]
    return ValueList(name, kind, entries)
