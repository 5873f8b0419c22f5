"""What a script does with the generated Python client: its types are checked, then it runs. Arguments: URL, key,
id of an export that is ready.
"""

import sys
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from lead_machine_api_client import AuthenticatedClient
from lead_machine_api_client.api.exports import (
    exports_content_retrieve,
    exports_retrieve,
)
from lead_machine_api_client.api.files import files_content_retrieve, files_create
from lead_machine_api_client.api.leads import (
    leads_create,
    leads_list,
    leads_partial_update,
)
from lead_machine_api_client.models import (
    DataExport,
    File,
    FileRequest,
    Lead,
    LeadRequest,
    PaginatedLeadList,
    PatchedLeadRequest,
    Problems,
)
from lead_machine_api_client.types import File as Upload


def main(url: str, key: str, export_id: str) -> None:
    client = AuthenticatedClient(base_url=url, token=key)

    created = leads_create.sync(
        client=client, body=LeadRequest(first_name="Ada", email="Ada@example.com")
    )
    assert isinstance(created, Lead)
    # A str: without "required" it might be unset.
    assert created.email.lower() == "ada@example.com"
    updated = leads_partial_update.sync(
        created.id, client=client, body=PatchedLeadRequest(title="Countess")
    )
    assert isinstance(updated, Lead)
    assert updated.title == "Countess"
    assert isinstance(
        leads_create.sync(client=client, body=LeadRequest(email="no address")), Problems
    )

    seen: list[int] = []
    page = leads_list.sync(client=client, page_size=7)
    while isinstance(page, PaginatedLeadList):
        seen += [lead.id for lead in page.results]
        if page.next_ is None:
            break
        (cursor,) = parse_qs(urlsplit(page.next_).query)["cursor"]
        page = leads_list.sync(client=client, page_size=7, cursor=cursor)
    assert len(seen) == len(set(seen)) == 201

    content = b"\x00\xff of any kind"
    upload = Upload(
        payload=BytesIO(content),
        file_name="offer.bin",
        mime_type="application/octet-stream",
    )
    stored = files_create.sync(
        client=client, body=FileRequest(file=upload, lead=created.id)
    )
    assert isinstance(stored, File)
    downloaded = files_content_retrieve.sync(stored.id, client=client)
    assert isinstance(downloaded, Upload)
    assert downloaded.payload.read() == content

    export = exports_retrieve.sync(int(export_id), client=client)
    assert isinstance(export, DataExport)
    table = exports_content_retrieve.sync(export.id, client=client)
    assert isinstance(table, str)
    assert "Lead 199" in table


if __name__ == "__main__":
    main(*sys.argv[1:])
