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

# names by database
sub dbs {
    my (%names) = @_;

    return wrong(collection_infos => undef, db_collections => {
        map { $_ => [map { {name => $_} } @{$names{$_}}] } keys %names});
}

# a position of one collection, as clients of the existing service have it
our $position = 'ChZieS1kZXYtcm9vdGNvb3JkLWRtbF8wEghWJwAAAAAAAA==';

sub positions {
    my (%positions) = @_;
    return wrong(collection_infos => [{name => 'a',
                                       positions => \%positions}]);
}

sub mapping {
    my (%names) = @_;

    return (name_mapping => [{source_db => '', target_db => 'default',
                              collection_mapping => \%names}]);
}

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



=== TEST 9: all of them beside others
--- request eval
[main::wrong(collection_infos => [{name => 'a'}, {name => '*'}]),
 main::dbs(d => ['a'], e => ['*', 'b']),
 main::dbs('*' => ['a'], d => ['b'])]
--- response_body_like eval
[(map {
    CDC::refused_like('create', "make sure the only one collection if you want"
                      . " to use the '\\*' collection param, current param: "
                      . "\\[$_\\]")
 } 'a \*', '\* b'),
 CDC::refused_like('create', "make sure the only one database if you want to "
                   . "use the '\\*' db param, current param: "
                   . '\[(?:\* d|d \*)\]')]



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
[main::dbs(d => []), main::dbs(d => ['a'], e => []),
 main::wrong(collection_infos => [map { {name => $_} } qw(a b a)]),
 main::dbs(d => ['a', 'b', 'b']),
 main::dbs('' => ['a'], default => ['b', 'a'])]
--- response_body eval
[(main::refused('empty collection info')) x 2,
 main::refused('the collection name is given twice, [default.a]'),
 main::refused('the collection name is given twice, [d.b]'),
 main::refused('the collection name is given twice, [default.a]')]



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
             db_collections => {d => [{name => ''}]}),
 main::wrong(collection_infos => [{name => 'a'}, {name => 'c' x 257}, {},
                                  {name => 'd' x 258}])]
--- response_body eval
[(main::refused('there is a collection name that is empty. ')) x 2,
 main::refused('there are some collection names whose length exceeds 256 '
               . 'characters, [' . 'c' x 257 . ']'),
 main::refused('there is a collection name that is empty. '),
 main::refused('there is a collection name that is empty. there are some '
               . 'collection names whose length exceeds 256 characters, ['
               . 'c' x 257 . ' ' . 'd' x 258 . ']')]



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
 main::wrong(task_id => 5),
 main::wrong(exclude_collections => 'a.b'),
 main::wrong(exclude_collections => ['a.b', 5]),
 main::wrong(log_gap => \1)]
--- error_code eval
[(500) x 14]
--- response_body_like eval
[map {
    CDC::failure_like(500, 'fail to decode the create request, error: ',
                      ".*'[^']*${_}[^']*'.*")
} qw(uri port connect_timeout enable_tls token collection_infos
     collection_infos name db_collections milvus_connect_param task_id
     exclude_collections exclude_collections log_gap)]



=== TEST 20: what is wrong many times is told a few times
--- request eval
[main::wrong(exclude_collections => [(5) x 16]),
 main::wrong(exclude_collections => [(5) x 5000], task_id => 5)]
--- error_code eval
[(500) x 2]
--- response_body_like eval
[map {
    CDC::failure_like(500, 'fail to decode the create request, error: ',
                      "$_->[0] error\\(s\\) decoding:\\\\n"
                      . "(?:\\\\n\\* '[^*]+){16}$_->[1]")
} [16, ''], [5001, '\\\\n\* \.\.\.']]



=== TEST 21: what is known and not supported is refused by name
--- request eval
[main::wrong(milvus_connect_param => undef, kafka_connect_param =>
             {address => '127.0.0.1:9092', topic => 'a'})]
--- response_body_like eval
[CDC::refused_like('create', '`kafka_connect_param` is not supported yet: .+')]



=== TEST 22: addresses that are none
--- request eval
[map { main::to(uri => $_) } 'localhost', 'ftp://localhost:19530',
 'http://', 'http://:19530', 'http://localhost:0', 'http://localhost:65536',
 'http://localhost:x', "http://local host:19530", 'unix:/tmp/a',
 'http://localhost:19530:1']
--- response_body_like eval
[(CDC::refused_like('create', '[^:]*uri.*')) x 10]



=== TEST 23: ids that are no names
--- request eval
[map { main::wrong(task_id => $_) } '.', '..', '../a', 'a/b', "a b", "a\n",
 'x' x 256]
--- response_body_like eval
[(CDC::refused_like('create', 'the task_id is invalid, .+')) x 7]



=== TEST 24: targets that are not allowed
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



=== TEST 25: nobody there
--- request eval
[main::to(uri => 'http://127.0.0.1:1', connect_timeout => 1),
 main::to(host => '127.0.0.1', port => 1, connect_timeout => 1)]
--- timeout: 10
--- error_code: 500
--- response_body_like eval
[(CDC::refused_like('create', 'fail to connect the milvus: rpc error: .+',
                    500)) x 2]



=== TEST 26: no answer within connect_timeout
--- request eval
[main::to(uri => "http://127.0.0.1:$main::deaf_port", connect_timeout => 1)]
--- timeout: 10
--- error_code: 500
--- response_body eval
[main::refused('fail to connect the milvus: rpc error: code = DeadlineExceeded'
               . ' desc = context deadline exceeded', 500)]



=== TEST 27: what to do when the log does not reach back
--- request eval
[main::wrong(log_gap => 'skip'), main::wrong(log_gap => 'Refuse')]
--- response_body eval
[map {
    main::refused("`log_gap` cannot be \"$_\", it should be \"refuse\" or "
                  . '"earliest"')
} qw(skip Refuse)]



=== TEST 28: what to do with a message that cannot be applied
--- request eval
[main::wrong(on_poison => 'park'), main::wrong(on_poison => 'Skip')]
--- response_body eval
[map {
    main::refused("`on_poison` cannot be \"$_\", it should be \"stop\" or "
                  . '"skip"')
} qw(park Skip)]



=== TEST 29: what is left out
--- request eval
[main::wrong(exclude_collections => ['a']),
 main::wrong(exclude_collections => ['a.b.c']),
 main::wrong(exclude_collections => ['default.']),
 main::wrong(collection_infos => [{name => 'a'}],
             exclude_collections => ['default.b']),
 main::wrong(collection_infos => [{name => 'a'}],
             exclude_collections => ['default.a']),
 main::wrong(exclude_collections => [('default.a') x 1366]),
 main::wrong(exclude_collections => [('default.a') x 1364, 'a.'])]
--- response_body_like eval
[(map { CDC::refused_like('create', '`exclude_collections` is invalid, ' . $_) }
    ('.+ should be a database, a dot and a collection, .+') x 3,
    '.+ is not among what the task follows',
    'it leaves nothing of .+default\.a.+',
    'it has 16393 bytes of at most 16383',
    '.+a\..+ should be a database, a dot and a collection, .+')]



=== TEST 30: names on the target
--- request eval
[main::wrong(main::mapping(a => 'b', c => 'b')),
 main::wrong(main::mapping(a => 'b'), collection_infos =>
             [{name => 'a'}, {name => 'b'}]),
 main::wrong(main::mapping(a => '1b')),
 main::wrong(main::mapping(a => 'b'), collection_infos => [{name => 'b'}]),
 main::wrong(name_mapping => [{source_db => 'd', target_db => 'e'}],
             collection_infos => [{name => 'a'}]),
 main::wrong(name_mapping => [map { {source_db => 'd', target_db => $_} }
                              qw(e f)]),
 main::wrong(name_mapping => [{source_db => 'd',
                               collection_mapping => {a => 'b'}}])]
--- response_body_like eval
[(map { CDC::refused_like('create', '`name_mapping` is invalid, ' . $_) }
    ('.+ would both be .+default\.b.+ on the target') x 2,
    '.+1b.+ cannot be a name on the target: .+'),
 (CDC::refused_like('create', 'the collection name in the name mapping is not '
                    . 'in the collection info, checkout it')) x 2,
 CDC::refused_like('create', '`name_mapping` is invalid, the database .+ is '
                   . 'mapped to .+ and to .+'),
 CDC::refused_like('create', '`name_mapping` is invalid, the database ."d." '
                   . 'has no ."target_db.": give it, .+')]



=== TEST 31: positions that are none
--- error_code eval
[400, 400, 500, 500, 500, 500]
--- request eval
[main::positions(p_99999999999999999999v0 => $main::position),
 main::positions(p_1v0 => $main::position, p_2v0 => $main::position),
 main::positions(p_1v0 => 'aa'), main::positions(p_1v0 => ''),
 main::positions(p_1v0 => 'EgIBAiAH'),
 main::wrong(rpc_channel_info => {position => 'EgI='})]
--- response_body_like eval
[CDC::refused_like('create', 'the vchannel is invalid, p_9+v0, err: .+'),
 CDC::refused_like('create', 'the channel position info should be in the same '
                   . 'collection'),
 (map { CDC::refused_like('create', "fail to decode the position data: p_1v0: "
                          . $_, 500) }
    'it is not base64', 'it has no msgID',
    'its msgID of 2 bytes is not one of (?:kafka|rocksmq), .+'),
 CDC::refused_like('create', 'fail to decode the rpc position data: it is not '
                   . 'a MsgPosition', 500)]



=== TEST 32: what is put into the address, and belongs elsewhere
--- request eval
[(map { main::to(uri => $_) } 'http://root:Sesame-1@localhost:19530',
  'http://localhost:19530/shop', 'http://localhost:19530?token=Sesame-1',
  'http://localhost:19530#Sesame-1'),
 main::to(host => 'http://localhost', port => 19530)]
--- response_body_like eval
[CDC::refused_like('create', '[^:]*uri.* a login belongs into ..token..'),
 (CDC::refused_like('create', '[^:]*uri.* nothing may follow the port .*'))
  x 3,
 CDC::refused_like('create', '[^:]*uri.* ..host.. is a name or an address .*')]
--- no_error_log
Sesame
