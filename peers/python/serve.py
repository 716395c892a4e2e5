"""The protocol of the benchmark: see crates/oculist-bench/src/server.rs, which is our side of it."""

import json
import sys
import time


def peak_kb() -> int:
    """Peak resident memory of this process in KiB."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def page_faults() -> int:
    """Page faults so far that needed no disk."""
    with open("/proc/self/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[7])


def say(value: dict) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


class Declined(Exception):
    """Why a case cannot be run; told with `say({"declined": reason})` instead of a greeting."""


def serve(about: dict, job) -> None:
    """Announces itself, then runs `job` for as long as each line `run SECONDS` asks, at least once."""
    say({**about, "ready": True})
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            break
        if len(words) != 2 or words[0] != "run":
            raise SystemExit(f"expected `run SECONDS` or `quit`, found `{line.strip()}`")
        seconds, times, start = float(words[1]), [], time.perf_counter()
        while not times or time.perf_counter() - start < seconds:
            one = time.perf_counter()
            job()
            times.append(time.perf_counter() - one)
        say({"times": times, "rss_kb": peak_kb(), "faults": page_faults()})
