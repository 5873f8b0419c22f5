"""Adding and editing a deal, and what is refused."""

from decimal import Decimal

import pytest

from crm.models import CrmEvent, Deal, Stage
from crm.services.picklists import archive_entry
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


def filled_in(company, **fields):
    stage = Stage.objects.for_company(company).first()
    return {
        "title": "Forty licences",
        "amount": "1250",
        "currency": "EUR",
        "stage": stage.pk,
        **fields,
    }


def test_a_deal_begins_with_the_choice_of_a_lead(client_as, sales, company):
    grace = make_lead(company, first_name="Grace", email="grace@example.com")
    make_lead(company)
    client = client_as(sales)

    everyone = client.get("/deals/new/").context["leads"]
    found = client.post("/deals/new/", {"search": "grace"})

    assert [lead.name for lead in everyone] == ["Ada", "Grace"]
    assert [lead.name for lead in found.context["leads"]] == ["Grace"]
    assert f'href="/deals/new/?lead={grace.pk}"' in found.content.decode()


def test_a_deal_is_added_to_its_lead(client_as, sales, company):
    lead = make_lead(company)

    response = client_as(sales).post(
        f"/deals/new/?lead={lead.pk}", filled_in(company, expected_close="2026-12-31")
    )

    deal = Deal.objects.get()
    assert response.url == f"/deals/{deal.pk}/"
    assert (deal.company, deal.lead, deal.amount, str(deal.expected_close)) == (
        company,
        lead,
        Decimal("1250.00"),
        "2026-12-31",
    )
    assert (
        CrmEvent.objects.filter(
            kind="deal_created", deal=deal, lead=lead, actor=sales.user
        ).count()
        == 1
    )


def test_the_form_begins_with_the_companys_currency_and_first_open_stage(
    client_as, sales, company
):
    company.currency = "SEK"
    company.save()
    lead = make_lead(company)

    form = client_as(sales).get(f"/deals/new/?lead={lead.pk}").context["form"]

    assert form["currency"].value() == "SEK"
    assert (
        form["stage"].value()
        == Stage.objects.for_company(company).get(name="Discovery").pk
    )


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("25,000.00", "25000"),
        ("1,250,000.50", "1250000.50"),
        ("€ 25 000", "25000"),
        ("1999,50", "1999.50"),
        ("1.999,50", "1999.50"),
        ("0", "0"),
    ],
)
def test_an_amount_is_read_as_people_type_it(client_as, sales, company, typed, amount):
    lead = make_lead(company)

    client_as(sales).post(
        f"/deals/new/?lead={lead.pk}", filled_in(company, amount=typed)
    )

    assert Deal.objects.get().amount == Decimal(amount)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount": "25.000"}, "Do you mean 25,000 or 25? Write 25000 or 25."),
        ({"amount": "25,00,0"}, "Enter a number, such as 25000 or 1999.50."),
        ({"amount": "-1"}, "Enter an amount of zero or more."),
        ({"amount": "9" * 20}, "Enter at most 12 digits before the decimal point."),
        ({"amount": "9" * 13}, "Enter at most 12 digits before the decimal point."),
        ({"amount": "12.345"}, "Do you mean 12,345? Write 12345."),
        ({"amount": "12.3456"}, "Enter at most 2 digits after the decimal point."),
        ({"amount": "many"}, "Enter a number, such as 25000 or 1999.50."),
        ({"amount": "NaN"}, "Enter a number, such as 25000 or 1999.50."),
        ({"amount": "1\x00"}, "Enter a number, such as 25000 or 1999.50."),
        (
            {"currency": "XXX"},
            "Unknown currency. Use a three-letter code such as EUR, USD or GBP.",
        ),
        ({"currency": ""}, "This field is required."),
        ({"title": ""}, "This field is required."),
        ({"title": "Forty\x00"}, "Null characters are not allowed."),
        ({"expected_close": "tomorrow"}, "Enter a valid date."),
        ({"expected_close": "3/4/2027"}, "Enter a valid date."),
        ({"expected_close": "0001-01-01"}, "Enter a date in 2000 or later."),
        ({"expected_close": "1999-12-31"}, "Enter a date in 2000 or later."),
    ],
)
def test_bad_input_gets_a_clear_message_and_writes_nothing(
    client_as, sales, company, fields, message
):
    lead = make_lead(company)

    response = client_as(sales).post(
        f"/deals/new/?lead={lead.pk}", filled_in(company, **fields)
    )

    text = response.content.decode()
    assert "Nothing was saved. Please check:" in text
    assert message in text
    assert not Deal.objects.exists()
    assert not CrmEvent.objects.filter(kind="deal_created").exists()


def test_a_stage_of_another_company_is_refused(
    client_as, sales, company, other_company
):
    lead = make_lead(company)
    foreign = Stage.objects.for_company(other_company).first()

    response = client_as(sales).post(
        f"/deals/new/?lead={lead.pk}", filled_in(company, stage=foreign.pk)
    )

    assert "Choose one of your company&#x27;s stages." in response.content.decode()
    assert not Deal.objects.exists()


@pytest.mark.parametrize("lead", ["nonsense", "0", "%00"])
def test_a_lead_that_is_none_is_not_found(client_as, sales, lead):
    assert client_as(sales).get(f"/deals/new/?lead={lead}").status_code == 404


def test_editing_keeps_the_lead_and_saves_the_rest(client_as, sales, company):
    deal = make_deal(make_lead(company))

    client_as(sales).post(
        f"/deals/{deal.pk}/edit/", filled_in(company, title="Fifty licences", amount="")
    )

    deal.refresh_from_db()
    assert (deal.title, deal.amount, deal.lead.name) == ("Fifty licences", None, "Ada")


def test_deleting_a_deal_leaves_its_lead(client_as, admin, company):
    lead = make_lead(company)
    deal = make_deal(lead)

    response = client_as(admin).post(f"/deals/{deal.pk}/delete/")

    assert response.url == f"/leads/{lead.pk}/"
    assert not Deal.objects.exists()


def test_a_form_that_is_submitted_twice_is_saved_once_although_its_stage_was_archived(
    client_as, sales, company
):
    talks = Stage.objects.create(
        company=company, name="Talks", meaning="open", position=8
    )
    browser, url = client_as(sales), f"/deals/new/?lead={make_lead(company).pk}"
    data = filled_in(company, stage=talks.pk, form_key="0" * 32)
    first = browser.post(url, data)
    archive_entry(entry=talks)

    again = browser.post(url, data)

    assert again.status_code == 302
    assert again.url == first.url == Deal.objects.get().get_absolute_url()
