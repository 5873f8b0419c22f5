"""System checks of numbers: one that is too small would delete, give up or repeat without end."""

from dataclasses import dataclass
from math import inf
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@dataclass(frozen=True, slots=True)
class Smallest:
    """The smallest value of a setting, and what would happen below it."""

    name: str  # of the variable
    value: float
    otherwise: str
    setting: str = ""  # its name in the settings, if it is not that of the variable without LEADMACHINE_

    @property
    def current(self) -> list[float]:
        value = getattr(settings, self.setting or self.name.removeprefix("LEADMACHINE_"))
        return value if isinstance(value, list) else [value]


SMALLEST: Final = (
    Smallest("LEADMACHINE_RETENTION_DAYS", 1, "the log of events would be deleted at once"),
    Smallest("LEADMACHINE_EVENT_MAX_AGE_DAYS", 1, "every event would end as too old"),
    Smallest("LEADMACHINE_RETRY_WINDOW_SECONDS", 60, "events would be given up after their first failure"),
    Smallest("LEADMACHINE_RETRY_SECONDS", 0.1, "failed events would be sent again without a pause"),
    Smallest("LEADMACHINE_RETRY_LAST_SECONDS", 0.1, "failed events would be sent again without a pause"),
    Smallest("LEADMACHINE_RETRY_AFTER_MAX_SECONDS", 1, "what LinkedIn asks for would be ignored"),
    Smallest("LEADMACHINE_THROTTLE_SECONDS", 0.1, "LinkedIn would be asked again at once"),
    Smallest("LEADMACHINE_LANE_REST_SECONDS", 0.1, "LinkedIn would be asked again at once"),
    Smallest("LEADMACHINE_SWEEP_SECONDS", 0.1, "workers would query the database without a pause"),
    Smallest("LEADMACHINE_SEND_TIMEOUT_SECONDS", 0.1, "no request could get an answer"),
    Smallest("LEADMACHINE_CONNECT_TIMEOUT_SECONDS", 0.1, "no request could be sent"),
    Smallest("LEADMACHINE_WEB_STATEMENT_SECONDS", 0.1, "no page could read the database, or one could for ever"),
    Smallest("LEADMACHINE_STANDSTILL_SECONDS", 1, "workers would end all the time"),
    Smallest("LEADMACHINE_WAKE_TIMEOUT_SECONDS", 0.01, "no wake-up could be sent"),
    Smallest("LEADMACHINE_FILES_MB_PER_COMPANY", 1, "no file could be added"),
    Smallest("LEADMACHINE_API_REQUESTS_PER_MINUTE", 1, "scripts would get a 429 for each request"),
    Smallest("LEADMACHINE_API_COMPANY_PER_MINUTE", 1, "scripts would get a 429 for each request"),
)


@register()
def numbers_are_large_enough(**kwargs: Any) -> list[CheckMessage]:
    """E024: no number is below the one from which on it does what it is for."""
    return [
        Error(
            f"{each.name} is {min(each.current, default=inf):g}: {each.otherwise}.",
            hint=f"Set it to {each.value:g} or more, or leave it unset.",
            id="leadmachine.E024",
        )
        for each in SMALLEST
        if min(each.current, default=inf) < each.value
    ]
