"""A character in a name that reverses the direction of text reverses nothing around the name, on any page or mail."""

from html.parser import HTMLParser
from typing import Any

import pytest
from django.core import mail

from capi import services
from capi.models import ConversionEvent, ConversionRule
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
from tests.conftest import TOKEN, give_password, make_deal, make_lead, make_task
from tests.crm.custom_values import make_field

pytestmark = pytest.mark.django_db

TURN = "\u202e"
ITS_OWN = {"bdi", "textarea", "pre"}  # text in these reverses only itself
VOID = {"input", "meta", "link", "br", "hr", "img", "path", "circle", "rect"}


class Turned(HTMLParser):
    """Collects what would reverse more than itself: text outside of a <bdi>, and attributes that are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        # Their value is what was typed, or is sent.
        typed = tag in ("input", "button", "option")
        self.found += [
            f"<{tag} {name}={value!r}>"
            for name, value in attrs
            if TURN in (value or "") and not (typed and name == "value")
        ]

    def handle_endtag(self, tag: str) -> None:
        while tag in self.open and self.open.pop() != tag:
            pass

    def handle_data(self, text: str) -> None:
        if TURN in text and not ITS_OWN & set(self.open):
            self.found.append(f"<{self.open[-1]}>{text.strip()}")


def turned(html: str) -> list[str]:
    page = Turned()
    page.feed(html)
    return page.found


@pytest.fixture
def lead(company: Company, admin: Membership) -> Lead:
    """A lead with the character in each of its texts, like all names in the company."""
    services.save_token(company=company, token=TOKEN)
    Company.objects.filter(pk=company.pk).update(name=f"North{TURN}wind")
    for steps in (LeadStatus.objects, Stage.objects):
        for step in steps.for_company(company):
            steps.filter(pk=step.pk).update(name=f"{step.name}{TURN}")
    type(admin.user).objects.filter(pk=admin.user_id).update(
        first_name=f"Anna{TURN}", last_name="Jansen"
    )
    ApiKey.objects.issue(
        company=company, role="sales", name=f"Web{TURN}site", user=admin.user
    )
    for event in ("lead_created", "lead_qualified", "deal_created"):
        ConversionRule.objects.create(
            company=company, crm_event=event, linkedin_id="1", name=f"Sent{TURN}"
        )
    ConversionRule.objects.filter(crm_event="lead_qualified").update(
        is_paused=True, paused_reason="rule_forbidden"
    )
    for subject in ("lead", "deal"):
        options = {"subject": subject, "is_listed": True, "help_text": f"Ask{TURN}"}
        make_field(company, f"Nick{TURN}name", **options)
        make_field(
            company, f"Re{TURN}gion", "choices", labels=[("", f"EM{TURN}EA")], **options
        )
    values = {"nickname": f"Ada{TURN}", "region": ["emea"]}
    lead = make_lead(
        company, first_name=f"Ada{TURN}", last_name=f"{TURN}King", phone=f"+31{TURN} 20 555 0142", title=f"CTO{TURN}",
        custom=values, organisation=f"Acme{TURN}", source=f"Fair{TURN}", notes=f"Called.{TURN}", owner=admin.user,
    )  # fmt: skip
    deal = make_deal(
        lead, title=f"Forty{TURN} licences", owner=admin.user, custom=values
    )
    other = make_lead(
        company,
        first_name=f"Grace{TURN}",
        title=f"CFO{TURN}",
        email="grace@example.com",
    )
    DealPerson.objects.create(company=company, deal=deal, lead=other)
    for about in ({"lead": lead}, {"deal": deal}, {}):
        make_task(admin, title=f"Call{TURN} Ada", **about)
    Note.objects.create(
        company=company,
        lead=lead,
        deal=deal,
        text=f"Called{TURN} Ada.",
        actor=admin.user,
    )
    for about in ({"lead": lead}, {"lead": lead, "deal": deal}):
        name = f"Offer{TURN}.pdf"
        Attachment.objects.create(
            company=company,
            name=name,
            size=1,
            stored_as=str(about),
            actor=admin.user,
            **about,
        )
    return lead


def pages(lead: Lead) -> list[str]:
    deal, linkedin = Deal.objects.get(), "/integrations/linkedin/"
    rule, stage = ConversionRule.objects.all()[0], deal.stage
    return [
        "/dashboard/", "/my-day/", "/tasks/", "/tasks/new/", "/tasks/calendar/",
        "/leads/", "/leads/new/", "/deals/", f"/deals/list/?stage={stage.pk}", "/deals/forecast/", "/deals/funnel/",
        "/deals/new/",
        f"/deals/new/?lead={lead.pk}", f"/leads/status/?status={lead.status_id}&lead={lead.pk}",
        "/organisations/", *(f"{lead.organisation_url}{page}" for page in ("", "edit/", "rename/")),
        *(f"/leads/{lead.pk}/{page}" for page in ("", "edit/", "delete/", "erase/")),
        *(f"/tasks/{task.pk}/{page}/" for task in Task.objects.all() for page in ("edit", "delete")),
        *(f"/notes/{note.pk}/{page}/" for note in Note.objects.all() for page in ("edit", "delete")),
        *(f"/files/{file.pk}/delete/" for file in Attachment.objects.all()),
        *(f"/deals/{deal.pk}/{page}" for page in ("", "edit/", "delete/", "people/")),
        *(f"{linkedin}{page}/" for page in ("events", "overview", "reconcile", "alerts", "backfill", "token")),
        linkedin, f"{linkedin}rules/new/", f"{linkedin}dry-run/", f"{linkedin}dry-run/?lead={lead.pk}&rule={rule.pk}",
        f"{linkedin}backfill/plan/?rule={rule.pk}&period=30", f"{linkedin}events/retry/", f"{linkedin}events/cancel/",
        *(f"{rule.get_absolute_url()}{page}" for page in ("", "edit/", "delete/")),
        *(event.get_absolute_url() for event in ConversionEvent.objects.all()),
        "/company/", "/company/people/", "/company/audit/", "/account/", "/account/sessions/", "/api/v1/docs/",
        "/company/custom-fields/", "/company/custom-fields/new/",
        *(f"/company/custom-fields/{field.pk}/{page}/" for field in CustomField.objects.all()
          for page in ("edit", "delete")),
    ]  # fmt: skip


def test_no_name_turns_the_text_around_it_on_any_page(
    client_as: Any, admin: Membership, lead: Lead
) -> None:
    client = give_password(client_as(admin))
    client.post("/outcomes-column/", {"shown": "1"})

    for address in pages(lead):
        answer = client.get(address)

        assert answer.status_code == 200, address
        assert turned(answer.content.decode()) == [], address
    assert TURN in client.get("/leads/").content.decode()


def test_no_name_turns_the_message_about_a_change(
    client_as: Any, admin: Membership, lead: Lead
) -> None:
    client, deal = client_as(admin), Deal.objects.get()
    won, status = (
        Stage.objects.get(meaning="won"),
        LeadStatus.objects.get(meaning="unqualified"),
    )

    for address, change in (
        (f"/leads/{lead.pk}/status/", {"status": status.pk}),
        (f"/deals/{deal.pk}/move/", {"stage": won.pk}),
        (
            "/leads/new/",
            {
                "first_name": f"Ada{TURN}",
                "email": lead.email,
                "status": status.pk,
                "type": "person",
            },
        ),
        (f"{lead.organisation_url}rename/", {"name": f"Acme{TURN} Forty"}),
        (
            f"{lead.organisation_url}rename/",
            {"name": f"Acme{TURN} Forty", "lead_count": "1", "confirmed": "1"},
        ),
        (f"/deals/{deal.pk}/delete/", {}),
        (f"/leads/{lead.pk}/delete/", {}),
    ):
        answer = client.post(address, change, follow=True)

        assert "Ada" in answer.content.decode() or "Forty" in answer.content.decode(), (
            address
        )
        assert turned(answer.content.decode()) == [], address


def test_no_name_turns_a_mail(client_as: Any, admin: Membership, lead: Lead) -> None:
    client_as(admin).post(
        "/company/people/", {"email": "grace@example.com", "role": "sales"}
    )

    mails.send_due()

    [sent] = mail.outbox
    assert "Northwind" in sent.subject
    assert TURN not in sent.subject + sent.body


def test_it_is_noticed_where_it_would_turn_more_than_itself() -> None:
    assert turned(f"<p title='{TURN}'>a{TURN}<bdi>{TURN}</bdi><br>{TURN}</p>") == [
        f"<p title='{TURN}'>".replace("'" + TURN + "'", repr(TURN)), f"<p>a{TURN}", f"<p>{TURN}",
    ]  # fmt: skip
    assert turned(f"<input value='{TURN}'><textarea>{TURN}</textarea>") == []
