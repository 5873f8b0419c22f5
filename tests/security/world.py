"""Two companies full of words that appear nowhere else, and callers of every kind."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.timezone import now

from capi import services
from capi.models import Attempt, Backfill, Connection, ConversionEvent, ConversionRule
from crm.models import (
    ApiKey,
    AuditAction,
    BulkChange,
    BulkSelection,
    Company,
    CustomField,
    DataExport,
    Deal,
    ExportPart,
    IntakeSource,
    Invitation,
    Lead,
    LeadDuplicate,
    LeadImport,
    LeadImportRow,
    LeadMerge,
    LeadSource,
    LeadStatus,
    LeadType,
    LostReason,
    Membership,
    Note,
    Payload,
    Pipeline,
    SavedView,
    Stage,
    Tag,
    Task,
    TaskReminder,
    User,
)
from crm.models.key_selection import packed_keys
from crm.models.merge_fields import SHARING
from crm.models.roles import Role
from crm.models.tag import add_links
from crm.models.tracking.origin import acting_as
from crm.services import audit
from crm.services.attachments import add_files, stored
from crm.services.calendar_feeds import renew_feed
from crm.services.custom_fields import add_field
from crm.services.intake_sources import add_source
from tests.conftest import client_of, join

TOKEN_END = "x7Qz"
# Longer than the fraction of a second, which a page shows too.
NEIGHBOURS_NUMBER = "8822088220"


@dataclass
class World:
    """A company with one row of every kind; `mark` is in every text of it, and `ids` names each row."""

    company: Company
    mark: str
    members: dict[str, Membership] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, Any] = field(default_factory=dict)


def build(mark: str, number: str) -> World:
    """Build the company. `number` is its mark where only digits are possible."""
    company = Company.objects.create(name=f"{mark} Works", slug=mark.lower())
    world = World(company, mark)
    for steps in (LeadStatus.objects, Stage.objects):
        for step in steps.for_company(company):
            steps.filter(pk=step.pk).update(name=f"{mark} {step.name}")
    for role in Role:
        world.members[role] = join(
            company,
            role,
            email=f"{mark.lower()}-{role}@example.com",
            first_name=mark,
            last_name=role.label,
        )
        _, world.keys[role] = ApiKey.objects.issue(
            company=company, role=role, name=f"{mark} key"
        )
    _fill(world, number)
    return world


def _fill(world: World, number: str) -> None:
    company, mark, owner = world.company, world.mark, world.members[Role.SALES].user
    services.save_token(
        company=company,
        token=f"{mark}-token-{number}-{TOKEN_END}",
        ad_account_id=f"{number}1",
    )
    rule = ConversionRule.objects.create(
        company=company,
        crm_event="lead_created",
        linkedin_id=f"{number}2",
        name=f"{mark} rule",
    )
    custom_field = add_field(
        field=CustomField(
            company=company,
            subject="lead",
            name=f"{mark} field",
            type="text",
            help_text=f"{mark} help",
        )
    )
    lead = Lead.objects.create(
        company=company, first_name=mark, last_name=f"{mark}son", email=f"{mark.lower()}@example.org",
        phone=f"+31 {number}", organisation=f"{mark} Ltd", title=f"{mark} buyer", source=f"{mark} fair",
        notes=f"{mark} notes", owner=owner, custom={custom_field.key: f"{mark} value"},
    )  # fmt: skip
    Pipeline.objects.for_company(company).update(name=f"{mark} Sales")
    pipeline = Pipeline.objects.create(company=company, name=f"{mark} Renewals")
    stage = Stage.objects.create(
        company=company, pipeline=pipeline, name=f"{mark} Due", meaning="open"
    )
    reason = LostReason.objects.create(company=company, name=f"{mark} price")
    deal = Deal.objects.create(
        company=company, lead=lead, title=f"{mark} licences", amount="1250", owner=owner
    )
    tag = Tag.objects.create(company=company, name=f"{mark} tag")
    add_links(Lead, company.pk, [(lead.pk, tag)])
    add_links(Deal, company.pk, [(deal.pk, tag)])
    source = LeadSource.objects.create(company=company, name=f"{mark} fair")
    Deal.objects.create(
        company=company,
        lead=lead,
        title=f"{mark} renewal",
        stage=stage,
        owner=owner,
        outcome_note=f"{mark} note",
    )
    task = Task.objects.create(
        company=company,
        deal=deal,
        title=f"{mark} call",
        owner=owner,
        due_on=now().date(),
        reminder=True,
    )
    TaskReminder.objects.create(task=task, due_at=now() + timedelta(hours=1))
    note = Note.objects.create(
        company=company, lead=lead, deal=deal, text=f"{mark} called", actor=owner
    )
    content = SimpleUploadedFile(f"{mark}.pdf", f"{mark} content".encode())
    with stored([content], company=company) as files:
        file = add_files(subject=deal, files=files, author=world.members[Role.SALES])[0]
    renew_feed(membership=world.members[Role.SALES])
    event = ConversionEvent.objects.get(company=company)
    attempt = Attempt.objects.create(
        company=company, rule=rule, linkedin_id=rule.linkedin_id, api_version="202609", http_status=422,
        code=f"{mark}_CODE", message=f"{mark} refused",
    )  # fmt: skip
    ConversionEvent.objects.filter(pk=event.pk).update(
        message=f"{mark} refused",
        state="rejected",
        last_attempt=attempt,
        next_attempt_at=None,
    )
    test = ConversionEvent.objects.create(company=company, rule=rule, is_test=True)
    backfill = Backfill.objects.create(
        company=company,
        rule=rule,
        since=now() - timedelta(days=1),
        until=now(),
        planned={"goes": 1},
        made_by=owner,
    )
    invitation = Invitation.objects.create(
        company=company,
        email=f"{mark.lower()}-guest@example.com",
        role=Role.OPS,
        token_sha256=mark,
    )
    lead_import = LeadImport.objects.create(
        company=company, file_name=f"{mark}.csv", size=1, state="paused", step="checking", header=[f"{mark} name"],
        columns=["first_name"], row_count=1, planned={"new": 1},
    )  # fmt: skip
    LeadImportRow.objects.create(
        company=company,
        lead_import=lead_import,
        number=1,
        cells=[f"{mark} row"],
        outcome="new",
        lead=lead,
    )
    data_export = DataExport.objects.create(
        company=company,
        made_by=owner,
        kind="leads",
        format="csv",
        state="done",
        row_count=1,
        finished_at=now(),
    )
    of_key = DataExport.objects.create(
        company=company, api_key=ApiKey.objects.for_company(company).get(role=Role.SALES), kind="leads", format="csv",
        state="done", row_count=1, finished_at=now(),
    )  # fmt: skip
    for each in (data_export, of_key):
        ExportPart(company=company, data_export=each).write(f"{mark} row\n".encode())
    bulk_change = BulkChange.objects.create(
        company=company,
        made_by=owner,
        kind="add_tag",
        target=tag.pk,
        row_count=1,
        refusals={f"{mark} reason": 1},
    )
    BulkSelection.objects.create(
        company=company, bulk_change=bulk_change, keys=packed_keys([lead.pk])[0]
    )
    with acting_as(None, history_only=True):
        merged = Lead.objects.create(
            company=company, first_name=mark, last_name=f"{mark}ssen", merged_into=lead
        )
    merge = LeadMerge.objects.create(
        company=company, kept=lead, gone=merged, before={"title": f"{mark} seller", SHARING: True},
        written={"title": lead.title, SHARING: True},
    )  # fmt: skip
    pair = LeadDuplicate.objects.create(
        company=company, first=lead, second=merged, reason="name"
    )
    view = SavedView.objects.create(
        company=company, owner=owner, name=f"{mark} view", is_shared=True
    )
    intake_source = IntakeSource(company=company, name=f"{mark} form")
    add_source(source=intake_source)
    Payload.objects.create(
        company=company,
        source=intake_source,
        key=mark,
        body=f"email={mark.lower()}-form@example.com".encode(),
        outcome="added",
        made_id=lead.pk,
        ended_at=now(),
    )
    audit.record(
        company=company,
        action=AuditAction.RULE_CREATED,
        about=rule,
        actor=world.members[Role.ADMIN].user,
    )
    world.ids = {
        "lead": lead.pk, "deal": deal.pk, "rule": rule.pk, "event": event.pk, "test": test.pk,
        "key": ApiKey.objects.for_company(company)[0].pk, "member": world.members[Role.OPS].pk,
        "invitation": invitation.pk, "status": lead.status_id, "stage": deal.stage_id, "owner": owner.pk,
        "backfill": backfill.pk, "lead_import": lead_import.pk, "data_export": data_export.pk,
        "bulk_change": bulk_change.pk,
        "connection": Connection.objects.get(company=company).pk,
        "task": task.pk, "note": note.pk, "file": file.pk,
        "saved_view": view.pk, "tag": tag.pk, "field": custom_field.pk,
        # Each byte escaped: an answer that repeats its address does not tell the mark.
        "organisation": "".join(f"~{byte:02x}" for byte in lead.organisation.encode()),
        "intake_source": intake_source.pk,
        "lead_source": source.pk, "lead_type": LeadType.objects.for_company(company)[0].pk,
        "pipeline": pipeline.pk, "lost_reason": reason.pk, "lead_duplicate": pair.pk,
        "merge": merge.pk, "data_export of a key": of_key.pk,
    }  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """Someone who sends requests. `role` is None for those who have none."""

    name: str
    role: str | None
    is_key: bool = False
    cookies: tuple[tuple[str, str], ...] = ()
    key: str = ""

    def client(self) -> Client:
        """A new browser or script, as it was before its first request."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.is_key else {}
        client = Client(raise_request_exception=False, headers=headers)
        for name, value in self.cookies:
            client.cookies[name] = value
        return client


def everybody(world: World) -> list[Caller]:
    """Each role by session and by key, and callers who have no access."""
    found = [
        Caller(f"{role} by session", role, cookies=_session(world.members[role].user))
        for role in Role
    ]
    found += [
        Caller(f"{role} by key", role, is_key=True, key=world.keys[role])
        for role in Role
    ]
    found += [
        Caller("anonymous", None),
        Caller("unknown key", None, is_key=True, key="lm_nobody"),
    ]
    gone = join(
        world.company,
        Role.ADMIN,
        email=f"{world.mark.lower()}-gone@example.com",
        first_name=world.mark,
    )
    cookies = _session(gone.user)
    User.objects.filter(pk=gone.user_id).update(is_active=False)
    return [*found, Caller("inactive user", None, cookies=cookies)]


def _session(user: User) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, morsel.value) for name, morsel in client_of(user).cookies.items()
    )
