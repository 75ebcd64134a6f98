# Stop and start: every way to stop leaves no process, within the time that a
# service manager gives, and a start finds every task in its state.

use strict;
use warnings;

use CDC;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep time);

my $nginx = CDC::Nginx->new(workers => 2)->start;
ok($nginx->ready, 'the API answers');
$nginx->create(task_id => 'one');
ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 5), 'a replicator runs');

for my $signal (qw(QUIT TERM INT)) {
    my ($took, @left) = $nginx->stop($signal, 10);

    is(scalar @left, 0, "SIG$signal leaves nobody");
    cmp_ok($took, '<', 5, "SIG$signal stops in less than 5 s")
        or diag("$took s");
    is_deeply([Subreaper::descendants($$)], [], "SIG$signal: no orphan");

    $nginx->start;
    ok($nginx->ready, "a start after SIG$signal");
    is($nginx->state('one'), 'Running', 'the task runs');
    ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 5),
       'with its replicator');
}

{
    $nginx->api('pause', {task_id => 'one'});
    $nginx->stop('QUIT');
    $nginx->start;
    ok($nginx->ready, 'a start with a paused task');
    is($nginx->state('one'), 'Paused', 'paused stays paused');
    sleep 0.5;
    is(scalar($nginx->replicators), 0, 'and has no replicator');
    is($nginx->api('get', {task_id => 'one'})->{json}{data}{Task}{reason},
       'manually pause through http interface', 'the reason is kept');
}

{
    # a stop right after a start, before anything is ready
    for my $delay (0, 0.02, 0.1) {
        $nginx->stop('QUIT');
        $nginx->start;
        sleep $delay;
        my ($took, @left) = $nginx->stop('TERM', 10);
        is(scalar @left, 0, "a stop $delay s after the start leaves nobody");
        cmp_ok($took, '<', 5, 'and takes less than 5 s');
        $nginx->start;
    }
    ok($nginx->ready, 'started');
    is($nginx->state('one'), 'Paused', 'the task is there');
}

{
    # a deleted task stays deleted
    is($nginx->api('delete', {task_id => 'one'})->{status}, 200, 'delete');
    $nginx->stop('TERM');
    $nginx->start;
    ok($nginx->ready, 'started');
    is_deeply($nginx->tasks, [], 'no task is back');
}

{
    # a connection that is kept alive does not hold a stop up
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $nginx->port);
    my $body = '{"request_type":"list"}';
    print $sock "POST /cdc HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Length: " . length($body) . "\r\n\r\n$body";
    like(scalar <$sock>, qr/ 200 /, 'a connection that is kept alive');

    my ($took, @left) = $nginx->stop('QUIT', 10);
    cmp_ok($took, '<', 5, 'does not hold a stop up');
    close $sock;
}

unlike($nginx->log, qr/\[(?:alert|emerg|crit)\]/, 'nothing serious is logged');

CDC::done();
