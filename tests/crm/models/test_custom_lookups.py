"""Filters by custom field: SQL gives the same leads as Python."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.lists.custom_fields import FROM, UNTIL, custom_filters
from crm.models import Company, CustomField, Lead
from crm.models.custom_lookups import has_value, with_keys_set
from crm.models.custom_values import Value, form_field
from crm.search.folding import folded
from tests.conftest import make_lead
from tests.crm.custom_values import ENTERED, KEYS, KINDS, make_every_field, make_field
from tests.size import sized

pytestmark = pytest.mark.django_db

LATIN = st.text(
    st.sampled_from("abcABC éÉüØz0%_\\.*(["), min_size=1, max_size=6
).filter(str.strip)
BOUNDS = {
    **ENTERED,
    "text": LATIN,
    "long_text": LATIN,
    "phone": ENTERED["phone"].map(lambda text: text.strip()[:2]),
}


def in_python(field: CustomField, name: str, asked: str, value: Value | None) -> bool:
    """Whether a lead with this value is found."""
    if value is None:
        return False
    if name.endswith((FROM, UNTIL)):
        bound = form_field(field).clean(asked)
        pair: Any = (
            (value, bound)
            if field.type == "date"
            else (Decimal(str(value)), Decimal(bound))
        )
        return bool(pair[0] >= pair[1] if name.endswith(FROM) else pair[0] <= pair[1])
    if isinstance(value, bool):
        return value == (asked == "yes")
    if isinstance(value, list) or field.type == "choice":
        return asked in value if isinstance(value, list) else asked == value
    return folded(asked) in folded(value)


@pytest.mark.sized
@pytest.mark.parametrize("kind", KINDS)
def test_each_filter_finds_what_python_finds(
    company: Company, other_company: Company, kind: str
) -> None:
    field = make_field(company, "Field", kind)
    make_field(other_company, "Field")  # a text there, whose rows must not be cast
    make_lead(other_company, custom={"field": "9" * 40})
    texts = LATIN if kind in ("text", "long_text") else ENTERED[kind]
    asked = st.sampled_from(KEYS) if kind == "choices" else BOUNDS[kind]

    @settings(max_examples=sized(30, small=8), database=None)
    @given(st.lists(st.none() | texts, min_size=1, max_size=5), asked)
    def finds(entered: list[Any], wanted: str) -> None:
        values = [
            None if each is None else form_field(field).clean(each) for each in entered
        ]
        Lead.objects.for_company(company).delete()
        rows = [
            Lead(
                company=company,
                first_name="Ada",
                custom={"field": each} if each else {},
            )
            for each in values
        ]
        rows = [
            row if value is not False else _with(row, value)
            for row, value in zip(rows, values, strict=True)
        ]
        pks = [row.pk for row in Lead.objects.bulk_create(rows)]
        for name, each in custom_filters([field]).items():
            bound = each.field.clean(wanted)
            found = each.filter(Lead.objects.for_company(company), bound)
            expected = [
                pk
                for pk, v in zip(pks, values, strict=True)
                if in_python(field, name, wanted.strip(), v)
            ]
            assert sorted(found.values_list("pk", flat=True)) == expected, name

    finds()


def _with(row: Lead, value: Value) -> Lead:
    row.custom = {"field": value}
    return row


def test_filters_combine(company: Company) -> None:
    filters = custom_filters(make_every_field(company).values())
    both = make_lead(
        company,
        custom={"number": "40", "choice": "emea", "choices": ["americas", "emea"]},
    )
    make_lead(company, custom={"number": "40", "choice": "americas"})
    make_lead(company, custom={"number": "41", "choice": "emea"})
    make_lead(company)

    found = Lead.objects.for_company(company)
    asked = {
        "custom_number__from": "40",
        "custom_number__until": "40.0",
        "custom_choice": "emea",
    }
    for name, value in {**asked, "custom_choices": "emea"}.items():
        found = filters[name].filter(found, filters[name].field.clean(value))

    assert [*found] == [both]


def test_a_merge_sets_and_removes_its_keys_and_leaves_the_others(
    company: Company,
) -> None:
    lead = make_lead(company, custom={"a": "1", "b": ["x", "y"], "c": True})

    Lead.objects.filter(pk=lead.pk).update(
        custom=with_keys_set({"a": None, "b": ["z"], "d": "2", "e": False})
    )

    lead.refresh_from_db()
    assert lead.custom == {"b": ["z"], "c": True, "d": "2", "e": False}


def test_a_key_that_is_the_beginning_of_another_is_another(company: Company) -> None:
    field = make_field(company, "Seat")
    make_lead(company, custom={"seats": "40"})

    assert not Lead.objects.filter(has_value(field)).exists()
