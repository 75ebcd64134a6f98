use CDC;
use IO::Socket::INET;
use Test::Nginx::Socket 'no_plan';

# What is refused when a task is created: each rule, its text and its place in
# the order.  Nobody is asked before all of these have passed, so no server
# is needed; none of them may leave a task.

# takes connections and never says a word
my $deaf = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1')
    or die "listen: $!";
our $deaf_port = $deaf->sockport;

our $star = [{name => '*'}];

# a create that would pass but for what is given
sub wrong {
    my (%over) = @_;

    my %data = (milvus_connect_param => {uri => 'http://127.0.0.1:1'},
                collection_infos => $star, %over);
    delete @data{grep { !defined $data{$_} } keys %data};
    return CDC::post('create', \%data);
}

sub to {
    my (%connect) = @_;
    return wrong(milvus_connect_param => \%connect);
}

sub refused { return CDC::refused('create', @_) }

master_on();
workers(2);
add_block_preprocessor(CDC::preprocessor());

# with each set of requests the list stays empty
add_block_preprocessor(sub {
    my ($block) = @_;
    my $requests = $block->request;

    my @requests = (@$requests, CDC::post('list'));
    my $section = defined $block->response_body ? 'response_body'
                                                : 'response_body_like';
    my @want = (@{$block->$section}, qr/\A\Q${\CDC::empty_list()}\E\z/);
    my $code = $block->error_code // 400;

    $block->set_value('request', \@requests);
    $block->set_value($section, \@want);
    $block->set_value('error_code',
                      [ref $code ? @$code : ($code) x @$requests, 200]);
});

run_tests();

__DATA__

=== TEST 1: no address
--- request eval
[CDC::post('create'), CDC::post('create', {}),
 main::wrong(milvus_connect_param => undef), main::to(),
 main::to(uri => ''), main::to(host => ''), main::to(port => 0),
 main::to(host => '', port => -1), main::to(uri => '', host => '', port => 0)]
--- response_body eval
[(main::refused('the downstream address is empty')) x 9]



=== TEST 2: Milvus and Kafka at once
--- request eval
[main::wrong(kafka_connect_param => {address => '127.0.0.1:9092',
                                     topic => 'a'})]
--- response_body eval
[main::refused("don't support milvus and kafka at the same time now")]



=== TEST 3: half an address
--- request eval
[main::to(port => 19530), main::to(host => 'localhost'),
 main::to(host => 'localhost', port => 0),
 main::to(host => 'localhost', port => -1)]
--- response_body eval
[main::refused('the milvus host is empty'),
 (main::refused('the milvus port is less or equal zero')) x 3]



=== TEST 4: half a credential
--- request eval
[main::to(uri => 'http://127.0.0.1:1', username => 'root'),
 main::to(uri => 'http://127.0.0.1:1', password => 'Milvus'),
 main::to(host => '127.0.0.1', port => 1, username => 'root',
          password => '')]
--- response_body eval
[(main::refused('cannot set only one of the milvus username and password'))
 x 3]



=== TEST 5: connect timeout
--- request eval
[main::to(uri => 'http://127.0.0.1:1', connect_timeout => -1)]
--- response_body eval
[main::refused('the milvus connect timeout is less zero')]



=== TEST 6: Kafka without a topic
--- request eval
[main::wrong(milvus_connect_param => undef,
             kafka_connect_param => {address => '127.0.0.1:9092'})]
--- response_body eval
[main::refused('the kafka topic is empty')]



=== TEST 7: buffers
--- request eval
[main::wrong(buffer_config => {period => -1}),
 main::wrong(buffer_config => {size => -1})]
--- response_body eval
[main::refused('the cache period is less zero'),
 main::refused('the cache size is less zero')]



=== TEST 8: no collections
--- request eval
[main::wrong(collection_infos => undef), main::wrong(collection_infos => []),
 main::wrong(collection_infos => undef, db_collections => {})]
--- response_body eval
[(main::refused('the collection info is empty')) x 3]



=== TEST 9: several
--- request eval
[main::wrong(collection_infos => [{name => 'a'}, {name => 'b'}]),
 main::wrong(collection_infos => undef,
             db_collections => {a => [{name => 'x'}], b => [{name => 'y'}]})]
--- response_body eval
[(main::refused('the collection info should be only one')) x 2]



=== TEST 10: both forms of a selection
--- request eval
[main::wrong(db_collections => {default => [{name => 'a'}]})]
--- response_body eval
[main::refused('the collection info and db collection info should be only '
               . 'one')]



=== TEST 11: length of a database's name
--- request eval
[main::wrong(collection_infos => undef,
             db_collections => {'d' x 257 => [{name => 'a'}]})]
--- response_body eval
[main::refused('the db name length exceeds 256 characters, ' . 'd' x 257)]



=== TEST 12: entries within a database
--- request eval
[main::wrong(collection_infos => undef, db_collections => {d => []}),
 main::wrong(collection_infos => undef,
             db_collections => {d => [{name => 'a'}, {name => 'b'}]})]
--- response_body eval
[main::refused('empty collection info'),
 main::refused('the collection info should be only one.')]



=== TEST 13: positions for all collections
--- request eval
[main::wrong(collection_infos => [{name => '*', positions => {
     'by-dev-rootcoord-dml_0_1v0' => 'aa'}}])]
--- response_body eval
[main::refused('the collection name is `*`, the positions should be empty')]



=== TEST 14: a position of no virtual channel
--- request eval
[main::wrong(collection_infos => [{name => 'a', positions => {
     'by-dev-rootcoord-dml_0' => 'aa'}}])]
--- response_body eval
[main::refused('the position channel name is not virtual channel, '
               . 'by-dev-rootcoord-dml_0')]



=== TEST 15: names
--- request eval
[main::wrong(collection_infos => [{name => ''}]),
 main::wrong(collection_infos => [{}]),
 main::wrong(collection_infos => [{name => 'c' x 257}]),
 main::wrong(collection_infos => undef,
             db_collections => {d => [{name => ''}]})]
--- response_body eval
[(main::refused('there is a collection name that is empty. ')) x 2,
 main::refused('there are some collection names whose length exceeds 256 '
               . 'characters, [' . 'c' x 257 . ']'),
 main::refused('there is a collection name that is empty. ')]



=== TEST 16: replicate channel
--- request eval
[main::wrong(rpc_channel_info => {name => 'by-dev-replicate'})]
--- response_body eval
[main::refused('the rpc channel is invalid, the channel name should be the '
               . 'same as the source config')]



=== TEST 17: limits on names are a directive
--- http_config eval
CDC::http_config() . 'milvus_cdc_max_name_length 8;'
--- request eval
[main::wrong(collection_infos => [{name => 'c' x 9}]),
 main::wrong(collection_infos => undef,
             db_collections => {'d' x 9 => [{name => 'a'}]})]
--- response_body eval
[main::refused('there are some collection names whose length exceeds 8 '
               . 'characters, [ccccccccc]'),
 main::refused('the db name length exceeds 8 characters, ddddddddd')]



=== TEST 18: the order of the rules
--- request eval
[main::to(port => 19530, connect_timeout => -1),
 main::to(uri => 'http://127.0.0.1:1', username => 'a',
          connect_timeout => -1),
 main::wrong(milvus_connect_param => {uri => 'http://127.0.0.1:1',
                                      connect_timeout => -1},
             buffer_config => {period => -1}),
 main::wrong(buffer_config => {period => -1, size => -1}),
 main::wrong(buffer_config => {size => -1}, collection_infos => []),
 main::wrong(collection_infos => [{name => ''}],
             rpc_channel_info => {name => 'x'})]
--- response_body eval
[main::refused('the milvus host is empty'),
 main::refused('cannot set only one of the milvus username and password'),
 main::refused('the milvus connect timeout is less zero'),
 main::refused('the cache period is less zero'),
 main::refused('the cache size is less zero'),
 main::refused('there is a collection name that is empty. ')]



=== TEST 19: types of fields
--- request eval
[main::to(uri => 5), main::to(host => 'a', port => '19530'),
 main::to(uri => 'http://127.0.0.1:1', connect_timeout => '10'),
 main::to(host => 'a', port => 1, enable_tls => 'true'),
 main::to(uri => 'http://127.0.0.1:1', token => {}),
 main::wrong(collection_infos => {name => '*'}),
 main::wrong(collection_infos => ['*']),
 main::wrong(collection_infos => [{name => 5}]),
 main::wrong(db_collections => []),
 main::wrong(milvus_connect_param => 'http://127.0.0.1:1'),
 main::wrong(task_id => 5)]
--- error_code eval
[(500) x 11]
--- response_body_like eval
[map {
    CDC::failure_like(500, 'fail to decode the create request, error: ',
                      ".*'[^']*${_}[^']*'.*")
} qw(uri port connect_timeout enable_tls token collection_infos
     collection_infos name db_collections milvus_connect_param task_id)]



=== TEST 20: what is known and not supported is refused by name
--- request eval
[main::wrong(milvus_connect_param => undef, kafka_connect_param =>
             {address => '127.0.0.1:9092', topic => 'a'}),
 main::wrong(name_mapping => [{source_db => 'a', target_db => 'b'}]),
 main::wrong(extra_info => {enable_user_role => \1}),
 main::wrong(collection_infos => [{name => 'a', positions => {
     'by-dev-rootcoord-dml_0_1v0' => 'aa'}}]),
 main::wrong(rpc_channel_info => {name => 'by-dev-replicate-msg',
                                  position => 'aa'}),
 main::to(uri => 'http://127.0.0.1:1', ignore_partition => \1)]
--- response_body_like eval
[map {
    CDC::refused_like('create', "`[^`]*${_}[^`]*` is not supported yet: .+")
} qw(kafka name_mapping enable_user_role positions position
     ignore_partition)]



=== TEST 21: addresses that are none
--- request eval
[map { main::to(uri => $_) } 'localhost', 'ftp://localhost:19530',
 'http://', 'http://:19530', 'http://localhost:0', 'http://localhost:65536',
 'http://localhost:x', "http://local host:19530", 'unix:/tmp/a',
 'http://localhost:19530:1']
--- response_body_like eval
[(CDC::refused_like('create', '[^:]*uri.*')) x 10]



=== TEST 22: ids that are no names
--- request eval
[map { main::wrong(task_id => $_) } '.', '..', '../a', 'a/b', "a b", "a\n",
 'x' x 256]
--- response_body_like eval
[(CDC::refused_like('create', 'the task_id is invalid, .+')) x 7]



=== TEST 23: targets that are not allowed
--- http_config eval
CDC::http_config() . 'milvus_cdc_allow_target 127.0.0.2:19530 milvus.a;'
--- request eval
[main::to(uri => 'http://127.0.0.1:19530'),
 main::to(host => '127.0.0.1', port => 19530),
 main::to(uri => 'http://127.0.0.2:19531'),
 main::to(uri => 'http://xmilvus.a:1')]
--- response_body_like eval
[map {
    CDC::refused_like('create', "the target \Q$_\E is not in "
                      . 'milvus_cdc_allow_target')
} '127.0.0.1:19530', '127.0.0.1:19530', '127.0.0.2:19531', 'xmilvus.a:1']



=== TEST 24: nobody there
--- request eval
[main::to(uri => 'http://127.0.0.1:1', connect_timeout => 1),
 main::to(host => '127.0.0.1', port => 1, connect_timeout => 1)]
--- timeout: 10
--- error_code: 500
--- response_body_like eval
[(CDC::refused_like('create', 'fail to connect the milvus: rpc error: .+',
                    500)) x 2]



=== TEST 25: no answer within connect_timeout
--- request eval
[main::to(uri => "http://127.0.0.1:$main::deaf_port", connect_timeout => 1)]
--- timeout: 10
--- error_code: 500
--- response_body eval
[main::refused('fail to connect the milvus: rpc error: code = DeadlineExceeded'
               . ' desc = context deadline exceeded', 500)]
