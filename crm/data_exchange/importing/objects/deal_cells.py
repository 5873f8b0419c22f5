"""The fields of a deal that a column can be, and how their cells are read."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone

from crm.data_exchange.importing.cells import Cell, Reader, TextReader
from crm.data_exchange.importing.objects.definition import Field
from crm.data_exchange.importing.objects.lead_references import (
    LEAD_REFERENCES,
    lead_readers,
    number_reader,
)
from crm.models import Deal, FieldType, RowProblem, Stage
from crm.models.deal import FIRST_YEAR
from crm.models.validators import CODES

SYMBOLS: Final = {"€": "EUR", "£": "GBP", "$": "USD", "US$": "USD"}
HIGHEST: Final = Decimal(10) ** 12  # what the column of amounts can't hold
# With the names that deals have in exports of HubSpot, Pipedrive, Salesforce, Zoho and Attio.
DEAL_FIELDS: Final = {
    "deal_title": Field(
        "Deal",
        "deal dealname dealtitle opportunity opportunityname potentialname "
        "opportuniteit verkoopkans geschaft geschaftsname verkaufschance affaire "
        "opportunite negocio oportunidad trato",
        unsure="title name subject",
    ),
    "deal_number": Field("Deal number", "dealnumber dealid dealnummer"),
    **LEAD_REFERENCES,
    "amount": Field(
        "Amount",
        "amount value dealvalue dealamount bedrag waarde betrag wert montant valeur "
        "importe valor",
    ),
    "currency": Field(
        "Currency", "currency valuta wahrung devise moneda currencycode dealcurrency"
    ),
    "pipeline": Field(
        "Pipeline", "pipeline dealpipeline pijplijn verkaufsprozess embudo"
    ),
    "stage": Field(
        "Stage",
        "stage dealstage fase phase etape etapa status dealstatus",
    ),
    "owner": Field(
        "Owner",
        "owner dealowner opportunityowner salesrep assignedto eigenaar besitzer "
        "proprietaire responsable propietario",
    ),
    "expected_close": Field(
        "Expected close",
        "expectedclose expectedclosedate dealexpectedclosedate closedate closingdate "
        "expectedclosingdate "
        "verwachteafsluiting sluitdatum abschlussdatum datedecloture fechadecierre",
    ),
    "lost_reason": Field(
        "Lost reason",
        "lostreason deallostreason closedlostreason lossreason reasonforloss "
        "redenverlies verlustgrund "
        "raisondeperte motivodeperdida",
    ),
    "outcome_note": Field("Why won or lost", "whywonorlost closedwonreason"),
    "tags": Field(
        "Tags", "tags tag labels label deallabel etiketten etiquettes etiquetas"
    ),
    "created": Field(
        "Created",
        "created createdate createddate createdat createdtime dealcreated dealdealcreated "
        "aangemaakt "
        "erstellt erstelltam datedecreation fechadecreacion addtime",
    ),
    "closed": Field(
        "Won or lost on",
        "closed closedat closedon dealdealclosedon wontime losttime dateclosed",
    ),
}
# The attributes of a deal that an import fills if they are empty.
FILLABLE: Final = ("amount", "expected_close", "owner_id", "outcome_note")
TYPED: Final = {
    "amount": FieldType.MONEY,
    "expected_close": FieldType.DATE,
    "created": FieldType.DATE,
    "closed": FieldType.DATE,
}


def as_of_deal(name: str, value: Any) -> Any:
    """The value of this field as a deal has it."""
    if name == "amount":
        return Decimal(value)
    return date.fromisoformat(value) if name == "expected_close" else value


def readers_of_deals() -> dict[str, Reader]:
    """The readers of fields whose values are from no list, by field, without numbers and dates."""
    return {
        **lead_readers(),
        "deal_title": TextReader("title", Deal._meta.get_field("title")),
        "deal_number": number_reader("deal_number"),
        "currency": _read_currency,
        "outcome_note": TextReader(
            "outcome_note", Deal._meta.get_field("outcome_note")
        ),
    }


def problem_of_deal(name: str, value: Any) -> str:
    """What is wrong with a number or date in this field of a deal, "" if nothing is."""
    if name == "amount":
        is_possible = 0 <= Decimal(value) < HIGHEST
        return "" if is_possible else RowProblem.AMOUNT_IMPOSSIBLE
    if name not in TYPED:
        return ""
    day = date.fromisoformat(value)
    is_past = name == "expected_close" or day <= timezone.localdate()
    is_possible = day.year >= FIRST_YEAR and is_past
    return "" if is_possible else RowProblem.DATE_IMPOSSIBLE


def stage_of(values: Mapping[str, Any]) -> Stage | None:
    """The stage of this name in the row's pipeline, or in the default one, or in the only one that has it."""
    stages: Sequence[Stage] = values.get("stages", ())
    if pipeline := values.get("pipeline"):
        return _only([each for each in stages if each.pipeline_id == pipeline.pk])
    usual = [each for each in stages if each.pipeline.is_default]
    return _only(usual or stages)


def _only(stages: Sequence[Stage]) -> Stage | None:
    return stages[0] if len(stages) == 1 else None


def _read_currency(cell: str) -> Cell:
    text = cell.strip().upper()
    code = SYMBOLS.get(text, text)
    if code not in CODES:
        return {}, RowProblem.NOT_A_CURRENCY
    return {"currency": code}, ""
