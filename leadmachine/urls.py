"""The root URLs, and those of the REST API. Pages link to each other by name; `docs/guide` mentions the paths."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from rest_framework.routers import SimpleRouter

from capi.api.views import ConversionEventViewSet, ConversionRuleViewSet
from crm.api.attachments import FileViewSet
from crm.api.bulk_changes import BulkChangeViewSet
from crm.api.custom_fields import CustomFieldViewSet
from crm.api.deletions import DeletionViewSet
from crm.api.duplicates import LeadDuplicateViewSet
from crm.api.exports import DataExportViewSet
from crm.api.imports import LeadImportViewSet
from crm.api.merges import LeadMergeViewSet
from crm.api.notes import NoteViewSet
from crm.api.organisations import OrganisationViewSet
from crm.api.picklists import (
    LeadSourceViewSet,
    LeadStatusViewSet,
    LeadTypeViewSet,
    TagViewSet,
)
from crm.api.pipelines import DealPipelineViewSet, LostReasonViewSet
from crm.api.saved_views import SavedViewViewSet
from crm.api.schema import SchemaView
from crm.api.views import (
    ApiNotFoundView,
    DealViewSet,
    IndexView,
    LeadViewSet,
    TaskViewSet,
)
from crm.views.api_docs import docs
from leadmachine.help import pages as help_pages

router = SimpleRouter()
router.register("leads", LeadViewSet, basename="api-lead")
router.register("deals", DealViewSet, basename="api-deal")
router.register("tasks", TaskViewSet, basename="api-task")
router.register("notes", NoteViewSet, basename="api-note")
router.register("files", FileViewSet, basename="api-file")
router.register("saved-views", SavedViewViewSet, basename="api-saved-view")
router.register("bulk-changes", BulkChangeViewSet, basename="api-bulk-change")
router.register("imports", LeadImportViewSet, basename="api-lead-import")
router.register("exports", DataExportViewSet, basename="api-data-export")
router.register("merges", LeadMergeViewSet, basename="api-merge")
router.register("duplicates", LeadDuplicateViewSet, basename="api-duplicate")
router.register("deletions", DeletionViewSet, basename="api-deletion")
router.register("custom-fields", CustomFieldViewSet, basename="api-custom-field")
router.register("organisations", OrganisationViewSet, basename="api-organisation")
router.register("pipelines", DealPipelineViewSet, basename="api-pipeline")
router.register("lost-reasons", LostReasonViewSet, basename="api-lost-reason")
router.register("lead-statuses", LeadStatusViewSet, basename="api-lead-status")
router.register("lead-types", LeadTypeViewSet, basename="api-lead-type")
router.register("lead-sources", LeadSourceViewSet, basename="api-lead-source")
router.register("tags", TagViewSet, basename="api-tag")
router.register(
    "conversion-rules", ConversionRuleViewSet, basename="api-conversion-rule"
)
router.register(
    "conversion-events", ConversionEventViewSet, basename="api-conversion-event"
)
lists = {prefix: f"{basename}-list" for prefix, _, basename in router.registry}

api_urlpatterns: list[URLPattern | URLResolver] = [
    path("", IndexView.as_view(lists=lists), name="api-index"),
    path("", include(router.urls)),
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", docs, name="api-docs"),
    # Matches only with a trailing slash: CommonMiddleware redirects all others, as it does everywhere.
    re_path("^(?P<address>.*)/$", ApiNotFoundView.as_view(), name="api-nowhere"),
]

urlpatterns = [
    path("", include("crm.urls")),
    path("", include("capi.urls")),
    path("help/", help_pages.index, name="help"),
    path("help/<slug:slug>/", help_pages.page, name="help_page"),
    path("api/v1/", include(api_urlpatterns)),
    path("admin/", admin.site.urls),
]

handler400 = "crm.views.errors.bad_request"
handler403 = "crm.views.errors.forbidden"
handler404 = "crm.views.errors.not_found"
handler500 = "crm.views.errors.server_error"
