"""Serializers for rules and events. An event contains no address and no hash."""

from typing import Any

from django.core.exceptions import ValidationError as ModelError
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from capi import services
from capi.models import (
    Attempt,
    ConversionEvent,
    ConversionRule,
    CrmEventName,
    clean_linkedin_id,
)
from capi.models.choices import Frequency
from capi.selectors.explanations.explain import explain
from crm.api.serializers import StrictSerializer, model_errors_answered, one_of


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "integer", "minimum": 1}]})
class LinkedInIdField(serializers.CharField):
    """A rule's id at LinkedIn, as digits or as the full URN that Campaign Manager shows."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return clean_linkedin_id(super().to_internal_value(data))
        except ModelError as error:
            raise serializers.ValidationError(error.messages) from error


class ConversionRuleSerializer(StrictSerializer[ConversionRule]):
    """A CRM event mapped to a LinkedIn conversion rule. Saving a paused rule resumes it."""

    linkedin_id = LinkedInIdField()

    class Meta:
        model = ConversionRule
        fields = (
            "id",
            "name",
            "crm_event",
            "linkedin_id",
            "is_active",
            "send_value",
            "frequency",
            "is_paused",
            "paused_reason",
            "created_at",
        )
        read_only_fields = ("id", "is_paused", "paused_reason", "created_at")
        extra_kwargs = {
            "crm_event": one_of(CrmEventName),
            "frequency": one_of(Frequency),
        }

    def create(self, validated_data: Any) -> ConversionRule:
        with model_errors_answered():
            return services.save_rule(rule=self._candidate(validated_data))

    def update(self, instance: ConversionRule, validated_data: Any) -> ConversionRule:
        with model_errors_answered():
            return services.save_rule(
                rule=self._candidate(validated_data), fields=validated_data
            )


class WordsSerializer(serializers.Serializer[Any]):
    """The status of an event, in plain English."""

    label = serializers.CharField()  # type: ignore[assignment]
    what = serializers.CharField()
    next_step = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """Why the request changed nothing."""

    detail = serializers.CharField()


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One HTTP request to LinkedIn and its response; `http_status` is null if no complete response arrived."""

    class Meta:
        model = Attempt
        fields = (
            "started_at",
            "duration_ms",
            "event_count",
            "linkedin_id",
            "api_version",
            "http_status",
            "code",
            "message",
        )
        read_only_fields = fields


class ConversionEventSerializer(serializers.ModelSerializer[ConversionEvent]):
    """A CRM event to be sent to LinkedIn under one rule. `crm_event` is null for a test event."""

    crm_event = serializers.ChoiceField(
        source="crm_event.kind",
        choices=CrmEventName.choices,
        read_only=True,
        allow_null=True,
    )
    words = serializers.SerializerMethodField()

    class Meta:
        model = ConversionEvent
        fields: tuple[str, ...] = (
            "id",
            "event_id",
            "rule",
            "crm_event",
            "lead",
            "deal",
            "happened_at",
            "state",
            "reason",
            "words",
            "message",
            "attempts",
            "http_status",
            "next_attempt_at",
            "is_test",
        )
        read_only_fields = fields

    @extend_schema_field(WordsSerializer)
    def get_words(self, event: ConversionEvent) -> dict[str, Any]:
        return dict(
            WordsSerializer(explain(event, self.context["view"].connection)).data
        )


class ConversionEventDetailSerializer(ConversionEventSerializer):
    """An event with the requests that contained it, oldest first."""

    attempt_log = serializers.SerializerMethodField()

    class Meta(ConversionEventSerializer.Meta):
        fields = (*ConversionEventSerializer.Meta.fields, "attempt_log")
        read_only_fields = fields

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempt_log(self, event: ConversionEvent) -> list[Any]:
        earlier = [
            link.attempt for link in event.earlier_attempts.select_related("attempt")
        ]
        last = [event.last_attempt] if event.last_attempt else []
        return list(AttemptSerializer([*earlier, *last], many=True).data)
