"""The small installation under load: many who write into one SQLite file at once (F30)."""

import json
import shutil
import threading
from statistics import quantiles

import pytest

from tests import migrated
from tests.faults import figures
from tests.faults.processes import Processes, as_environment, command, free_port, job
from tests.faults.world import SMALL, Api

pytestmark = [pytest.mark.faults]

WRITERS = 4
IMPORTED = 5_000
SLOW_SECONDS = 2  # 0.5 on a machine that does nothing else; the figure is printed


class SmallInstallation(Processes):
    """A web server with its worker inside, on a SQLite file; whatever else is started joins in. Used as a context."""

    def __init__(self, folder, linkedin, **environment) -> None:
        self.linkedin = linkedin
        super().__init__(
            folder,
            port=free_port(),
            DATABASE_URL=f"sqlite:///{folder / 'small.sqlite3'}",
            REDIS_URL="",
            LINKEDIN_API_URL=linkedin.url,
            LEADMACHINE_API_REQUESTS_PER_MINUTE="1000000",
            LEADMACHINE_API_COMPANY_PER_MINUTE="1000000",
            **as_environment(SMALL) | environment,
        )

    def __enter__(self):
        self.linkedin.clear()
        with migrated.sqlite() as kept:
            shutil.copy(kept, self.folder / "small.sqlite3")
        self.run(command("migrate"))
        self.key = self.job("prepare").strip()
        self.start("web", command("web"), LEADMACHINE_EMBEDDED_WORKER="on")
        self.wait_for_web()
        return self

    def __exit__(self, kind, error, at) -> None:
        self.kill(*list(self.running))
        print(self.logs())

    @property
    def api(self) -> Api:
        return Api(self.url, self.key)

    def job(self, *words: str) -> str:
        return self.run(job(*words))

    def end(self) -> dict:
        """End everything once all has been sent, and compare our books with the receiver's."""
        self.job("finish")
        assert {name for name, process in self.running.items() if process.poll() is not None} <= {"import"}
        self.kill(*list(self.running))
        return json.loads(self.job("compare", str(self.linkedin.path)))


@pytest.mark.timeout(1800)
@pytest.mark.covers("F30")
def test_4_who_write_2_workers_and_an_import_share_a_sqlite_file_and_nobody_sees_it_locked(tmp_path, linkedin) -> None:
    writes = figures.rounds(1_000, long=20_000)
    with SmallInstallation(tmp_path, linkedin) as small:
        small.start("second worker", job("work"))
        importer = small.start("import", job("add", "northwind", str(IMPORTED)))

        answers = write_all(small, writes)

        assert importer.wait(60) == 0
        all_of_them = writes + IMPORTED
        found = small.end()
        assert {status for status, _ in answers} == {201}
        assert found == {"broken": [], "extra": 0, "leads": all_of_them, "accepted": all_of_them}
        assert [line for line in small.logs().splitlines() if "locked" in line or " ERROR " in line] == []
        p95 = quantiles([took for _, took in answers], n=100)[94]
        assert p95 <= SLOW_SECONDS
    figures.count("writes on SQLite", writes)
    figures.count("ms p95 of a save on SQLite", round(p95 * 1000))


def write_all(small: SmallInstallation, writes: int) -> list[tuple[int, float]]:
    """The answers to so many saves by four writers at once: status and seconds."""
    answers: list[tuple[int, float]] = []

    def write(writer: int) -> None:
        api = small.api
        answers.extend(api.save_lead(number) for number in range(writer, writes, WRITERS))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
