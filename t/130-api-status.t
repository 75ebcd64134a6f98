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
    my $labels = qr/(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*/;
    my $number = qr/-?\d+(?:\.\d+)?(?:e[-+]?\d+)?/;

    return "no newline at the end" if $body !~ /\n\z/;

    for my $line (split /\n/, $body) {
        if ($line =~ /^# HELP ([a-z_]+) \S/) {
            return "HELP twice: $1" if $help{$1}++;

        } elsif ($line =~ /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/) {
            my ($name, $kind) = ($1, $2);

            return "TYPE twice: $name" if $type{$name};
            return "TYPE without HELP: $name" if !$help{$name};
            return "counter without _total: $name"
                if $kind eq 'counter' && $name !~ /_total$/;
            ($family, $type{$name}) = ($name, $kind);

        } elsif ($line =~ /^([a-z_]+)(?:\{($labels)\})? ($number)$/) {
            my ($name, $label, $value) = ($1, $2 // '', $3);

            $name =~ s/_(?:bucket|sum|count)$//
                if ($type{$family // ''} // '') eq 'histogram';
            return "sample out of its family: $line"
                if !defined $family || $name ne $family;
            return "sample twice: $line" if $seen{"$line" =~ s/ .*//r}++;
            return "negative counter: $line"
                if $type{$name} eq 'counter' && $value < 0;
            return "no prefix: $line" if $name !~ /^milvus_cdc_/;

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
[CDC::post('list'), "GET /cdc/health", "HEAD /cdc/health"]
--- response_headers eval
[("Content-Type: application/json") x 3]
--- response_body_like eval
['tasks', '^\{"status":"ok"', '^$']



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
['one', '"ok","running":1,"paused":0',
 'task_num\{task_state="[Rr]unning"\} 1\n.*task_state\{task_id="one"\} 1\n',
 '200', '"ok","running":0,"paused":1',
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
