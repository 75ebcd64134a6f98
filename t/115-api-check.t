use CDC;
use Test::Nginx::Socket 'no_plan';

# check: what it says about the request alone.  A target is named where nobody
# answers, so each answer ends with that, too; t/660 has real ones.

our $star = [{name => '*'}];

sub check {
    my (%over) = @_;

    my %data = (milvus_connect_param => {uri => 'http://127.0.0.1:1',
                                         connect_timeout => 1},
                collection_infos => $star, %over);
    delete @data{grep { !defined $data{$_} } keys %data};
    return CDC::post('check', \%data);
}

sub to {
    my (%connect) = @_;
    return check(milvus_connect_param => \%connect);
}

# an answer that does not find it good, with these errors: name => text
sub finds {
    my (%errors) = @_;

    my $look = join '', map {
        my $text = substr CDC::encode($errors{$_}), 1, -1;
        sprintf '(?=.*%s)', join '.*?', map { quotemeta }
            "{\"check\":\"$_\",\"ok\":false,\"level\":\"error\",\"text\":",
            $text, '"cure":"';
    } sort keys %errors;

    return qr/\A\{"code":200,"data":\{"ok":false,"findings":\[$look/s;
}

master_on();
workers(2);
add_block_preprocessor(CDC::preprocessor());

# after each set of requests there is no task
add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value('request', [@{$block->request}, CDC::post('list')]);
    $block->set_value('response_body_like',
                      [@{$block->response_body_like},
                       qr/\A\Q${\CDC::empty_list()}\E\z/]);
});

run_tests();

__DATA__

=== TEST 1: the target's address
--- request eval
[CDC::post('check'), main::to(uri => ''), main::to(host => 'a'),
 main::to(uri => 'a:1'), main::to(uri => 'http://h:1', username => 'root'),
 main::to(uri => 'http://u@h:1')]
--- response_body_like eval
[(main::finds('request.target' => 'the downstream address is empty')) x 2,
 main::finds('request.target' => 'the milvus port is less or equal zero'),
 main::finds('request.target' => 'it has no http:// or https://'),
 main::finds('request.target' => 'cannot set only one of the milvus username'),
 main::finds('request.target' => 'the milvus uri is invalid')]
--- timeout: 40



=== TEST 2: all of it at once
--- request eval
[main::check(collection_infos => [], log_gap => 'x', task_id => 'a/b',
             rpc_channel_info => {name => 'x'},
             buffer_config => {size => -1})]
--- response_body_like eval
[main::finds('request.collections' => 'the collection info is empty',
             'request.log_gap' => '`log_gap` cannot be "x"',
             'request.task_id' => 'the task_id is invalid',
             'request.replicate_channel' => 'the rpc channel is invalid',
             'request.buffer_config' => 'the cache size is less zero',
             'target.reachable' => 'the target http://127.0.0.1:1')]
--- timeout: 40



=== TEST 3: what a create is refused for by the store
--- request eval
[main::check(exclude_collections => ['x']),
 main::check(collection_infos => [{name => 'a',
             positions => {'by-dev-rootcoord-dml_0_1v0' => '!'}}]),
 main::check(collection_infos => [{name => 'a'}],
             name_mapping => [{source_db => 'x', target_db => 'y'}])]
--- response_body_like eval
[main::finds('request.exclude_collections' => '"x" should be a database'),
 main::finds('request.positions' => 'fail to decode the position data'),
 main::finds('request.name_mapping' => 'not in the collection info')]
--- timeout: 40



=== TEST 4: fields of another type are an error, as of a create
--- request eval
[CDC::post('check', {collection_infos => 'x'})]
--- error_code eval
[500, 200]
--- response_body_like eval
[qr/fail to decode the check request/]



=== TEST 5: a target that is not allowed is not asked
--- http_config eval
CDC::http_config() . 'milvus_cdc_allow_target example.org;'
--- request eval
[main::check()]
--- response_body_like eval
[qr/(?=.*"target\.allowed","ok":false.*?milvus_cdc_allow_target\ in\ nginx)
    (?=.*"source\.etcd",)(?!.*"target\.reachable")/x]
--- timeout: 40



=== TEST 6: a request in order says so, and names what was looked at
--- request eval
[main::check()]
--- response_body_like eval
[qr/(?=.*\{"check":"request","ok":true,"level":"info")
    (?=.*\{"check":"tasks\.limit","ok":true)
    (?=.*\{"check":"state\.disk","ok":true)
    (?=.*\{"check":"target\.reachable","ok":false,"level":"error")
    (?=.*\{"check":"source\.etcd",)(?=.*\{"check":"source\.log",)/x]
--- timeout: 40



=== TEST 7: no room for another task
--- http_config eval
CDC::http_config() . 'milvus_cdc_max_tasks 1;'
--- request eval
[CDC::create(task_id => 'one', collection_infos => [{name => 'a'}]),
 main::check(collection_infos => [{name => 'b'}]),
 CDC::post('delete', {task_id => 'one'})]
--- response_body_like eval
[qr/"one"/,
 qr/"tasks\.limit","ok":false,"level":"error".*raise\ milvus_cdc_max_tasks/x,
 qr/200/]
--- timeout: 40



=== TEST 8: what is wrong many times is told a few times
--- request eval
[main::check(collection_infos => [map { {name => '*'} } 1 .. 1500]),
 main::check(collection_infos => [map { {name => "a$_",
                                         positions => {"x$_" => ''}} }
                                  1 .. 15000])]
--- response_body_like eval
[qr/\A(?!(?:.*the\ only\ one\ collection){2})
    .*"request\.collections","ok":false.*the\ only\ one\ collection/xs,
 qr/\A(?!(?:.*is\ not\ virtual\ channel){9})
    (?:.*is\ not\ virtual\ channel){8}.*there\ is\ more\ of\ this\ kind/xs]
--- timeout: 40
