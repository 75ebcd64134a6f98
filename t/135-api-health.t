# Health is made once for all who ask within a moment.  A change of a task is
# seen at once; the status and what is said stay together, also when time alone
# has changed them.

use strict;
use warnings;

use CDC;
use Test::More;

CDC::target();

# what a worker keeps is its own
my $nginx = CDC::Nginx->new(workers => 1)->start;
ok($nginx->ready, 'the API answers');


sub health {
    my $answer = $nginx->http('GET /cdc/health');
    return "$answer->{status} $answer->{body}";
}


# the answers to some requests in a row, and how often each came
sub answers {
    my %seen;
    $seen{health()}++ for 1 .. 200;
    return \%seen;
}


my $tasks = '"running":0,"paused":0';

is_deeply(answers(), {qq(200 {"status":"ok",$tasks}\n) => 200}, 'healthy');

{
    $nginx->create(task_id => 'one');
    $nginx->api('pause', {task_id => 'one'});

    my $before = health();
    is($nginx->api('delete', {task_id => 'one'})->{status}, 200, 'a delete');
    my $after = health();

    is($before, qq(200 {"status":"ok","running":0,"paused":1}\n),
       'a paused task is seen');
    is($after, qq(200 {"status":"ok",$tasks}\n), 'and one that is gone is not');
}

# nobody says any longer that the store runs: no change of the task table
my ($supervisor) = $nginx->supervisors;
$nginx->signal('STOP', $supervisor);

ok(CDC::wait_for(sub { health() =~ /^503/ }, 15),
   'without a supervisor it is 503 in the end');
sleep 1;
is_deeply(answers(), {qq(503 {"status":"degraded",$tasks,"reason":)
                      . qq("the task store is not running"}\n) => 200},
          'each time, and says why');

$nginx->signal('CONT', $supervisor);
ok(CDC::wait_for(sub { health() =~ /^200/ }, 5), '200 when it goes on');

CDC::done();
