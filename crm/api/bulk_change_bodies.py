"""The bodies of requests about bulk changes, and of the responses."""

from collections.abc import Sequence
from typing import Any, Final, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied

from crm.api.authentication import Caller
from crm.api.error_messages import REQUIRED
from crm.api.fields import Moment, WholeNumber
from crm.api.filters import ListFiltersField, check_filters, filtered, list_filter
from crm.api.permissions import RolePermission
from crm.api.serializers import NO_COLLEAGUE, StrictBody, one_of
from crm.lists.filters import filters_in_words
from crm.lists.leads import LEADS
from crm.models import BulkChange, BulkKind, Lead, LeadChange, LeadResult
from crm.models.lead import LeadQuerySet
from crm.models.validators import MAX_ID
from crm.selectors.bulk_changes import title_of
from crm.selectors.bulk_questions import BulkQuestion
from crm.services.lead_changes import (
    Confirmation,
    TargetArchived,
    TargetGone,
    lead_change,
)

IDS_AT_MOST: Final = 10_000
LARGEST_COUNT: Final = 2**31 - 1
RULES_AT_MOST: Final = 1_000
OTHER_CHANGE: Final = (
    "`confirm` is from the preview of another change. Preview this one."
)
MORE_THAN_NAMED: Final = (
    "`confirm` is from a preview of more leads than these. Preview these."
)
MERGED: Final = "Lead {} was merged into lead {}. To change that one, send its id."
ERASED: Final = "Lead {} was erased."
UNKNOWN: Final = "Your company has no lead {}."
LEFT_OUT: Final = "There is nothing to choose here: leave it out."
NO_SELECTION: Final = (
    "Choose leads by their ids (leads) or by filters of the list (filters)."
)
TWO_SELECTIONS: Final = "Choose leads by their ids or by filters, not both."
NO_TARGET: Final = {
    BulkKind.STATUS: "Choose one of your company's statuses.",
    BulkKind.OWNER: NO_COLLEAGUE,
    BulkKind.ADD_TAG: "Choose one of your company's tags.",
    BulkKind.REMOVE_TAG: "Choose one of your company's tags.",
}


class AskedChangeSerializer(StrictBody):
    """A change, and its leads: those with the ids in `leads`, or all that the page of leads shows with `filters`.

    `target` is the id of the status, owner or tag; null for no owner. Leave it out to delete.
    """

    kind = serializers.ChoiceField(choices=BulkKind.choices, **one_of(BulkKind))
    target = WholeNumber(required=False, allow_null=True, min_value=1, max_value=MAX_ID)
    leads = serializers.ListField(
        child=WholeNumber(min_value=1, max_value=MAX_ID),
        required=False,
        allow_empty=False,
        min_length=1,  # for the schema: an empty list is refused before
        max_length=IDS_AT_MOST,
    )
    filters = ListFiltersField(required=False)

    @property
    def caller(self) -> Caller:
        caller: Caller = self.context["request"].auth
        return caller

    def validate(self, attrs: Any) -> Any:
        """Raise ValidationError unless it can be done, and PermissionDenied if the caller's role may not."""
        kind = BulkKind(attrs["kind"])
        if not self.caller.may(kind.needs):
            raise PermissionDenied(RolePermission.message)
        if ("leads" in attrs) == ("filters" in attrs):
            raise serializers.ValidationError(
                {"leads": [TWO_SELECTIONS if "leads" in attrs else NO_SELECTION]}
            )
        return {
            **attrs,
            "change": self._change(kind, attrs),
            "selected": self._selected(attrs),
        }

    def _change(self, kind: BulkKind, attrs: Any) -> LeadChange:
        target = attrs.get("target")
        if kind == BulkKind.DELETE and target is not None:
            raise serializers.ValidationError({"target": [LEFT_OUT]})
        is_missing = "target" not in attrs if kind == BulkKind.OWNER else target is None
        if kind != BulkKind.DELETE and is_missing:
            raise serializers.ValidationError({"target": [REQUIRED]})
        try:
            return lead_change(company=self.caller.company, kind=kind, target=target)
        except TargetArchived as archived:
            raise serializers.ValidationError({"target": [str(archived)]}) from archived
        except TargetGone as gone:
            raise serializers.ValidationError({"target": [NO_TARGET[kind]]}) from gone

    def _selected(self, attrs: Any) -> LeadQuerySet:
        if "leads" in attrs:
            return cast(
                LeadQuerySet,
                LEADS.rows(self.caller.company).filter(pk__in=attrs["leads"]),
            )
        found = list_filter(LEADS, self.caller, attrs["filters"])
        try:
            check_filters(found, attrs["filters"])
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"filters": error.detail}) from error
        return cast(LeadQuerySet, filtered(found))

    @property
    def change(self) -> LeadChange:
        """What is to be done."""
        change: LeadChange = self.validated_data["change"]
        return change

    @property
    def selected(self) -> LeadQuerySet:
        """The leads that it is about."""
        selected: LeadQuerySet = self.validated_data["selected"]
        return selected

    @property
    def left_out(self) -> list[str]:
        """Why leads whose ids were sent are not among `selected`, in sentences."""
        ids = set(self.validated_data.get("leads", ()))
        rows = (
            Lead.objects.for_company(self.caller.company)
            .filter(pk__in=ids)
            .order_by("pk")
        )
        found = list(rows.values_list("pk", "merged_into", "erased_at"))
        left = [
            MERGED.format(pk, into)
            for pk, into, erased_at in found
            if into is not None and erased_at is None
        ]
        left += [
            ERASED.format(pk) for pk, _, erased_at in found if erased_at is not None
        ]
        unknown = sorted(ids - {pk for pk, *_ in found})
        return [*left, *(UNKNOWN.format(pk) for pk in unknown)]

    @property
    def filters_in_use(self) -> Sequence[str] | None:
        """The filters in words, for the audit log; None where the leads are chosen by their ids."""
        filters = self.validated_data.get("filters")
        return None if filters is None else filters_in_words(filters)


class ConfirmationSerializer(StrictBody):
    """What was previewed: this change, of at most this many leads, which no one has changed since.

    It sends at most this many conversions, under the rules with these ids.
    """

    kind = serializers.ChoiceField(choices=BulkKind.choices, **one_of(BulkKind))
    target = WholeNumber(allow_null=True, min_value=1, max_value=MAX_ID)
    leads = WholeNumber(min_value=1, max_value=LARGEST_COUNT)
    conversions = WholeNumber(min_value=0, max_value=LARGEST_COUNT)
    rules = serializers.ListField(
        child=WholeNumber(min_value=1, max_value=MAX_ID), max_length=RULES_AT_MOST
    )
    asked_at = Moment()


class ConfirmedChangeSerializer(AskedChangeSerializer):
    """The body of a preview, with the `confirm` from its response, unchanged."""

    confirm = ConfirmationSerializer()

    def validate(self, attrs: Any) -> Any:
        """Raise ValidationError for the `confirm` of another change, too."""
        valid, confirm = super().validate(attrs), attrs["confirm"]
        if (confirm["kind"], confirm["target"]) != (valid["kind"], valid.get("target")):
            raise serializers.ValidationError({"confirm": [OTHER_CHANGE]})
        if "leads" in valid and confirm["leads"] > len(set(valid["leads"])):
            raise serializers.ValidationError({"confirm": [MORE_THAN_NAMED]})
        return valid

    @property
    def confirmed(self) -> Confirmation:
        confirm = self.validated_data["confirm"]
        return Confirmation(
            confirm["leads"],
            confirm["conversions"],
            confirm["asked_at"],
            frozenset(confirm["rules"]),
        )


class RuleConversionsSerializer(serializers.Serializer[Any]):
    """How many conversions a rule would send: `now`, and `later` for leads whose data is incomplete."""

    rule = serializers.CharField()
    now = serializers.IntegerField()
    later = serializers.IntegerField()


class BelongingsSerializer(serializers.Serializer[Any]):
    """What is deleted along with the leads. `merged` counts leads that were merged into them.

    `shared_deals` counts the deals of other leads that have them among their people. These deals stay.
    """

    deals = serializers.IntegerField()
    tasks = serializers.IntegerField()
    notes = serializers.IntegerField()
    files = serializers.IntegerField()
    merged = serializers.IntegerField()
    shared_deals = serializers.IntegerField()


class PreviewSerializer(serializers.Serializer[BulkQuestion]):
    """What a change would do. `unchanged` counts leads that have the status already.

    `belongings` is null unless leads are deleted, and `confirm` is null if no lead matches. `left_out` says in
    sentences why leads whose ids were sent are left out.
    """

    title = serializers.SerializerMethodField()
    lead_count = serializers.IntegerField()
    left_out = serializers.SerializerMethodField()
    unchanged = serializers.SerializerMethodField()
    conversions = serializers.SerializerMethodField()
    belongings = BelongingsSerializer(allow_null=True)
    confirm = serializers.SerializerMethodField()

    def get_title(self, question: BulkQuestion) -> str:
        return title_of(
            question.change.kind, question.change.target, question.lead_count
        )

    def get_left_out(self, question: BulkQuestion) -> list[str]:
        left_out: list[str] = self.context["left_out"]
        return left_out

    def get_unchanged(self, question: BulkQuestion) -> int:
        return question.expected.unchanged if question.expected else 0

    @extend_schema_field(RuleConversionsSerializer(many=True))
    def get_conversions(self, question: BulkQuestion) -> Any:
        return RuleConversionsSerializer(
            question.expected.conversions if question.expected else [], many=True
        ).data

    @extend_schema_field(ConfirmationSerializer(allow_null=True))
    def get_confirm(self, question: BulkQuestion) -> Any:
        if not question.lead_count:
            return None
        change = question.change
        confirm = {
            "kind": change.kind,
            "target": change.target.pk if change.target else None,
            "leads": question.lead_count,
            "conversions": question.conversion_count,
            "rules": sorted(question.rules),
            "asked_at": question.asked_at,
        }
        return ConfirmationSerializer(confirm).data


class ResultsSerializer(serializers.Serializer[Any]):
    """How many leads had each result.

    `changed`; `unchanged`, which needed no change; `since`, which someone has changed since the change was requested;
    `gone`, which no longer exist; `refused`, which could not be changed; and `unmatched`, which no longer matched when
    the work began. Once a change is done, they add up to the leads that were confirmed.
    """

    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    since = serializers.IntegerField()
    gone = serializers.IntegerField()
    refused = serializers.IntegerField()
    unmatched = serializers.IntegerField()


class RefusalSerializer(serializers.Serializer[Any]):
    """A reason why leads could not be changed, and how many."""

    reason = serializers.CharField()
    leads = serializers.IntegerField()


class BulkChangeSerializer(serializers.ModelSerializer[BulkChange]):
    """A bulk change. `reached` is how many of the `row_count` leads are done; `problem` says why it stopped.

    `made_by` is a user, null if an API key requested it. `conversions` is how many of the confirmed ones may
    still be planned, for the leads that are not done yet.
    """

    results = serializers.SerializerMethodField()
    refusals = serializers.SerializerMethodField()

    class Meta:
        model = BulkChange
        fields = (
            "id",
            "kind",
            "target",
            "state",
            "problem",
            "row_count",
            "reached",
            "results",
            "refusals",
            "conversions",
            "made_by",
            "asked_at",
            "created_at",
            "finished_at",
        )
        read_only_fields = fields

    @extend_schema_field(ResultsSerializer)
    def get_results(self, bulk_change: BulkChange) -> Any:
        return ResultsSerializer(
            {
                result.value: bulk_change.done.get(result.value, 0)
                for result in LeadResult
            }
        ).data

    @extend_schema_field(RefusalSerializer(many=True))
    def get_refusals(self, bulk_change: BulkChange) -> Any:
        most_frequent = sorted(bulk_change.refusals.items(), key=lambda pair: -pair[1])
        reasons = [
            {"reason": reason, "leads": count} for reason, count in most_frequent
        ]
        return RefusalSerializer(reasons, many=True).data
