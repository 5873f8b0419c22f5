"""Founding a company: by signing up, or by the operator."""

from django.db import transaction
from django.utils.crypto import get_random_string
from django.utils.text import slugify

from crm import audit
from crm.accounts.addresses import confirm_address
from crm.models import AuditAction, Company, Membership, User
from crm.roles import Role


@transaction.atomic
def found_company(*, name: str, admin: User) -> Company:
    """A new company with its first admin. Two companies may have the same name."""
    company = Company.objects.create(name=name, slug=_free_slug(name))
    Membership.objects.create(company=company, user=admin, role=Role.ADMIN)
    return company


@transaction.atomic
def create_company(*, name: str, admin: User) -> Company:
    """A new company, made by the operator, with its first admin: somebody who has an account, or an unsaved user.

    The operator vouches for the admin's address, so that no mail has to confirm it.
    """
    if admin._state.adding:
        admin.save()
    confirm_address(admin)
    company = found_company(name=name, admin=admin)
    audit.record(company=company, action=AuditAction.MEMBER_JOINED, about=admin, details={"role": Role.ADMIN.value})
    return company


def _free_slug(name: str) -> str:
    slug = slugify(name)[:50] or "company"
    taken = Company.objects.filter(slug=slug).exists()
    return f"{slug}-{get_random_string(6).lower()}" if taken else slug
