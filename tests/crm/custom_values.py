"""Custom fields for tests, and what people may enter in each type."""

from datetime import date
from typing import Any, Final

from hypothesis import strategies as st

from crm.models import Company, CustomField, FieldSubject, FieldType
from crm.models.custom_field import changed_choices
from crm.services.custom_fields import add_field

KINDS: Final = FieldType.values
REGIONS: Final = (("", "EMEA"), ("", "Americas"), ("", "Asia, and Pacific"))
KEYS: Final = ("emea", "americas", "asia_and_pacific")
_LETTERS: Final = st.characters(
    codec="utf-8", exclude_characters="\x00", exclude_categories=["Cc", "Cs", "Zs"]
)
_WORDS: Final = st.text(_LETTERS, min_size=1, max_size=30)

ENTERED: Final[dict[str, st.SearchStrategy[Any]]] = {
    "text": _WORDS,
    "long_text": st.lists(_WORDS, min_size=1, max_size=4).map("\n".join),
    "number": st.decimals(-(10**8), 10**8, places=6).map(str),
    "money": st.decimals(0, 10**11, places=2).map(str),
    "date": st.dates(date(1800, 1, 1), date(9998, 12, 31)).map(date.isoformat),
    "yes_no": st.sampled_from(["yes", "no"]),
    "choice": st.sampled_from(KEYS),
    "choices": st.lists(st.sampled_from(KEYS), min_size=1, max_size=4),
    "url": st.text(st.sampled_from("abcdef/?=&%20-_~"), max_size=30).map(
        "example.com/{}".format
    ),
    "phone": st.text(
        st.sampled_from("+0123456789 ()-"), min_size=1, max_size=40
    ).filter(str.strip),
}


def unsaved(kind: str) -> CustomField:
    """An unsaved field; one with choices has three regions."""
    return CustomField(
        name=kind.replace("_", " "),
        key=kind,
        type=kind,
        choices=changed_choices([], REGIONS),
    )


def make_field(
    company: Company, name: str, kind: str = "text", **options: Any
) -> CustomField:
    """A custom field for leads, unless told otherwise; one with choices has three regions."""
    labels = options.pop("labels", REGIONS)
    field = CustomField(
        company=company,
        **{"subject": FieldSubject.LEAD, "name": name, "type": kind, **options},
    )
    return add_field(field=field, labels=labels)


def make_every_field(company: Company, **options: Any) -> dict[str, CustomField]:
    """A field of each type, whose key is its type."""
    return {
        kind: make_field(company, kind.replace("_", " "), kind, **options)
        for kind in KINDS
    }
