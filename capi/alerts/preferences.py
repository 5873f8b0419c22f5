"""Who gets mail. Admins unless they choose otherwise, ops if they choose so, sales never: they may not see the page."""

from dataclasses import dataclass
from enum import StrEnum

from capi.models import MailChoice
from crm.models import Company, Membership, User
from crm.models.roles import Action, Role


class MailTopic(StrEnum):
    """What one may choose to get, by the name of its field."""

    ALERTS = "alerts"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a member gets by mail."""

    membership: Membership
    alerts: bool
    weekly: bool


def choices_of(company: Company | int) -> list[Choice]:
    """Everybody who may get mail about the company's line to LinkedIn, with what they get. Two queries."""
    members = Membership.objects.for_company(company).active().of_open_companies().select_related("user")
    chosen = {choice.user_id: choice for choice in MailChoice.objects.for_company(company)}
    return [_choice(member, chosen.get(member.user_id)) for member in members if member.may(Action.SEE_CONNECTION)]


def choose(*, company: Company, user: User, alerts: bool, weekly: bool) -> None:
    """Keep what a person wants to get from this company."""
    wanted = {"alerts": alerts, "weekly": weekly}
    MailChoice.objects.update_or_create(company=company, user=user, defaults=wanted)


def recipients(company_id: int, want: MailTopic) -> list[int]:
    """The ids of the users who want this."""
    return [choice.membership.user_id for choice in choices_of(company_id) if getattr(choice, want)]


def may_still_read(company_id: int, user_id: int) -> bool:
    """True if this person is still somebody who may know how the company's line is."""
    return any(choice.membership.user_id == user_id for choice in choices_of(company_id))


def _choice(member: Membership, chosen: MailChoice | None) -> Choice:
    by_role = member.role == Role.ADMIN
    return Choice(member, *((chosen.alerts, chosen.weekly) if chosen else (by_role, by_role)))
