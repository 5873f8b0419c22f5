"""`/api/v1/files/`: files on leads, deals and notes."""

from collections.abc import Sequence
from typing import Any, Final

from django.core.exceptions import SuspiciousOperation
from django.core.exceptions import ValidationError as ModelError
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ParseError
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from crm.accounts.bodies import takes_uploads
from crm.api.contributions import SUBJECT, ContributionFilter, ContributionSerializer
from crm.api.fields import OwnRowField
from crm.api.schema import DETAIL
from crm.api.views import IDEMPOTENCY_KEY, AddableViewSet
from crm.api.viewsets import Conflict
from crm.lists.filter_types import IdFilter
from crm.models import Attachment, Note
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.models.space import NoRoom
from crm.selectors.attachments import CONTENT_TYPE, download_of
from crm.services.attachments import (
    NOT_DELETABLE,
    StoredFile,
    add_files,
    delete_file,
    fingerprint,
    may_delete,
    stored,
)

FIELD: Final = "file"
ONE_EACH: Final = "Send each file in a request of its own."


class FormParser(MultiPartParser):
    """Raises ParseError (400) for a form with far too many parts, which Django answers with a page."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except SuspiciousOperation as refusal:
            raise ParseError("This form has too many parts.") from refusal


class FileSerializer(ContributionSerializer[Attachment]):
    """A file on a lead, a deal or a note. On a note, its `lead` and `deal` are the note's. `size` is in bytes.

    `author` is a user. A file can't be changed: delete it, and add another.
    """

    note = OwnRowField(
        rows=lambda company: Note.objects.for_company(company).select_related(
            "lead", "deal"
        ),
        required=False,
        allow_null=True,
        otherwise="Choose one of your company's notes.",
    )
    subjects = (*SUBJECT, "note")
    no_subject, two_subjects = (
        "Choose a lead, a deal or a note.",
        "Choose one lead, deal or note, not several.",
    )

    file = serializers.FileField(write_only=True, allow_empty_file=True)

    class Meta:
        model = Attachment
        fields = (
            "id",
            "name",
            "size",
            "lead",
            "deal",
            "note",
            "author",
            "created_at",
            "file",
        )
        read_only_fields = ("id", "name", "size", "created_at")

    def create(self, validated_data: Any) -> Attachment:
        files: Sequence[StoredFile] = self.context["stored"]
        subject = next(
            validated_data[name] for name in self.subjects if validated_data.get(name)
        )
        return add_files(subject=subject, files=files, author=self.caller)[0]


class FileRenderer(JSONRenderer):
    """For clients that accept only the content of a file. Errors are JSON nevertheless."""

    media_type = CONTENT_TYPE


class FileFilter(ContributionFilter):
    """`?lead=`, with the files on its deals and notes, `?deal=`, and `?note=`. An invalid value is a 400."""

    note = IdFilter("note")

    class Meta:
        model = Attachment
        fields = ("lead", "deal", "note")


@extend_schema_view(destroy=extend_schema(responses={204: None, 409: DETAIL}))
class FileViewSet(AddableViewSet[Attachment]):
    """The company's files, newest first. To add one, send `file` and `lead`, `deal` or `note` as multipart/form-data.

    An admin can delete any file; others only those that they added.
    """

    queryset = Attachment.objects.all()
    serializer_class = FileSerializer
    filterset_class = FileFilter
    parser_classes = (FormParser,)
    nouns = (Noun.FILES,)
    actions = {
        "list": Action.SEE_FILES,
        "retrieve": Action.SEE_FILES,
        "content": Action.SEE_FILES,
        "create": Action.EDIT_LEADS,
        "destroy": Action.EDIT_LEADS,
    }
    _stored: Sequence[StoredFile] = ()  # files that this request has stored

    @takes_uploads
    @extend_schema(parameters=[IDEMPOTENCY_KEY])
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add a file of up to 25 MB, sent as multipart/form-data. With an Idempotency-Key, it is added only once."""
        files = request.FILES.getlist(FIELD)
        if len(files) > 1:
            raise serializers.ValidationError({FIELD: [ONE_EACH]})
        sent = {**request.POST.dict(), FIELD: [fingerprint(file) for file in files]}
        try:
            with stored(files, company=self.caller.company) as self._stored:
                return self._created(sent)
        except NoRoom as refusal:
            raise Conflict(refusal.message) from refusal
        except ModelError as refusal:
            raise serializers.ValidationError({FIELD: refusal.messages}) from refusal

    @extend_schema(
        responses={
            (200, CONTENT_TYPE): OpenApiTypes.BINARY,
            (503, "application/json"): DETAIL,
        }
    )
    @action(detail=True, renderer_classes=[JSONRenderer, FileRenderer])
    def content(self, request: Request, pk: str) -> FileResponse:
        """Download the file."""
        return download_of(self.get_object())

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "stored": self._stored}

    def perform_destroy(self, instance: Any) -> None:
        if not may_delete(instance, self.caller):
            raise Conflict(NOT_DELETABLE)
        delete_file(attachment=instance)
