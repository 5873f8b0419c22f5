"""Who signs in to the demo, and where."""

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.hashers import make_password

from crm.models import Company, Membership, User
from crm.models.roles import Role

PASSWORD: Final = "try-the-machine"  # noqa: S105 - printed for everybody to see


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in with PASSWORD."""

    first_name: str
    last_name: str
    email: str
    role: Role


@dataclass(frozen=True, slots=True)
class DemoCompany:
    """A company and its people; the first one is its admin."""

    name: str
    slug: str
    people: tuple[Person, ...]


NORTHWIND: Final = DemoCompany(
    "Northwind BV",
    "northwind",
    (
        Person("Anna", "de Vries", "anna@northwind.example", Role.ADMIN),
        Person("Sami", "Okafor", "sami@northwind.example", Role.SALES),
        Person("Olga", "Lindqvist", "olga@northwind.example", Role.OPS),
    ),
)
CONTOSO: Final = DemoCompany(
    "Contoso GmbH", "contoso", (Person("Clara", "Brandt", "clara@contoso.example", Role.ADMIN),)
)  # fmt: skip


def make(cast: DemoCompany) -> Company:
    """Write the company and its people."""
    company = Company.objects.create(name=cast.name, slug=cast.slug)
    password = make_password(PASSWORD)  # slow by design, so once for all of them
    for person in cast.people:
        user = User.objects.create(
            username=person.email,
            email=person.email,
            first_name=person.first_name,
            last_name=person.last_name,
            password=password,
        )
        Membership.objects.create(company=company, user=user, role=person.role)
    return company


def member(company: Company, role: Role) -> User:
    """The company's first user with this role, or its admin where it has none."""
    members = Membership.objects.for_company(company).select_related("user")
    found = members.filter(role=role).first() or members.first()
    assert found is not None
    return found.user
