"""Our broker beside mosquitto, on the same load, in one run: `pabal broker --open` and Debian's package.

    python bench/broker.py [--seconds S] [--rounds N] [--idle N] [--held N]

Both brokers run with what they come with; neither writes anything to disk. The load generator (broker_load.c) is
compiled at the start. The two take turns within each round, so that whatever else the machine does meets both;
a row's figure is the median of its rounds, its ratio the median of the rounds' ratios. Compare the ratios: the
figures themselves are those of the machine on that day.
"""

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
OURS, THEIRS = "pabal", "mosquitto"
# What each row asks of the generator.
ROWS = {
    "ten pairs, QoS 1, window 20": ["-n", "10", "-q", "1", "-w", "20"],
    "ten pairs, QoS 0": ["-n", "10", "-q", "0", "-w", "20"],
    "1 to 100, QoS 0": ["-n", "1", "-f", "100", "-q", "0", "-w", "20"],
    "1 to 100, QoS 1": ["-n", "1", "-f", "100", "-q", "1", "-w", "20"],
}
WITH_IDLE = [row for row in ROWS if row.startswith("1 to 100")]
FREE_DESCRIPTORS = 200


@dataclass(frozen=True)
class Broker:
    name: str
    port: int
    process: subprocess.Popen

    def memory_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


class Bench:
    """The generator, and the brokers as they are started."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.options = options
        self._folder = folder
        self._generator = folder / "broker_load"
        compiler = shutil.which("cc") or sys.exit("a C compiler (cc) is needed for the load generator")
        subprocess.run([compiler, "-O2", "-Wall", "-o", self._generator, HERE / "broker_load.c"], check=True)

    @contextmanager
    def broker(self, name: str) -> Iterator[Broker]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        log = (self._folder / f"{name}.log").open("ab")
        process = subprocess.Popen(self._command(name, port), stdout=log, stderr=log, cwd=self._folder)
        try:
            wait_for(port, process)
            yield Broker(name, port, process)
        finally:
            process.terminate()
            process.wait(30)
            log.close()

    def _command(self, name: str, port: int) -> list[str]:
        if name == OURS:
            pabal = Path(sys.executable).with_name("pabal")
            return [str(pabal), "broker", "--open", "--mqtt", f"127.0.0.1:{port}"]
        config = self._folder / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type error\n")
        found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        return [found or sys.exit("mosquitto is not installed (Debian: apt-get install mosquitto)"),
                "-c", str(config)]  # fmt: skip

    def load(self, broker: Broker, *flags: str, seconds: float | None = None) -> dict:
        seconds = self.options.seconds if seconds is None else seconds
        command = [self._generator, "load", "-p", str(broker.port), "-d", str(seconds), *flags]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    @contextmanager
    def held(self, broker: Broker, count: int) -> Iterator[dict]:
        """So many connected and subscribed clients that do nothing."""
        command = [self._generator, "hold", "-p", str(broker.port), "-n", str(count)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            line = process.stdout.readline()
            if not line:
                sys.exit(f"{count} connections could not be made to {broker.name}")
            yield json.loads(line)
        finally:
            process.stdin.close()
            process.wait(60)


def wait_for(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit("a broker did not start")


def median(values: list[float]) -> float:
    return statistics.median(values)


def print_ratio(row: str, ours: list[float], theirs: list[float], lost: tuple[int, int]) -> None:
    ratio = median([a / b for a, b in zip(ours, theirs, strict=True)])
    print(
        f"{row:42} {median(ours):>12,.0f} {median(theirs):>12,.0f} {ratio:>8.2f}"
        f"   lost: {lost[0]} / {lost[1]}",
        flush=True,
    )


def measure_rows(bench: Bench) -> int:
    """Deliveries a second. Returns how many messages ours lost."""
    print(f"{'deliveries a second (median)':42} {OURS:>12} {THEIRS:>12} {'ratio':>8}")
    total = 0
    with bench.broker(OURS) as ours, bench.broker(THEIRS) as theirs:
        for row, flags in ROWS.items():
            runs = [
                (bench.load(ours, *flags), bench.load(theirs, *flags)) for _ in range(bench.options.rounds)
            ]
            lost = sum(a["lost"] for a, _ in runs), sum(b["lost"] for _, b in runs)
            print_ratio(row, [a["delivered"] for a, _ in runs], [b["delivered"] for _, b in runs], lost)
            total += lost[0]
    return total


def measure_idle(bench: Bench) -> int:
    """The same with idle subscribers, against the same without, turn by turn."""
    print(f"\n{f'with {bench.options.idle:,} idle subscribers':42} {'with':>12} {'without':>12} {'ratio':>8}")
    total = 0
    for name in (OURS, THEIRS):
        with bench.broker(name) as broker:
            runs: dict[str, list[tuple[dict, dict]]] = {row: [] for row in WITH_IDLE}
            for _ in range(bench.options.rounds):
                without = {row: bench.load(broker, *ROWS[row]) for row in WITH_IDLE}
                with bench.held(broker, bench.options.idle):
                    for row in WITH_IDLE:
                        runs[row].append((bench.load(broker, *ROWS[row]), without[row]))
            for row, pairs in runs.items():
                lost = sum(a["lost"] for a, _ in pairs), sum(b["lost"] for _, b in pairs)
                print_ratio(
                    f"{name}: {row}",
                    [a["delivered"] for a, _ in pairs],
                    [b["delivered"] for _, b in pairs],
                    lost,
                )
                total += sum(lost) if name == OURS else 0
    return total


def measure_connections(bench: Bench) -> None:
    """How fast they come, and what each costs."""
    count = bench.options.held
    print(f"\n{f'{count:,} clients connect and subscribe':42} {OURS:>12} {THEIRS:>12} {'ratio':>8}")
    rates: dict[str, list[float]] = {OURS: [], THEIRS: []}
    sizes: dict[str, list[float]] = {OURS: [], THEIRS: []}
    for _ in range(bench.options.rounds):
        for name in (OURS, THEIRS):
            with bench.broker(name) as broker:
                # Whatever is made once is there before the first is counted.
                with bench.held(broker, 100):
                    pass
                before = broker.memory_kb()
                with bench.held(broker, count) as found:
                    rates[name].append(found["connects"])
                    sizes[name].append((broker.memory_kb() - before) * 1024 / count)
    for row, values in (("connections a second", rates), ("bytes of memory (RSS) each", sizes)):
        ratio = median([a / b for a, b in zip(values[OURS], values[THEIRS], strict=True)])
        print(f"{row:42} {median(values[OURS]):>12,.0f} {median(values[THEIRS]):>12,.0f} {ratio:>8.2f}")


def measure_slow(bench: Bench) -> None:
    """What a client that reads a byte a second, its window and its queue full, does to the others' p99."""
    flags = ["-n", "10", "-q", "1", "-r", str(bench.options.rate)]
    print(
        f"\n{f'p99 in µs at {bench.options.rate:,}/s beside a slow reader':42} {'with':>12} {'without':>12} {'ratio':>8}"
    )
    for name in (OURS, THEIRS):
        with bench.broker(name) as broker:
            bench.load(broker, *flags, seconds=1)
            runs = []
            for turn in range(bench.options.rounds + 2):
                # Which comes first changes, so that a machine that slows down does not count for one of them.
                order = [[], ["-S"]] if turn % 2 else [["-S"], []]
                found = {bool(extra): bench.load(broker, *flags, *extra) for extra in order}
                runs.append((found[True], found[False]))
            lost = sum(a["lost"] for a, _ in runs), sum(b["lost"] for _, b in runs)
            print_ratio(name, [a["p99_us"] for a, _ in runs], [b["p99_us"] for _, b in runs], lost)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2, help="length of each measured turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each broker in each row")
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--held", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=5000, help="messages a second beside the slow reader")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    room = most - FREE_DESCRIPTORS if most != resource.RLIM_INFINITY else options.held
    if room < options.held:
        print(f"only {room:,} connections at once: the limit of open files is {most:,}")
        options.held, options.idle = room, min(options.idle, room)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory(prefix="pabal-bench-broker-") as folder:
        bench = Bench(Path(folder), options)
        lost = measure_rows(bench) + measure_idle(bench)
        measure_connections(bench)
        measure_slow(bench)
    if lost:
        sys.exit(f"{lost} messages were lost")


if __name__ == "__main__":
    main()
