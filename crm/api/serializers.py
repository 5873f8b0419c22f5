"""Leads and deals as the API shows and takes them. The order of `fields` is the order of the answer."""

from typing import Any

from crm.api.fields import NO_ADDRESS, OwnRowField
from crm.api.strict import StrictSerializer, one_of
from crm.erasure import person_kept
from crm.forms.leads import company_people
from crm.models import Deal, Lead, LeadStatus, Stage
from crm.models.lead import LeadType

NO_COLLEAGUE = "Choose one of your colleagues."
TOO_LARGE = "An amount has at most 12 digits before the decimal point."


class LeadSerializer(StrictSerializer[Lead]):
    """A lead. Without a `status` it gets the company's first one for new leads."""

    status = OwnRowField(
        rows=lambda company: LeadStatus.objects.for_company(company),
        required=False,
        otherwise="Choose one of your company's statuses.",
    )
    owner = OwnRowField(rows=company_people, required=False, allow_null=True, otherwise=NO_COLLEAGUE)

    class Meta:
        model = Lead
        fields = (
            "id", "first_name", "last_name", "email", "phone", "organisation", "title", "source", "type", "status",
            "owner", "share_with_ad_platforms", "notes", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = ("id", "created_at", "updated_at")
        extra_kwargs = {
            "email": {"error_messages": {"invalid": NO_ADDRESS}},
            "type": one_of(LeadType),
        }


class DealSerializer(StrictSerializer[Deal]):
    """A deal. Without a `stage` it gets the company's first open one; without a `currency` the company's."""

    lead = OwnRowField(
        rows=lambda company: Lead.objects.for_company(company).not_erased(),
        otherwise="Choose one of your company's leads.",
    )
    stage = OwnRowField(
        rows=lambda company: Stage.objects.for_company(company),
        required=False,
        otherwise="Choose one of your company's stages.",
    )
    owner = OwnRowField(rows=company_people, required=False, allow_null=True, otherwise=NO_COLLEAGUE)

    class Meta:
        model = Deal
        fields = (
            "id", "lead", "title", "amount", "currency", "stage", "owner", "expected_close", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = ("id", "created_at", "updated_at")
        extra_kwargs = {
            "amount": {
                "error_messages": {
                    "invalid": "Enter the amount in digits, such as 25000 or 1999.50.",
                    "min_value": "Enter an amount of zero or more.",
                    "max_digits": TOO_LARGE,
                    "max_whole_digits": TOO_LARGE,
                }
            },
            "currency": {"allow_blank": False},
        }

    def create(self, validated_data: Any) -> Deal:
        with person_kept(validated_data["lead"].pk):
            return super().create({"currency": self.company.currency, **validated_data})

    def update(self, instance: Deal, validated_data: Any) -> Deal:
        if "title" not in validated_data:  # nothing else of a deal may name a person
            return super().update(instance, validated_data)
        with person_kept(instance.lead_id):
            return super().update(instance, validated_data)
