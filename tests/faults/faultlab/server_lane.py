"""The server's processes, its database, its disk and its clock."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time

from bridge.store.faults import POINTS
from faultlab.database import Postgresql, Sqlite
from faultlab.lanes import Act, Lane, Stage, chosen
from faultlab.proxy import DOWN, UP
from faultlab.server import LabError, environment

_WEB_KILLS_A_MINUTE = 3
_POINT_S = 60.0
_NOTICED_AFTER_S = 7.0


class ServerLane(Lane):
    """Processes, disk and clock."""

    def __init__(self, stage: Stage, seed: int, only: frozenset[str]) -> None:
        self._web_kills: list[float] = []
        self._backups = 0
        acts: dict[str, Act] = {
            "kill -9 of the server": self._kill,
            "kill -9 of the server while it starts": self._kill_early,
            "kill -9 of a web process": self._kill_web,
            "SIGSTOP of the server": self._freeze,
            "SIGTERM of the server": self._restart,
            "COMMIT fails (at a named point)": self._fail_commits,
            "clock jump": self._jump,
            **{
                f"kill -9 {point.replace('_', ' ')}": lambda point=point: self._kill_at(point)
                for point in POINTS
            },
        }
        match stage.database:
            case Sqlite() as database:
                acts |= self._of_sqlite(stage, database)
            case Postgresql() as database:
                acts |= self._of_postgresql(database)
        super().__init__(stage, random.Random(f"server {seed}"), chosen(acts, only), pause_s=1.5)

    def _of_sqlite(self, stage: Stage, database: Sqlite) -> dict[str, Act]:
        acts: dict[str, Act] = {
            "writes fail (a limit on the size of files)": self._limit_files,
            "second server on the same data": self._second,
            "restored backup": lambda: self._restore(database),
        }
        if stage.disk.mounted:
            acts["disk full"] = self._fill
        if _can_trace():
            acts["fsync fails"] = self._fail_fsync
        return acts

    def _of_postgresql(self, database: Postgresql) -> dict[str, Act]:
        return {
            "kill -9 of PostgreSQL": lambda: self._break_database(database.kill, database.start),
            "PostgreSQL stopped and started": lambda: self._break_database(database.stop, database.start),
            "kill -9 of a PostgreSQL backend": lambda: self._break_database(
                lambda: database.kill_backend(self._chance), lambda: None
            ),
            "SIGSTOP of PostgreSQL": lambda: self._break_database(
                lambda: database.freeze(frozen=True), lambda: database.freeze(frozen=False)
            ),
            "connections to PostgreSQL cut": database.proxy.cut,
            "answers of PostgreSQL torn": lambda: self._break_database(
                database.proxy.tear, database.proxy.heal
            ),
            "PostgreSQL out of reach": lambda: self._part_from(database, UP, DOWN),
            "answers of PostgreSQL held": lambda: self._part_from(database, DOWN),
            "half-open to PostgreSQL, the server forgotten": lambda: self._break_database(
                lambda: database.proxy.half_open(DOWN), lambda: None
            ),
            "second server stands by and takes over": self._take_over,
            "second server takes over from a frozen one": self._usurp,
            "restored backup": lambda: self._restore(database),
        }

    def _part_from(self, database: Postgresql, *directions: str) -> None:
        database.proxy.hold(*directions, also_new=True)
        self._pause()
        if self._chance.random() < 0.5:
            database.proxy.cut()
        database.proxy.heal()
        self._pause()

    def _usurp(self) -> None:
        stage = self._stage
        stage.server.stand_by(same_ports=False)
        self._pause()
        took_s, ended = stage.server.usurp()
        stage.mqtt.point_to(stage.server.mqtt)
        stage.http.point_to(stage.server.http)
        stage.takeovers_from_frozen.append(took_s)
        if not ended:
            stage.complaints.append("a server that had lost its database went on")

    def _break_database(self, break_it: Act, mend_it: Act) -> None:
        break_it()
        self._pause()
        mend_it()
        self._pause()

    def _take_over(self) -> None:
        self._stage.server.stand_by()
        if self._chance.random() < 0.3:
            self._stage.server.lose_standby()
            self._stage.server.stand_by()
        self._pause()
        took_s = self._stage.server.take_over()
        self._stage.takeovers.append(took_s)
        if took_s > self._stage.takeover_s:
            self._stage.complaints.append(f"the standby took {took_s:.1f} s to take over")

    def _restore(self, database: Sqlite | Postgresql) -> None:
        """Everybody loses what came after the backup, and has to notice: because the server notices a backup that
        is older than what it last remembered, every five seconds, or because it is told.
        """
        self._backups += 1
        backup = self._stage.server.log.with_name(f"backup{self._backups}")
        database.back_up(backup)
        old = self._chance.random() < 0.5 and not self._stage.stop.wait(_NOTICED_AFTER_S)
        self._stage.server.kill()
        database.restore(backup)
        shutil.rmtree(backup, ignore_errors=True)
        self._stage.restored_at = time.monotonic()
        if not old:
            self._stage.server.say_restored()
        self._stage.server.start()

    def _pause(self, least: float = 0.3) -> None:
        self._stage.stop.wait(self._chance.uniform(least, self._stage.longest_s))

    def _kill(self) -> None:
        self._stage.server.kill()
        self._stage.server.start()

    def _kill_early(self) -> None:
        server = self._stage.server
        server.kill()
        starting = threading.Timer(self._chance.uniform(0.1, 2.0), server.signal, [signal.SIGKILL])
        starting.start()
        with contextlib.suppress(LabError):
            server.start()
        starting.join()
        if not server.wait_dead(0.5):
            server.kill()
        server.reap()
        server.start()

    def _kill_at(self, point: str) -> None:
        server = self._stage.server
        server.kill()
        server.start(f"kill:{point}:{self._chance.randint(1, 60)}")
        if not server.wait_dead(_POINT_S):
            self._stage.complaints.append(f"{point} was not reached within {_POINT_S:g} s")
            server.kill()
        server.reap()
        server.start()

    def _kill_web(self) -> None:
        now = time.monotonic()
        self._web_kills = [at for at in self._web_kills if at > now - 60]
        found = self._stage.server.web_processes()
        # More in a minute, and the server gives up on purpose.
        if found and len(self._web_kills) < _WEB_KILLS_A_MINUTE:
            self._web_kills.append(now)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._chance.choice(found), signal.SIGKILL)
        self._pause()

    def _freeze(self) -> None:
        self._stage.server.signal(signal.SIGSTOP)
        self._pause()
        self._stage.server.signal(signal.SIGCONT)

    def _restart(self) -> None:
        code = self._stage.server.stop()
        if code != 0:
            self._stage.complaints.append(f"SIGTERM ended the server with {code}")
        self._stage.server.start()

    def _fill(self) -> None:
        self._stage.disk.fill()
        self._pause()
        if self._chance.random() < 0.3:
            self._stage.server.kill()
        self._stage.disk.clear()
        if not self._stage.server.running:
            self._stage.server.reap()
            self._stage.server.start()

    def _limit_files(self) -> None:
        self._stage.server.limit_files(64 * 1024)
        self._pause()
        self._stage.server.limit_files(None)

    def _fail_commits(self) -> None:
        server = self._stage.server
        server.kill()
        server.start(f"fail:before_commit:{self._chance.randint(1, 40)}:{self._chance.randint(1, 10)}")
        self._pause()

    def _fail_fsync(self) -> None:
        """With strace: the system calls themselves answer EIO."""
        calls = "fsync,fdatasync"
        command = ["strace", "-qq", "-f", "-o", "/dev/null", "-e", f"trace={calls}"]
        command += ["-e", f"inject={calls}:error=EIO", "-p", str(self._stage.server.pid)]
        tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._pause(0.5)
        finally:
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.wait(10)
            except subprocess.TimeoutExpired:
                tracer.kill()
                tracer.wait()

    def _jump(self) -> None:
        hours = self._chance.choice([-72, -24, -1, 1, 24, 72])
        self._stage.server.clock.write_text(str(hours * 3_600_000))
        self._pause()
        if self._chance.random() < 0.5:
            self._stage.server.clock.write_text("0")

    def _second(self) -> None:
        command = self._stage.server.command()
        done = subprocess.run(
            [
                part.rpartition(":")[0] + ":0" if part.startswith("--") and ":" in part else part
                for part in command
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment(),
            cwd=self._stage.server.log.parent,
        )
        if done.returncode == 0 or "already uses" not in done.stderr:
            self._stage.complaints.append(
                f"a second server was not refused: {done.returncode} {done.stderr[-300:]}"
            )


def _can_trace() -> bool:
    """Whether strace is here and lets us inject."""
    if shutil.which("strace") is None:
        return False
    command = [
        "strace",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync",
        "-e",
        "inject=fsync:error=EIO",
        "true",
    ]
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode == 0
