"""`/api/v1/exports/`: files of a list, which a worker writes and which can be downloaded for a day."""

from typing import Any, Final

from django.core.exceptions import ValidationError as ModelError
from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import Throttled
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.export_bodies import AskedExportSerializer, DataExportSerializer
from crm.api.schema import DETAIL
from crm.api.views import IDEMPOTENCY_KEY, AddableViewSet
from crm.api.viewsets import Conflict
from crm.models import DataExport, ExportFormat
from crm.models.data_export import WHOLE_COMPANY
from crm.models.job import JobState
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.selectors.data_exports import CONTENT_TYPES, download_of
from crm.services import data_exports
from crm.services.rate_limits import TooOften

NOT_READY: Final = "This file is not ready: wait until the export is done."
NO_FILE: Final = "This export was cancelled, or has failed: see `state` and `problem`. Ask for it again."
ENDED: Final = "This export has ended already."
CSV, XLSX = (
    CONTENT_TYPES[each].partition(";")[0]
    for each in (ExportFormat.CSV, ExportFormat.XLSX)
)
OPERATIONS: Final = ("list", "retrieve", "create", "destroy", "content", "cancel")


class CsvRenderer(JSONRenderer):
    """For clients that accept only CSV. Errors are JSON nevertheless."""

    media_type = CSV


class XlsxRenderer(JSONRenderer):
    """For clients that accept only a spreadsheet. Errors are JSON nevertheless."""

    media_type = XLSX


class DataExportViewSet(AddableViewSet[DataExport]):
    """The exports of the last day, newest first: your own or, with the role Admin, all of the company's.

    The export of a whole company is only available in the browser.
    """

    queryset = DataExport.objects.all()
    serializer_class = DataExportSerializer
    nouns = (Noun.EXPORTS,)
    actions = dict.fromkeys(OPERATIONS, Action.EXPORT_LEADS)

    def get_queryset(self) -> QuerySet[DataExport]:
        return (
            DataExport.objects.open_to(self.caller).kept().exclude(kind=WHOLE_COMPANY)
        )

    @extend_schema(request=AskedExportSerializer, parameters=[IDEMPOTENCY_KEY])
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Request a file of a list. With an Idempotency-Key, it is written only once, however often you repeat that."""
        # The caller is included: another caller must not see the file that the first one requested.
        return self._created(
            [self.caller._meta.model_name, self.caller.pk, request.data]
        )

    def _add(self) -> Model:
        body = AskedExportSerializer(
            data=self.request.data, context=self.get_serializer_context()
        )
        body.is_valid(raise_exception=True)
        try:
            return data_exports.export_list(author=self.caller, **body.asked)
        except TooOften as error:
            raise Throttled(wait=error.seconds) from error
        # Nothing matches, it is too long, there is no room, or too many are running.
        except ModelError as refusal:
            raise Conflict(refusal.message) from refusal

    # CSV is text: generated clients decode it, and can't make a file of what they have decoded.
    @extend_schema(
        responses={
            (200, CSV): OpenApiTypes.STR,
            (200, XLSX): OpenApiTypes.BINARY,
            (409, "application/json"): DETAIL,
        }
    )
    @action(detail=True, renderer_classes=[JSONRenderer, CsvRenderer, XlsxRenderer])
    def content(self, request: Request, pk: str) -> StreamingHttpResponse:
        """Download the file. 409 until the export is done, and if it has no file."""
        data_export = self.get_object()
        if not data_export.is_ready:
            raise Conflict(NOT_READY if data_export.is_at_work else NO_FILE)
        try:
            return download_of(data_export)
        except TooOften as error:
            # Its message says to wait, but not for how long.
            refusal = Throttled(detail=str(error))
            refusal.wait = error.seconds  # type: ignore[attr-defined]
            raise refusal from error

    @extend_schema(request=None, responses={200: DataExportSerializer, 409: DETAIL})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancel the export; nothing of it is kept. 409 if it has ended otherwise."""
        data_export = self.get_object()
        is_cancelled = data_exports.cancel(data_export=data_export)
        data_export.refresh_from_db()
        if not is_cancelled and data_export.state != JobState.CANCELLED:
            raise Conflict(ENDED)
        return Response(self.get_serializer(data_export).data)

    def perform_destroy(self, instance: Any) -> None:
        data_exports.discard(data_export=instance)
