# A replicator that fails while it is being paused: the task has no process
# then, and a store that comes later knows that as well.
#
# A real one fails at such a moment by chance only, so this one is a script
# that speaks its frames: FAILED is its answer to TERM.

use strict;
use warnings;

use CDC;
use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(time);

my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;
my $helper = "$dir/milvus-cdc-helper";

open my $fh, '>', $helper or die "$helper: $!";
print $fh "#!$^X\n\$real = '$ENV{TEST_NGINX_CDC_HELPER}';\n", <<'EOT';
use POSIX qw(:signal_h);

exec {$real} 'milvus-cdc-helper', @ARGV if $ARGV[0] ne 'replicate';

# "replicate" is what its command line is known by
$SIG{TERM} = sub {
    my $text = "$ARGV[1]\0it fails on its way out";
    # cdc_frame_t: CDC_FRAME_FAILED
    syswrite $control, pack('L S S Q', length $text, 11, 0, 0) . $text;
    exit 0;
};

open $control, '+<&=', 3 or die;

# CDC_FRAME_PROGRESS of another layout, as the helper of an update has it
syswrite $control, pack('L S S Q', 4, 13, 0, 0) . 'odd!' for 1 .. 3;
sigprocmask(SIG_UNBLOCK, POSIX::SigSet->new(SIGTERM));
1 while sysread $control, my $frame, 65536;
EOT
close $fh;
chmod 0755, $helper;

my $nginx = CDC::Nginx->new(workers => 1,
    http_config => CDC::http_config()
                   =~ s/milvus_cdc_helper \K[^;]+/$helper/r)->start;
ok($nginx->ready, 'the API answers');
$nginx->create(task_id => 'one');

ok(CDC::wait_for(sub { $nginx->replicators }, 20), 'it has a replicator');

is($nginx->api('pause', {task_id => 'one'})->{status}, 200, 'pause');
ok(CDC::wait_for(sub { !$nginx->replicators }, 20), 'it has none any more');


sub at_rest {
    my ($when) = @_;
    my $answer = $nginx->api('parked', {task_id => 'one'}, 60);

    is($answer->{status}, 200, "parked messages can be asked for $when")
        or diag($answer->{body});
    like($nginx->api('pause', {task_id => 'one'}, 60)->{body},
         qr/the task has paused/, "a second pause is told so $when");
}


is(scalar(() = $nginx->log =~ /bad frame of type 13/g), 1,
   'frames that are not understood are told of once');
at_rest('after the pause');

my ($store) = $nginx->stores;
$nginx->signal('KILL', $store);
ok(CDC::wait_for(sub {
    my ($now) = $nginx->stores;
    return $now && $now != $store;
}, 20), 'another store');
ok($nginx->ready, 'it answers');
at_rest('after the end of the store');

is($nginx->api('get', {task_id => 'one'})->{json}{data}{task}{reason},
   'manually pause through http interface', 'the reason of the pause stays');
is($nginx->api('resume', {task_id => 'one'})->{status}, 200, 'resume');
ok(CDC::wait_for(sub { $nginx->replicators }, 20), 'a replicator again');

CDC::done();
