package Test::Nginx::Client;

# The HTTP side of the runner: requests as a block states them, bytes over a
# socket, answers taken apart again.

use strict;
use warnings;

use Errno qw(EINTR EAGAIN EWOULDBLOCK);
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(sleep);


# Returns the connections of a block, each with the parts to be sent and the
# methods of the requests in them, and whether there is one request only.
sub requests {
    my ($block) = @_;

    my @given = grep { defined $block->$_ }
        qw(request raw_request pipelined_requests);
    @given == 1 or die $block->name . ": one request section is needed\n";

    my $section = $given[0];
    my $value = $block->$section;

    if ($section eq 'raw_request') {
        my @parts = map { {value => $_} } ref $value ? @$value : $value;
        my ($method) = $parts[0]{value} =~ /^(\S+)/;
        return [{parts => \@parts, methods => [$method // 'GET']}], 1;
    }

    if ($section eq 'request') {
        my @list = ref $value eq 'ARRAY' ? @$value : $value;
        my @out = map { request($block, $list[$_], $_, 'close') } 0 .. $#list;
        return \@out, @out == 1;
    }

    ref $value eq 'ARRAY'
        or die $block->name . ": pipelined_requests is no array\n";

    my @all = map {
        request($block, $value->[$_], $_,
                $_ == $#$value ? 'close' : 'keep-alive')
    } 0 .. $#$value;

    my $bytes = join '', map { $_->{value} } map { @{$_->{parts}} } @all;

    return [{parts => [{value => $bytes}],
             methods => [map { @{$_->{methods}} } @all]}], 0;
}


# "METHOD url HTTP/x", the body below it; an array is sent in those pieces
sub request {
    my ($block, $spec, $index, $connection) = @_;

    my @parts = map { ref $_ ? {%$_} : {value => $_} }
        ref $spec eq 'ARRAY' ? @$spec : $spec;

    $parts[0]{value} =~ s/\A(?:\s*\#[^\n]*\n|\s+)+//;

    # the line ends in the first piece
    my ($line, $rest) = split /\r?\n/, $parts[0]{value}, 2;
    my ($method, $url, $version) = split ' ', $line // '';
    defined $method or die $block->name . ": empty request line\n";

    $url //= '/';
    $version //= 'HTTP/1.1';
    $parts[0]{value} = $rest // '';

    my ($headers, $chunked, $sized) = more_headers($block, $index);

    if (!$chunked && !$sized) {
        $parts[0]{value} =~ s/\A\s+//;
        $parts[-1]{value} =~ s/\s+\z//;

        my $length = 0;
        $length += length $_->{value} for @parts;
        $headers .= "Content-Length: $length\r\n" if $length;
    }

    $headers = "Host: localhost\r\n$headers" if $headers !~ /^Host:/mi;
    $headers = "Connection: $connection\r\n$headers"
        if $headers !~ /^Connection:/mi;

    $parts[0]{value} = "$method $url $version\r\n$headers\r\n"
        . $parts[0]{value};

    return {parts => \@parts, methods => [$method]};
}


sub more_headers {
    my ($block, $index) = @_;
    my $text = $block->more_headers // '';

    if (ref $text) {
        $index < @$text
            or die $block->name . ": more_headers has no item $index\n";
        $text = $text->[$index];
    }

    my $headers = join '', map { "$_\r\n" }
        grep { /\S/ && !/^\s*\#/ } split /\r?\n/, $text;

    return $headers, $headers =~ /^Transfer-Encoding:\s*chunked/mi,
        $headers =~ /^Content-Length:/mi;
}


# Sends the parts and reads until the peer closes.  Reads while it writes: a
# server that refuses a body answers before it has taken all of it.
sub talk {
    my ($port, $parts, $seconds) = @_;

    my $sock = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port",
                                     Timeout => $seconds)
        or return '', "connect: $!";
    $sock->blocking(0);

    my $select = IO::Select->new($sock);
    my @parts = @$parts;
    my ($out, $in) = ('', '');

    for (;;) {
        if ($out eq '' && @parts) {
            my $part = shift @parts;
            sleep($part->{delay_before}) if $part->{delay_before};
            $out = $part->{value};
        }

        my ($r, $w) = IO::Select::select($select,
                                         $out ne '' ? $select : undef, undef,
                                         $seconds);
        return $in, 'timeout' if !$r && !$w;

        if (@$w) {
            my $n = syswrite $sock, $out;

            if (defined $n) {
                substr($out, 0, $n) = '';
            } elsif ($! != EINTR && $! != EAGAIN && $! != EWOULDBLOCK) {
                $out = '';
                @parts = ();
            }
        }

        if (@$r) {
            my $n = sysread $sock, $in, 65536, length $in;

            return $in if defined $n && $n == 0;
            return $in if !defined $n && $! != EINTR && $! != EAGAIN
                          && $! != EWOULDBLOCK;
        }
    }
}


# Takes one answer off the front of $$raw.
sub parse {
    my ($raw, $method) = @_;
    my %answer = (status => '', head => '', body => '', header => {});

    $$raw =~ s/\A(HTTP\/1\.[01] (\d+)[^\n]*\n.*?\r?\n)\r?\n//s
        or return \%answer;

    @answer{qw(head status)} = ($1, $2);

    my (undef, @lines) = split /\r?\n/, $answer{head};
    for my $line (@lines) {
        my ($key, $value) = split /:\s*/, $line, 2;
        my $h = \$answer{header}{lc $key};
        $$h = defined $$h ? "$$h, $value" : $value;
    }

    return \%answer
        if $method eq 'HEAD' || $answer{status} =~ /^(?:1..|204|304)$/;

    if (($answer{header}{'transfer-encoding'} // '') eq 'chunked') {
        $answer{body} = chunks($raw);

    } elsif (defined(my $length = $answer{header}{'content-length'})) {
        $answer{body} = substr $$raw, 0, $length, '';

    } else {
        $answer{body} = $$raw;
        $$raw = '';
    }

    return \%answer;
}


sub chunks {
    my ($raw) = @_;
    my $body = '';

    while ($$raw =~ s/\A([0-9a-fA-F]+)[^\n]*\n//) {
        my $length = hex $1;

        $body .= substr $$raw, 0, $length, '';
        $$raw =~ s/\A\r?\n//;
        last if $length == 0;
    }

    return $body;
}


1;
