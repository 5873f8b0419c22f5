"""Notes for pages: each with what the member who reads it may do."""

from collections.abc import Iterable
from dataclasses import dataclass

from crm.models import Membership, Note
from crm.services.notes import may_delete, may_edit


@dataclass(frozen=True)
class ShownNote:
    """A note, and what its reader may do with it."""

    note: Note
    is_editable: bool
    is_deletable: bool


def shown_notes(notes: Iterable[Note], reader: Membership) -> list[ShownNote]:
    return [ShownNote(note, may_edit(note, reader), may_delete(note, reader)) for note in notes]
