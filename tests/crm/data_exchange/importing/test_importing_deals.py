"""An import of deals: their leads, what is added, filled and refused, when they were won, and undoing it."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from capi.models import ConversionEvent
from crm.models import (
    Change,
    Company,
    CrmEvent,
    Deal,
    DealTag,
    Lead,
    LeadImportRow,
    LostReason,
    Membership,
    Note,
    Pipeline,
    Tag,
)
from crm.models.job import JobState
from crm.models.steps import add_usual_stages
from crm.selectors.lead_imports import conversions
from crm.services import lead_imports
from crm.services.erasure import erase_lead
from tests.conftest import make_deal, make_lead
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.uploading import run, undo, upload

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "Deal,E-mail,Amount,Currency,Stage,Expected close"


@pytest.fixture
def ada(sales: Membership) -> Lead:
    return make_lead(
        sales.company,
        first_name="Ada",
        last_name="Smit",
        email="ada@example.com",
        organisation="Orchard",
    )


def days_ago(days: int, member: Membership) -> date:
    zone = ZoneInfo(member.company.time_zone)
    return timezone.localdate(timezone=zone) - timedelta(days=days)


def test_a_file_of_deals_is_recognised_and_imported(
    sales: Membership, ada: Lead
) -> None:
    LostReason.objects.create(company=sales.company, name="Price")
    make_field(sales.company, "Seats", "number", subject="deal")
    checked = upload(
        sales,
        "Deal;Lead number;Amount;Currency;Pipeline;Stage;Owner;Closing date;Lost reason;Tags;Seats\n"
        f"Fleet;{ada.pk};1.200,50;EUR;Sales;Lost;{sales.user.email};2026-03-31;Price;VIP;12,5\n"
        f"Vans;{ada.pk};12.500,00;USD;;Proposal;;31.12.2027;Price;;\n",
    )

    assert checked.subject == "deal"
    assert not Deal.objects.exists()
    run(checked, sales)

    fleet, vans = Deal.objects.order_by("pk")
    assert (fleet.title, fleet.lead, fleet.amount) == ("Fleet", ada, Decimal("1200.50"))
    assert (fleet.currency, fleet.stage.name, fleet.owner) == (
        "EUR",
        "Lost",
        sales.user,
    )
    assert fleet.lost_reason is not None
    assert fleet.lost_reason.name == "Price"
    assert fleet.expected_close == date(2026, 3, 31)
    assert fleet.custom == {"seats": "12.5"}
    assert (vans.amount, vans.currency) == (Decimal(12500), "USD")
    assert (vans.stage.name, vans.owner, vans.lost_reason) == ("Proposal", None, None)
    assert vans.expected_close == date(2027, 12, 31)


LEADS = (
    ("number", "Lead number", "{pk}", "Ada"),
    ("address in capitals", "E-mail", "ADA@example.com", "Ada"),
    ("whole name and organisation", "Lead,Company", "Ada Smit,orchard", "Ada"),
    ("parts of a name", "First name,Last name,Company", "ada,SMIT,Orchard", "Ada"),
    ("no lead of this number", "Lead number", "987654321", "lead_unknown"),
    ("no number", "Lead number", "A-1", "not_a_row_number"),
    ("unknown address", "E-mail", "eve@example.com", "lead_unknown"),
    ("name in another organisation", "Lead,Company", "Ada Smit,Else", "lead_unknown"),
    ("name of several", "Lead,Company", "Bob Berg,Twins", "lead_ambiguous"),
    ("address of several", "E-mail", "bob@example.com", "lead_ambiguous"),
    ("number of another list", "Lead number,E-mail", "{pk},tom@example.com", "Tom"),
    ("nothing", "Lead number", "", "lead_unknown"),
)


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [each[1:] for each in LEADS],
    ids=[each[0] for each in LEADS],
)
def test_a_row_finds_its_lead_or_says_why_not(
    sales: Membership, ada: Lead, header: str, cells: str, expected: str
) -> None:
    make_lead(sales.company, first_name="Tom", email="tom@example.com")
    for _ in range(2):
        make_lead(
            sales.company,
            first_name="Bob",
            last_name="Berg",
            email="bob@example.com",
            organisation="Twins",
        )

    checked = upload(sales, f"Deal,{header}\nFleet,{cells.format(pk=ada.pk)}\n")

    row = LeadImportRow.objects.get()
    run(checked, sales)
    found = Deal.objects.values_list("lead__first_name", flat=True)
    assert [*found] == ([expected] if not row.problem else [])
    assert row.problem == ("" if found else expected)


def test_a_lead_of_another_company_is_not_found(
    sales: Membership, other_company: Company
) -> None:
    foreign = make_lead(other_company, email="eve@example.com")

    checked = upload(
        sales, f"Deal,Lead number,E-mail\nA,{foreign.pk},\nB,,eve@example.com\n"
    )
    run(checked, sales)

    assert checked.planned["bad"] == 2
    assert not Deal.objects.exists()


def test_a_second_import_fills_empty_fields_and_adds_no_deal(
    sales: Membership, ada: Lead
) -> None:
    deal = make_deal(ada, title="Fleet", amount=None, currency="EUR")
    text = f"{HEADER},Tags\nFLEET,ada@example.com,100,EUR,Won,2026-05-05,VIP\n"
    Tag.objects.create(company=sales.company, name="VIP")

    done = run(upload(sales, text), sales)

    deal.refresh_from_db()
    assert done.done["update"] == 1
    assert (deal.amount, deal.expected_close) == (Decimal(100), date(2026, 5, 5))
    assert deal.stage.meaning == "open"
    assert [tag.name for tag in deal.tags.all()] == ["VIP"]
    again = upload(sales, text.replace("100", "999"))
    assert again.planned == {"duplicate": 1}
    undo(done, sales)
    deal.refresh_from_db()
    assert (deal.amount, deal.expected_close) == (None, None)
    assert not DealTag.objects.exists()


def test_an_amount_in_another_currency_is_not_filled(
    sales: Membership, ada: Lead
) -> None:
    make_deal(ada, title="Fleet", amount=None, currency="EUR")

    checked = upload(sales, f"{HEADER}\nFleet,ada@example.com,100,USD,,\n")

    assert checked.planned == {"duplicate": 1}


def test_two_deals_with_numbers_may_have_one_title(
    sales: Membership, ada: Lead
) -> None:
    text = "Deal number,Deal,E-mail\n" + "".join(
        f"{number},Renewal,ada@example.com\n" for number in (91, 92, 92)
    )

    done = run(upload(sales, text), sales)

    assert (done.done["new"], done.done["duplicate"]) == (2, 1)
    assert Deal.objects.count() == 2


# One of the two always has another date than UTC.
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_today_is_that_of_the_company(sales: Membership, ada: Lead, zone: str) -> None:
    Company.objects.update(time_zone=zone)
    sales.company.refresh_from_db()
    today, tomorrow = days_ago(0, sales), days_ago(-1, sales)

    checked = upload(
        sales,
        f"Deal,E-mail,Created\nA,ada@example.com,{today}\nB,ada@example.com,{tomorrow}\n",
    )

    problems = {key for key in checked.planned if key.startswith("cell")}
    assert problems == {"cell:2:date_impossible"}
    assert checked.planned["cell:2:date_impossible"] == 1


def test_impossible_cells_are_left_out_and_listed(sales: Membership, ada: Lead) -> None:
    tomorrow = days_ago(-1, sales)
    checked = upload(
        sales,
        f"{HEADER},Pipeline,Owner,Lost reason,Created\n"
        f"A,ada@example.com,-5,XXX,No stage,1899-01-01,None,Nobody,Weather,{tomorrow}\n"
        "B,ada@example.com,5e14,,,,,,,\n",
    )

    run(checked, sales)

    problems = {row.number: row.cell_problems for row in LeadImportRow.objects.all()}
    assert problems == {
        2: {
            "2": "amount_impossible", "3": "not_a_currency", "4": "stage_unknown", "5": "date_impossible",
            "6": "pipeline_unknown", "7": "owner_unknown", "8": "reason_unknown", "9": "date_impossible",
        },
        3: {"2": "not_a_number"},
    }  # fmt: skip
    assert [*Deal.objects.order_by("pk").values_list("title", "amount")] == [
        ("A", None),
        ("B", None),
    ]


def test_a_stage_is_one_of_its_pipeline(sales: Membership, ada: Lead) -> None:
    renewals = Pipeline.objects.create(company=sales.company, name="Renewals")
    add_usual_stages(renewals)
    renewals.stages.filter(name="Proposal").update(name="Quote")
    text = (
        "Deal,E-mail,Pipeline,Stage\nA,ada@example.com,Renewals,Negotiation\n"
        "B,ada@example.com,,Negotiation\nC,ada@example.com,,Quote\n"
        "D,ada@example.com,Renewals,Proposal\nE,ada@example.com,Renewals,\n"
    )

    run(upload(sales, text), sales)

    stages = Deal.objects.order_by("pk").values_list(
        "stage__pipeline__name", "stage__name"
    )
    assert [*stages] == [
        ("Renewals", "Negotiation"), ("Sales", "Negotiation"), ("Renewals", "Quote"),
        ("Renewals", "Discovery"), ("Renewals", "Discovery"),
    ]  # fmt: skip
    assert LeadImportRow.objects.get(number=5).cell_problems == {"3": "stage_unknown"}


def test_nothing_is_sent_unless_someone_asks_for_it(
    sales: Membership, ada: Lead, make_rule: Any, token: Any
) -> None:
    make_rule("deal_won")

    run(upload(sales, f"{HEADER}\nFleet,ada@example.com,5,EUR,Won,\n"), sales)

    assert [*CrmEvent.objects.filter(deal__isnull=False).order_by("pk").values_list("kind", "history_only")] == [
        ("deal_created", True), ("deal_won", True)
    ]  # fmt: skip
    assert not ConversionEvent.objects.exists()


def test_deals_of_the_past_are_sent_as_of_their_day(
    sales: Membership, ada: Lead, make_rule: Any, token: Any
) -> None:
    make_rule("deal_won")
    recent, old = days_ago(30, sales), days_ago(120, sales)
    checked = upload(
        sales,
        "Deal,E-mail,Amount,Stage,Created,Closed\n"
        f"A,ada@example.com,5,Won,{old},{recent}\nB,ada@example.com,6,Won,{old},{old}\n"
        "C,ada@example.com,7,Won,,\n",
    )
    expected = conversions(checked)
    assert (expected.count, expected.too_old) == (2, 1)

    run(checked, sales, tells_platforms=True)

    zone = ZoneInfo(sales.company.time_zone)
    events = CrmEvent.objects.filter(deal__isnull=False).order_by("deal_id", "pk")
    found = [(each.kind, each.occurred_at.astimezone(zone).date()) for each in events]
    today = days_ago(0, sales)
    assert found == [
        ("deal_created", old), ("deal_won", recent), ("deal_created", old), ("deal_won", old),
        ("deal_created", today), ("deal_won", today),
    ]  # fmt: skip
    sent = ConversionEvent.objects.order_by("deal_id")
    assert [each.state for each in sent] == ["pending", "expired", "pending"]
    assert sent[0].happened_at.astimezone(zone).date() == recent
    assert Deal.objects.earliest("pk").created_at.astimezone(zone).date() == old


def test_undoing_removes_the_deals_that_no_one_has_touched(
    sales: Membership, ada: Lead, make_rule: Any, token: Any
) -> None:
    make_rule("deal_created")
    text = f"{HEADER},Created\n" + "".join(
        f"{title},ada@example.com,,,,,{days_ago(9, sales)}\n" for title in "ABCD"
    )
    done = run(upload(sales, text), sales, tells_platforms=True)
    assert ConversionEvent.objects.filter(state="pending").count() == 4
    deals = {deal.title: deal for deal in Deal.objects.all()}
    Note.objects.create(company=sales.company, lead=ada, deal=deals["B"], text="Hi")
    deals["C"].title = "Changed"
    deals["C"].save()
    deals["D"].amount = Decimal(3)
    deals["D"].save()

    undone = undo(done, sales)

    assert undone.was_undone
    assert sorted(Deal.objects.values_list("title", flat=True)) == ["B", "Changed", "D"]
    assert [*LeadImportRow.objects.order_by("number").values_list("undo", flat=True)] == [
        "removed", "kept", "kept", "kept"
    ]  # fmt: skip
    assert ConversionEvent.objects.filter(state="pending").count() == 3
    assert (
        CrmEvent.objects.filter(
            deal=None, kind="deal_created", taken_back_at=None
        ).count()
        == 0
    )


def test_erasing_a_person_empties_the_rows_of_their_deals(
    sales: Membership, ada: Lead
) -> None:
    make_lead(sales.company, email="tom@example.com")
    text = f"Deal,Lead number,E-mail\nSecret,{ada.pk},\nOther,,tom@example.com\n"
    run(upload(sales, text), sales)

    erase_lead(lead=ada)

    cells = dict(LeadImportRow.objects.values_list("number", "cells"))
    assert cells == {2: [], 3: ["Other", "", "tom@example.com"]}
    assert not Deal.objects.filter(title="Secret").exists()


def test_someone_may_say_what_a_file_holds(sales: Membership, ada: Lead) -> None:
    checked = upload(sales, "Name,E-mail,Amount\nFleet,ada@example.com,5\n")
    assert (checked.subject, checked.planned) == ("lead", {"duplicate": 1})

    changed = lead_imports.choose_subject(lead_import=checked, subject="deal")

    assert (changed.subject, changed.state) == ("deal", JobState.PAUSED)
    assert changed.columns == ["deal_title", "lead_email", "amount"]
    run(changed, sales)
    assert Deal.objects.get().title == "Fleet"
    assert not Change.objects.exists()


def test_the_statements_of_an_import_do_not_grow_with_its_rows(
    sales: Membership, ada: Lead
) -> None:
    def statements(titles: str) -> int:
        lines = "".join(
            f"{title},ada@example.com,5,,Won,2026-01-05\n" for title in titles
        )
        with CaptureQueriesContext(connection) as captured:
            run(upload(sales, f"{HEADER}\n{lines}"), sales)
        return len(captured)

    statements("A")
    assert statements("BC") == statements("DEFGHIJKLM")


EXPORTS = {
    "HubSpot": {
        "Record ID": "",
        "Deal Name": "deal_title",
        "Deal Stage": "stage",
        "Pipeline": "pipeline",
        "Amount": "amount",
        "Currency": "currency",
        "Close Date": "expected_close",
        "Create Date": "created",
        "Deal owner": "owner",
        "Closed Lost Reason": "lost_reason",
        "Closed Won Reason": "outcome_note",
        "Associated Contact": "lead_full_name",
        "Associated Company": "lead_organisation",
    },
    "Pipedrive": {
        "Deal - Title": "deal_title",
        "Deal - Value": "amount",
        "Deal - Currency": "currency",
        "Deal - Organization": "lead_organisation",
        "Deal - Contact person": "lead_full_name",
        "Deal - Pipeline": "pipeline",
        "Deal - Stage": "stage",
        "Deal - Owner": "owner",
        "Deal - Label": "tags",
        "Deal - Deal created": "created",
        "Deal - Deal closed on": "closed",
        "Deal - Expected close date": "expected_close",
        "Deal - Lost reason": "lost_reason",
        "Deal - ID": "deal_number",
    },
    "Salesforce": {
        "Opportunity Name": "deal_title",
        "Opportunity Owner": "owner",
        "Account Name": "lead_organisation",
        "Primary Contact": "lead_full_name",
        "Stage": "stage",
        "Amount": "amount",
        "Close Date": "expected_close",
        "Created Date": "created",
        "Probability (%)": "",
    },
    "Zoho": {
        "Record Id": "",
        "Deal Name": "deal_title",
        "Account Name": "lead_organisation",
        "Contact Name": "lead_full_name",
        "Deal Owner": "owner",
        "Amount": "amount",
        "Closing Date": "expected_close",
        "Pipeline": "pipeline",
        "Stage": "stage",
        "Reason For Loss": "lost_reason",
        "Created Time": "created",
    },
    "Attio": {
        "Name": "deal_title",
        "Deal stage": "stage",
        "Deal owner": "owner",
        "Deal value": "amount",
        "Associated people": "lead_full_name",
        "Associated company": "lead_organisation",
    },
}


@pytest.mark.parametrize("program", EXPORTS)
def test_the_names_of_deals_in_other_crms_are_known(
    sales: Membership, program: str
) -> None:
    names = EXPORTS[program]
    cells = ["2026-03-31" if "Date" in name else "x" for name in names]

    checked = upload(sales, f"{','.join(names)}\n{','.join(cells)}\n")
    if "Name" not in names:  # which may be that of a lead
        assert checked.subject == "deal"
    chosen = lead_imports.choose_subject(lead_import=checked, subject="deal")

    assert chosen.columns == [*names.values()]
