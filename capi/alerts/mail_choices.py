"""Who gets mail about a company's connection: admins unless they opt out, ops if they opt in.

Sales reps get none, as they may not see the page.
"""

from dataclasses import dataclass
from typing import Final

from django.core import signing
from django.db.models import TextChoices

from capi.models import MailChoice
from crm.models import Company, Membership, User
from crm.models.roles import Action, Role


class MailTopic(TextChoices):
    """The mails a person may choose, by field name."""

    ALERTS = "alerts", "alerts"
    WEEKLY = "weekly", "the weekly reconcile"


@dataclass(frozen=True, slots=True)
class MemberMails:
    """The mails a member gets."""

    membership: Membership
    alerts: bool
    weekly: bool


def choices_of(company: Company | int) -> list[MemberMails]:
    """Everyone who may get mail about the company's connection, with their choice. Two queries."""
    members = (
        Membership.objects.for_company(company)
        .active()
        .of_open_companies()
        .select_related("user")
    )
    chosen = {
        choice.user_id: choice for choice in MailChoice.objects.for_company(company)
    }
    return [
        _choice(member, chosen.get(member.user_id))
        for member in members
        if member.may(Action.SEE_CONNECTION)
    ]


def choose(*, company: Company, user: User, alerts: bool, weekly: bool) -> None:
    """Save which mails a person wants from this company."""
    wanted = {"alerts": alerts, "weekly": weekly}
    MailChoice.objects.update_or_create(company=company, user=user, defaults=wanted)


UNSUBSCRIBE_SALT: Final = "capi.alerts.unsubscribe"


def unsubscribe_token(company_id: int, user_id: int, topic: MailTopic) -> str:
    """What the link in this person's mails contains: it stops the mails of this topic, and opens nothing."""
    return signing.dumps([company_id, user_id, topic], salt=UNSUBSCRIBE_SALT)


def subscription(token: str) -> tuple[MemberMails, MailTopic] | None:
    """The member that the token is about, with their choice. None if it is invalid or they may get no mails."""
    try:
        company_id, user_id, topic = signing.loads(token, salt=UNSUBSCRIBE_SALT)
    except signing.BadSignature:
        return None
    own = (
        choice
        for choice in choices_of(company_id)
        if choice.membership.user_id == user_id
    )
    choice = next(own, None)
    return (choice, MailTopic(topic)) if choice else None


def unsubscribe(choice: MemberMails, topic: MailTopic) -> None:
    """Send this member no more mails of this topic, for this company."""
    wanted = {"alerts": choice.alerts, "weekly": choice.weekly, topic.value: False}
    choose(company=choice.membership.company, user=choice.membership.user, **wanted)


def recipients(company_id: int, topic: MailTopic) -> list[int]:
    """The ids of the users who want this mail."""
    return [
        choice.membership.user_id
        for choice in choices_of(company_id)
        if getattr(choice, topic)
    ]


def may_still_read(company_id: int, user_id: int) -> bool:
    """True if this person may still see the company's connection."""
    return any(
        choice.membership.user_id == user_id for choice in choices_of(company_id)
    )


def _choice(member: Membership, chosen: MailChoice | None) -> MemberMails:
    by_role = member.role == Role.ADMIN
    return MemberMails(
        member, *((chosen.alerts, chosen.weekly) if chosen else (by_role, by_role))
    )
