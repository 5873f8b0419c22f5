"""How long each table keeps its rows. docs/operating.md has the same table, and a test compares them.

A test fails for any table without an entry here, so anyone who adds a table has to decide.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from allauth.account import app_settings as account_settings
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, Q, QuerySet

from capi.models import (
    Alert,
    Attempt,
    Backfill,
    ConversionEvent,
    DayCount,
    Mail,
    Recall,
)
from capi.services import retention as log
from crm.accounts import typed_forms
from crm.models import (
    AccountMail,
    ApiKey,
    Attachment,
    AuditAction,
    AuditEntry,
    BulkChange,
    Change,
    Company,
    CrmEvent,
    Deletion,
    IdempotencyRecord,
    Invitation,
    LeadMerge,
    LeadSearch,
    Membership,
    Note,
    OrganisationDetails,
    OrganisationRename,
    Payload,
    TypedForm,
    User,
)
from crm.models.bulk_change import KEPT_FOR as BULK_CHANGE_KEPT_FOR
from crm.models.data_export import KEPT_FOR, DataExport
from crm.models.deletion import KEPT_FOR as DELETION_KEPT_FOR
from crm.models.job import AT_WORK
from crm.models.lead_import import (
    ROWS_KEPT_FOR,
    UNSTARTED_KEPT_FOR,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
)
from crm.models.lead_merge import UNDO_FOR
from crm.models.organisation_rename import UNDO_FOR as RENAME_UNDO_FOR
from crm.models.people import INVITATION_GOOD_FOR
from crm.services import idempotency, searches
from leadmachine.expiry import Expires, InUse, Kept, Period, in_order, named_by, where

WITH_ITS_COMPANY: Final = Kept("as long as its company")


def _days(count: int) -> Period:
    return Period(f"{count} days", lambda: count)


LOG: Final = Period("`LEADMACHINE_RETENTION_DAYS`", lambda: settings.RETENTION_DAYS)
# At least as far as a backfill may go back, so that no backfill reads an event that is being deleted.
PAST: Final = Period(
    "`LEADMACHINE_RETENTION_DAYS`, 90 days at least,",
    lambda: max(settings.RETENTION_DAYS, settings.EVENT_MAX_AGE_DAYS),
)
AT_ONCE: Final = Period("by the next turn", lambda: 0)
SESSION: Final = Period("7 days", lambda: settings.SESSION_COOKIE_AGE / 86_400)
EXPORT: Final = Period("1 day", lambda: KEPT_FOR.days)
UNSTARTED: Final = Period("1 day", lambda: UNSTARTED_KEPT_FOR.days)
CONFIRMATION: Final = Period(
    "3 days", lambda: account_settings.EMAIL_CONFIRMATION_EXPIRE_DAYS
)
# At least as long as the log from which they are counted: otherwise deleted days would be counted again every day.
COUNTS: Final = Period("3 years", lambda: max(3 * 366, settings.RETENTION_DAYS))
RECORD: Final = Period("2 years", lambda: 2 * 366)
UNCONFIRMED: Final = "a sign-up whose address no one confirmed"
SIGN_INS: Final = (AuditAction.SIGN_IN, AuditAction.SIGN_IN_FAILED)


def _api_keys_in_use(before: datetime) -> InUse:
    """Return the API keys that a timeline or a file names."""
    entries = (
        CrmEvent.objects.all(),
        Change.objects.all(),
        Note.objects.all(),
        Attachment.objects.all(),
    )
    named = [named_by(rows, "api_key")(before) for rows in entries]
    return lambda pks: set().union(*(keys(pks) for keys in named))


def _crm_events_in_use(before: datetime) -> InUse:
    """Return the CRM events that the log references, and those in the period of an unfinished backfill.

    A backfill continues after the last event it reached. Without that event it would find no more and finish too early.
    """
    logged = named_by(ConversionEvent.objects.all(), "crm_event")(before)
    open_backfills = Backfill.objects.unfinished().filter(
        company=OuterRef("company"),
        since__lte=OuterRef("occurred_at"),
        until__gt=OuterRef("occurred_at"),
    )

    def in_use(pks: Sequence[Any]) -> set[Any]:
        awaited = CrmEvent.objects.filter(Exists(open_backfills), pk__in=pks)
        return logged(pks) | set(awaited.values_list("pk", flat=True))

    return in_use


def _import_rows(before: datetime) -> list[QuerySet[Any]]:
    """The rows of imports that have ended."""
    ended = LeadImport.objects.filter(finished_at__lt=before).exclude(state__in=AT_WORK)
    return [QuerySet(LeadImportRow).filter(lead_import__in=ended)]


def _unstarted_imports(before: datetime) -> list[QuerySet[Any]]:
    return [LeadImport.objects.unstarted().filter(created_at__lt=before)]


def _unstarted_import_rows(before: datetime) -> list[QuerySet[Any]]:
    return [
        QuerySet(LeadImportRow).filter(lead_import__in=rows)
        for rows in _unstarted_imports(before)
    ]


def _declined_invitations(before: datetime) -> list[QuerySet[Any]]:
    """Invitations that were revoked or ran out: the people invited never entered their address themselves."""
    run_out = Q(
        accepted_at=None, revoked_at=None, sent_at__lt=before - INVITATION_GOOD_FOR
    )
    return [QuerySet(Invitation).filter(Q(revoked_at__lt=before) | run_out)]


def _unconfirmed_users(before: datetime) -> QuerySet[User]:
    """Users who signed up before this time, never confirmed their address, and so could never sign in."""
    addresses = EmailAddress.objects.filter(user=OuterRef("pk"))
    return User.objects.filter(
        Exists(addresses),
        ~Exists(addresses.filter(verified=True)),
        date_joined__lt=before,
        last_login=None,
    )


def _unconfirmed_companies(before: datetime) -> list[QuerySet[Any]]:
    members = Membership.objects.filter(company=OuterRef("pk"))
    others = members.exclude(user__in=_unconfirmed_users(before))
    return [QuerySet(Company).filter(Exists(members), ~Exists(others))]


def _details_without_leads(before: datetime) -> list[QuerySet[Any]]:
    """The details of organisations that no lead names, and that no one has changed since."""
    return [OrganisationDetails.objects.without_leads().filter(updated_at__lt=before)]


def _sessions_of_nobody(before: datetime) -> list[QuerySet[Any]]:
    """The records (address and browser) of sessions that have ended, by signing out or by their time limit."""
    ongoing = Session.objects.filter(
        session_key=OuterRef("session_key"), expire_date__gte=before
    )
    return [QuerySet(UserSession).filter(~Exists(ongoing))]


# Processed from top to bottom: rows that reference others are deleted before them.
COMPANY_LISTS: Final = (
    "LeadStatus",
    "Pipeline",
    "Stage",
    "LostReason",
    "LeadType",
    "LeadSource",
    "Tag",
)
RETENTIONS: Final[dict[str, tuple[Expires, ...] | Kept]] = {
    # The log of what went to LinkedIn.
    "capi.ConversionEvent": (
        Expires(LOG, "its end", log.ended_events, first=log.count_for_good),
    ),
    "capi.EarlierAttempt": Kept("as long as its event"),
    "capi.CountedPerson": Kept("as long as its event"),
    "capi.Attempt": (
        Expires(
            LOG,
            "it was made",
            in_order(Attempt, at="started_at"),
            log.attempts_in_use,
            "an event in the log names it",
        ),
    ),
    "capi.Backfill": (
        Expires(
            LOG,
            "its end",
            where(Backfill, at="finished_at"),
            named_by(ConversionEvent.objects.all(), "backfill"),
            "an event in the log names it",
        ),
    ),
    "capi.Mail": (
        Expires(
            LOG,
            "it was written",
            where(Mail, Q(due_at=None), at="created_at"),
            needed_by="it may still go out",
        ),
    ),
    "capi.Alert": (
        Expires(
            LOG,
            "its end",
            where(Alert, at="closed_at"),
            named_by(Mail.objects.exclude(due_at=None), "alert"),
            "a mail about it may still go out",
        ),
    ),
    "capi.DayCount": (Expires(COUNTS, "the day", where(DayCount, at="day")),),
    "capi.CountedLog": Kept("one row for each company"),
    "capi.Connection": Kept("one row for each company"),
    # A worker that sends for the company deletes them. The others must be older than any batch that has been read.
    "capi.Recall": (
        Expires(
            Period("1 day", lambda: 1), "it was made", in_order(Recall, at="made_at")
        ),
    ),
    "capi.Checkup": Kept("one row for each company"),
    "capi.ConversionRule": Kept(
        "as long as its company: the log and the counts name it, also when it is deleted"
    ),
    "capi.MailChoice": Kept("as long as its person: one row for each member who chose"),
    "capi.Heartbeat": Kept(
        "one row for each timer, and one each for backups and rehearsals"
    ),
    "capi.Housekeeping": Kept("one row"),
    # The CRM.
    "crm.CrmEvent": (
        Expires(
            PAST,
            "it happened",
            where(CrmEvent, Q(lead=None, deal=None), at="occurred_at"),
            _crm_events_in_use,
            "its lead is there, or the log or an open backfill needs it",
        ),
    ),
    "crm.Change": Kept("as long as its lead"),
    "crm.Company": (
        Expires(
            _days(7),
            f"{UNCONFIRMED}; any other until the operator deletes it",
            _unconfirmed_companies,
        ),
    ),
    **dict.fromkeys((f"crm.{name}" for name in COMPANY_LISTS), WITH_ITS_COMPANY),
    "crm.LeadDuplicate": Kept(
        "as long as both of its leads, or until they are no longer alike"
    ),
    "crm.DuplicateSearch": Kept("one row for each company"),
    "crm.LeadMerge": (
        Expires(
            Period("1 day", lambda: UNDO_FOR.days),
            "the merge",
            where(LeadMerge, at="merged_at"),
        ),
    ),
    "crm.LeadExternalId": Kept("as long as its lead, or until a program removes it"),
    "crm.DealExternalId": Kept("as long as its deal, or until a program removes it"),
    "crm.OrganisationDetails": (
        Expires(
            _days(30),
            "their last change if no lead names the organisation",
            _details_without_leads,
        ),
    ),
    "crm.OrganisationRename": (
        Expires(
            Period("1 day", lambda: RENAME_UNDO_FOR.days),
            "the rename, or until someone in the company is erased",
            where(OrganisationRename, at="renamed_at"),
        ),
    ),
    "crm.LeadTag": Kept("as long as its lead and its tag"),
    "crm.DealPerson": Kept(
        "as long as its deal and its lead, or until someone in the company removes that person"
    ),
    "crm.DealTag": Kept("as long as its deal and its tag"),
    "crm.Lead": Kept(
        "until someone in the company deletes it, or what it was merged into; erased, its empty row stays"
    ),
    "crm.Deal": Kept("as long as its lead, or until someone in the company deletes it"),
    "crm.Deletion": (
        Expires(
            _days(DELETION_KEPT_FOR.days),
            "it was noted",
            in_order(Deletion, at="deleted_at"),
        ),
    ),
    "crm.CustomField": Kept(
        "until an admin of the company deletes it, and its values have been removed"
    ),
    "crm.Task": Kept(
        "as long as what it is about, or until someone in the company deletes it"
    ),
    "crm.Note": Kept(
        "as long as what it is about, or until someone in the company deletes it"
    ),
    "crm.Attachment": Kept(
        "as long as what it is on, or until someone in the company deletes it; its content, too"
    ),
    "crm.TaskReminder": Kept("until it is sent, or its task done or deleted"),
    "crm.SavedView": Kept(
        "until someone in the company deletes it, or as long as the account of its owner"
    ),
    "crm.CalendarFeed": Kept(
        "until its member removes it or loses access: one row for each member who has a link"
    ),
    "crm.IntakeSource": WITH_ITS_COMPANY,
    "crm.Payload": (Expires(_days(30), "its end", where(Payload, at="ended_at")),),
    "crm.ExportPart": Kept(
        "as long as its export, or until someone of the company is erased"
    ),
    "crm.ExportSelection": Kept("as long as its export"),
    "crm.DataExport": (
        Expires(EXPORT, "its end", where(DataExport, at="finished_at")),
    ),
    "crm.BulkSelection": Kept("until its bulk change has ended"),
    "crm.BulkChange": (
        Expires(
            _days(BULK_CHANGE_KEPT_FOR.days),
            "its end",
            where(BulkChange, at="finished_at"),
        ),
    ),
    "crm.LeadImportRow": (
        Expires(
            UNSTARTED, "the upload if no one started its import", _unstarted_import_rows
        ),
        Expires(_days(ROWS_KEPT_FOR.days), "the end of its import", _import_rows),
    ),
    "crm.LeadImportFile": (
        Expires(
            _days(ROWS_KEPT_FOR.days),
            "the upload",
            where(LeadImportFile, at="lead_import__created_at"),
        ),
    ),
    "crm.LeadImport": (
        Expires(UNSTARTED, "the upload if no one started it", _unstarted_imports),
        Expires(
            RECORD,
            "the upload",
            where(LeadImport, ~Q(state__in=AT_WORK), at="created_at"),
        ),
    ),
    "crm.AuditEntry": (
        Expires(
            LOG, "a sign-in", in_order(AuditEntry, Q(action__in=SIGN_INS), at="at")
        ),
        Expires(RECORD, "anything else", in_order(AuditEntry, at="at")),
    ),
    "crm.IdempotencyRecord": (
        Expires(
            _days(idempotency.KEPT_FOR.days),
            "it was sent",
            in_order(IdempotencyRecord, at="posted_at"),
        ),
    ),
    "crm.LeadSearch": (
        Expires(
            _days(searches.KEPT_FOR.days),
            "the search",
            where(LeadSearch, at="created_at"),
        ),
    ),
    "crm.TypedForm": (
        Expires(
            _days(typed_forms.KEPT_FOR.days),
            "it was sent",
            where(TypedForm, at="created_at"),
        ),
    ),
    # Users and how they sign in.
    "crm.AccountMail": (
        Expires(_days(3), "it was written", where(AccountMail, at="created_at")),
    ),
    "crm.User": (
        Expires(
            _days(7),
            f"{UNCONFIRMED}; any other until the operator deletes the account",
            lambda before: [_unconfirmed_users(before)],
        ),
    ),
    "crm.User_groups": Kept("as long as its account"),
    "crm.User_user_permissions": Kept("as long as its account"),
    "crm.Membership": Kept("as long as its account"),
    "crm.SignInProvider": Kept("until an admin of the company removes it"),
    "crm.ApiKey": (
        Expires(
            _days(180),
            "it was revoked",
            where(ApiKey, at="revoked_at"),
            _api_keys_in_use,
            "a timeline or a file names it",
        ),
        Expires(
            _days(180),
            "it expired",
            where(ApiKey, at="expires_at"),
            _api_keys_in_use,
            "a timeline or a file names it",
        ),
    ),
    "crm.Invitation": (
        Expires(_days(180), "it was accepted", where(Invitation, at="accepted_at")),
        Expires(_days(30), "it was revoked or ran out", _declined_invitations),
    ),
    "account.EmailAddress": Kept("as long as its account"),
    "account.EmailConfirmation": (
        Expires(CONFIRMATION, "it was sent", where(EmailConfirmation, at="created")),
    ),
    "mfa.Authenticator": Kept("as long as its account"),
    "socialaccount.SocialAccount": Kept(
        "as long as its account, or the company's sign-in provider"
    ),
    "socialaccount.SocialApp": Kept(
        "never written: `crm_signinprovider` has what is in it"
    ),
    "socialaccount.SocialToken": Kept(
        "never written: a session keeps the provider's ID token, to sign out there"
    ),
    "usersessions.UserSession": (
        Expires(SESSION, "the sign-in", where(UserSession, at="created_at")),
        Expires(AT_ONCE, "the session's end", _sessions_of_nobody),
    ),
    "sessions.Session": (
        Expires(AT_ONCE, "its end", where(Session, at="expire_date")),
    ),
    # The administration.
    "admin.LogEntry": (
        Expires(RECORD, "the change", where(LogEntry, at="action_time")),
    ),
    "auth.Group": Kept("until the operator deletes it"),
    "auth.Group_permissions": Kept("as long as its group"),
    "auth.Permission": Kept(
        "made by migrations: one row for each thing that may be done"
    ),
    "contenttypes.ContentType": Kept("made by migrations: one row for each table"),
}
