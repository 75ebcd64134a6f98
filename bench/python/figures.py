"""Figures of several runs, and the table of them."""

import statistics


class Figures:
    """add('128 dims', 'rows/s', value) for each run; print() at the end.

    A figure of the other service has the same name, with other=True.
    """

    def __init__(self):
        self.values = {}                 # (group, name, other) -> [values]

    def add(self, group, name, value, other=False):
        self.values.setdefault((group, name, other), []).append(value)

    def others(self):
        """Has the other service been measured?"""
        return any(other for _, _, other in self.values)

    @staticmethod
    def text(value):
        return '%.0f' % value if abs(value) >= 100 else '%.3g' % value

    def line(self, group, name, other):
        values = self.values[group, name, other]
        row = [self.text(v) for v in (
            min(values), statistics.median(values), max(values))]
        theirs = self.values.get((group, name, True))
        ratio = ''
        if theirs and not other and statistics.median(values):
            ratio = '%.2f' % (statistics.median(theirs)
                              / statistics.median(values))
        return [('milvus-cdc: ' if other else '') + name,
                *row, str(len(values)), ratio]

    def table(self):
        """Lines of text: what it is, then min, median, max."""
        lines, last = [], None
        rows = [['', 'min', 'median', 'max', 'runs', 'milvus-cdc / this'
                 if self.others() else '']]
        for group, name, other in self.values:
            if group != last:
                rows.append([group])
                last = group
            rows.append(['  ' + c if i == 0 else c for i, c in enumerate(
                self.line(group, name, other))])
        widths = [max(len(row[i]) for row in rows if len(row) > 1)
                  for i in range(6)]
        for row in rows:
            lines.append('  '.join(
                c.ljust(widths[i]) if i == 0 else c.rjust(widths[i])
                for i, c in enumerate(row)).rstrip()
                if len(row) > 1 else row[0])
        return lines
