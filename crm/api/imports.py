"""`/api/v1/imports/`: lists of leads from a file: uploaded, checked, started, and undone."""

from dataclasses import replace
from typing import Any, Final

from django.core.exceptions import ValidationError as ModelError
from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from crm.accounts.bodies import takes_import
from crm.api.attachments import FIELD, ONE_EACH, FormParser
from crm.api.import_bodies import (
    FileFormatSerializer,
    ImportColumnsSerializer,
    LeadImportDetailSerializer,
    LeadImportRowSerializer,
    LeadImportSerializer,
    ProblemRowSerializer,
    StartSerializer,
    UploadSerializer,
)
from crm.api.import_values import ImportValuesSerializer
from crm.api.pagination import KeysetPagination
from crm.api.schema import DETAIL
from crm.api.views import IDEMPOTENCY_KEY, AddableViewSet
from crm.api.viewsets import BoundedJSONParser, Conflict
from crm.data_exchange.importing.text_formats import TextFormat
from crm.models import ApiKey, LeadImport, LeadImportRow, RowOutcome, User
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.models.space import NoRoom
from crm.selectors.import_cells import (
    ProblemCell,
    ShownCells,
    problem_cells,
    rows_with_problems,
)
from crm.selectors.import_values import columns_of_values
from crm.selectors.lead_imports import conversions
from crm.services import lead_imports
from crm.services.attachments import fingerprint
from crm.services.rate_limits import TooOften

NOT_READY: Final = "The rows have not been checked yet, or the import was started already. Its `state` says which."
NO_FILE: Final = "There is no text file to read again. It is deleted when the import starts or someone is erased."
NOT_RUNNING: Final = "This import is not running."
NOTHING_TO_UNDO: Final = "There is nothing to undo: this import has not ended, has written nothing, or is undone."
STARTED: Final = "This import was started: it stays. Undo it instead."
OPERATIONS: Final = (
    "list",
    "retrieve",
    "create",
    "destroy",
    "bad_rows",
    "cells",
    "values",
    "file_format",
    "columns",
    "start",
    "cancel",
    "undo",
)


class RowPagination(KeysetPagination):
    """In the order of the file, as the ids of the rows are."""

    ordering = "pk"


@extend_schema_view(
    retrieve=extend_schema(responses=LeadImportDetailSerializer),
    destroy=extend_schema(responses={204: None, 409: DETAIL}),
)
class LeadImportViewSet(AddableViewSet[LeadImport]):
    """The company's imports, newest first. A file is sent as multipart/form-data.

    A worker reads it and checks its rows. Post to `columns` to say which fields its columns fill, and to `start` to
    import it.
    """

    queryset = LeadImport.objects.select_related("company")
    serializer_class = LeadImportSerializer
    parser_classes = (FormParser,)
    nouns = (Noun.IMPORTS,)
    actions = dict.fromkeys(OPERATIONS, Action.IMPORT_LEADS)
    paged = ("list", "bad_rows", "cells")

    def get_serializer_class(self) -> Any:
        if self.action == "list":
            return LeadImportSerializer
        return LeadImportDetailSerializer

    @takes_import
    @extend_schema(
        request={"multipart/form-data": UploadSerializer},
        responses={201: LeadImportDetailSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Upload a file of up to 20 MB and 100,000 rows. Nothing is imported until you start it.

        With an Idempotency-Key, it is uploaded only once.
        """
        files = request.FILES.getlist(FIELD)
        if len(files) > 1:
            raise serializers.ValidationError({FIELD: [ONE_EACH]})
        return self._created(
            {**request.POST.dict(), FIELD: [fingerprint(file) for file in files]}
        )

    def _add(self) -> Model:
        body = UploadSerializer(data=self.request.data)
        body.is_valid(raise_exception=True)
        try:
            return lead_imports.store(
                company=self.caller.company,
                file=body.validated_data[FIELD],
                actor=self._actor,
                subject=body.validated_data.get("object", ""),
            )
        except TooOften as error:
            raise Throttled(wait=error.seconds) from error
        except (lead_imports.TooManyWaiting, NoRoom) as refusal:
            raise Conflict(refusal.message) from refusal
        except ModelError as refusal:
            raise serializers.ValidationError({FIELD: refusal.messages}) from refusal

    @extend_schema(responses=LeadImportRowSerializer(many=True))
    @action(detail=True, url_path="bad-rows", pagination_class=RowPagination)
    def bad_rows(self, request: Request, pk: str) -> Response:
        """The bad rows, in the order of the file. They are kept for a week."""
        rows: QuerySet[LeadImportRow] = LeadImportRow.objects.of(
            self.get_object()
        ).filter(outcome=RowOutcome.BAD)
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(
            LeadImportRowSerializer(page, many=True).data
        )

    @extend_schema(responses=ProblemRowSerializer(many=True))
    @action(detail=True, pagination_class=RowPagination)
    def cells(self, request: Request, pk: str) -> Response:
        """The rows with cells that are left out or doubtful, in the order of the file. They are kept for a week."""
        lead_import: LeadImport = self.get_object()
        page = self.paginate_queryset(rows_with_problems(lead_import)) or []
        found: dict[int, list[ProblemCell]] = {row.number: [] for row in page}
        for cell in problem_cells(lead_import, page):
            found[cell.number].append(cell)
        leads = {
            row.number: row.lead_id if lead_import.started_at else None for row in page
        }
        rows = [
            {"number": number, "lead": leads[number], "cells": cells}
            for number, cells in found.items()
        ]
        return self.get_paginated_response(ProblemRowSerializer(rows, many=True).data)

    @extend_schema(responses={200: ImportValuesSerializer, 409: DETAIL})
    @action(detail=True, pagination_class=None)
    def values(self, request: Request, pk: str) -> Response:
        """What becomes of the values in columns that have a list here, the most frequent ones first.

        409 before the file is read, and once the import is started."""
        lead_import: LeadImport = self.get_object()
        if not lead_import.is_at_check:
            raise Conflict(NOT_READY)
        value_maps = ShownCells(lead_import).value_maps
        columns = columns_of_values(lead_import, value_maps)
        return Response(ImportValuesSerializer({"columns": columns}).data)

    @extend_schema(
        request=FileFormatSerializer,
        responses={200: LeadImportDetailSerializer, 409: DETAIL},
    )
    @action(
        detail=True,
        methods=["post"],
        url_path="format",
        parser_classes=[BoundedJSONParser],
    )
    def file_format(self, request: Request, pk: str) -> Response:
        """Read the text file again in another format, and check all rows again.

        409 for a spreadsheet, before the file is read, once the import is started, and if someone was erased."""
        lead_import: LeadImport = self.get_object()
        body = FileFormatSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        current = TextFormat.of(lead_import.file_format)
        chosen = current and replace(current, **body.validated_data)
        if not chosen or not lead_imports.read_again(
            lead_import=lead_import, chosen=chosen
        ):
            raise Conflict(NO_FILE)
        return self._done(lead_import, otherwise=None)

    @extend_schema(
        request=ImportColumnsSerializer,
        responses={200: LeadImportDetailSerializer, 409: DETAIL},
    )
    @action(detail=True, methods=["post"], parser_classes=[BoundedJSONParser])
    def columns(self, request: Request, pk: str) -> Response:
        """Say which fields the columns fill and how they are read, and check all rows again.

        409 before the file is read, and once the import is started."""
        lead_import: LeadImport = self.get_object()
        if not lead_import.is_at_check:
            raise Conflict(NOT_READY)
        may_add = self.caller.may(Action.MANAGE_COMPANY)
        body = ImportColumnsSerializer(
            data=request.data, context={"lead_import": lead_import, "may_add": may_add}
        )
        body.is_valid(raise_exception=True)
        mapped = lead_imports.map_columns(
            lead_import=lead_import, **body.validated_data
        )
        return Response(self.get_serializer(mapped).data)

    @extend_schema(
        request=StartSerializer,
        responses={200: LeadImportDetailSerializer, 409: DETAIL},
    )
    @action(detail=True, methods=["post"], parser_classes=[BoundedJSONParser])
    def start(self, request: Request, pk: str) -> Response:
        """Import the rows. 409 if they have not been checked yet, or another import of the company is running."""
        lead_import: LeadImport = self.get_object()
        body = StartSerializer(data=request.data, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        try:
            is_started = lead_imports.start(
                lead_import=lead_import,
                owner=asked.get("owner", lead_import.owner),
                tells_platforms=asked["tells_platforms"]
                and bool(conversions(lead_import).count),
                actor=self._actor,
            )
        except ModelError as refusal:
            raise Conflict(refusal.message) from refusal
        return self._done(lead_import, otherwise=None if is_started else NOT_READY)

    @extend_schema(
        request=None, responses={200: LeadImportDetailSerializer, 409: DETAIL}
    )
    @action(detail=True, methods=["post"], parser_classes=[BoundedJSONParser])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop the import after the current chunk; leads imported by then are kept. 409 if it is not running."""
        lead_import: LeadImport = self.get_object()
        is_cancelled = lead_imports.cancel(lead_import=lead_import, actor=self._actor)
        return self._done(lead_import, otherwise=None if is_cancelled else NOT_RUNNING)

    @extend_schema(
        request=None, responses={200: LeadImportDetailSerializer, 409: DETAIL}
    )
    @action(detail=True, methods=["post"], parser_classes=[BoundedJSONParser])
    def undo(self, request: Request, pk: str) -> Response:
        """Undo the import, within a week. 409 if it has not ended or has been undone, or another one is running."""
        lead_import: LeadImport = self.get_object()
        try:
            is_undone = lead_imports.undo(lead_import=lead_import, actor=self._actor)
        except ModelError as refusal:
            raise Conflict(refusal.message) from refusal
        return self._done(lead_import, otherwise=None if is_undone else NOTHING_TO_UNDO)

    def perform_destroy(self, instance: Any) -> None:
        if not lead_imports.discard(lead_import=instance):
            raise Conflict(STARTED)

    @property
    def _actor(self) -> User | ApiKey:
        return self.caller if isinstance(self.caller, ApiKey) else self.caller.user

    def _done(self, lead_import: LeadImport, *, otherwise: str | None) -> Response:
        """The import as it is now. Raises Conflict with the reason why nothing was done."""
        if otherwise:
            raise Conflict(otherwise)
        lead_import.refresh_from_db()
        return Response(self.get_serializer(lead_import).data)
