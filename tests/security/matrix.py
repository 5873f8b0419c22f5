"""Who may do what at which address: a row for every name that the resolver knows. A route without a row fails.

The roles themselves stand in `crm.models.roles.MATRIX`; here each method of each address names its action, or who
else may.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.timezone import now

from crm.models.roles import Action, Role, may
from tests.security.world import World


class Open(StrEnum):
    """What needs no role."""

    PUBLIC = "anybody, signed in or not"
    SIGNED_IN = "anybody who is signed in, about themselves"
    CALLER = "every key and every member"
    OPERATOR = "the operator's staff, with a second factor"


Body = Callable[[World], dict[str, Any]]


def _nothing(world: World) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Row:
    """The methods of one URL and who may use them. `of` names the row whose id is in the URL."""

    methods: dict[str, Action | Open]
    of: str = ""
    body: Body = _nothing
    values: dict[str, str] = field(default_factory=dict)
    files: bool = False  # the body is a form with files, also in the API

    def lets_in(self, method: str, role: str | None) -> bool:
        """True if this role may use this method here. HEAD is a GET without a body."""
        action = self.methods.get("GET" if method == "HEAD" else method)
        if action is None or action == Open.OPERATOR:
            return False
        if action == Open.PUBLIC:
            return True
        return role is not None and (isinstance(action, Open) or may(role, action))


def _see(action: Action, of: str = "", **values: str) -> Row:
    return Row({"GET": action}, of, values=values)


def _form(action: Action, of: str = "", body: Body = _nothing, **values: str) -> Row:
    return Row({"GET": action, "POST": action}, of, body, values)


def _do(action: Action, of: str = "", body: Body = _nothing, **values: str) -> Row:
    return Row({"POST": action}, of, body, values)


def _status(world: World) -> dict[str, Any]:
    return {"name": "Mallory", "meaning": "working"}


def _lead(world: World) -> dict[str, Any]:
    return {"first_name": "Mallory", "type": "inbound", "status": world.ids["status"]}


def _deal(world: World) -> dict[str, Any]:
    return {"title": "Mallory", "currency": "EUR", "stage": world.ids["stage"]}


def _task(world: World) -> dict[str, Any]:
    return {
        "title": "Mallory",
        "kind": "task",
        "due_on": "2026-03-12",
        "owner": world.ids["owner"],
    }


def _note(world: World) -> dict[str, Any]:
    return {"kind": "note", "text": "Mallory"}


def _file(world: World) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("Mallory.pdf", b"Mallory")}


def _import_file(world: World) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("Mallory.csv", b"First name\nMallory\n")}


def _file_on_lead(world: World) -> dict[str, Any]:
    return {**_file(world), "lead": world.ids["lead"]}


VIEW = {"name": "Mallory", "filters": {"type": "inbound"}}


def _bulk_change(world: World) -> dict[str, Any]:
    return {"kind": "add_tag", "target": world.ids["tag"], "leads": [world.ids["lead"]]}


def _confirmed_change(world: World) -> dict[str, Any]:
    body = _bulk_change(world)
    confirm = {
        "kind": body["kind"],
        "target": body["target"],
        "leads": 1,
        "conversions": 0,
        "rules": [],
    }
    return {**body, "confirm": {**confirm, "asked_at": now().isoformat()}}


def _custom_field(world: World) -> dict[str, Any]:
    return {"subject": "lead", "name": "Mallory", "type": "text"}


def _export(world: World) -> dict[str, Any]:
    return {"format": "csv", "columns": "all"}


def _rule(world: World) -> dict[str, Any]:
    return {
        "name": "Mallory",
        "crm_event": "deal_won",
        "linkedin_id": "99",
        "frequency": "once",
        "is_active": "on",
    }


def _api(
    of: str, see: Action, edit: Action, delete: Action, body: Body
) -> dict[str, Row]:
    return {
        f"api-{of}-list": Row({"GET": see, "POST": edit}, body=body),
        f"api-{of}-detail": Row(
            {"GET": see, "PUT": edit, "PATCH": edit, "DELETE": delete},
            of.rpartition("-")[2],
            body,
        ),
    }


OWN_ACCOUNT = {
    "account", "account_change_password", "account_email", "account_reauthenticate", "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_add_webauthn", "mfa_edit_webauthn", "mfa_generate_recovery_codes", "mfa_index", "mfa_list_webauthn",
    "mfa_reauthenticate", "mfa_reauthenticate_webauthn", "mfa_remove_webauthn", "mfa_view_recovery_codes",
    "switch_company", "theme", "usersessions_list",
}  # fmt: skip
PUBLIC = {
    "account_confirm_email", "account_email_verification_sent", "account_inactive", "account_login", "account_logout",
    "account_reset_password", "account_reset_password_done", "account_reset_password_from_key",
    "account_reset_password_from_key_done", "account_set_password", "account_signup", "invitation", "login",
    "choose_company", "company_sign_in", "company_sign_in_callback", "logout", "mfa_authenticate", "mfa_login_webauthn",
}  # fmt: skip

EVERY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

ROWS: dict[str, Row] = {
    "home": _see(Action.SEE_LEADS),
    "dashboard": _see(Action.SEE_LEADS),
    "find": _form(Action.SEE_LEADS, body=lambda world: {"search": "Mallory"}),
    "my_day": _see(Action.EDIT_LEADS),
    "tasks": _see(Action.EDIT_LEADS),
    "task_new": _form(Action.EDIT_LEADS, body=_task),
    "task_edit": _form(Action.EDIT_LEADS, "task", _task),
    "task_step": _do(Action.EDIT_LEADS, "task", lambda world: {"step": "done"}),
    "task_undo": _do(Action.EDIT_LEADS, "task", state="an-expired-state"),
    "task_delete": _form(Action.EDIT_LEADS, "task"),
    "lead_note": _form(Action.EDIT_LEADS, "lead", _note),
    "deal_note": _form(Action.EDIT_LEADS, "deal", _note),
    "note_edit": _form(Action.EDIT_LEADS, "note", _note),
    # Of others, only an admin: tests/crm/views/test_notes.py.
    "note_delete": _form(Action.EDIT_LEADS, "note"),
    "lead_files": _do(Action.EDIT_LEADS, "lead", _file),
    "deal_files": _do(Action.EDIT_LEADS, "deal", _file),
    "note_files": _form(Action.EDIT_LEADS, "note", _file),
    "file_download": _see(Action.SEE_FILES, "file"),
    # Of others, only an admin: tests/crm/views/test_attachments.py.
    "file_delete": _form(Action.EDIT_LEADS, "file"),
    "calendar": _form(Action.EDIT_LEADS),
    "calendar_remove": _do(Action.EDIT_LEADS),
    "calendar_feed": Row({"GET": Open.PUBLIC}, values={"token": "nothing"}),
    "mail_unsubscribe": Row({"GET": Open.PUBLIC, "POST": Open.PUBLIC}, values={"token": "nothing"}),
    "outcomes_column": _do(Action.SEE_LEADS, body=lambda world: {"shown": "1"}),
    "undo": Row({"POST": Action.EDIT_LEADS}, values={"action": "0c5b6e7e-7c52-4a53-9f0e-3a5d0a1f9b1e"}),
    "leads": _form(Action.SEE_LEADS),
    "lead": _see(Action.SEE_LEADS, "lead"),
    "list_columns": _do(Action.SEE_LEADS, key="deals"),
    "saved_view_new": _form(Action.EDIT_LEADS, body=lambda world: {"name": "Mallory"}, key="deals"),
    "saved_view_edit": _form(Action.EDIT_LEADS, "saved_view", lambda world: {"name": "Mallory"}),
    "saved_view_update": _do(Action.EDIT_LEADS, "saved_view"),
    "saved_view_delete": _form(Action.EDIT_LEADS, "saved_view"),
    "lead_new": _form(Action.EDIT_LEADS, body=_lead),
    "lead_edit": _form(Action.EDIT_LEADS, "lead", _lead),
    "lead_field": _form(Action.EDIT_LEADS, "lead", lambda world: {"phone": "+31 20 555 0100"}, field="phone"),
    "lead_status": _do(Action.EDIT_LEADS, "lead", lambda world: {"status": world.ids["status"]}),
    "lead_bulk_status": _form(Action.EDIT_LEADS, body=lambda world: {"status": world.ids["status"], "lead": []}),
    "lead_bulk_owner": _do(Action.EDIT_LEADS, body=lambda world: {"owner": world.ids["owner"], "lead": []}),
    "lead_bulk_delete": _form(Action.DELETE_LEADS, body=lambda world: {"lead": []}),
    "bulk_changes": _see(Action.EDIT_LEADS),
    # To delete, only an admin: tests/crm/views/test_bulk_changes.py.
    "bulk_change_new": _form(Action.EDIT_LEADS),
    "bulk_change": _see(Action.EDIT_LEADS, "bulk_change"),
    "bulk_change_cancel": _do(Action.EDIT_LEADS, "bulk_change"),
    "lead_tags": _do(Action.EDIT_LEADS, "lead", lambda world: {"remove": world.ids["tag"]}),
    "lead_bulk_tags": _do(Action.EDIT_LEADS, body=lambda world: {"tag": world.ids["tag"], "lead": []}),
    "deal_tags": _do(Action.EDIT_LEADS, "deal", lambda world: {"remove": world.ids["tag"]}),
    "lead_duplicates": _see(Action.EDIT_LEADS),
    "lead_duplicate_dismiss": _do(Action.EDIT_LEADS, "lead_duplicate"),
    "lead_merge": _form(Action.EDIT_LEADS, body=lambda world: {"lead": []}),
    "lead_merge_undo": _do(Action.EDIT_LEADS, "lead"),
    "lead_delete": _form(Action.DELETE_LEADS, "lead"),
    "lead_erase": _form(Action.DELETE_LEADS, "lead"),
    "lead_imports": _form(Action.IMPORT_LEADS),
    "lead_import": _see(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_format": _form(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_columns": _do(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_subject": _do(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_start": _do(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_cancel": _do(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_undo": _do(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_discard": _do(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_cells": _see(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_cells_file": _do(Action.IMPORT_LEADS, "lead_import"),
    "lead_import_bad_rows": _do(Action.IMPORT_LEADS, "lead_import"),
    "lead_export": _form(Action.EXPORT_LEADS, body=_export),
    "deal_export": _form(Action.EXPORT_LEADS, body=_export),
    "task_export": _form(Action.EXPORT_LEADS, body=_export),
    "organisation_export": _form(Action.EXPORT_LEADS, body=_export),
    # A member's own alone: tests/crm/views/test_jobs.py.
    "jobs": _see(Action.SEE_LEADS),
    "data_exports": _see(Action.EXPORT_LEADS),
    "data_export_download": _see(Action.EXPORT_LEADS, "data_export"),
    "data_export_cancel": _do(Action.EXPORT_LEADS, "data_export"),
    "data_export_delete": _do(Action.EXPORT_LEADS, "data_export"),
    "company_export": _form(Action.MANAGE_COMPANY),
    "organisations": _form(Action.SEE_LEADS),
    "organisation": _see(Action.SEE_LEADS, "organisation"),
    "organisation_edit": _form(Action.EDIT_LEADS, "organisation", lambda world: {"industry": "Mallory"}),
    "organisation_rename": _form(Action.EDIT_LEADS, "organisation", lambda world: {"name": "Mallory"}),
    "organisation_bulk_owner": _do(
        Action.EDIT_LEADS, body=lambda world: {"owner": world.ids["owner"], "organisation": [world.ids["lead"]]}
    ),
    "organisation_rename_undo": _do(Action.EDIT_LEADS, "organisation"),
    "organisation_suggestions": _do(Action.EDIT_LEADS, body=lambda world: {"organisation": "Mallory"}),
    "deals": _form(Action.SEE_LEADS),
    "deal_cards": _see(Action.SEE_LEADS, "stage"),
    "deal_list": _form(Action.SEE_LEADS),
    "forecast": _form(Action.SEE_LEADS),
    "funnel": _form(Action.SEE_LEADS),
    "deal": _see(Action.SEE_LEADS, "deal"),
    "deal_new": _form(Action.EDIT_LEADS, body=_deal),
    "deal_edit": _form(Action.EDIT_LEADS, "deal", _deal),
    "deal_people": _form(Action.EDIT_LEADS, "deal", lambda world: {"search": "Mallory"}),
    "deal_move": _do(Action.EDIT_LEADS, "deal", lambda world: {"stage": world.ids["stage"]}),
    "deal_lost": _form(Action.EDIT_LEADS, "deal", lambda world: {"stage": world.ids["stage"]}),
    "deal_delete": _form(Action.DELETE_LEADS, "deal"),
    "company": _form(Action.MANAGE_COMPANY),
    "picklists": _see(Action.MANAGE_COMPANY),
    "picklist_new": _form(Action.MANAGE_COMPANY, body=_status, kind="statuses"),
    "picklist_edit": _form(Action.MANAGE_COMPANY, "status", _status, kind="statuses"),
    "picklist_move": _do(Action.MANAGE_COMPANY, "status", lambda world: {"step": "up"}, kind="statuses"),
    "picklist_archive": _do(Action.MANAGE_COMPANY, "status", kind="statuses"),
    "picklist_delete": _form(Action.MANAGE_COMPANY, "status", kind="statuses"),
    "pipelines": _form(Action.MANAGE_COMPANY, body=lambda world: {"name": "Mallory"}),
    "pipeline": _form(Action.MANAGE_COMPANY, "pipeline", lambda world: {"name": "Mallory"}),
    "pipeline_default": _do(Action.MANAGE_COMPANY, "pipeline"),
    "pipeline_archive": _form(Action.MANAGE_COMPANY, "pipeline"),
    "pipeline_restore": _do(Action.MANAGE_COMPANY, "pipeline"),
    "intake": Row({"POST": Open.PUBLIC}, values={"token": "nothing"}),
    "intake_without_slash": Row({"POST": Open.PUBLIC}, values={"token": "nothing"}),
    "intake_sources": _form(Action.MANAGE_COMPANY, body=lambda world: {"name": "Mallory"}),
    "intake_source": _form(Action.MANAGE_COMPANY, "intake_source", lambda world: {"name": "Mallory"}),
    "intake_source_address": _do(Action.MANAGE_COMPANY, "intake_source"),
    "intake_source_delete": _form(Action.MANAGE_COMPANY, "intake_source"),
    "api_key_new": _do(Action.MANAGE_COMPANY, body=lambda world: {"name": "Mallory", "role": Role.ADMIN}),
    "api_key_made": _see(Action.MANAGE_COMPANY),
    "api_key_revoke": _form(Action.MANAGE_COMPANY, "key"),
    "custom_fields": _see(Action.MANAGE_COMPANY),
    "custom_field_new": _form(Action.MANAGE_COMPANY, body=_custom_field),
    "custom_field_edit": _form(Action.MANAGE_COMPANY, "field", _custom_field),
    "custom_field_step": _do(Action.MANAGE_COMPANY, "field", lambda world: {"step": "archive"}),
    "custom_field_delete": _form(Action.MANAGE_COMPANY, "field"),
    "people": _form(Action.MANAGE_COMPANY, body=lambda world: {"email": "mallory@example.com", "role": Role.ADMIN}),
    "member_role": _do(Action.MANAGE_COMPANY, "member", lambda world: {"role": Role.SALES}),
    "member_deactivate": _form(Action.MANAGE_COMPANY, "member"),
    "member_reactivate": _do(Action.MANAGE_COMPANY, "member"),
    "invitation_resend": _do(Action.MANAGE_COMPANY, "invitation"),
    "invitation_revoke": _do(Action.MANAGE_COMPANY, "invitation"),
    "sign_in_provider": _form(Action.MANAGE_COMPANY),
    "sign_in_provider_remove": _form(Action.MANAGE_COMPANY),
    "audit_log": _form(Action.MANAGE_COMPANY),
    "audit_export": _do(Action.MANAGE_COMPANY),
    "linkedin": _see(Action.SEE_CONNECTION),
    "token_save": _form(Action.CHANGE_CONNECTION, body=lambda world: {"token": "M" * 40}),
    "token_remove": _form(Action.CHANGE_CONNECTION),
    "connection_resume": _do(Action.CHANGE_CONNECTION),
    "check": _do(Action.TEST_RULES),
    "rule_new": _form(Action.CHANGE_RULES, body=_rule),
    "rule": _see(Action.SEE_CONNECTION, "rule"),
    "rule_import": _form(Action.CHANGE_RULES),
    "grace_save": _do(Action.CHANGE_CONNECTION, body=lambda world: {"grace_seconds": "60"}),
    "ad_account_save": _do(Action.CHANGE_CONNECTION, body=lambda world: {"ad_account_id": "512345678"}),
    "rule_edit": _form(Action.CHANGE_RULES, "rule", _rule),
    "rule_active": _do(Action.CHANGE_RULES, "rule", lambda world: {"active": "0"}),
    "rule_resume": _do(Action.CHANGE_RULES, "rule"),
    "rule_delete": _form(Action.CHANGE_RULES, "rule"),
    "rule_test": _do(Action.TEST_RULES, "rule"),
    "test_result": _see(Action.TEST_RULES, "test"),
    "overview": _form(Action.SEE_EVENT_LOG),
    "overview_export": _do(Action.SEE_EVENT_LOG),
    "backfills": _see(Action.BACKFILL),
    "backfill_plan": _form(Action.BACKFILL, body=lambda world: {"rule": world.ids["rule"], "period": "7"}),
    "backfill": _see(Action.BACKFILL, "backfill"),
    "backfill_pause": _do(Action.BACKFILL, "backfill"),
    "backfill_resume": _do(Action.BACKFILL, "backfill"),
    "backfill_cancel": _form(Action.BACKFILL, "backfill"),
    "events": _form(Action.SEE_EVENT_LOG),
    "events_export": _do(Action.SEE_EVENT_LOG),
    "event": _see(Action.SEE_EVENT_LOG, "event"),
    "dry_run": _form(Action.SEE_EVENT_LOG),
    "check_hash": _form(Action.SEE_EVENT_LOG),
    "events_retry": _form(Action.CHANGE_EVENTS),
    "events_cancel": _form(Action.CHANGE_EVENTS),
    "alerts": _see(Action.SEE_CONNECTION),
    "mail_choice": _do(Action.SEE_CONNECTION, body=lambda world: {"alerts": "on"}),
    "reconcile": _form(Action.SEE_EVENT_LOG),
    "reconcile_export": _do(Action.SEE_EVENT_LOG),
    "help": Row({"GET": Open.SIGNED_IN}),
    "help_page": Row({"GET": Open.SIGNED_IN}, values={"slug": "troubleshooting"}),
    "sandbox": _see(Action.SEE_EVENT_LOG),
    "api-lead-merge": _do(Action.EDIT_LEADS, "lead", lambda world: {"lead": 0}),
    "api-lead-erasure": _form(Action.DELETE_LEADS, "lead", lambda world: {"also": [0]}),
    "api-docs": _see(Action.SEE_LEADS),
    "api-index": Row({"GET": Open.CALLER}),
    "api-schema": Row({"GET": Open.CALLER}),
    "api-nowhere": Row(dict.fromkeys(EVERY_METHOD, Open.PUBLIC), values={"address": "nothing"}),
    **_api("lead", Action.SEE_LEADS, Action.EDIT_LEADS, Action.DELETE_LEADS, _lead),
    **_api("deal", Action.SEE_LEADS, Action.EDIT_LEADS, Action.DELETE_LEADS, lambda world: {"title": "Mallory"}),
    **_api("task", Action.SEE_LEADS, Action.EDIT_LEADS, Action.EDIT_LEADS, _task),
    **_api("note", Action.SEE_NOTES, Action.EDIT_LEADS, Action.EDIT_LEADS, _note),
    "api-file-list": Row({"GET": Action.SEE_FILES, "POST": Action.EDIT_LEADS}, body=_file_on_lead, files=True),
    "api-file-detail": Row({"GET": Action.SEE_FILES, "DELETE": Action.EDIT_LEADS}, "file"),
    "api-file-content": _see(Action.SEE_FILES, "file"),
    # To delete, only an admin: tests/crm/api/test_bulk_changes.py
    "api-bulk-change-list": Row({"GET": Action.EDIT_LEADS, "POST": Action.EDIT_LEADS}, body=_confirmed_change),
    "api-bulk-change-detail": _see(Action.EDIT_LEADS, "bulk_change"),
    "api-bulk-change-preview": _do(Action.EDIT_LEADS, body=_bulk_change),
    "api-bulk-change-cancel": _do(Action.EDIT_LEADS, "bulk_change"),
    "api-data-export-list": Row(
        {"GET": Action.EXPORT_LEADS, "POST": Action.EXPORT_LEADS}, body=lambda world: {"kind": "leads", "format": "csv"}
    ),
    "api-data-export-detail": Row({"GET": Action.EXPORT_LEADS, "DELETE": Action.EXPORT_LEADS}, "data_export"),
    "api-data-export-content": _see(Action.EXPORT_LEADS, "data_export"),
    "api-data-export-cancel": _do(Action.EXPORT_LEADS, "data_export"),
    "api-lead-import-list": Row(
        {"GET": Action.IMPORT_LEADS, "POST": Action.IMPORT_LEADS}, body=_import_file, files=True
    ),
    "api-lead-import-detail": Row({"GET": Action.IMPORT_LEADS, "DELETE": Action.IMPORT_LEADS}, "lead_import"),
    "api-lead-import-bad-rows": _see(Action.IMPORT_LEADS, "lead_import"),
    "api-lead-import-cells": _see(Action.IMPORT_LEADS, "lead_import"),
    "api-lead-import-values": _see(Action.IMPORT_LEADS, "lead_import"),
    "api-lead-import-file-format": _do(Action.IMPORT_LEADS, "lead_import"),
    "api-lead-import-columns": _do(Action.IMPORT_LEADS, "lead_import", lambda world: {"columns": ["first_name"]}),
    "api-lead-import-start": _do(Action.IMPORT_LEADS, "lead_import"),
    "api-lead-import-cancel": _do(Action.IMPORT_LEADS, "lead_import"),
    "api-lead-import-undo": _do(Action.IMPORT_LEADS, "lead_import"),
    "api-merge-list": _see(Action.EDIT_LEADS),
    "api-merge-detail": _see(Action.EDIT_LEADS, "merge"),
    "api-merge-undo": _do(Action.EDIT_LEADS, "merge"),
    "api-deletion-list": _see(Action.SEE_LEADS),
    "api-duplicate-list": _see(Action.EDIT_LEADS),
    "api-duplicate-detail": _see(Action.EDIT_LEADS, "lead_duplicate"),
    "api-duplicate-dismiss": _do(Action.EDIT_LEADS, "lead_duplicate"),
    # A view of others: tests/crm/api/test_saved_views.py
    "api-saved-view-list": Row({"GET": Action.SEE_LEADS, "POST": Action.EDIT_LEADS}, body=lambda world: VIEW),
    "api-saved-view-detail": Row(
        {"GET": Action.SEE_LEADS, **dict.fromkeys(("PUT", "PATCH", "DELETE"), Action.EDIT_LEADS)},
        "saved_view",
        lambda world: VIEW,
    ),
    **_api("custom-field", Action.SEE_LEADS, Action.MANAGE_COMPANY, Action.MANAGE_COMPANY, _custom_field),
    "api-organisation-list": _see(Action.SEE_LEADS),
    "api-organisation-detail": Row(
        {"GET": Action.SEE_LEADS, "PATCH": Action.EDIT_LEADS},
        "organisation",
        lambda world: {"industry": "Mallory"},
    ),
    "api-pipeline-list": _see(Action.SEE_LEADS),
    "api-pipeline-detail": _see(Action.SEE_LEADS, "pipeline"),
    "api-lost-reason-list": _see(Action.SEE_LEADS),
    "api-lost-reason-detail": _see(Action.SEE_LEADS, "lost_reason"),
    "api-lead-status-list": _see(Action.SEE_LEADS),
    "api-lead-status-detail": _see(Action.SEE_LEADS, "status"),
    "api-lead-type-list": _see(Action.SEE_LEADS),
    "api-lead-type-detail": _see(Action.SEE_LEADS, "lead_type"),
    "api-lead-source-list": _see(Action.SEE_LEADS),
    "api-lead-source-detail": _see(Action.SEE_LEADS, "lead_source"),
    "api-tag-list": _see(Action.SEE_LEADS),
    "api-tag-detail": _see(Action.SEE_LEADS, "tag"),
    **_api("conversion-rule", Action.SEE_RULES, Action.CHANGE_RULES, Action.CHANGE_RULES, _rule),
    "api-conversion-event-list": _see(Action.SEE_EVENT_LOG),
    "api-conversion-event-detail": _see(Action.SEE_EVENT_LOG, "event"),
    "api-conversion-event-retry": _do(Action.CHANGE_EVENTS, "event"),
    "api-conversion-event-cancel": _do(Action.CHANGE_EVENTS, "event"),
    **{name: Row({"GET": Open.SIGNED_IN, "POST": Open.SIGNED_IN}) for name in OWN_ACCOUNT},
    **{name: Row({"GET": Open.PUBLIC, "POST": Open.PUBLIC}) for name in PUBLIC},
}  # fmt: skip


def row_of(name: str) -> Row:
    """The row of a route. Raises KeyError for a page that was added without saying who may see it."""
    if name.startswith("admin:"):
        return Row({"GET": Open.OPERATOR, "POST": Open.OPERATOR})
    return ROWS[name]
