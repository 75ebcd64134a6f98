# Requests that are nearly right: those of clients with values of other types,
# members that are missing or new, and bytes that are others.  Each gets an
# answer as documented, none has a secret, and no process ends.
#
# CDC_SEED repeats a run.

use strict;
use warnings;

use CDC;
use Test::More;
use Time::HiRes qw(time);

use constant SECONDS => 5;

my $seed = $ENV{CDC_SEED} // int(rand(1 << 31));
my $secret = 'hush-0f1e2d3c';
my $part = substr $secret, 0, 8;         # what a cut leaves of it
srand($seed);

# nothing leaves the worker that has a target: the store has its own tests
my $nginx = CDC::Nginx->new(http_config => CDC::http_config()
    . "milvus_cdc_allow_target allowed.example;\n")->start;
ok($nginx->ready, 'the API answers');

my @workers = $nginx->workers;
my $base64 = 'ChZieS1kZXYtcm9vdGNvb3JkLWRtbF8wEggBAgMEBQYHCA==';
my $vchannel = 'by-dev-rootcoord-dml_0_442345678901234567v0';

my @requests = (
    map({ {request_type => $_} } qw(list)),
    map({ {request_type => $_, request_data => {task_id => 'one'}} }
        qw(get pause resume delete position maintenance progress parked)),
    {request_type => 'parked_drop',
     request_data => {task_id => 'one', id => 1}},
    {request_type => 'create', request_data => {
        milvus_connect_param => {
            uri => 'https://[::1]:19530', token => $secret,
            connect_timeout => 10,
            dial_config => {ca_pem_path => '/ca', server_name => 'n'},
        },
        collection_infos => [{name => '*'}],
        exclude_collections => ['default.a', 'b.*'],
        name_mapping => [{source_db => 'a', target_db => 'b',
                          collection_mapping => {c => 'd'}}],
        extra_info => {enable_user_role => JSON::PP::true},
        log_gap => 'earliest', on_poison => 'skip', task_id => 'two',
    }},
    {request_type => 'create', request_data => {
        milvus_connect_param => {
            host => 'localhost', port => 19530, username => 'root',
            password => $secret, enable_tls => JSON::PP::false,
        },
        collection_infos => [{name => 'c', use_start_position =>
                              JSON::PP::true,
                              positions => {$vchannel => $base64}}],
        db_collections => {d => [{name => 'e'}]},
        rpc_channel_info => {name => 'by-dev-replicate-msg',
                             position => $base64},
        buffer_config => {period => 1, size => 2},
        disable_auto_start => JSON::PP::true,
    }},
    {request_type => 'create', request_data => {
        kafka_connect_param => {
            address => 'localhost:9092', topic => 't',
            enable_sasl => JSON::PP::true,
            sasl => {username => 'u', password => $secret,
                     mechanisms => 'PLAIN', security_protocol => 'SSL'},
        },
        collection_infos => [{name => '*'}],
    }},
);


sub one_of { return $_[rand @_] }


sub value {
    return one_of(undef, JSON::PP::true, 0, -1, 65536, 1e30, 2 ** 53, '',
                  '*', '.', '..', 'x' x one_of(1, 255, 256, 257, 5000),
                  "\x{20ac}" x one_of(1, 90, 400), "a\tb", "%s%n%99999d",
                  'http://h:1/@', '[::1', [], {}, [[[]]], [1, 'a', undef],
                  {a => {b => [{}]}}, [map { {name => "c$_"} } 1 .. 300]);
}


# another value, no value, another name, or one member more; deeper, mostly
sub change {
    my ($node) = @_;
    my $list = ref $node eq 'ARRAY';

    return value() if !$list && ref $node ne 'HASH';

    my @keys = $list ? 0 .. $#$node : sort keys %$node;
    my $how = int rand 10;

    if (@keys && $how < 7) {
        my $key = one_of(@keys);
        my $in = $list ? \$node->[$key] : \$node->{$key};
        $$in = change($$in);

    } elsif (@keys && $how == 7) {
        $list ? pop @$node : delete $node->{one_of(@keys)};

    } elsif ($list) {
        push @$node, value();

    } else {
        my $name = one_of(@keys, 'x', 'Name', "\x{e9}" x 300);
        $node->{one_of(uc $name, "$name ", $name x 30)} = value();
    }

    return $node;
}


sub bytes {
    my ($body) = @_;

    for (1 .. 1 + rand 3) {
        my $at = index($body, $part) + length($part);
        $at = int rand(length($body) + 1) if $at < length $part || rand(3) < 2;
        my $n = one_of(0, 1, 1, 5);

        substr($body, $at, $n) = one_of('', chr(rand 256), chr(rand 32), '"',
                                        '{', '\\u0000', "\xc3", ',',
                                        '[' x 3000, '1e999');
    }

    return rand(20) < 1 ? substr($body, 0, rand length $body) : $body;
}


sub mutated {
    my $request = CDC::decode(CDC::encode(one_of(@requests)));

    change($request) for 1 .. rand 4;
    my $body = JSON::PP->new->canonical->utf8->encode($request);

    return rand(3) < 1 ? bytes($body) : $body;
}


my %status;
my $bad = 0;
my $until = time + SECONDS;

for (my $n = 0; time < $until && $bad < 5; $n++) {
    my $body = mutated();

    # what looks around for seconds, and what nobody has asked for
    next if $body =~ /"(?:check|create_[a-z]+)"/;

    my $answer = $nginx->http(CDC::raw($body));
    my $json = $answer->{json};
    my $status = $answer->{status} // 'none';

    next if ++$status{$status} && ref $json eq 'HASH'
        && $status =~ /^(?:200|400|404|500|503)$/
        && ($json->{code} // '') eq $status
        && ($status == 200 ? ref $json->{data} eq 'HASH'
                           : length($json->{message} // ''))
        && index($answer->{body}, $part) == -1;

    $bad++;
    diag(sprintf "request %d: %.2000s\nanswer: %s %.2000s %s", $n, $body,
         $status, $answer->{body} // '', $answer->{error} // '');
}

is($bad, 0, "each request has a documented answer (CDC_SEED=$seed)");
diag("answers: ", join ', ', map { "$_: $status{$_}" } sort keys %status)
    if $bad || $ENV{TEST_VERBOSE};

ok($status{400} && $status{500}, 'some are refused');
is_deeply([$nginx->workers], \@workers, 'no worker has ended');
is_deeply($nginx->tasks, [], 'no task has been made');
is(index($nginx->log, $part), -1, 'the log has no secret');

CDC::done();
