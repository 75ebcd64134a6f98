# milvus_cdc_audit_log: one line for each request that changes something, in
# a file that follows USR1.

use strict;
use warnings;

use CDC;
use File::Temp qw(tempdir);
use Test::More;

my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;
my $log = "$dir/audit.log";

my $nginx = CDC::Nginx->new(workers => 2,
                            http => "milvus_cdc_audit_log $log;")->start;
ok($nginx->ready, 'the API answers');

sub lines {
    my ($file) = @_;
    open my $fh, '<', $file or return;
    return map { CDC::decode($_) } <$fh>;
}

$nginx->api('list');
$nginx->api('delete', {task_id => 'none'});
$nginx->api('nonsense');

# a line is written when the answer is out
CDC::wait_for(sub { scalar(lines($log)) }, 5);
my @lines = lines($log);
is(@lines, 1, 'one line: a list changes nothing');

my %first = %{$lines[0] // {}};
like(delete $first{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/,
     'when');
like(delete $first{request_id}, qr/^[0-9a-f]{32}$/, 'the id of the request');
is_deeply(\%first, {address => '127.0.0.1', user => undef, type => 'delete',
                    task_id => 'none', code => 400}, 'who, what, which, how');
unlike($nginx->log, qr/audit:/, 'and not in the error log');

rename $log, "$log.1" or die "rename: $!";
$nginx->signal('USR1');
ok(CDC::wait_for(sub { -e $log }, 5), 'nginx makes a new one');

# each worker comes to the signal in its own time
ok(CDC::wait_for(sub {
    $nginx->api('pause', {task_id => 'other'});
    return grep { $_->{type} eq 'pause' } lines($log);
}, 5), 'workers write into it');
ok(!(grep { $_->{type} eq 'delete' } lines($log)), 'and only what is new');

# a user whose password was checked
my $users = "$dir/users";
open my $fh, '>', $users or die "$users: $!";
print $fh "ann:{PLAIN}secret\n";
close $fh;

$nginx->configure(config => CDC::config() . "auth_basic cdc; "
                                          . "auth_basic_user_file $users;");
my %old = map { $_ => 1 } $nginx->workers;
ok($nginx->reload, 'reload with passwords');
CDC::wait_for(sub { Subreaper::reap(); !grep { $old{$_} } $nginx->workers });

my $answer = $nginx->http(CDC::post('delete', {task_id => 'none'}));
is($answer->{status}, 401, 'no password');
is((grep { $_->{type} eq 'delete' } lines($log)), 0,
   'what nginx refuses never came to us');

system('curl', '-s', '--noproxy', '*', '-o', '/dev/null', '-u', 'ann:secret', '-d',
       '{"request_type":"delete","request_data":{"task_id":"none"}}',
       'http://127.0.0.1:' . $nginx->port . '/cdc') == 0 or die "curl: $?";

my $line;
CDC::wait_for(sub { ($line) = grep { $_->{type} eq 'delete' } lines($log) }, 5);
is($line && $line->{user}, 'ann', 'the user is named');

# a page of another site: refused, and told with what it wanted
system('curl', '-s', '--noproxy', '*', '-o', '/dev/null', '-u', 'ann:secret',
       '-H', 'Origin: http://evil.example', '-d',
       '{"request_type":"delete","request_data":{"task_id":"theirs"}}',
       'http://127.0.0.1:' . $nginx->port . '/cdc') == 0 or die "curl: $?";

CDC::wait_for(sub {
    ($line) = grep { $_->{task_id} eq 'theirs' } lines($log);
}, 30);
is($line && "$line->{type} $line->{code}", 'delete 403', 'a foreign delete');

CDC::done();
