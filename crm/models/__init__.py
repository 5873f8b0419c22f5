"""Companies, people, leads, deals and their history."""

from crm.models.api_key import ApiKey
from crm.models.attachment import Attachment
from crm.models.audit import AuditAction, AuditEntry
from crm.models.bulk_change import (
    BulkChange,
    BulkKind,
    BulkSelection,
    LeadChange,
    LeadResult,
)
from crm.models.calendar_feed import CalendarFeed
from crm.models.change import Change, ChangedField
from crm.models.company import Company
from crm.models.custom_field import CustomField, FieldSubject, FieldType
from crm.models.data_export import (
    DataExport,
    ExportFormat,
    ExportPart,
    ExportSelection,
)
from crm.models.deal import Deal
from crm.models.deal_person import DealPerson
from crm.models.deletion import DeletedKind, Deletion
from crm.models.event import CrmEvent, CrmEventKind
from crm.models.external_id import DealExternalId, LeadExternalId
from crm.models.funnel import FunnelStep
from crm.models.idempotency import IdempotencyRecord
from crm.models.intake import IntakeSource, Payload, PayloadOutcome
from crm.models.lead import Lead, LeadSearch
from crm.models.lead_duplicate import DuplicateReason, DuplicateSearch, LeadDuplicate
from crm.models.lead_import import (
    ImportStep,
    ImportSubject,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    Otherwise,
    RowOutcome,
    RowProblem,
    RowUndo,
)
from crm.models.lead_merge import LeadMerge
from crm.models.mail import AccountMail
from crm.models.note import Note, NoteKind
from crm.models.organisation_details import OrganisationDetails, OrganisationSize
from crm.models.organisation_rename import OrganisationRename
from crm.models.people import Invitation, Membership, User
from crm.models.picklist import Colour, LeadSource, LeadType, LostReason, Tag
from crm.models.saved_view import SavedView
from crm.models.sign_in_provider import SignInProvider
from crm.models.steps import LeadMeaning, LeadStatus, Pipeline, Stage, StageMeaning
from crm.models.tag import DealTag, LeadTag
from crm.models.task import Task, TaskKind, TaskReminder
from crm.models.typed_form import TypedForm

__all__ = [
    "AccountMail",
    "ApiKey",
    "Attachment",
    "AuditAction",
    "AuditEntry",
    "BulkChange",
    "BulkKind",
    "BulkSelection",
    "CalendarFeed",
    "Change",
    "ChangedField",
    "Colour",
    "Company",
    "CrmEvent",
    "CrmEventKind",
    "CustomField",
    "DataExport",
    "Deal",
    "DealExternalId",
    "DealPerson",
    "DealTag",
    "DeletedKind",
    "Deletion",
    "DuplicateReason",
    "DuplicateSearch",
    "ExportFormat",
    "ExportPart",
    "ExportSelection",
    "FieldSubject",
    "FieldType",
    "FunnelStep",
    "IdempotencyRecord",
    "ImportStep",
    "ImportSubject",
    "IntakeSource",
    "Invitation",
    "Lead",
    "LeadChange",
    "LeadDuplicate",
    "LeadExternalId",
    "LeadImport",
    "LeadImportFile",
    "LeadImportRow",
    "LeadMeaning",
    "LeadMerge",
    "LeadResult",
    "LeadSearch",
    "LeadSource",
    "LeadStatus",
    "LeadTag",
    "LeadType",
    "LostReason",
    "Membership",
    "Note",
    "NoteKind",
    "OrganisationDetails",
    "OrganisationRename",
    "OrganisationSize",
    "Otherwise",
    "Payload",
    "PayloadOutcome",
    "Pipeline",
    "RowOutcome",
    "RowProblem",
    "RowUndo",
    "SavedView",
    "SignInProvider",
    "Stage",
    "StageMeaning",
    "Tag",
    "Task",
    "TaskKind",
    "TaskReminder",
    "TypedForm",
    "User",
]
