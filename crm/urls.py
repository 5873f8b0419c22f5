"""URLs of the CRM pages."""

from django.urls import include, path, register_converter

from crm.models.organisation import OrganisationConverter
from crm.views import (
    attachments,
    audit,
    bulk_changes,
    calendar_feeds,
    company,
    custom_fields,
    data_exports,
    deal_board,
    deal_moves,
    deal_people,
    deals,
    finding,
    forecasts,
    funnels,
    intake,
    intake_sources,
    jobs,
    lead_duplicates,
    lead_fields,
    lead_imports,
    lead_merges,
    lead_selections,
    leads,
    notes,
    organisations,
    people,
    picklists,
    pipelines,
    saved_views,
    shell,
    sign_in_provider,
    tags,
    tasks,
    undo,
)

register_converter(OrganisationConverter, "organisation_key")

urlpatterns = [
    path("", include("crm.accounts.urls")),
    path("", shell.home, name="home"),
    path("find/", finding.find_anything, name="find"),
    path("my-day/", tasks.my_day, name="my_day"),
    path("tasks/", tasks.tasks, name="tasks"),
    path("tasks/new/", tasks.task_new, name="task_new"),
    path("tasks/<int:pk>/edit/", tasks.task_edit, name="task_edit"),
    path("tasks/<int:pk>/step/", tasks.task_step, name="task_step"),
    path("tasks/<int:pk>/delete/", tasks.task_delete, name="task_delete"),
    path("tasks/export/", data_exports.task_export, name="task_export"),
    path("tasks/calendar/", calendar_feeds.calendar, name="calendar"),
    path(
        "tasks/calendar/remove/", calendar_feeds.calendar_remove, name="calendar_remove"
    ),
    path(
        "calendar/<str:token>.ics", calendar_feeds.calendar_feed, name="calendar_feed"
    ),
    path("notes/<int:pk>/edit/", notes.note_edit, name="note_edit"),
    path("notes/<int:pk>/delete/", notes.note_delete, name="note_delete"),
    path("files/<int:pk>/download/", attachments.file_download, name="file_download"),
    path("files/<int:pk>/delete/", attachments.file_delete, name="file_delete"),
    path("theme/", shell.theme, name="theme"),
    path("switch-company/", shell.switch_company, name="switch_company"),
    path("outcomes-column/", shell.outcomes_column, name="outcomes_column"),
    path("undo/<uuid:action>/", undo.undo_action, name="undo"),
    path("leads/", leads.leads, name="leads"),
    path("leads/status/", lead_selections.lead_bulk_status, name="lead_bulk_status"),
    path("leads/owner/", lead_selections.lead_bulk_owner, name="lead_bulk_owner"),
    path("leads/delete/", lead_selections.lead_bulk_delete, name="lead_bulk_delete"),
    path("leads/changes/", bulk_changes.overview, name="bulk_changes"),
    path("leads/changes/new/", bulk_changes.bulk_change_new, name="bulk_change_new"),
    path("leads/changes/<int:pk>/", bulk_changes.detail, name="bulk_change"),
    path(
        "leads/changes/<int:pk>/cancel/", bulk_changes.cancel, name="bulk_change_cancel"
    ),
    path("leads/columns/", saved_views.lead_columns, name="lead_columns"),
    path("views/<slug:key>/new/", saved_views.saved_view_new, name="saved_view_new"),
    path("views/<int:pk>/", saved_views.saved_view_edit, name="saved_view_edit"),
    path(
        "views/<int:pk>/filters/",
        saved_views.saved_view_update,
        name="saved_view_update",
    ),
    path(
        "views/<int:pk>/delete/",
        saved_views.saved_view_delete,
        name="saved_view_delete",
    ),
    path("leads/duplicates/", lead_duplicates.lead_duplicates, name="lead_duplicates"),
    path(
        "leads/duplicates/<int:pk>/dismiss/",
        lead_duplicates.lead_duplicate_dismiss,
        name="lead_duplicate_dismiss",
    ),
    path("leads/merge/", lead_merges.lead_merge, name="lead_merge"),
    path("leads/tags/", lead_selections.lead_bulk_tags, name="lead_bulk_tags"),
    path("leads/new/", leads.lead_new, name="lead_new"),
    path("leads/import/", lead_imports.overview, name="lead_imports"),
    path("leads/import/<int:pk>/", lead_imports.detail, name="lead_import"),
    path(
        "leads/import/<int:pk>/format/",
        lead_imports.file_format,
        name="lead_import_format",
    ),
    path(
        "leads/import/<int:pk>/columns/",
        lead_imports.map_columns,
        name="lead_import_columns",
    ),
    path(
        "leads/import/<int:pk>/object/",
        lead_imports.choose_subject,
        name="lead_import_subject",
    ),
    path("leads/import/<int:pk>/start/", lead_imports.start, name="lead_import_start"),
    path(
        "leads/import/<int:pk>/cancel/", lead_imports.cancel, name="lead_import_cancel"
    ),
    path("leads/import/<int:pk>/undo/", lead_imports.undo, name="lead_import_undo"),
    path(
        "leads/import/<int:pk>/discard/",
        lead_imports.discard,
        name="lead_import_discard",
    ),
    path(
        "leads/import/<int:pk>/cells/",
        lead_imports.problem_cells,
        name="lead_import_cells",
    ),
    path(
        "leads/import/<int:pk>/cells/download/",
        lead_imports.download_problem_cells,
        name="lead_import_cells_file",
    ),
    path(
        "leads/import/<int:pk>/bad-rows/",
        lead_imports.download_bad_rows,
        name="lead_import_bad_rows",
    ),
    path(
        "leads/export/", data_exports.list_export, {"key": "leads"}, name="lead_export"
    ),
    path("leads/<int:pk>/", leads.lead, name="lead"),
    path("leads/<int:pk>/edit/", leads.lead_edit, name="lead_edit"),
    path(
        "leads/<int:pk>/fields/<slug:field>/", lead_fields.lead_field, name="lead_field"
    ),
    path("leads/<int:pk>/delete/", leads.lead_delete, name="lead_delete"),
    path("leads/<int:pk>/erase/", leads.lead_erase, name="lead_erase"),
    path(
        "leads/<int:pk>/merge/undo/",
        lead_merges.lead_merge_undo,
        name="lead_merge_undo",
    ),
    path("leads/<int:pk>/status/", leads.lead_status, name="lead_status"),
    path("leads/<int:pk>/notes/", notes.lead_note, name="lead_note"),
    path("leads/<int:pk>/files/", attachments.lead_files, name="lead_files"),
    path("leads/<int:pk>/tags/", tags.lead_tags, name="lead_tags"),
    path(
        "leads/organisations/",
        organisations.organisation_suggestions,
        name="organisation_suggestions",
    ),
    path("organisations/", organisations.organisations, name="organisations"),
    path(
        "organisations/<organisation_key:organisation>/",
        organisations.organisation,
        name="organisation",
    ),
    path(
        "organisations/<organisation_key:organisation>/rename/",
        organisations.organisation_rename,
        name="organisation_rename",
    ),
    path("deals/", deal_board.deals, name="deals"),
    path("deals/board/<int:pk>/", deal_board.deal_cards, name="deal_cards"),
    path("deals/list/", deals.deal_list, name="deal_list"),
    path(
        "deals/export/", data_exports.list_export, {"key": "deals"}, name="deal_export"
    ),
    path("deals/forecast/", forecasts.forecast, name="forecast"),
    path("deals/funnel/", funnels.funnel, name="funnel"),
    path("deals/new/", deals.deal_new, name="deal_new"),
    path("deals/<int:pk>/", deals.deal, name="deal"),
    path("deals/<int:pk>/edit/", deals.deal_edit, name="deal_edit"),
    path("deals/<int:pk>/delete/", deals.deal_delete, name="deal_delete"),
    path("deals/<int:pk>/people/", deal_people.deal_people, name="deal_people"),
    path("deals/<int:pk>/move/", deal_moves.deal_move, name="deal_move"),
    path("deals/<int:pk>/lost/", deal_moves.deal_lost, name="deal_lost"),
    path("deals/<int:pk>/notes/", notes.deal_note, name="deal_note"),
    path("deals/<int:pk>/files/", attachments.deal_files, name="deal_files"),
    path("notes/<int:pk>/files/", attachments.note_files, name="note_files"),
    path("deals/<int:pk>/tags/", tags.deal_tags, name="deal_tags"),
    path("jobs/", jobs.overview, name="jobs"),
    path("exports/", data_exports.overview, name="data_exports"),
    # Not below organisations/, where one of them may have this name.
    path(
        "exports/organisations/",
        data_exports.list_export,
        {"key": "organisations"},
        name="organisation_export",
    ),
    path(
        "exports/<int:pk>/download/",
        data_exports.export_download,
        name="data_export_download",
    ),
    path(
        "exports/<int:pk>/cancel/",
        data_exports.export_cancel,
        name="data_export_cancel",
    ),
    path(
        "exports/<int:pk>/delete/",
        data_exports.export_delete,
        name="data_export_delete",
    ),
    path("company/export/", data_exports.company_export, name="company_export"),
    path("company/", company.company, name="company"),
    path(
        "company/sign-in/", sign_in_provider.sign_in_provider, name="sign_in_provider"
    ),
    path(
        "company/sign-in/remove/",
        sign_in_provider.sign_in_provider_remove,
        name="sign_in_provider_remove",
    ),
    path("company/pipelines/", pipelines.pipelines, name="pipelines"),
    path("company/pipelines/<int:pk>/", pipelines.pipeline, name="pipeline"),
    path(
        "company/pipelines/<int:pk>/default/",
        pipelines.pipeline_default,
        name="pipeline_default",
    ),
    path(
        "company/pipelines/<int:pk>/archive/",
        pipelines.pipeline_archive,
        name="pipeline_archive",
    ),
    path(
        "company/pipelines/<int:pk>/restore/",
        pipelines.pipeline_restore,
        name="pipeline_restore",
    ),
    path("company/custom-fields/", custom_fields.custom_fields, name="custom_fields"),
    path(
        "company/custom-fields/new/",
        custom_fields.custom_field_new,
        name="custom_field_new",
    ),
    path(
        "company/custom-fields/<int:pk>/edit/",
        custom_fields.custom_field_edit,
        name="custom_field_edit",
    ),
    path(
        "company/custom-fields/<int:pk>/step/",
        custom_fields.custom_field_step,
        name="custom_field_step",
    ),
    path(
        "company/custom-fields/<int:pk>/delete/",
        custom_fields.custom_field_delete,
        name="custom_field_delete",
    ),
    path("company/audit/", audit.audit_log, name="audit_log"),
    path("company/audit/export/", audit.audit_export, name="audit_export"),
    path("company/sources/", intake_sources.sources, name="intake_sources"),
    path(
        "company/sources/<int:pk>/", intake_sources.source, name="intake_source"
    ),
    path(
        "company/sources/<int:pk>/address/",
        intake_sources.source_address,
        name="intake_source_address",
    ),
    path("in/<str:token>/", intake.receive, name="intake"),
    path("company/api-keys/new/", company.api_key_new, name="api_key_new"),
    path("company/api-keys/made/", company.api_key_made, name="api_key_made"),
    path(
        "company/api-keys/<int:pk>/revoke/",
        company.api_key_revoke,
        name="api_key_revoke",
    ),
    path("company/people/", people.people, name="people"),
    path("company/people/<int:pk>/role/", people.member_role, name="member_role"),
    path(
        "company/people/<int:pk>/deactivate/",
        people.member_deactivate,
        name="member_deactivate",
    ),
    path(
        "company/people/<int:pk>/reactivate/",
        people.member_reactivate,
        name="member_reactivate",
    ),
    path(
        "company/invitations/<int:pk>/resend/",
        people.invitation_resend,
        name="invitation_resend",
    ),
    path(
        "company/invitations/<int:pk>/revoke/",
        people.invitation_revoke,
        name="invitation_revoke",
    ),
    path("invitations/<str:token>/", people.invitation, name="invitation"),
    path("company/lists/", picklists.picklists, name="picklists"),
    path("company/lists/<str:kind>/new/", picklists.picklist_new, name="picklist_new"),
    path(
        "company/lists/<str:kind>/<int:pk>/",
        picklists.picklist_edit,
        name="picklist_edit",
    ),
    path(
        "company/lists/<str:kind>/<int:pk>/move/",
        picklists.picklist_move,
        name="picklist_move",
    ),
    path(
        "company/lists/<str:kind>/<int:pk>/archive/",
        picklists.picklist_archive,
        name="picklist_archive",
    ),
    path(
        "company/lists/<str:kind>/<int:pk>/delete/",
        picklists.picklist_delete,
        name="picklist_delete",
    ),
]
