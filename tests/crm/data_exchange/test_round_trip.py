"""What is exported is imported again as the same values, in each format, whatever people have chosen for themselves."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.data_exchange.exporting.work import advance
from crm.data_exchange.formulas import guarded, kept_by_import, unguarded
from crm.formatting import dates_for
from crm.models import (
    Company,
    ExportFormat,
    ExportPart,
    Lead,
    LeadStatus,
    LeadType,
    Membership,
    Tag,
)
from crm.models.custom_values import form_field
from crm.models.people import DateStyle
from crm.models.roles import Role
from crm.models.validators import is_seen
from crm.services.data_exports import export_list
from tests.conftest import join
from tests.crm.custom_values import ENTERED, make_every_field
from tests.crm.data_exchange.importing.uploading import run, upload
from tests.size import sized

pytestmark = [pytest.mark.django_db, pytest.mark.sized]

ZONES: Final = ("UTC", "Europe/Amsterdam", "Pacific/Auckland", "America/St_Johns")
TEXTS: Final = ("first_name", "last_name", "phone", "organisation", "title", "source")
# What formulas, separators and the guards against them are made of.
_AWKWARD: Final = st.text(st.sampled_from("=+-@;,|\"'\\ \tx1é\u3000\u00a0_x000D_"))
_ANY: Final = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]))


def texts(longest: int) -> st.SearchStrategy[str]:
    """Texts as a form stores them, some of them empty."""
    drawn = st.one_of(_AWKWARD, _ANY).map(lambda text: " ".join(text.split())[:longest])
    return drawn.map(lambda text: text.strip() if is_seen(text) else "")


NOTES: Final = st.lists(texts(200), max_size=4).map(
    lambda lines: "\n".join(lines).strip()
)
FIRST_NAMES: Final = texts(60).map(lambda text: text or "Ada")


def leads() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            **{name: texts(40) for name in TEXTS},
            "first_name": FIRST_NAMES,
            "notes": NOTES,
            "share_with_ad_platforms": st.booleans(),
            "status": st.integers(0, 2),
            "type": st.integers(0, 2),
            "has_owner": st.booleans(),
            "tags": st.sets(st.sampled_from(["VIP", "Fair 2026", "=Tag"])),
            "custom": st.fixed_dictionaries({}, optional=ENTERED),
        }
    )


class Side:
    """A company with custom fields of all types, tags and a member."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.fields = make_every_field(company)
        self.member = join(
            company,
            Role.SALES,
            email=f"{company.slug}@example.com",
            first_name="Sam",
            last_name="Visser",
        )
        self.statuses = list(LeadStatus.objects.for_company(company))[:3]
        self.types = list(LeadType.objects.for_company(company))[:3]
        self.tags = {
            name: Tag.objects.create(company=company, name=name)
            for name in ("VIP", "Fair 2026", "=Tag")
        }

    def store(self, number: int, drawn: dict[str, Any]) -> Lead:
        custom = {
            kind: self._cleaned(kind, entered)
            for kind, entered in drawn["custom"].items()
        }
        values = {
            name: drawn[name] for name in (*TEXTS, "notes", "share_with_ad_platforms")
        }
        lead = Lead.objects.create(
            company=self.company,
            email=f"lead{number}@example.com",
            status=self.statuses[drawn["status"] % len(self.statuses)],
            type=self.types[drawn["type"] % len(self.types)].code,
            owner=self.member.user if drawn["has_owner"] else None,
            custom={key: value for key, value in custom.items() if value is not None},
            **values,
        )
        lead.tags.set(
            [self.tags[name] for name in drawn["tags"]],
            through_defaults={"company": self.company},
        )
        return lead

    def _cleaned(self, kind: str, entered: Any) -> Any:
        return form_field(self.fields[kind], is_required=False).clean(entered)

    def stored(self) -> list[dict[str, Any]]:
        names = {each.code: each.name for each in self.types}
        return [
            {
                **{
                    name: getattr(lead, name)
                    for name in (
                        *TEXTS,
                        "email",
                        "notes",
                        "share_with_ad_platforms",
                        "custom",
                    )
                },
                "status": lead.status.name,
                "type": names[lead.type],
                "owner": str(lead.owner or ""),
                "tags": sorted(tag.name for tag in lead.tags.all()),
            }
            for lead in Lead.objects.for_company(self.company).order_by("email")
        ]


def exported(
    member: Membership, file_format: ExportFormat, model: type[Any] = Lead
) -> bytes:
    own = model.objects.for_company(member.company).order_by("pk")
    keys = own.values_list("pk", flat=True)
    made = export_list(
        author=member,
        kind=f"{model._meta.model_name}s",
        file_format=file_format,
        keys=keys,
        columns=[],
        filters=[],
    )
    while advance(made.pk):
        pass
    parts = ExportPart.objects.filter(data_export=made).order_by("pk")
    return b"".join(part.read() for part in parts)


@pytest.mark.parametrize("file_format", ExportFormat)
def test_an_export_is_imported_as_the_same_values(
    settings_of_limits: None, file_format: ExportFormat
) -> None:
    here, there = (
        Side(Company.objects.create(name=name, slug=name.lower()))
        for name in ("Here", "There")
    )

    @settings(
        max_examples=sized(60, small=8),
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        st.lists(leads(), min_size=1, max_size=6),
        st.sampled_from(DateStyle.values),
        st.sampled_from(ZONES),
    )
    def agree(drawn: Sequence[dict[str, Any]], style: str, zone: str) -> None:
        with transaction.atomic():
            _choose(here, style, zone)
            _choose(there, style, zone)
            for number, values in enumerate(drawn):
                here.store(number, values)
            with dates_for(here.member.user):
                content = exported(here.member, file_format)
            with dates_for(there.member.user):
                checked = upload(there.member, content)
            problems = {key for key in checked.planned if key[:4] in ("cell", "bad:")}

            assert (checked.state, problems) == ("paused", set()), checked.problem
            run(checked, there.member)
            assert there.stored() == here.stored()
            transaction.set_rollback(True)

    agree()


def _choose(side: Side, style: str, zone: str) -> None:
    side.company.time_zone = zone
    side.company.save()
    side.member.user.date_style = style
    side.member.user.save()


@settings(max_examples=500, database=None)
@given(st.text(st.sampled_from("=+-@;,|\"'\\ \t\r\n\0x\u3000\uff1d")))
def test_a_guard_against_formulas_is_removed_again(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert unguarded(kept_by_import(text)) == text
