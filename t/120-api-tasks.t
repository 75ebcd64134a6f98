use CDC;
use Test::Nginx::Socket 'no_plan';

# The life of tasks: both generations of the documented requests and answers,
# byte for byte, on a real target.

our ($host, $port) = CDC::target();
our $uri = CDC::target();

# the documented answers, with our target's address in them

our $uri_list = '"milvus_connect_param":{"uri":"' . $uri
    . '","connect_timeout":10},"collection_infos":[{"name":"*"}]';
our $uri_get = '"collection_infos":[{"name":"*"}],"milvus_connect_param":'
    . '{"connect_timeout":10,"uri":"' . $uri . '"}';

our $earlier = {
    milvus_connect_param => {
        host => $host, port => $port + 0, username => 'root',
        password => 'Sesame-1', enable_tls => JSON::PP::false(),
        connect_timeout => 10,
    },
    collection_infos => [{name => '*'}],
    rpc_channel_info => {name => 'by-dev-replicate-msg'},
};

sub earlier {
    my (%over) = @_;
    return CDC::post('create', {%$earlier, %over});
}

sub listed {
    my ($id, $rest, $state, $reason) = @_;
    return CDC::success('{"tasks":[' . task_list(@_) . ']}');
}

sub task_list {
    my ($id, $rest, $state, $reason) = @_;
    return '{"task_id":"' . $id . '",' . $rest . ',"state":"' . $state . '"'
        . (defined $reason ? ',"reason":"' . $reason . '"' : '') . '}';
}

# "Task" as documented, "task" as the service and its clients have it
sub got {
    my ($id, $rest, $state) = @_;
    my $task = '{' . $rest . ',"state":"' . $state . '","task_id":"' . $id
        . '"}';
    my $progress = progress($id, $state);
    return qr/\A\{"code":200,"data":\{"Task":\Q$task\E,"task":\Q$task\E$progress/;
}

# beside what is documented: as the request of that name, for one task
sub progress {
    my ($id, $state) = @_;
    return qr/,"progress":\{"task_id":"$id","state":"$state"[^\n]*\}\}\}\n\z/;
}

# the documentation shows no paused task: "reason" may stand anywhere
sub got_paused {
    my ($id, $rest) = @_;
    my $reason = qr/(?:,"reason":"\Q$main::by_hand\E")/;
    my $task = qr/\{\Q$rest\E$reason?,"state":"Paused"$reason?/
        . qr/,"task_id":"$id"$reason?\}/;
    my $both = qr/(?=.*reason.*"task":.*reason)/;
    my $progress = progress($id, 'Paused');
    return qr/\A\{"code":200,"data":\{"Task":$both$task,"task":$task$progress/;
}

# an id that another create has
sub taken {
    my ($id, $field) = @_;

    return CDC::refused('create', "there is a task $id already, which was "
        . "created with another `$field`: delete it first, or take another "
        . '`task_id`', 409);
}

our $by_hand = 'manually pause through http interface';

timeout(20);
master_on();
workers(2);
add_block_preprocessor(CDC::preprocessor());
run_tests();

__DATA__

=== TEST 1: the current generation, from create to delete
--- request eval
[CDC::create(task_id => 'one'),
 CDC::post('list'),
 CDC::post('get', {task_id => 'one'}),
 CDC::post('pause', {task_id => 'one'}),
 CDC::post('get', {task_id => 'one'}),
 CDC::post('list'),
 CDC::post('resume', {task_id => 'one'}),
 CDC::post('get', {task_id => 'one'}),
 CDC::post('delete', {task_id => 'one'}),
 CDC::post('list'),
 CDC::post('get', {task_id => 'one'})]
--- error_code eval
[(200) x 10, 400]
--- response_body eval
[CDC::created('one'),
 main::listed('one', $main::uri_list, 'Running'),
 main::got('one', $main::uri_get, 'Running'),
 CDC::success(),
 main::got_paused('one', $main::uri_get),
 main::listed('one', $main::uri_list, 'Paused', $main::by_hand),
 CDC::success(),
 main::got('one', $main::uri_get, 'Running'),
 CDC::success(),
 CDC::empty_list(),
 CDC::refused('get', 'not found: [one]')]
--- no_error_log
[error]



=== TEST 2: the earlier generation
--- request eval
[main::earlier(task_id => 'two'), CDC::post('list'),
 CDC::post('get', {task_id => 'two'}), CDC::post('delete', {task_id => 'two'}),
 CDC::post('list')]
--- response_body eval
[CDC::created('two'),
 main::listed('two', '"milvus_connect_param":{"host":"' . $main::host
     . '","port":' . $main::port . ',"connect_timeout":10},'
     . '"collection_infos":[{"name":"*"}]', 'Running'),
 main::got('two', '"collection_infos":[{"name":"*"}],'
     . '"milvus_connect_param":{"connect_timeout":10,"enable_tls":false,'
     . '"host":"' . $main::host . '","port":' . $main::port . '}', 'Running'),
 CDC::success(), CDC::empty_list()]
--- no_error_log
Sesame



=== TEST 3: an id of 32 digits
--- request eval
[CDC::create()]
--- response_body eval
[CDC::created()]



=== TEST 4: the same id again changes nothing, and no other create is it
--- request eval
[CDC::create(task_id => 'one'),
 CDC::post('pause', {task_id => 'one'}),
 CDC::create(task_id => 'one'),
 main::earlier(task_id => 'one'),
 CDC::create(task_id => 'one', collection_infos => [{name => 'other'}]),
 CDC::create(task_id => 'one', exclude_collections => ['default.a']),
 CDC::post('get', {task_id => 'one'})]
--- error_code eval
[200, 200, 200, 409, 409, 409, 200]
--- response_body eval
[CDC::created('one'), CDC::success(), CDC::created('one'),
 main::taken('one', 'milvus_connect_param'),
 main::taken('one', 'collection_infos'),
 main::taken('one', 'exclude_collections'),
 main::got_paused('one', $main::uri_get)]



=== TEST 5: the same selection twice
--- request eval
[CDC::create(task_id => 'one'), CDC::create(), CDC::create(task_id => 'two'),
 CDC::post('list')]
--- error_code eval
[200, 400, 400, 200]
--- response_body_like eval
['.', (qr/error: the collection name is duplicate with existing task, \[/) x 2,
 qr/"tasks":\[\{[^\[]*\[[^\]]*\],"state":"Running"\}\]\}\}/]



=== TEST 6: a part of what another task has
--- request eval
[CDC::create(task_id => 'one'),
 CDC::create(collection_infos => [{name => 'a'}]),
 CDC::create(collection_infos => undef,
             db_collections => {d => [{name => 'a'}]})]
--- error_code eval
[200, 400, 400]
--- response_body_like eval
['.', '\[default\.a\]', '\[d\.a\]']



=== TEST 7: tasks of one target, each with its own collections
--- request eval
[CDC::create(task_id => 'one', collection_infos => [{name => 'a'}]),
 CDC::create(task_id => 'two', collection_infos => [{name => 'b'},
                                                    {name => 'c'}]),
 CDC::create(collection_infos => [{name => 'c'}, {name => 'd'}]),
 CDC::create(task_id => 'all'),
 CDC::create(collection_infos => [{name => 'd'}]),
 CDC::create(collection_infos => undef,
             db_collections => {'*' => [{name => '*'}]}),
 CDC::post('delete', {task_id => 'two'}),
 CDC::create(task_id => 'three', collection_infos => [{name => 'c'}]),
 CDC::post('list')]
--- error_code eval
[200, 200, 400, 200, 400, 400, 200, 200, 200]
--- response_body_like eval
['one', 'two', 'task, \[default\.c\]', 'all', 'task, \[default\.d\]',
 'task, \[\*\.\*\]', '.', 'three',
 qr/"one".*\[\{"name":"a"\}\].*"all".*\[\{"name":"\*"\}\].*"three"/]
--- no_error_log
[alert]



=== TEST 8: selections by name are kept as they were given
--- request eval
[CDC::create(task_id => 'one', collection_infos => [{name => 'a'}]),
 CDC::post('list'), CDC::post('delete', {task_id => 'one'}),
 CDC::create(task_id => 'two', collection_infos => undef,
             db_collections => {d => [{name => 'a'}]}),
 CDC::post('list'), CDC::post('delete', {task_id => 'two'}),
 CDC::create(task_id => 'three', collection_infos => undef,
             db_collections => {'*' => [{name => '*'}]}),
 CDC::post('list')]
--- response_body_like eval
['.', '"collection_infos":\[\{"name":"a"\}\]', '.',
 '.', '"db_collections":\{"d":\[\{"name":"a"\}\]\}', '.',
 '.', '"db_collections":\{"\*":\[\{"name":"\*"\}\]\}']



=== TEST 9: pause and resume twice
--- request eval
[CDC::create(task_id => 'one'),
 CDC::post('resume', {task_id => 'one'}),
 CDC::post('pause', {task_id => 'one'}),
 CDC::post('pause', {task_id => 'one'}),
 CDC::post('resume', {task_id => 'one'}),
 CDC::post('resume', {task_id => 'one'})]
--- error_code eval
[200, 400, 200, 400, 200, 400]
--- response_body eval
[CDC::created('one'),
 CDC::refused('resume', 'the task has running, task_id: one'),
 CDC::success(),
 CDC::refused('pause', 'the task has paused, task_id: one'),
 CDC::success(),
 CDC::refused('resume', 'the task has running, task_id: one')]



=== TEST 10: tasks that do not exist
--- request eval
[(map { CDC::post($_, {task_id => 'no'}) } qw(get pause resume delete)),
 CDC::post('delete', {task_id => 'no', ignore_not_found => JSON::PP::true()}),
 CDC::post('delete', {task_id => 'no', ignore_not_found => JSON::PP::false()})]
--- error_code eval
[(400) x 4, 200, 400]
--- response_body eval
[CDC::refused('get', 'not found: [no]'),
 (map { CDC::refused($_, 'not found the task, task_id: no') }
      qw(pause resume delete)),
 CDC::success(),
 CDC::refused('delete', 'not found the task, task_id: no')]



=== TEST 11: no id
--- request eval
[CDC::post('get'), CDC::post('get', {task_id => ''}),
 CDC::post('pause', {task_id => ''}), CDC::post('delete', {})]
--- error_code eval
[(400) x 4]
--- response_body_like eval
[('task_id is empty') x 2, ('not found the task, task_id: "|task_id is empty')
 x 2]



=== TEST 12: the number of tasks
--- http_config eval
CDC::http_config() . 'milvus_cdc_max_tasks 1;'
--- request eval
[CDC::create(task_id => 'one'),
 CDC::create(milvus_connect_param => {uri => "http://localhost:$main::port"}),
 CDC::create(task_id => 'one'),
 CDC::post('delete', {task_id => 'one'}),
 CDC::create(task_id => 'two'),
 CDC::post('list')]
--- error_code eval
[200, 500, 200, 200, 200, 200]
--- response_body_like eval
['one', '^\{"code":500,"message":"fail to handle the create request, error: '
 . 'the task num has reach the limit, 1"\}', 'one', '200', 'two',
 '"tasks":\[\{"task_id":"two"']



=== TEST 13: secrets stay inside
--- request eval
[main::earlier(task_id => 'one'), CDC::post('list'),
 CDC::post('get', {task_id => 'one'}), "GET /cdc/health", "GET /cdc/metrics",
 CDC::post('delete', {task_id => 'one'}),
 CDC::create(task_id => 'two', milvus_connect_param =>
             {uri => $main::uri, token => 'root:Sesame-2'}),
 CDC::post('list'), CDC::post('get', {task_id => 'two'}), "GET /cdc/metrics",
 CDC::create(task_id => 'three', milvus_connect_param =>
             {uri => 'http://127.0.0.1:1', token => 'root:Sesame-3',
              connect_timeout => 1})]
--- error_code eval
[(200) x 10, 500]
--- response_body_unlike eval
[('Sesame|token|password|username|root:') x 11]
--- no_error_log
Sesame



=== TEST 14: the source is no target for itself
--- request eval
[CDC::create(milvus_connect_param => {uri => $ENV{TEST_CDC_SOURCE},
                                      connect_timeout => 5}),
 CDC::post('list')]
--- error_code eval
[400, 200]
--- response_body_like eval
['error: the target \S+ (?:is the source cluster itself|refuses replicated)',
 '"tasks":\[\]']



=== TEST 15: fields that mean nothing here do no harm
--- request eval
[CDC::create(task_id => 'one', buffer_config => {period => 1, size => 1},
             rpc_channel_info => {name => ''}, name_mapping => [],
             extra_info => {}, collection_infos =>
             [{name => '*', use_start_position => JSON::PP::true()}])]
--- response_body eval
[CDC::created('one')]



=== TEST 16: a task whose fields are in another case
--- request eval
[CDC::raw('{"request_type":"create","request_data":{"TASK_ID":"one",'
          . '"Milvus_Connect_Param":{"URI":"' . $main::uri . '",'
          . '"Connect_Timeout":10},"Collection_Infos":[{"Name":"*"}]}}'),
 CDC::post('list')]
--- response_body eval
[CDC::created('one'), main::listed('one', $main::uri_list, 'Running')]



=== TEST 17: position and maintenance
--- request eval
[CDC::post('position', {task_id => 'no'}), CDC::post('position'),
 CDC::post('maintenance', {operation => 'no_such_operation'}),
 CDC::post('maintenance', {operation => 'set_log_level', params => {}})]
--- error_code_like eval
['^[24]00$', '^[24]00$', '^200$', '^200$']
--- response_body_like eval
[('"positions"|not supported yet') x 2,
 '"State":"unsupported operation: no_such_operation"',
 '"State":"log_level is required"']



=== TEST 18: tasks in the order of their making
--- request eval
[CDC::create(task_id => 'z'),
 CDC::create(task_id => 'a', milvus_connect_param =>
             {uri => "http://localhost:$main::port", connect_timeout => 10}),
 CDC::post('list')]
--- error_code_like eval
['200', '200|400', '200']
--- response_body_like eval
['z', '"task_id":"a"|is already fed by', '^\{"code":200,"data":\{"tasks":\[\{'
 . '"task_id":"z"']



=== TEST 19: targets that are allowed
--- http_config eval
CDC::http_config() . "milvus_cdc_allow_target $main::host;"
--- request eval
[CDC::create(task_id => 'one'), CDC::post('delete', {task_id => 'one'}),
 main::earlier(task_id => 'two')]
--- response_body eval
[CDC::created('one'), CDC::success(), CDC::created('two')]



=== TEST 20: a target that is allowed with its port
--- http_config eval
CDC::http_config() . "milvus_cdc_allow_target $main::host:$main::port a.b:1;"
--- request eval
[CDC::create(task_id => 'one')]
--- response_body eval
[CDC::created('one')]



=== TEST 21: several names and databases are shown as they were given
--- request eval
[CDC::create(task_id => 'one', collection_infos =>
             [{name => 'a'}, {name => 'b', use_start_position =>
                              JSON::PP::true()}], log_gap => 'earliest'),
 CDC::post('list'), CDC::post('get', {task_id => 'one'}),
 CDC::post('delete', {task_id => 'one'}),
 CDC::create(task_id => 'two', collection_infos => undef, db_collections =>
             {d => [{name => 'a'}, {name => 'b'}], e => [{name => '*'}]}),
 CDC::post('list')]
--- response_body_like eval
['one',
 '"collection_infos":\[\{"name":"a"\},\{"name":"b",'
 . '"use_start_position":true\}\],"log_gap":"earliest","state":"Running"\}',
 '"task":\{"collection_infos":\[\{"name":"a"\},\{"name":"b",'
 . '"use_start_position":true\}\],"log_gap":"earliest",'
 . '"milvus_connect_param":', '.', 'two',
 '"d":\[\{"name":"a"\},\{"name":"b"\}\]']



=== TEST 22: what the existing service hides is hidden
--- request eval
[CDC::create(task_id => 'one', collection_infos => [{name => 'a'}],
             name_mapping => [{source_db => 'default', target_db => 'other',
                               collection_mapping => {a => 'hidden'}}],
             disable_auto_start => JSON::PP::true(),
             rpc_channel_info => {name => 'by-dev-replicate-msg', position =>
                 'ChZieS1kZXYtcm9vdGNvb3JkLWRtbF8wEghWJwAAAAAAAA=='},
             extra_info => {enable_user_role => JSON::PP::true()}),
 CDC::create(task_id => 'two', exclude_collections => ['other.hidden']),
 CDC::post('list'), CDC::post('get', {task_id => 'one'}),
 CDC::post('get', {task_id => 'two'})]
--- response_body_unlike eval
[('hidden|mapping|rpc|position|extra|role|exclude|auto_start') x 5]
--- error_code eval
[(200) x 5]



=== TEST 23: no two tasks write one collection of the target
--- request eval
[CDC::create(task_id => 'one', collection_infos => [{name => 'a'}],
             name_mapping => [{source_db => '', target_db => '',
                               collection_mapping => {a => 'b'}}]),
 CDC::create(collection_infos => [{name => 'b'}]),
 CDC::create(),
 CDC::create(task_id => 'two', exclude_collections => ['default.b']),
 CDC::post('list')]
--- error_code eval
[200, 400, 400, 200, 200]
--- response_body_like eval
['one', ('is already fed by the task one with default\.b: leave that out') x 2,
 'two', '"one".*"two"']



=== TEST 24: users and roles by one task of a target
--- request eval
[CDC::create(task_id => 'one', collection_infos => [{name => 'a'}],
             extra_info => {enable_user_role => JSON::PP::true()}),
 CDC::create(collection_infos => [{name => 'b'}],
             extra_info => {enable_user_role => JSON::PP::true()}),
 CDC::create(task_id => 'two', collection_infos => [{name => 'b'}],
             extra_info => {enable_user_role => JSON::PP::false()})]
--- error_code eval
[200, 400, 200]
--- response_body_like eval
['one', 'error: the enable user role param is duplicate"', 'two']



=== TEST 25: fields that are not known are ignored, and named, without values
--- request eval
[CDC::create(task_id => 'one', exclude_collection => ['default.a'],
             milvus_connect_param => {uri => scalar(CDC::target()),
                                      tokn => 'root:Sesame-1'},
             collection_infos => [{name => 'a'}, {name => 'b', n => {}}]),
 CDC::create(task_id => 'one', milvus_connect_param =>
             {uri => scalar(CDC::target())},
             collection_infos => [{name => 'a'}, {name => 'b'}]),
 CDC::create(task_id => 'two', collection_infos => [{name => 'c'}],
             map { ("no$_" => $_) } 1 .. 5000),
 CDC::create(task_id => 'two', task_i => 'x') =~ s/"create"/"check"/r,
 CDC::post('list')]
--- response_body_like eval
['\A\{"code":200,"data":\{"task_id":"one","warnings":\['
 . '(?=.*"the field ..exclude_collection.. is not known and was ignored:'
 . '[^"]* exclude_collections,)'
 . '(?=.*"the field ..milvus_connect_param.tokn.. is [^"]* token,)'
 . '(?=.*"the field ..collection_infos.1..n.. is [^"]* name,)'
 . '(?!.*Sesame)',
 '\A\{"code":200,"data":\{"task_id":"one"(?!.*the field)',
 '"warnings":\[(?:"the field ..no\d+.. is [^"]*",?){8}(?!"the field)',
 '\{"check":"request.fields","ok":false,"level":"warning","text":'
 . '"the field ..task_i.. is not known and is ignored","cure":"[^"]*task_id"',
 '"one".*"two"']
--- no_error_log
Sesame
