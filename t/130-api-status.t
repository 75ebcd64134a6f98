use CDC;
use Test::Nginx::Socket 'no_plan';

# Health and metrics: what they say, in a form that Prometheus takes.

timeout(20);
master_on();
workers(2);
add_block_preprocessor(CDC::preprocessor());

# every answer of a metrics location is checked against the text format
add_response_body_check(sub {
    my ($block, $body, $index) = @_;

    return if !defined $body || $body !~ /^# TYPE/m;

    my $wrong = promtool($body);
    main::is($wrong, '', $block->name . " - metrics are well-formed");
});

sub promtool {
    my ($body) = @_;
    my (%type, %help, %seen, $family);

    return "no newline at the end" if $body !~ /\n\z/;

    for my $line (split /\n/, $body) {
        if ($line =~ /^# HELP ([a-z_]+) \S/) {
            return "HELP twice: $1" if $help{$1}++;

        } elsif ($line =~ /^# TYPE ([a-z_]+) (counter|gauge)$/) {
            return "TYPE twice: $1" if $type{$1};
            return "TYPE without HELP: $1" if !$help{$1};
            return "counter without _total: $1"
                if $2 eq 'counter' && $1 !~ /_total$/;
            ($family, $type{$1}) = ($1, $2);

        } elsif ($line =~ /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})?
                            \ (-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)$/x) {
            return "sample out of its family: $line"
                if !defined $family || $1 ne $family;
            return "sample twice: $line" if $seen{"$1 " . ($2 // '')}++;
            return "negative counter: $line"
                if $type{$1} eq 'counter' && $3 < 0;
            return "no prefix: $line" if $1 !~ /^(?:nginx_)?milvus_cdc_/;

        } else {
            return "not understood: $line";
        }
    }

    return keys %seen ? '' : 'no sample';
}

run_tests();

__DATA__

=== TEST 1: nothing to do is healthy
--- request eval
["GET /cdc/health", "HEAD /cdc/health"]
--- response_headers eval
[("Content-Type: application/json") x 2]
--- response_body_like eval
['"status"\s*:\s*"ok"', '^$']



=== TEST 2: metrics without a task
--- request eval
["GET /cdc/metrics", "HEAD /cdc/metrics"]
--- response_headers_like eval
[("Content-Type: text/plain.*") x 2]
--- response_body_like eval
['milvus_cdc_task_num\{task_state="[Rr]unning"\} 0\n', '^$']



=== TEST 3: other methods
--- request eval
["POST /cdc/health\n{}", "POST /cdc/metrics\n{}", "DELETE /cdc/metrics"]
--- error_code eval
[(405) x 3]
--- response_headers_like eval
[("Allow: GET, ?HEAD") x 3]



=== TEST 4: a running task, a paused one
--- request eval
[CDC::create(task_id => 'one'), "GET /cdc/health", "GET /cdc/metrics",
 CDC::post('pause', {task_id => 'one'}), "GET /cdc/health",
 "GET /cdc/metrics", CDC::post('delete', {task_id => 'one'}),
 "GET /cdc/metrics"]
--- response_body_like eval
['one', '"status"\s*:\s*"ok"',
 'task_num\{task_state="[Rr]unning"\} 1\n.*task_state\{task_id="one"\} 1\n',
 '200', '"status"\s*:\s*"ok"',
 'task_num\{task_state="[Pp]aused"\} 1\n.*task_state\{task_id="one"\} 2\n',
 '200', 'task_num\{task_state="[Pp]aused"\} 0\n']



=== TEST 5: names of every metric that was asked for
--- request eval
[CDC::create(task_id => 'one'), ("GET /cdc/metrics") x 9]
--- response_body_like eval
['one', map { "\nmilvus_cdc_(?:[a-z]+_)*$_(?:_[a-z]+)*\\{[^}]*task_id=\"one\"" }
 qw(lag rows_out bytes_out retries restarts rows_in bytes_in requests
    operations)]



=== TEST 6: a deleted task leaves no series
--- request eval
[CDC::create(task_id => 'one'), CDC::post('delete', {task_id => 'one'}),
 "GET /cdc/metrics"]
--- response_body_unlike eval
['zzz', 'zzz', 'task_id="one"']
