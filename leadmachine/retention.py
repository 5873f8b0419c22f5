"""How long each table keeps its rows. docs/operating.md has the same table in words, and a test compares them.

A table without an entry here fails a test: anyone who adds one decides how long its rows are kept.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from allauth.account import app_settings as account_settings
from allauth.account.models import EmailConfirmation
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from capi.models import Alert, Attempt, Backfill, ConversionEvent, DayCount, Mail
from capi.services import retention as log
from crm.models import ApiKey, AuditAction, AuditEntry, CrmEvent, IdempotencyRecord, Invitation, LeadSearch
from crm.models.invitation import GOOD_FOR
from crm.services import idempotency, searches

Renew = Callable[[], None]  # keeps the claim to the turn, and raises where it is lost or the worker ends
InUse = Callable[[Sequence[Any]], set[Any]]  # of these keys, those whose rows something needs still


@dataclass(frozen=True, slots=True)
class Period:
    """How long, in words and as a number of days. The log's own is the operator's to choose."""

    words: str
    days: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Expires:
    """Rows that are deleted a period after something (`since`, in words).

    `rows` are those of which it was before a moment, and `in_use` tells which of them must stay all the same.
    `needed_by` says in words what keeps a row for longer. `first` is done before any of them goes, and renews the claim
    as often as it takes.
    """

    period: Period
    since: str
    rows: Callable[[datetime], Iterable[QuerySet[Any]]]
    in_use: Callable[[datetime], InUse] = lambda before: lambda pks: set()
    needed_by: str = ""
    first: Callable[[datetime, Renew], None] = lambda before, renew: None

    def __str__(self) -> str:
        stays = f", unless {self.needed_by}" if self.needed_by else ""
        return f"{self.period.words} after {self.since}{stays}"


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows that no housekeeping deletes, and why they don't grow for ever, or may."""

    because: str

    def __str__(self) -> str:
        return self.because


def _days(count: int) -> Period:
    return Period(f"{count} days", lambda: count)


LOG: Final = Period("`LEADMACHINE_RETENTION_DAYS`", lambda: settings.RETENTION_DAYS)
# Never less than a backfill may look back: none that begins meanwhile comes upon an event that goes.
PAST: Final = Period(
    "`LEADMACHINE_RETENTION_DAYS`, 90 days at least,",
    lambda: max(settings.RETENTION_DAYS, settings.EVENT_MAX_AGE_DAYS),
)
AT_ONCE: Final = Period("by the next turn", lambda: 0)
SESSION: Final = Period("7 days", lambda: settings.SESSION_COOKIE_AGE / 86_400)
CONFIRMATION: Final = Period("3 days", lambda: account_settings.EMAIL_CONFIRMATION_EXPIRE_DAYS)
# Never less than the log that they are counted from: what goes too early would be counted again each day.
COUNTS: Final = Period("3 years", lambda: max(3 * 366, settings.RETENTION_DAYS))
RECORD: Final = Period("2 years", lambda: 2 * 366)
SIGN_INS: Final = (AuditAction.SIGN_IN, AuditAction.SIGN_IN_FAILED)


def _where(model: type[Model], *conditions: Q, at: str) -> Callable[[datetime], list[QuerySet[Any]]]:
    """The rows that meet the conditions and have a moment in this column before the one that is asked for."""
    return lambda before: [QuerySet(model).filter(*conditions, **{f"{at}__lt": before})]


def _in_order(model: type[Model], *conditions: Q, at: str) -> Callable[[datetime], list[QuerySet[Any]]]:
    """As `_where`, of a large table that is written in the order of time: read up to the first row that is young.

    An old row that was written behind it (the demo's are) goes when that one does.
    """

    def rows(before: datetime) -> list[QuerySet[Any]]:
        young = QuerySet(model).filter(**{f"{at}__gte": before}).order_by("pk").values_list("pk", flat=True).first()
        [old] = _where(model, *conditions, at=at)(before)
        return [old if young is None else old.filter(pk__lt=young)]

    return rows


def _named_by(rows: QuerySet[Any], key: str) -> Callable[[datetime], InUse]:
    """What these rows name in this column."""
    return lambda before: lambda pks: set(rows.filter(**{f"{key}__in": pks}).order_by().values_list(key, flat=True))


def _crm_events_in_use(before: datetime) -> InUse:
    """Those that the log names, and those of the time that an open backfill goes through.

    It goes on behind the one that it has reached: without that one it would find nothing more, and call itself done.
    """
    named = _named_by(ConversionEvent.objects.all(), "crm_event")(before)
    going_through = Backfill.objects.unfinished().filter(
        company=OuterRef("company"), since__lte=OuterRef("occurred_at"), until__gt=OuterRef("occurred_at")
    )

    def in_use(pks: Sequence[Any]) -> set[Any]:
        waited_for = CrmEvent.objects.filter(Exists(going_through), pk__in=pks)
        return named(pks) | set(waited_for.values_list("pk", flat=True))

    return in_use


def _ended_invitations(before: datetime) -> list[QuerySet[Any]]:
    ended = Q(accepted_at__lt=before) | Q(revoked_at__lt=before)
    run_out = Q(accepted_at=None, revoked_at=None, sent_at__lt=before - GOOD_FOR)
    return [QuerySet(Invitation).filter(ended | run_out)]


# Read from top to bottom: what names other rows goes before them.
RETENTIONS: Final[dict[str, tuple[Expires, ...] | Kept]] = {
    # The log of what went to LinkedIn.
    "capi.ConversionEvent": (Expires(LOG, "its end", log.ended_events, first=log.count_for_good),),
    "capi.EarlierAttempt": Kept("as long as its event"),
    "capi.Attempt": (
        Expires(
            LOG, "it was made", _in_order(Attempt, at="started_at"), log.attempts_in_use, "an event in the log names it"
        ),
    ),
    "capi.Backfill": (
        Expires(
            LOG,
            "its end",
            _where(Backfill, at="finished_at"),
            _named_by(ConversionEvent.objects.all(), "backfill"),
            "an event in the log names it",
        ),
    ),
    "capi.Mail": (
        Expires(LOG, "it was written", _where(Mail, Q(due_at=None), at="created_at"), needed_by="it may still go out"),
    ),
    "capi.Alert": (
        Expires(
            LOG,
            "its end",
            _where(Alert, at="closed_at"),
            _named_by(Mail.objects.exclude(due_at=None), "alert"),
            "a mail about it may still go out",
        ),
    ),
    "capi.DayCount": (Expires(COUNTS, "the day", _where(DayCount, at="day")),),
    "capi.CountedLog": Kept("one row for each company"),
    "capi.Connection": Kept("one row for each company"),
    "capi.Checkup": Kept("one row for each company"),
    "capi.ConversionRule": Kept("as long as its company: the log and the counts name it, also when it is deleted"),
    "capi.MailChoice": Kept("as long as its person: one row for each member who chose"),
    "capi.Heartbeat": Kept("one row for each kind of round"),
    "capi.Housekeeping": Kept("one row"),
    # The CRM.
    "crm.CrmEvent": (
        Expires(
            PAST,
            "it happened",
            _where(CrmEvent, Q(lead=None, deal=None), at="occurred_at"),
            _crm_events_in_use,
            "its lead is there, or the log or an open backfill needs it",
        ),
    ),
    "crm.Company": Kept("until the operator deletes it"),
    "crm.LeadStatus": Kept("as long as its company"),
    "crm.Stage": Kept("as long as its company"),
    "crm.Lead": Kept("until somebody of the company deletes it; erased, its empty row stays"),
    "crm.Deal": Kept("as long as its lead, or until somebody of the company deletes it"),
    "crm.AuditEntry": (
        Expires(LOG, "a sign-in", _in_order(AuditEntry, Q(action__in=SIGN_INS), at="at")),
        Expires(RECORD, "anything else", _in_order(AuditEntry, at="at")),
    ),
    "crm.IdempotencyRecord": (
        Expires(_days(idempotency.KEPT_FOR.days), "it was sent", _in_order(IdempotencyRecord, at="posted_at")),
    ),
    "crm.LeadSearch": (Expires(_days(searches.KEPT_FOR.days), "the search", _where(LeadSearch, at="created_at")),),
    # People and how they come in.
    "crm.User": Kept("until the operator deletes the account"),
    "crm.User_groups": Kept("as long as its account"),
    "crm.User_user_permissions": Kept("as long as its account"),
    "crm.Membership": Kept("as long as its account"),
    "crm.ApiKey": (
        Expires(
            _days(180),
            "it was revoked",
            _where(ApiKey, at="revoked_at"),
            _named_by(CrmEvent.objects.all(), "api_key"),
            "a timeline names it",
        ),
    ),
    "crm.Invitation": (Expires(_days(180), "it was accepted or revoked, or ran out", _ended_invitations),),
    "account.EmailAddress": Kept("as long as its account"),
    "account.EmailConfirmation": (Expires(CONFIRMATION, "it was sent", _where(EmailConfirmation, at="created")),),
    "mfa.Authenticator": Kept("as long as its account"),
    "usersessions.UserSession": (Expires(SESSION, "the sign-in", _where(UserSession, at="created_at")),),
    "sessions.Session": (Expires(AT_ONCE, "its end", _where(Session, at="expire_date")),),
    # The operator's side.
    "admin.LogEntry": (Expires(RECORD, "the change", _where(LogEntry, at="action_time")),),
    "auth.Group": Kept("until the operator deletes it"),
    "auth.Group_permissions": Kept("as long as its group"),
    "auth.Permission": Kept("made by migrations: one row for each thing that may be done"),
    "contenttypes.ContentType": Kept("made by migrations: one row for each table"),
}
