# /cdc as an administrator would publish it: TLS, a client certificate and a
# password in front, proxy_pass to the module on a port of its own.

use strict;
use warnings;

use CDC;
use File::Temp qw(tempdir);
use Test::More;

my $dir = tempdir(CLEANUP => 1);
my $tls = Test::Nginx::Server::free_port();


sub run {
    my ($command) = @_;

    my $out = `cd $dir && $command 2>&1 </dev/null`;
    die "$command: $out" if $?;
    return $out;
}


sub certificate {
    my ($name, $extra) = @_;

    run("openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr"
        . " -subj /CN=$name");
    run("openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key"
        . " -CAcreateserial -days 2 -out $name.pem $extra");
}


run('openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem'
    . ' -days 2 -subj "/CN=test CA"');
run('printf "subjectAltName=DNS:localhost,IP:127.0.0.1" > san');
certificate('localhost', '-extfile san');
certificate('client', '');

# a certificate that nobody knows
run('openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key'
    . ' -out other.pem -days 2 -subj /CN=client');

run('printf "admin:%s\n" "$(openssl passwd -apr1 Sesame-6)" > passwords');
chmod 0755, $dir;

my $nginx = CDC::Nginx->new;
my $plain = $nginx->port;

$nginx->configure(http => <<"EOT");
    server {
        listen 127.0.0.1:$tls ssl;
        server_name localhost;

        ssl_certificate $dir/localhost.pem;
        ssl_certificate_key $dir/localhost.key;
        ssl_client_certificate $dir/ca.pem;
        ssl_verify_client on;

        location /cdc {
            auth_basic "Milvus CDC";
            auth_basic_user_file $dir/passwords;
            proxy_pass http://127.0.0.1:$plain;
        }
    }
EOT

$nginx->start;
ok($nginx->ready, 'the API answers');


# body and status of a request through TLS
sub through {
    my ($body, %opt) = @_;

    open my $fh, '>', "$dir/body" or die "body: $!";
    print $fh $body;
    close $fh;

    my $cert = $opt{cert} // 'client';
    my $out = `curl -sS --max-time 30 --cacert $dir/ca.pem \\
        @{[$cert ? "--cert $dir/$cert.pem --key $dir/$cert.key" : '']} \\
        @{[defined $opt{user} ? "-u '$opt{user}'" : '']} \\
        -H 'Content-Type: application/json' --data-binary \@$dir/body \\
        -w '%{http_code}' https://localhost:$tls/cdc 2>&1 </dev/null`;

    $out =~ s/(\d{3})\z// or return ('', $out);
    return ($1, $out);
}


my $admin = 'admin:Sesame-6';
my $list = '{"request_type":"list"}';
my (undef, $create) = split /\n/, CDC::create(task_id => 'one'), 2;

{
    my ($status, $body) = through($list, user => $admin);
    is($status, 200, 'certificate and password: 200');
    is($body, CDC::empty_list(), 'the list');
}

is((through($list))[0], 401, 'no password: 401');
is((through($list, user => 'admin:wrong'))[0], 401, 'wrong password: 401');
is((through($list, user => $admin, cert => ''))[0], 400,
   'no certificate: 400');
is((through($list, user => $admin, cert => 'other'))[0], 400,
   'a certificate of somebody else: 400');

{
    my ($status, $body) = through($create, user => 'admin:wrong');
    is($status, 401, 'no task without a password');
    is_deeply($nginx->tasks, [], 'indeed');
}

{
    my ($status, $body) = through($create, user => $admin);
    is($status, 200, 'create: 200') or diag($body);
    is($body, CDC::created('one'), 'the task');

    ($status, $body) = through('{"request_type":"get","request_data":'
                               . '{"task_id":"one"}}', user => $admin);
    like($body, qr/"state":"Running"/, 'it runs');

    ($status, $body) = through('{"request_type":"delete","request_data":'
                               . '{"task_id":"one"}}', user => $admin);
    is($body, CDC::success(), 'delete');
}

{
    my ($status, $body) = through('{"request_type":"x"}', user => $admin);
    is($status, 400, 'the status of an error comes through');
}

unlike($nginx->log, qr/Sesame/, 'no password in the log');

CDC::done();
