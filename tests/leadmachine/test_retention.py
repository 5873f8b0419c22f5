"""How long each table keeps its rows: old ones go, young or needed ones stay, and no table is without a rule."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model, QuerySet
from django.utils import timezone

from capi.models import (
    Alert,
    Attempt,
    Backfill,
    ConversionEvent,
    ConversionRule,
    CountedLog,
    DayCount,
    EarlierAttempt,
    Mail,
    Recall,
)  # fmt: skip
from capi.models.choices import AlertKind, MailKind
from crm.models import (
    AccountMail,
    ApiKey,
    AuditAction,
    AuditEntry,
    BulkChange,
    Company,
    CrmEvent,
    DataExport,
    Deletion,
    ExportPart,
    IdempotencyRecord,
    Invitation,
    Lead,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    LeadMerge,
    LeadSearch,
    Membership,
    OrganisationDetails,
    OrganisationRename,
    TypedForm,
    User,
)
from crm.models.intake import IntakeSource, Payload
from crm.services.intake_sources import add_source
from leadmachine.expiry import Expires
from leadmachine.retention import RETENTIONS
from tests.conftest import make_lead
from tests.housekeeping import keep_house

pytestmark = [pytest.mark.django_db, pytest.mark.covers("F72")]

OPERATING = settings.BASE_DIR / "docs" / "operating.md"
MARGIN = timedelta(hours=2)  # the log is looked through up to an hour more


@pytest.fixture(autouse=True)
def _thirty_days(settings: Any) -> None:
    settings.RETENTION_DAYS = 30


@pytest.fixture
def rule(company: Company) -> ConversionRule:
    return ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="104012", name="Leads"
    )


# --- what is declared ------------------------------------------------------------------------------------------------


def test_each_table_declares_how_long_it_keeps_its_rows() -> None:
    models = apps.get_models(include_auto_created=True)
    tables = {model._meta.db_table for model in models} | {"django_migrations"}

    assert {model._meta.label for model in models} == set(RETENTIONS)
    assert {*connection.introspection.table_names()} == tables


def test_the_operators_table_says_the_same() -> None:
    _, _, section = OPERATING.read_text().partition("## How long it is kept\n")
    written = re.findall(
        r"^\| `(\w+)` \| (.*) \|$", section.partition("\n## ")[0], re.MULTILINE
    )

    assert written == [
        (apps.get_model(label)._meta.db_table, in_words(label)) for label in RETENTIONS
    ]


def in_words(label: str) -> str:
    kept = RETENTIONS[label]
    return "; ".join(map(str, kept)) if isinstance(kept, tuple) else str(kept)


def test_words_and_days_agree(settings: Any) -> None:
    settings.RETENTION_DAYS = 30
    in_days = {"days": 1, "years": 366}
    for kept in RETENTIONS.values():
        for goes in kept if isinstance(kept, tuple) else ():
            if found := re.fullmatch(r"(\d+) (days|years)", goes.period.words):
                assert goes.period.days() == int(found[1]) * in_days[found[2]], goes


# --- what goes and what stays ----------------------------------------------------------------------------------------


def conversion_event(member: Membership, moment: datetime) -> Model:
    rule = ConversionRule.objects.first()
    dates = {"happened_at": moment, "created_at": moment, "settled_at": moment}
    return ConversionEvent.objects.create(
        company=member.company, rule=rule, state="accepted", **dates
    )


def attempt(member: Membership, moment: datetime) -> Model:
    return Attempt.objects.create(
        company=member.company, rule=ConversionRule.objects.first(), started_at=moment
    )


def backfill(member: Membership, moment: datetime) -> Model:
    rule, dates = (
        ConversionRule.objects.first(),
        {"since": moment, "until": moment, "finished_at": moment},
    )
    return Backfill.objects.create(
        company=member.company, rule=rule, state="done", **dates
    )


def mail(member: Membership, moment: datetime) -> Model:
    fields = {
        "news": MailKind.WEEK,
        "week": moment.date(),
        "created_at": moment,
        "due_at": None,
    }
    return Mail.objects.create(company=member.company, user=member.user, **fields)


def alert(member: Membership, moment: datetime) -> Model:
    return Alert.objects.create(
        company=member.company, kind=AlertKind.RULE_PAUSED, closed_at=moment
    )


def day_count(member: Membership, moment: datetime) -> Model:
    CountedLog.objects.update_or_create(
        company=member.company, defaults={"sealed_before": timezone.localdate()}
    )
    rule = ConversionRule.objects.first()
    return DayCount.objects.create(
        company=member.company, rule=rule, day=moment.date(), state="accepted", count=1
    )


def recall(member: Membership, moment: datetime) -> Model:
    return Recall.objects.create(company=member.company, made_at=moment)


def crm_event_of_nobody(member: Membership, moment: datetime) -> Model:
    return CrmEvent.objects.create(
        company=member.company, kind="lead_created", occurred_at=moment
    )


def sign_in(member: Membership, moment: datetime) -> Model:
    return audited(member, moment, AuditAction.SIGN_IN)


def audited(
    member: Membership, moment: datetime, action: AuditAction = AuditAction.ERASURE
) -> Model:
    return AuditEntry.objects.create(
        company=member.company, at=moment, action=action, actor_kind="system"
    )


def deletion(member: Membership, moment: datetime) -> Model:
    return Deletion.objects.create(
        company=member.company, object="lead", object_id=1, deleted_at=moment
    )


def posted_form(member: Membership, moment: datetime) -> Model:
    return IdempotencyRecord.objects.create(
        company=member.company, sha256=f"{moment:%s}", posted_at=moment
    )


def payload(member: Membership, moment: datetime) -> Model:
    source = IntakeSource(company=member.company, name="Form")
    add_source(source=source)
    return Payload.objects.create(
        company=member.company, source=source, key="1", body=b"{}", ended_at=moment
    )


def lead_merge(member: Membership, moment: datetime) -> Model:
    kept = Lead.objects.create(company=member.company, first_name="Ada")
    gone = Lead.objects.create(
        company=member.company, first_name="Adah", merged_into=kept
    )
    return LeadMerge.objects.create(
        company=member.company, kept=kept, gone=gone, merged_at=moment
    )


def lead_search(member: Membership, moment: datetime) -> Model:
    names = {"key": f"{moment:%s}", "text": f"{moment:%s}"}
    return LeadSearch.objects.create(
        company=member.company, user=member.user, created_at=moment, **names
    )


def typed_form(member: Membership, moment: datetime) -> Model:
    key = f"{moment:%s}"
    return TypedForm.objects.create(
        company=member.company,
        user=member.user,
        created_at=moment,
        key=key,
        sealed="sealed",
    )


def account_mail(member: Membership, moment: datetime) -> Model:
    return AccountMail.objects.create(content="sealed", created_at=moment, due_at=None)


def lead_import(member: Membership, moment: datetime, **fields: Any) -> LeadImport:
    names = {
        "file_name": "leads.csv",
        "size": 1,
        "state": "done",
        "created_at": moment,
        "started_at": moment,
    }
    return LeadImport.objects.create(company=member.company, **{**names, **fields})


def data_export(member: Membership, moment: datetime) -> Model:
    names = {
        "kind": "leads",
        "format": "csv",
        "state": "done",
        "row_count": 1,
        "finished_at": moment,
    }
    made = DataExport.objects.create(
        company=member.company, made_by=member.user, **names
    )
    ExportPart(company=member.company, data_export=made).write(b"x")
    return made


def bulk_change(member: Membership, moment: datetime) -> Model:
    fields = {"kind": "delete", "state": "done", "row_count": 1, "finished_at": moment}
    return BulkChange.objects.create(
        company=member.company, made_by=member.user, **fields
    )


def unread_file(member: Membership, moment: datetime) -> Model:
    of_import = lead_import(member, moment, state="running", started_at=None)
    return LeadImportFile.objects.create(
        company=member.company, lead_import=of_import, content=b"x"
    )


def unstarted_import(member: Membership, moment: datetime) -> LeadImport:
    return lead_import(member, moment, state="paused", started_at=None)


def row_of_nothing_started(member: Membership, moment: datetime) -> Model:
    return LeadImportRow.objects.create(
        company=member.company, lead_import=unstarted_import(member, moment), number=1
    )


def row_of_ended_import(member: Membership, moment: datetime) -> Model:
    ended = lead_import(
        member, moment - timedelta(days=9), state="done", finished_at=moment
    )
    return LeadImportRow.objects.create(
        company=member.company, lead_import=ended, number=1
    )


def revoked_key(member: Membership, moment: datetime) -> Model:
    names = {"name": "Import", "role": "ops", "key_sha256": f"{moment:%s}"}
    return ApiKey.objects.create(company=member.company, revoked_at=moment, **names)


def expired_key(member: Membership, moment: datetime) -> Model:
    names = {"name": "Import", "role": "ops", "key_sha256": f"{moment:%s} expired"}
    return ApiKey.objects.create(company=member.company, expires_at=moment, **names)


def accepted_invitation(member: Membership, moment: datetime) -> Model:
    return invitation(member, sent_at=moment - timedelta(days=3), accepted_at=moment)


def revoked_invitation(member: Membership, moment: datetime) -> Model:
    return invitation(member, sent_at=moment - timedelta(days=3), revoked_at=moment)


def invitation_that_ran_out(member: Membership, moment: datetime) -> Model:
    return invitation(member, sent_at=moment - timedelta(days=7))


def invitation(member: Membership, sent_at: datetime, **dates: datetime) -> Model:
    names = {
        "email": f"{sent_at:%s}@example.com",
        "role": "sales",
        "token_sha256": f"{sent_at:%s}",
    }
    return Invitation.objects.create(
        company=member.company, sent_at=sent_at, **names, **dates
    )


def confirmation(member: Membership, moment: datetime) -> Model:
    address, _ = EmailAddress.objects.get_or_create(
        user=member.user, email=member.user.email
    )
    return EmailConfirmation.objects.create(
        email_address=address, created=moment, key=f"{moment:%s}"
    )


def user_session(member: Membership, moment: datetime) -> Model:
    session(member, timezone.now() + MARGIN, key=f"{moment:%s}")
    return session_of(member, created_at=moment, session_key=f"{moment:%s}")


def ended_session(member: Membership, moment: datetime) -> Model:
    session(member, moment, key=f"{moment:%s}")
    return session_of(member, created_at=timezone.now(), session_key=f"{moment:%s}")


def session_of(member: Membership, **fields: Any) -> Model:
    return UserSession.objects.create(
        user=member.user, ip="127.0.0.1", user_agent="Firefox", **fields
    )


def sign_up(member: Membership, moment: datetime) -> User:
    user = User.objects.create(email=f"{moment:%s}@example.com", date_joined=moment)
    EmailAddress.objects.create(user=user, email=user.email, primary=True)
    company = Company.objects.create(name=f"{moment:%s}", slug=f"{moment:%s}")
    Membership.objects.create(company=company, user=user, role="admin")
    return user


def signed_up_company(member: Membership, moment: datetime) -> Model:
    return Company.objects.get(memberships__user=sign_up(member, moment))


def session(member: Membership, moment: datetime, key: str = "") -> Model:
    return Session.objects.create(
        session_key=key or f"{moment:%s}", session_data="", expire_date=moment
    )


def admin_log_entry(member: Membership, moment: datetime) -> Model:
    return LogEntry.objects.create(
        user=member.user, action_time=moment, action_flag=1, object_repr="Northwind"
    )


def details_without_leads(member: Membership, moment: datetime) -> Model:
    row = OrganisationDetails.objects.create(company=member.company, key=f"{moment:%s}")
    OrganisationDetails.objects.filter(pk=row.pk).update(updated_at=moment)
    return row


def organisation_rename(member: Membership, moment: datetime) -> Model:
    return OrganisationRename.objects.create(
        company=member.company,
        name="Acme",
        names={},
        moved_details=False,
        renamed_at=moment,
    )


MADE: Final[dict[str, list[tuple[float, Callable[[Membership, datetime], Model]]]]] = {
    "capi.ConversionEvent": [(30, conversion_event)],
    "capi.Attempt": [(30, attempt)],
    "capi.Backfill": [(30, backfill)],
    "capi.Mail": [(30, mail)],
    "capi.Alert": [(30, alert)],
    "capi.DayCount": [(3 * 366, day_count)],
    "capi.Recall": [(1, recall)],
    "crm.Company": [(7, signed_up_company)],
    "crm.User": [(7, sign_up)],
    "crm.CrmEvent": [(90, crm_event_of_nobody)],
    "crm.AuditEntry": [(30, sign_in), (2 * 366, audited)],
    "crm.Deletion": [(90, deletion)],
    "crm.IdempotencyRecord": [(7, posted_form)],
    "crm.DataExport": [(1, data_export)],
    "crm.Payload": [(30, payload)],
    "crm.BulkChange": [(30, bulk_change)],
    "crm.LeadImportRow": [(1, row_of_nothing_started), (7, row_of_ended_import)],
    "crm.LeadImportFile": [(7, unread_file)],
    "crm.LeadImport": [(1, unstarted_import), (2 * 366, lead_import)],
    "crm.LeadMerge": [(1, lead_merge)],
    "crm.OrganisationDetails": [(30, details_without_leads)],
    "crm.OrganisationRename": [(1, organisation_rename)],
    "crm.LeadSearch": [(7, lead_search)],
    "crm.TypedForm": [(7, typed_form)],
    "crm.AccountMail": [(3, account_mail)],
    "crm.ApiKey": [(180, revoked_key), (180, expired_key)],
    "crm.Invitation": [
        (180, accepted_invitation),
        (30, revoked_invitation),
        (30, invitation_that_ran_out),
    ],
    "account.EmailConfirmation": [(3, confirmation)],
    "usersessions.UserSession": [(7, user_session), (0, ended_session)],
    "sessions.Session": [(0, session)],
    "admin.LogEntry": [(2 * 366, admin_log_entry)],
}
EACH: Final = [
    pytest.param(days, make, id=make.__name__)
    for made in MADE.values()
    for days, make in made
]


def test_each_period_that_is_declared_is_tested() -> None:
    declared = {
        label: len(kept)
        for label, kept in RETENTIONS.items()
        if isinstance(kept, tuple)
    }

    assert set(MADE) == set(declared)
    assert all(len(MADE[label]) >= count for label, count in declared.items())


@pytest.mark.parametrize(("days", "make"), EACH)
def test_what_is_old_goes_and_what_is_young_stays(days, make, admin, rule) -> None:
    end = timezone.now() - timedelta(days=days)
    # They have days, and no hours.
    margin = timedelta(days=2) if make in (mail, day_count) else MARGIN
    old, young = make(admin, end - margin), make(admin, end + margin)

    keep_house()

    assert list(QuerySet(type(old)).filter(pk__in=[old.pk, young.pk])) == [young]


def test_details_stay_while_a_lead_names_their_organisation(company) -> None:
    make_lead(company, organisation="ACME")
    own = OrganisationDetails.objects.create(company=company, key="acme")
    OrganisationDetails.objects.update(updated_at=timezone.now() - timedelta(days=99))

    keep_house()

    assert OrganisationDetails.objects.get() == own


LONG_AGO = timezone.now() - timedelta(days=3_000)


@pytest.mark.parametrize("state", ["pending", "waiting"])
def test_an_event_that_may_still_be_sent_stays_however_old(state, admin, rule) -> None:
    event = conversion_event(admin, LONG_AGO)
    ConversionEvent.objects.update(state=state, settled_at=None)

    keep_house()

    assert ConversionEvent.objects.get() == event


def test_an_attempt_stays_while_an_event_names_it_as_its_last_or_as_an_earlier_one(
    admin, rule
) -> None:
    earlier, last, _unneeded = (attempt(admin, LONG_AGO) for _ in range(3))
    event = conversion_event(admin, LONG_AGO)
    ConversionEvent.objects.update(state="pending", settled_at=None, last_attempt=last)
    EarlierAttempt.objects.create(event=event, attempt=earlier)

    keep_house()

    assert set(Attempt.objects.all()) == {earlier, last}


def test_attempts_go_with_the_event_that_named_them(admin, rule) -> None:
    earlier, last = attempt(admin, LONG_AGO), attempt(admin, LONG_AGO)
    event = conversion_event(admin, LONG_AGO)
    ConversionEvent.objects.update(last_attempt=last)
    EarlierAttempt.objects.create(event=event, attempt=earlier)

    keep_house()

    assert not Attempt.objects.exists()
    assert not EarlierAttempt.objects.exists()


def test_an_attempt_that_was_written_behind_a_young_one_goes_with_that_one(
    admin, rule
) -> None:
    """The demo writes old ones this way. A turn reads no further than the first young one."""
    young, behind = attempt(admin, timezone.now()), attempt(admin, LONG_AGO)
    keep_house()
    assert set(Attempt.objects.all()) == {young, behind}

    Attempt.objects.filter(pk=young.pk).update(started_at=LONG_AGO)
    keep_house()

    assert not Attempt.objects.exists()


def test_a_backfill_stays_while_an_event_names_it_or_it_is_open(admin, rule) -> None:
    named = backfill(admin, LONG_AGO)
    event = conversion_event(admin, timezone.now())
    ConversionEvent.objects.filter(pk=event.pk).update(backfill=named)
    still_open = backfill(admin, LONG_AGO)
    Backfill.objects.filter(pk=still_open.pk).update(state="paused", finished_at=None)

    keep_house()

    assert set(Backfill.objects.all()) == {named, still_open}


def test_a_crm_event_stays_for_its_leads_timeline_however_old(company) -> None:
    of_a_lead = make_lead(company).crm_events.get()
    CrmEvent.objects.update(occurred_at=LONG_AGO)

    keep_house()

    assert CrmEvent.objects.get() == of_a_lead


def test_a_crm_event_of_nobody_stays_while_a_conversion_event_names_it_or_a_backfill_goes_through_it(
    admin, rule
) -> None:
    """A backfill that lost the event it had reached would stop there, and call itself done."""
    named, reached = (
        crm_event_of_nobody(admin, LONG_AGO),
        crm_event_of_nobody(admin, LONG_AGO),
    )
    crm_event_of_nobody(admin, LONG_AGO - MARGIN)
    event = conversion_event(admin, timezone.now())
    ConversionEvent.objects.filter(pk=event.pk).update(crm_event=named)
    running = backfill(admin, LONG_AGO)
    spans = {"since": LONG_AGO, "until": LONG_AGO + MARGIN}
    Backfill.objects.filter(pk=running.pk).update(
        state="running", finished_at=None, **spans
    )

    keep_house()

    assert set(CrmEvent.objects.all()) == {named, reached}


def test_a_key_stays_while_it_is_good_or_a_timeline_names_it(admin, company) -> None:
    good, named = revoked_key(admin, LONG_AGO), revoked_key(admin, LONG_AGO + MARGIN)
    ApiKey.objects.filter(pk=good.pk).update(revoked_at=None)
    make_lead(company)
    CrmEvent.objects.update(api_key=named)

    keep_house()

    assert set(ApiKey.objects.all()) == {good, named}
    assert CrmEvent.objects.get().api_key == named


def test_who_confirmed_or_was_confirmed_or_has_signed_in_stays_and_so_does_the_company(
    admin,
) -> None:
    users = [sign_up(admin, LONG_AGO + number * MARGIN) for number in range(4)]
    EmailAddress.objects.filter(user=users[0]).update(verified=True)
    # Whom the operator made has none before the first sign-in.
    EmailAddress.objects.filter(user=users[1]).delete()
    User.objects.filter(pk=users[2].pk).update(last_login=LONG_AGO)
    Membership.objects.create(company=admin.company, user=users[3], role="sales")

    keep_house()

    assert set(User.objects.all()) == {admin.user, *users[:3]}
    assert Company.objects.count() == 4


def test_a_company_stays_while_one_of_its_members_can_sign_in(admin) -> None:
    company = signed_up_company(admin, LONG_AGO)
    Membership.objects.create(company=company, user=admin.user, role="sales")

    keep_house()

    assert Company.objects.filter(pk=company.pk).exists()
    assert Membership.objects.filter(company=company).get().user == admin.user


def test_who_has_a_confirmed_address_and_waits_for_another_stays(admin) -> None:
    user = sign_up(admin, LONG_AGO)
    EmailAddress.objects.create(user=user, email="new@example.com")
    EmailAddress.objects.filter(user=user, primary=True).update(verified=True)

    keep_house()

    assert User.objects.filter(pk=user.pk).exists()


def test_an_invitation_that_was_sent_again_lately_stays(admin) -> None:
    sent_again = invitation(admin, sent_at=timezone.now())

    keep_house()

    assert Invitation.objects.get() == sent_again


def test_counts_stay_at_least_as_long_as_the_log_that_they_are_made_from(
    settings,
) -> None:
    settings.RETENTION_DAYS = 5_000

    [counts] = RETENTIONS["capi.DayCount"]

    assert isinstance(counts, Expires)
    assert counts.period.days() == 5_000
