"""The columns of a list in a file, with values that a program, or our own import, can read again."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from crm.data_exchange.importing.columns import FIELDS
from crm.data_exchange.importing.custom_columns import CUSTOM
from crm.models import Company, CustomField, Deal, FieldSubject, FieldType, Lead, LeadType, Task
from crm.models.custom_values import Value
from crm.models.organisation_figures import Organisation

BETWEEN: Final = ", "  # tags or choices in a cell; no tag has a comma
TAGS: Final = "listed_tags"  # the attribute of an exported row with its tags


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column. `of` is the key of the column on the list's page that it belongs to, "" if the page has none."""

    label: str
    read: Callable[[Any], object]
    of: str = ""

    @property
    def key(self) -> str:
        """Unique within a file. That of a custom field stays the same when the field is renamed."""
        return self.of if self.of.startswith(CUSTOM) else self.label


def with_keys(columns: Sequence[ExportColumn], keys: Sequence[str]) -> list[ExportColumn]:
    """The columns with these keys. A column that no longer exists is empty: all rows of a file are equally long."""
    by_key = {column.key: column for column in columns}
    return [by_key.get(key) or ExportColumn(key, lambda row: "") for key in keys]


def lead_columns(company: Company, keys: Sequence[str] = (), *, with_archived: bool = False) -> list[ExportColumn]:
    """The columns for these keys of the leads list, in that order, or all columns. Two queries."""
    types = {each.code: each.name for each in LeadType.objects.for_company(company)}
    columns = [*_LEAD[:_TYPE_AT], ExportColumn("Type", lambda lead: types.get(lead.type, lead.type), "type")]
    custom = _custom(company, FieldSubject.LEAD, with_archived=with_archived)
    return _chosen([*columns, *_LEAD[_TYPE_AT:], *custom, *_TIMES], keys)


def deal_columns(company: Company, keys: Sequence[str] = (), *, with_archived: bool = False) -> list[ExportColumn]:
    """The columns for these keys of the list of deals, in that order, or all columns. One query."""
    custom = _custom(company, FieldSubject.DEAL, with_archived=with_archived)
    return _chosen([*_DEAL, *custom, *_DEAL_TIMES], keys)


def task_columns(company: Company, keys: Sequence[str] = ()) -> list[ExportColumn]:
    """The columns for these keys of the list of tasks, in that order, or all columns."""
    return _chosen(_TASK, keys)


def organisation_columns(company: Company, keys: Sequence[str] = ()) -> list[ExportColumn]:
    """The columns for these keys of the list of organisations, in that order, or all columns."""
    return _chosen(_ORGANISATION, keys)


def _chosen(columns: Sequence[ExportColumn], keys: Sequence[str]) -> list[ExportColumn]:
    """The columns for these keys, or all. A key that no column has is left out: its field may have been removed."""
    return [column for key in keys for column in columns if column.of == key] if keys else [*columns]


def _custom(company: Company, subject: FieldSubject, *, with_archived: bool) -> Iterable[ExportColumn]:
    fields = CustomField.objects.of(company, subject)
    for field in fields.not_removed() if with_archived else fields.in_use():
        yield ExportColumn(field.name, _reader(field), CUSTOM + field.key)


def _reader(field: CustomField) -> Callable[[Lead | Deal], object]:
    return lambda row: _custom_value(field, row.custom.get(field.key))


def _custom_value(field: CustomField, value: Value | None) -> object:
    if isinstance(value, list):
        return BETWEEN.join(field.labels.get(key, key) for key in value)
    if not isinstance(value, str):
        return value
    match field.type:
        case FieldType.CHOICE:
            return field.labels.get(value, value)
        case FieldType.DATE:
            return date.fromisoformat(value)
        case FieldType.NUMBER | FieldType.MONEY:
            return Decimal(value)
    return value


def _owner(row: Lead | Deal | Task) -> str:
    return str(row.owner or "")


def _of_person(name: str) -> Callable[[Task], object]:
    """Reads the attribute of the lead that a task is about, directly or through its deal; None without a lead."""
    return lambda task: getattr(task.person, name, None)


def _sums(organisation: Organisation) -> str:
    return BETWEEN.join(f"{amount} {currency}" for currency, amount in organisation.sums)


def _tags(row: Lead | Deal) -> str:
    return BETWEEN.join(tag.name for tag in getattr(row, TAGS))


_LEAD: Final = (
    ExportColumn("Lead number", attrgetter("pk")),
    ExportColumn(FIELDS["first_name"], attrgetter("first_name"), "name"),
    ExportColumn(FIELDS["last_name"], attrgetter("last_name"), "name"),
    ExportColumn(FIELDS["email"], attrgetter("email")),
    ExportColumn(FIELDS["phone"], attrgetter("phone"), "phone"),
    ExportColumn(FIELDS["organisation"], attrgetter("organisation"), "organisation"),
    ExportColumn(FIELDS["title"], attrgetter("title"), "title"),
    ExportColumn(FIELDS["status"], attrgetter("status.name"), "status"),
    ExportColumn(FIELDS["source"], attrgetter("source"), "source"),
    ExportColumn(FIELDS["owner"], _owner, "owner"),
    ExportColumn(FIELDS["tags"], _tags),
    ExportColumn("May be shared", attrgetter("share_with_ad_platforms")),
    ExportColumn(FIELDS["notes"], attrgetter("notes")),
)
_TYPE_AT: Final = 8  # after the status
_DEAL: Final = (
    ExportColumn("Deal number", attrgetter("pk")),
    ExportColumn("Deal", attrgetter("title"), "deal"),
    ExportColumn("Pipeline", lambda deal: deal.stage.pipeline.name if deal.stage.pipeline else ""),
    ExportColumn("Stage", attrgetter("stage.name"), "status"),
    ExportColumn("Outcome", lambda deal: deal.stage.get_meaning_display()),
    ExportColumn("Lead number", attrgetter("lead_id")),
    ExportColumn("Lead", attrgetter("lead.name"), "organisation"),
    ExportColumn("Organisation", attrgetter("lead.organisation"), "organisation"),
    ExportColumn("E-mail", attrgetter("lead.email")),
    ExportColumn("Phone", attrgetter("lead.phone")),
    ExportColumn("May be shared", attrgetter("lead.share_with_ad_platforms")),
    ExportColumn("Owner", _owner, "owner"),
    ExportColumn("Expected close", attrgetter("expected_close"), "created"),
    ExportColumn("Amount", attrgetter("amount"), "amount"),
    ExportColumn("Currency", attrgetter("currency"), "amount"),
    ExportColumn("Lost reason", lambda deal: deal.lost_reason.name if deal.lost_reason else ""),
    ExportColumn("Why won or lost", lambda deal: "" if deal.stage.is_open else deal.outcome_note),
    ExportColumn(FIELDS["tags"], _tags),
)
_TIMES: Final = (
    ExportColumn("Created", attrgetter("created_at"), "created"),
    ExportColumn("Last activity", attrgetter("updated_at"), "updated"),
)
# On the page of deals, "created" is the key of another column.
_DEAL_TIMES: Final = tuple(replace(column, of="") for column in _TIMES)
_TASK: Final = (
    ExportColumn("Task number", attrgetter("pk")),
    ExportColumn("Task", attrgetter("title"), "task"),
    ExportColumn("Kind", lambda task: task.get_kind_display(), "task"),
    ExportColumn("Due", attrgetter("due_on"), "due"),
    ExportColumn("Time", attrgetter("due_time"), "due"),
    ExportColumn("Lead number", attrgetter("person_id")),
    ExportColumn("Lead", _of_person("name"), "subject"),
    ExportColumn("Organisation", _of_person("organisation"), "subject"),
    ExportColumn("E-mail", _of_person("email")),
    ExportColumn("Phone", _of_person("phone")),
    ExportColumn("May be shared", _of_person("share_with_ad_platforms")),
    ExportColumn("Deal number", attrgetter("deal_id")),
    ExportColumn("Deal", lambda task: task.deal.title if task.deal else None, "subject"),
    ExportColumn("Owner", _owner),
    ExportColumn("Reminder", attrgetter("reminder")),
    ExportColumn("Done", attrgetter("done_at"), "done"),
    *_DEAL_TIMES,
)
# For a very large organisation, leads are counted as far as on its page, and the deals are those of its newest leads.
_ORGANISATION: Final = (
    ExportColumn("Organisation", attrgetter("name"), "organisation"),
    ExportColumn("Leads", attrgetter("counted_up_to"), "leads"),
    ExportColumn("Has more leads", lambda organisation: not organisation.is_counted, "leads"),
    ExportColumn("Open deals", attrgetter("deal_count"), "deals"),
    ExportColumn("Amount", _sums, "amount"),
    ExportColumn("Last activity", attrgetter("last_activity_at"), "activity"),
    ExportColumn("Number of the oldest lead", attrgetter("first_lead_id")),
)
