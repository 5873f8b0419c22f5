"""Puts the addresses of existing accounts into their normal form, once, in a migration."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from crm.models.addresses import account_address

WHAT_TO_DO = (
    "Nothing was changed. Start the version that ran before, change or delete all but one of each in /admin/ (the "
    "address of a person under Users, and under Email addresses if it is there too; an invitation under Invitations), "
    "then run migrate again."
)


def normalise_addresses(*, users: Any, addresses: Any, invitations: Any) -> None:
    """Put the addresses of users, their allauth rows and invitations into the normal form: all of them, or none.

    The arguments are the managers of a migration's models. Raises CommandError that names the rows that conflict and
    those whose address has no normal form: a person has to decide which account a mailbox belongs to.
    """
    named = list(users.exclude(email="").order_by("pk"))
    stored = list(addresses.order_by("pk"))
    invited = list(invitations.filter(accepted_at=None, revoked_at=None).order_by("pk"))
    problems = [
        *_problems("user", ((row, ()) for row in named)),
        *_problems("e-mail address", ((row, (row.user_id,)) for row in stored)),
        *_problems("e-mail address", ((row, ("verified",)) for row in stored if row.verified)),
        *_problems("invitation", ((row, (row.company_id,)) for row in invited)),
        *_taken_usernames(users, named),
    ]
    if problems:
        raise CommandError(f"{' '.join(dict.fromkeys(problems))} {WHAT_TO_DO}")
    for user in named:
        users.filter(pk=user.pk).update(username=_new_username(user), email=account_address(user.email))
    for manager, rows in ((addresses, stored), (invitations, invited)):
        for row in rows:
            manager.filter(pk=row.pk).update(email=account_address(row.email))


def _problems(noun: str, rows: Iterable[tuple[Any, tuple[object, ...]]]) -> list[str]:
    """A sentence for each address without a normal form, and for each that several rows of a group share."""
    problems: list[str] = []
    first: dict[tuple[object, ...], int] = {}
    for row, group in rows:
        try:
            key = (*group, account_address(row.email))
        except ValidationError:
            problems.append(f"The address of {noun} {row.pk} can't be used for an account.")
            continue
        if key in first:
            problems.append(f"The addresses of {noun} {first[key]} and {noun} {row.pk} are the same.")
        first.setdefault(key, row.pk)
    return problems


def _taken_usernames(users: Any, named: list[Any]) -> list[str]:
    """A sentence for each user whose username would change with their address to that of another user."""
    moves = {_new_username(user): user for user in named if _new_username(user) != user.username}
    taken = users.filter(username__in=moves).values_list("username", "pk")
    return [f"The new username of user {moves[name].pk} is that of user {pk}." for name, pk in taken]


def _new_username(user: Any) -> str:
    """The username: the normalised address, unless the user has another username."""
    has_own = user.username != user.email[:150]
    username: str = user.username if has_own else _or_as_it_is(user.email)[:150]
    return username


def _or_as_it_is(email: str) -> str:
    try:
        return account_address(email)
    except ValidationError:
        return email
