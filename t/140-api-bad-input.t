use CDC;
use Test::Nginx::Socket 'no_plan';

# Every kind of bad input, beside a task that must not notice: after all of
# them the list is what it was before, in any number of workers.

our @bad = (
    ['no JSON'                 => 500, CDC::raw('request_type=list')],
    ['half a JSON'             => 500, CDC::raw('{"request_type":"del')],
    ['two JSONs'               => 500,
        CDC::raw('{"request_type":"list"}{"request_type":"list"}')],
    ['a byte order mark'       => 500,
        CDC::raw("\xef\xbb\xbf{\"request_type\":\"list\"}")],
    ['broken UTF-8'            => 500, CDC::raw("{\"request_type\":\"\xc3\"}")],
    ['brackets without end'    => 500, CDC::raw('[' x 5000)],
    ['an array'                => '[45]00', CDC::raw('[1,2]')],
    ['a type of request that is none' => 400, CDC::post('drop')],
    ['no type of request'      => 400, CDC::raw('{}')],
    ['a type of request that is a number' => '[45]00',
        CDC::raw('{"request_type":1}')],
    ['data that is a string'   => '[45]00',
        CDC::raw('{"request_type":"delete","request_data":"one"}')],
    ['an id that is a number'  => 500, CDC::post('delete', {task_id => 1})],
    ['an id that is a list'    => 500, CDC::post('pause', {task_id => ['one']})],
    ['an id of another task'   => 400, CDC::post('delete', {task_id => 'two'})],
    ['an id in another case'   => 400, CDC::post('delete', {task_id => 'ONE'})],
    ['an id with a path'       => 400,
        CDC::post('delete', {task_id => '../tasks/one'})],
    ['an id with a NUL'        => '[45]00',
        CDC::raw('{"request_type":"delete","request_data":'
                 . '{"task_id":"one\u0000"}}')],
    ['a very long id'          => 400, CDC::post('pause',
        {task_id => 'one' x 10000})],
    ['a flag that is a string' => 500, CDC::post('delete',
        {task_id => 'one', ignore_not_found => 'true'})],
    ['a create of nothing'     => 400, CDC::post('create', {})],
    ['a create without collections' => 400,
        CDC::create(collection_infos => undef)],
    ['a uri that is none'      => 400,
        CDC::create(milvus_connect_param => {uri => 'a b'})],
    ['a negative timeout'      => 400, CDC::create(milvus_connect_param =>
        {uri => scalar(CDC::target()), connect_timeout => -5})],
    ['a huge timeout'          => '[45]00', CDC::create(milvus_connect_param =>
        {uri => scalar(CDC::target()), connect_timeout => 1e30})],
    ['a port out of range'     => 400, CDC::create(milvus_connect_param =>
        {host => '127.0.0.1', port => 99999})],
    ['a password alone'        => 400, CDC::create(milvus_connect_param =>
        {uri => scalar(CDC::target()), password => 'x'})],
    ['a selection that is taken' => 400, CDC::create()],
    ['a foreign replicate channel' => 400,
        CDC::create(rpc_channel_info => {name => 'x'})],
    ['a GET'                   => 405, 'GET /cdc?request_type=delete'],
    ['a PUT'                   => 405, CDC::post('delete',
        {task_id => 'one'}) =~ s/^POST/PUT/r],
    ['resume of what runs'     => 400, CDC::post('resume', {task_id => 'one'})],
);

our $list = '^\{"code":200,"data":\{"tasks":\[\{"task_id":"one",[^\[]*'
    . '\[\{"name":"\*"\}\],"state":"Running"\}\]\}\}\n$';

timeout(20);
master_on();
workers(2);
add_block_preprocessor(CDC::preprocessor());
run_tests();

__DATA__

=== TEST 1: every kind of bad input changes nothing
--- request eval
[CDC::create(task_id => 'one'), CDC::post('list'),
 (map { $_->[2] } @main::bad),
 CDC::post('list'), CDC::post('get', {task_id => 'one'})]
--- error_code_like eval
[(200) x 2, (map { "^$_->[1]\$" } @main::bad), (200) x 2]
--- response_body_like eval
['one', $main::list,
 (map { '^\{"code":' . $_->[1] . ',"message":"[^\n]+"\}\n$' } @main::bad),
 $main::list, '"state":"Running"']
--- no_error_log eval
['[alert]', '[crit]', qr/\[error\].*milvus_cdc/]



=== TEST 2: requests that end too early
--- raw_request eval
"POST /cdc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Content-Length: 100\r\n\r\n{\"request_type\":"
--- timeout: 200ms
--- abort
--- ignore_response
--- no_error_log
[alert]
