"""S37: a person whose texts are as awkward as possible goes through every door, is erased, and is found nowhere."""

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from capi.linkedin.identity import email_sha256
from crm.accounts.middleware import SEEN
from crm.models import (
    ApiKey,
    Attachment,
    BulkChange,
    CustomField,
    DataExport,
    Deal,
    Lead,
    LeadImport,
    LeadImportRow,
    LeadStatus,
    Membership,
    Note,
    SavedView,
    Stage,
    Task,
)
from crm.services import lead_imports
from crm.services.custom_fields import add_field
from crm.services.editing import move_deal
from crm.services.lead_merges import merge_leads
from tests.capi.conftest import send_all
from tests.conftest import client_of, give_password, staff_client
from tests.crm.data_exchange.importing.uploading import run, work_on
from tests.privacy.leftovers import everything, found

pytestmark = pytest.mark.django_db(transaction=True)

# Quotes, backslashes, composed and decomposed umlauts, emoji, a formula, right-to-left text, and wildcards of LIKE.
HEBREW, ARABIC = "\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627"
PERSON = {
    "first_name": f'=Zo\u00eb "Qanfirst" {HEBREW}',
    "last_name": "O\\Qanlast%_ Mu\u0308ller\u2019s \U0001f98a",
    "email": "qan.address+x_y%z@quistgaard.example",
    "phone": "+31 (6) 5550-77001",
    "organisation": f'Qanworks & S\u00f8ns <{ARABIC}> "Ltd"',
    "title": "Head of 'Qantitle' \\ 100%",
    "source": "Qansource: fair, \u201eGhent\u201c + Co",
    "notes": f'Qanbackground \\"quoted\\"\nsecond line\t{HEBREW} \U0001f468\u200d\U0001f469 {{json: "x"}}',
}
TEXTS = {
    "deal": f'Qandeal for "Zo\u00eb" {ARABIC} \\ %_',
    "outcome": "Qanoutcome \u201cprice\u201d \\n",
    "task": 'Call Qantask \\ "Zo\u00eb" \U0001f4de',
    "note": f'Qannote "said" \\ {HEBREW}\nQansecondline',
    "call": "Qancall =1+1",
    "file": 'Qanfile "M\u00fcller" %.txt',
    "content": "Qancontent of the file",
    "custom": 'Qancustom \\ "value" %_',
    "deal_custom": "Qandealcustom =SUM(A1)",
    "search": "Qansearch",
    "typed": 'Qantyped "\\ u\u0308',
    "cell": 'Qancell \\ "unmapped"',
    "merged": 'Qanmerged "Doe"',
    "industry": "Qanindustry of one",
    "organisation_notes": 'Qanorganisation_notes "of" \\ one',
}
CORES = [
    "qanfirst", "qanlast", "qan.address", "55507700", "qanworks", "qantitle", "qansource", "qanbackground",
    "qansecondline", *(f"qan{name}" for name in TEXTS if name not in ("content", "deal_custom", "cell", "outcome")),
    "qancontent", "qandealcustom", "qancell", "qanoutcome", HEBREW, ARABIC,
]  # fmt: skip


STORED_IN = {
    "capi_attempt", "crm_attachment", "crm_deal", "crm_exportpart", "crm_lead", "crm_leadimport", "crm_leadimportfile",
    "crm_leadimportrow", "crm_leadmerge", "crm_leadsearch", "crm_note", "crm_organisationdetails", "crm_savedview",
    "crm_task", "crm_typedform", "django_admin_log", "file ledger.jsonl",
}  # fmt: skip


def needles() -> list[str]:
    """The texts as they are, the distinctive part of each, and the hash of the address."""
    return [*PERSON.values(), *TEXTS.values(), *CORES, email_sha256(PERSON["email"])]


@dataclass
class Doors:
    """Everyone who enters something about the person, and the person's lead."""

    admin: Membership
    client: Client
    script: APIClient
    lead: Lead

    @property
    def page(self) -> str:
        return f"/leads/{self.lead.pk}/"


@pytest.fixture
def doors(
    company: Any,
    admin: Membership,
    connected: Any,
    make_rule: Any,
    sandbox: Any,
    settings: Any,
) -> Doors:
    settings.LINKEDIN_SANDBOX_LEDGER = sandbox.ledger.path
    make_rule()
    make_rule("deal_created", linkedin_id="422422")
    make_rule("lead_qualified")
    for subject in ("lead", "deal"):
        add_field(
            field=CustomField(
                company=company, subject=subject, name=f"Text of {subject}", type="text"
            )
        )
    _, key = ApiKey.objects.issue(company=company, role="admin", name="Website form")
    script = APIClient()
    script.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    body = {**PERSON, "custom": {"text_of_lead": TEXTS["custom"]}}
    answers = [
        script.post(
            "/api/v1/leads/", body, headers={"Idempotency-Key": PERSON["email"]}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].json()
    return Doors(
        admin, give_password(client_of(admin.user)), script, Lead.objects.get()
    )


def enter_deals_and_history(doors: Doors) -> None:
    client, page = doors.client, doors.page
    deal = {
        "title": TEXTS["deal"],
        "amount": "5",
        "currency": "EUR",
        "custom_text_of_deal": TEXTS["deal_custom"],
    }
    stages = Stage.objects.for_company(doors.admin.company)
    client.post(
        f"/deals/new/?lead={doors.lead.pk}",
        {**deal, "stage": stages.get(name="Discovery").pk},
    )
    own = Deal.objects.get()
    move_deal(deal=own, stage=stages.get(name="Lost"), outcome_note=TEXTS["outcome"])
    for address in (f"{page}notes/", f"/deals/{own.pk}/notes/"):
        client.post(address, {"text": TEXTS["note"], "kind": "note"})
        client.post(address, {"text": TEXTS["call"], "kind": "call"})
    for address in (f"{page}files/", f"/deals/{own.pk}/files/"):
        client.post(
            address,
            {"file": SimpleUploadedFile(TEXTS["file"], TEXTS["content"].encode())},
        )
    day = timezone.localdate().isoformat()
    for subject in (f"lead={doors.lead.pk}", f"deal={own.pk}"):
        task = {"title": TEXTS["task"], "kind": "call", "due_on": day, "due_time": "23:59", "reminder": "on",
                "owner": doors.admin.user_id}  # fmt: skip
        client.post(f"/tasks/new/?{subject}", task)
    assert [each.objects.count() for each in (Note, Attachment, Task)] == [4, 2, 2]
    assert TEXTS["outcome"] in Deal.objects.values_list("outcome_note", flat=True)


def table(*rows: list[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def upload(doors: Doors, content: bytes, name: str) -> LeadImport:
    file = SimpleUploadedFile(name, content, content_type="text/csv")
    doors.client.post("/leads/import/", {"file": file})
    return LeadImport.objects.latest("pk")


def import_them(doors: Doors) -> None:
    """Files whose names, columns and rows have the person: run, not started, failed, and not yet read."""
    header = ["First name", "Last name", "E-mail", "Phone", "Company", "Remarks"]
    name = [PERSON["first_name"], PERSON["last_name"]]
    decomposed = [
        each.replace("\u00eb", "e\u0308").replace("u\u0308", "\u00fc") for each in name
    ]
    rows = [
        [
            *name,
            PERSON["email"],
            PERSON["phone"],
            PERSON["organisation"],
            TEXTS["cell"],
        ],
        [*name, PERSON["email"].upper(), "", "", TEXTS["cell"]],
        [*name, "", PERSON["phone"], "", TEXTS["cell"]],
        [*decomposed, "", "", "", TEXTS["cell"]],
        [*map(str.upper, name), "no address", "", "", TEXTS["cell"]],
        ["", "", PERSON["email"], "", "", TEXTS["cell"]],
        ["", " ".join(name), "", "", "", TEXTS["cell"]],
        ["Grace", "Hopper", "grace@example.com", "", "", "of someone else"],
    ]
    run(
        work_on(upload(doors, table(header, *rows), f"{name[0]} {name[1]}.csv")),
        doors.admin,
    )
    work_on(
        upload(
            doors,
            table([*header[:-1], f"{name[0]} {name[1]}"], *rows),
            "leads of qanlast.csv",
        )
    )
    work_on(upload(doors, table(rows[0], *rows[1:]), "no header.csv"))
    work_on(upload(doors, b"\0" + table(header), f"{PERSON['email']}.csv"))
    large = SimpleUploadedFile("qanfirst.csv", table(header, *rows * 800))
    lead_imports.store(company=doors.admin.company, file=large, actor=doors.admin.user)
    assert set(LeadImport.objects.values_list("state", flat=True)) == {
        "done",
        "paused",
        "failed",
        "waiting",
    }


def use_everything_else(doors: Doors) -> None:
    client, lead, company = doors.client, doors.lead, doors.admin.company
    for address in (
        "/leads/",
        "/deals/",
        "/deals/list/",
        "/organisations/",
        "/integrations/linkedin/events/",
        "/find/",
    ):
        for text in (TEXTS["search"], PERSON["email"], PERSON["last_name"]):
            client.post(address, {"search": text}, follow=True)
    client.post(
        "/views/leads/new/", {"name": "Mine"}, query_params={"source": PERSON["source"]}
    )
    for page in (
        "/leads/export/",
        "/deals/export/",
        "/tasks/export/",
        "/exports/organisations/",
    ):
        client.post(
            page, {"format": "xlsx" if "leads" in page else "csv", "columns": "all"}
        )
    details = {"industry": TEXTS["industry"], "notes": TEXTS["organisation_notes"]}
    client.post(f"{lead.organisation_url}edit/", details)
    client.post("/company/export/")
    tagged = {"lead": [lead.pk], "kind": "owner", "owner": doors.admin.user_id}
    client.post("/leads/owner/", tagged)
    merged = Lead.objects.create(
        company=company,
        first_name=TEXTS["merged"],
        title="Other",
        email=PERSON["email"],
    )
    merge_leads(kept=lead, gone=merged, taken=["title"])
    qualified = LeadStatus.objects.get(company=company, name="Qualified")
    client.post(f"/leads/{lead.pk}/status/", {"status": qualified.pk})
    staff = staff_client()
    form = staff.get(f"/admin/crm/lead/{lead.pk}/change/").context["adminform"].form
    values = {
        name: form[name].value()
        for name in form.fields
        if form[name].value() not in (None, False)
    }
    staff.post(
        f"/admin/crm/lead/{lead.pk}/change/", {**values, "notes": PERSON["notes"] + "."}
    )
    assert LogEntry.objects.exists()
    assert SavedView.objects.exists()
    assert DataExport.objects.count() == 5
    assert BulkChange.objects.exists() or lead.owner_id is None


def type_too_late(doors: Doors) -> None:
    """Forms that were submitted after their session had ended; one of them is the operator's."""
    for address in (
        "/leads/new/",
        f"{doors.page}edit/",
        f"/admin/crm/lead/{doors.lead.pk}/change/",
    ):
        client = client_of(doors.admin.user)
        session = client.session
        session[SEEN] = int(time.time()) - settings.SESSION_IDLE_SECONDS - 60
        session.save()
        client.post(address, {**PERSON, "notes": TEXTS["typed"]})


def leave_messages_unread(doors: Doors) -> None:
    """Messages wait for the next page, in a cookie as long as they fit."""
    for status in LeadStatus.objects.for_company(doors.admin.company).exclude(
        meaning="qualified"
    )[:4]:
        doors.client.post(f"{doors.page}status/", {"status": status.pk})


@pytest.fixture
def known(doors: Doors) -> Iterator[Doors]:
    enter_deals_and_history(doors)
    send_all(doors.admin.company)
    import_them(doors)
    use_everything_else(doors)
    leave_messages_unread(doors)
    type_too_late(doors)
    return doors


@pytest.fixture
def folders(own_folder: Path, sandbox: Any) -> list[Path]:
    return [own_folder, sandbox.ledger.path.parent]


def erase_all(known: Doors) -> Any:
    """Erase the lead, and the other leads that the page shows: files may have added some with another spelling."""
    page = f"{known.page}erase/"
    also = [each.lead.pk for each in known.client.get(page).context["form"].namesakes]
    return known.client.post(page, {"name": str(known.lead), "also": also}, follow=True)


@pytest.mark.covers("S37")
def test_a_person_who_was_everywhere_is_nowhere(
    known: Doors, folders: list[Path]
) -> None:
    before = found(needles(), everything(*folders))
    assert {core for hits in before.values() for core in hits} >= set(CORES)
    assert before.keys() >= STORED_IN

    answer = erase_all(known)

    assert "erased. The audit log keeps a receipt" in answer.text
    assert found(needles(), everything(*folders)) == {}


def test_others_in_the_same_files_stay(known: Doors) -> None:
    erase_all(known)

    cells = LeadImportRow.objects.filter(
        lead_import__state__in=("done", "paused")
    ).exclude(cells=[])
    assert [row.cells[0] for row in cells] == ["Grace"] * 3
