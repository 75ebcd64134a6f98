# Which processes a start brings, as whom, and what they own: the supervisor
# is nginx's cache manager, the store is its child, a replicator comes with
# each running task and goes with a pause.

use strict;
use warnings;

use CDC;
use Test::More;

my $nginx = CDC::Nginx->new(workers => 2);


sub field {
    my ($pid, $name) = @_;

    open my $fh, '<', "/proc/$pid/status" or return '';
    return (map { /^\Q$name\E:\s*(.*?)\s*$/ ? $1 : () } <$fh>)[0] // '';
}


sub descriptor { return readlink("/proc/$_[0]/fd/$_[1]") // '' }

sub mode { return sprintf '%04o', (stat $_[0])[2] & 07777 }


{
    # nginx -t starts nothing and locks nothing
    is($nginx->check, '', 'nginx -t is content');
    is_deeply([Subreaper::descendants($$)], [], 'nginx -t leaves no process');
    ok(!-e "$nginx->{state}/api.sock", 'nginx -t opens no socket');
}

$nginx->start;
ok($nginx->ready(5), 'the API answers');

my ($supervisor, @more) = $nginx->supervisors;
ok(defined $supervisor && !@more, 'one supervisor');

my ($store, @stores) = $nginx->stores;
ok(defined $store && !@stores, 'one store');

is(field($store, 'PPid'), $supervisor, 'the store is its child');
is(scalar($nginx->workers), 2, 'two workers');
is(scalar($nginx->replicators), 0, 'no replicator without a task');

is(mode($nginx->{state}), '0700', 'mode of the state directory');
is(mode("$nginx->{state}/api.sock"), '0600', 'mode of the socket');
is(mode("$nginx->{state}/lock"), '0600', 'mode of the lock');

for my $pid ($store) {
    is(descriptor($pid, 0), '/dev/null', 'store: nothing to read');
    is(descriptor($pid, 1), $nginx->{server}->path('logs/error.log'),
       'store: stdout is the error log');
    is(descriptor($pid, 2), $nginx->{server}->path('logs/error.log'),
       'store: stderr is the error log');
    is(descriptor($pid, 4), "$nginx->{state}/lock", 'store: holds the lock');
}

my $port = $nginx->port;
ok(!(grep { /socket:/ } map { descriptor($store, $_) } 5 .. 9)
   || !listens($store, $port), 'store: the listening socket is not its own');

my $id = $nginx->create(milvus_connect_param => {
    uri => scalar(CDC::target()), username => 'root',
    password => 'Sesame-5', connect_timeout => 10,
});

my ($replicator) = @{CDC::wait_for(sub {
    my @pids = $nginx->replicators;
    return @pids ? \@pids : undef;
}, 5) || []};

ok(defined $replicator, 'a task brings a replicator');
is(field($replicator, 'PPid'), $supervisor, 'it is a child of the supervisor');
is(scalar($nginx->replicators), 1, 'one replicator');
like($nginx->tree->{$replicator}, qr/replicate \Q$id\E$/,
     'its title names the task');

{
    my $secrets = 0;
    for my $pid ($nginx->master, keys %{$nginx->tree}) {
        for my $file (qw(cmdline environ)) {
            open my $fh, '<', "/proc/$pid/$file" or next;
            local $/;
            $secrets++ if (<$fh> // '') =~ /Sesame/;
        }
    }
    is($secrets, 0, 'no secret in a command line or an environment');
    unlike($nginx->log, qr/Sesame/, 'no secret in the error log');
}

{
    my @open = grep { -f && mode($_) ne '0600' } files($nginx->{state});
    is_deeply(\@open, [], 'files are 0600');
    my @dirs = grep { -d && mode($_) ne '0700' } files($nginx->{state});
    is_deeply(\@dirs, [], 'directories are 0700');
}

is($nginx->api('pause', {task_id => $id})->{status}, 200, 'pause');
ok(CDC::wait_for(sub { !$nginx->replicators }, 6),
   'a pause ends the replicator');

is($nginx->api('resume', {task_id => $id})->{status}, 200, 'resume');
ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 6),
   'a resume brings it back');

is($nginx->api('delete', {task_id => $id})->{status}, 200, 'delete');
ok(CDC::wait_for(sub { !$nginx->replicators }, 6),
   'a delete ends the replicator');
ok(CDC::wait_for(sub { !-e "$nginx->{state}/tasks/$id" }, 6),
   'its checkpoints are removed');

unlike($nginx->log, qr/\[(?:alert|emerg|crit)\]/, 'nothing serious is logged');

CDC::done();


sub files {
    my ($dir) = @_;

    opendir my $dh, $dir or return;
    my @all = map { "$dir/$_" } grep { !/^\.\.?$/ } readdir $dh;

    return map { ($_, -d $_ ? files($_) : ()) } @all;
}


sub listens {
    my ($pid, $listening) = @_;
    my $hex = sprintf ':%04X', $listening;

    open my $tcp, '<', '/proc/net/tcp' or return 0;
    my %inode = map {
        my @f = split;
        $f[1] =~ /\Q$hex\E$/ && $f[3] eq '0A' ? ("socket:[$f[9]]" => 1) : ()
    } <$tcp>;

    return grep { $inode{readlink($_) // ''} } glob("/proc/$pid/fd/*");
}
