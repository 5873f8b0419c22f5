"""What a company knows of an organisation besides its leads: its domain, owner, industry, size, and so on."""

from typing import ClassVar, Final, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_domain_name
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from crm.models.address_problems import UNUSUAL, USUAL
from crm.models.company import Company
from crm.models.lead import Lead
from crm.models.organisation import KEY_LENGTH, OrganisationKey
from crm.models.tenancy import CompanyQuerySet

DOMAIN_LENGTH: Final = 253  # RFC 1035, without the last dot
NOT_A_DOMAIN: Final = "Enter a domain such as acme.com."
PROVIDER: Final = "Many organisations have addresses with this domain."
NOT_A_PAGE: Final = "Enter an address that begins with https:// or http://."
PROVIDERS: Final = frozenset([*UNUSUAL, *USUAL])  # of personal addresses
# The fields that people fill in.
DETAILS: Final = ("domain", "owner", "industry", "size", "address", "website", "notes")


class OrganisationSize(models.TextChoices):
    """How many people work at an organisation, in the steps that LinkedIn's pages have."""

    UP_TO_10 = "1-10", "1 to 10"
    UP_TO_50 = "11-50", "11 to 50"
    UP_TO_200 = "51-200", "51 to 200"
    UP_TO_500 = "201-500", "201 to 500"
    UP_TO_1000 = "501-1000", "501 to 1,000"
    UP_TO_5000 = "1001-5000", "1,001 to 5,000"
    UP_TO_10000 = "5001-10000", "5,001 to 10,000"
    MORE = "10001+", "More than 10,000"


class OrganisationDetailsQuerySet(CompanyQuerySet["OrganisationDetails"]):
    def without_leads(self) -> Self:
        """Those of organisations that no lead names any more."""
        leads = Lead.objects.in_organisations().alias(
            organisation_key=OrganisationKey("organisation")
        )
        named = leads.filter(
            company=OuterRef("company"), organisation_key=OuterRef("key")
        )
        return self.exclude(Exists(named))


class OrganisationDetails(models.Model):
    """The details of an organisation. One without any has no row.

    `key` is that of the names that its leads have (`organisation_key`). Nothing of it is sent to LinkedIn.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(max_length=KEY_LENGTH, db_collation="C", editable=False)
    domain = models.CharField(max_length=DOMAIN_LENGTH, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    industry = models.CharField(max_length=80, blank=True)
    size = models.CharField(max_length=12, blank=True, choices=OrganisationSize.choices)
    address = models.TextField(max_length=400, blank=True)
    website = models.URLField(max_length=200, blank=True)
    # As of a lead: what is true for good.
    notes = models.TextField(
        "background", blank=True, max_length=20_000, default="", db_default=""
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[OrganisationDetailsQuerySet] = (
        OrganisationDetailsQuerySet.as_manager()  # type: ignore[assignment]
    )

    class Meta:
        verbose_name = "details of an organisation"
        verbose_name_plural = "details of organisations"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["company", "key"], name="details_of_organisation"
            )
        ]
        indexes = [
            # To find an organisation by the domain of an address.
            models.Index(
                fields=["company", "domain"],
                name="organisation_by_domain",
                condition=~Q(domain=""),
            ),
            # To list the industries without reading every row (`crm.lists.filter_choices`).
            models.Index(
                fields=["company", "industry"], name="organisation_by_industry"
            ),
        ]

    def __str__(self) -> str:
        return f"Details {self.pk}"

    def clean(self) -> None:
        """Raise ValidationError for a website that no browser opens."""
        super().clean()
        if self.website and not self.website.startswith(("https://", "http://")):
            raise ValidationError({"website": NOT_A_PAGE})


def read_domain(text: str) -> str:
    """The domain that is meant, in lower case and without “www.”; "" for an empty text.

    Raises ValidationError if it is none, or that of a provider of personal addresses.
    """
    domain = text.strip().lower().removeprefix("www.")
    if not domain:
        return ""
    try:
        validate_domain_name(domain)
    except ValidationError as error:
        raise ValidationError(NOT_A_DOMAIN) from error
    if domain in PROVIDERS:
        raise ValidationError(PROVIDER)
    return domain
