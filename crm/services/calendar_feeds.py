"""The links under which calendar programs read a member's tasks."""

from crm.models import CalendarFeed, Membership, User
from crm.models.people import address_token, sha256


def renew_feed(*, membership: Membership) -> str:
    """Give the member's feed a new token and return it. The old link no longer works; only a hash is stored."""
    token = address_token()
    CalendarFeed.objects.update_or_create(
        company=membership.company,
        user=membership.user,
        defaults={"token_sha256": sha256(token)},
    )
    return token


def remove_feed(*, membership: Membership) -> None:
    """Remove the member's feed: its link no longer works."""
    CalendarFeed.objects.for_company(membership.company).filter(
        user=membership.user
    ).delete()


def remove_feeds_of(*, user: User) -> None:
    """Remove the user's feeds in all companies."""
    CalendarFeed.objects.filter(user=user).delete()
