"""A figure of the metrics page."""


def metric(nginx, name, task=None):
    """The one of a task, or their sum; 0 when there is none."""
    total = 0.0
    for line in nginx.get('/cdc/metrics')[1].splitlines():
        key, _, value = line.rpartition(' ')
        if key.split('{')[0] == 'milvus_cdc_' + name \
                and (task is None or 'task_id="%s"' % task in key):
            total += float(value)
    return total
