# SIGUSR2: a new binary beside the old one.  It waits for the lock, takes over
# when the old one is told to go, and hands back when the upgrade is undone.

use strict;
use warnings;

use CDC;
use Test::More;
use Time::HiRes qw(sleep);

my $nginx = CDC::Nginx->new(workers => 1)->start;
ok($nginx->ready, 'the API answers');
$nginx->create(task_id => 'one');
ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 5), 'a replicator runs');

my $old = $nginx->master;


sub pid_of {
    my ($name) = @_;
    return $nginx->{server}->slurp("logs/$name") =~ /^(\d+)\n/ ? $1 : undef;
}


sub gone {
    my ($pid) = @_;
    Subreaper::reap();
    return !kill 0, $pid;
}


sub upgrade {
    my $from = $nginx->master;

    $nginx->signal('USR2');
    my $new = CDC::wait_for(sub {
        my $pid = pid_of('nginx.pid');
        return defined $pid && $pid != $from ? $pid : undef;
    }, 5);

    ok($new, 'a new master') or die $nginx->log;
    is(pid_of('nginx.pid.oldbin'), $from, 'beside the old one');
    sleep 0.5;
    is(scalar($nginx->stores), 1, 'still one store');
    is(scalar($nginx->replicators), 1, 'still one replicator');

    return $new;
}


{
    # undone: the new one goes, the old one carries on
    my $new = upgrade();

    kill 'WINCH', $old;
    ok(CDC::wait_for(sub {
        my %in_new = map { $_ => 1 } Subreaper::descendants($new);
        return grep { $in_new{$_} } $nginx->stores;
    }, 10), 'the new one takes over');
    ok($nginx->ready, 'the API answers');
    is($nginx->api('pause', {task_id => 'one'})->{status}, 200, 'pause');

    kill 'HUP', $old;
    sleep 0.5;
    kill 'QUIT', $new;
    ok(CDC::wait_for(sub { gone($new) }, 10), 'the new one goes');

    ok($nginx->ready, 'the old one answers');
    ok(CDC::wait_for(sub { $nginx->state('one') eq 'Paused' }, 5),
       'with what was changed meanwhile');
    is($nginx->api('resume', {task_id => 'one'})->{status}, 200, 'resume');
    ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 5), 'a replicator');
}

{
    # carried out: the old one goes
    my $new = upgrade();

    kill 'QUIT', $old;
    ok(CDC::wait_for(sub { gone($old) }, 10), 'the old one goes');

    $nginx->{server}{pid} = $new;
    ok($nginx->ready, 'the new one answers');
    is($nginx->state('one'), 'Running', 'the task runs');
    ok(CDC::wait_for(sub {
        return $nginx->stores == 1 && $nginx->replicators == 1;
    }, 10), 'one store, one replicator');
}

unlike($nginx->log, qr/LOCK|Resource temporarily unavailable/,
       'no second writer');

CDC::done();
