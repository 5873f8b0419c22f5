# ruff: noqa: RUF001 - letters that look like others are the point
"""The same searches find the same leads in PostgreSQL and in Python."""

import random

import pytest

from crm.models import Lead
from crm.search.conditions import SHORT, phone_digits, words_of
from crm.search.folding import search_text
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

FIRST_NAMES = [
    "Zoë", "Zoe\u0308", "Łukasz", "Søren", "Đorđe", "Nguyễn", "İpek", "Işıl", "Ægir", "Œdipe", "Þóra", "Jürgen",
    "Jo", "明", "さくら", "김", "Ярослав", "Έλενα", "Ｊｏｈｎ", "O'Brien", "Anne-Marie", "Ⅷ", "a\u00a0b",
    "%", "_x_", "\\n", "",
]  # fmt: skip
LAST_NAMES = [
    "Weiß", "WEISS", "Großmann", "GROẞMANN", "Ångström", "Şahin", "ΣΊΣΥΦΟΣ", "李", "王小明", "田中", "Щербаков",
    "de la Cruz",
    '"quoted"', "NOT", "AND OR", "NEAR(a b)", "x*", "^y", "col:umn", "(z)", "-5", "{w}", "100%", "a_b", "´", "",
]  # fmt: skip
ORGANISATIONS = [
    "Müller & Söhne AG",
    "Ørsted",
    "株式会社",
    "3M",
    "",
    "100% Ltd",
    "Fair 2026",
    "A/S",
    "Straße 7",
]
PHONES = [
    "+31 (20) 555-01 42",
    "0031 20 5550142",
    "020-555 0199",
    "+1.212.555.0142",
    "",
    "n/a",
    "0049 30/123 45 67",
]
QUERIES = 200


@pytest.fixture
def leads(company):
    choose = random.Random(20260312)
    return [
        make_lead(
            company,
            first_name=choose.choice(FIRST_NAMES),
            last_name=choose.choice(LAST_NAMES),
            organisation=choose.choice(ORGANISATIONS),
            email=choose.choice(
                ["", f"person{number}@example.com", f"Müller.{number}@example.com"]
            ),
            phone=choose.choice(PHONES),
            title=choose.choice(["", "CTO", "Geschäftsführer", "Ingénieur"]),
        )
        for number in range(120)
    ]


def query(choose, leads):
    """Part of a lead's text, its words in another order or case, or its number grouped in another way."""
    lead = choose.choice(leads)
    kind = choose.randrange(4)
    if kind == 0 and lead.phone:
        digits = "".join(filter(str.isdigit, lead.phone))
        cut = choose.randrange(1, 6)
        return choose.choice([" ", "-", ".", ""]).join([digits[:cut], digits[cut:]])
    said = " ".join(
        [lead.first_name, lead.last_name, lead.organisation, lead.email, lead.title]
    )
    if kind == 1:
        start = choose.randrange(len(said))
        return said[start : start + choose.randrange(1, 9)]
    words = choose.sample(said.split(), min(2, len(said.split())))
    return choose.choice([str.upper, str.lower, str.title])(" ".join(words))[
        : 100 if kind == 2 else 5
    ]


def found_in_python(leads, text):
    def holds(lead):
        said = search_text(
            lead.first_name,
            lead.last_name,
            lead.email,
            lead.organisation,
            lead.title,
            lead.phone,
        )
        digits = phone_digits(text)
        words = [word if len(word) >= SHORT else f" {word}" for word in words_of(text)]
        return all(word in said for word in words) or bool(digits and digits in said)

    return [lead.pk for lead in leads if holds(lead)]


def test_two_hundred_searches_find_what_python_finds(leads):
    choose = random.Random(7)
    queries = [query(choose, leads) for _ in range(QUERIES)]

    found = {
        text: list(
            Lead.objects.search(text).order_by("pk").values_list("pk", flat=True)
        )
        for text in queries
    }

    assert {
        text: pks for text, pks in found.items() if pks != found_in_python(leads, text)
    } == {}
    assert sum(bool(pks) for pks in found.values()) > QUERIES / 2


LETTERS = [
    *range(0x20, 0x590),
    *range(0x1E00, 0x2100),
    *range(0x3040, 0x3100),
    *range(0xAC00, 0xAC80),
]
PER_LEAD = 40


def test_letters_are_folded_alike(company):
    named = [
        " ".join(f"a{chr(letter)}b" for letter in LETTERS[at : at + PER_LEAD])
        for at in range(0, len(LETTERS), PER_LEAD)
    ]
    leads = {name: make_lead(company, organisation=name, email="").pk for name in named}

    missed = [
        name
        for name, pk in leads.items()
        for at in range(0, len(name.split()), 8)
        if not Lead.objects.filter(pk=pk)
        .search(" ".join(name.split()[at : at + 8]))
        .exists()
    ]

    assert missed == []


def test_a_change_by_sql_alone_is_found_and_an_erased_person_is_not(company):
    lead = make_lead(company, first_name="Zoë", email="zoe@example.com")

    Lead.objects.filter(pk=lead.pk).update(first_name="Jürgen", email="")

    assert not Lead.objects.search("zoe").exists()
    assert Lead.objects.search("jurg").get() == lead


def test_a_deleted_lead_leaves_no_text(company):
    lead = make_lead(company, first_name="Zoë")

    lead.delete()

    assert not Lead.objects.search("zoe").exists()
