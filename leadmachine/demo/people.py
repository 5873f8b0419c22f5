"""The demo's companies and users, and the names of its leads. Any resemblance to real people or companies is chance."""

import random
import re
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.hashers import make_password

from crm.models import Company, Membership, User
from crm.models.roles import Role

# Leads

FIRST_NAMES: Final = re.findall(
    r"\w+",
    """
Ada Amir Bea Bram Carlos Chloe Daan Dina Elif Emil Fatou Femke Goran Greta Hana Hugo Ines Ivo Jonas Julia Kaan Karin
Lars Leila Mara Mikael Nadia Nils Omar Paula Pieter Rosa Ruben Sanne Selma Tariq Tess Umar Vera Viktor Yara
""",
)
LAST_NAMES: Final = re.findall(
    r"\w+",
    """
Aalto Bakker Berger Castillo Dekker Diallo Eriksen Fischer Fontaine Garcia Haddad Hansen Ito Jansen Keller Kowalski
Lambert Lindholm Marino Meyer Moreau Nowak Olsen Petrov Quist Rossi Sato Silva Smit Taylor Ueda Visser Weber Yilmaz
""",
)
ORGANISATIONS: Final = (
    "Amber Foods", "Birch & Stone", "Bluewater Logistics", "Copperfield Tools", "Delta Clinics", "Eastgate Hotels",
    "Fennel Kitchens", "Granite Insurance", "Harbour Freight", "Indigo Textiles", "Juniper Energy", "Kestrel Aviation",
    "Larkspur Software", "Meadow Dairy", "Nimbus Networks", "Orchard Retail", "Pinnacle Training", "Quartz Optics",
    "Riverside Print", "Saltmarsh Marine", "Tamarind Travel", "Umber Architects", "Verdant Farms", "Willow Health",
)  # fmt: skip
TITLES: Final = (
    "Head of Operations", "Managing Director", "Office Manager", "Procurement Lead", "IT Manager", "Marketing Director",
    "Finance Manager", "Sales Director", "Founder", "Project Manager",
)  # fmt: skip
SOURCES: Final = (
    "LinkedIn ad",
    "LinkedIn ad",
    "LinkedIn ad",
    "Website form",
    "Trade fair",
    "Referral",
    "Webinar",
)
DEAL_TITLES: Final = (
    "Starter plan", "Team licences", "Enterprise licences", "Onboarding package", "Annual renewal", "Pilot project",
    "Integration work", "Support contract",
)  # fmt: skip
LOST_REASONS: Final = ("Price", "A competitor", "No budget", "Bad timing", "No answer")
RENEWALS: Final = (
    ("Due", "open", 60),
    ("Offered", "open", 80),
    ("Renewed", "won", 100),
    ("Ended", "lost", 0),
)
TASK_TITLES: Final = (
    ("task", "Send the offer"), ("task", "Answer the security questions"), ("task", "Send the contract"),
    ("task", "Ask for a start date"), ("call", "Call about the offer"), ("call", "Follow up after the webinar"),
    ("meeting", "Demo for the buying team"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """A fictitious lead."""

    first_name: str
    last_name: str
    email: str
    organisation: str


def demo_people(count: int, dice: random.Random) -> list[DemoPerson]:
    """Return this many people, no two with the same name."""
    names = [(first, last) for first in FIRST_NAMES for last in LAST_NAMES]
    return [
        _person(first, last, dice.choice(ORGANISATIONS))
        for first, last in dice.sample(names, count)
    ]


def _person(first: str, last: str, organisation: str) -> DemoPerson:
    address = f"{first}.{last}@{domain_of(organisation)}".lower()
    return DemoPerson(first, last, address, organisation)


def domain_of(organisation: str) -> str:
    """The domain of a fictitious organisation."""
    host = re.sub(r"[^a-z]+", "-", organisation.lower())
    return f"{host}.example"


# Companies and users

PASSWORD: Final = "try-the-machine"  # noqa: S105 - public: the demo command prints it


@dataclass(frozen=True, slots=True)
class Person:
    """A user, who signs in with PASSWORD."""

    first_name: str
    last_name: str
    email: str
    role: Role


@dataclass(frozen=True, slots=True)
class DemoCompany:
    """A company and its users; the first is its admin."""

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
    "Contoso GmbH",
    "contoso",
    (Person("Clara", "Brandt", "clara@contoso.example", Role.ADMIN),),
)


def create(demo_company: DemoCompany) -> Company:
    """Create the company and its users."""
    company = Company.objects.create(name=demo_company.name, slug=demo_company.slug)
    password = make_password(PASSWORD)  # slow by design, so once for all of them
    for person in demo_company.people:
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
    """Return the company's first user with this role, or its admin if there is none."""
    memberships = Membership.objects.for_company(company).select_related("user")
    membership = memberships.filter(role=role).first() or memberships.first()
    assert membership is not None
    return membership.user
