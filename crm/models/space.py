"""The space of a company: what its files, imports, exports and payloads take, of one limit that the operator sets."""

from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField, Func, Model, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.template.defaultfilters import filesizeformat

from crm.models.attachment import Attachment
from crm.models.company import Company
from crm.models.data_export import DataExport
from crm.models.intake import Payload
from crm.models.lead_import import STORED_BYTES, LeadImport

MB: Final = 2**20
NO_ROOM: Final = (
    "there is no room left for this. Your company uses {used} of {limit}. Delete files, exports or uploads that are no "
    "longer needed, or ask the operator of LeadMachine for more."
)


@dataclass(frozen=True, slots=True)
class Space:
    """What a company uses, and its limit, in bytes."""

    files: int
    imports: int
    exports: int
    payloads: int
    limit: int

    @property
    def used(self) -> int:
        return self.files + self.imports + self.exports + self.payloads

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)

    def refusal(self, outcome: str) -> str:
        """Why there is no room. `outcome` says what has not been done, as in "Nothing was uploaded"."""
        return f"{outcome}: {NO_ROOM.format(used=filesizeformat(self.used), limit=filesizeformat(self.limit))}"


class OctetLength(Func):
    """The size of a column in bytes. PostgreSQL doesn't read the column for it."""

    function = "octet_length"
    output_field = BigIntegerField()


class NoRoom(ValidationError):
    """The company has no room for this. The message is for the user."""


def space_of(company_id: int) -> Space:
    """What the company uses. One query."""
    totals = Company.objects.filter(pk=company_id).values_list(
        _total(Attachment.objects.for_company(company_id), "size"),
        _total(LeadImport.objects.for_company(company_id).with_content(), STORED_BYTES),
        _total(DataExport.objects.for_company(company_id).kept(), "stored"),
        _total(Payload.objects.for_company(company_id), OctetLength("body")),
    )
    files, imports, exports, payloads = totals.get()
    return Space(
        files, imports, exports, payloads, limit=settings.FILES_MB_PER_COMPANY * MB
    )


def require_room(
    company_id: int, more: int, *, outcome: str = "Nothing was uploaded"
) -> None:
    """Raise NoRoom if `more` bytes would exceed the company's limit.

    Two concurrent uploads can't exceed it together if the caller holds the company's row (`Company.objects.hold`).
    """
    space = space_of(company_id)
    if space.used + more > space.limit:
        raise NoRoom(space.refusal(outcome))


def _total(rows: QuerySet[Model], size: object) -> Coalesce:
    total = rows.order_by().values("company").annotate(total=Sum(size)).values("total")
    return Coalesce(
        Subquery(total, output_field=BigIntegerField()),
        0,
        output_field=BigIntegerField(),
    )
