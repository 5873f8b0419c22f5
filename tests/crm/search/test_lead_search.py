"""Finding a lead by its name, address, organisation or phone number, however they are written."""

import pytest

from crm.models import Deal, Lead
from crm.models.custom_lookups import contains_text
from tests.conftest import make_deal, make_lead
from tests.crm.custom_values import make_field

pytestmark = pytest.mark.django_db


def found(text: str) -> list[str]:
    return [lead.name for lead in Lead.objects.order_by("pk").search(text)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Zoë", "zoe"),
        ("Zoe\u0308", "zoe"),  # the same in two characters
        ("Zoe", "ZOË"),
        ("Ängström", "angstrom"),
        ("Łukasz", "lukasz"),
        ("Søren", "soren"),
        ("Đorđe", "dorde"),
        ("Nguyễn", "nguyen"),
        ("O'Brien (sales)", "o'brien (sales)"),
        ("100% [x] .* \\ ^$ {2}", "100% [x] .* \\ ^$ {2}"),
        ("Щербаков", "Щербаков"),
    ],
)
def test_a_name_is_found_whatever_its_accents(company, name, text):
    make_lead(company, first_name="Ada", email="")
    make_lead(company, first_name=name, email="")

    assert found(text) == [name]


@pytest.mark.parametrize("text", ["\u0301", "\u0301\u0300 \u0301"])
def test_accents_alone_are_found_nowhere(company, text):
    lead = make_lead(company, custom={"note": "hello"})
    make_deal(lead)
    field = make_field(company, "Note", "text")

    assert found(text) == []
    assert not Lead.objects.filter(contains_text(field, text)).exists()
    assert not Deal.objects.all().search(company, text).exists()


@pytest.mark.parametrize(
    "text", ["z.e", "zo+", "(zoe", "[", "***:zoe", "(?i)zoe", "\\", "%", "_"]
)
def test_what_is_searched_for_is_text_and_no_pattern(company, text):
    make_lead(company, first_name="Zoë", email="")

    assert found(text) == []


def test_each_word_has_to_be_found_somewhere(company):
    make_lead(
        company, first_name="Zoë", organisation="Müller AG", email="zoe@example.com"
    )
    make_lead(company, first_name="Zoë", organisation="Other", email="")

    assert found("zoe muller") == ["Zoë"]
    assert found("muller zoe@EXAMPLE") == ["Zoë"]


@pytest.mark.parametrize(
    "text",
    [
        "+31 20 555 0142",
        "+31205550142",
        "0031 20 555 01 42",
        "020-5550142",
        "(020) 555.0142",
        "0142",
    ],
)
def test_a_phone_number_finds_its_lead(company, text):
    make_lead(company, first_name="Ada", phone="+31 20 555 0199")
    make_lead(company, first_name="Emil", phone="+31 (20) 555-01 42")

    assert found(text) == ["Emil"]


@pytest.mark.parametrize("text", ["42", "31 x 20555", "+", "0000"])
def test_what_is_no_phone_number_is_not_compared_with_one(company, text):
    make_lead(company, first_name="Emil", phone="+31 20 555 0142")

    assert found(text) == []


def test_a_number_in_a_name_is_found_too(company):
    make_lead(company, first_name="Fair 2026", email="")

    assert found("2026") == ["Fair 2026"]


def test_the_first_eight_words_count_and_the_rest_costs_nothing(company):
    ada = make_lead(
        company, last_name="Lovelace", organisation="one two three four five six seven"
    )
    text = "one two three four five six seven lovelace"

    assert Lead.objects.search(f"{text} {'nowhere ' * 40}").get() == ada
    assert str(Lead.objects.search("x " * 50).query) == str(
        Lead.objects.search("x " * 8).query
    )
