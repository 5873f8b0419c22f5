"""Finds the lead that a row of another object belongs to: by its number, its e-mail address, or its name."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from crm.data_exchange.importing.cells import (
    Cell,
    FullNameReader,
    Reader,
    TextReader,
)
from crm.data_exchange.importing.matching import leads_named, with_kept
from crm.data_exchange.importing.objects.definition import Field, Values
from crm.data_exchange.importing.rows import JudgedRow
from crm.models import Lead, LeadImport, RowProblem
from crm.models.validators import is_number

PREFIX: Final = "lead_"
TEXTS: Final = ("first_name", "last_name", "email", "organisation")
LEAD_NAMES: Final = ("lead_first_name", "lead_last_name", "lead_full_name")
LEAD_REFERENCES: Final = {
    "lead_number": Field(
        "Lead number",
        "leadnumber leadnummer numerodulead numerodelead",
        unsure="leadid",
    ),
    "lead_email": Field(
        "E-mail of the lead",
        "email emailaddress mail leademail contactemail personemail emailadres "
        "emailadresse adressemail correo correoelectronico",
    ),
    "lead_first_name": Field(
        "First name of the lead",
        "firstname leadfirstname contactfirstname voornaam vorname prenom nombre",
    ),
    "lead_last_name": Field(
        "Last name of the lead",
        "lastname leadlastname contactlastname achternaam nachname nom apellidos",
    ),
    "lead_full_name": Field(
        "First and last name of the lead",
        "lead leadname contact contactname contactperson person personname "
        "primarycontact associatedcontact associatedpeople dealcontactperson kontakt kontaktperson contacto",
        unsure="name naam",
    ),
    "lead_organisation": Field(
        "Organisation of the lead",
        "organisation organization company companyname account accountname "
        "associatedcompany dealorganization bedrijf organisatie firma unternehmen entreprise societe "
        "empresa organizacion",
    ),
}


def number_reader(name: str) -> Reader:
    """Reads the number of a lead or deal."""

    def read(cell: str) -> Cell:
        text = cell.strip()
        if not is_number(text):
            return {}, RowProblem.NOT_A_ROW_NUMBER
        return {name: int(text)}, ""

    return read


def lead_readers() -> dict[str, Reader]:
    """The readers by field."""
    texts = {
        PREFIX + name: TextReader(PREFIX + name, Lead._meta.get_field(name))
        for name in TEXTS
    }
    whole = FullNameReader(texts, PREFIX)
    number = number_reader("lead_number")
    return {**texts, "lead_full_name": whole, "lead_number": number}


def names_a_lead(values: Values) -> bool:
    """True if the values say whose the row is."""
    return bool({"lead_number", "lead_email"} & values.keys() or _name_in(values))


@dataclass(slots=True)
class LeadFinder:
    """The leads that rows may belong to. A lead that was merged into another one finds that one."""

    by_number: dict[int, Lead] = field(default_factory=dict)
    by_address: defaultdict[str, dict[int, Lead]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    by_name: defaultdict[tuple[str, str], dict[int, Lead]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def add(self, lead: Lead, kept: Lead) -> None:
        self.by_number[lead.pk] = kept
        if lead.email:
            self.by_address[lead.email.lower()][kept.pk] = kept
        self.by_name[_name_of(lead), lead.organisation.lower()][kept.pk] = kept

    def find(self, values: Values) -> Lead | RowProblem:
        """The row's lead, or why there is none."""
        numbered = self.by_number.get(values.get("lead_number", 0))
        if numbered and not _contradicts(numbered, values):
            return numbered
        fitting = self._fitting(values)
        if len(fitting) == 1:
            return fitting[0]
        return RowProblem.LEAD_AMBIGUOUS if fitting else RowProblem.LEAD_UNKNOWN

    def _fitting(self, values: Values) -> list[Lead]:
        name = _name_in(values)
        organisation = values.get("lead_organisation", "").lower()
        if email := values.get("lead_email", ""):
            found = self.by_address.get(email.lower(), {}).values()
            named = [lead for lead in found if _name_of(lead) == name]
            return named if len(named) == 1 else list(found)
        return [*self.by_name.get((name, organisation), {}).values()] if name else []


def find_leads(
    lead_import: LeadImport, rows: Sequence[JudgedRow], *, locks: bool
) -> Iterator[tuple[JudgedRow, Lead | RowProblem]]:
    """Each row with its lead, or why there is none. With `locks`, the leads can't change until the transaction ends."""
    all_values = [row.values for row in rows]
    finder = lead_finder(lead_import.company_id, all_values, locks=locks)
    for row in rows:
        yield row, finder.find(row.values)


def lead_finder(
    company_id: int,
    all_values: Iterable[Values],
    *,
    also: Collection[int] = (),
    locks: bool,
) -> LeadFinder:
    """Knows the leads that these rows name, and those with the ids `also`."""
    numbers: set[int] = set()
    addresses: set[str] = set()
    names: set[str] = set()
    for values in all_values:
        numbers |= {values["lead_number"]} if "lead_number" in values else set()
        if "lead_email" in values:
            addresses.add(values["lead_email"])
        elif name := _name_in(values):
            names.add(name)
    pks = {*also, *numbers, *leads_named(company_id, [*addresses], [*names])}
    leads: Mapping[int, Any] = with_kept(company_id, pks, locks=locks) if pks else {}
    finder = LeadFinder()
    for lead in leads.values():
        finder.add(lead, leads.get(lead.merged_into_id or lead.pk, lead))
    return finder


def _contradicts(lead: Lead, values: Values) -> bool:
    """True if the row names another person: its number is that of another list of leads."""
    email = values.get("lead_email", "").lower()
    if email and lead.email:
        return bool(email != lead.email.lower())
    name = _name_in(values)
    return bool(name) and name != _name_of(lead)


def _name_of(lead: Lead) -> str:
    return f"{lead.first_name} {lead.last_name}".strip().lower()


def _name_in(values: Values) -> str:
    first, last = values.get("lead_first_name", ""), values.get("lead_last_name", "")
    return f"{first} {last}".strip().lower()
