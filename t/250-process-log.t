# What helpers write into the error log bears the module's name and the task's.
# SIGUSR1: every process that writes there opens it anew, the helpers too,
# though nginx does not pass the signal on to them.

use strict;
use warnings;

use CDC;
use Test::More;
use Time::HiRes qw(sleep);

my $nginx = CDC::Nginx->new(workers => 2)->start;
ok($nginx->ready, 'the API answers');
$nginx->create(task_id => 'one');
ok(CDC::wait_for(sub { $nginx->replicators == 1 }, 5), 'a replicator runs');

my $log = $nginx->{server}->path('logs/error.log');
my @helpers = ($nginx->stores, $nginx->replicators);

# of a process, without the time
sub written {
    my ($pid) = @_;
    return map { / (\[\w+\] )\Q$pid\E#\d+: (.*)/ ? "$1$2" : () }
        split /\n/, $nginx->log;
}

my ($store) = $nginx->stores;
my ($replicator) = $nginx->replicators;

ok(CDC::wait_for(sub { written($replicator) }, 20),
   'a replicator says something');
is(join("\n", grep { !/^\[\w+\] milvus_cdc: one: / } written($replicator)), '',
   "each line of a replicator's has the name and the task's id");
is(join("\n", grep { !/^\[\w+\] milvus_cdc: / } written($store)), '',
   "each line of the store's has the name");
ok((grep { /^\[info\] milvus_cdc: task one is created: / } written($store)),
   'a state that changes is worth an "info"') or diag(written($store));

rename $log, "$log.1" or die "rename: $!";
$nginx->signal('USR1');

ok(CDC::wait_for(sub { -e $log }, 5), 'nginx makes a new log');

for my $pid (@helpers) {
    ok(CDC::wait_for(sub {
        return !grep { (readlink($_) // '') eq "$log.1" }
            glob("/proc/$pid/fd/*");
    }, 5), "helper $pid has left the old log");
    ok((grep { (readlink($_) // '') eq $log } glob("/proc/$pid/fd/*")),
       "helper $pid writes the new one");
    is(readlink("/proc/$pid/fd/2"), $log, "its stderr, too");
}

is_deeply([$nginx->stores, $nginx->replicators], \@helpers,
          'no helper was started anew');
is($nginx->state('one'), 'Running', 'the task runs');

CDC::done();
