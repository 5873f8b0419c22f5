"""Numbers as people write them, and what each could mean."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from crm.models.numbers import AmountField, DecimalSign, number_readings, unambiguous


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1200", "1200"), ("-5", "-5"), ("\u22125", "-5"), ("5-", "-5"), ("(5)", "-5"), ("+5", "5"), ("1e3", "1000"),
        ("1 234", "1234"), ("1\u00a0234", "1234"), ("1\u202f234\u202f567", "1234567"), ("1'234", "1234"),
        ("1\u2019234\u2019567", "1234567"), ("12 %", "12"), ("$-5", "-5"), ("-$5", "-5"), ("kr 12", "12"),
        ("12 EUR", "12"), ("USD12", "12"), ("007", "7"),
    ],
)  # fmt: skip
def test_a_number_without_a_decimal_sign_has_one_meaning(
    text: str, number: str
) -> None:
    found = number_readings(text)

    assert found.comma == found.point == Decimal(number)
    assert not found.only


@pytest.mark.parametrize(
    ("text", "sign", "number"),
    [
        ("1,5", "comma", "1.5"), ("1.5", "point", "1.5"), ("1.234,5", "comma", "1234.5"),
        ("1,234.5", "point", "1234.5"),
        ("1\u2019234.50", "point", "1234.50"), ("1 234,50", "comma", "1234.50"), ("1\u202f234,500", "comma", "1234.5"),
        ("1,234,567", "point", "1234567"), ("1.234.567", "comma", "1234567"), ("1,00,000", "point", "100000"),
        ("0,500", "comma", "0.5"), ("0.500", "point", "0.5"), ("1200.500", "point", "1200.5"), (".5", "point", "0.5"),
        (",5", "comma", "0.5"), ("\u20ac 1.500,-", "comma", "1500"), ("1.234,56 \u20ac", "comma", "1234.56"),
        ("1.500,-- \u20ac", "comma", "1500"), ("1'500.\u2014CHF", "point", "1500"), ("(1.500,-)", "comma", "-1500"),
        ("CHF 1'234.50", "point", "1234.50"), ("(1,234.50)", "point", "-1234.50"), ("1,5e2", "comma", "150"),
    ],
)  # fmt: skip
def test_a_number_that_only_one_decimal_sign_allows(
    text: str, sign: str, number: str
) -> None:
    found = number_readings(text)

    assert found.only == sign
    assert found.by(sign) == (Decimal(number), False)
    assert found.by("point" if sign == "comma" else "comma") == (Decimal(number), True)


@pytest.mark.parametrize(
    ("text", "comma", "point"),
    [
        ("1.200", "1200", "1.2"),
        ("1,500", "1.5", "1500"),
        ("\u20ac 12.500", "12500", "12.5"),
        ("-1.200", "-1200", "-1.2"),
    ],
)
def test_a_number_with_three_digits_after_its_only_sign_has_two_meanings(
    text: str, comma: str, point: str
) -> None:
    found = number_readings(text)

    assert (found.comma, found.point) == (Decimal(comma), Decimal(point))
    assert found.is_ambiguous
    assert found.by("") == (None, False)
    doubtful = DecimalSign.POINT if "." in text else DecimalSign.COMMA
    assert [sign for sign in DecimalSign if found.by(sign)[1]] == [doubtful]


@pytest.mark.parametrize(
    "text",
    ["", "many", "NaN", "1.", "1,2,3", "12 34", "1 2", "--5", "-5-", "(5", "5)", "\u0661\u0662", "1.234,567,8",
     "12 pcs", "10,-20", "3.-5", "3.-5,-", "10,-e5", "10,- 20", "1.-500",
     "25,00,0", "1" * 61, "," * 50, "1\u00a02\u00a03"],
)  # fmt: skip
def test_anything_else_is_no_number(text: str) -> None:
    found = number_readings(text)

    assert (found.comma, found.point, found.by("comma"), found.is_ambiguous) == (
        None,
        None,
        (None, False),
        False,
    )


@given(
    st.decimals(-(10**8), 10**8, places=6),
    st.sampled_from([",", ".", " ", "'", ""]),
    st.sampled_from(",."),
)
def test_any_number_in_any_usual_form_is_read_as_it_was_written(
    number: Decimal, group: str, sign: str
) -> None:
    if group == sign:
        return
    text = f"{number:,f}".translate({ord(","): group, ord("."): sign})

    assert number_readings(text).by("comma" if sign == "," else "point") == (
        number,
        False,
    )


@given(
    st.decimals(-(10**8), 10**8, places=6)
    | st.decimals(-9999, 9999, places=3)
    | st.integers().map(Decimal)
)
def test_what_we_write_is_read_in_one_way_only(number: Decimal) -> None:
    written = unambiguous(number)

    assert Decimal(written) == number
    assert not number_readings(written[:60]).is_ambiguous


@pytest.mark.parametrize(
    ("typed", "question"),
    [
        ("1.200", "Do you mean 1,200 or 1.2? Write 1200 or 1.2."),
        ("\u20ac 12.500", "Do you mean 12,500 or 12.5? Write 12500 or 12.5."),
        ("1,500", "Do you mean 1.5 or 1,500? Write 1.5 or 1500."),
        ("1.999", "Do you mean 1,999? Write 1999."),
        ("-1.250", "Do you mean -1,250 or -1.25? Write -1250 or -1.25."),
    ],
)
def test_a_form_asks_what_is_meant(typed: str, question: str) -> None:
    with pytest.raises(ValidationError) as refused:
        AmountField(decimal_places=2).clean(typed)

    assert refused.value.messages == [question]


def test_a_form_accepts_what_pages_show() -> None:
    field = AmountField(decimal_places=6)

    assert AmountField(decimal_places=2).clean("1,234") == Decimal(1234)
    assert [
        field.clean(text) for text in ("1,200.00", "1,200.5", "1.2340", "0.125")
    ] == [Decimal(each) for each in ("1200", "1200.5", "1.234", "0.125")]
