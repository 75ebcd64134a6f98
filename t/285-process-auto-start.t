# disable_auto_start: paused when nginx has been started, and by nothing else
# that ends and starts processes.

use strict;
use warnings;

use CDC;
use Test::More;
use Time::HiRes qw(sleep);


sub states {
    my ($nginx) = @_;
    return join ' ', map { $nginx->state($_) } qw(lazy eager);
}


sub now {
    my ($nginx, $want, $name) = @_;

    CDC::wait_for(sub { states($nginx) eq $want }, 5);
    is(states($nginx), $want, $name);
}


sub reason {
    my ($nginx) = @_;
    return $nginx->api('get', {task_id => 'lazy'})->{json}{data}{task}{reason};
}


# without a process to name, the signal would be the master's
sub end_of {
    my ($nginx, $which) = @_;
    my @pids;

    CDC::wait_for(sub { @pids = $nginx->$which }, 20) or die "no $which\n";
    $nginx->signal('KILL', @pids);
}


sub tasks {
    my ($nginx) = @_;

    $nginx->create(task_id => 'lazy', collection_infos => [{name => 'a'}],
                   disable_auto_start => JSON::PP::true());
    $nginx->create(task_id => 'eager', collection_infos => [{name => 'b'}]);
    now($nginx, 'Running Running', 'both run');
}


# it waits as it was told to: no illness, and no failure
sub well {
    my ($nginx) = @_;
    my $body = $nginx->http('GET /cdc/health')->{body};
    my $all = $nginx->api('progress', {task_id => 'lazy'})->{body};

    unlike($body, qr/"lazy"/, 'it is not ill') or diag($body);
    unlike($all, qr/"kind":"failed"/, 'and has not failed');
}


sub again {
    my ($nginx, $name) = @_;

    now($nginx, 'Paused Running', $name);
    is(reason($nginx), 'the task is disabled auto start', 'the reason');
    well($nginx);
    is($nginx->api('resume', {task_id => 'lazy'})->{status}, 200, 'resume');
    now($nginx, 'Running Running', 'both run');
}


{
    my $nginx = CDC::Nginx->new(workers => 1)->start;
    tasks($nginx);

    ok($nginx->reload, 'reload');
    now($nginx, 'Running Running', 'after a reload');

    end_of($nginx, 'stores');
    sleep 0.5;
    now($nginx, 'Running Running', 'after the end of the store');

    end_of($nginx, 'supervisors');
    sleep 0.5;
    now($nginx, 'Running Running', 'after the end of the supervisor');

    # a new binary, then back to the old one
    my $old = $nginx->master;
    $nginx->signal('USR2');
    my $new = CDC::wait_for(sub {
        my ($pid) = $nginx->{server}->slurp('logs/nginx.pid') =~ /^(\d+)\n/;
        return defined $pid && $pid != $old ? $pid : undef;
    }, 20);
    ok($new, 'an upgrade');
    kill 'WINCH', $old;
    ok(CDC::wait_for(sub {
        my %in_new = map { $_ => 1 } Subreaper::descendants($new);
        return grep { $in_new{$_} } $nginx->stores;
    }, 10), 'the new one takes over');
    now($nginx, 'Running Running', 'after an upgrade');

    kill 'HUP', $old;
    sleep 0.5;
    kill 'QUIT', $new;
    ok(CDC::wait_for(sub { Subreaper::reap(); return !kill 0, $new }, 10),
       'the new one goes');
    now($nginx, 'Running Running', 'after it was undone');

    $nginx->stop;
    $nginx->start;
    again($nginx, 'stopped and started');

    $nginx->stop('TERM');
    $nginx->start;
    again($nginx, 'and once more');

    is($nginx->api('pause', {task_id => 'lazy'})->{status}, 200, 'pause');
    $nginx->stop;
    $nginx->start;
    now($nginx, 'Paused Running', 'what is paused stays paused');
    is(reason($nginx), 'manually pause through http interface',
       'by what has paused it');
}

{
    my $nginx = CDC::Nginx->new(master => 'off')->start;
    tasks($nginx);

    end_of($nginx, 'stores');
    sleep 0.5;
    now($nginx, 'Running Running', 'a single process: the store ends');

    $nginx->stop;
    $nginx->start;
    again($nginx, 'a single process: stopped and started');
}

CDC::done();
