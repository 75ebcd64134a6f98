package Test::Nginx::Server;

# One nginx under test: its server root, its configuration, start and stop.
#
# The server runs as a daemon in a temporary directory and on a port that no
# other run holds.  This process is a child subreaper (Subreaper.pm): the
# daemon becomes our child when its starter exits, so stopping is a wait and
# not a poll, and whatever a stop leaves behind becomes our child too, which
# is how an orphan is noticed.

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use File::Spec;
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Subreaper;
use Time::HiRes qw(sleep time);

# below what the testbeds take, and what the kernel takes for clients
use constant PORTS => (5000, 9900);

my @marks;


sub new {
    my ($class) = @_;

    my $root = $ENV{TEST_NGINX_SERVROOT};
    my $keep = $ENV{TEST_NGINX_NO_CLEAN};

    $root = tempdir("cdc-t-XXXXXXXX", TMPDIR => 1, CLEANUP => !$keep)
        . "/servroot" if !defined $root;

    return bless {
        root        => $root,
        port        => $ENV{TEST_NGINX_PORT} || free_port(),
        binary      => $ENV{TEST_NGINX_BINARY} || 'nginx',
        workers     => 1,
        master      => 'off',
        connections => 64,
        log_level   => $ENV{TEST_NGINX_LOG_LEVEL} || 'debug',
        env         => [],
        location    => 1,
        owner       => $$,
    }, $class;
}


# A free TCP port of 127.0.0.1.  A socket in the abstract name space marks it
# until this process ends, whatever way: two runs side by side never pick the
# same one between look and listen.
sub free_port {
    my ($low, $high) = PORTS;

    for (1 .. 1000) {
        my $port = $low + int rand($high - $low);

        my $mark = IO::Socket::UNIX->new(Local => "\0cdc-test-port-$port",
                                         Listen => 1) or next;

        # SO_REUSEADDR passes over TIME_WAIT, as nginx's own bind does
        my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                          LocalPort => $port,
                                          Listen => 1, ReuseAddr => 1)
            or next;
        close $probe;

        push @marks, $mark;
        return $port;
    }

    die "no free port between $low and $high\n";
}


sub path {
    my ($self, $name) = @_;
    return "$self->{root}/$name";
}


sub setup {
    my ($self) = @_;

    remove_tree($self->{root});
    make_path(map { $self->path($_) } qw(conf logs html));

    $self->spit("html/index.html", "<html><head><title>It works!</title>"
                . "</head><body>It works!</body></html>");
}


sub spit {
    my ($self, $name, $text) = @_;

    open my $fh, '>', $self->path($name) or die "$name: $!\n";
    print $fh $text;
    close $fh or die "$name: $!\n";
}


sub slurp {
    my ($self, $name) = @_;

    open my $fh, '<', $self->path($name) or return '';
    local $/;
    return scalar(<$fh>) // '';
}


# $part: main, http, server, post - texts with the variables expanded
sub configure {
    my ($self, %part) = @_;

    my $root = $self->{root};
    my $user = $ENV{TEST_NGINX_WORKER_USER} // ($> == 0 ? 'root' : '');
    my $level = $part{log_level} || $self->{log_level};

    my $main = join '', map { "load_module $_;\n" }
        split ' ', $ENV{TEST_NGINX_LOAD_MODULES} || '';
    $main .= "user $user;\n" if length $user;
    $main .= "env $_;\n"
        for qw(LD_PRELOAD LD_LIBRARY_PATH
               ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS),
            map { /\s/ ? "'$_'" : $_ } @{$self->{env}};

    my $temp = join "\n", map { "    ${_}_temp_path $root/${_}_temp;" }
        qw(client_body proxy fastcgi uwsgi scgi);

    my $location = $self->{location}
        ? "location / { root $root/html; index index.html; }" : '';

    $self->spit("conf/nginx.conf", <<"EOT");
worker_processes $self->{workers};
daemon on;
master_process $self->{master};
error_log logs/error.log $level;
pid logs/nginx.pid;
$main
$part{main}

events {
    worker_connections $self->{connections};
}

http {
    access_log logs/access.log;
$temp
    default_type text/plain;
    keepalive_timeout 68s;
$part{http}

    server {
        listen 127.0.0.1:$self->{port};
        server_name localhost;
        client_max_body_size 30m;

$part{server}

        $location
    }
}

$part{post}
EOT
}


# returns the exit status of the command: 0 when the server is up
sub start {
    my ($self) = @_;

    $self->{before} = { map { $_ => 1 } Subreaper::descendants($$) };

    # one that was killed has left its pid file
    unlink $self->path("logs/nginx.pid");

    my $pid = fork() // die "fork: $!\n";

    if ($pid == 0) {
        $ENV{LD_PRELOAD} = $ENV{TEST_NGINX_LD_PRELOAD}
            if $ENV{TEST_NGINX_LD_PRELOAD};

        open STDIN, '<', File::Spec->devnull();
        open STDOUT, '>', $self->path("logs/stdout");
        open STDERR, '>', $self->path("logs/stderr");

        exec $self->{binary}, '-p', "$self->{root}/",
            '-e', $self->path("logs/error.log"),
            '-c', $self->path("conf/nginx.conf") or POSIX::_exit(127);
    }

    waitpid $pid, 0;
    return $? >> 8 || $? if $?;

    # the daemon writes its pid after its parent has gone
    for (1 .. 500) {
        if ($self->slurp("logs/nginx.pid") =~ /^(\d+)\n/) {
            $self->{pid} = $1;
            return 0;
        }

        sleep 0.01;
    }

    return -1;
}


sub running {
    my ($self) = @_;

    Subreaper::reap();
    return $self->{pid} && kill 0, $self->{pid};
}


# Stops the server; returns a list of what was wrong with that.
sub stop {
    my ($self) = @_;
    my @wrong;

    return if !$self->{before} || $self->{owner} != $$;

    if (!$self->{pid}) {
        # it never came up

    } elsif (!$self->running) {
        push @wrong, "nginx was gone before it was stopped";

    } else {
        my $quit = $ENV{TEST_NGINX_FAST_SHUTDOWN} ? 'TERM' : 'QUIT';

        for my $try ([$quit, 15], ['TERM', 10], ['KILL', 5]) {
            my ($signal, $seconds) = @$try;

            last if $self->signal_gone($signal, $seconds);
            push @wrong, "nginx did not stop in $seconds s after SIG$signal";
        }
    }

    delete $self->{pid};

    my $before = delete $self->{before};

    # an orderly stop leaves nobody; PDEATHSIG gets a moment to work
    my @left;
    for (1 .. 100) {
        Subreaper::reap();
        @left = grep { !$before->{$_} } Subreaper::descendants($$);
        last if !@left;
        sleep 0.01;
    }

    if (@left) {
        my $all = Subreaper::processes();
        push @wrong, "left behind: " . join ', ',
            map { "$all->{$_}[2] ($_)" } grep { $all->{$_} } @left;
        kill 'KILL', @left;
        sleep 0.05;
        Subreaper::reap();
    }

    return @wrong;
}


# A single process may look at its flags just before the signal arrives and
# then sleep in epoll_wait(): without a master the signal is sent again.
sub signal_gone {
    my ($self, $signal, $seconds) = @_;
    my $until = time + $seconds;
    my $again = 0;

    while (time < $until) {
        if (time >= $again) {
            kill $signal, $self->{pid};
            $again = $self->{master} eq 'on' ? $until : time + 0.2;
        }

        return 1 if !$self->running;
        sleep 0.005;
    }

    return 0;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);
    $self->stop;
}


1;
