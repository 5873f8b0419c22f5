"""All that each form and serializer may write. A new field has to be added here too, after some thought."""

from capi.api.serializers import (
    ConversionEventDetailSerializer,
    ConversionRuleSerializer,
)
from capi.forms.connection import TokenForm
from capi.forms.rules import RuleForm
from crm.api.attachments import FileSerializer
from crm.api.bulk_change_bodies import (
    AskedChangeSerializer,
    BulkChangeSerializer,
    ConfirmedChangeSerializer,
)
from crm.api.custom_fields import CustomFieldSerializer
from crm.api.deals import DealSerializer
from crm.api.duplicates import LeadDuplicateSerializer
from crm.api.export_bodies import AskedExportSerializer, DataExportSerializer
from crm.api.import_bodies import (
    ImportColumnsSerializer,
    LeadImportDetailSerializer,
    LeadImportRowSerializer,
    LeadImportSerializer,
    StartSerializer,
    UploadSerializer,
)
from crm.api.merges import LeadMergeSerializer
from crm.api.notes import NoteSerializer
from crm.api.organisations import OrganisationDetailsSerializer
from crm.api.saved_views import SavedViewSerializer
from crm.api.serializers import LeadSerializer, TaskSerializer
from crm.forms.company import ApiKeyForm
from crm.forms.custom_fields import CustomFieldForm
from crm.forms.deals import DealForm
from crm.forms.leads import LeadForm
from crm.forms.notes import NoteForm
from crm.forms.organisation_details import OrganisationDetailsForm
from crm.forms.tasks import TaskForm

WRITABLE = {
    LeadForm: {
        "first_name", "last_name", "email", "phone", "organisation", "title", "source", "type", "status", "owner",
        "share_with_ad_platforms", "notes",
    },
    DealForm: {
        "title", "amount", "currency", "stage", "owner", "expected_close", "lost_reason", "outcome_note",
    },
    CustomFieldForm: {"subject", "name", "type", "help_text", "is_required", "is_listed"},
    TaskForm: {"title", "kind", "due_on", "due_time", "owner", "reminder"},
    NoteForm: {"kind", "text"},
    OrganisationDetailsForm: {"domain", "owner", "industry", "size", "address", "website", "notes"},
    RuleForm: {"crm_event", "name", "linkedin_id", "frequency", "send_value", "is_active"},
    TokenForm: {"token", "ad_account_id", "expires_on", "saved_token"},
    ApiKeyForm: {"name", "role", "expires_on", "networks", "scopes"},
    LeadSerializer: {
        "first_name", "last_name", "email", "phone", "organisation", "title", "source", "type", "status", "owner",
        "share_with_ad_platforms", "notes", "tags", "custom", "external_ids",
    },
    DealSerializer: {
        "lead", "people", "title", "amount", "currency", "stage", "owner", "expected_close", "lost_reason",
        "outcome_note", "tags", "custom", "external_ids",
    },
    CustomFieldSerializer: {
        "subject", "name", "type", "help_text", "is_required", "is_listed", "choices", "is_archived",
    },
    TaskSerializer: {"title", "kind", "due_on", "due_time", "owner", "lead", "deal", "reminder", "is_done"},
    OrganisationDetailsSerializer: {"domain", "owner", "industry", "size", "address", "website", "notes"},
    NoteSerializer: {"kind", "text", "lead", "deal"},
    FileSerializer: {"lead", "deal", "note", "file"},
    AskedChangeSerializer: {"kind", "target", "leads", "filters"},
    ConfirmedChangeSerializer: {"kind", "target", "leads", "filters", "confirm"},
    BulkChangeSerializer: set(),
    AskedExportSerializer: {"kind", "format", "filters", "sort", "columns"},
    DataExportSerializer: set(),
    LeadImportSerializer: set(),
    LeadImportDetailSerializer: set(),
    LeadImportRowSerializer: set(),
    UploadSerializer: {"file", "object"},
    ImportColumnsSerializer: {"columns", "readings"},
    StartSerializer: {"owner", "tells_platforms"},
    LeadMergeSerializer: set(),
    LeadDuplicateSerializer: set(),
    SavedViewSerializer: {"list", "name", "filters", "sort", "columns", "is_shared"},
    ConversionRuleSerializer: {"name", "crm_event", "linkedin_id", "is_active", "send_value", "frequency"},
    ConversionEventDetailSerializer: set(),
}  # fmt: skip
