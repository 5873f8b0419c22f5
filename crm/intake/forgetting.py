"""Deletes the payloads of a person who is being erased, however their program wrote them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import unquote_plus

from crm.data_exchange.importing.forgetting import Person
from crm.intake.bodies import Unreadable, fields_of, text_of
from crm.models import Lead, Payload

AT_ONCE: Final = 200  # payloads of up to 256 KB


@dataclass(frozen=True, slots=True)
class PayloadSearch:
    """Which payloads are about some people, read before anything is locked: 30 days of them may take a minute."""

    read: frozenset[int]  # the keys of all payloads that were read
    about: dict[Person, list[int]]

    @classmethod
    def of(cls, leads: Sequence[Lead]) -> Self:
        """Read the payloads of the company of these leads."""
        about: dict[Person, list[int]] = {Person.of(lead): [] for lead in leads}
        read = []
        for payload in _rows(leads[0].company_id) if leads else ():
            texts = [*_texts(payload)]
            read.append(payload.pk)
            for person, keys in about.items():
                if person.is_in_row(texts):
                    keys.append(payload.pk)
        return cls(frozenset(read), about)

    def keys_about(self, lead: Lead) -> list[int]:
        """The keys of the payloads about the person. Reads those that have come since; all if the lead has changed."""
        person = Person.of(lead)
        found = [*self.about.get(person, ())]
        read = self.read if person in self.about else frozenset()
        keys = Payload.objects.for_company(lead.company_id).values_list("pk", flat=True)
        # A later key is no sign of a later payload: another one may be committed first.
        unread = [pk for pk in keys if pk not in read]
        for payload in _rows(lead.company_id, unread):
            if person.is_in_row(_texts(payload)):
                found.append(payload.pk)
        return found


def forget_payloads(lead: Lead, search: PayloadSearch) -> None:
    """Delete the payloads that made the lead, and all others that are about the person."""
    payloads = Payload.objects.for_company(lead.company_id)
    payloads.filter(made=lead).delete()
    about = search.keys_about(lead)
    Payload.objects.for_company(lead.company_id, keys=about).delete()


def _rows(company_id: int, keys: Sequence[int] | None = None) -> Iterator[Payload]:
    """The company's payloads, or those with these keys."""
    rows = Payload.objects.for_company(company_id)
    if keys is not None:
        rows = Payload.objects.for_company(company_id, keys=keys)
    yield from rows.only("pk", "body", "content_type").iterator(chunk_size=AT_ONCE)


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
