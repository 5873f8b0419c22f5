"""`manage.py make_crm --leads N --deals N --tasks N --notes N --files N --companies N`: a large company to measure.

It is one of several companies. SQL writes the rows directly, so no event is planned or sent: the CRM events that
`--history` adds only show in timelines. Files are added by Python, because their content has to be on the storage.
"""

from argparse import ArgumentParser
from typing import Any, Final

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils.text import slugify

from crm.models import (
    Attachment,
    Change,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadDuplicate,
    LeadStatus,
    Membership,
    Note,
    OrganisationDetails,
    Stage,
    Task,
    User,
)
from crm.models.company import DEFAULT_TYPES
from crm.models.file_storage import store
from crm.models.organisation import KEY_OF_COLUMN
from crm.models.roles import Role
from leadmachine.demo.people import (
    FIRST_NAMES,
    LAST_NAMES,
    ORGANISATIONS,
    SOURCES,
    TITLES,
)

LEADS_OF_THE_OTHERS: Final = 1_000
SIZES_OF_THE_OTHERS: Final = {
    "deals": 200,
    "tasks": 1_000,
    "notes": 1_000,
    "duplicates": 100,
}
FILES_OF_THE_OTHERS: Final = 10
CHUNK: Final = 100_000  # rows per statement
MEMBERS: Final = (Role.ADMIN, Role.SALES, Role.SALES, Role.OPS)
TABLES: Final = {
    "lead": Lead._meta.db_table,
    "deal": Deal._meta.db_table,
    "task": Task._meta.db_table,
    "note": Note._meta.db_table,
    "duplicate": LeadDuplicate._meta.db_table,
    "details": OrganisationDetails._meta.db_table,
    "status": LeadStatus._meta.db_table,
    "stage": Stage._meta.db_table,
    "event": CrmEvent._meta.db_table,
    "change": Change._meta.db_table,
}
DAYS: Final = 700
CONTENT: Final = b"Forty licences for a year.\n"

# Names, statuses and owners alternate at different rates, so that all combinations occur.
LEADS: Final = """
INSERT INTO {lead} (company_id, first_name, last_name, email, phone, organisation, title, source, type, status_id,
                    owner_id, share_with_ad_platforms, notes, created_at, updated_at)
SELECT %(company)s, first, last || '-' || n %% 997,
       CASE WHEN n %% 20 > 0 THEN lower(first) || '.' || n || '@example.com' ELSE '' END,
       CASE WHEN n %% 3 = 0 THEN '+31 20 ' || lpad((n * 7919 %% 10000000)::text, 7, '0') ELSE '' END,
       (%(organisations)s::text[])[1 + n / 7 %% {organisations}] || ' ' || n / 50,
       (%(titles)s::text[])[1 + n %% {titles}],
       (%(sources)s::text[])[1 + n / 3 %% {sources}], (%(types)s::text[])[1 + n / 11 %% {types}],
       (%(statuses)s::bigint[])[1 + n / 13 %% {statuses}], (%(owners)s::bigint[])[1 + n / 17 %% {owners}],
       n %% 10 > 0, '', now() - interval '{days} days' * (1 - n::float / %(total)s),
       now() - interval '{days} days' * (1 - n::float / %(total)s) * ((n * 31 %% 100) / 100.0)
FROM (SELECT n, (%(first_names)s::text[])[1 + n %% {first_names}] AS first,
             (%(last_names)s::text[])[1 + n / 41 %% {last_names}] AS last
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS people
"""
DETAILS: Final = """
INSERT INTO {details} (company_id, key, domain, owner_id, industry, size, address, website, updated_at)
SELECT %(company)s, key, 'organisation' || n || '.example', (%(owners)s::bigint[])[1 + n %% {owners}],
       'Industry ' || n %% 40, CASE WHEN n %% 20 = 0 THEN '51-200' ELSE '1-10' END, '', '', now()
FROM (SELECT key, row_number() OVER () AS n
      FROM (SELECT DISTINCT {key} AS key FROM {lead} WHERE company_id = %(company)s) AS keys) AS organisations
"""
DEALS: Final = """
INSERT INTO {deal} (company_id, lead_id, title, amount, currency, stage_id, owner_id, expected_close, created_at,
                    updated_at)
SELECT %(company)s, id, 'Deal of ' || last_name, id %% 90 * 1000,
       CASE WHEN id / %(every)s %% 19 = 0 THEN 'CHF' ELSE 'EUR' END,
       (%(stages)s::bigint[])[1 + id / %(every)s %% {stages}], owner_id, current_date + (id %% 120)::int - 60,
       created_at, updated_at
FROM {lead} WHERE company_id = %(company)s AND id %% %(every)s = 0 ORDER BY id LIMIT %(count)s
"""
TASKS: Final = """
INSERT INTO {task} (company_id, title, kind, due_on, owner_id, lead_id, done_at, created_at, updated_at)
SELECT %(company)s, 'Call ' || first_name || ' (' || n || ')', 'call', current_date + (id %% 90)::int - 80, owner_id,
       id, CASE WHEN id %% 90 < 80 THEN now() END, created_at, updated_at
FROM {lead}, generate_series(1, %(each)s::int) AS n WHERE company_id = %(company)s LIMIT %(count)s
"""
DEAL_TASKS: Final = """
INSERT INTO {task} (company_id, title, kind, due_on, owner_id, deal_id, created_at, updated_at)
SELECT %(company)s, 'Send the offer', 'task', current_date + (id %% 60)::int - 10, owner_id, id, created_at, updated_at
FROM {deal} WHERE company_id = %(company)s AND id %% 2 = 0 LIMIT %(count)s
"""
NOTES: Final = """
INSERT INTO {note} (company_id, kind, text, actor_id, lead_id, created_at)
SELECT %(company)s, CASE WHEN (id + n) %% 3 = 0 THEN 'call' ELSE 'note' END,
       'Spoke with ' || first_name || ' about the offer (' || n || ').', owner_id, id,
       created_at + (updated_at - created_at) * n / (%(each)s + 1)
FROM {lead}, generate_series(1, %(each)s::int) AS n WHERE company_id = %(company)s LIMIT %(count)s
"""
# Each lead and the one after it. In a join, PostgreSQL would compare all with all: it has no statistics of new rows.
DUPLICATES: Final = """
INSERT INTO {duplicate} (company_id, first_id, second_id, reason, dismissed_at)
SELECT %(company)s, id, next, 'name', CASE WHEN id %% 11 = 0 THEN now() END
FROM (SELECT id, lead(id) OVER (ORDER BY id) AS next FROM {lead} WHERE company_id = %(company)s) AS pairs
WHERE next = id + 1 ORDER BY id LIMIT %(count)s
"""
EVENTS: Final = """
INSERT INTO {event} (company_id, kind, lead_id, deal_id, actor_id, occurred_at, amount, currency, history_only,
                     public_id)
SELECT %(company)s, kind, lead_id, deal_id, (%(owners)s::bigint[])[1 + lead_id %% {owners}], moment, amount, currency,
       true, gen_random_uuid()
FROM (SELECT 'lead_created' AS kind, id AS lead_id, NULL::bigint AS deal_id, created_at AS moment,
             NULL::numeric AS amount, '' AS currency
      FROM {lead} WHERE company_id = %(company)s
      UNION ALL
      SELECT 'lead_qualified', lead.id, NULL, updated_at, NULL, ''
      FROM {lead} AS lead JOIN {status} AS status ON status.id = status_id
      WHERE lead.company_id = %(company)s AND status.meaning = 'qualified'
      UNION ALL
      SELECT 'deal_created', lead_id, id, created_at, amount, currency FROM {deal} WHERE company_id = %(company)s
      UNION ALL
      SELECT 'deal_' || stage.meaning, lead_id, deal.id, updated_at, amount, currency
      FROM {deal} AS deal JOIN {stage} AS stage ON stage.id = stage_id
      WHERE deal.company_id = %(company)s AND stage.meaning <> 'open') AS events
ORDER BY moment
"""
CHANGES: Final = """
INSERT INTO {change} (company_id, lead_id, field, old, new, actor_id, is_undo, changed_at)
SELECT %(company)s, id, 'status', (%(statuses)s::bigint[])[1]::text, status_id::text,
       (%(owners)s::bigint[])[1 + id %% {owners}], false, updated_at
FROM {lead} WHERE company_id = %(company)s AND status_id <> (%(statuses)s::bigint[])[1] ORDER BY updated_at
"""


class Command(BaseCommand):
    help = "Create companies with many leads, deals, tasks and notes, for measuring. PostgreSQL only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--leads", type=int, default=500_000, help="of the large company"
        )
        parser.add_argument("--deals", type=int, default=100_000)
        parser.add_argument("--tasks", type=int, default=500_000)
        parser.add_argument("--notes", type=int, default=500_000)
        parser.add_argument(
            "--duplicates",
            type=int,
            default=50_000,
            help="pairs of leads that may be one person",
        )
        parser.add_argument(
            "--files", type=int, default=1_000, help="on leads, deals and notes in turn"
        )
        parser.add_argument(
            "--history",
            action="store_true",
            help="also what has happened to the leads and deals",
        )
        parser.add_argument(
            "--companies",
            type=int,
            default=20,
            help=f"the others have {LEADS_OF_THE_OTHERS:,} leads",
        )
        parser.add_argument(
            "--name",
            default="Measured",
            help="what the names of the companies begin with",
        )
        parser.add_argument(
            "--no-analyze",
            dest="analyze",
            action="store_false",
            help="leave out VACUUM ANALYZE",
        )
        parser.add_argument(
            "--anyway",
            action="store_true",
            help="also where this is no development installation",
        )

    def handle(self, *args: Any, leads: int, companies: int, **options: Any) -> None:
        if not (settings.DEBUG or settings.LINKEDIN_SANDBOX or options["anyway"]):
            raise CommandError(
                "make_crm fills the database. Add --anyway if you want that on this installation."
            )
        name = options["name"]
        if Company.objects.filter(slug__startswith=slugify(name)).exists():
            raise CommandError(
                f"There are companies whose names begin with {name}. Choose another --name."
            )
        for number in range(1, companies):
            other = _company(f"{name} {number + 1}")
            _fill(
                other,
                LEADS_OF_THE_OTHERS,
                **SIZES_OF_THE_OTHERS,
                history=options["history"],
            )
            _add_files(other, FILES_OF_THE_OTHERS)
        large = _company(f"{name} 1")
        _fill(
            large,
            leads,
            **{kind: options[kind] for kind in SIZES_OF_THE_OTHERS},
            history=options["history"],
        )
        _add_files(large, options["files"])
        if options["analyze"]:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")
        self.stdout.write(
            f"{name} 1 has {leads:,} leads. Its members, without a password, are {slugify(name)}-1-…"
        )


def _company(name: str) -> Company:
    company = Company.objects.create(name=name, slug=slugify(name))
    for number, role in enumerate(MEMBERS, 1):
        address = f"{company.slug}-{number}@example.com"
        user = User.objects.create_user(
            address,
            address,
            first_name=FIRST_NAMES[number],
            last_name=LAST_NAMES[number],
        )
        Membership.objects.create(company=company, user=user, role=role)
    return company


def _fill(
    company: Company,
    leads: int,
    *,
    deals: int,
    tasks: int,
    notes: int,
    duplicates: int,
    history: bool,
) -> None:
    values = _values(company)
    sizes = {
        name: len(value) for name, value in values.items() if isinstance(value, list)
    }
    on_deals = min(deals // 2, tasks // 2)
    steps: list[tuple[str, dict[str, int]]] = [
        *(
            (
                LEADS,
                {"total": leads, "first": first, "last": min(first + CHUNK, leads) - 1},
            )
            for first in range(0, leads, CHUNK)
        ),
        (DETAILS, {}),
        (DEALS, {"every": max(1, leads // max(1, deals)), "count": deals}),
        (DEAL_TASKS, {"count": on_deals}),
        *(
            (statement, {"each": -(-count // max(1, leads)), "count": count})
            for statement, count in ((TASKS, tasks - on_deals), (NOTES, notes))
        ),
        (DUPLICATES, {"count": duplicates}),
        *((statement, {}) for statement in (EVENTS, CHANGES) if history),
    ]
    with connection.cursor() as cursor:
        for statement, parameters in steps:
            cursor.execute(
                statement.format(**TABLES, **sizes, days=DAYS, key=KEY_OF_COLUMN),
                {**values, **parameters},
            )


def _add_files(company: Company, count: int) -> None:
    """Add this many small files, a third each to the newest leads, deals and notes, as far as there are any."""
    own = [
        model._default_manager.filter(company=company).order_by("-pk")[: count // 3]
        for model in (Lead, Deal, Note)
    ]
    subjects = [row for rows in own for row in rows]
    seller = company.memberships.filter(role=Role.SALES).earliest("pk").user
    Attachment.objects.bulk_create(
        Attachment(
            company=company,
            actor=seller,
            name=f"Offer {number}.txt",
            size=len(CONTENT),
            stored_as=store(ContentFile(CONTENT)),
            lead_id=row.pk if isinstance(row, Lead) else row.lead_id,
            deal_id=row.pk if isinstance(row, Deal) else getattr(row, "deal_id", None),
            note=row if isinstance(row, Note) else None,
        )
        for number, row in enumerate(subjects)
    )


def _values(company: Company) -> dict[str, Any]:
    """The parameters of the statements: ids of the company's rows, and names for people."""
    return {
        "company": company.pk,
        "statuses": list(
            LeadStatus.objects.for_company(company).values_list("pk", flat=True)
        ),
        "stages": list(Stage.objects.for_company(company).values_list("pk", flat=True)),
        "owners": [*company.memberships.values_list("user_id", flat=True), None],
        "first_names": FIRST_NAMES,
        "last_names": LAST_NAMES,
        "organisations": list(ORGANISATIONS),
        "titles": list(TITLES),
        "sources": sorted(set(SOURCES)),
        "types": [code for _, code in DEFAULT_TYPES],
    }
