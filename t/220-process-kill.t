# kill -9 of each process: the rest carries on, what was killed comes back by
# itself, tasks keep their state, and nobody is left over.

use strict;
use warnings;

use CDC;
use Test::More;
use Time::HiRes qw(sleep time);

my $nginx = CDC::Nginx->new(workers => 2)->start;
ok($nginx->ready, 'the API answers');

my $id = $nginx->create(task_id => 'one');


# kills and waits for another one; returns the seconds that took
sub replaced {
    my ($list, @pids) = @_;
    my %old = map { $_ => 1 } @pids;
    my $t0 = time;

    $nginx->signal('KILL', @pids);
    my $new = CDC::wait_for(sub {
        Subreaper::reap();
        my @now = $nginx->$list;
        return @now == @pids && !grep { $old{$_} } @now;
    }, 20);

    return $new ? time - $t0 : undef;
}


sub threads { return scalar(() = glob("/proc/$_[0]/task/*")) }


sub whole {
    my ($when) = @_;

    ok($nginx->ready, "the API answers $when");
    is($nginx->state($id), 'Running', "the task runs $when")
        or diag($nginx->api('get', {task_id => $id})->{body});
    ok(CDC::wait_for(sub {
        return $nginx->supervisors == 1 && $nginx->stores == 1
            && $nginx->replicators == 1 && $nginx->workers == 2;
    }, 10), "there is one of each $when") or diag(explain($nginx->tree));
}


whole('at first');

{
    my ($store) = $nginx->stores;
    my $took = replaced(replicators => $nginx->replicators);

    ok(defined $took && $took < 1, 'a killed replicator is back within 1 s')
        or diag($took // 'never');
    is(($nginx->stores)[0], $store, 'the store does not notice');
    whole('after the replicator was killed');
}

{
    my ($replicator) = $nginx->replicators;
    my $took = replaced(stores => $nginx->stores);

    ok(defined $took && $took < 1, 'a killed store is back within 1 s')
        or diag($took // 'never');
    ok($nginx->ready, 'the API answers');
    is(($nginx->replicators)[0], $replicator,
       'the replicator is left alone');
    whole('after the store was killed');
}

{
    my $took = replaced(supervisors => $nginx->supervisors);

    ok(defined $took && $took < 1, 'a killed supervisor is back within 1 s')
        or diag($took // 'never');
    whole('after the supervisor was killed');
}

{
    my ($store) = $nginx->stores;
    my ($replicator) = $nginx->replicators;
    my $took = replaced(workers => $nginx->workers);

    ok(defined $took && $took < 1, 'killed workers are back within 1 s');
    is(($nginx->stores)[0], $store, 'the store does not notice');
    is(($nginx->replicators)[0], $replicator, 'nor does the replicator');
    whole('after the workers were killed');
}

{
    # all of ours at once
    $nginx->signal('KILL', $nginx->supervisors, $nginx->stores,
                   $nginx->replicators);
    sleep 0.2;
    whole('after all of them were killed');
}

{
    # a helper that cannot see that its supervisor is gone goes all the same
    my @helpers = ($nginx->stores, $nginx->replicators);

    # past their first steps: the store answers, the replicator has threads
    is($nginx->api('delete', {task_id => 'no', ignore_not_found => \1})
           ->{status}, 200, 'the store answers');
    ok(CDC::wait_for(sub { threads($helpers[1]) > 1 }, 10),
       'the replicator works');

    $nginx->signal('STOP', @helpers);
    $nginx->signal('KILL', $nginx->supervisors);
    ok(CDC::wait_for(sub {
        Subreaper::reap();
        return !grep { kill 0, $_ } @helpers;
    }, 5), 'stopped helpers end with their supervisor');
    kill 'KILL', @helpers;
    whole('after that');
}

{
    # a task that is paused is paused after that, too
    $nginx->api('pause', {task_id => $id});
    $nginx->signal('KILL', $nginx->stores);
    sleep 0.1;
    ok($nginx->ready, 'the API answers');
    is($nginx->state($id), 'Paused', 'paused stays paused');
    my $answer = $nginx->api('get', {task_id => $id});
    is($answer->{json}{data}{task}{reason},
       'manually pause through http interface', 'with its reason');
    is($nginx->api('resume', {task_id => $id})->{status}, 200, 'resume');
    whole('after a resume');
}

{
    # what was answered is durable: create, kill at once, look.  By the third
    # kill the store comes back later than milvus_cdc_timeout: back-off.
    for my $n (1 .. 3) {
        my $answer = $nginx->api('delete', {task_id => $id});
        is($answer->{status}, 200, "delete $n");
        $nginx->create(task_id => "t$n");
        ok(defined replaced(stores => $nginx->stores), "killed, $n");
        ok($nginx->ready, "the API answers, $n");
        is($nginx->state("t$n"), 'Running', "task $n has survived");
        is($nginx->tasks->[0]{task_id}, "t$n", "task $n is the only one");
        $id = "t$n";
    }
}

{
    # a replicator that dies at once, again and again, is not respawned
    # faster than the back-off allows
    my $before = () = $nginx->log =~ /replicat/g;
    my ($kills, $t0) = (0, time);
    my %seen;

    while (time < $t0 + 4) {
        for my $pid ($nginx->replicators) {
            $seen{$pid}++;
            $nginx->signal('KILL', $pid);
        }
        sleep 0.02;
        Subreaper::reap();
    }

    $kills = keys %seen;
    cmp_ok($kills, '>=', 2, 'a killed replicator comes back');
    cmp_ok($kills, '<=', 6, 'but not in a storm') or diag("$kills in 4 s");
    ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 15),
       'and at last it stays');
    is($nginx->state($id), 'Running', 'the task still counts as running');
}

{
    # a helper that does not listen to SIGTERM is killed at a stop
    my ($replicator) = $nginx->replicators;
    my ($store) = $nginx->stores;

    $nginx->signal('STOP', $replicator, $store);
    my ($took, @left) = $nginx->stop('QUIT', 8);

    cmp_ok($took, '<', 5, 'a stop with stopped helpers ends in time');
    is(scalar @left, 0, 'and leaves nobody');
}

{
    # kill -9 of the master: ours leave by themselves
    $nginx->start;
    ok($nginx->ready, 'started again');
    is($nginx->state($id), 'Running', 'the task is there');

    my $tree = $nginx->tree;
    my @ours = ($nginx->supervisors, $nginx->stores, $nginx->replicators);
    my @workers = $nginx->workers;

    $nginx->signal('KILL');
    ok(CDC::wait_for(sub {
        Subreaper::reap();
        return !grep { kill 0, $_ } @ours;
    }, 6), 'supervisor and helpers leave when the master is gone');

    kill 'TERM', @workers;
    CDC::wait_for(sub {
        Subreaper::reap();
        return !grep { kill 0, $_ } @workers;
    }, 5);
    delete @{$nginx->{server}}{qw(pid before)};

    $nginx->start;
    ok($nginx->ready, 'and once more');
    whole('after the master was killed');
}

CDC::done();
