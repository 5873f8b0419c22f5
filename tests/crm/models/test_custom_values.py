"""What each type of custom field accepts, and the one form in which it is stored."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given

from crm.models import CustomField
from crm.models.custom_field import changed_choices, free_key
from crm.models.custom_values import as_typed, form_field
from tests.crm.custom_values import ENTERED, KINDS, unsaved


def stored(kind: str, entered: object) -> object:
    return form_field(unsaved(kind)).clean(entered)


@pytest.mark.parametrize(
    ("kind", "entered", "value"),
    [
        ("text", "  Fleet  ", "Fleet"),
        ("text", "", None),
        ("long_text", "one\ntwo", "one\ntwo"),
        ("number", "1.50", "1.5"),
        ("number", "25,000.0", "25000"),
        ("number", "1999,50", "1999.5"),
        ("number", "-0.0", "0"),
        ("number", "100", "100"),
        ("number", "1e3", "1000"),
        ("number", "-3", "-3"),
        ("money", "€ 1,250.00", "1250.00"),
        ("money", "-0", "0.00"),
        ("date", "2027-01-31", "2027-01-31"),
        ("date", "2027/1/31", "2027-01-31"),
        ("date", "31.1.2027", "2027-01-31"),
        ("date", "31/1/2027", "2027-01-31"),
        ("date", "1/31/2027", "2027-01-31"),
        ("date", "3-3-2027", "2027-03-03"),
        ("date", "2027-01-31 00:00:00", "2027-01-31"),
        ("yes_no", "yes", True),
        ("yes_no", "no", False),
        ("yes_no", "", None),
        ("choice", "emea", "emea"),
        ("choice", "", None),
        ("choices", ["americas", "emea", "emea"], ["emea", "americas"]),
        ("choices", [], None),
        ("url", "example.com/a", "https://example.com/a"),
        ("url", "http://example.com", "http://example.com"),
        ("phone", "+31 20 555 0142", "+31 20 555 0142"),
    ],
)
def test_what_is_entered_is_stored_in_one_form(
    kind: str, entered: object, value: object
) -> None:
    assert stored(kind, entered) == value


@pytest.mark.parametrize(
    ("kind", "entered", "sentence"),
    [
        ("text", "x" * 201, "Ensure this value has at most 200 characters"),
        ("text", "a\x00b", "Null characters are not allowed."),
        ("text", "a\ud800b", "This text has a character that can't be stored."),
        ("url", "https://example.com/\ud800", "Enter a web address"),
        ("number", "many", "Enter a number"),
        ("number", "NaN", "Enter a number"),
        ("number", "1" * 16, "Enter at most 15 digits"),
        ("number", "1e99", "Enter at most 15 digits"),
        ("number", "25.000,5,1", "Enter a number"),
        ("number", "1.200", "Do you mean 1,200 or 1.2? Write 1200 or 1.2."),
        ("money", "1.999", "Do you mean 1,999? Write 1999."),
        ("money", "1.9999", "Enter at most 2 digits after the decimal point."),
        (
            "date",
            "3/4/2027",
            "Do you mean 3 April 2027 or 4 March 2027? Write 2027-04-03 or 2027-03-04.",
        ),
        ("date", "31.2.2027", "Enter a date, such as 2027-01-31."),
        ("date", "2027-02-30", "Enter a date"),
        ("date", "\u0662\u0660\u0662\u0667-01-01", "Enter a date"),
        ("date", "0001-01-01", "Enter a date from 1800 to 9998."),
        ("date", "9999-12-31", "Enter a date from 1800 to 9998."),
        ("yes_no", "perhaps", "Choose yes or no."),
        ("choice", "mars", "Choose one of the choices."),
        ("choices", ["emea", "mars"], "Choose some of the choices."),
        ("choices", "emea", "Choose some of the choices."),
        ("url", "javascript:alert(1)", "Enter a web address"),
        ("url", "ftp://example.com", "Enter a web address"),
        (
            "url",
            "https://" + "x" * 600 + ".com",
            "Ensure this value has at most 500 characters",
        ),
        ("phone", "1" * 41, "at most 40 characters"),
    ],
)
def test_anything_else_is_a_sentence(kind: str, entered: object, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        stored(kind, entered)

    assert sentence in " ".join(refused.value.messages)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_value_is_shown_in_a_form_and_comes_back_as_it_is(kind: str) -> None:
    field = form_field(unsaved(kind))

    @given(ENTERED[kind])
    def comes_back(entered: object) -> None:
        value = field.clean(entered)
        shown = as_typed(unsaved(kind), value)
        assert field.clean(field.prepare_value(shown) or "") == value or value is None

    comes_back()


def test_a_key_is_made_from_the_name_and_is_no_index_and_no_lookup() -> None:
    names = [
        "Fleet size",
        "Grösse (m²)",
        "2nd phone",
        "日本",
        "a__b",
        "Fleet size",
        "x" * 80,
    ]
    keys: list[str] = []
    for name in names:
        keys.append(free_key(name, keys))

    assert keys == [
        "fleet_size",
        "grosse_m2",
        "field_2nd_phone",
        "field",
        "a_b",
        "fleet_size_2",
        "x" * 36,
    ]


def test_choices_keep_their_keys_and_one_that_is_removed_is_archived() -> None:
    before = changed_choices([], [("", "Small"), ("", "Large")])

    after = changed_choices(before, [("large", "Big"), ("", "Medium")])
    again = changed_choices(
        after, [("large", "Big"), ("medium", "Medium"), ("", "small")]
    )

    assert after == [
        {"key": "large", "label": "Big", "is_archived": False},
        {"key": "medium", "label": "Medium", "is_archived": False},
        {"key": "small", "label": "Small", "is_archived": True},
    ]
    assert [choice["key"] for choice in again if not choice["is_archived"]] == [
        "large",
        "medium",
        "small",
    ]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([("", " ")], "Enter at least one choice."),
        ([("", "A"), ("", "a")], "Two choices are called"),
        ([("", "x" * 81)], "at most 80 characters"),
        ([("", "a\0b")], "Null characters are not allowed."),
        ([("stranger", "A")], "There is no such choice."),
        ([("", str(number)) for number in range(101)], "Enter at most 100 choices."),
    ],
)
def test_choices_that_can_t_be_are_a_sentence(
    labels: list[tuple[str, str]], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        changed_choices([], labels)


def test_a_value_of_a_removed_choice_keeps_its_label() -> None:
    field = CustomField(
        type="choice", choices=changed_choices([], [("", "Small"), ("", "Large")])
    )
    field.choices = changed_choices(field.choices, [("large", "Large")])

    assert field.labels["small"] == "Small"
    assert field.offered == [("large", "Large")]
