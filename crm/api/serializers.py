"""Serializers that reject unknown fields and write only the fields given."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any, Final, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as ModelError
from django.db import models, transaction
from django.db.models import Model, TextChoices
from rest_framework import serializers
from rest_framework.settings import api_settings

from crm.api.custom_values import WithCustomValues
from crm.api.external_ids import WithExternalIds
from crm.api.fields import (
    Amount,
    DealField,
    EmailText,
    LeadField,
    OfferedRowField,
    OwnRowField,
    Switch,
    TagNames,
    Text,
    TimeOfDay,
    TypeCode,
)
from crm.models import Company, Deal, Lead, LeadStatus, Tag, Task, TaskKind
from crm.models.addresses import NO_ADDRESS
from crm.models.people import company_people
from crm.models.picklist import CODE_LENGTH
from crm.models.roles import Action, may
from crm.services.tags import replace_tags, set_tags, tags_named
from crm.services.tasks import finish_task, reopen_task, save_task

M = TypeVar("M", bound=Model)
NO_FIELD: Final = "There is no such field."


class StrictBody(serializers.Serializer[Any]):
    """A body that is no row. Raises ValidationError (400) for unknown fields."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (
            unknown := sorted(set(data) - set(self.fields))
        ):
            raise serializers.ValidationError(
                {_repeatable(key): [NO_FIELD] for key in unknown}
            )
        return super().to_internal_value(data)


def _repeatable(key: str) -> str:
    """The key for the response, which can't contain a lone surrogate."""
    return key.encode("utf-8", "replace").decode()


class StrictSerializer(serializers.ModelSerializer[M]):
    """Validates with the model's `clean()`. Raises ValidationError (400) for unknown and read-only fields."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.BooleanField: Switch,
        models.CharField: Text,
        models.DecimalField: Amount,
        models.EmailField: EmailText,
        models.TextField: Text,
    }

    @property
    def company(self) -> Company:
        """The caller's company, never a field."""
        company: Company = self.context["request"].auth.company
        return company

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._reject_unwritable_fields(data)
        return super().to_internal_value(data)

    def _reject_unwritable_fields(self, data: Mapping[str, Any]) -> None:
        errors = {}
        for key in data:
            field = self.fields.get(key)
            if field is None:
                errors[_repeatable(key)] = [NO_FIELD]
            elif field.read_only:
                errors[key] = ["This field is read-only."]
        if errors:
            raise serializers.ValidationError(errors)

    def validate(self, attrs: Any) -> Any:
        candidate = self._candidate(attrs)
        with model_errors_answered():
            try:
                candidate.clean()
            except ModelError as error:
                if not self._was_so_before(error, attrs):
                    raise
        return attrs

    def _was_so_before(self, error: ModelError, attrs: Mapping[str, Any]) -> bool:
        """True if only fields that are not given are wrong, and as they are stored: from before it was refused."""
        names = error.message_dict.keys()
        if not isinstance(self.instance, Model) or names & attrs.keys():
            return False
        try:
            copy(self.instance).clean()
        except ModelError as earlier:
            return earlier.message_dict.keys() == names
        return False

    def _candidate(self, attrs: Mapping[str, Any]) -> M:
        """A copy of the row with the new values."""
        instance = self.instance
        candidate: M = copy(instance) if isinstance(instance, Model) else self.new()
        for name, value in attrs.items():
            setattr(candidate, name, value)
        return candidate

    def new(self) -> M:
        """An empty row of the caller's company."""
        model: type[M] = self.Meta.model
        return model(company=self.company)

    def create(self, validated_data: Any) -> M:
        return super().create({**validated_data, "company": self.company})

    def update(self, instance: M, validated_data: Any) -> M:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        if validated_data:
            # Write only the fields given, so that concurrent changes to others stay.
            instance.save(update_fields=[*validated_data, "updated_at"])
        return instance


@contextmanager
def model_errors_answered() -> Iterator[None]:
    """Turn a model's or service's ValidationError into the API's 400."""
    try:
        yield
    except ModelError as error:
        errors = serializers.as_serializer_error(error)
        if NON_FIELD_ERRORS in errors:
            errors[api_settings.NON_FIELD_ERRORS_KEY] = errors.pop(NON_FIELD_ERRORS)
        raise serializers.ValidationError(errors) from error


def one_of(choices: type[TextChoices]) -> dict[str, Any]:
    """Field options whose error message lists the choices and doesn't repeat the input."""
    return {
        "error_messages": {
            "invalid_choice": f"Choose one of: {', '.join(choices.values)}."
        }
    }


# Leads and deals. The order of `fields` is the order in responses.

NO_COLLEAGUE = "Choose one of your colleagues."
IS_DONE = "is_done"


TAGS = "tags"


class TaggedSerializer(StrictSerializer[M]):
    """A row with `tags`. Only someone who may manage the company can add a new tag."""

    tags = TagNames(required=False)

    def _candidate(self, attrs: Mapping[str, Any]) -> M:
        return super()._candidate(
            {name: value for name, value in attrs.items() if name != TAGS}
        )

    def save(self, **kwargs: Any) -> M:
        names = self.validated_data.get(TAGS)
        if names is None:
            return super().save(**kwargs)
        with transaction.atomic():
            # Before the lead is locked: a new tag locks the company, and deleting a status locks that first too.
            return super().save(**kwargs, **{TAGS: self._tags(names)})

    def create(self, validated_data: Any) -> M:
        tags = validated_data.pop(TAGS, [])
        row: Any = super().create(validated_data)
        if tags:
            set_tags(row=row, tags=tags)
        return self._with(tags, row)

    def update(self, instance: M, validated_data: Any) -> M:
        tags = validated_data.pop(TAGS, None)
        row: Any = super().update(instance, validated_data)
        if tags is None:
            return row  # type: ignore[no-any-return]
        replace_tags(row=row, tags=tags)
        return self._with(tags, row)

    def _tags(self, names: list[str]) -> list[Tag]:
        may_add, row = (
            may(self.context["request"].auth.role, Action.MANAGE_COMPANY),
            self.instance,
        )
        has = row.tags.all() if isinstance(row, Lead | Deal) else ()
        with model_errors_answered():
            return tags_named(
                company=self.company, names=names, may_add=may_add, has=has
            )

    def _with(self, tags: list[Tag], row: Any) -> M:
        """The row, whose tags the response need not query."""
        row._prefetched_objects_cache = {TAGS: tags}
        found: M = row
        return found


class LeadSerializer(
    WithExternalIds[Lead], WithCustomValues[Lead], TaggedSerializer[Lead]
):
    """A lead. `status` defaults to the company's first one for new leads."""

    type = TypeCode(required=False, max_length=CODE_LENGTH)

    status = OfferedRowField(
        rows=lambda company: LeadStatus.objects.for_company(company),
        required=False,
        otherwise="Choose one of your company's statuses.",
    )
    owner = OwnRowField(
        rows=company_people, required=False, allow_null=True, otherwise=NO_COLLEAGUE
    )

    class Meta:
        model = Lead
        fields = (
            "id",
            "first_name",
            "last_name",
            "email",
            "phone",
            "organisation",
            "title",
            "source",
            "type",
            "status",
            "owner",
            "share_with_ad_platforms",
            "notes",
            "tags",
            "custom",
            "external_ids",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("id", "created_at", "updated_at")
        extra_kwargs = {
            "email": {"error_messages": {"invalid": NO_ADDRESS}},
        }


class TaskSerializer(StrictSerializer[Task]):
    """A task about a lead, about a deal or about neither. Days and times are in the company's time zone."""

    lead = LeadField(required=False, allow_null=True)
    deal = DealField(required=False, allow_null=True)
    owner = OwnRowField(rows=company_people, otherwise=NO_COLLEAGUE)
    due_time = TimeOfDay(required=False, allow_null=True)
    is_done = Switch(required=False)

    class Meta:
        model = Task
        fields = (
            "id",
            "title",
            "kind",
            "due_on",
            "due_time",
            "owner",
            "lead",
            "deal",
            "reminder",
            "is_done",
            "done_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("id", "done_at", "created_at", "updated_at")
        extra_kwargs = {"kind": one_of(TaskKind)}

    def _candidate(self, attrs: Mapping[str, Any]) -> Task:
        return super()._candidate(
            {name: value for name, value in attrs.items() if name != IS_DONE}
        )

    @transaction.atomic
    def create(self, validated_data: Any) -> Task:
        is_done = validated_data.pop(IS_DONE, False)
        task = save_task(task=Task(company=self.company, **validated_data))
        return self._with_state(task, is_done)

    @transaction.atomic
    def update(self, instance: Task, validated_data: Any) -> Task:
        is_done = validated_data.pop(IS_DONE, instance.is_done)
        for name, value in validated_data.items():
            setattr(instance, name, value)
        if validated_data:
            # Write only the fields given, so that concurrent changes to others stay.
            save_task(task=instance, fields=validated_data)
        return self._with_state(instance, is_done)

    def _with_state(self, task: Task, is_done: bool) -> Task:
        if is_done != task.is_done:
            (finish_task if is_done else reopen_task)(task=task)
        return task
