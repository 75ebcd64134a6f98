# The runner itself: what must pass passes, each wrong expectation fails, and
# what it does not know ends a suite.  Upstream's Test::Nginx is not judged.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Test::More;

my $t = dirname(abs_path(__FILE__));
my $own = "$t/lib";

delete @ENV{grep { /^TEST_NGINX_/ && $_ ne 'TEST_NGINX_BINARY' } keys %ENV};
delete $ENV{PERL5OPT};

my $temp = $ENV{TMPDIR} || '/tmp';
my @before = servroots();


sub servroots { return glob("$temp/cdc-t-*") }

sub fixture {
    my ($name) = @_;
    my $out = `$^X -I$own $t/fixtures/$name.t 2>&1 </dev/null`;
    return ($out, $? >> 8);
}


{
    my ($out, $status) = fixture('pass');

    is($status, 0, 'the passing fixture ends with 0') or diag($out);
    ok($out !~ /^not ok/m, 'nothing fails in it');
    like($out, qr/^ok \d+ # skip TEST 12/m, 'skip_nginx skips');
    ok($out !~ /TEST 13/, 'SKIP skips');

    my @checked = $out =~ /^ok \d+ (?:-|# skip) TEST (\d+)/mg;
    my %n;
    $n{$_}++ for @checked;
    is_deeply([sort { $a <=> $b } keys %n],
              [1 .. 9, 11, 12, 14], 'each other block has been checked');
    is($n{1}, 18, 'repeat_each(2) checks the first block twice');
}

{
    my ($out, $status) = fixture('fail');
    my @blocks = read_blocks('fail');

    isnt($status, 0, 'the failing fixture does not end with 0');
    cmp_ok(scalar @blocks, '>=', 30, 'its blocks are known');

    for my $block (@blocks) {
        my ($number) = $block =~ /^TEST (\d+):/;
        like($out, qr/^not ok \d+ - TEST $number:/m, "fails: $block")
            if $number != 29;
    }

    like($out, qr/^not ok \d+ - a check of the suite/m,
         'fails: a check that the suite added');
    like($out, qr/TEST 28: an orphan - left behind: sleep \(\d+\)/,
         'an orphan is named');
}

for my $file (glob("$t/fixtures/die-*.t")) {
    my ($name) = $file =~ m{/([^/]+)\.t$};
    my ($out, $status) = fixture($name);

    isnt($status, 0, "$name ends the suite");
    unlike($out, qr/^not ok/m, "$name is no mere failure");
    like($out, expected_message($name), "$name says why");
}

{
    # two runs side by side choose different ports and directories
    my @pipes = map {
        open my $fh, '-|', "$^X -I$own $t/fixtures/pass.t 2>&1 </dev/null"
            or die "open: $!";
        $fh;
    } 1 .. 2;

    for my $i (0 .. 1) {
        my $fh = $pipes[$i];
        my $out = do { local $/; <$fh> };
        ok(close($fh), "run $i beside another passes") or diag($out);
    }
}

is_deeply([servroots()], \@before, 'no server root is left');


sub read_blocks {
    my ($name) = @_;

    open my $fh, '<', "$t/fixtures/$name.t" or die "$name: $!";
    return map { /^=== (.*)$/ ? $1 : () } <$fh>;
}


sub expected_message {
    my ($name) = @_;

    my %message = (
        'die-unknown-section' => qr/unknown section "response_boddy"/,
        'die-foreign-section' => qr/unknown section "tcp_listen"/,
        'die-duplicate-section' => qr/section "error_code" given twice/,
        'die-unknown-function' => qr/no_such_function/,
        'die-foreign-function' => qr/use_hup/,
        'die-eval-error' => qr/TEST 1: refused: eval: /,
        'die-unset-variable' => qr/\$TEST_NGINX_NO_SUCH_VARIABLE is not set/,
        'die-no-request' => qr/one request section is needed/,
        'die-two-requests' => qr/one request section is needed/,
        'die-no-config' => qr/no "config" section/,
        'die-no-array' => qr/"response_body" is no array/,
        'die-short-array' => qr/"error_code" has no item 1/,
        'die-grep-without-out' => qr/go together/,
        'die-no-blocks' => qr/no test blocks/,
    );

    return $message{$name} || die "no message is known for $name";
}


done_testing();
