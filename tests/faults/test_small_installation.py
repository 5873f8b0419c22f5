"""The small installation: one process, on a PostgreSQL of its own as in `make run` (F30)."""

import json
import subprocess
import threading
import time
from statistics import quantiles

import psutil
import pytest

from postgresql.own_server import OwnServer
from tests import migrated
from tests.faults import figures
from tests.faults.processes import Processes, as_environment, command, free_port, job
from tests.faults.world import SMALL, Api, Saver

pytestmark = pytest.mark.faults

WRITERS = 4
IMPORTED = 5_000
SLOW_SECONDS = 2  # 0.5 on a machine that does nothing else; the figure is printed


class SmallInstallation(Processes):
    """A web server with its worker inside, and its PostgreSQL; whatever else is started joins in. Used as a context."""

    def __init__(self, folder, linkedin, **environment) -> None:
        self.linkedin = linkedin
        self.server = OwnServer(folder / "postgresql")
        self.server.folder.mkdir()
        super().__init__(
            folder,
            port=free_port(),
            DATABASE_URL=self.server.url.replace("/postgres?", f"/{migrated.NAME}?"),
            REDIS_URL="",
            LINKEDIN_API_URL=linkedin.url,
            LEADMACHINE_API_REQUESTS_PER_MINUTE="1000000",
            LEADMACHINE_API_COMPANY_PER_MINUTE="1000000",
            **as_environment(SMALL) | environment,
        )

    def __enter__(self):
        self.linkedin.clear()
        with migrated.postgres() as kept:
            subprocess.run(["cp", "-a", str(kept), str(self.server.data)], check=True)
        self.server.start("-c synchronous_commit=on")
        self.key = self.job("prepare").strip()
        self.start_web()
        return self

    def __exit__(self, kind, error, at) -> None:
        self.kill(*list(self.running))
        self.server.stop()
        print(self.logs())

    def start_web(self) -> None:
        self.start("web", command("web"), LEADMACHINE_EMBEDDED_WORKER="on")
        self.wait_for_web()

    def kill_all(self) -> None:
        """SIGKILL the database server and the web server, with all their processes."""
        server = psutil.Process(self.server.pid)
        processes = [server, *server.children()]
        for process in processes:
            process.kill()
        self.kill("web")
        psutil.wait_procs(processes, timeout=10)

    @property
    def api(self) -> Api:
        return Api(self.url, self.key)

    def job(self, *words: str) -> str:
        return self.run(job(*words))

    def end(self, *, hidden_answers: int = 0) -> dict:
        """End everything once all has been sent, and compare our books with the receiver's."""
        self.job("finish")
        assert {
            name for name, process in self.running.items() if process.poll() is not None
        } <= {"import"}
        self.kill(*list(self.running))
        return json.loads(
            self.job("compare", str(self.linkedin.path), str(hidden_answers))
        )


@pytest.mark.timeout(1800)
@pytest.mark.covers("F30")
def test_4_who_write_2_workers_and_an_import_share_it_and_nobody_waits_long(
    tmp_path, linkedin
) -> None:
    writes = figures.rounds(1_000, long=20_000)
    with SmallInstallation(tmp_path, linkedin) as small:
        small.start("second worker", job("work"))
        importer = small.start("import", job("add", "northwind", str(IMPORTED)))

        answers = write_all(small, writes)

        assert importer.wait(60) == 0
        all_of_them = writes + IMPORTED
        found = small.end()
        assert {status for status, _ in answers} == {201}
        assert found == {
            "broken": [],
            "extra": 0,
            "leads": all_of_them,
            "accepted": all_of_them,
        }
        assert [line for line in small.logs().splitlines() if " ERROR " in line] == []
        p95 = quantiles([took for _, took in answers], n=100)[94]
        assert p95 <= SLOW_SECONDS
    figures.count("writes on a small installation", writes)
    figures.count("ms p95 of a save on a small installation", round(p95 * 1000))


def write_all(small: SmallInstallation, writes: int) -> list[tuple[int, float]]:
    """The answers to so many saves by four writers at once: status and seconds."""
    answers: list[tuple[int, float]] = []

    def write(writer: int) -> None:
        api = small.api
        answers.extend(
            api.save_lead(number) for number in range(writer, writes, WRITERS)
        )

    threads = [
        threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.timeout(1800)
@pytest.mark.representative
@pytest.mark.sized
@pytest.mark.covers("F30")
def test_nothing_is_lost_when_all_of_it_is_killed_while_it_writes(
    tmp_path, linkedin
) -> None:
    kills = figures.rounds(30, long=100)
    saved: set[str] = set()
    with SmallInstallation(tmp_path, linkedin) as small:
        for seed in figures.seeds(kills):
            with (
                figures.chance(seed) as dice,
                Saver(small.api, start=1_000_000 * (seed + 1)) as saver,
            ):
                time.sleep(dice.uniform(0.1, 1))
                small.kill_all()
            saved |= saver.saved
            small.server.start("-c synchronous_commit=on")
            small.start_web()

        there = small.api.addresses()
        found = small.end(hidden_answers=kills)

        assert saved
        assert saved <= there
        assert found["broken"] == []
        assert len(there) - len(saved) <= kills  # saved, and killed before the answer
        assert found["leads"] == len(there)
    figures.count("kills of a small installation", kills)
