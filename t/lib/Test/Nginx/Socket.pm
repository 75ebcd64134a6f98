package Test::Nginx::Socket;

# A small runner for suites written for Test::Nginx, from the documented
# behaviour of that module, for machines where it is not installed.
#
# It knows the sections and functions listed below and no others.  Anything
# else ends the suite at once, so that a suite cannot pass here because an
# expectation was not understood.  Two things are stricter than there: every
# block states its "config", and a block fails when the error log holds an
# [emerg], [alert] or [crit] line or a sanitizer's report that it did not ask
# for, when nginx does not stop, or when it leaves a process behind.

use Test::Base -base;

use List::Util qw(shuffle);
use POSIX ();
use Test::Nginx::Client;
use Test::Nginx::Server;
use Time::HiRes qw(sleep);

our @EXPORT = qw(
    run_tests repeat_each workers master_on master_off worker_connections
    log_level no_shuffle no_long_string no_root_location timeout
    check_accum_error_log env_to_nginx server_port server_root html_dir
    add_block_preprocessor add_response_body_check add_cleanup_handler
    bail_out
);

my %known = map { $_ => 1 } qw(
    config http_config main_config post_main_config user_files init log_level
    request raw_request pipelined_requests more_headers timeout abort wait
    error_code error_code_like ignore_response
    response_headers response_headers_like
    raw_response_headers_like raw_response_headers_unlike
    response_body response_body_like response_body_unlike
    error_log no_error_log grep_error_log grep_error_log_out
    must_die suppress_stderr skip_nginx ONLY SKIP LAST
);

my $server = Test::Nginx::Server->new;
my $timeout = $ENV{TEST_NGINX_TIMEOUT} || 3;
my $shuffle = !$ENV{TEST_NGINX_NO_SHUFFLE};
my $repeat = 1;
my $accumulate;
my %rand_port;

my (@preprocessors, @body_checks, @cleanups);

$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);
$SIG{PIPE} = 'IGNORE';


sub repeat_each { $repeat = $_[0] if @_; return $repeat }

sub workers { $server->{workers} = $_[0] }

sub master_on { $server->{master} = 'on' }

sub master_off { $server->{master} = 'off' }

sub worker_connections { $server->{connections} = $_[0] }

sub log_level { $server->{log_level} = $_[0] }

sub no_shuffle { $shuffle = 0 }

sub no_long_string { return }

sub no_root_location { $server->{location} = 0 }

sub timeout { $timeout = $_[0] if @_; return $timeout }

sub check_accum_error_log { $accumulate = 1 }

sub env_to_nginx { push @{$server->{env}}, @_ }

sub server_port { return $server->{port} }

sub server_root { return $server->{root} }

sub html_dir { return $server->path("html") }

sub add_block_preprocessor { push @preprocessors, $_[0] }

sub add_response_body_check { push @body_checks, $_[0] }

sub add_cleanup_handler { unshift @cleanups, $_[0] }


sub bail_out {
    $server->stop;
    Test::More::BAIL_OUT(join '', @_);
}


sub run_tests {
    my @blocks = blocks();

    die "$0: no test blocks\n" if !@blocks;

    $ENV{TEST_NGINX_SERVER_PORT} //= $server->{port};
    $ENV{TEST_NGINX_SERVER_ROOT} //= $server->{root};

    check_sections($_) for @blocks;

    for my $block ($shuffle ? shuffle(@blocks) : @blocks) {
        $_->($block) for @preprocessors;
        run_block($block);
    }
}


END {
    local $?;
    $server->stop;
    $_->() for @cleanups;
}


sub check_sections {
    my ($block) = @_;
    my %seen;

    for my $section (@{$block->{_section_order}[0]}) {
        die $block->name . ": unknown section \"$section\"\n"
            if !$known{$section};
        die $block->name . ": section \"$section\" given twice\n"
            if $seen{$section}++;
    }
}


sub run_block {
    my ($block) = @_;
    my $name = $block->name;

    return if skipped($block);

    die "$name: no \"config\" section\n" if !defined $block->config;

    $server->setup;
    write_user_files($block);

    if (defined(my $code = $block->init)) {
        eval $code;
        die "$name: init: $@" if $@;
    }

    $server->configure(
        main => expand($block, scalar $block->main_config),
        http => expand($block, scalar $block->http_config),
        server => expand($block, scalar $block->config),
        post => expand($block, scalar $block->post_main_config),
        log_level => scalar $block->log_level,
    );

    my $status = $server->start;

    if (defined $block->must_die) {
        must_die($block, $status);

    } elsif ($status != 0) {
        fail("$name - nginx starts");
        diag($server->slurp("logs/stderr") || "exit status $status");

    } else {
        run_requests($block, $_) for 1 .. $repeat;
    }

    fail("$name - $_") for $server->stop;
    check_unexpected($block);
}


sub must_die {
    my ($block, $status) = @_;
    my $name = $block->name;
    my $want = $block->must_die;

    if ($want =~ /^\d+$/) {
        is($status, $want, "$name - nginx dies with status $want");
    } else {
        isnt($status, 0, "$name - nginx dies");
    }

    check_error_log($block, 0);
}


sub skipped {
    my ($block) = @_;
    my $rule = $block->skip_nginx // return 0;

    my ($count, $op, @want) =
        $rule =~ /^\s*(\d+):\s*(<=|>=|<|>|==)\s*(\d+)\.(\d+)\.(\d+)\s*$/
        or die $block->name . ": bad skip_nginx \"$rule\"\n";

    my @have = `$server->{binary} -v 2>&1` =~ m{/(\d+)\.(\d+)\.(\d+)}
        or die "no version from $server->{binary}\n";

    my $cmp = $have[0] <=> $want[0] || $have[1] <=> $want[1]
        || $have[2] <=> $want[2];
    my %true = ('<' => $cmp < 0, '<=' => $cmp <= 0, '==' => $cmp == 0,
                '>' => $cmp > 0, '>=' => $cmp >= 0);

    return 0 if !$true{$op};

    SKIP: {
        skip($block->name . " - nginx $op " . join('.', @want), $count);
    }

    return 1;
}


sub write_user_files {
    my ($block) = @_;
    my $text = $block->user_files // return;

    $text =~ /\A>>> / or die $block->name . ": user_files begin with >>>\n";

    for my $file (split /^>>> */m, $text) {
        next if !length $file;
        my ($path, $body) = $file =~ /^(\S+)[ \t]*\n(.*)\z/s
            or die $block->name . ": bad user_files\n";
        $server->spit("html/$path", $body);
    }
}


# $TEST_NGINX_NAME in the configuration and in expected texts
sub expand {
    my ($block, $text) = @_;

    return '' if !defined $text;
    return $text if ref $text;

    $text =~ s{\$(TEST_NGINX_[A-Z0-9_]+)}{
        my $var = $1;
        $var =~ /^TEST_NGINX_RAND_PORT_\d+$/
            ? $rand_port{$var} //= Test::Nginx::Server::free_port()
            : $ENV{$var} // die $block->name . ": \$$var is not set\n";
    }ge;

    return $text;
}


sub run_requests {
    my ($block, $round) = @_;
    my $name = $block->name;

    my ($connections, $single) = Test::Nginx::Client::requests($block);
    my $seconds = seconds(scalar $block->timeout) // $timeout;
    my $index = 0;

    log_mark();

    for my $connection (@$connections) {
        my ($raw, $late) = Test::Nginx::Client::talk($server->{port},
                                               $connection->{parts}, $seconds);

        fail("$name - no answer in $seconds s (req $index)")
            if $late && !defined $block->abort;

        for my $method (@{$connection->{methods}}) {
            my $answer = Test::Nginx::Client::parse(\$raw, $method);

            check_answer($block, $answer, $index, $single)
                if !defined $block->ignore_response;

            sleep($block->wait) if $block->wait;
            check_error_log($block, $index);
            log_mark() if !$accumulate;
            $index++;
        }

        fail("$name - nothing after the last answer (req $index)")
            if length $raw && !defined $block->ignore_response;
    }
}


sub seconds {
    my ($value) = @_;

    return undef if !defined $value || $value eq '';
    return $1 / 1000 if $value =~ /^([\d.]+)ms$/;
    return $1 if $value =~ /^([\d.]+)s?$/;
    die "bad timeout \"$value\"\n";
}


# the expectation for one request: with several requests it is an array
sub expected {
    my ($block, $section, $index, $single) = @_;
    my $value = $block->$section;

    return $value if $single && ref $value ne 'ARRAY';

    ref $value eq 'ARRAY'
        or die $block->name . ": \"$section\" is no array\n";
    $index < @$value
        or die $block->name . ": \"$section\" has no item $index\n";

    return $value->[$index];
}


sub check_answer {
    my ($block, $answer, $index, $single) = @_;
    my $what = $block->name . " (req $index)";
    my $get = sub { expected($block, $_[0], $index, $single) };

    if (defined $block->error_code_like) {
        my $re = $get->('error_code_like');
        like($answer->{status}, qr/$re/, "$what - status");
    } else {
        my $code = defined $block->error_code ? $get->('error_code') : 200;
        $code =~ s/^\s+|\s+$//g;
        is($answer->{status}, $code, "$what - status");
    }

    check_headers($block, $answer, $what, $get);

    if (defined $block->response_body) {
        my $want = expand($block, $get->('response_body'));

        ref $want ? like($answer->{body}, $want, "$what - body")
                  : is($answer->{body}, $want, "$what - body");
    }

    if (defined $block->response_body_like) {
        my $re = $get->('response_body_like');
        like($answer->{body}, qr/$re/s, "$what - body is like");
    }

    if (defined $block->response_body_unlike) {
        my $re = $get->('response_body_unlike');
        unlike($answer->{body}, qr/$re/s, "$what - body is unlike");
    }

    $_->($block, $answer->{body}, $index, 0, undef) for @body_checks;
}


sub check_headers {
    my ($block, $answer, $what, $get) = @_;

    for my $section (qw(response_headers response_headers_like)) {
        next if !defined $block->$section;

        for my $line (split /\n/, $get->($section)) {
            next if $line !~ /\S/;

            if ($line =~ /^\s*!\s*(\S+)\s*$/) {
                is($answer->{header}{lc $1}, undef, "$what - no $1");
                next;
            }

            my ($key, $want) = $line =~ /^\s*([^:\s]+)\s*:\s*(.*?)\s*$/
                or die "$what: bad line in $section: $line\n";
            my $got = $answer->{header}{lc $key} // '';

            $section eq 'response_headers'
                ? is($got, $want, "$what - $key")
                : like($got, qr/^$want$/, "$what - $key");
        }
    }

    if (defined $block->raw_response_headers_like) {
        my $re = $get->('raw_response_headers_like');
        like($answer->{head}, qr/$re/s, "$what - head is like");
    }

    if (defined $block->raw_response_headers_unlike) {
        my $re = $get->('raw_response_headers_unlike');
        unlike($answer->{head}, qr/$re/s, "$what - head is unlike");
    }
}


my $log_offset = 0;

sub log_mark {
    $log_offset = length $server->slurp("logs/error.log");
}


sub patterns {
    my ($block, $value) = @_;

    return @$value if ref $value eq 'ARRAY';
    return $value if ref $value;
    return split /\n+/, expand($block, $value);
}


sub check_error_log {
    my ($block, $index) = @_;
    my $what = $block->name . " (req $index)";

    my $from = defined $block->must_die ? 0 : $log_offset;
    my @lines = split /^/, substr $server->slurp("logs/error.log"), $from;

    my $found = sub {
        my ($pattern) = @_;
        my $re = ref $pattern ? $pattern : qr/\Q$pattern\E/;
        return grep { /$re/ } @lines;
    };

    if (defined $block->error_log) {
        for my $pattern (patterns($block, $block->error_log)) {
            ok(scalar $found->($pattern), "$what - error log has $pattern")
                or diag(tail(@lines));
        }
    }

    if (defined $block->no_error_log) {
        for my $pattern (patterns($block, $block->no_error_log)) {
            my @hits = $found->($pattern);
            ok(!@hits, "$what - error log has no $pattern")
                or diag(tail(@hits));
        }
    }

    check_grep_error_log($block, $index, $what, \@lines);
}


sub check_grep_error_log {
    my ($block, $index, $what, $lines) = @_;
    my $pattern = $block->grep_error_log;
    my $want = $block->grep_error_log_out;

    die "$what: grep_error_log and grep_error_log_out go together\n"
        if defined $pattern != defined $want;
    return if !defined $pattern;

    my $re = ref $pattern ? $pattern : qr/\Q$pattern\E/;
    my $got = join '', map { /($re)/ ? "$1\n" : () } @$lines;

    $want = $want->[$index] if ref $want eq 'ARRAY';
    $want = expand($block, $want);

    ref $want ? like($got, $want, "$what - lines of the error log")
              : is($got, $want, "$what - lines of the error log");
}


sub check_unexpected {
    my ($block) = @_;
    my $asked = join "\n", map { "$_" }
        defined $block->error_log ? patterns($block, $block->error_log) : ();

    my @bad = qr/(?:Address|Leak|Thread)Sanitizer|runtime error:/;
    push @bad, qr/\[emerg\]/ if !defined $block->must_die;
    push @bad, map { $asked =~ /\[$_/ ? () : qr/\[$_\]/ } qw(alert crit);

    my @lines = grep { my $line = $_; grep { $line =~ $_ } @bad }
        split /^/, $server->slurp("logs/error.log");

    return if !@lines;

    fail($block->name . " - nothing serious in the error log");
    diag(tail(@lines));
}


sub tail {
    my @lines = @_;

    splice @lines, 0, @lines - 20, "...\n" if @lines > 20;
    return join '', "error log:\n", @lines;
}


# Test::Base's own filter turns an error into the value: a suite with a typo
# would go on with the message as its expectation.
package Test::Nginx::Socket::Filter;

our @ISA = qw(Test::Base::Filter);

require Test::Base::Filter;


sub eval {
    my ($self, @value) = @_;

    $self->assert_scalar(@value);

    my @result = CORE::eval($value[0]);
    die $self->current_block->name . ": eval: $@" if $@;

    return @result;
}


1;
