"""Deletes the payloads of a person who is being erased, however their program wrote them."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_plus

from crm.data_exchange.importing.forgetting import Person
from crm.intake.bodies import Unreadable, fields_of, text_of
from crm.models import Lead, Payload

AT_ONCE: Final = 200  # payloads of up to 256 KB


def forget_payloads(lead: Lead) -> None:
    """Delete the payloads that made the lead, and all others that are about the person."""
    payloads = Payload.objects.for_company(lead.company_id)
    payloads.filter(made_id=lead.pk).delete()
    person = Person.of(lead)
    rows = payloads.only("pk", "body", "content_type").iterator(chunk_size=AT_ONCE)
    about = [each.pk for each in rows if person.is_in_row(_texts(each))]
    Payload.objects.for_company(lead.company_id, keys=about).delete()


def _texts(payload: Payload) -> Iterator[str]:
    """Names and values as they are read, and the whole text: not everything in a body is read."""
    body = bytes(payload.body)
    yield from _whole(body)
    try:
        fields = fields_of(body, payload.content_type)
    except Unreadable:
        return
    yield from fields
    yield from fields.values()


def _whole(body: bytes) -> Iterator[str]:
    text = text_of(body)
    yield text
    yield unquote_plus(text)
    yield text.encode("utf-8", "replace").decode("unicode_escape", "replace")
