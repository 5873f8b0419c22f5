"""Reads the cells of built-in fields. `custom_columns` reads those of custom fields."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

from crm.models import Company, Lead, LeadStatus, LeadType, RowProblem, Tag, User
from crm.models.addresses import without_formats
from crm.models.picklist import NAME_LENGTH
from crm.models.validators import is_seen

# The values by field name, and the `RowProblem`, "" for none.
Cell = tuple[dict[str, Any], str]
Reader = Callable[[str], Cell]

TEXTS: Final = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "organisation",
    "title",
    "source",
    "notes",
)
SHARED: Final = "share_with_ad_platforms"
# The columns that say whether someone is shared.
SHARING: Final = ("consent", "opted_out")
YES: Final = frozenset(["yes", "y", "true", "1", "on", "x", "ja", "j", "oui", "o"])
NO: Final = frozenset(["no", "n", "false", "0", "off", "nee", "nein", "non"])
# Matches addresses that Django's validator accepts, in a tenth of its time. The validator decides about all others.
_PLAIN_ADDRESS: Final = re.compile(
    r"[\w+-]+(\.[\w+-]+)*@([a-z0-9]{1,63}\.)+[a-z]{2,63}", re.ASCII | re.IGNORECASE
)
_BETWEEN_TAGS: Final = re.compile(r"[,;|]")


def let_go_of_rows(error: ValidationError) -> None:
    """Delete the error's tracebacks, which refer to all rows of the chunk.

    Django's errors are reference cycles: the rows, 40 MB, would stay in memory until the next garbage collection.
    """
    for each in error.error_list:
        cause: BaseException | None = each
        while cause:
            cause.__traceback__, cause = None, cause.__context__


def readers_of_leads(company: Company, *, adds_tags: bool) -> dict[str, Reader]:
    """The readers by field. With `adds_tags`, tags that the company doesn't have yet are read as if it had them."""
    texts = {name: TextReader(name) for name in TEXTS}
    return {
        **texts,
        "full_name": FullNameReader(texts),
        "status": _one_of("status", _statuses(company), RowProblem.STATUS_UNKNOWN),
        "type": _one_of("type", _types(company), RowProblem.TYPE_UNKNOWN),
        "owner": _one_of(
            "owner_id",
            _colleagues(company),
            RowProblem.OWNER_UNKNOWN,
            otherwise={"owner_id": None},
        ),
        "tags": TagsReader(company, adds=adds_tags),
        "consent": _consent(YES),
        "opted_out": _consent(NO),
    }


class TextReader:
    """Reads the cells of one text field of a lead and validates them as the field does. Checks the length faster."""

    def __init__(self, name: str) -> None:
        field: Any = Lead._meta.get_field(name)
        self._name, self._longest = name, field.max_length
        self._is_address = name == "email"
        self._keeps_lines = name == "notes"
        self._validators = [
            each
            for each in field.validators
            if not isinstance(each, MaxLengthValidator)
        ]

    def __call__(self, cell: str) -> Cell:
        value = self._plain(cell)
        problem = self._problem(value)
        return ({}, problem) if problem else ({self._name: value}, "")

    def _plain(self, cell: str) -> str:
        """The text without repeated spaces, and without what is copied along with an address."""
        value = cell if self._keeps_lines else " ".join(cell.split())
        if not self._is_address:
            return value
        address = without_formats(value)
        is_from_a_mail = address.startswith("<") and address.endswith(">")
        return address[1:-1] if is_from_a_mail else address

    def _problem(self, value: str) -> str:
        if len(value) > self._longest:
            return RowProblem.TOO_LONG
        if self._is_address and _PLAIN_ADDRESS.fullmatch(value):
            return ""
        try:
            for validate in self._validators:
                validate(value)
        except ValidationError as error:
            let_go_of_rows(error)
            return RowProblem.EMAIL_INVALID if self._is_address else RowProblem.TOO_LONG
        return ""


class FullNameReader:
    """Reads the first and last name in “Ada Lovelace” or “Lovelace, Ada”."""

    def __init__(self, texts: Mapping[str, TextReader]) -> None:
        self._texts = texts

    def __call__(self, cell: str) -> Cell:
        if "," in cell:
            last, _, first = cell.partition(",")
        else:
            first, _, last = cell.strip().partition(" ")
        values: dict[str, Any] = {}
        for name, text in (("first_name", first.strip()), ("last_name", last.strip())):
            found, problem = self._texts[name](text) if text else ({}, "")
            if problem:
                return {}, problem
            values |= found
        return values, ""


def split_tags(cell: str) -> list[str]:
    """The names in “VIP, Trade fair”."""
    names = (" ".join(name.split()) for name in _BETWEEN_TAGS.split(cell))
    return [name for name in names if name]


class TagsReader:
    """Reads the names of the tags in “VIP, Trade fair”, each once.

    If it `adds` those that the company doesn't have yet, `added` has their names.
    """

    def __init__(self, company: Company, *, adds: bool) -> None:
        known = list(Tag.objects.for_company(company))
        self._offered = {
            tag.name.casefold(): tag.name for tag in known if tag.is_offered
        }
        self._taken = {tag.name.casefold() for tag in known} if adds else None
        self.added: dict[str, str] = {}

    def __call__(self, cell: str) -> Cell:
        tags = [self._tag(name) for name in split_tags(cell)]
        found = list(dict.fromkeys(tag for tag in tags if tag))
        return {"tags": found} if found else {}, "" if all(
            tags
        ) else RowProblem.TAG_UNKNOWN

    def _tag(self, name: str) -> str:
        """The tag of this name, "" if there is none and none can be added."""
        key = name.casefold()
        if key in self._offered or self._taken is None or key in self._taken:
            return self._offered.get(key, "")
        if len(name) > NAME_LENGTH or not is_seen(name) or "\0" in name:
            return ""
        return self.added.setdefault(key, name)


def _statuses(company: Company) -> dict[str, Any]:
    return {
        status.name.casefold(): status
        for status in LeadStatus.objects.for_company(company).offered()
    }


def _types(company: Company) -> dict[str, Any]:
    offered = list(LeadType.objects.for_company(company).offered())
    return {each.name.casefold(): each.code for each in offered} | {
        each.code: each.code for each in offered
    }


def _colleagues(company: Company) -> dict[str, Any]:
    """The keys of active colleagues by name and by address. A name that two of them have is not among them."""
    active = list(
        User.objects.filter(memberships__company=company, memberships__is_active=True)
    )
    names = [str(user).casefold() for user in active]
    by_name = {
        name: user.pk
        for name, user in zip(names, active, strict=True)
        if names.count(name) == 1
    }
    return by_name | {user.email.casefold(): user.pk for user in active if user.email}


def _one_of(
    name: str,
    choices: Mapping[str, Any],
    problem: RowProblem,
    *,
    otherwise: Mapping[str, Any] | None = None,
) -> Reader:
    def read(cell: str) -> Cell:
        try:
            return {name: choices[" ".join(cell.split()).casefold()]}, ""
        except KeyError:
            return dict(otherwise or {}), problem

    return read


def _consent(meaning_yes: frozenset[str]) -> Reader:
    def read(cell: str) -> Cell:
        answer = cell.strip().casefold()
        return (
            ({SHARED: answer in meaning_yes}, "")
            if answer in YES | NO
            else ({}, RowProblem.CONSENT_UNCLEAR)
        )

    return read
