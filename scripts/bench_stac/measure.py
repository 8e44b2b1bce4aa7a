"""CPU time and memory of a server and its database, as the kernel counts them.

CPU time counts the process, everything under it, and what it has already buried: user and system time, as in /proc/PID/stat.
Of PostgreSQL that is the whole server, background writers included: a checkpoint that a write causes is part of its price.
The kernel counts in hundredths of a second, so a measurement should last seconds.
"""

import os
import platform
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """Returns parent, own ticks and buried children's ticks of a process."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2:].split()  # the name before may hold spaces
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def tree(root):
    """Returns the process and all below it, with their ticks."""
    found, children = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent, own, buried = _stat(entry)
            except OSError:  # it ended meanwhile
                continue
            found[int(entry)] = own + buried
            children.setdefault(parent, []).append(int(entry))
    below, queue = {}, [root]
    while queue:
        pid = queue.pop()
        if pid in found:
            below[pid] = found[pid]
        queue += children.get(pid, [])
    return below


def cpu_seconds(root):
    """Returns the CPU time that a process and all below it have used so far."""
    return sum(tree(root).values()) / TICK


def peak_mb(root):
    """Returns the peak resident memory (VmHWM) of a process and all below it, added up; shared pages count in each."""
    total = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return total / 1024


class Meter:
    """Measures what a server and its database use between two moments."""

    def __init__(self, server):
        self.api = server.process.pid if server.process else None
        self.database = server.cluster.pid()
        self.before = self._now()

    def _now(self):
        return cpu_seconds(self.api) if self.api else 0.0, cpu_seconds(self.database)

    def used(self):
        """Returns CPU seconds of the API and of PostgreSQL since the meter was made."""
        api, database = self._now()
        return api - self.before[0], database - self.before[1]


def machine():
    """Returns the machine in words."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal")) / 1024 / 1024
    return f"{len(os.sched_getaffinity(0))} cores of {cpu}, {memory:.0f} GB, {platform.system()} {platform.release()}"


def load():
    return os.getloadavg()[0]
