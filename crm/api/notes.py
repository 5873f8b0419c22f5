"""`/api/v1/notes/`: notes and calls on leads and deals."""

from collections.abc import Mapping
from typing import Any, Final

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import NotFound

from crm.api.contributions import SUBJECT, ContributionFilter, ContributionSerializer
from crm.api.schema import DETAIL
from crm.api.serializers import one_of
from crm.api.views import WritableViewSet
from crm.api.viewsets import Conflict
from crm.models import Note, NoteKind
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.services.notes import (
    NOT_DELETABLE,
    NotEditable,
    add_note,
    delete_note,
    edit_note,
    may_delete,
)

STAYS: Final = "A note stays where it was written."


class NoteSerializer(ContributionSerializer[Note]):
    """A note or a call on a lead or a deal. On a deal, its `lead` is the deal's lead. `author` is a user.

    Only the person or API key that added it can change it, within an hour.
    """

    class Meta:
        model = Note
        fields = (
            "id",
            "kind",
            "text",
            "lead",
            "deal",
            "author",
            "created_at",
            "edited_at",
        )
        read_only_fields = ("id", "created_at", "edited_at")
        extra_kwargs = {"kind": one_of(NoteKind)}

    def validate(self, attrs: Any) -> Any:
        if self.instance is not None and SUBJECT & attrs.keys():
            raise serializers.ValidationError(
                {name: [STAYS] for name in SUBJECT & attrs.keys()}
            )
        return super().validate(attrs)

    def create(self, validated_data: Any) -> Note:
        deal = validated_data.get("deal")
        lead = deal.lead if deal else validated_data["lead"]
        return add_note(
            note=Note(company=self.company, **{**validated_data, "lead": lead}),
            author=self.caller,
        )

    def update(self, instance: Note, validated_data: Mapping[str, Any]) -> Note:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        try:
            return edit_note(note=instance, author=self.caller)
        except NotEditable as refusal:
            raise Conflict(str(refusal)) from refusal
        except Note.DoesNotExist as gone:
            raise NotFound from gone


class NoteFilter(ContributionFilter):
    """`?lead=`, with the notes on its deals, `?deal=`, `?kind=`. An invalid value is a 400."""

    kind = filters.ChoiceFilter(choices=NoteKind.choices)

    class Meta:
        model = Note
        fields = ("lead", "deal", "kind")


@extend_schema_view(destroy=extend_schema(responses={204: None, 409: DETAIL}))
class NoteViewSet(WritableViewSet[Note]):
    """The company's notes and calls, newest first. An admin can delete any; others only their own of the last hour."""

    queryset = Note.objects.all()
    serializer_class = NoteSerializer
    filterset_class = NoteFilter
    nouns = (Noun.NOTES,)
    actions = {
        "list": Action.SEE_NOTES,
        "retrieve": Action.SEE_NOTES,
        "create": Action.EDIT_LEADS,
        "update": Action.EDIT_LEADS,
        "partial_update": Action.EDIT_LEADS,
        "destroy": Action.EDIT_LEADS,
    }

    def perform_destroy(self, instance: Any) -> None:
        if not may_delete(instance, self.caller):
            raise Conflict(NOT_DELETABLE)
        delete_note(note=instance)
