"""Notes for pages: each with its files, and with what the member who reads it may do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crm.models import Membership, Note
from crm.models.roles import Action
from crm.selectors.attachments import ShownFile, files_on_notes
from crm.services.notes import may_delete, may_edit


@dataclass(frozen=True)
class ShownNote:
    """A note, its files, and what its reader may do with it."""

    note: Note
    is_editable: bool
    is_deletable: bool
    takes_files: bool
    files: Sequence[ShownFile]


def shown_notes(notes: Iterable[Note], reader: Membership) -> list[ShownNote]:
    found, takes_files = list(notes), reader.may(Action.EDIT_LEADS)
    files = files_on_notes(found, reader)
    return [
        ShownNote(
            note,
            may_edit(note, reader),
            may_delete(note, reader),
            takes_files,
            files.get(note.pk, ()),
        )
        for note in found
    ]
