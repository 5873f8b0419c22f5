"""Leads: people who may become customers."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.db.models import F, Q, Value
from django.db.models.functions import Lower, Now
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.urls import reverse

from crm.models.address_problems import (
    AddressDomain,
    AddressProblem,
    IsOfRole,
    has_problem,
    meant_address,
)
from crm.models.addresses import spellings
from crm.models.bidi import without_bidi_controls
from crm.models.company import Company
from crm.models.event import CrmEventKind
from crm.models.organisation import HasName, OrganisationKey, organisation_key
from crm.models.picklist import CODE_LENGTH, FIRST_TYPE
from crm.models.privacy_log import PrivacyChange, log_privacy_change
from crm.models.steps import LeadMeaning, LeadStatus
from crm.models.tenancy import CompanyQuerySet, check_company
from crm.models.tracking.tracked import DeletedMeanwhile, Tracked, TrackedQuerySet
from crm.models.validators import is_seen
from crm.search.conditions import matches

# Also the conditions of indexes.
IS_CURRENT: Final = Q(erased_at=None, merged_into=None)
WITHOUT_ADDRESS: Final = Q(IS_CURRENT, email="")
NOT_SHARED: Final = Q(IS_CURRENT, share_with_ad_platforms=False)
HAS_ORGANISATION: Final = Q(HasName("organisation"), merged_into=None)


class LeadQuerySet(TrackedQuerySet["Lead"]):
    def current(self) -> "LeadQuerySet":
        """Exclude leads that have been erased, or merged into another one: nothing lists or offers them."""
        return self.filter(IS_CURRENT)

    def of_person(self, lead: "Lead") -> "LeadQuerySet":
        """The lead and those that were merged into it, in the order in which rows are locked."""
        return self.of_people([lead])

    def of_people(self, leads: "Sequence[Lead]") -> "LeadQuerySet":
        """These leads and those that were merged into them, in the order in which rows are locked."""
        pks = [lead.pk for lead in leads]
        return self.filter(Q(pk__in=pks) | Q(merged_into__in=pks)).order_by("pk")

    def in_organisations(self) -> "LeadQuerySet":
        """Current leads that have an organisation. An erased lead has none."""
        return self.filter(HAS_ORGANISATION)

    def of_organisation(self, name: str) -> "LeadQuerySet":
        """Current leads of the organisation with this name, however it is written."""
        leads = self.in_organisations().alias(
            organisation_key=OrganisationKey("organisation")
        )
        return leads.filter(organisation_key=OrganisationKey(Value(name)))

    def with_address(self, *addresses: str) -> "LeadQuerySet":
        """Leads with one of these e-mail addresses, ignoring case and whether a domain is written as in the DNS."""
        spelled = set().union(*map(spellings, addresses))
        return self.alias(address=Lower("email")).filter(
            address__in=[Lower(Value(each)) for each in sorted(spelled)]
        )

    def with_address_problem(self, problem: AddressProblem) -> "LeadQuerySet":
        return self.filter(has_problem(problem))

    def search(self, text: str) -> "LeadQuerySet":
        """Leads with this phone number, or whose name, address, organisation, job title or number has every word.

        Case, accents and the grouping of a number don't matter. Words of one or two letters match beginnings of words.
        """
        return self.filter(matches(text))


# Fields that identify the person, emptied when they are erased
PERSONAL = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "organisation",
    "title",
    "source",
    "notes",
)
NOTHING_OF_AN_ERASED_LEAD = "nothing_of_an_erased_lead"
FINAL_FOR_A_FORM = ("erased_at", "merged_into")


class PersonErased(IntegrityError):
    """The person has been erased in the meantime. Nothing was saved, because nothing about them may be."""

    def __init__(self) -> None:
        super().__init__("Nothing was saved: this person has since been erased.")


class LeadMerged(PersonErased):
    """The lead has been merged into another one in the meantime. Nothing was saved."""

    def __init__(self) -> None:
        IntegrityError.__init__(
            self, "Nothing was saved: this lead has since been merged into another one."
        )


class DealReassigned(PersonErased):
    """The deal has been moved to another lead in the meantime. Nothing was saved."""

    def __init__(self) -> None:
        IntegrityError.__init__(
            self,
            "Nothing was saved: this deal now belongs to another lead. Reload the page.",
        )


class Lead(Tracked):
    """A lead of one company. The meaning of its status decides which CRM events fire."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="leads", db_index=False
    )
    first_name = models.CharField(max_length=120, blank=True)
    last_name = models.CharField(max_length=120, blank=True)
    email = models.EmailField("e-mail", max_length=254, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    organisation = models.CharField(max_length=160, blank=True)
    title = models.CharField("job title", max_length=120, blank=True)
    source = models.CharField(max_length=80, blank=True)
    # The `code` of a `LeadType`.
    type = models.CharField(max_length=CODE_LENGTH, default=FIRST_TYPE)
    tags = models.ManyToManyField(
        "crm.Tag", through="crm.LeadTag", related_name="leads", editable=False
    )
    status = models.ForeignKey(
        LeadStatus, on_delete=models.RESTRICT, related_name="leads"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    share_with_ad_platforms = models.BooleanField(
        "share with ad platforms",
        default=True,
        help_text="If off, nothing about this person is sent to LinkedIn, and pending events are skipped.",
    )
    # What is true of the person for good. What happens is in the history, as a `Note`.
    notes = models.TextField("background", blank=True, max_length=20_000)
    # See `custom_field`.
    custom = models.JSONField(default=dict, db_default={}, blank=True, editable=False)
    # From then on the row holds nothing personal.
    erased_at = models.DateTimeField(null=True, editable=False)
    # The lead that this one was merged into (`crm.services.lead_merges`), to which links to this one redirect.
    merged_into = models.ForeignKey(
        "self",
        null=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="merged_leads",
        db_index=False,
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[LeadQuerySet] = LeadQuerySet.as_manager()  # type: ignore[assignment]

    step = "status"
    first_meaning = LeadMeaning.NEW
    created_kind = CrmEventKind.LEAD_CREATED
    kinds_by_meaning: ClassVar[dict[str, CrmEventKind]] = {
        LeadMeaning.QUALIFIED: CrmEventKind.LEAD_QUALIFIED
    }
    snapshot_columns = ("email", "share_with_ad_platforms", "status_id", "owner_id")
    watched = frozenset(
        {
            "status",
            "status_id",
            "email",
            "share_with_ad_platforms",
            "owner",
            "owner_id",
            "company",
            "company_id",
        }
    )

    writable = Q(merged_into=None)

    class Meta(Tracked.Meta):
        ordering = ["-pk"]
        indexes = [
            models.Index("company", Lower("email"), name="lead_by_email"),
            # For the orders of the list and its filters (`crm.lists.leads`).
            models.Index(
                fields=["company", "last_name", "first_name", "id"], name="lead_by_name"
            ),
            models.Index(
                fields=["company", "organisation", "id"], name="lead_by_organisation"
            ),
            models.Index(fields=["company", "source", "id"], name="lead_by_source"),
            # The funnel (`crm.selectors.funnels`) counts in here, without reading a lead.
            models.Index(
                fields=["company", "created_at", "id"],
                name="lead_by_creation",
                include=["source", "owner", "erased_at", "merged_into"],
            ),
            models.Index(
                fields=["company", "updated_at", "id"], name="lead_by_activity"
            ),
            # For an owner's new leads (`crm.selectors.my_day`), which are found without reading a lead.
            models.Index(
                fields=["owner", "status", "created_at", "id"],
                name="lead_by_owner",
                include=["company", "erased_at", "merged_into"],
            ),
            # For the pages of organisations (`crm.selectors.organisations`), which read nothing but this index.
            models.Index(
                "company",
                OrganisationKey("organisation"),
                F("id").desc(),
                name="lead_by_organisation_key",
                condition=HAS_ORGANISATION,
                include=["organisation"],
            ),
            # For likely typos of an address, which are a list of domains.
            models.Index("company", AddressDomain("email"), name="lead_by_domain"),
            # By source and owner, to count them without reading a lead.
            models.Index(
                fields=["company", "source", "owner"],
                name="leads_of_roles",
                condition=Q(IsOfRole("email"), IS_CURRENT),
            ),
            # To count them (`crm.selectors.match_readiness`).
            models.Index(
                fields=["company"],
                name="leads_without_address",
                condition=WITHOUT_ADDRESS,
            ),
            models.Index(
                fields=["company"], name="leads_not_shared", condition=NOT_SHARED
            ),
            models.Index(
                fields=["merged_into"],
                name="merged_leads",
                condition=Q(merged_into__isnull=False),
            ),
            # To count the others without reading them (`capi.selectors.dashboard`).
            models.Index(
                fields=["company"],
                name="erased_leads",
                condition=Q(erased_at__isnull=False),
            ),
        ]
        constraints = [
            # For the order of every list, and for the composite foreign keys of `crm.models.tenancy`.
            models.UniqueConstraint(fields=["company", "id"], name="lead_of_company"),
            models.CheckConstraint(
                name=NOTHING_OF_AN_ERASED_LEAD,
                condition=Q(erased_at=None)
                | Q(
                    share_with_ad_platforms=False,
                    custom={},
                    **dict.fromkeys(PERSONAL, ""),
                ),
            ),
            models.CheckConstraint(
                name="lead_not_merged_into_itself",
                condition=Q(merged_into=None) | ~Q(merged_into=F("id")),
            ),
        ]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)

    @property
    def is_current(self) -> bool:
        """False if it was erased, or merged into another one."""
        return self.erased_at is None and self.merged_into_id is None

    @property
    def name(self) -> str:
        """First and last name; failing that, the address; failing that, “Lead” and the id."""
        if self.erased_at is not None:
            return f"Erased lead {self.pk}"
        return (
            f"{self.first_name} {self.last_name}".strip()
            or self.email
            or f"Lead {self.pk}"
        )

    def get_absolute_url(self) -> str:
        return reverse("lead", args=[self.pk])

    @property
    def meant_address(self) -> str:
        """The e-mail address that was probably meant, "" if there is no likely typo."""
        return meant_address(self.email)

    @property
    def organisation_url(self) -> str:
        """The page of the lead's organisation; "" if it has none."""
        key = organisation_key(self.organisation)
        return reverse("organisation", args=[key]) if key else ""

    def _do_update(
        self, base_qs: Any, using: str | None, pk_val: Any, values: Any, *args: Any
    ) -> Any:
        # A form opened before an erasure or a merge must not undo it by writing back what it read.
        values = [value for value in values if value[0].name not in FINAL_FOR_A_FORM]
        try:
            updated = super()._do_update(base_qs, using, pk_val, values, *args)
        except DeletedMeanwhile:
            updated = False
            if not base_qs.filter(pk=pk_val).exists():
                raise
        except IntegrityError as error:
            if NOTHING_OF_AN_ERASED_LEAD in str(error):
                raise PersonErased from error
            raise
        if not updated and base_qs.filter(pk=pk_val).exists():
            raise LeadMerged
        return updated

    def clean(self) -> None:
        """Raise ValidationError if the lead has no visible name, or another company's status."""
        super().clean()
        check_company(self, status="Choose one of your company's statuses.")
        if not is_seen(self.first_name + self.last_name):  # last, as in `Deal.clean`
            raise ValidationError({"first_name": "Enter a first name or a last name."})


@receiver(post_delete, sender=Lead)
def note_deleted_lead(instance: Lead, using: str, **kwargs: Any) -> None:
    row = (instance.pk, instance.created_at)
    log_privacy_change(
        PrivacyChange.DELETED_LEADS,
        company_id=instance.company_id,
        rows=[row],
        using=using,
    )


class LeadSearch(models.Model):
    """A member's search, often a name or an e-mail address. URLs hold its `key` instead of the text.

    A row, not part of the session: a request that read its session before an erasure would write the text back.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    key = models.CharField(max_length=20, unique=True)
    text = models.CharField(max_length=100)
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[CompanyQuerySet["LeadSearch"]] = CompanyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "lead searches"
        constraints = [
            models.UniqueConstraint(
                fields=["company", "user", "text"], name="one_search_per_text"
            )
        ]

    def __str__(self) -> str:
        return f"Search #{self.pk}"
