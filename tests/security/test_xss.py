"""S20: what anybody typed, and what LinkedIn answered, is text on every page and never code (in Chromium)."""

from collections import Counter
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin as operators
from django.contrib.admin.models import CHANGE, LogEntry
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.models import Attempt, ConversionEvent, ConversionRule
from crm.accounts import mails
from crm.models import (
    ApiKey,
    Attachment,
    Company,
    CustomField,
    Deal,
    DealPerson,
    Lead,
    LeadStatus,
    Membership,
    Note,
    Stage,
    Task,
)
from tests.conftest import TOKEN, sign_in, staff_client
from tests.crm.custom_values import make_field
from tests.security.xss import PAYLOADS
from tests.size import sized, sized_sample

pytestmark = pytest.mark.django_db(transaction=True)

# The operator's admin shows yes and no as pictures of its own.
COUNT_ELEMENTS = (
    'document.querySelectorAll(\'img:not([src^="/static/"]), iframe, object, embed, base, [onerror], [onload], '
    "[onclick]').length"
)
TYPED = PAYLOADS[:: sized(1, small=8)]  # every eighth in make test
MARKS = "[window.xss, document.querySelectorAll('[data-xss], xss').length]"


@pytest.fixture
def full(company: Company, admin: Membership) -> Company:
    """A company that has, in each of its texts, a payload that tries to run."""
    services.save_token(company=company, token=TOKEN)
    Company.objects.filter(pk=company.pk).update(name=PAYLOADS[0])
    for steps in (LeadStatus.objects, Stage.objects):
        for step, payload in zip(
            steps.for_company(company), PAYLOADS[1:], strict=False
        ):
            steps.filter(pk=step.pk).update(name=payload[:60])
    type(admin.user).objects.filter(pk=admin.user_id).update(
        first_name=PAYLOADS[2][:150], last_name=PAYLOADS[3][:150]
    )
    ApiKey.objects.issue(
        company=company, role="sales", name=PAYLOADS[4][:80], user=admin.user
    )
    rule = ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="1", name=PAYLOADS[5], paused_message=PAYLOADS[6],
        is_paused=True, paused_reason="rule_forbidden",
    )  # fmt: skip
    for payload, kind in zip(PAYLOADS, ("text", "long_text", "choice"), strict=False):
        for subject in ("lead", "deal"):
            options = {
                "subject": subject,
                "is_listed": True,
                "help_text": payload[:200],
            }
            make_field(
                company, payload[:60], kind, labels=[("", payload[:80])], **options
            )
    keys = (
        CustomField.objects.filter(subject="lead")
        .exclude(type="choice")
        .values_list("key", flat=True)
    )
    leads = [
        Lead.objects.create(
            company=company, first_name=payload[:120], last_name=payload[:120], phone=payload[:40], title=payload[:120],
            organisation=payload[:160], source=payload[:80], notes=payload, email=f"ada{at}@example.com",
            custom=dict.fromkeys(keys, payload[:200]),
        )
        for at, payload in enumerate(TYPED)
    ]  # fmt: skip
    Deal.objects.bulk_create(
        Deal(company=company, lead=lead, title=payload[:160], stage=Stage.objects.first_for(company, "open"))
        for lead, payload in zip(leads, TYPED, strict=True)
    )  # fmt: skip
    DealPerson.objects.bulk_create(
        DealPerson(company=company, deal=deal, lead=lead)
        for deal, lead in zip(
            Deal.objects.order_by("pk"), [*leads[1:], leads[0]], strict=True
        )
    )
    Task.objects.bulk_create(
        Task(company=company, title=payload[:160], deal=deal, owner=admin.user, due_on=timezone.localdate())
        for deal, payload in zip(Deal.objects.all(), TYPED, strict=True)
    )  # fmt: skip
    Note.objects.bulk_create(
        Note(company=company, lead=deal.lead, deal=deal, text=payload, actor=admin.user)
        for deal, payload in zip(
            Deal.objects.select_related("lead"), TYPED, strict=True
        )
    )
    Attachment.objects.bulk_create(
        Attachment(
            company=company,
            lead=lead,
            name=payload[:200],
            size=1,
            stored_as=str(lead.pk),
            actor=admin.user,
        )
        for lead, payload in zip(leads, TYPED, strict=True)
    )
    for event, payload in zip(
        ConversionEvent.objects.order_by("pk"), TYPED, strict=True
    ):
        attempt = Attempt.objects.create(
            company=company, rule=rule, linkedin_id="1", api_version="202609", http_status=422, code=payload[:80],
            message=payload,
        )  # fmt: skip
        ConversionEvent.objects.filter(pk=event.pk).update(
            message=payload,
            state="rejected",
            reason="refused",
            http_status=422,
            last_attempt=attempt,
            attempts=1,
        )
    return company


def addresses(company: Company) -> list[str]:
    leads, deals = (
        list(model.objects.for_company(company).order_by("pk"))
        for model in (Lead, Deal)
    )
    events = list(ConversionEvent.objects.for_company(company).order_by("pk"))
    return [
        "/dashboard/", "/my-day/", "/tasks/", "/tasks/new/", "/tasks/calendar/",
        "/leads/", "/leads/new/", "/deals/", "/deals/new/", "/integrations/linkedin/",
        "/integrations/linkedin/events/", "/integrations/linkedin/rules/new/", "/company/", "/company/people/",
        "/company/audit/", "/account/", "/api/v1/docs/", "/company/custom-fields/",
        *(f"/company/custom-fields/{field.pk}/edit/" for field in CustomField.objects.for_company(company)[:2]),
        *(rule.get_absolute_url() for rule in ConversionRule.objects.for_company(company)),
        *(f"/integrations/linkedin/rules/{rule.pk}/edit/" for rule in ConversionRule.objects.for_company(company)),
        *(row.get_absolute_url() for row in [*leads, *deals, *events]),
        *(f"/leads/{lead.pk}/{page}/" for lead in leads[:4] for page in ("edit", "delete", "erase")),
        *(f"/tasks/{task.pk}/{page}/" for task in Task.objects.all()[:4] for page in ("edit", "delete")),
        *(f"/notes/{note.pk}/{page}/" for note in Note.objects.all()[:4] for page in ("edit", "delete")),
        *(f"/files/{file.pk}/delete/" for file in Attachment.objects.for_company(company)[:4]),
        *(f"/deals/{deal.pk}/{page}/" for deal in deals[:4] for page in ("edit", "delete", "people")),
    ]  # fmt: skip


@pytest.mark.sized
@pytest.mark.timeout(600)
def test_no_text_runs_on_any_page(page: Any, admin: Membership, full: Company) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    sign_in(page, admin)

    for address in sized_sample(addresses(full), one_in=4):
        answer = page.goto(page.server_url + address)

        assert answer.status == 200, address
        assert page.evaluate(MARKS) == [None, 0], address
        assert page.evaluate(COUNT_ELEMENTS) == 0, address
    assert dialogs == []


def rows_in_the_admin() -> list[str]:
    """The list of each model in the operator's admin, and the pages of its first rows."""
    found = []
    for model in operators.site._registry:
        listed = reverse(
            f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        )
        pks = list(model._base_manager.order_by("pk").values_list("pk", flat=True)[:1])
        found += [
            listed,
            *(f"{listed}{pk}/{page}/" for pk in pks for page in ("change", "delete")),
        ]
    return [*found, reverse("admin:crm_lead_history", args=[Lead.objects.all()[0].pk])]


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_no_text_runs_in_the_operators_admin(page: Any, full: Company) -> None:
    operator = staff_client(first_name=PAYLOADS[7][:100], last_name=PAYLOADS[8][:100])
    LogEntry.objects.log_actions(
        operator.user.pk, list(Lead.objects.all()), CHANGE, change_message=PAYLOADS[0]
    )
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies(
        [{"name": name, "value": operator.cookies[name].value, "url": page.server_url}]
    )

    seen: Counter[str] = Counter()
    for address in ["/admin/", *rows_in_the_admin()]:
        if operator.get(address).status_code != 200:
            continue  # rows that can't be changed have no page for deleting them
        page.goto(page.server_url + address)

        seen[address.strip("/").split("/")[:3][-1]] += 1
        assert page.evaluate(MARKS) == [None, 0], address
        assert page.evaluate(COUNT_ELEMENTS) == 0, address
    assert (
        min(
            seen[kind]
            for kind in (
                "admin",
                "lead",
                "deal",
                "company",
                "conversionevent",
                "conversionrule",
            )
        )
        >= 1
    )
    assert sum(seen.values()) >= 30


def test_no_text_runs_in_any_mail(
    page: Any, client_as: Any, admin: Membership, full: Company
) -> None:
    """A part in plain text is no page; a part in HTML is opened in the browser, as in a mail program."""
    client = client_as(type(admin).objects.get(pk=admin.pk))
    client.post("/company/people/", {"email": "grace@example.com", "role": "sales"})
    Client().post("/password/reset/", {"email": admin.user.email})

    mails.send_due()

    assert len(mail.outbox) == 2
    assert any(PAYLOADS[0] in message.body for message in mail.outbox)
    for message in mail.outbox:
        assert message.content_subtype == "plain"
        assert "\n" not in message.subject
        for part in getattr(message, "alternatives", ()):
            page.set_content(part.content)
            assert page.evaluate(MARKS) == [None, 0], message.subject
            assert page.evaluate(COUNT_ELEMENTS) == 0, message.subject


@pytest.mark.sized
def test_what_a_form_gives_back_does_not_run_either(
    page: Any, admin: Membership, company: Company
) -> None:
    sign_in(page, admin)
    page.goto(page.server_url + "/leads/new/")

    for payload in TYPED:
        page.fill("[name=last_name]", payload[:100])
        page.fill("[name=email]", "no address " + payload[:60])
        with page.expect_navigation():
            page.press("[name=last_name]", "Enter")
        page.wait_for_selector("[aria-invalid=true]")

        assert page.evaluate(MARKS) == [None, 0], payload
        assert page.evaluate(COUNT_ELEMENTS) == 0, payload


def test_an_address_that_would_like_to_run_does_not(
    page: Any, admin: Membership, company: Company
) -> None:
    sign_in(page, admin)

    for payload in PAYLOADS[:8]:
        for path in (
            "/leads/?source=",
            "/leads/?sort=",
            "/integrations/linkedin/events/?state=",
        ):
            page.goto(page.server_url + path + payload.replace("#", "%23"))

            assert page.evaluate(MARKS) == [None, 0], path + payload
