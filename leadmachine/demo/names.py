"""The names that the demo's leads are made of. Any likeness to a person or company is chance."""

import random
import re
from dataclasses import dataclass
from typing import Final

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
SOURCES: Final = ("LinkedIn ad", "LinkedIn ad", "LinkedIn ad", "Website form", "Trade fair", "Referral", "Webinar")
DEAL_TITLES: Final = (
    "Starter plan", "Team licences", "Enterprise licences", "Onboarding package", "Annual renewal", "Pilot project",
    "Integration work", "Support contract",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """A made-up person."""

    first_name: str
    last_name: str
    email: str
    organisation: str


def demo_people(count: int, dice: random.Random) -> list[DemoPerson]:
    """So many people, no two with the same name."""
    names = [(first, last) for first in FIRST_NAMES for last in LAST_NAMES]
    return [_face(first, last, dice.choice(ORGANISATIONS)) for first, last in dice.sample(names, count)]


def _face(first: str, last: str, organisation: str) -> DemoPerson:
    host = re.sub(r"[^a-z]+", "-", organisation.lower())
    return DemoPerson(first, last, f"{first}.{last}@{host}.example".lower(), organisation)
