package CDC;

# What the suites share: where the module and the real servers are, requests
# and answers of the API, and (CDC::Nginx, below) an nginx for the tests of
# processes.  "use CDC" comes before "use Test::Nginx::Socket".

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use JSON::PP;

my $t = dirname(dirname(abs_path(__FILE__)));
my $build = $ENV{TEST_CDC_BUILD} || dirname($t) . "/build";
my $json = JSON::PP->new->canonical->allow_nonref;

# a source that a replicator can follow; without real servers its etcd is a
# port where nobody answers, which is as good for what never starts a task
my %server = (
    ETCD => 'http://127.0.0.1:1',
    TARGET => '',
    SOURCE => '',
);

$ENV{TEST_NGINX_LOAD_MODULES} //= "$build/ngx_http_milvus_cdc_module.so";
$ENV{TEST_NGINX_CDC_HELPER} //= "$build/milvus-cdc-helper";
$ENV{"TEST_NGINX_CDC_$_"} = $ENV{"TEST_CDC_$_"} || $server{$_}
    for keys %server;
$ENV{TEST_NGINX_CDC_LOG} = $ENV{TEST_CDC_ROCKSMQ}
    ? "rocksmq $ENV{TEST_CDC_ROCKSMQ}"
    : 'kafka ' . ($ENV{TEST_CDC_KAFKA} || '127.0.0.1:1');

-e $_ or die "$_ is missing: run \"sh t/run build\"\n"
    for @ENV{qw(TEST_NGINX_LOAD_MODULES TEST_NGINX_CDC_HELPER)};


sub http_config {
    my (%more) = @_;

    return <<"EOT";
        milvus_cdc_path \$TEST_NGINX_CDC_STATE;
        milvus_cdc_zone milvus_cdc:8m;
        milvus_cdc_helper \$TEST_NGINX_CDC_HELPER;
        milvus_cdc_source main {
            etcd \$TEST_NGINX_CDC_ETCD;
            root_path by-dev;
            meta_path meta;
            replicate_channel by-dev-replicate-msg;
            \$TEST_NGINX_CDC_LOG;
        }
EOT
}


sub config {
    return <<"EOT";
        location /cdc { milvus_cdc main; }
        location = /cdc/metrics { milvus_cdc_metrics; }
        location = /cdc/health { milvus_cdc_health; }
EOT
}


# Gives each block a state directory of its own, and the configuration above
# where it has none; "extra" goes into the http part of all blocks.
sub preprocessor {
    my ($extra) = @_;

    return sub {
        my ($block) = @_;

        $ENV{TEST_NGINX_CDC_STATE} = state_dir();

        $block->set_value("http_config", http_config() . ($extra // ''))
            if !defined $block->http_config;
        $block->set_value("config", config()) if !defined $block->config;
    };
}


sub state_dir {
    return tempdir("cdc-state-XXXXXXXX", TMPDIR => 1, CLEANUP => 1)
        . "/state";
}


# the real servers, or an end with the reason
sub target {
    my $uri = $ENV{TEST_CDC_TARGET}
        or die "TEST_CDC_TARGET is not set: run \"sh t/run $0\"\n";

    $uri =~ m{^http://([^:/]+):(\d+)$} or die "bad TEST_CDC_TARGET $uri\n";
    return wantarray ? ($1, $2) : $uri;
}


# ---- requests and answers

sub encode { return $json->encode($_[0]) }

sub decode { return eval { $json->decode($_[0]) } }


# a request as Test::Nginx takes it
sub post {
    my ($type, $data, $uri) = @_;

    my %body = (request_type => $type);
    $body{request_data} = $data if defined $data;

    return raw(encode(\%body), $uri);
}


sub raw {
    my ($body, $uri) = @_;
    return "POST " . ($uri // "/cdc") . "\n$body";
}


sub create {
    my (%over) = @_;

    my %data = (
        milvus_connect_param => {uri => scalar(target()),
                                 connect_timeout => 10},
        collection_infos => [{name => '*'}],
    );

    @data{keys %over} = values %over;
    delete @data{grep { !defined $data{$_} } keys %data};
    return post('create', \%data);
}


sub failure {
    my ($code, $message) = @_;
    return '{"code":' . $code . ',"message":' . encode($message) . "}\n";
}


# how a failed handler answers
sub refused {
    my ($type, $message, $code) = @_;
    return failure($code // 400,
                   "fail to handle the $type request, error: $message");
}


# the same where the end of the message is a pattern
sub failure_like {
    my ($code, $start, $pattern) = @_;
    return qr/\A\{"code":$code,"message":"\Q$start\E$pattern"\}\n\z/s;
}


sub refused_like {
    my ($type, $pattern, $code) = @_;
    return failure_like($code // 400,
                        "fail to handle the $type request, error: ", $pattern);
}


sub success {
    my ($data) = @_;
    return '{"code":200,"data":' . ($data // '{}') . "}\n";
}


sub created {
    my ($id) = @_;

    return success('{"task_id":"' . $id . '"}') if defined $id;
    return qr/\A\{"code":200,"data":\{"task_id":"[0-9a-f]{32}"\}\}\n\z/;
}


sub empty_list { return success('{"tasks":[]}') }


package CDC::Nginx;

# An nginx whose processes are looked at, signalled and killed.  Its state
# directory is its own and stays over stop and start.

use Subreaper;
use Test::More ();
use Test::Nginx::Client;
use Test::Nginx::Server;
use Time::HiRes qw(sleep time);

my @all;


# %opt: master, workers, state, http, server, main, config, user
sub new {
    my ($class, %opt) = @_;

    my $server = Test::Nginx::Server->new;
    $server->{port} = Test::Nginx::Server::free_port() if @all;
    $server->{root} = CDC::state_dir() . "-servroot";
    $server->{master} = $opt{master} // 'on';
    $server->{workers} = $opt{workers} // 2;
    $server->{log_level} = $opt{log_level} // 'info';
    $server->{connections} = 512;

    # an upgrade executes the path that nginx was started by
    ($server->{binary}) = grep { -x } map { "$_/$server->{binary}" }
        split /:/, $ENV{PATH} if $server->{binary} !~ m{/};

    my $self = bless {
        server => $server,
        state => $opt{state} // CDC::state_dir(),
        opt => \%opt,
    }, $class;

    $server->setup;
    $self->configure;
    push @all, $self;

    return $self;
}


sub configure {
    my ($self, %change) = @_;
    my $opt = $self->{opt};

    $opt->{$_} = $change{$_} for keys %change;

    my %part = map { $_ => $opt->{$_} // '' } qw(main http server post);
    $part{http} .= $opt->{http_config} // CDC::http_config();
    $part{server} .= $opt->{config} // CDC::config();

    local $ENV{TEST_NGINX_CDC_STATE} = $self->{state};
    s/\$(TEST_NGINX_\w+)/$ENV{$1} \/\/ die "\$$1 is not set"/ge
        for values %part;

    $self->{server}->configure(%part);
}


sub start {
    my ($self) = @_;

    my $status = $self->{server}->start;
    die "nginx does not start ($status): " . $self->stderr if $status;
    return $self;
}


# "nginx -t" with this configuration: what it says, "" when it is content
sub check {
    my ($self) = @_;
    my $root = $self->{server}{root};

    local $ENV{LD_PRELOAD} = $ENV{TEST_NGINX_LD_PRELOAD} // '';
    my $out = `$self->{server}{binary} -t -q -p $root/ \\
        -e $root/logs/check.log -c $root/conf/nginx.conf 2>&1 </dev/null`;

    return $? ? $out || 'failed' : $out;
}


sub stderr { return $_[0]{server}->slurp("logs/stderr") }

sub log { return $_[0]{server}->slurp("logs/error.log") }

sub master { return $_[0]{server}{pid} }

sub port { return $_[0]{server}{port} }


# pid => command line, of all descendants
sub tree {
    my ($self) = @_;
    my %tree;

    for my $pid ($self->master ? Subreaper::descendants($self->master) : ()) {
        open my $fh, '<', "/proc/$pid/cmdline" or next;
        local $/;
        my $line = <$fh> // '';
        $line =~ s/\0+$//;
        $tree{$pid} = $line =~ tr/\0/ /r;
    }

    return \%tree;
}


sub pids {
    my ($self, $re) = @_;
    my $tree = $self->tree;
    my @pids = sort { $a <=> $b } grep { $tree->{$_} =~ $re } keys %$tree;
    return @pids;
}


sub workers { return $_[0]->pids(qr/^nginx: worker process$/) }

sub supervisors { return $_[0]->pids(qr/^nginx: cache manager process$/) }

sub stores { return $_[0]->pids(qr/milvus-cdc-helper store\b/) }

sub replicators { return $_[0]->pids(qr/milvus-cdc-helper replicate\b/) }


# to the master, or to the processes that are given: none is an error, since
# kill() takes 0 for the whole group of the test
sub signal {
    my ($self, $signal, @pids) = @_;

    @pids = $self->master if @_ == 2;
    die "no process to send SIG$signal to\n" if !@pids || grep { !$_ } @pids;
    kill $signal, @pids;
}


# Stops with a signal; returns the seconds that took and who was left.
sub stop {
    my ($self, $signal, $seconds) = @_;
    my $server = $self->{server};

    return (0) if !$self->master;

    my $t0 = time;
    my @tree = keys %{$self->tree};
    my $gone = $server->signal_gone($signal // 'QUIT', $seconds // 10);
    my $took = time - $t0;

    push @tree, $self->master if !$gone;
    delete @$server{qw(pid before)};

    my @left;
    for (1 .. 50) {
        Subreaper::reap();
        last if !(@left = grep { kill 0, $_ } @tree);
        sleep 0.02;
    }

    kill 'KILL', @left;
    return ($took, @left);
}


# Reloads and waits until the former supervisor and its helpers have gone.
sub reload {
    my ($self, $seconds) = @_;
    my @old = ($self->supervisors, $self->stores, $self->replicators);

    $self->signal('HUP');

    return CDC::wait_for(sub {
        Subreaper::reap();
        my %tree = %{$self->tree};
        return !grep { $tree{$_} } @old;
    }, $seconds // 10);
}


# one request, the answer with its body taken apart
sub http {
    my ($self, $request, $seconds) = @_;

    my ($line, $body) = split /\n/, $request, 2;
    my ($method) = split ' ', $line;
    $body //= '';

    my $bytes = "$line HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        . ($method eq 'POST' ? "Content-Length: " . length($body) . "\r\n"
                             : '')
        . "\r\n$body";

    my ($raw, $error) = Test::Nginx::Client::talk($self->port,
                                   [{value => $bytes}], $seconds // 30);
    my $answer = Test::Nginx::Client::parse(\$raw, $method);

    $answer->{error} = $error;
    $answer->{json} = CDC::decode($answer->{body});
    return $answer;
}


sub api {
    my ($self, $type, $data, $seconds) = @_;
    return $self->http(CDC::post($type, $data), $seconds);
}


# creates a task and returns its id
sub create {
    my ($self, %over) = @_;

    my $answer = $self->http(CDC::create(%over));
    my $id = $answer->{json} && $answer->{json}{data}{task_id};

    die "no task: $answer->{status} $answer->{body}" . ($answer->{error} // '')
        if !defined $id;

    return $id;
}


# "Running", "Paused", ... or what went wrong
sub state {
    my ($self, $id) = @_;

    my $answer = $self->api('get', {task_id => $id});
    my $task = $answer->{json} && $answer->{json}{data}{task};

    return $task ? $task->{state} : "$answer->{status} $answer->{body}";
}


sub tasks {
    my ($self) = @_;

    my $answer = $self->api('list');
    return $answer->{status} eq '200' ? $answer->{json}{data}{tasks} : undef;
}


# true when the API answers
sub ready {
    my ($self, $seconds) = @_;

    return CDC::wait_for(sub { defined $self->tasks }, $seconds // 10);
}


sub CDC::wait_for {
    my ($what, $seconds) = @_;
    my $until = time + ($seconds // 10);

    for (;;) {
        my $result = $what->();
        return $result if $result;
        return undef if time > $until;
        sleep 0.01;
    }
}


# Ends a test file: everything is stopped, nothing is left, no report of a
# sanitizer is in a log.
sub CDC::done {
    my ($left, $reports) = (0, '');

    for my $nginx (@all) {
        my (undef, @left) = $nginx->stop;
        $left += @left;
        $reports .= "$_\n" for grep {
            /(?:Address|Leak|Thread)Sanitizer|runtime error:/
        } split /\n/, $nginx->log;
    }

    Test::More::is($left, 0, 'every process has ended');
    Test::More::is($reports, '', 'no report of a sanitizer');
    Test::More::is(scalar(Subreaper::descendants($$)), 0, 'no orphan');
    Test::More::done_testing();
}


my $owner = $$;

$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);
$SIG{PIPE} = 'IGNORE';

END {
    if ($$ == $owner) {
        local $?;
        kill 'KILL', Subreaper::descendants($$) if @all;
    }
}


1;
