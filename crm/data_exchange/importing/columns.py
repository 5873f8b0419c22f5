"""Guesses which field of a lead each column of a file is, by its name or else by its cells."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crm.models import CustomField

LEFT_OUT: Final = ""
GUESSED_FROM: Final = 50  # rows
# A column that the download of bad rows adds to those of the file.
REASON: Final = "Reason"
NAMES: Final = ("first_name", "last_name", "full_name")

# The fields that a column can be, and their usual names in English, Dutch, German, French and Spanish lists.
FIELDS: Final = {
    "first_name": "First name",
    "last_name": "Last name",
    "full_name": "First and last name",
    "email": "E-mail",
    "phone": "Phone",
    "organisation": "Organisation",
    "title": "Job title",
    "source": "Source",
    "type": "Type",
    "status": "Status",
    "owner": "Owner",
    "tags": "Tags",
    "consent": "May be shared (yes or no)",
    "opted_out": "Opted out (yes or no)",
    "notes": "Background",
}
SURE: Final = {
    "first_name": "firstname givenname forename voornaam roepnaam vorname rufname prenom nombre nombredepila",
    "last_name": "lastname surname familyname achternaam nachname familienname zuname nom nomdefamille "
    "apellido apellidos",
    "full_name": "name fullname leadname contactname volledigenaam naam vollername vollstandigername kontaktname "
    "nomcomplet nometprenom nombrecompleto nombreyapellidos",
    "email": "email emailaddress mail mailaddress workemail businessemail emailadres mailadres emailadresse "
    "mailadresse courriel adressemail adresseemail correo correoelectronico direcciondecorreo direccionemail",
    "phone": "phone phonenumber telephone mobile mobilephone workphone telefoon telefoonnummer mobiel mobielnummer "
    "telefon telefonnummer mobil mobiltelefon handy handynummer rufnummer tel numerodetelephone portable "
    "telefono numerodetelefono movil celular",
    "organisation": "organisation organization company companyname account accountname bedrijf bedrijfsnaam "
    "organisatie firma firmenname unternehmen entreprise societe employer employeur empresa organizacion compania",
    "title": "jobtitle title position function functie functietitel role beruf funktion stelle berufsbezeichnung "
    "fonction poste intituleduposte cargo puesto",
    "source": "source leadsource bron herkomst quelle herkunft origine provenance origen fuente",
    "type": "type leadtype typ tipo soort",
    "status": "status leadstatus statut estado",
    "owner": "owner leadowner accountowner contactowner salesrep assignedto eigenaar accountmanager besitzer zustandig "
    "proprietaire responsable propietario",
    "tags": "tags tag labels label etiketten schlagworte schlagworter stichworte etiquettes motscles etiquetas",
    "consent": "consent optin optedin sharewithadplatforms mayshare maybeshared toestemming einwilligung zustimmung "
    "consentement consentimiento",
    "opted_out": "optout optedout unsubscribed donotcontact donotshare afgemeld abgemeldet widerspruch "
    "desinscrit desabonne dadodebaja",
    "notes": "background description notes note comment comments remarks opmerking opmerkingen notitie notities "
    "notiz notizen bemerkung bemerkungen kommentar anmerkung anmerkungen commentaire commentaires remarque remarques "
    "nota notas comentario comentarios observaciones",
}
UNSURE: Final = {
    "full_name": "contact lead person persoon",
    "source": "campaign channel",
    "phone": "number nummer",
}
_SURE: Final = {name: key for key, names in SURE.items() for name in names.split()}
_UNSURE: Final = {name: key for key, names in UNSURE.items() for name in names.split()}

_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_NUMBER: Final = re.compile(r"\+?[\d\s()./-]{5,}")
# Characters of an address: on 20,000 the pattern above may take seconds.
_LONGEST_VALUE: Final = 254


@dataclass(frozen=True, slots=True)
class Guess:
    """The field that a column probably is, "" for none. A person has to check an unsure guess."""

    field: str
    is_sure: bool


def guess_columns(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    custom: Mapping[str, CustomField],
) -> list[Guess]:
    """A guess for each column. No field is guessed twice, and sure guesses take precedence."""
    own = {
        _plain(each): name
        for name, field in custom.items()
        for each in (field.key, field.name)
    }
    guesses = [
        _guess(name, [row[index] for row in rows if index < len(row)], own)
        for index, name in enumerate(header)
    ]
    taken: set[str] = set()
    result = [Guess(LEFT_OUT, is_sure=True)] * len(guesses)
    for index, guess in sorted(
        enumerate(guesses), key=lambda pair: not pair[1].is_sure
    ):
        if guess.field and guess.field not in taken:
            taken |= {guess.field, *(["full_name"] if guess.field in NAMES else [])}
            result[index] = guess
    return result


def _guess(name: str, values: Iterable[str], own: Mapping[str, str]) -> Guess:
    if field := field_named(name) or own.get(_plain(name), ""):
        return Guess(field, is_sure=True)
    if field := _UNSURE.get(_plain(name), ""):
        return Guess(field, is_sure=False)
    filled = [value for value in values if value]
    for pattern, field in ((_ADDRESS, "email"), (_NUMBER, "phone")):
        if filled and 2 * sum(_matches(pattern, value) for value in filled) > len(
            filled
        ):
            return Guess(field, is_sure=False)
    return Guess(LEFT_OUT, is_sure=True)


def field_named(name: str) -> str:
    """The field whose usual name this is, or ""."""
    return _SURE.get(_plain(name), "")


def looks_like_value(cell: str) -> bool:
    """True for an e-mail address or a number, which no column is named."""
    return _matches(_ADDRESS, cell) or _matches(_NUMBER, cell)


def _matches(pattern: re.Pattern[str], cell: str) -> bool:
    return len(cell) <= _LONGEST_VALUE and pattern.fullmatch(cell) is not None


def _plain(name: str) -> str:
    """The name in small letters without accents, spaces and punctuation."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in decomposed if character.isalnum())
