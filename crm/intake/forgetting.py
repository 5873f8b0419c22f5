"""Deletes the payloads of a person who is being erased, however their program wrote them."""

from collections.abc import Iterable, Iterator
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


def _texts(payload: Payload) -> Iterable[str]:
    """The values as they are read. Of what can't be read, its whole text."""
    body = bytes(payload.body)
    try:
        return fields_of(body, payload.content_type).values()
    except Unreadable:
        return _whole(body)


def _whole(body: bytes) -> Iterator[str]:
    text = text_of(body)
    yield text
    yield unquote_plus(text)
    yield text.encode("utf-8", "replace").decode("unicode_escape", "replace")
