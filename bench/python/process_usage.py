"""CPU time and memory of a process at one moment."""

import os

TICKS = os.sysconf('SC_CLK_TCK')


def cpu(pid):
    """Seconds: of its threads, exact; of all that it had, in hundredths."""
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    exact = 0
    for thread in os.listdir('/proc/%d/task' % pid):
        try:
            with open('/proc/%d/task/%s/schedstat' % (pid, thread)) as f:
                exact += int(f.read().split()[0]) / 1e9
        except OSError:
            pass                        # it has just ended
    return max(exact, (int(fields[11]) + int(fields[12])) / TICKS - 0.01)


def memory(pid, what):
    """what: VmHWM, the peak; VmRSS, now.  In MB of a million bytes."""
    with open('/proc/%d/status' % pid) as f:
        for line in f:
            if line.startswith(what + ':'):
                return int(line.split()[1]) * 1024 / 1e6
    return 0
