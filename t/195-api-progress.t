use CDC;
use Test::Nginx::Socket 'no_plan';

# "progress", the variables of the access log, the audit in the error log.

our $uri = CDC::target();

# every name of the contract, in order; null where nothing is known
our @names = qw(
    task_id state since_ms created_ms now_ms degraded live lag_seconds
    rows_in rows_out bytes_in bytes_out rows_per_second bytes_per_second
    backlog_bytes catch_up_seconds initial_copy_percent requests retries
    restarts operations rows_skipped rows_settled parked buffered_bytes
    last_operation last_error checkpoint_age_seconds report_age_seconds
    retention_left_seconds helper source target channels collections_total
    collections events
);

# answers to "progress" are looked at as a whole
add_response_body_check(sub {
    my ($block, $body, $index) = @_;

    return if !defined $body || $block->name !~ /whole/;

    my $answer = CDC::decode($body);
    main::ok(ref $answer, $block->name . " - JSON") or return;

    for my $task (@{$answer->{data}{tasks} // []}) {
        my @absent = grep { !exists $task->{$_} } @main::names;
        main::is("@absent", '', $block->name . " - every name is there");
        main::is($task->{target}{uri}, $main::uri,
                 $block->name . " - where it goes");
        main::is($task->{source}{name}, 'main',
                 $block->name . " - where it comes from");
        main::ok((grep { $_->{kind} eq 'created' } @{$task->{events}}),
                 $block->name . " - it was created")
            if ref $task->{events};
    }
});

sub variables {
    my ($uri) = @_;
    return CDC::config() . 'add_header X-CDC '
        . '"[$milvus_cdc_request_type][$milvus_cdc_task_id]'
        . '[$milvus_cdc_code]" always;';
}

timeout(20);
master_on();
workers(2);
add_block_preprocessor(CDC::preprocessor());
run_tests();

__DATA__

=== TEST 1: no task
--- request eval
[CDC::post('progress'), CDC::post('progress', {}),
 CDC::post('progress', {task_id => 'one'}),
 CDC::post('progress', {task_id => 'x' x 5000}),
 CDC::post('progress', {task_id => 5})]
--- error_code eval
[200, 200, 400, 400, 500]
--- response_body_like eval
['^\{"code":200,"data":\{"tasks":\[\]\}\}\n$',
 '^\{"code":200,"data":\{"tasks":\[\]\}\}\n$',
 '"code":400,"message":"fail to handle the progress request, error: '
 . 'not found: \[one\]"', 'not found', 'task_id']



=== TEST 2: whole, running and paused, in the order of list
--- request eval
[CDC::create(task_id => 'one', collection_infos => [{name => 'a'}]),
 CDC::create(task_id => 'two', collection_infos => [{name => 'b'}]),
 CDC::post('pause', {task_id => 'two'}), CDC::post('progress'),
 CDC::post('progress', {task_id => 'two'}),
 CDC::post('resume', {task_id => 'two'}),
 CDC::post('progress', {task_id => 'two'}),
 CDC::post('delete', {task_id => 'one'}), CDC::post('progress')]
--- response_body_like eval
['one', 'two', '200',
 '"task_id":"one","state":"Running".*"task_id":"two","state":"Paused",'
 . '"reason":"manually pause through http interface"',
 '"tasks":\[\{"task_id":"two","state":"Paused".*'
 . '"kind":"created".*"kind":"paused","text":"manually pause',
 '200',
 '"state":"Running","since_ms".*"kind":"paused".*"kind":"resumed"',
 '200', '^\{"code":200,"data":\{"tasks":\[\{"task_id":"two"[^\n]*\}\]\}\}\n$']
--- no_error_log
[alert]



=== TEST 3: get has it, too
--- request eval
[CDC::create(task_id => 'one'), CDC::post('get', {task_id => 'one'})]
--- response_body_like eval
['one', '"state":"Running","task_id":"one"\},'
 . '"progress":\{"task_id":"one","state":"Running","since_ms":\d+,']



=== TEST 4: a replicator reports: process, memory, events
--- request eval
[CDC::create(task_id => 'one'), (CDC::post('progress')) x 3,
 CDC::post('progress')]
--- wait: 2
--- response_body_like eval
['one', ('one') x 3, '"lag_seconds":(?:null|\d+\.\d{3}),.*"kind":"started"']



=== TEST 5: variables
--- config eval
main::variables()
--- request eval
[CDC::create(task_id => 'one'), CDC::post('list'),
 CDC::post('get', {task_id => 'none'}), CDC::post('nonsense'), "GET /cdc",
 CDC::post('delete', {task_id => 'one'})]
--- error_code eval
[200, 200, 400, 400, 405, 200]
--- response_headers eval
['X-CDC: [create][one][200]', 'X-CDC: [list][][200]',
 'X-CDC: [get][none][400]', 'X-CDC: [][][400]', 'X-CDC: [][][405]',
 'X-CDC: [delete][one][200]']



=== TEST 6: the id of a create that names none
--- config eval
main::variables()
--- request eval
[CDC::create()]
--- response_headers_like
X-CDC: \[create\]\[[0-9a-f]{32}\]\[200\]



=== TEST 7: the audit, in the error log
--- request eval
[CDC::create(task_id => 'one', milvus_connect_param =>
             {uri => $main::uri, token => 'root:Sesame-9'}),
 CDC::post('list'), CDC::post('pause', {task_id => "a\"\n\\b"})]
--- error_code eval
[200, 200, 400]
--- grep_error_log eval
qr/audit: \{.*?\}/
--- grep_error_log_out eval
[qr/"address":"127\.0\.0\.1","user":null,"request_id":"[0-9a-f]{32}",
    "type":"create","task_id":"one","code":200\}\n\z/x, '',
 qr/"type":"pause","task_id":"a\\"\\n\\\\b","code":400\}\n\z/]
--- no_error_log
Sesame



=== TEST 8: requests are counted by type
--- request eval
[CDC::post('list'), CDC::post('list'), CDC::post('get', {task_id => 'a'}),
 "GET /cdc/metrics"]
--- wait: 1
--- error_code eval
[200, 200, 400, 200]
--- response_body_like eval
['200', '200', '400',
 'request_total\{request_type="get",request_status="fail"\} 1\n'
 . '.*request_total\{request_type="list",request_status="total"\} 2\n'
 . '.*request_latency_count\{request_type="list"\} 2\n']
