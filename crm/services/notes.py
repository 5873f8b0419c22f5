"""Notes: adding, editing and deleting them, and who may."""

from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from crm.models import Note
from crm.models.contribution import Author
from crm.models.roles import Action
from crm.services.editing import ChangedMeanwhile, version_of
from crm.services.erasure import locking_subject

NOT_YOURS: Final = "Only the person who wrote this can edit it."
TOO_LATE: Final = "This can no longer be edited: more than an hour has passed. Add a new note instead."
NOT_DELETABLE: Final = "Only its author (within an hour) or an admin can delete this."


class NotEditable(Exception):
    """The note is another's, or older than an hour. Nothing was saved."""


def add_note(*, note: Note, author: Author) -> Note:
    """Save a new note. Raises PersonErased, and DeletedMeanwhile if its deal has been deleted."""
    note.sign(author)
    with locking_subject(lead_id=note.lead_id, deal_id=note.deal_id):
        note.save()
    return note


@transaction.atomic
def edit_note(*, note: Note, author: Author, version: str = "") -> Note:
    """Save the note's kind and text. A version of "" matches any.

    Raises NotEditable, ChangedMeanwhile if the version differs, and DoesNotExist if the note has been deleted.
    """
    refuse_unless_editable(note, author)
    current = Note.objects.select_for_update(no_key=True).get(pk=note.pk)
    if version and version != version_of(current):
        raise ChangedMeanwhile
    if (note.kind, note.text) == (current.kind, current.text):
        return note
    if (
        not Note.objects.recent()
        .filter(pk=note.pk)
        .update(kind=note.kind, text=note.text, edited_at=Now())
    ):
        raise NotEditable(TOO_LATE)
    note.refresh_from_db()
    return note


@transaction.atomic
def delete_note(*, note: Note) -> None:
    """Delete it with its files."""
    # First: no one can add a file meanwhile.
    list(Note.objects.select_for_update().filter(pk=note.pk))
    note.delete()


def refuse_unless_editable(note: Note, author: Author) -> None:
    """Raise NotEditable, with a sentence, unless it is the author's own note of the last hour."""
    if not note.is_by(author):
        raise NotEditable(NOT_YOURS)
    if not note.is_recent:
        raise NotEditable(TOO_LATE)


def may_edit(note: Note, author: Author) -> bool:
    """True for the author's own note of the last hour."""
    return author.may(Action.EDIT_LEADS) and note.is_recent and note.is_by(author)


def may_delete(note: Note, author: Author) -> bool:
    """True for the author's own note of the last hour, and for an admin at any time."""
    return author.may(Action.DELETE_LEADS) or may_edit(note, author)
