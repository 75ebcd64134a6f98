# Every file of conf/: nginx takes it, nginx notices a directive in it that is
# wrong, and what it promises (who gets in and who does not) is so.

use strict;
use warnings;

use CDC;
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Test::More;

my $conf = dirname(dirname(abs_path(__FILE__))) . "/conf";
my $dir = tempdir(CLEANUP => 1);
my ($nginx) = grep { -x } map { "$_/nginx" }
    '/usr/sbin', split /:/, $ENV{PATH};

chmod 0755, $dir;
mkdir "$dir/$_" for qw(log run tmp etc);

# a user that workers run as looks here
copy($ENV{TEST_NGINX_CDC_HELPER}, "$dir/helper") or die "copy: $!";
chmod 0755, "$dir/helper";


sub run {
    my ($command) = @_;

    my $out = `cd $dir/etc && $command 2>&1 </dev/null`;
    die "$command: $out" if $?;
    return $out;
}


sub slurp {
    my ($path) = @_;

    open my $fh, '<', $path or die "$path: $!";
    local $/;
    return scalar <$fh>;
}


# what the files expect to find in /etc/nginx/milvus-cdc
run('openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out clients.pem'
    . ' -days 2 -subj "/CN=test CA"');
run('printf "subjectAltName=IP:127.0.0.1" > san');

for my $name (qw(server client)) {
    run("openssl req -newkey rsa:2048 -nodes -keyout $name.key"
        . " -out $name.csr -subj /CN=$name");
    run("openssl x509 -req -in $name.csr -CA clients.pem -CAkey ca.key"
        . " -CAcreateserial -days 2 -out $name.pem -extfile san");
}

run('printf "ops:%s\n" "$(openssl passwd -apr1 Sesame-6)" > htpasswd');
run("printf '\"Bearer %064d\" backup-job;\\n' 7 > tokens");


# The file as nginx gets it here: its own paths, ports of this test.  Answers
# the path and, by the port in the file, the one that was taken.
sub place {
    my ($file, $change) = @_;
    my (%port, $text);

    $text = slurp($file);
    $change->($text) if $change;

    $text =~ s{/etc/nginx/milvus-cdc/}{$dir/etc/}g;
    $text =~ s{/var/log/nginx/}{$dir/log/}g;
    $text =~ s{/run/nginx\.pid}{$dir/run/nginx.pid}g;
    $text =~ s{/var/lib/nginx/milvus-cdc\b}{$dir/state}g;
    $text =~ s{\bmodules/ngx_http_milvus_cdc_module\.so}
              {$ENV{TEST_NGINX_LOAD_MODULES}}g;
    $text =~ s{^(\s*listen\s+)(?:[\d.]+:)?(\d+)}
              {$port{$2} = Test::Nginx::Server::free_port();
               "${1}127.0.0.1:$port{$2}"}gme;
    # the machine may have no such user, and this nginx may not be root
    $text =~ s{^user .*\n}{}m if $> != 0 || !defined getpwnam('www-data');

    my $here = "$dir/etc/" . basename($file);
    open my $fh, '>', $here or die "$here: $!";
    print $fh $text;
    close $fh;

    my $more = "milvus_cdc_helper $dir/helper; " . join ' ',
        map { "${_}_temp_path $dir/tmp/$_;" }
        qw(client_body proxy fastcgi uwsgi scgi);

    if ($text =~ /^http \{/m) {
        $text =~ s/^http \{/http { $more/m;
    } else {
        my $user = $> == 0 && defined getpwnam('www-data')
            ? 'user www-data;' : '';
        $text = "load_module $ENV{TEST_NGINX_LOAD_MODULES}; $user"
            . " error_log $dir/log/error.log info; pid $dir/run/nginx.pid;"
            . " worker_processes 1; events { }"
            . " http { access_log off; milvus_cdc_path $dir/state; $more"
            . " include $here; }\n";
    }

    open $fh, '>', "$dir/nginx.conf" or die "$dir/nginx.conf: $!";
    print $fh $text;
    close $fh;

    return \%port;
}


sub nginx {
    my (@more) = @_;

    local $ENV{LD_PRELOAD} = $ENV{TEST_NGINX_LD_PRELOAD} // '';
    my $out = `$nginx -p $dir/ -e $dir/log/early.log -c $dir/nginx.conf \\
        @more 2>&1 </dev/null`;
    return ($?, $out);
}


# status of a request, and its body
sub ask {
    my ($url, @more) = @_;

    my $out = `curl -s --noproxy '*' --max-time 10 -o $dir/answer \\
        -w '%{http_code}' @more $url </dev/null`;
    return $out;
}


my $list = q(-d '{"request_type":"list"}');

sub with_nginx {
    my ($name, $test) = @_;
    my $port = place("$conf/$name");
    my ($status, $out) = nginx();

    is($status, 0, "$name: nginx starts") or diag($out), return;

    # a wrong answer, refusal included, is one: the test itself will say
    my $first = (values %$port)[0];
    CDC::wait_for(sub { ask("http://127.0.0.1:$first/") ne '000'; }, 5);
    $test->($port);
    nginx('-s', 'stop');
    # it removes its pid file a moment before it ends
    ok(CDC::wait_for(sub {
        Subreaper::reap();
        return !-e "$dir/run/nginx.pid" && !scalar(Subreaper::descendants($$));
    }, 10), "$name: nginx stops");
}


# the first answers may come before the task table is there
sub listed {
    my ($name, @how) = @_;

    ok(CDC::wait_for(sub { ask(@how, $list) eq '200' }, 10), $name)
        or diag(slurp("$dir/log/error.log"));
}


my @files = sort glob "$conf/*.conf";
cmp_ok(scalar @files, '>', 4, 'there are files to look at');

for my $file (@files) {
    my $name = basename($file);

    place($file);
    my ($status, $out) = nginx('-t');
    is($status, 0, "$name: nginx takes it") or diag($out);
    unlike($out, qr/\[warn\]/, "$name: without a warning");

    my @own = slurp($file) =~ /^\s*(milvus_cdc\w*)/gm;
    cmp_ok(scalar @own, '>', 0, "$name: has something of the module");

    # each line of the module counts: with any one spoilt nginx refuses it
    my $missed = '';
    for my $n (0 .. $#own) {
        place($file, sub {
            my $i = 0;
            $_[0] =~ s/^(\s*milvus_cdc)(?=\w*[\s;])
                      /$i++ == $n ? "${1}_x" : $1/gmex;
        });
        ($status, $out) = nginx('-t');
        $missed .= "line $n ($own[$n]): $out"
            if !$status || $out !~ /unknown directive "milvus_cdc_x/;
    }
    is($missed, '', "$name: a wrong directive is noticed");
}


with_nginx('nginx.conf', sub {
    my $base = "http://127.0.0.1:$_[0]{8444}/cdc";

    listed('nginx.conf: the API of the first source', $base);
    listed('nginx.conf: the API of the second', "$base/cluster");
    is(ask("$base/health"), 200, 'nginx.conf: health');
    is(ask("$base/metrics"), 200, 'nginx.conf: metrics');
});

with_nginx('password.conf', sub {
    my $base = "http://127.0.0.1:$_[0]{8445}/cdc";

    listed('password.conf: with the password', "-u ops:Sesame-6 $base");
    is(ask($base, $list), 401, 'password.conf: without one');
    is(ask("-u ops:sesame $base", $list), 401, 'password.conf: a wrong one');
    is(ask("$base/metrics"), 401, 'password.conf: metrics without one');
    is(ask("$base/health"), 200, 'password.conf: health without one');

    like(ask("-u ops:Sesame-6 '$base?n=[1-150]'", $list), qr/200429/,
         'password.conf: a rate that is too high is refused');
});

with_nginx('token.conf', sub {
    my $base = "http://127.0.0.1:$_[0]{8446}/cdc";
    my $token = sprintf "-H 'Authorization: Bearer %064d'", 7;

    listed('token.conf: with the token', "$token $base");
    is(ask($base, $list), 401, 'token.conf: without one');
    like(slurp("$dir/answer"), qr/^\{"code":401,"message":"[^"]+"\}$/,
         'token.conf: the answer is JSON');
    is(ask("-H 'Authorization: Bearer 7' $base", $list), 401,
       'token.conf: a wrong one');
    is(ask("$base/metrics"), 401, 'token.conf: metrics without one');
    like(slurp("$dir/log/milvus-cdc-callers.log"),
         qr{127\.0\.0\.1 "backup-job" POST /cdc 200}, 'token.conf: the log');
    unlike(slurp("$dir/log/milvus-cdc-callers.log"), qr/0007/,
           'token.conf: without the token');
});

with_nginx('tls.conf', sub {
    my $base = "https://127.0.0.1:$_[0]{8443}/cdc";
    my $ca = "--cacert $dir/etc/clients.pem";
    my $cert = "$ca --cert $dir/etc/client.pem --key $dir/etc/client.key";

    listed('tls.conf: with certificate and password',
           "$cert -u ops:Sesame-6 $base");
    is(ask("$cert $base", $list), 401, 'tls.conf: without the password');
    is(ask("$ca -u ops:Sesame-6 $base", $list), 400,
       'tls.conf: without the certificate');
    is(ask("$cert $base/health"), 200, 'tls.conf: health');

    my $other = '"milvus_connect_param":{"uri":"http://192.0.2.1:19530"}';
    is(ask("$cert -u ops:Sesame-6 $base", "-d '" . '{"request_type":"create",'
           . '"request_data":{' . $other . ',"collection_infos":[{"name":"*"}]'
           . "}}'"), 400, 'tls.conf: a target that is not allowed');
    like(slurp("$dir/answer"), qr/is not in milvus_cdc_allow_target/,
         'tls.conf: and why');
});

with_nginx('metrics.conf', sub {
    my $base = "http://127.0.0.1:$_[0]{9144}/cdc";

    ok(CDC::wait_for(sub { ask("$base/health") eq '200' }, 10),
       'metrics.conf: health');
    is(ask("$base/metrics"), 200, 'metrics.conf: metrics');
    like(slurp("$dir/answer"), qr/^milvus_cdc_ready 1$/m,
         'metrics.conf: of the module');
    is(ask($base, $list), 404, 'metrics.conf: no API');
});

with_nginx('switchover.conf', sub {
    my $base = "http://127.0.0.1:$_[0]{8447}/cdc";

    listed('switchover.conf: the API of the first source', "$base/first");
    listed('switchover.conf: the API of the second', "$base/second");
});

with_nginx('audit.conf', sub {
    my $base = "-u ops:Sesame-6 http://127.0.0.1:$_[0]{8448}/cdc";

    listed('audit.conf: the API', $base);
    my $pause = '{"request_type":"pause","request_data":{"task_id":"none"}}';
    is(ask($base, "-d '$pause'"), 400, 'audit.conf: one that is refused');

    my $audit = slurp("$dir/log/milvus-cdc-audit.log");
    like($audit, qr/"user":"ops".*"type":"pause","task_id":"none","code":400/,
         'audit.conf: who asked for what');
    unlike($audit, qr/"list"/, 'audit.conf: no line for who only looks');
    like(slurp("$dir/log/milvus-cdc-access.log"),
         qr/ 127\.0\.0\.1 ops \w{32} pause none 400 /, 'audit.conf: the other');
});

with_nginx('console.conf', sub {
    my $base = "https://127.0.0.1:$_[0]{8449}/cdc";
    my $who = "--cacert $dir/etc/clients.pem -u ops:Sesame-6";

    listed('console.conf: the API', "$who $base");
    is(ask("$who $base/ui/"), 200, 'console.conf: the page');
    like(slurp("$dir/answer"), qr/<html/i, 'console.conf: it is one');
    is(ask("--cacert $dir/etc/clients.pem $base/ui/"), 401,
       'console.conf: not without the password');
});

CDC::done();
