# Many clients at once, clients that go away: one task is one task, whoever
# asks, and what was begun is either done or not there.

use strict;
use warnings;

use CDC;
use IO::Select;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep);

my $nginx = CDC::Nginx->new(workers => 3)->start;
ok($nginx->ready, 'the API answers');


# runs $what in $n processes at once, returns what each has printed
sub at_once {
    my ($n, $what) = @_;
    my @pipes;

    for my $i (1 .. $n) {
        pipe my $in, my $out or die "pipe: $!";
        my $pid = fork() // die "fork: $!";

        if ($pid == 0) {
            close $in;
            syswrite $out, $what->($i);
            POSIX::_exit(0);
        }

        close $out;
        push @pipes, [$pid, $in];
    }

    return map {
        my ($pid, $in) = @$_;
        local $/;
        my $text = <$in>;
        waitpid $pid, 0;
        $text;
    } @pipes;
}


sub count {
    my ($re, @texts) = @_;
    return scalar grep { /$re/ } @texts;
}


{
    my @answers = at_once(8, sub {
        return $nginx->http(CDC::create())->{body};
    });

    is(count(qr/"task_id":"[0-9a-f]{32}"/, @answers), 1,
       'of eight creates for one target one is accepted');
    is(count(qr/is duplicate with existing task|is already fed by/, @answers),
       7, 'the others are told why') or diag(@answers);
    is(scalar(@{$nginx->tasks}), 1, 'there is one task');

    $nginx->api('delete', {task_id => $nginx->tasks->[0]{task_id}});
    is_deeply($nginx->tasks, [], 'and then none');
}

{
    my @answers = at_once(8, sub {
        return $nginx->http(CDC::create(task_id => 'one'))->{body};
    });

    is(count(qr/^\{"code":200,"data":\{"task_id":"one"\}\}$/, @answers), 8,
       'the same id eight times at once: all are told that it is there')
        or diag(@answers);
    is(scalar(@{$nginx->tasks}), 1, 'there is one task');
}

{
    my @answers = at_once(8, sub {
        return $nginx->api('pause', {task_id => 'one'})->{body};
    });

    is(count(qr/^\{"code":200/, @answers), 1, 'of eight pauses one pauses');
    is(count(qr/the task has paused/, @answers), 7, 'the others are told');
}

{
    # pause and resume, a thousand requests in disorder
    my @answers = at_once(5, sub {
        my ($i) = @_;
        my $bad = '';

        for my $n (1 .. 200) {
            my $type = ($n + $i) % 2 ? 'pause' : 'resume';
            my $answer = $nginx->api($type, {task_id => 'one'});
            $bad .= "$type: $answer->{status} $answer->{body}"
                if $answer->{body} !~ /^\{"code":200,|the task has /;
        }

        return $bad || 'fine';
    });

    is(count(qr/^fine$/, @answers), 5, 'a thousand pauses and resumes')
        or diag(@answers);

    $nginx->api('resume', {task_id => 'one'});
    is($nginx->state('one'), 'Running', 'it runs at the end');
    ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 10),
       'with one replicator');
}

{
    # the client does not wait for the answer
    is($nginx->api('delete', {task_id => 'one'})->{status}, 200, 'delete');

    my (undef, $body) = split /\n/, CDC::create(task_id => 'two'), 2;
    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $nginx->port)
        or die "connect: $!";
    print $sock "POST /cdc HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
    close $sock;

    ok(CDC::wait_for(sub { @{$nginx->tasks} == 1 }, 15),
       'a create whose client has gone is carried out');
    is($nginx->api('delete', {task_id => 'two'})->{status}, 200, 'delete');
}

{
    # connections that say nothing do not keep others from being served
    my @idle = map {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $nginx->port)
    } 1 .. 50;

    is_deeply($nginx->tasks, [], 'served beside fifty silent connections');
    close $_ for @idle;
}

unlike($nginx->log, qr/\[(?:alert|emerg|crit)\]/, 'nothing serious is logged');

{
    # a target that never says a word: they wait, and a worker that kept what
    # they have decoded would need ten times their size
    my $silent = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1')
        or die "listen: $!";
    my $narrow = CDC::Nginx->new(workers => 1)->start;
    ok($narrow->ready, 'another nginx');

    my $body = CDC::encode({request_type => 'check', request_data => {
        milvus_connect_param => {uri => 'http://127.0.0.1:'
                                        . $silent->sockport},
        collection_infos => [{name => '*'}],
        name_mapping => [{source_db => 'a', target_db => 'b',
            collection_mapping => {map { ("a$_" => "b$_") } 1 .. 40000}}],
    }});
    my @clients = map {
        my $client = IO::Socket::INET->new(PeerPort => $narrow->port,
                                           PeerAddr => '127.0.0.1');
        print $client "POST /cdc HTTP/1.1\r\nHost: x\r\nContent-Length: "
            . length($body) . "\r\n\r\n$body";
        $client;
    } 1 .. 24;

    sleep(3);
    my ($worker, $store) = map {
        my $pid = $_;
        open my $fh, '<', "/proc/$pid/status" or die "status: $!";
        map { /^VmHWM:\s+(\d+) kB/ ? $1 / 1024 : () } <$fh>;
    } $narrow->workers, $narrow->stores;

    # a sanitizer keeps what is freed
    my $keeps = $ENV{TEST_NGINX_LD_PRELOAD};
    ok($worker < 150 || $keeps, 'a worker does not keep what it has sent on')
        or diag("$worker MB");
    ok($store < 150 || $keeps, 'the store looks at so much at a time')
        or diag("$store MB");

    my $asked = IO::Select->new(@clients);
    my @refused = grep { <$_> =~ m{^HTTP/1.1 503 } } $asked->can_read(5);
    ok(@refused > 0 && @refused < @clients,
       'and asks the others to come again')
        or diag(scalar(@refused) . ' of ' . @clients);

    close $_ for @clients;
    ok($narrow->api('list')->{status} == 200, 'and goes on');
    $narrow->stop;
}

CDC::done();
