"""What tasks and notes have in common when they are imported: each is about a lead or about a deal.

One that is known already is left as it is: importing a file again adds nothing.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q
from django.utils import timezone

from crm.data_exchange.importing.column_readings import first_column
from crm.data_exchange.importing.custom_columns import TIME
from crm.data_exchange.importing.matching import hash_of, written_by
from crm.data_exchange.importing.objects.definition import ImportedObject, Values
from crm.data_exchange.importing.objects.lead_references import (
    LEAD_NAMES,
    LEAD_REFERENCES,
)
from crm.data_exchange.importing.objects.new_deals import ADDED, NOON
from crm.data_exchange.importing.objects.subjects import (
    DEAL_REFERENCES,
    OF_DEALS,
    Subject,
    subject_finder,
)
from crm.data_exchange.importing.rows import JudgedRow
from crm.models import LeadImport, LeadImportRow, RowProblem, many_rows

SUBJECT: Final = "subject"
ZONE: Final = "zone"
# What two records with the same are: the same one.
Content = tuple[Any, ...]


class ImportedActivity(ImportedObject):
    record_column = "record_id"
    names = LEAD_NAMES
    address_field = "lead_email"
    # The field with its own number, and the attributes of a new one.
    number_field: ClassVar[str]
    columns: ClassVar[Sequence[str]]

    @abstractmethod
    def content(self, values: Values) -> Content:
        """What a row says. Its first part is the key of the subject."""

    @abstractmethod
    def contents(self, record: Any) -> Iterable[Content]:
        """What a row may say of this record."""

    def alike(self, wanted: Collection[Values]) -> Q:
        """A quick test of the records that these rows may be about."""
        return Q()

    @abstractmethod
    def new(self, lead_import: LeadImport, values: Values, now: datetime) -> list[Any]:
        """The values of a new one, in the order of `columns`, without its key and company."""

    def key(self, values: Values, unread_address: str) -> str:
        """Known once the subject is."""
        return ""

    def resolve(
        self, lead_import: LeadImport, rows: Sequence[JudgedRow], *, locks: bool
    ) -> None:
        good = [row for row in rows if not row.is_bad]
        all_values = [row.values for row in good]
        finder = subject_finder(lead_import.company_id, all_values, locks=locks)
        zone = ZoneInfo(lead_import.company.time_zone)
        for row in good:
            subject = finder.find(row.values)
            if isinstance(subject, RowProblem):
                own = DEAL_REFERENCES if subject in OF_DEALS else LEAD_REFERENCES
                row.refuse(subject, first_column(lead_import, own))
                continue
            row.lead_id = subject.lead.pk if subject.lead else None
            row.values |= {SUBJECT: subject, ZONE: zone}
            number = row.values.get(self.number_field)
            row.key = hash_of(repr(number or self.content(row.values)))

    def existing(
        self, lead_import: LeadImport, wanted: Mapping[str, Values], *, locks: bool
    ) -> dict[str, Any]:
        found = {each.pk: each for each in self._perhaps(lead_import, wanted.values())}
        if locks:
            for pk in written_by(lead_import, self.record_column, found):
                del found[pk]
        by_content: dict[Content, Any] = {}
        for record in found.values():
            for content in self.contents(record):
                by_content.setdefault(content, record)
        known = {
            key: by_content.get(self.content(values)) for key, values in wanted.items()
        }
        return {key: record for key, record in known.items() if record is not None}

    def _perhaps(
        self, lead_import: LeadImport, wanted: Collection[Values]
    ) -> Iterator[Any]:
        """Those about the same leads and deals as these rows, in a query for each kind of subject."""
        subjects: list[Subject] = [values[SUBJECT] for values in wanted]
        deals = {each.deal.pk for each in subjects if each.deal}
        leads = {each.lead.pk for each in subjects if each.lead and not each.deal}
        all_own = self.model.objects.for_company(lead_import.company_id)
        own = all_own.filter(self.alike(wanted)).order_by("pk")
        if deals:
            yield from own.filter(deal__in=deals)
        if leads:
            yield from own.filter(lead__in=leads, deal=None)
        if any(each.lead is None for each in subjects):
            yield from own.filter(lead=None, deal=None)

    def news(self, record: Any, values: Values) -> dict[str, Any]:
        return {}

    def add(self, lead_import: LeadImport, rows: Sequence[JudgedRow]) -> None:
        if not rows:
            return
        now = timezone.now()
        new = (
            [
                row.record_id,
                lead_import.company_id,
                *self.new(lead_import, row.values, now),
            ]
            for row in rows
        )
        names = ["id", "company_id", *self.columns]
        many_rows.insert_rows(self.model, names, new, using=DEFAULT_DB_ALIAS)
        for row in rows:
            row.filled = {ADDED: now.isoformat()}

    def fill(self, lead_import: LeadImport, rows: Sequence[JudgedRow]) -> None:
        """Known ones are left as they are."""

    def locked(self, pks: Sequence[int]) -> dict[int, Any]:
        own = self.model.objects.filter(pk__in=pks).order_by("pk")
        return {each.pk: each for each in own.select_for_update()}

    def remove(self, lead_import: LeadImport, pks: Sequence[int]) -> int:
        self.model.objects.for_company(lead_import.company_id).filter(
            pk__in=pks
        ).delete()
        return 0

    def empty(self, rows: Sequence[LeadImportRow], records: Mapping[int, Any]) -> None:
        """Nothing was filled."""


def moment_of(values: Values, name: str) -> datetime | None:
    """When the date of this field was: at the time of its cell, or else at noon. None without a date."""
    day = values.get(name)
    if day is None:
        return None
    clock: time = values.get(name + TIME) or NOON
    zone = clock.tzinfo or values[ZONE]
    moment = datetime.combine(date.fromisoformat(day), clock, zone)
    return moment.astimezone(UTC)  # equal as text, too, for the keys of rows
