"""The work on exports, chunk by chunk.

A chunk locks the export's row and the company's, as an erasure does: no chunk that read a person before their erasure
is stored after it.
"""

from typing import Final

from django.utils import timezone

from crm.data_exchange.exporting import archive, list_rows
from crm.data_exchange.exporting.cells import as_csv, as_json
from crm.data_exchange.exporting.spreadsheets import pack
from crm.jobs.runner import JobRefused, JobRunner
from crm.models import DataExport, ExportFormat, ExportPart
from crm.models.data_export import WHOLE_COMPANY
from crm.models.space import space_of


class ExportRunner(JobRunner[DataExport]):
    model = DataExport
    noun = "Export"
    cancel_url = "data_export_cancel"

    def usual_chunk(self, job: DataExport) -> int:
        return list_rows.CHUNK

    def lock(self, pk: int) -> DataExport | None:
        own = self.jobs(pk).at_work().select_related("company")
        return own.select_for_update(
            no_key=True, skip_locked=True, of=("self", "company")
        ).first()

    def next_chunk(self, pk: int) -> bool:
        """Write the next chunk or, once the rows are complete, pack them. Returns False if there is nothing to do."""
        if DataExport.objects.filter(pk=pk).packing().exists():
            return pack(pk)
        return super().next_chunk(pk)

    def work(self, job: DataExport) -> None:
        with timezone.override(job.company.time_zone):
            _write(job, self.size(job))
        job.save(update_fields=["stored"])  # which the space takes into account
        space = space_of(job.company_id)
        if not space.left:
            raise JobRefused(space.refusal("Nothing was exported"))


def _write(data_export: DataExport, size: int) -> None:
    part = ExportPart(
        company_id=data_export.company_id,
        data_export=data_export,
        file=data_export.file,
    )
    source = archive if data_export.kind == WHOLE_COMPANY else list_rows
    found = source.next_rows(data_export, size)
    content = (
        as_json(found) if data_export.format == ExportFormat.XLSX else as_csv(found)
    )
    if content:
        data_export.stored += part.write(content)
        data_export.size += len(content)
    if _is_complete(data_export):
        data_export.finish()


def _is_complete(data_export: DataExport) -> bool:
    if data_export.kind == WHOLE_COMPANY:
        return data_export.file == len(archive.FILES)
    return data_export.reached >= data_export.row_count and not data_export.is_packing


advance: Final = ExportRunner().advance
