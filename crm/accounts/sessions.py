"""Who vouched for the user of a session: they themselves, or a company's provider."""

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest

from crm.models import Membership, User
from crm.models.people import MembershipQuerySet

BY_PROVIDER = "socialaccount"  # allauth's word in its records


def provider_of(request: HttpRequest, user: User) -> str:
    """The code of the company's provider that made this session; "" if the user showed a password or passkey.

    Whatever they confirm later changes nothing: the session stays bound to the company.
    """
    first_factors = [record for record in get_authentication_records(request, user) if _is_first_factor(record)]
    if not first_factors or first_factors[-1]["method"] != BY_PROVIDER:
        return ""
    return str(first_factors[-1]["provider"])


def _is_first_factor(record: dict[str, object]) -> bool:
    is_second = record["method"] == "mfa" and not record.get("passwordless")
    return not is_second and not record.get("reauthenticated")


def memberships_of(request: HttpRequest, user: User) -> MembershipQuerySet:
    """The user's memberships that this session may use."""
    return Membership.objects.active().of_open_companies().filter(user=user).open_to(provider_of(request, user))
