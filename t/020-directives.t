use CDC;
use Test::Nginx::Socket 'no_plan';

# Each directive: valid values, and what ends "nginx -t" with file and line:
# wrong context, duplicates, bad values, wrong number of arguments.

# a source block with these lines in it
sub source {
    return join "\n", 'milvus_cdc_source main {', @_, '}';
}

sub says { return qr/\[emerg\] .*(?:$_[0]).* in \S+nginx\.conf:\d+/ }

sub context { return says("\"$_[0]\" directive is not allowed here") }

sub arguments { return says("invalid number of arguments in \"$_[0]\"") }

# with these two alone the defaults of all others hold
our $base = 'milvus_cdc_path $TEST_NGINX_CDC_STATE;'
    . 'milvus_cdc_helper $TEST_NGINX_CDC_HELPER;';

master_on();
add_block_preprocessor(CDC::preprocessor());

add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value('request', CDC::post('list'))
        if !defined $block->request;
    $block->set_value('must_die', '')
        if $block->name =~ /\bdies\b/ && !defined $block->must_die;
});

run_tests();

__DATA__

=== TEST 1: the defaults
--- http_config eval
$main::base
--- config
location /cdc { milvus_cdc; }
--- response_body eval
CDC::empty_list()



=== TEST 2: every directive
--- http_config eval
$main::base . 'milvus_cdc_zone tasks:8m; milvus_cdc_max_tasks 16;'
. 'milvus_cdc_max_name_length 100; milvus_cdc_drain_timeout 2s;'
. 'milvus_cdc_timeout 3s;'
. 'milvus_cdc_allow_target 127.0.0.1:19530 milvus.internal;'
. main::source('etcd http://127.0.0.1:2379 http://127.0.0.1:2380/;',
               'root_path by-dev;', 'meta_path meta;',
               'replicate_channel by-dev-replicate-msg;',
               'kafka 127.0.0.1:9092 127.0.0.1:9093;')
. 'milvus_cdc_source other { root_path other; }'
--- config
milvus_cdc_http_status strict;
location /cdc { milvus_cdc main; }
location /other { milvus_cdc other; milvus_cdc_http_status compat; }
location = /cdc/metrics { milvus_cdc_metrics; }
location = /cdc/health { milvus_cdc_health; }
--- request eval
[CDC::post('list'), CDC::post('list', undef, '/other'), "GET /cdc/health"]
--- error_code eval
[200, 200, 200]



=== TEST 3: user, password and TLS of etcd and Kafka
--- http_config eval
$main::base
. main::source('etcd https://127.0.0.1:2379;', 'etcd_user u;',
               'etcd_password p;', 'kafka 127.0.0.1:9093;', 'kafka_user u;',
               'kafka_password p;', 'kafka_mechanism PLAIN;',
               'kafka_tls on;')
--- config
location /cdc { milvus_cdc main; }
--- no_error_log
[emerg]



=== TEST 4: dies: milvus_cdc_path in a server
--- config
milvus_cdc_path /tmp/x;
--- error_log eval
[main::context('milvus_cdc_path')]



=== TEST 5: dies: milvus_cdc_zone in a location
--- config
location /a { milvus_cdc_zone a:1m; }
--- error_log eval
[main::context('milvus_cdc_zone')]



=== TEST 6: dies: milvus_cdc_source in a server
--- config
milvus_cdc_source a { }
--- error_log eval
[main::context('milvus_cdc_source')]



=== TEST 7: dies: milvus_cdc in a server
--- config
milvus_cdc main;
--- error_log eval
[main::context('milvus_cdc')]



=== TEST 8: dies: milvus_cdc in http
--- http_config
milvus_cdc;
--- error_log eval
[main::context('milvus_cdc')]



=== TEST 9: dies: milvus_cdc_metrics in http
--- http_config
milvus_cdc_metrics;
--- error_log eval
[main::context('milvus_cdc_metrics')]



=== TEST 10: dies: milvus_cdc_health in a server
--- config
milvus_cdc_health;
--- error_log eval
[main::context('milvus_cdc_health')]



=== TEST 11: dies: milvus_cdc_helper in a location
--- config
location /a { milvus_cdc_helper /a; }
--- error_log eval
[main::context('milvus_cdc_helper')]



=== TEST 12: dies: milvus_cdc_max_tasks in a server
--- config
milvus_cdc_max_tasks 5;
--- error_log eval
[main::context('milvus_cdc_max_tasks')]



=== TEST 13: dies: milvus_cdc_path at the main level
--- main_config
milvus_cdc_path /tmp/x;
--- error_log eval
[main::context('milvus_cdc_path')]



=== TEST 14: dies: etcd outside of a source
--- http_config
etcd http://127.0.0.1:2379;
--- error_log eval
[main::says('unknown directive "etcd"')]



=== TEST 15: dies: milvus_cdc_path twice
--- http_config eval
$main::base . 'milvus_cdc_path /tmp/x;'
--- error_log eval
[main::says('"milvus_cdc_path" directive is duplicate')]



=== TEST 16: dies: milvus_cdc_zone twice
--- http_config eval
$main::base . 'milvus_cdc_zone a:8m; milvus_cdc_zone b:8m;'
--- error_log eval
[main::says('"milvus_cdc_zone" directive is duplicate')]



=== TEST 17: dies: milvus_cdc_helper twice
--- http_config eval
$main::base . 'milvus_cdc_helper /bin/true;'
--- error_log eval
[main::says('"milvus_cdc_helper" directive is duplicate')]



=== TEST 18: dies: milvus_cdc_max_tasks twice
--- http_config eval
$main::base . 'milvus_cdc_max_tasks 3; milvus_cdc_max_tasks 3;'
--- error_log eval
[main::says('"milvus_cdc_max_tasks" directive is duplicate')]



=== TEST 19: dies: milvus_cdc twice in a location
--- config
location /cdc { milvus_cdc main; milvus_cdc main; }
--- error_log eval
[main::says('"milvus_cdc" directive is duplicate')]



=== TEST 20: dies: milvus_cdc_timeout twice
--- http_config eval
$main::base . 'milvus_cdc_timeout 1s; milvus_cdc_timeout 1s;'
--- error_log eval
[main::says('"milvus_cdc_timeout" directive is duplicate')]



=== TEST 21: dies: milvus_cdc_http_status twice
--- config
location /cdc { milvus_cdc main; milvus_cdc_http_status strict;
                milvus_cdc_http_status strict; }
--- error_log eval
[main::says('"milvus_cdc_http_status" directive is duplicate')]



=== TEST 22: dies: two sources of one name
--- http_config eval
$main::base . 'milvus_cdc_source a { } milvus_cdc_source a { }'
--- error_log eval
[main::says('duplicate|declared already|is already')]



=== TEST 23: dies: a directive of a source twice
--- http_config eval
$main::base . main::source('root_path a;', 'root_path a;')
--- error_log eval
[main::says('"root_path" directive is duplicate')]



=== TEST 24: dies: an address of etcd twice
--- http_config eval
$main::base . main::source('etcd http://127.0.0.1:1;',
                           'etcd http://127.0.0.1:2 http://127.0.0.1:1;')
--- error_log eval
[main::says('duplicate address "http://127.0.0.1:1"')]



=== TEST 25: dies: a broker twice
--- http_config eval
$main::base . main::source('kafka 127.0.0.1:1;', 'kafka 127.0.0.1:1;')
--- error_log eval
[main::says('duplicate address "127.0.0.1:1"')]



=== TEST 26: dies: milvus_cdc_drain_timeout twice
--- http_config eval
$main::base . 'milvus_cdc_drain_timeout 1s; milvus_cdc_drain_timeout 1s;'
--- error_log eval
[main::says('"milvus_cdc_drain_timeout" directive is duplicate')]



=== TEST 27: dies: milvus_cdc_max_name_length twice
--- http_config eval
$main::base . 'milvus_cdc_max_name_length 9; milvus_cdc_max_name_length 9;'
--- error_log eval
[main::says('"milvus_cdc_max_name_length" directive is duplicate')]



=== TEST 28: dies: an unknown directive in a source
--- http_config eval
$main::base . main::source('etcdd http://127.0.0.1:2379;')
--- error_log eval
[main::says('unknown directive "etcdd"')]



=== TEST 29: dies: a zone without a size
--- http_config eval
$main::base . 'milvus_cdc_zone tasks;'
--- error_log eval
[main::says('zone|size')]



=== TEST 30: dies: a zone with a bad size
--- http_config eval
$main::base . 'milvus_cdc_zone tasks:8x;'
--- error_log eval
[main::says('"?tasks:8x"?|size')]



=== TEST 31: dies: a zone without a name
--- http_config eval
$main::base . 'milvus_cdc_zone :8m;'
--- error_log eval
[main::says('zone')]



=== TEST 32: dies: a zone that cannot hold the tasks
--- http_config eval
$main::base . 'milvus_cdc_zone tasks:32k; milvus_cdc_max_tasks 128;'
--- error_log eval
[qr/\[emerg\].*(?:too small|at least)/]



=== TEST 33: dies: no tasks
--- http_config eval
$main::base . 'milvus_cdc_max_tasks 0;'
--- error_log eval
[main::says('milvus_cdc_max_tasks|value|between')]



=== TEST 34: dies: too many tasks
--- http_config eval
$main::base . 'milvus_cdc_max_tasks 129;'
--- error_log eval
[main::says('128')]



=== TEST 35: dies: tasks that are no number
--- http_config eval
$main::base . 'milvus_cdc_max_tasks many;'
--- error_log eval
[main::says('invalid (?:number|value)|"many"')]



=== TEST 36: dies: a drain that outlasts the stop of a service
--- http_config eval
$main::base . 'milvus_cdc_drain_timeout 5s;'
--- error_log eval
[main::says('milvus_cdc_drain_timeout|drain|4')]



=== TEST 37: dies: a drain that is no time
--- http_config eval
$main::base . 'milvus_cdc_drain_timeout soon;'
--- error_log eval
[main::says('invalid value|"soon"')]



=== TEST 38: dies: a timeout that is no time
--- http_config eval
$main::base . 'milvus_cdc_timeout 5x;'
--- error_log eval
[main::says('invalid value|"5x"')]



=== TEST 39: dies: a status mode that does not exist
--- config
location /cdc { milvus_cdc main; milvus_cdc_http_status always; }
--- error_log eval
[main::says('invalid value "always"')]



=== TEST 40: dies: a source that is not declared
--- config
location /cdc { milvus_cdc nowhere; }
--- error_log eval
[qr/\[emerg\].*"?nowhere"?/]



=== TEST 41: dies: a source without a name
--- http_config eval
$main::base . 'milvus_cdc_source { }'
--- error_log eval
[main::arguments('milvus_cdc_source')]



=== TEST 42: dies: a source without a block
--- http_config eval
$main::base . 'milvus_cdc_source main;'
--- error_log eval
[main::says('"milvus_cdc_source" has no opening|no opening')]



=== TEST 43: dies: an address of etcd without a scheme
--- http_config eval
$main::base . main::source('etcd 127.0.0.1:2379;')
--- error_log eval
[main::says('127.0.0.1:2379')]



=== TEST 44: dies: an address of etcd with a foreign scheme
--- http_config eval
$main::base . main::source('etcd ftp://127.0.0.1:2379;')
--- error_log eval
[main::says('ftp://127.0.0.1:2379')]



=== TEST 45: dies: no address of etcd
--- http_config eval
$main::base . main::source('etcd;')
--- error_log eval
[main::arguments('etcd')]



=== TEST 46: dies: no broker
--- http_config eval
$main::base . main::source('kafka;')
--- error_log eval
[main::arguments('kafka')]



=== TEST 47: dies: RocksMQ and Kafka in one source
--- http_config eval
$main::base . main::source('rocksmq /var/lib/milvus/rdb_data;',
                           'kafka 127.0.0.1:9092;')
--- error_log eval
[main::says('either rocksmq or kafka')]



=== TEST 48: dies: Pulsar, which comes later
--- http_config eval
$main::base . main::source('pulsar pulsar://127.0.0.1:6650;')
--- error_log eval
[main::says('pulsar.*not supported yet')]



=== TEST 49: dies: an empty root path
--- http_config eval
$main::base . main::source('root_path "";')
--- error_log eval
[main::says('root_path')]



=== TEST 50: dies: too many arguments
--- http_config eval
$main::base . 'milvus_cdc_path /tmp/a /tmp/b;'
--- error_log eval
[main::arguments('milvus_cdc_path')]



=== TEST 51: dies: arguments where none belong
--- config
location /cdc { milvus_cdc_metrics on; }
--- error_log eval
[main::arguments('milvus_cdc_metrics')]



=== TEST 52: dies: two sources for one location
--- config
location /cdc { milvus_cdc main other; }
--- error_log eval
[main::arguments('milvus_cdc')]



=== TEST 53: dies: kafka_tls is a flag
--- http_config eval
$main::base . main::source('kafka_tls yes;')
--- error_log eval
[main::says('"?yes"?.*|"on" or "off"')]



=== TEST 54: dies: a source within a source
--- http_config eval
$main::base . main::source('milvus_cdc_source inner { }')
--- error_log eval
[qr/\[emerg\] .* in \S+nginx\.conf:\d+/]



=== TEST 55: dies: a name length of nothing
--- http_config eval
$main::base . 'milvus_cdc_max_name_length 0;'
--- error_log eval
[main::says('milvus_cdc_max_name_length|value|between')]



=== TEST 56: dies: no target to allow
--- http_config eval
$main::base . 'milvus_cdc_allow_target;'
--- error_log eval
[main::arguments('milvus_cdc_allow_target')]



=== TEST 57: dies: a port to allow that is none
--- http_config eval
$main::base . 'milvus_cdc_allow_target 127.0.0.1:99999;'
--- error_log eval
[main::says('127.0.0.1:99999')]



=== TEST 58: "if" and nested locations inherit the settings, not the handler
--- config
milvus_cdc_http_status compat;
location /cdc {
    milvus_cdc main;
    location /cdc/inner { return 204; }
}
--- request eval
[CDC::post('x'), "GET /cdc/inner"]
--- error_code eval
[200, 204]



=== TEST 59: dies: addresses of etcd with and without TLS
--- http_config eval
$main::base . main::source('etcd http://127.0.0.1:1 https://127.0.0.1:2;')
--- error_log eval
[main::says('http or all https')]



=== TEST 60: dies: a user of etcd without a password
--- http_config eval
$main::base . main::source('etcd_user u;')
--- error_log eval
[main::says('etcd_user and etcd_password')]



=== TEST 61: dies: a certificate for etcd without a key
--- http_config eval
$main::base . main::source('etcd https://127.0.0.1:1;',
                           'etcd_certificate /a;')
--- error_log eval
[main::says('etcd_certificate and etcd_certificate_key')]



=== TEST 62: dies: a CA for an etcd without TLS
--- http_config eval
$main::base . main::source('etcd http://127.0.0.1:1;', 'etcd_ca /a;')
--- error_log eval
[main::says('need https')]



=== TEST 63: dies: a password of Kafka without a user
--- http_config eval
$main::base . main::source('kafka_password p;')
--- error_log eval
[main::says('kafka_user and kafka_password')]



=== TEST 64: dies: a mechanism of Kafka without a user
--- http_config eval
$main::base . main::source('kafka_mechanism PLAIN;')
--- error_log eval
[main::says('kafka_mechanism needs kafka_user')]



=== TEST 65: dies: a mechanism of Kafka that does not exist
--- http_config eval
$main::base . main::source('kafka_user u;', 'kafka_password p;',
                           'kafka_mechanism GSSAPI;')
--- error_log eval
[main::says('kafka_mechanism.*PLAIN')]



=== TEST 66: dies: a CA for a Kafka without TLS
--- http_config eval
$main::base . main::source('kafka_ca /a;')
--- error_log eval
[main::says('kafka_tls on')]



=== TEST 67: dies: a root path that ends with a slash
--- http_config eval
$main::base . main::source('root_path by-dev/;')
--- error_log eval
[main::says('root_path.*slash')]



=== TEST 68: dies: a broker without a host
--- http_config eval
$main::base . main::source('kafka :9092;')
--- error_log eval
[main::says('":9092"')]



=== TEST 69: dies: a broker whose port is none
--- http_config eval
$main::base . main::source('kafka 127.0.0.1:70000;')
--- error_log eval
[main::says('127.0.0.1:70000')]



=== TEST 70: dies: too many arguments within a source
--- http_config eval
$main::base . main::source('root_path a b;')
--- error_log eval
[main::arguments('root_path')]



=== TEST 71: dies: two users of Kafka
--- http_config eval
$main::base . main::source('kafka_user a b;')
--- error_log eval
[main::arguments('kafka_user')]



=== TEST 72: dies: milvus_cdc_timeout in a location
--- config
location /cdc { milvus_cdc main; milvus_cdc_timeout 1s; }
--- error_log eval
[main::context('milvus_cdc_timeout')]



=== TEST 73: dies: milvus_cdc_http_status outside of http
--- main_config
milvus_cdc_http_status strict;
--- error_log eval
[main::context('milvus_cdc_http_status')]



=== TEST 74: dies: two handlers for one location
--- config
location /cdc { milvus_cdc main; milvus_cdc_metrics; }
--- error_log eval
[main::says('milvus_cdc')]



=== TEST 75: dies: a helper that is not there
--- http_config
milvus_cdc_path $TEST_NGINX_CDC_STATE;
milvus_cdc_helper /no/such/helper;
--- error_log eval
[qr{\[emerg\].*/no/such/helper}]



=== TEST 76: dies: an empty path
--- http_config
milvus_cdc_path "";
--- error_log eval
[main::says('milvus_cdc_path')]



=== TEST 77: a source whose log is in RocksMQ
--- http_config eval
$main::base . main::source('rocksmq /var/lib/milvus/rdb_data;')
--- config
location /cdc { milvus_cdc main; }
--- response_body eval
CDC::empty_list()



=== TEST 78: dies: a directory of RocksMQ that is not absolute
--- http_config eval
$main::base . main::source('rocksmq rdb_data;')
--- error_log eval
[main::says('rocksmq.*must be an absolute path')]



=== TEST 79: dies: two directories of RocksMQ
--- http_config eval
$main::base . main::source('rocksmq /a;', 'rocksmq /b;')
--- error_log eval
[main::says('rocksmq.*is duplicate')]



=== TEST 80: dies: two directories of RocksMQ in one line
--- http_config eval
$main::base . main::source('rocksmq /a /b;')
--- error_log eval
[main::arguments('rocksmq')]



=== TEST 81: dies: RocksMQ with what belongs to Kafka
--- http_config eval
$main::base . main::source('rocksmq /a;', 'kafka_tls on;')
--- error_log eval
[main::says('either rocksmq or kafka')]



=== TEST 60: dies: milvus_cdc_audit_log in a server
--- config
milvus_cdc_audit_log logs/audit.log;
--- error_log eval
[main::context('milvus_cdc_audit_log')]



=== TEST 61: dies: milvus_cdc_audit_log twice
--- http_config eval
$main::base . 'milvus_cdc_audit_log a; milvus_cdc_audit_log b;'
--- error_log eval
[main::says('"milvus_cdc_audit_log" directive is duplicate')]



=== TEST 62: dies: milvus_cdc_audit_log off
--- http_config eval
$main::base . 'milvus_cdc_audit_log off;'
--- error_log eval
[main::says('"milvus_cdc_audit_log" directive needs a file')]



=== TEST 63: dies: a login in an address of etcd, which is not shown
--- http_config eval
$main::base . main::source('etcd http://root:Sesame-1@127.0.0.1:1;')
--- error_log eval
[main::says('"etcd" directive takes no login')]
--- no_error_log
Sesame-1



=== TEST 64: dies: a login in an address of Kafka, which is not shown
--- http_config eval
$main::base . main::source('kafka root:Sesame-1@127.0.0.1:1;')
--- error_log eval
[main::says('"kafka" directive takes no login')]
--- no_error_log
Sesame-1



=== TEST 65: dies: a comma between addresses
--- http_config eval
$main::base . main::source('kafka 127.0.0.1, 127.0.0.2;')
--- error_log eval
[main::says('comma in "127.0.0.1,": addresses have blanks')]



=== TEST 82: dies: a zone without room for one task, and how much that is
--- http_config eval
$main::base . 'milvus_cdc_zone tasks:32k;'
--- error_log eval
[main::says('milvus_cdc_zone "tasks" is too small: one task needs \d+k')]



=== TEST 83: dies: several sources, no main, and a location that names none
--- http_config eval
$main::base . 'milvus_cdc_source a { } milvus_cdc_source b { }'
--- config
location /cdc { milvus_cdc; }
--- error_log eval
[main::says('location "/cdc" has to name its source: there are 2')]



=== TEST 84: dies: a comma between targets
--- http_config eval
$main::base . 'milvus_cdc_allow_target 10.0.0.1,10.0.0.2;'
--- error_log eval
[main::says('invalid target "10.0.0.1,10.0.0.2", .* blanks between')]



=== TEST 85: dies: any target, and what is wanted
--- http_config eval
$main::base . 'milvus_cdc_allow_target *;'
--- error_log eval
[main::says('invalid target "\*", it should be .* \*\.domain')]



=== TEST 86: dies: an address of etcd with no host
--- http_config eval
$main::base . main::source('etcd http://;')
--- error_log eval
[main::says('no host in "http://"')]



=== TEST 87: dies: an address of etcd with a path
--- http_config eval
$main::base . main::source('etcd http://127.0.0.1:2379/v3;')
--- error_log eval
[main::says('nothing may follow the port in "http://127.0.0.1:2379/v3"')]



=== TEST 88: dies: a helper that is a directory
--- http_config eval
$main::base =~ s/milvus_cdc_helper \S+/milvus_cdc_helper \/tmp;/r
--- error_log eval
[main::says('the helper "/tmp" cannot be executed \(21: Is a directory\)')]
