"""Saved views: filters, sorting and columns of a list under a name."""

from collections.abc import Sequence
from typing import ClassVar, Final
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.api_key import ApiKey
from crm.models.bidi import without_bidi_controls
from crm.models.company import Company
from crm.models.people import Membership
from crm.models.roles import Action
from crm.models.tenancy import CompanyQuerySet
from crm.models.validators import check_seen

LONGEST_QUERY: Final = 2000  # characters
SORT: Final = "sort"
LEADS: Final = "leads"
SOMEONE_ELSES: Final = "Only the person who made this view can stop sharing it."
NOBODYS: Final = "Only people can have private views. A key's view is always shared."


class SavedViewQuerySet(CompanyQuerySet["SavedView"]):
    def visible_to(self, caller: Membership | ApiKey) -> "SavedViewQuerySet":
        """The member's own views and the shared ones, by name. An API key has no views of its own."""
        seen = Q(is_shared=True)
        if isinstance(caller, Membership):
            seen |= Q(owner=caller.user_id)
        return self.for_company(caller.company_id).filter(seen).order_by("name", "pk")


class SavedView(models.Model):
    """A view of a list (`crm.lists.registry`) that a member has saved, for themselves or for everyone in the company.

    A view made by an API key has no owner and is shared. `query` is the query string of the list, without the search
    text, which is personal data.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="saved_views", db_index=False
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+"
    )
    # Its key.
    list = models.CharField(
        max_length=20, default=LEADS, db_default=LEADS, editable=False
    )
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=LONGEST_QUERY, blank=True, editable=False)
    columns = models.CharField(
        max_length=400, blank=True, db_default="", default="", editable=False
    )
    is_shared = models.BooleanField(
        "shared with everyone in the company", default=False, db_default=False
    )
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[SavedViewQuerySet] = SavedViewQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["company", "owner", "list", "name"],
                name="one_saved_view_per_name",
            ),
            models.UniqueConstraint(
                fields=["company", "list", "name"],
                condition=Q(owner=None),
                name="one_saved_view_of_keys_per_name",
            ),
            models.CheckConstraint(
                condition=Q(owner__isnull=False) | Q(is_shared=True),
                name="saved_view_without_owner_is_shared",
            ),
        ]

    def __str__(self) -> str:
        return without_bidi_controls(self.name)

    @property
    def filters(self) -> dict[str, str]:
        """The filters of the list by their names in its address."""
        return {name: value for name, value in parse_qsl(self.query) if name != SORT}

    @property
    def sort(self) -> str:
        """The key of the column that it is sorted by, with a leading "-" if that descends; "" for newest first."""
        return dict(parse_qsl(self.query)).get(SORT, "")

    @property
    def column_keys(self) -> Sequence[str]:
        """The keys of its columns, in order; [] for the usual ones."""
        return self.columns.split()

    def clean(self) -> None:
        """Raise ValidationError for a private view without an owner, or an invisible name."""
        super().clean()
        if self.owner_id is None and not self.is_shared:
            raise ValidationError({"is_shared": NOBODYS})
        check_seen(name=self.name)  # last, as in `Deal.clean`

    def stays_shared_for(self, caller: Membership | ApiKey) -> bool:
        """True if it is shared and someone else's: if it became private, the caller would no longer see it."""
        return self.is_shared and self.owner_id != _person(caller)

    def may_be_changed_by(self, caller: Membership | ApiKey) -> bool:
        """True for the member who made it, as long as they may edit leads, and for admins if it is shared.

        A view made by a key can be changed by any key that may edit leads.
        """
        is_own = self.owner_id == _person(caller) and caller.may(Action.EDIT_LEADS)
        return is_own or (self.is_shared and caller.may(Action.MANAGE_COMPANY))


def _person(caller: Membership | ApiKey) -> int | None:
    return caller.user_id if isinstance(caller, Membership) else None
