# Two nginx on one state directory: the second waits for the first, answers
# meanwhile from the first one's store or says when to come back, and takes
# over when the first has gone.  There is never a second writer.

use strict;
use warnings;

use CDC;
use Test::More;
use Time::HiRes qw(sleep);

my $first = CDC::Nginx->new(workers => 1)->start;
ok($first->ready, 'the first answers');
$first->create(task_id => 'one');
ok(CDC::wait_for(sub { $first->replicators == 1 }, 5), 'and replicates');

my $second = CDC::Nginx->new(workers => 1, state => $first->{state})->start;
sleep 1;

is(scalar($second->supervisors), 1, 'the second has a supervisor');
is(scalar($second->stores), 0, 'but no store');
is(scalar($second->replicators), 0, 'and no replicator');
is(scalar($first->stores), 1, 'the first has kept its store');
is($first->state('one'), 'Running', 'and its task');

{
    my $answer = $second->api('list', undef, 15);
    like($answer->{status}, qr/^(?:200|503)$/,
         'the second answers or says when to come back');
    ok($answer->{status} ne '503' || $answer->{header}{'retry-after'},
       'with Retry-After') or diag(explain($answer));
    ok($answer->{status} ne '200'
       || @{$answer->{json}{data}{tasks}} == 1, 'and never an empty list');
}

ok(CDC::wait_for(sub {
    $second->log =~ /\[error\].* another nginx works on "\Q$first->{state}\E"/
}, 15), 'and its log says so, at the level of a default error_log');

$first->stop('QUIT');
ok($second->ready, 'the second takes over');
is(scalar($second->stores), 1, 'it has a store now');
is($second->state('one'), 'Running', 'the task is there');
ok(CDC::wait_for(sub { $second->replicators == 1 }, 5), 'and replicates');

for my $nginx ($first, $second) {
    unlike($nginx->log, qr/LOCK|Resource temporarily unavailable/,
           'no second writer');
    unlike($nginx->log, qr/\[(?:alert|emerg|crit)\]/,
           'nothing serious is logged');
}

CDC::done();
