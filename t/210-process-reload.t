# A reload changes hands without a gap: no request fails, no task is lost, no
# second writer, and what ran before has ended afterwards.

use strict;
use warnings;

use CDC;
use Test::More;
use Time::HiRes qw(sleep time);

my $nginx = CDC::Nginx->new(workers => 2)->start;
ok($nginx->ready, 'the API answers');

my $running = $nginx->create(task_id => 'running');
my @tells;

{
    my ($store) = $nginx->stores;
    my ($supervisor) = $nginx->supervisors;

    ok($nginx->reload, 'a reload replaces supervisor and helpers');
    ok($nginx->ready, 'the API answers after it');

    isnt(($nginx->stores)[0], $store, 'another store');
    isnt(($nginx->supervisors)[0], $supervisor, 'another supervisor');
    ok(CDC::wait_for(sub { $nginx->stores == 1 }, 6), 'only one store');
    is($nginx->state($running), 'Running', 'the task is still there');
    ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 6),
       'it has its replicator');
}

{
    $nginx->api('pause', {task_id => $running});
    ok($nginx->reload, 'a reload with a paused task');
    ok($nginx->ready, 'the API answers');
    is($nginx->state($running), 'Paused', 'paused stays paused');
    sleep 0.5;
    is(scalar($nginx->replicators), 0, 'and has no replicator');
    $nginx->api('resume', {task_id => $running});
    is($nginx->state($running), 'Running', 'until it is resumed');
}

{
    # requests of every kind, all the while
    my @clients = map { client($_) } 1 .. 3;

    for (1 .. 5) {
        $nginx->signal('HUP');
        sleep 0.7;
    }

    my ($requests, @failed) = (0);
    for my $client (@clients) {
        my ($n, @bad) = finish($client);
        $requests += $n;
        push @failed, @bad;
    }

    cmp_ok($requests, '>', 30, 'requests were made during five reloads')
        or diag("requests: $requests");
    is_deeply(\@failed, [], 'none of them failed');
}

{
    # one after the other, faster than a take-over
    for (1 .. 10) {
        $nginx->signal('HUP');
        sleep 0.1;
    }

    ok(CDC::wait_for(sub {
        return $nginx->supervisors == 1 && $nginx->stores == 1
            && $nginx->workers == 2 && $nginx->replicators == 1;
    }, 15), 'ten reloads in a row leave one of each')
        or diag(explain($nginx->tree));
    ok($nginx->ready, 'the API answers');
    is($nginx->state($running), 'Running', 'the task is there');
}

{
    # a broken configuration changes nothing
    my @before = ($nginx->supervisors, $nginx->stores, $nginx->workers);

    $nginx->configure(http => 'milvus_cdc_nonsense on;');
    $nginx->signal('HUP');
    ok(CDC::wait_for(sub { $nginx->log =~ /\[emerg\].*nonsense/ }, 5),
       'a broken configuration is reported');
    sleep 0.3;
    is_deeply([$nginx->supervisors, $nginx->stores, $nginx->workers],
              \@before, 'and leaves every process alone');
    $nginx->configure(http => '');
}

{
    # without our directives everything of ours ends, and comes back
    $nginx->configure(http_config => '', config => 'location /no { return 204; }');
    $nginx->signal('HUP');
    ok(CDC::wait_for(sub {
        return !$nginx->supervisors && !$nginx->stores && !$nginx->replicators;
    }, 10), 'a configuration without the module ends its processes');

    $nginx->configure(http_config => undef, config => undef);
    $nginx->signal('HUP');
    ok(CDC::wait_for(sub { $nginx->stores == 1 }, 10), 'and back again');
    ok($nginx->ready, 'the API answers');
    is($nginx->state($running), 'Running', 'the task is there');
}

unlike($nginx->log =~ s/.*nonsense.*\n//r, qr/\[(?:alert|emerg|crit)\]/,
       'nothing serious is logged');

CDC::done();


# a client that creates, pauses, resumes, deletes, lists until it is told
sub client {
    my ($n) = @_;

    pipe my $stop, my $tell or die "pipe: $!";
    pipe my $result, my $say or die "pipe: $!";

    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        # those of the clients before it, too: they wait for the end of file
        close $_ for @tells, $tell, $result;
        run_client($n, $stop, $say);
        POSIX::_exit(0);
    }

    close $stop;
    close $say;
    push @tells, $tell;
    return {pid => $pid, tell => $tell, result => $result};
}


sub run_client {
    my ($n, $stop, $say) = @_;
    my ($requests, @failed) = (0);

    my @loop = $n == 1
        ? (['pause', {task_id => $running}], ['resume', {task_id => $running}])
        : (['list'], ['get', {task_id => $running}],
           ['delete', {task_id => "no$n", ignore_not_found => \1}]);

    # a parent that has gone closes the pipe
    my $told = sub {
        my $bits = '';
        vec($bits, fileno($stop), 1) = 1;
        return select($bits, undef, undef, 0);
    };

    until ($told->()) {
        for my $request (@loop) {
            my $answer = $nginx->api(@$request);
            $requests++;
            push @failed, "$request->[0]: $answer->{status} $answer->{body}"
                . ($answer->{error} // '') if $answer->{status} ne '200';
        }
        sleep 0.01;
    }

    syswrite $say, join("\n", $requests, @failed);
}


sub finish {
    my ($client) = @_;

    close $client->{tell};
    my $fh = $client->{result};
    my @lines = <$fh>;
    waitpid $client->{pid}, 0;
    chomp @lines;

    return @lines;
}
