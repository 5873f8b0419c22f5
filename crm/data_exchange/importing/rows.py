"""The rows of a chunk while their outcomes are decided and written."""

from dataclasses import dataclass, field
from typing import Any, Final

from crm.models import RowOutcome

KNOWN: Final = (
    "key",
    "outcome",
    "problem",
    "column",
    "of_row",
    "lead_id",
    "record_id",
    "cell_problems",
)
STORED: Final = ("pk", "number", "cells", "is_opted_out", *KNOWN)
# The `KNOWN` of a row that is judged for the first time.
UNKNOWN: Final = ("", "", "", None, None, None, None, None)
JUDGEMENT: Final = (*KNOWN, "filled")

OUTCOME: Final = KNOWN.index("outcome")

StoredRow = tuple[Any, ...]  # the `STORED` fields of a `LeadImportRow`


@dataclass(slots=True)
class JudgedRow:
    """A row and its outcome, as in `LeadImportRow`, its values, and the existing `record` that it is about.

    `news` is what it adds to that record, and `filled` the same as it is stored. Not a model: Django takes longer to
    create one than it takes to judge a row.
    """

    pk: int
    number: int
    before: tuple[Any, ...]  # its `KNOWN`
    values: dict[str, Any]
    key: str = ""
    outcome: str = ""
    problem: str = ""
    column: int | None = None
    of_row: int | None = None
    lead_id: int | None = None
    record_id: int | None = None
    cell_problems: dict[str, str] | None = None
    filled: dict[str, Any] = field(default_factory=dict)
    record: Any = None
    news: dict[str, Any] = field(default_factory=dict)

    @property
    def judgement(self) -> tuple[object, ...]:
        """The values of `JUDGEMENT`."""
        return (
            self.key,
            self.outcome,
            self.problem,
            self.column,
            self.of_row,
            self.lead_id,
            self.record_id,
            self.cell_problems,
            self.filled,
        )

    def refuse(self, problem: str, column: int | None) -> None:
        """Make this a bad row."""
        self.outcome, self.key, self.cell_problems = RowOutcome.BAD.value, "", None
        self.problem, self.column = problem, column

    @property
    def is_new(self) -> bool:
        return self.outcome == RowOutcome.NEW

    @property
    def is_update(self) -> bool:
        return self.outcome == RowOutcome.UPDATE

    @property
    def is_bad(self) -> bool:
        return self.outcome == RowOutcome.BAD

    def reserved(self, column: str) -> int | None:
        """The key that was reserved for its record when it was last judged, if it was new then."""
        was_new = self.before[OUTCOME] == RowOutcome.NEW
        return self.before[KNOWN.index(column)] if was_new else None

    @property
    def has_changed(self) -> bool:
        """True if the row has to be saved. One that fills a record always is: its stored `filled` is not read."""
        return bool(self.filled) or self.before != self.judgement[:-1]
