"""Saved views: filters, sorting and columns of the leads list under a name."""

from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.bidi import without_bidi_controls
from crm.models.company import Company
from crm.models.people import Membership
from crm.models.roles import Action
from crm.models.tenancy import CompanyQuerySet

LONGEST_QUERY: Final = 2000  # characters


class SavedViewQuerySet(CompanyQuerySet["SavedView"]):
    def visible_to(self, membership: Membership) -> "SavedViewQuerySet":
        """The member's own views and those that are shared, each by name."""
        own_or_shared = Q(owner=membership.user) | Q(is_shared=True)
        return self.for_company(membership.company).filter(own_or_shared).order_by("name", "pk")


class SavedView(models.Model):
    """A view that a member has saved, for themselves or for everyone in the company.

    `query` is the query string of the list, without what was searched for: that is personal data.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="saved_views", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=LONGEST_QUERY, blank=True, editable=False)
    columns = models.CharField(max_length=400, blank=True, db_default="", default="", editable=False)
    is_shared = models.BooleanField("shared with everyone in the company", default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[SavedViewQuerySet] = SavedViewQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company", "owner", "name"], name="one_saved_view_per_name"),
        ]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)

    def may_be_changed_by(self, membership: Membership) -> bool:
        """True for the member who made it, as long as they may edit leads, and for admins if it is shared."""
        is_own = membership.user_id == self.owner_id and membership.may(Action.EDIT_LEADS)
        return is_own or (self.is_shared and membership.may(Action.MANAGE_COMPANY))
