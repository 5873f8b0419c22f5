"""What an export of a whole company says about itself in `manifest.json`, so that an import recognises it."""

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Final

from django.conf import settings

from crm.models import Company

NAME: Final = "manifest.json"
README: Final = "README.txt"
FORMAT: Final = "leadmachine-company"
# Another one once an older version can't read the files any more.
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """`system` is what the numbers in the files are external ids of: the same in each export of one company."""

    company: str
    system: str
    version: int = VERSION
    format: str = FORMAT

    @classmethod
    def of(cls, company: Company) -> "Manifest":
        return cls(company.name, system_of(company))

    @classmethod
    def parse(cls, content: bytes) -> "Manifest | None":
        """The manifest, None if this is none of ours."""
        try:
            read: Any = json.loads(content)
            manifest = cls(**{name: read[name] for name in cls.__slots__})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return manifest if manifest._is_ours() else None

    def _is_ours(self) -> bool:
        texts = (self.company, self.system, self.format)
        is_typed = all(isinstance(text, str) for text in texts)
        return is_typed and type(self.version) is int and self.format == FORMAT

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2).encode()


def system_of(company: Company) -> str:
    """A short name for this company of this installation, as external ids have it."""
    place = f"{settings.SITE_URL}\n{company.pk}"
    return f"leadmachine-{blake2b(place.encode(), digest_size=4).hexdigest()}"
