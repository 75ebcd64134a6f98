# The Debian package: it builds from a copy of the tree, holds what it should,
# and, installed beside the machine's own nginx, serves a task; removed and
# purged it leaves nothing.

use strict;
use warnings;

use CDC;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $t = dirname(abs_path(__FILE__));
my $top = dirname($t);
my $dir = tempdir("cdc-package-XXXXXXXX", TMPDIR => 1, CLEANUP => 1);
my $package = 'libnginx-mod-http-milvus-cdc';

chmod 0755, $dir;
mkdir "$dir/src";
is(system("tar -C '$top' --exclude='./build*' --exclude=./.git -cf - ."
          . " | tar -C $dir/src -xf -"), 0, 'a copy of the tree');

{
    # what a build for tests has in its environment is not for a package
    delete local @ENV{qw(BUILD SANITIZE FAULTS MAKEFLAGS MFLAGS)};
    local $ENV{DEB_BUILD_OPTIONS} = 'parallel=2 noautodbgsym';

    is(system("cd $dir/src && dpkg-buildpackage -b -us -uc >$dir/log 2>&1"
              . ' </dev/null'), 0, 'dpkg-buildpackage')
        or diag(`tail -n 40 $dir/log`);
}

my ($deb) = glob "$dir/${package}_*.deb";
ok($deb, 'a package is there') or BAIL_OUT('no package');

SKIP: {
    skip 'lintian is not installed', 1
        if system('command -v lintian >/dev/null 2>&1') != 0;

    is(`lintian --allow-root --fail-on none $deb 2>&1`, '',
       'lintian finds no error and nothing to warn of');
}

my $depends = `dpkg-deb -f $deb Depends`;
like($depends, qr/\b$_\b/, "depends on $_")
    for qw(nginx-abi-[\d.]+-\d+ libjansson4 libgrpc29 librdkafka1
           librocksdb[\d.]+);

my %there = map { (split ' ', $_, 6)[5] => (split)[0] . ' ' . (split)[1] }
    split /\n/, `dpkg-deb -c $deb`;
my $root = 'root/root';

is($there{"./usr/lib/nginx/$_->[0]"}, "$_->[1] $root", $_->[0])
    for (['modules/ngx_http_milvus_cdc_module.so', '-rw-r--r--'],
         ['milvus-cdc-helper', '-rwxr-xr-x']);
ok($there{"./usr/share/nginx/modules-available/mod-http-milvus-cdc.conf"},
   'the load file');
ok($there{"./usr/share/doc/$package/examples/nginx.conf"}, 'an example');

# a helper that writes down where it was built says so in a backtrace only
is(system("dpkg-deb --fsys-tarfile $deb | tar -xO ./usr/lib/nginx"
          . " | grep -qF $dir"), 256, 'no path of the build in it');

my $version = (`head -n 1 $top/debian/changelog` =~ /\(([\d.]+)\)/)[0];
my ($built) = `grep CDC_VERSION $top/include/cdc_base.h` =~ /"(.*)"/;
is($version, $built, 'its version is that of the module');

SKIP: {
    skip 'root is needed to install', 1 if $> != 0;
    skip 'a mount namespace is needed', 1
        if system('unshare -m true 2>/dev/null') != 0;

    my $target = CDC::target();
    my $port = Test::Nginx::Server::free_port();

    open my $fh, '>', "$dir/conf" or die "conf: $!";
    print $fh "milvus_cdc_source main { etcd $ENV{TEST_NGINX_CDC_ETCD};"
        . " $ENV{TEST_NGINX_CDC_LOG}; }\n"
        . "server { listen 127.0.0.1:$port; location = /cdc { milvus_cdc; } }\n";
    close $fh;

    my (undef, $body) = split /\n/, CDC::create(task_id => 'packaged'), 2;
    open $fh, '>', "$dir/conf.create" or die "conf.create: $!";
    print $fh $body;
    close $fh;

    my $out = `unshare -m --propagation private \\
        $t/lib/package-try $deb $dir/conf $port 2>$dir/errors </dev/null`;
    is($?, 0, 'install, run, remove') or diag($out, `cat $dir/errors`);

    my %said = map { split /: /, $_, 2 } split /\n/, $out;

    is($said{status}, 'install ok installed', 'dpkg -i');
    is($said{link}, '/usr/share/nginx/modules-available/'
       . 'mod-http-milvus-cdc.conf', 'the module is enabled');
    like($said{test} // '', qr/ test is successful$/, 'nginx -t');
    like($said{create} // '',
         qr/^\{"code":200,"data":\{"task_id":"packaged"/, 'create');
    like($said{list} // '', qr/"state":"Running"/, 'list');
    cmp_ok($said{helper} // 0, '>=', 2, 'store and replicator run');
    is($said{state}, 'www-data 700', 'the state directory');
    is($said{removed}, '/var/lib/nginx/milvus-cdc ',
       'removed: the tasks stay');
    is($said{purged}, '', 'purged: nothing stays');
    like($said{again} // '', qr/ test is successful$/,
         'nginx goes on without the module');
    is($said{alerts}, 0, 'no alert in the log');
}

CDC::done();
