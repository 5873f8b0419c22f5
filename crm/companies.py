"""Founding a company."""

from django.db import transaction
from django.utils.crypto import get_random_string
from django.utils.text import slugify

from crm.models import Company, Membership, User
from crm.roles import Role


@transaction.atomic
def found_company(*, name: str, admin: User) -> Company:
    """A new company with its first admin. Two companies may have the same name."""
    company = Company.objects.create(name=name, slug=_free_slug(name))
    Membership.objects.create(company=company, user=admin, role=Role.ADMIN)
    return company


def _free_slug(name: str) -> str:
    slug = slugify(name)[:50] or "company"
    taken = Company.objects.filter(slug=slug).exists()
    return f"{slug}-{get_random_string(6).lower()}" if taken else slug
