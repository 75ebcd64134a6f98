# A store that does not answer: what is read comes from shared memory as ever,
# what is written is told to come again, and goes through when it can.

use strict;
use warnings;

use CDC;
use Test::More;
use Time::HiRes qw(sleep time);

my $nginx = CDC::Nginx->new(workers => 2,
                            http => 'milvus_cdc_timeout 1s;')->start;
ok($nginx->ready, 'the API answers');
$nginx->create(task_id => 'one');

my ($store) = $nginx->stores;


sub timed {
    my ($request) = @_;
    my $t0 = time;
    my $answer = $nginx->http($request);
    return ($answer, time - $t0);
}


{
    $nginx->signal('STOP', $store);

    for my $request (CDC::post('list'), CDC::post('get', {task_id => 'one'}),
                     'GET /cdc/health', 'GET /cdc/metrics') {
        my ($answer, $took) = timed($request);
        my $what = $request =~ s/\n/ /r;

        is($answer->{status}, 200, "$what is answered");
        cmp_ok($took, '<', 0.5, 'at once');
    }

    my ($answer, $took) = timed(CDC::post('pause', {task_id => 'one'}));

    is($answer->{status}, 503, 'a pause is not');
    like($answer->{header}{'retry-after'} // '', qr/^\d+$/, 'Retry-After');
    is($answer->{json}{code}, 503, 'code');
    cmp_ok($took, '<', 3, 'within milvus_cdc_timeout') or diag($took);

    $nginx->signal('CONT', $store);
}

{
    # what was sent to it has been done or has not: it says so
    ok(CDC::wait_for(sub {
        my $answer = $nginx->api('pause', {task_id => 'one'});
        return $answer->{status} eq '200'
            || $answer->{body} =~ /the task has paused/;
    }, 5), 'the pause goes through afterwards');
    is($nginx->state('one'), 'Paused', 'it is paused');
}

{
    # killed: the request waits for the next one and does not fail
    my ($old) = $nginx->stores;

    $nginx->signal('KILL', $old);
    ok(CDC::wait_for(sub { Subreaper::reap(); !kill 0, $old }, 5), 'killed');

    is($nginx->api('resume', {task_id => 'one'})->{status}, 200,
       'a request between two stores is served');
    is($nginx->state('one'), 'Running', 'it runs');
}

{
    # one that never runs: health names it, the log has the cause
    my $without = CDC::Nginx->new(workers => 1,
        http_config => CDC::http_config()
                       =~ s{milvus_cdc_helper \K[^;]+}{/bin/true}r)->start;
    my $answer = $without->http('GET /cdc/health');

    is($answer->{status}, 503, 'without a store health is 503');
    is($answer->{json}{status}, 'starting', 'starting');
    like($answer->{json}{reason}, qr/the task store .+ error log says why/,
         'and says where to look');
}

CDC::done();
