# As root with "user": workers, supervisor and helpers run as that user, and
# the state directory is that user's alone.

use strict;
use warnings;

use CDC;
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Test::More;

my ($name, $uid) = (getpwnam('www-data'))[0, 2];

plan skip_all => 'only root can change its user' if $> != 0 || !defined $uid;

# the build may lie where nobody else can look
my $dir = tempdir(TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
copy($ENV{TEST_NGINX_CDC_HELPER}, "$dir/helper") or die "copy: $!";
chmod 0755, "$dir/helper";

local $ENV{TEST_NGINX_CDC_HELPER} = "$dir/helper";
local $ENV{TEST_NGINX_WORKER_USER} = $name;

my $nginx = CDC::Nginx->new(workers => 1, state => "$dir/state")->start;
ok($nginx->ready, 'the API answers');


sub uid_of {
    my ($pid) = @_;
    open my $fh, '<', "/proc/$pid/status" or return -1;
    return (map { /^Uid:\s+(\d+)\s+\1/ ? $1 : () } <$fh>)[0];
}


is((stat "$dir/state")[4], $uid, 'owner of the state directory');
is((stat _)[2] & 07777, 0700, 'mode of the state directory');
is((stat "$dir/state/api.sock")[4], $uid, 'owner of the socket');

$nginx->create(task_id => 'one');
ok(CDC::wait_for(sub { $nginx->pids(qr/ replicate / ) == 1 }, 5),
   'a replicator runs');

for my $pid ($nginx->workers, $nginx->supervisors,
             $nginx->pids(qr/milvus-cdc-helper/)) {
    is(uid_of($pid), $uid, "user of \"" . $nginx->tree->{$pid} . '"');
}

is($nginx->state('one'), 'Running', 'the task runs');
ok($nginx->reload, 'a reload');
ok($nginx->ready, 'the API answers');
is($nginx->state('one'), 'Running', 'the task runs');

unlike($nginx->log, qr/\[(?:alert|emerg|crit)\]/, 'nothing serious is logged');

CDC::done();
