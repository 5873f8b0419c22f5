"""The version of LinkedIn's API that this installation speaks."""

from collections.abc import Iterator
from datetime import date

from django.conf import settings

from capi.deadlines import end_of_version
from capi.doctor.findings import Check, Finding, Level, step
from capi.linkedin import versions
from capi.models import Connection
from capi.reasons import Reason
from capi.words import REASONS
from capi.words.deadlines import about_old_version

RETIRED = REASONS[Reason.VERSION_RETIRED]
LOOK_IT_UP = "Whoever runs LeadMachine finds its end in LinkedIn's list of versions, or installs a newer LeadMachine."


def findings(connection: Connection | None, today: date) -> Iterator[Finding]:
    version = settings.LINKEDIN_API_VERSION
    end = end_of_version(version, today)
    if connection is not None and connection.is_paused and connection.paused_reason == Reason.VERSION_RETIRED:
        yield _finding(Level.RED, RETIRED.what, RETIRED.next_step, RETIRED.topic)
    elif end is not None and end.is_near:
        level = Level.RED if end.words.tone == "bad" else Level.AMBER
        yield _finding(level, end.words.what, end.words.next_step, end.words.topic)
    elif end is not None:
        yield _finding(Level.GREEN, end.words.what)
    elif versions.is_before_the_table(version):
        old = about_old_version(version)
        yield _finding(Level.RED, old.what, old.next_step, old.topic)
    else:
        sentence = f"LeadMachine's table of versions does not hold {version}, so that its end can't be told."
        yield _finding(Level.UNKNOWN, sentence, LOOK_IT_UP, RETIRED.topic)


def _finding(level: Level, sentence: str, mend: str = "", topic: str = "") -> Finding:
    return Finding(Check.VERSION, level, sentence, mend, step(1), topic)
