"""The serializer of deals."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from django.db import transaction
from rest_framework import serializers

from crm.api.custom_values import WithCustomValues
from crm.api.external_ids import EXTERNAL_IDS, WithExternalIds
from crm.api.fields import LeadField, OfferedRowField, OwnRowField, PeopleField
from crm.api.serializers import NO_COLLEAGUE, TAGS, TaggedSerializer
from crm.api.viewsets import Conflict
from crm.models import Deal, Lead, LostReason, Stage, StageMeaning
from crm.models.people import company_people
from crm.services.deal_people import (
    IS_LEAD,
    PEOPLE_AT_MOST,
    PeopleRefused,
    change_lead,
    hold_people,
    replace_people,
    why_lead_stays,
)
from crm.services.editing import OUTCOME, lock_outcome
from crm.services.erasure import lock_deal, locking_person

# No other field of a deal may name a person.
PERSONAL: Final = {"title", "outcome_note", "custom"}
LEAD: Final = "lead"
PEOPLE: Final = "people"
TOO_LARGE: Final = "Enter at most 12 digits before the decimal point."


class DealSerializer(
    WithExternalIds[Deal], WithCustomValues[Deal], TaggedSerializer[Deal]
):
    """A deal. `stage` defaults to the first open one of the default pipeline, `currency` to the company's.

    `lead` is the person whom conversions are about. It can be changed until one has been sent for the deal; pending
    ones are then about the new lead. If that was one of the further `people`, the former lead takes its place.
    `lost_reason` is cleared when a deal leaves its lost stage. `outcome_note` says why it was won or lost.
    """

    lead = LeadField()
    people = PeopleField(required=False, max_length=PEOPLE_AT_MOST)
    stage = OfferedRowField(
        rows=lambda company: Stage.objects.for_company(company),
        required=False,
        otherwise="Choose one of your company's stages.",
    )
    lost_reason = OfferedRowField(
        rows=lambda company: LostReason.objects.for_company(company),
        required=False,
        allow_null=True,
        otherwise="Choose one of your company's lost reasons.",
    )
    owner = OwnRowField(
        rows=company_people, required=False, allow_null=True, otherwise=NO_COLLEAGUE
    )

    class Meta:
        model = Deal
        fields = (
            "id",
            "lead",
            "title",
            "amount",
            "currency",
            "stage",
            "owner",
            "expected_close",
            "lost_reason",
            "outcome_note",
            "people",
            "tags",
            "custom",
            "external_ids",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("id", "created_at", "updated_at")
        extra_kwargs = {
            "amount": {
                "error_messages": {
                    "invalid": "Enter a number, such as 25000 or 1999.50.",
                    "min_value": "Enter an amount of zero or more.",
                    "max_digits": TOO_LARGE,
                    "max_whole_digits": TOO_LARGE,
                }
            },
            "currency": {"allow_blank": False},
        }

    def validate(self, attrs: Any) -> Any:
        self._refuse_a_reason_unless_lost(attrs)
        self._refuse_the_lead_as_a_person(attrs)
        return super().validate(attrs)

    def _refuse_a_reason_unless_lost(self, attrs: Any) -> None:
        if not attrs.get("lost_reason"):
            return
        stage = self._stage(attrs)
        if stage is None or stage.meaning != StageMeaning.LOST:
            raise serializers.ValidationError(
                {"lost_reason": ["Only a deal in a lost stage has a lost reason."]}
            )

    def _refuse_the_lead_as_a_person(self, attrs: Any) -> None:
        lead_id = self.instance and self.instance.lead_id
        if LEAD in attrs:
            lead_id = attrs[LEAD].pk
        if lead_id in attrs.get(PEOPLE, ()):
            raise serializers.ValidationError({PEOPLE: [IS_LEAD]})

    def _candidate(self, attrs: Mapping[str, Any]) -> Deal:
        return super()._candidate(
            {name: value for name, value in attrs.items() if name != PEOPLE}
        )

    def _stage(self, attrs: Any) -> Stage | None:
        """The stage that the deal will be in. None for a new one without, which gets the default."""
        return attrs.get("stage") or (self.instance.stage if self.instance else None)

    @transaction.atomic
    def create(self, validated_data: Any) -> Deal:
        lead, people = validated_data[LEAD], validated_data.pop(PEOPLE, [])
        if people:
            hold_people(deal=Deal(company=self.company, lead=lead), leads=people)
        with locking_person(lead.pk):
            deal = super().create({"currency": self.company.currency, **validated_data})
            if people:
                self._replace_people(deal, people)
                deal.refresh_from_db(fields=["updated_at"])
        return deal

    def update(self, instance: Deal, validated_data: Any) -> Deal:
        lead: Lead | None = validated_data.pop(LEAD, None)
        people: list[int] | None = validated_data.pop(PEOPLE, None)
        # Tags and external ids too: setting them locks the lead, which comes before the deal in the order of all locks.
        is_personal = bool((PERSONAL | {TAGS, EXTERNAL_IDS}) & validated_data.keys())
        with _locking(instance, lead, people, is_personal=is_personal):
            if lead is not None:
                self._change_lead(instance, lead)
            deal = self._save(instance, validated_data)
            if people is not None:
                self._replace_people(deal, people)
            if lead is not None or people is not None:
                deal.refresh_from_db(fields=["updated_at"])
        return deal

    def _change_lead(self, deal: Deal, lead: Lead) -> None:
        try:
            change_lead(deal=deal, lead=lead)
        except PeopleRefused as refused:
            if reason := why_lead_stays(deal):
                raise serializers.ValidationError({LEAD: [reason]}) from refused
            # Nothing is wrong with the body: it can be sent again.
            raise Conflict(str(refused)) from refused

    def _replace_people(self, deal: Deal, people: list[int]) -> None:
        try:
            replace_people(deal=deal, leads=people)
        except PeopleRefused as refused:
            raise serializers.ValidationError({PEOPLE: [str(refused)]}) from refused

    def _save(self, deal: Deal, validated_data: Any) -> Deal:
        given = {
            name: validated_data[name] for name in OUTCOME if name in validated_data
        }
        if not given:
            return super().update(deal, validated_data)
        with transaction.atomic():
            lock_outcome(deal)
            # It may have been reopened since `validate`.
            self._refuse_a_reason_unless_lost(given)
            outcome = deal.outcome_in(**{"stage": deal.stage, **given})
            return super().update(deal, {**validated_data, **outcome})


@contextmanager
def _locking(
    deal: Deal, lead: Lead | None, people: list[int] | None, *, is_personal: bool
) -> Iterator[None]:
    """Lock everyone whom a change is about in the common lock order: its new lead and people, and the deal's own lead.

    The latter if the change `is_personal`.
    """
    locked = set()
    if lead is not None:
        locked.add(lead.pk)
    named = [*locked, *(people or ())]
    if is_personal:
        locked.add(deal.lead_id)
    with ExitStack() as stack:
        if lead is not None or people is not None:
            stack.enter_context(transaction.atomic())
            hold_people(deal=deal, leads=named)
        for pk in sorted(locked):
            stack.enter_context(locking_person(pk))
        if is_personal:
            lock_deal(deal.pk, lead_id=deal.lead_id)
        yield
