"""Who gets mail: admins unless they opt out, ops if they opt in, sales never, as they may not see the page."""

from dataclasses import dataclass
from enum import StrEnum

from capi.models import MailChoice
from crm.models import Company, Membership, User
from crm.models.roles import Action, Role


class MailTopic(StrEnum):
    """The mails a person may choose, by field name."""

    ALERTS = "alerts"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Choice:
    """The mails a member gets."""

    membership: Membership
    alerts: bool
    weekly: bool


def choices_of(company: Company | int) -> list[Choice]:
    """Everyone who may get mail about the company's connection, with their choice. Two queries."""
    members = Membership.objects.for_company(company).active().of_open_companies().select_related("user")
    chosen = {choice.user_id: choice for choice in MailChoice.objects.for_company(company)}
    return [_choice(member, chosen.get(member.user_id)) for member in members if member.may(Action.SEE_CONNECTION)]


def choose(*, company: Company, user: User, alerts: bool, weekly: bool) -> None:
    """Save which mails a person wants from this company."""
    wanted = {"alerts": alerts, "weekly": weekly}
    MailChoice.objects.update_or_create(company=company, user=user, defaults=wanted)


def recipients(company_id: int, topic: MailTopic) -> list[int]:
    """The ids of the users who want this mail."""
    return [choice.membership.user_id for choice in choices_of(company_id) if getattr(choice, topic)]


def may_still_read(company_id: int, user_id: int) -> bool:
    """True if this person may still see the company's connection."""
    return any(choice.membership.user_id == user_id for choice in choices_of(company_id))


def _choice(member: Membership, chosen: MailChoice | None) -> Choice:
    by_role = member.role == Role.ADMIN
    return Choice(member, *((chosen.alerts, chosen.weekly) if chosen else (by_role, by_role)))
