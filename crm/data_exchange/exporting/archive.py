"""The files in the export of a whole company, made for leaving: each has the rows of one table, ordered by id."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet

from crm.data_exchange.exporting.cells import Row
from crm.lists.columns import FileColumn, with_keys
from crm.lists.deals import DEALS, deal_columns
from crm.lists.leads import LEADS, lead_columns
from crm.models import (
    Attachment,
    Change,
    Company,
    CrmEvent,
    CustomField,
    DataExport,
    DealExternalId,
    DealPerson,
    IntakeSource,
    LeadExternalId,
    LeadSource,
    LeadStatus,
    LeadType,
    LostReason,
    Membership,
    Note,
    OrganisationDetails,
    Payload,
    Pipeline,
    Stage,
    Tag,
    Task,
)


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A CSV file in the archive. `about` describes it in the README."""

    name: str
    about: str
    columns: Callable[[Company], Sequence[FileColumn]]
    rows: Callable[[Company], QuerySet[Any]]


def next_rows(data_export: DataExport, size: int) -> list[Row]:
    """The next `size` rows of the current file, with its column names before the first row. Moves the export on."""
    file = FILES[data_export.file]
    columns = file.columns(data_export.company)
    if data_export.after:
        columns = with_keys(columns, data_export.columns)
    else:
        data_export.columns = [column.key for column in columns]
    found = list(
        file.rows(data_export.company)
        .filter(pk__gt=data_export.after)
        .order_by("pk")[:size]
    )
    rows: list[Row] = (
        [] if data_export.after else [[column.label for column in columns]]
    )
    rows += [[column.read(row) for column in columns] for row in found]
    data_export.reached += len(found)
    if len(found) < size:
        data_export.file, data_export.after = data_export.file + 1, 0
    else:
        data_export.after = found[-1].pk
    return rows


def count_rows(company: Company) -> int:
    """How many rows the files have. One query per file."""
    return sum(file.rows(company).order_by().count() for file in FILES)


def readme(company: Company) -> str:
    """The description of the files, in plain text."""
    files = "\n\n".join(f"{file.name}\n    {file.about}" for file in FILES)
    return README.format(company=company.name, files=files)


README: Final = """Everything that {company} has in LeadMachine, as CSV files in UTF-8 with commas.

The first line of each file names its columns. Times have their offset from UTC, dates are YYYY-MM-DD, amounts have a
point before the decimals. An apostrophe before =, +, - or @ is not part of the text: it keeps spreadsheets from
calculating it. Numbers such as "Lead number" are the same in all files, and join their rows.

The files on leads, deals and notes are listed in files.csv, and not included: they may be many gigabytes, too much for
one download. "Download" in files.csv is the address of each, for anyone who is signed in; a program downloads them from
/api/v1/files/ with an API key.

Not included either: passwords and second factors, API keys and the access token, which no one can read, the values of
deleted custom fields, leads that were erased or merged into others, and the audit log, which has an export of its own.

manifest.json tells LeadMachine which company this is, and in which form.

{files}
"""


def columns_of(**labels: str) -> Callable[[Company], list[FileColumn]]:
    """Columns of the attributes with these names, each with its label."""
    columns = [
        FileColumn(label, _reader(name.replace("__", ".")))
        for name, label in labels.items()
    ]
    return lambda company: columns


def _reader(name: str) -> Callable[[Any], object]:
    """Reads the dotted attribute; None if a row on the way is missing."""

    def read(row: Any) -> object:
        for each in name.split("."):
            row = getattr(row, each, None)
        return row() if callable(row) else row

    return read


def rows_of(model: Any, *related: str) -> Callable[[Company], QuerySet[Any]]:
    """The company's rows of the model. Related rows are fetched in queries of their own.

    With a join, PostgreSQL may read all rows of the company for each chunk, to group them by user: 0.3 s for 500,000
    tasks without statistics, instead of 2 ms.
    """
    return lambda company: model.objects.for_company(company).prefetch_related(*related)


def _fields(company: Company) -> QuerySet[Any]:
    return CustomField.objects.for_company(company).not_removed()


def _payloads(company: Company) -> QuerySet[Any]:
    return Payload.objects.for_company(company).defer("body")


def _list(**more: str) -> Callable[[Company], list[FileColumn]]:
    """The columns of a list of the company's settings."""
    return columns_of(
        pk="Number", name="Name", **more, position="Position", archived_at="Archived"
    )


def _file_columns(company: Company) -> list[FileColumn]:
    described = columns_of(
        pk="File number",
        created_at="Time",
        name="Name",
        size="Bytes",
        lead_id="Lead number",
        deal_id="Deal number",
        note_id="Note number",
        actor="By",
        api_key__name="By API key",
    )
    return [
        *described(company),
        FileColumn(
            "Download", lambda file: settings.SITE_URL + file.get_absolute_url()
        ),
    ]


# In the order of the archive. Other apps append a file for each of their tables at start-up. Add a new file at the end:
# exports refer to their files by index.
FILES: Final = [
    ArchiveFile(
        "leads.csv",
        "One line for each lead, with its custom fields and tags. “May be shared” is the consent to share with ad "
        "platforms.",
        lambda company: lead_columns(company, with_archived=True),
        lambda company: LEADS.in_file(LEADS.rows(company)),
    ),
    ArchiveFile(
        "deals.csv",
        "One line for each deal, with its custom fields and tags, and the lead that it is with.",
        lambda company: deal_columns(company, with_archived=True),
        lambda company: DEALS.in_file(DEALS.rows(company)),
    ),
    ArchiveFile(
        "tasks.csv",
        "Tasks, calls and meetings, open and done, each about a lead, a deal or neither.",
        columns_of(
            pk="Task number",
            title="Title",
            get_kind_display="Kind",
            due_on="Due",
            due_time="Time",
            owner="Owner",
            lead_id="Lead number",
            deal_id="Deal number",
            done_at="Done",
            created_at="Created",
            updated_at="Changed",
        ),
        rows_of(Task, "owner"),
    ),
    ArchiveFile(
        "tags.csv", "The tags of leads and deals.", _list(colour="Colour"), rows_of(Tag)
    ),
    ArchiveFile(
        "custom-fields.csv",
        "What the custom fields are. Their values are in leads.csv and deals.csv, in columns with their names. "
        "“Choices” has one on each line.",
        columns_of(
            pk="Number",
            get_subject_display="For",
            key="Key",
            name="Name",
            get_type_display="Type",
            help_text="Help",
            choice_lines="Choices",
            is_required="Required",
            is_listed="In the list",
            position="Position",
            archived_at="Archived",
        ),
        _fields,
    ),
    ArchiveFile(
        "lead-statuses.csv",
        "The statuses of leads.",
        _list(get_meaning_display="Meaning"),
        rows_of(LeadStatus),
    ),
    ArchiveFile(
        "stages.csv",
        "The stages of deals, in their pipelines. “Chance” is in per cent.",
        _list(
            pipeline_id="Pipeline number",
            get_meaning_display="Meaning",
            chance="Chance",
        ),
        rows_of(Stage),
    ),
    ArchiveFile("pipelines.csv", "The pipelines of deals.", _list(), rows_of(Pipeline)),
    ArchiveFile(
        "lost-reasons.csv", "Why deals are lost.", _list(), rows_of(LostReason)
    ),
    ArchiveFile(
        "lead-types.csv", "The types of leads.", _list(code="Code"), rows_of(LeadType)
    ),
    ArchiveFile(
        "lead-sources.csv",
        "The sources that are suggested for leads.",
        _list(),
        rows_of(LeadSource),
    ),
    ArchiveFile(
        "history.csv",
        "Each change of a lead or deal. “Old” and “New” are numbers of lead-statuses.csv, stages.csv, people.csv, "
        "leads.csv or lost-reasons.csv, or an amount, or on and off. Of an e-mail address, only that it was changed. "
        "Of a further person, “New” if they were added, and “Old” if they were removed.",
        columns_of(
            changed_at="Time",
            lead_id="Lead number",
            deal_id="Deal number",
            get_field_display="Field",
            old="Old",
            new="New",
            actor="By",
            api_key__name="By API key",
            is_undo="Undo",
        ),
        rows_of(Change, "actor", "api_key"),
    ),
    ArchiveFile(
        "people.csv",
        "The members of the company, with those who were deactivated.",
        columns_of(
            user_id="Person number",
            user__first_name="First name",
            user__last_name="Last name",
            user__email="E-mail",
            get_role_display="Role",
            is_active="Active",
            created_at="Joined",
        ),
        rows_of(Membership, "user"),
    ),
    ArchiveFile(
        "crm-events.csv",
        "What happened to leads and deals and can be reported, such as Lead qualified or Deal won.",
        columns_of(
            pk="CRM event number",
            occurred_at="Time",
            get_kind_display="Event",
            lead_id="Lead number",
            deal_id="Deal number",
            amount="Amount",
            currency="Currency",
            actor="By",
            api_key__name="By API key",
            taken_back_at="Taken back",
            history_only="For the history alone",
        ),
        rows_of(CrmEvent, "actor", "api_key"),
    ),
    ArchiveFile(
        "notes.csv",
        "Notes and calls, each about a lead, or about a deal and its lead.",
        columns_of(
            pk="Note number",
            created_at="Time",
            get_kind_display="Kind",
            text="Text",
            lead_id="Lead number",
            deal_id="Deal number",
            actor="By",
            api_key__name="By API key",
            edited_at="Edited",
        ),
        rows_of(Note, "actor", "api_key"),
    ),
    ArchiveFile(
        "files.csv",
        "The files on leads, deals and notes, each with where to download it. They themselves are not in this archive.",
        _file_columns,
        rows_of(Attachment, "actor", "api_key"),
    ),
    ArchiveFile(
        "deal-people.csv",
        "The further people of deals, besides the lead that deals.csv has of each.",
        columns_of(
            deal_id="Deal number",
            lead_id="Lead number",
            created_at="Added",
            added_by="By",
        ),
        rows_of(DealPerson, "added_by"),
    ),
    ArchiveFile(
        "lead-external-ids.csv",
        "What leads are called in other systems.",
        columns_of(lead_id="Lead number", system="System", external_id="External id"),
        rows_of(LeadExternalId),
    ),
    ArchiveFile(
        "deal-external-ids.csv",
        "What deals are called in other systems.",
        columns_of(deal_id="Deal number", system="System", external_id="External id"),
        rows_of(DealExternalId),
    ),
    ArchiveFile(
        "organisations.csv",
        "The details of organisations. Their names are in the leads; here they are in lower case.",
        columns_of(
            key="Organisation",
            domain="Domain",
            owner="Owner",
            industry="Industry",
            size="Size",
            address="Address",
            website="Website",
            notes="Background",
            updated_at="Changed",
        ),
        rows_of(OrganisationDetails, "owner"),
    ),
    ArchiveFile(
        "intake-sources.csv",
        "The websites and programs that send leads, without their secret addresses.",
        columns_of(
            pk="Source number",
            name="Name",
            owner="Owner of new leads",
            shares_without_consent="Shares without consent",
            thanks_url="Page after sending",
            is_active="Accepts leads",
            created_at="Created",
        ),
        rows_of(IntakeSource, "owner"),
    ),
    ArchiveFile(
        "payloads.csv",
        "What sources have sent in the last 30 days, and what it led to. The contents are in the leads.",
        columns_of(
            pk="Payload number",
            source_id="Source number",
            received_at="Received",
            get_outcome_display="Outcome",
            get_reason_display="Reason",
            made_id="Lead number",
            ended_at="Ended",
        ),
        _payloads,
    ),
]
