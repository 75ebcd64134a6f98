# master_process off: one process serves, supervises and stops its helpers.

use strict;
use warnings;

use CDC;
use Test::More;
use Time::HiRes qw(sleep);

my $nginx = CDC::Nginx->new(master => 'off')->start;
ok($nginx->ready, 'the API answers');

is(scalar($nginx->workers), 0, 'no worker');
is(scalar($nginx->supervisors), 0, 'no cache manager');
is(scalar($nginx->stores), 1, 'a store');

$nginx->create(task_id => 'one');
ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 5), 'a replicator');
is($nginx->state('one'), 'Running', 'the task runs');

{
    my ($old) = $nginx->stores;
    $nginx->signal('KILL', $old);
    ok(CDC::wait_for(sub {
        my ($new) = $nginx->stores;
        return defined $new && $new != $old;
    }, 5), 'a killed store comes back');
    ok($nginx->ready, 'the API answers');
    is($nginx->state('one'), 'Running', 'the task runs');
}

for my $signal (qw(QUIT TERM)) {
    my ($took, @left) = $nginx->stop($signal, 10);

    is(scalar @left, 0, "SIG$signal leaves nobody");
    cmp_ok($took, '<', 6, "SIG$signal stops in time") or diag("$took s");
    $nginx->start;
    ok($nginx->ready, 'started again');
    is($nginx->state('one'), 'Running', 'the task runs');
    ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 5), 'a replicator');
}

{
    # kill -9: the helpers go with it
    my @helpers = ($nginx->stores, $nginx->replicators);

    $nginx->signal('KILL');
    ok(CDC::wait_for(sub {
        Subreaper::reap();
        return !grep { kill 0, $_ } @helpers;
    }, 5), 'helpers do not outlive a killed process');
    delete @{$nginx->{server}}{qw(pid before)};
}

CDC::done();
