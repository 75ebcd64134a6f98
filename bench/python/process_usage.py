"""CPU time and memory of a process at one moment."""

import os

TICKS = os.sysconf('SC_CLK_TCK')


def cpu(pid):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid, what):
    """what: VmHWM, the peak; VmRSS, now.  In MB of a million bytes."""
    with open('/proc/%d/status' % pid) as f:
        for line in f:
            if line.startswith(what + ':'):
                return int(line.split()[1]) * 1024 / 1e6
    return 0
