"""The goals of this project, and what was measured, side by side."""

import re
import statistics

from figures import Figures

AT_MOST, AT_LEAST = '<=', '>='

# what it is; <= or >= what; the group's beginning and the figure's name
GOALS = (
    ('backlog of 302,000 rows x 128, seconds', AT_MOST, 0.6,
     'backlog, .* x 128', 'seconds, first pack to last'),
    ('rows/s of it from create on, times milvus-cdc\'s', AT_LEAST, 5,
     'backlog, .* x 128', 'seconds, create sent to last', 'times'),
    ('backlog of 768 dims, MB/s; the goal is for more cores', AT_LEAST, 500,
     'backlog, .* x 768', 'MB/s'),
    ('CPU-s per GB, 128 dims', AT_MOST, 3,
     'backlog, .* x 128', 'CPU-s per GB'),
    ('CPU-s per GB, 768 dims', AT_MOST, 3,
     'backlog, .* x 768', 'CPU-s per GB'),
    ('peak memory, 128 dims, MB', AT_MOST, 68,
     'backlog, .* x 128', 'peak memory, MB'),
    ('peak memory, slow target, messages of 2 MB, MB', AT_MOST, 68,
     'target takes 0.3 s', 'peak memory, MB'),
    ('create sent to first pack, s', AT_MOST, 0.5,
     'backlog, .* x 128', 'create sent to first pack, s'),
    ('tick read to received, p50, ms', AT_MOST, 5,
     'live', 'tick read to received, p50, ms'),
    ('tick read to received, p99, ms', AT_MOST, 20,
     'live', 'tick read to received, p99, ms'),
    ('insert returned to received, p50, ms', AT_MOST, 20,
     'live', 'insert returned to received, p50, ms'),
    ('insert returned to received, p99, ms', AT_MOST, 100,
     'live', 'insert returned to received, p99, ms'),
    ('insert returned to visible, more than row to tick, p50, ms',
     AT_MOST, 150, 'single rows', 'visible, more than row to tick, p50, ms'),
    ('backlog into a real target, % of a direct loader', AT_LEAST, 95,
     'a real target', 'replicator\'s rate, % of the loader\'s'),
    ('idle on 16 channels, % of a core', AT_MOST, 1, 'idle', '% of a core'),
    ('idle on 16 channels, MB', AT_MOST, 25, 'idle', 'memory, MB'),
    ('list of 100 tasks, requests/s', AT_LEAST, 15000,
     '100 tasks', r'list .*, requests/s'),
    ('list of 100 tasks, p99, ms', AT_MOST, 5, '100 tasks', 'list .*, p99.*'),
    ('get, requests/s', AT_LEAST, 15000, '100 tasks', r'get .*, requests/s'),
    ('get, p99, ms', AT_MOST, 5, '100 tasks', 'get .*, p99.*'),
    ('metrics as Prometheus asks, requests/s', AT_LEAST, 15000,
     '100 tasks', r'metrics, gzip .*, requests/s'),
    ('metrics as Prometheus asks, p99, ms', AT_MOST, 5,
     '100 tasks', 'metrics, gzip .*, p99.*'),
    ('metrics, plain, requests/s', AT_LEAST, 15000,
     '100 tasks', r'metrics, plain .*, requests/s'),
    ('metrics, plain, p99, ms', AT_MOST, 5,
     '100 tasks', 'metrics, plain .*, p99.*'),
    ('rows/s, 64 channels, % of those of 1', AT_LEAST, 80,
     'grow', ('64 channels: rows/s', '1 channels: rows/s')),
    ('rows/s, most collections, % of those of 1', AT_LEAST, 80,
     'grow', (r'\d+ collections: rows/s', '1 collections: rows/s')),
    ('rows/s, 50 tasks, % of those of 1', AT_LEAST, 80, 'grow',
     ('50 collections, 50 tasks: rows/s', '50 collections, 1 tasks: rows/s')),
    ('CPU per GB, 64 channels, % of that of 1', AT_MOST, 125, 'grow',
     ('64 channels: CPU-s per GB', '1 channels: CPU-s per GB')),
    ('CPU per GB, most collections, % of that of 1', AT_MOST, 125, 'grow',
     (r'\d+ collections: CPU-s per GB', '1 collections: CPU-s per GB')),
    ('CPU per GB, 50 tasks, % of that of 1', AT_MOST, 125, 'grow',
     ('50 collections, 50 tasks: CPU-s per GB',
      '50 collections, 1 tasks: CPU-s per GB')),
)


class Goals:
    """lines(): of each goal of which something was measured."""

    def __init__(self, figures, kinds):
        self.values, self.kinds = figures.values, kinds
        self.others = figures.others()

    def find(self, group, name, kind, other=False):
        """The values of the last figure of that name."""
        found = []
        for (g, n, o), values in self.values.items():
            if o == other and re.match(group, g) \
                    and g.endswith('source on ' + kind) \
                    and re.fullmatch(name, n):
                found = values
        return found

    def measured(self, goal, kind):
        group, name = goal[3:5]
        if isinstance(name, tuple):
            more, one = (self.find(group, n, kind) for n in name)
            return [100 * a / b for a, b in zip(more, one) if b]
        mine = self.find(group, name, kind)
        if goal[5:] == ('times',):
            theirs = self.find(group, name, kind, True)
            return [b / a for a, b in zip(mine, theirs)]
        return mine

    def cell(self, goal, kind):
        values = self.measured(goal, kind)
        if not values:
            return '-'
        middle = statistics.median(values)
        met = middle <= goal[2] if goal[1] == AT_MOST else middle >= goal[2]
        text = ' / '.join(Figures.text(v) for v in (
            min(values), middle, max(values))) if len(values) > 1 \
            else Figures.text(middle)
        return text + ('' if met else '  no')

    def theirs(self, goal):
        if isinstance(goal[4], tuple) or goal[5:]:
            return '-'
        values = self.find(goal[3], goal[4], 'kafka', True)
        return Figures.text(statistics.median(values)) if values else '-'

    def lines(self):
        rows = [['', 'goal'] + ['source on ' + k for k in self.kinds]
                + ['milvus-cdc'] * self.others]
        for goal in GOALS:
            cells = [self.cell(goal, kind) for kind in self.kinds]
            if set(cells) != {'-'}:
                rows.append([goal[0], '%s %g' % goal[1:3], *cells]
                            + [self.theirs(goal)] * self.others)
        widths = [max(len(row[i]) for row in rows) for i in range(
            len(rows[0]))]
        return ['  '.join(c.ljust(w) for c, w in zip(row, widths)).rstrip()
                for row in rows] + [
                    'least / median / highest of the runs; "no": the median '
                    'misses the goal']
