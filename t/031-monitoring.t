# The dashboard and the alerts of conf/: Prometheus's own tool takes them, each
# alert fires on what it is for, and every metric and label that they ask for
# is in a real scrape.

use strict;
use warnings;

use CDC;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $t = dirname(abs_path(__FILE__));
my $conf = dirname($t) . "/conf";
my $dir = tempdir(CLEANUP => 1);


sub slurp {
    my ($path) = @_;

    open my $fh, '<', $path or die "$path: $!";
    local $/;
    return scalar <$fh>;
}


sub spew {
    my ($path, $text) = @_;

    open my $fh, '>', $path or die "$path: $!";
    print $fh $text;
    close $fh;
}


# status of promtool, and what it says
sub promtool {
    my ($args, $in) = @_;

    $in //= '/dev/null';
    my $out = `cd $dir && $t/tools/promtool $args 2>&1 <$in`;
    return ($? >> 8, $out);
}


my ($status, $out) = promtool('--version');
is($status, 0, 'promtool is there') or BAIL_OUT("no promtool: $out");

# ---- alerts

my $rules = slurp("$conf/prometheus-alerts.yml");
my @alerts = $rules =~ /^      - alert: (\w+)$/mg;

cmp_ok(scalar @alerts, '>=', 10, 'there are alerts');
spew("$dir/prometheus-alerts.yml", $rules);
spew("$dir/alerts.yml", slurp("$t/fixtures/alerts.yml"));

($status, $out) = promtool('check rules prometheus-alerts.yml');
is($status, 0, 'promtool check rules') or diag($out);

($status, $out) = promtool('test rules alerts.yml');
is($status, 0, 'promtool test rules') or diag($out);

for my $alert (@alerts) {
    my ($rule) = $rules =~ /^(      - alert: $alert\n.*?)(?=^      - |\z)/ms;

    my $missing = join ' ', grep { $rule !~ /^ +$_: /m }
        qw(severity summary cause cure);
    is($missing, '', "$alert: says what, why and what to do");

    # one that cannot fire is missed by its test
    my $spoilt = $rule =~ s/^[ ]{8}expr:.*?(?=^[ ]{8}\w)
                           /        expr: vector(1) > 2\n/msxr;
    my $text = $rules;
    substr($text, index($text, $rule), length $rule, $spoilt);
    isnt($text, $rules, "$alert: has an expression");
    spew("$dir/prometheus-alerts.yml", $text);
    ($status, $out) = promtool('test rules alerts.yml');
    ok($status && $out =~ /$alert/, "$alert: is tested") or diag($out);
}

# ---- the dashboard

my $board = JSON::PP->new->utf8->decode(slurp("$conf/grafana-dashboard.json"));
my @panels = @{$board->{panels}};
my (%id, %cell, @exprs);
my $bad = '';

cmp_ok(scalar @panels, '>=', 12, 'there are panels');

for my $panel (@panels) {
    my ($at, $title) = ($panel->{gridPos}, $panel->{title});

    $bad .= "$title: id\n" if $id{$panel->{id}}++;
    $bad .= "$title: no description\n" if !length($panel->{description} // '');
    $bad .= "$title: too wide\n" if $at->{x} + $at->{w} > 24;

    for my $x ($at->{x} .. $at->{x} + $at->{w} - 1) {
        for my $y ($at->{y} .. $at->{y} + $at->{h} - 1) {
            $bad .= "$title: over $cell{$x, $y}\n" if $cell{$x, $y};
            $cell{$x, $y} = $title;
        }
    }

    push @exprs, map { $_->{expr} } @{$panel->{targets}};
}

is($bad, '', 'every panel has its place and says what it shows');

{
    my $n = 0;
    my $text = "groups:\n  - name: dashboard\n    rules:\n";

    for my $expr (@exprs) {
        $expr =~ s/\$__rate_interval/1m/g;
        $expr =~ s/\$(?:task|instance)\b/.*/g;
        $text .= "      - record: dashboard:" . $n++ . "\n        expr: "
            . JSON::PP->new->allow_nonref->encode($expr) . "\n";
    }

    unlike($text, qr/\$/, 'no variable but those of the dashboard');
    spew("$dir/dashboard.yml", $text);
    ($status, $out) = promtool('check rules dashboard.yml');
    is($status, 0, 'Prometheus takes the expressions') or diag($out);
}

# ---- a real scrape

my $nginx = CDC::Nginx->new->start;
ok($nginx->ready, 'the API answers');
my @tasks = ('one', 'A.b_c-9', 'x' x 255);
$nginx->create(task_id => $_, collection_infos => [{name => 'of_' . length}])
    for @tasks;

my $scrape = '';
CDC::wait_for(sub {
    $scrape = $nginx->http('GET /cdc/metrics')->{body};
    return 3 == grep({ $scrape =~ /^milvus_cdc_helper_up\{task_id="$_"\} 1$/m }
                     @tasks)
        && $scrape =~ /^milvus_cdc_request_total\{.*"create".*\} [1-9]/m;
}, 15);

spew("$dir/scrape", $scrape);
($status, $out) = promtool('check metrics', "$dir/scrape");
is("$status $out", '0 ', 'Prometheus takes the metrics, and would name them so');

{
    # Prometheus asks for it like this
    my $url = 'http://127.0.0.1:' . $nginx->port . '/cdc/metrics';
    system("curl -s -H 'Accept-Encoding: gzip' -D $dir/head $url "
           . ">$dir/scrape.gz && gzip -dc $dir/scrape.gz >$dir/unzipped");
    my $head = slurp("$dir/head");

    like($head, qr/^Content-Encoding: gzip\r$/m, 'compressed when asked for');
    like($head, qr/^Vary: Accept-Encoding\r$/m, 'which caches are told');
    cmp_ok(-s "$dir/scrape.gz", '<', length($scrape) / 4, 'to a small part');
    is(join(' ', slurp("$dir/unzipped") =~ /^(# .*)$/mg),
       join(' ', $scrape =~ /^(# .*)$/mg), 'the same metrics');
    like(slurp("$dir/unzipped"), qr/^milvus_cdc_request_latency_count.*\n\z/m,
         'up to the end');
}

my %known = map { $_ => 1 } $scrape =~ /^# TYPE (\w+) /mg;
my %label = map { $_ => 1 } qw(instance le), $scrape =~ /[{,](\w+)="/g;

for my $name (grep { $scrape =~ /^# TYPE $_ histogram$/m } keys %known) {
    $known{"${name}_$_"} = 1 for qw(bucket sum count);
}

# what is told of collections only may have no sample yet
$label{$_} = 1 for $known{milvus_cdc_collection_lag_seconds}
    ? qw(database collection_name) : ();

for (['dashboard', join "\n", map { $_->{expr} } map { @{$_->{targets}} }
          @panels],
     ['alerts', join "\n", $rules =~ /^        expr: (.*?)(?=^        \w)/msg])
{
    my ($what, $text) = @$_;
    my %names = map { $_ => 1 } $text =~ /\b(milvus_cdc_\w+)/g;

    cmp_ok(scalar keys %names, '>=', 10, "$what: metrics are named");
    is(join(' ', grep { !$known{$_} } sort keys %names), '',
       "$what: every metric is in a scrape");

    my @labels = map { split /\s*,\s*/ }
        $text =~ /\b(?:by|without|on) \(([^()]*)\)/g,
        join ',', $text =~ /[{,]\s*(\w+)(?:=~|=|!=)/g;
    is(join(' ', grep { !$label{$_} } sort @labels), '',
       "$what: every label is in a scrape");
}

my @legend = map { ($_->{legendFormat} // '') =~ /\{\{(\w+)\}\}/g }
    map { @{$_->{targets}} } @panels;
is(join(' ', grep { !$label{$_} } @legend), '',
   'dashboard: every label of a legend is in a scrape');

CDC::done();
