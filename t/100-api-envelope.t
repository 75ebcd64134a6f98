use CDC;
use Test::Nginx::Socket 'no_plan';

use File::Basename qw(dirname);

# What holds for every request: methods, bodies, the envelope and its errors.

# the rows of the table of request types
sub types {
    my $file = dirname(__FILE__) . '/../src/http/ngx_http_milvus_cdc_api.c';
    open my $fh, '<', $file or die "$file: $!";
    my @types = join('', <$fh>) =~ /^    \{ "(\w+)", ngx_http_milvus_cdc_/mg;
    die "no types in $file" if @types < 13;
    return @types;
}

master_on();
workers(2);
add_block_preprocessor(CDC::preprocessor());
run_tests();

__DATA__

=== TEST 1: list of nothing
--- request eval
["POST /cdc\n{\"request_type\":\"list\"}",
 CDC::post('list'), CDC::post('list', {}),
 CDC::raw('{"request_type":"list","request_data":null}')]
--- response_headers eval
[("Content-Type: application/json") x 4]
--- response_body eval
[(CDC::empty_list()) x 4]
--- no_error_log
[error]



=== TEST 2: methods
--- request eval
["GET /cdc", "PUT /cdc\n{}", "DELETE /cdc", "PATCH /cdc\n{}", "OPTIONS /cdc"]
--- error_code eval
[(405) x 5]
--- response_headers eval
[("Allow: POST\nContent-Type: application/json") x 5]
--- response_body eval
[(CDC::failure(405, "only support the POST method")) x 5]



=== TEST 3: HEAD has no body
--- request
HEAD /cdc
--- error_code: 405
--- response_headers
Allow: POST
--- response_body:



=== TEST 4: the content type does not matter
--- request eval
[(CDC::post('list')) x 4]
--- more_headers eval
["", "Content-Type: application/json; charset=utf-8",
 "Content-Type: text/plain",
 "Content-Type: application/x-www-form-urlencoded"]
--- response_body eval
[(CDC::empty_list()) x 4]



=== TEST 5: bodies that are no JSON
--- request eval
[map { CDC::raw($_) } '{', 'hello', '{"request_type":"list"',
 '{"request_type":"list"}}', "{'request_type':'list'}",
 '{"request_type":"list",}', "\xff\xfe", '{"request_type":"\ud800"}']
--- error_code eval
[(500) x 8]
--- response_body_like eval
[(CDC::failure_like(500, 'fail to unmarshal the request, error: ', '\S.*'))
 x 8]



=== TEST 6: no body at all
--- request
POST /cdc
--- error_code: 500
--- response_body_like eval
qr/\A\{"code":500,"message":"fail to unmarshal the request, error: \S/



=== TEST 7: JSON that is no object
--- request eval
[map { CDC::raw($_) } '[]', '"list"', '5', 'null', 'true',
 '[{"request_type":"list"}]']
--- error_code_like eval
[('^[45]00$') x 6]
--- response_body_like eval
[(CDC::failure_like('[45]00', '', '(?:fail to unmarshal the request, error: \S'
                    . '|invalid .request_type. param).*')) x 6]



=== TEST 8: request types that do not exist
--- request eval
[map { CDC::raw($_) } '{}', '{"request_type":""}',
 '{"request_type":"creat"}', '{"request_type":"LIST"}',
 '{"request_data":{}}', '{"request_type":"list "}']
--- error_code eval
[(400) x 6]
--- response_body_like eval
[(CDC::failure_like(400, "invalid 'request_type' param, can be set [",
                    '[a-z_ ]+\]')) x 6]



=== TEST 9: the message names all the types there are
--- request eval
[map { CDC::post('x') } main::types()]
--- error_code eval
[map { 400 } main::types()]
--- response_body_like eval
[map { qr/[\[ ]$_[\] ]/ } main::types()]



=== TEST 10: types of the envelope's members
--- request eval
[map { CDC::raw($_) } '{"request_type":5}', '{"request_type":["list"]}',
 '{"request_type":"list","request_data":[]}',
 '{"request_type":"list","request_data":"x"}',
 '{"request_type":"get","request_data":5}']
--- error_code_like eval
[('^[45]00$') x 5]
--- response_body_like eval
[(qr/\A\{"code":[45]00,"message":"(?:fail|invalid) /) x 5]



=== TEST 11: a number where a string belongs
--- request eval
[map { CDC::post($_, {task_id => 5}) } qw(get pause resume delete)]
--- error_code eval
[(500) x 4]
--- response_body_like eval
[map {
    CDC::failure_like(500, "fail to decode the $_ request, error: ",
                      ".*'task_id'.*string.*")
} qw(get pause resume delete)]



=== TEST 12: names in any case, unknown names, both as the original
--- request eval
[CDC::raw('{"request_type":"get","request_data":{"TASK_ID":"abc"}}'),
 CDC::raw('{"request_type":"get","request_data":{"Task_Id":"abc","x":[1]}}'),
 CDC::raw('{"request_type":"list","no_such_member":{"a":1}}')]
--- error_code eval
[400, 400, 200]
--- response_body eval
[(CDC::refused('get', 'not found: [abc]')) x 2, CDC::empty_list()]



=== TEST 13: a body that is too large
--- config
location /cdc { client_max_body_size 1k; milvus_cdc main; }
--- request eval
[CDC::raw('{"request_type":"list","x":"' . 'y' x 1024 . '"}'),
 CDC::post('list')]
--- error_code eval
[413, 200]
--- response_body_like eval
[qr/./, qr/"tasks":\[\]/]



=== TEST 14: a body is kept in memory, whatever is set
--- config
location /cdc { client_body_buffer_size 1k; client_body_in_file_only on;
                client_max_body_size 64m; milvus_cdc main; }
--- request eval
[CDC::raw('{"request_type":"list","x":"' . 'y' x 300000 . '"}'),
 CDC::post('list'),
 CDC::raw('{"request_type":"list","x":"' . 'y' x 3000000 . '"}'),
 CDC::post('list')]
--- error_code eval
[200, 200, 413, 200]
--- response_body eval
[(CDC::empty_list()) x 2,
 CDC::failure(413, 'the request body is larger than 1 MB'),
 CDC::empty_list()]
--- no_error_log
temporary file



=== TEST 15: a body in pieces
--- request eval
[[CDC::raw('{"request_'), {value => 'type":', delay_before => 0.1},
  {value => '"list"}', delay_before => 0.1}]]
--- response_body eval
CDC::empty_list()



=== TEST 16: chunked
--- raw_request eval
"POST /cdc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Transfer-Encoding: chunked\r\n\r\n"
. "10\r\n{\"request_type\":\r\n7\r\n\"list\"}\r\n0\r\n\r\n"
--- response_body eval
CDC::empty_list()



=== TEST 17: several requests on one connection
--- pipelined_requests eval
[CDC::post('list'), CDC::post('x'), "GET /cdc", CDC::post('list')]
--- error_code eval
[200, 400, 405, 200]
--- response_body_like eval
['"tasks":\[\]', 'request_type', 'POST method', '"tasks":\[\]']



=== TEST 18: the habit of the original: always 200
--- config
location /cdc { milvus_cdc_http_status compat; milvus_cdc main; }
--- request eval
[CDC::post('x'), CDC::raw('{'), "GET /cdc", CDC::post('get', {task_id => 'a'}),
 CDC::post('list')]
--- response_body_like eval
['^\{"code":400,', '^\{"code":500,', '^\{"code":405,', '^\{"code":400,',
 '^\{"code":200,']
--- response_headers eval
[("Content-Type: application/json") x 5]



=== TEST 19: deep nesting does not hurt
--- request eval
[CDC::raw('[' x 100000), CDC::raw('{"a":' x 5000 . '1' . '}' x 5000),
 CDC::post('list')]
--- error_code_like eval
['^500$', '^[45]00$', '^200$']



=== TEST 20: a member that is given twice
--- request
POST /cdc
{"request_type":"create","request_type":"list"}
--- error_code_like: ^(?:200|[45]00)$
--- no_error_log
[alert]



=== TEST 21: a NUL and other odd characters in an id
--- request eval
[CDC::raw('{"request_type":"get","request_data":{"task_id":"a\u0000b"}}'),
 CDC::raw('{"request_type":"get","request_data":{"task_id":"a\"\\\\\nb"}}'),
 CDC::raw('{"request_type":"get","request_data":{"task_id":"\u00e9"}}'),
 CDC::post('get', {task_id => 'x' x 5000})]
--- error_code_like eval
[('^[45]00$') x 4]
--- response_body_like eval
[(qr/\A\{"code":[45]00,"message":".*"\}\n\z/s) x 4]



=== TEST 22: a path below the location is the same
--- request eval
[CDC::post('list', undef, '/cdc'), CDC::post('list', undef, '/cdc?a=b')]
--- response_body eval
[(CDC::empty_list()) x 2]



=== TEST 23: an "if" that is true, with what needs the source
--- config
location /cdc { set $a 0; if ($http_x_a) { set $a 1; } milvus_cdc main; }
--- more_headers
X-A: 1
--- request eval
[CDC::post('pause', {task_id => 'a'}),
 CDC::post('create', {milvus_connect_param => {uri => 'http://127.0.0.1:1'},
                      collection_infos => [{name => '*'}],
                      rpc_channel_info => {name => 'other'}})]
--- error_code eval
[400, 400]
--- response_body_like eval
['not found', 'the rpc channel is invalid']
--- no_error_log
[alert]



=== TEST 24: limit_except: the others are answered here, too
--- config
location /cdc { limit_except GET { allow 127.0.0.1; deny all; }
                milvus_cdc main; }
location /shut { limit_except GET { deny all; } milvus_cdc main; }
location = /health { limit_except POST { allow 127.0.0.1; deny all; }
                     milvus_cdc_health; }
location /ui/ { if ($http_host) { set $a 1; }
                limit_except POST { allow 127.0.0.1; deny all; }
                milvus_cdc_console /cdc; }
--- request eval
[CDC::post('pause', {task_id => 'a'}), "GET /cdc",
 CDC::post('list', undef, '/shut'), "GET /health", "GET /ui/"]
--- error_code eval
[400, 405, 403, 200, 200]
--- response_body_like eval
['not found', 'POST method', '403 Forbidden', '"status":', 'data-api="/cdc"']
--- no_error_log
[alert]



=== TEST 25: chunks of one byte
--- config
location /cdc { client_body_buffer_size 1k; client_max_body_size 64m;
                milvus_cdc main; }
--- raw_request eval
"POST /cdc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Transfer-Encoding: chunked\r\n\r\n"
. join('', map { "1\r\n$_\r\n" } split //, '{"request_type":"list","x":"'
                                           . 'y' x 20000 . '"}')
. "0\r\n\r\n"
--- response_body eval
CDC::empty_list()
--- no_error_log
temporary file
[alert]



=== TEST 26: chunks that are too much together
--- config
location /cdc { client_max_body_size 0; milvus_cdc main; }
--- raw_request eval
"POST /cdc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Transfer-Encoding: chunked\r\n\r\n"
. ("10000\r\n" . 'y' x 65536 . "\r\n") x 20 . "0\r\n\r\n"
--- error_code: 413
--- response_body eval
CDC::failure(413, 'the request body is larger than 1 MB')
--- no_error_log
temporary file
[alert]
