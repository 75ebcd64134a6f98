use CDC;
use Test::Nginx::Socket 'no_plan';

# master_process off: the one process supervises the helpers as well.

master_off();
add_block_preprocessor(CDC::preprocessor());
run_tests();

__DATA__

=== TEST 1: list, errors
--- request eval
[CDC::post('list'), CDC::post('pause', {task_id => 'a'}), "GET /cdc",
 "GET /cdc/health"]
--- error_code eval
[200, 400, 405, 200]
--- response_body_like eval
['"tasks":\[\]', 'not found the task, task_id: a', 'POST method', 'ok']
--- no_error_log
[error]



=== TEST 2: a task
--- request eval
[CDC::create(task_id => 'one'), CDC::post('get', {task_id => 'one'}),
 CDC::post('delete', {task_id => 'one'}), CDC::post('list')]
--- timeout: 20
--- response_body_like eval
['"task_id":"one"', '"state":"(?:Initial|Running)"', '\{"code":200', '\[\]']
