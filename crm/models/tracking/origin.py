"""Who makes the changes of a block, and how: the recorder writes it down with each change."""

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Final

from crm.models.api_key import ApiKey
from crm.models.people import User

# The kind of a CRM event, and its deal or else its lead.
Occasion = tuple[str, int | None, int | None]


def occasion(kind: str, lead_id: int | None, deal_id: int | None) -> Occasion:
    """What a CRM event is about. A deal counts without its lead: it may have been moved to another one since."""
    return kind, lead_id if deal_id is None else None, deal_id


@dataclass(frozen=True, slots=True)
class Origin:
    """Who makes the changes of a block, and how.

    `action` identifies a request whose changes can be undone: its CRM events are released only after the company's
    grace period. `reinstates` is set by an undo, which records CRM events only for these occasions. `already_sent`
    collects a sentence for each CRM event that the action took back although it had been sent to an ad platform. With
    `history_only`, CRM events are recorded, but never sent to an ad platform.
    """

    actor: User | ApiKey | None = None
    action: uuid.UUID | None = None
    reinstates: Collection[Occasion] | None = None
    already_sent: list[str] = field(default_factory=list, compare=False)
    history_only: bool = False

    @property
    def actor_columns(self) -> dict[str, int | None]:
        """The columns of a row that name the actor."""
        return {
            "actor_id": self.actor.pk if isinstance(self.actor, User) else None,
            "api_key_id": self.actor.pk if isinstance(self.actor, ApiKey) else None,
        }


SYSTEM: Final = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=SYSTEM)


@contextmanager
def acting_as(
    actor: User | ApiKey | None,
    *,
    action: uuid.UUID | None = None,
    history_only: bool = False,
) -> Iterator[None]:
    """Attribute every change inside this block to a user or an API key."""
    token = _origin.set(Origin(actor, action, history_only=history_only))
    try:
        yield
    finally:
        _origin.reset(token)


def act_as(actor: User | ApiKey | None, *, action: uuid.UUID | None = None) -> None:
    """Set the actor for the rest of the current `acting_as` block, once it is known."""
    _origin.set(Origin(actor, action))


@contextmanager
def undoing(reinstates: Collection[Occasion]) -> Iterator[None]:
    """Record the changes inside this block as an undo."""
    token = _origin.set(replace(_origin.get(), reinstates=reinstates))
    try:
        yield
    finally:
        _origin.reset(token)


def current_origin() -> Origin:
    """The origin of the current block; that of automatic changes outside any."""
    return _origin.get()


def current_actor() -> User | ApiKey | None:
    """The current actor; None for the operator's commands and automatic changes."""
    return _origin.get().actor


def current_action() -> uuid.UUID | None:
    """The action of the current request; None where changes can't be undone."""
    return _origin.get().action


def already_sent() -> list[str]:
    """What had been sent about CRM events that the current action took back: a sentence each."""
    return _origin.get().already_sent
