package Subreaper;

# Makes this process adopt what its descendants leave behind, so that a
# daemonized nginx can be waited for (instead of watching its zombie until
# PID 1 looks at it) and an orphaned helper can be found.
#
# perl -MSubreaper, or PERL5OPT="-It/lib -MSubreaper" for upstream's runner.

use strict;
use warnings;

use Config;
use POSIX ();

use constant PR_SET_CHILD_SUBREAPER => 36;

my %prctl = (x86_64 => 157, aarch64 => 167, riscv64 => 167, i686 => 172);


sub import {
    my ($arch) = (POSIX::uname())[4];

    my $nr = $prctl{$arch}
        or die "Subreaper: no prctl() number known for \"$arch\"\n";

    syscall($nr, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        or die "Subreaper: prctl(PR_SET_CHILD_SUBREAPER) failed: $!\n";
}


# pid => [ppid, state, name] of every process
sub processes {
    my %all;

    for my $stat (glob("/proc/[0-9]*/stat")) {
        open my $fh, '<', $stat or next;
        my $line = <$fh> // next;

        # the name stands in parentheses and may hold anything
        $line =~ /^(\d+) \((.*)\) (\S) (\d+)/s or next;
        $all{$1} = [$4, $3, $2];
    }

    return \%all;
}


# the living descendants of $pid, parents first
sub descendants {
    my ($pid) = @_;

    my $all = processes();
    my (%kids, @found);

    push @{$kids{$all->{$_}[0]}}, $_ for sort { $a <=> $b } keys %$all;

    my @queue = ($pid);
    while (defined(my $p = shift @queue)) {
        for my $kid (@{$kids{$p} || []}) {
            push @queue, $kid;
            push @found, $kid if $all->{$kid}[1] ne 'Z';
        }
    }

    return @found;
}


# takes the exit status of every child that has ended
sub reap {
    my $n = 0;
    $n++ while waitpid(-1, POSIX::WNOHANG()) > 0;
    return $n;
}


1;
