# A full disk: what cannot be kept is refused, what was kept stays, and when
# there is room again the service goes on by itself.

use strict;
use warnings;

use CDC;
use File::Temp qw(tempdir);
use Test::More;
use Time::HiRes qw(sleep);

my $disk = tempdir(CLEANUP => 1);

system("mount -t tmpfs -o size=4m,mode=0755 tmpfs $disk 2>/dev/null") == 0
    or plan skip_all => 'no file system of a few MB can be mounted here';

my $nginx = CDC::Nginx->new(workers => 1, state => "$disk/state")->start;
ok($nginx->ready, 'the API answers');
$nginx->create(task_id => 'one');
is($nginx->api('pause', {task_id => 'one'})->{status}, 200, 'pause');
ok(CDC::wait_for(sub { !$nginx->replicators }, 6), 'the task rests');


sub fill {
    open my $fh, '>>', "$disk/filler" or die "filler: $!";
    1 while syswrite $fh, "\0" x 4096;
    1 while syswrite $fh, "\0";
}


{
    fill();

    # the store has room left in the block that it is writing
    my ($refused, $n) = (undef, 0);
    while (!$refused && $n++ < 500) {
        my $type = $n % 2 ? 'resume' : 'pause';
        my $answer = $nginx->api($type, {task_id => 'one'});

        # a replicator that finds the disk full may have paused the task
        my $paused = ($answer->{json}{message} // '') =~ /the task has paused/;
        $refused = $answer if $answer->{status} ne '200' && !$paused;
        fill();
    }

    ok($refused, 'a full disk is noticed');
    is($refused->{status}, 500, 'status') or diag(explain($refused));
    like($refused->{json}{message} // '', qr/fail to write the task store/,
         'message');

    my $state = $nginx->state('one');
    my $answer = $nginx->api('list');
    is($answer->{status}, 200, 'list answers');
    is(scalar(@{$answer->{json}{data}{tasks} || []}), 1, 'with the task');

    # what is shown is what is kept
    $nginx->signal('KILL', $nginx->stores);
    unlink "$disk/filler" or die "unlink: $!";
    ok($nginx->ready(15), 'there is room again: the API answers');
    like($nginx->state('one'), qr/^(?:$state|Paused)$/,
         'the state is the one that was shown, or the replicator gave up');
}

{
    my $type = $nginx->state('one') eq 'Paused' ? 'resume' : 'pause';
    is($nginx->api($type, {task_id => 'one'})->{status}, 200, 'it can change');
    is($nginx->api('delete', {task_id => 'one'})->{status}, 200, 'and go');
    is_deeply($nginx->tasks, [], 'the list is empty');
}

$nginx->stop;
CDC::done();


END {
    if (defined $disk) {
        local $?;
        system("umount -l $disk 2>/dev/null");
    }
}
