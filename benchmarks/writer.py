"""A sales rep as a process: waits for a line of input, qualifies one lead after another, and prints how many.

`python -m benchmarks.writer COMPANY_ID WAY SECONDS PER_SECOND PART PARTS`
"""

import os
import sys
import time


def main() -> None:
    company_id, way, seconds, per_second, part, parts = sys.argv[1:]
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    import django

    django.setup()
    from benchmarks.measures import saves
    from crm.models import Lead, LeadStatus

    qualified = LeadStatus.objects.get(company=company_id, meaning="qualified")
    leads = Lead.objects.filter(company=company_id, status__meaning="new").order_by(
        "pk"
    )
    own = [lead for lead in leads if lead.pk % int(parts) == int(part)]
    save = saves.WAYS[way]
    print("ready", flush=True)
    sys.stdin.readline()
    started, saved = time.monotonic(), 0
    for lead in own:
        if (elapsed := time.monotonic() - started) > float(seconds):
            break
        if float(per_second):
            time.sleep(max(0.0, saved / float(per_second) - elapsed))
        lead.status = qualified
        save(lead)
        saved += 1
    from capi.delivery.wakeup import publisher

    publisher.flush(5)
    print(saved)


if __name__ == "__main__":
    main()
