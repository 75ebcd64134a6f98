# The fuzz targets (t/fuzz), all of them within a minute.  `sh t/run asan`
# builds them and says where they are in CDC_FUZZ; `make fuzz` and
# t/soak/fuzz run them for longer (CDC_FUZZ_SECONDS each), or some of them
# (arguments).
#
# What a target has found, and an input that fails, lie where it does; the
# committed inputs (t/fuzz/corpus) are only read.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use Test::More;

use constant ALL => 45;                  # seconds, of all of them

my $t = dirname(abs_path(__FILE__));
my $bin = $ENV{CDC_FUZZ}
    or plan skip_all => '"sh t/run asan" builds the fuzz targets';

my @names = @ARGV ? @ARGV : map { basename($_, '.c') } glob("$t/fuzz/*.c");
my $jobs = $ENV{CDC_FUZZ_JOBS} || `nproc` || 1;
my $seconds = $ENV{CDC_FUZZ_SECONDS} || int(ALL * $jobs / @names) || 1;

# not those of nginx, whose globals are no leaks
$ENV{ASAN_OPTIONS} = 'detect_leaks=1';
$ENV{UBSAN_OPTIONS} = 'print_stacktrace=1:halt_on_error=1';

my %running;


sub start {
    my ($name) = @_;
    my $found = "$bin/corpus/$name";
    my $seeds = "$t/fuzz/corpus/$name";

    mkdir "$bin/corpus";
    mkdir $found;

    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$bin/$name.log" or die "$bin/$name.log: $!";
        open STDERR, '>&', \*STDOUT;
        exec 'nice', '-n', '19', "$bin/$name", "-max_total_time=$seconds", '-timeout=25',
             '-rss_limit_mb=2048', '-print_final_stats=1',
             "-artifact_prefix=$bin/$name-", $found,
             -d $seeds ? $seeds : ()
            or die "$bin/$name: $!\n";
    }

    $running{$pid} = $name;
}


sub finish {
    my $pid = wait();
    my $name = delete $running{$pid};
    my $status = $?;

    open my $fh, '<', "$bin/$name.log" or die "$bin/$name.log: $!";
    my @log = <$fh>;
    my ($runs) = "@log" =~ /number_of_executed_units:\s+(\d+)/;

    # none at all is no success: of a library that is not there, say
    ok($status == 0 && $runs, "$name: " . ($runs || 'no') . " inputs in "
       . "$seconds s")
        or diag("status $status, $bin/$name.log:\n", grep { !/^#\d/ } @log);
}


for my $name (@names) {
    finish() if keys %running >= $jobs;
    start($name);
}

finish() while %running;

done_testing();
