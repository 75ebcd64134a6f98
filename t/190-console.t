use CDC;
use Test::Nginx::Socket 'no_plan';

# The console as nginx serves it: files, headers, methods; and requests of the
# API that a browser sends for another site.

use Digest::SHA qw(sha256_hex);
use File::Basename qw(basename dirname);

my $dir = dirname(__FILE__) . '/../src/http/console';
my @files = map { basename($_) } glob "$dir/*.js $dir/*.css";

sub slurp {
    my ($name) = @_;
    open my $fh, '<:raw', "$dir/$name" or die "$name: $!";
    local $/;
    return <$fh>;
}

# the page as it is, or with a path in it
sub page {
    my ($paths) = @_;
    $paths //= '';
    return slurp('index.html') =~ s/data-api="/$&$paths/r;
}

sub tag { return substr(sha256_hex(slurp($_[0])), 0, 16) }

sub names { return @files }

sub get { return map { "GET /cdc/ui/$_" } @_ }

my $size = 0;
$size += length slurp($_) for 'index.html', @files;
cmp_ok($size, '<=', 60_000, "the console is small ($size bytes)");
unlike(slurp($_), qr{(?:src|href|from|url\(|fetch\(|import)\W+https?:}i,
       "$_ asks nobody else") for 'index.html', @files;
unlike(slurp('index.html'), qr/<script(?![^>]*\ssrc=)|\s(?:on\w+|style)=/,
       'the page has no inline script or style');

# reasons of a pause that somebody wanted: the page knows them by their words
{
    open my $fh, '<', dirname(__FILE__) . '/../include/cdc_task.h'
        or die "cdc_task.h: $!";
    my @reasons = map { /^#define CDC_REASON_\w+_\w+\s+"(.*)"/ } <$fh>;

    is(scalar(@reasons), 2, 'two reasons');
    like(slurp('task.js'), qr/'\Q$_\E'/, "task.js has \"$_\"") for @reasons;
}

our $config = CDC::config() . 'location /cdc/ui/ { milvus_cdc_console; }';

master_on();
add_block_preprocessor(CDC::preprocessor());
add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('config', $main::config) if !defined $block->config
        || $block->config eq CDC::config();
});
run_tests();

__DATA__

=== TEST 1: the page
--- request eval
["GET /cdc/ui/", "HEAD /cdc/ui/", "GET /cdc/ui/index.html"]
--- response_headers eval
[("Content-Type: text/html; charset=utf-8
X-Content-Type-Options: nosniff
X-Frame-Options: DENY
Referrer-Policy: no-referrer
Cross-Origin-Opener-Policy: same-origin
Cross-Origin-Resource-Policy: same-origin
Cache-Control: no-cache
Content-Security-Policy: default-src 'none'; script-src 'self'; "
. "style-src 'self'; connect-src 'self'; img-src 'self' data:; "
. "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
. "require-trusted-types-for 'script'\nContent-Length: " . length main::page())
x 3]
--- response_body eval
[main::page(), "", main::page()]
--- no_error_log
[error]



=== TEST 2: its files
--- request eval
[main::get(main::names())]
--- response_headers eval
[map { "Content-Security-Policy: default-src 'none'; script-src 'self'; "
. "style-src 'self'; connect-src 'self'; img-src 'self' data:; "
. "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
. "require-trusted-types-for 'script'\n"
. "X-Content-Type-Options: nosniff\nContent-Type: text/"
. (/css$/ ? 'css' : 'javascript') . '; charset=utf-8' } main::names()]
--- response_body eval
[map { main::slurp($_) } main::names()]
--- no_error_log
[error]



=== TEST 3: what is not there
--- request eval
[main::get('nothing', 'app.j', 'app.jss', 'x/app.js', 'embed', '../ui/x',
           'app.js/')]
--- error_code eval
[(404) x 7]



=== TEST 4: methods
--- request eval
["POST /cdc/ui/\n{}", "PUT /cdc/ui/app.js\n{}", "DELETE /cdc/ui/",
 "OPTIONS /cdc/ui/"]
--- error_code eval
[(405) x 4]
--- response_headers eval
[("Allow: GET, HEAD") x 4]



=== TEST 5: without the slash at the end
--- request
GET /cdc/ui
--- error_code: 301
--- response_headers_like
Location: http://localhost(:\d+)?/cdc/ui/



=== TEST 6: every answer has an entity tag, each file its own
--- request eval
[main::get('', main::names())]
--- response_headers_like eval
['ETag: "' . main::tag('index.html') . '-[0-9a-f]{8}"',
 map { 'ETag: "' . main::tag($_) . '"' } main::names()]
--- response_body_like eval
[('.') x (1 + main::names())]



=== TEST 7: another one's entity tag, or none that is known
--- request eval
[("GET /cdc/ui/app.js") x 2]
--- more_headers eval
['If-None-Match: "0000000000000000"',
 'If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT']
--- error_code eval
[200, 200]



=== TEST 8: what the browser has already
--- request eval
["GET /cdc/ui/app.js", "GET /cdc/ui/", "HEAD /cdc/ui/style.css"]
--- more_headers eval
['If-None-Match: "' . main::tag('app.js') . '"', 'If-None-Match: *',
 'If-None-Match: *']
--- error_code eval
[304, 304, 304]
--- response_headers eval
[("X-Content-Type-Options: nosniff") x 3]
--- response_body eval
["", "", ""]



=== TEST 9: where the API is
--- config
location /cdc { milvus_cdc; }
location /a/ { milvus_cdc_console /cdc; }
location /b/ { milvus_cdc_console /cdc /cdc/other; }
location /c/ { milvus_cdc_console '/"<x>&'; }
--- request eval
["GET /a/", "GET /b/", "GET /c/", "GET /b/app.js"]
--- response_body eval
[main::page('/cdc'), main::page('/cdc /cdc/other'),
 main::page('/&quot;&lt;x&gt;&amp;'), main::slurp('app.js')]



=== TEST 10: dies in an exact location
--- config
location = /cdc/ui/ { milvus_cdc_console; }
--- must_die
--- error_log eval
qr/"milvus_cdc_console" directive needs a location that is a prefix .*:\d+/



=== TEST 11: dies without the slash
--- config
location /cdc/ui { milvus_cdc_console; }
--- must_die
--- error_log eval
qr/"milvus_cdc_console" directive needs a location that is a prefix .*:\d+/



=== TEST 12: dies in a regular expression
--- config
location ~ /ui/ { milvus_cdc_console; }
--- must_die
--- error_log eval
qr/"milvus_cdc_console" directive needs a location that is a prefix .*:\d+/



=== TEST 13: dies with another host
--- config
location /ui/ { milvus_cdc_console //example.com/cdc; }
--- must_die
--- error_log eval
qr{invalid path "//example.com/cdc", it should be .*:\d+}



=== TEST 14: dies with a relative path
--- config
location /ui/ { milvus_cdc_console cdc; }
--- must_die
--- error_log eval
qr/invalid path "cdc", it should be .*:\d+/



=== TEST 15: dies twice
--- config
location /ui/ { milvus_cdc_console; milvus_cdc_console; }
--- must_die
--- error_log eval
qr/"milvus_cdc_console" directive is duplicate .*:\d+/



=== TEST 16: dies beside another handler
--- config
location /ui/ { milvus_cdc; milvus_cdc_console; }
--- must_die
--- error_log
conflicts with another milvus_cdc handler of this location



=== TEST 17: requests for another site are refused
--- request eval
[(CDC::post('list')) x 8]
--- more_headers eval
["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
 "Sec-Fetch-Site: cross-site\nOrigin: http://localhost",
 "Origin: http://evil.example", "Origin: null",
 "Origin: http://localhost.evil.example", "Origin: http://localhost:81",
 "Origin: localhost"]
--- error_code eval
[(403) x 8]
--- response_body eval
[(CDC::failure(403, 'the request was sent by a page of another site, says '
               . 'Origin or Sec-Fetch-Site; a proxy in front has to pass the '
               . 'Host on')) x 8]



=== TEST 18: requests of the own site, and of no browser, are taken
--- request eval
[(CDC::post('list')) x 6]
--- more_headers eval
["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none",
 "Sec-Fetch-Site: same-origin\nOrigin: https://proxy.example",
 "Origin: http://localhost", "Origin: https://LOCALHOST", ""]
--- response_body eval
[(CDC::empty_list()) x 6]



=== TEST 19: the statuses of the original
--- config
location /cdc { milvus_cdc; milvus_cdc_http_status compat; }
--- request eval
CDC::post('list')
--- more_headers
Origin: http://evil.example
--- response_body_like: ^\{"code":403,



=== TEST 20: nothing is changed for another site
--- request eval
[CDC::post('delete', {task_id => 'one', ignore_not_found => \1}),
 CDC::raw('{'), CDC::raw('x' x 100000)]
--- more_headers
Origin: http://evil.example
Content-Type: text/plain
--- error_code eval
[(403) x 3]
