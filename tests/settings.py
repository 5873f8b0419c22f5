"""LeadMachine's settings as processes of the fault tests and benchmarks read them: the timings that no installation
sets, such as LEASE_SECONDS, come from variables of their names with LEADMACHINE_ in front, as JSON."""

import json
import os
from pathlib import Path

from leadmachine import settings_delivery

for _name in filter(str.isupper, vars(settings_delivery)):
    _text = os.environ.get(f"LEADMACHINE_{_name}")
    if _text and _name.endswith(("_SECONDS", "BATCH_SIZE")):
        setattr(settings_delivery, _name, json.loads(_text))
settings_delivery.WORKER_STATEMENT_SECONDS = settings_delivery.LEASE_SECONDS / 2
if "LINKEDIN_SANDBOX_LEDGER" in os.environ:
    settings_delivery.LINKEDIN_SANDBOX_LEDGER = Path(
        os.environ["LINKEDIN_SANDBOX_LEDGER"]
    )

from leadmachine.settings import *  # noqa: E402, F403
