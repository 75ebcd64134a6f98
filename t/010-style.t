# The house rules hold for every file, and their checker finds what it says
# that it finds.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $checker = dirname(abs_path(__FILE__)) . "/tools/check-style";
my $dir = tempdir(CLEANUP => 1);


sub check {
    my ($name, $text) = @_;

    open my $fh, '>', "$dir/$name" or die "$name: $!";
    print $fh $text;
    close $fh;

    my $out = `$^X $checker $dir/$name 2>&1`;
    return ($out =~ s{^\Q$dir/\E}{}mgr, $? >> 8);
}


sub finds {
    my ($what, $text, $want, $name) = @_;
    my ($out, $status) = check($name || "a.c", $text);

    is($out, $want, "finds: $what");
    is($status, 1, "fails: $what");
}


my $body = "    return 0;\n";
my $good = "static int\nfirst(int a,\n    int b)\n{\n$body}\n\n\n"
    . "/* http://x */\n\nint\nsecond(void)\n{\n    f(\"// \\\" /*\");\n}\n";

{
    my ($out, $status) = check("good.c", $good);
    is($out, '', 'a good file: no complaint');
    is($status, 0, 'a good file: status 0');
}

finds('81 columns', 'x' x 81 . "\n", "a.c:1: 81 columns\n");
finds('a tab', "\n\tint a;\n", "a.c:2: tab\n");
finds('a blank at the end', "int a; \n", "a.c:1: blank at the end\n");
finds('sprintf', "int a = sprintf(b, c);\n",
      "a.c:1: sprintf() is banned\n");
finds('strcpy', "int a = strcpy (b, c);\n", "a.c:1: strcpy() is banned\n");
finds('a // comment', "int a; // b\n", "a.c:1: // comment\n");
finds('one blank line between functions',
      "int\na(void)\n{\n}\n\nint\nb(void)\n{\n}\n",
      "a.c:4: two blank lines follow a function\n");
finds('a name beside its type', "int a(void)\n{\n}\n",
      "a.c:1: the function's name is not in column 0\n");
finds('a function of 101 lines', "int\na(void)\n{\n" . $body x 101 . "}\n",
      "a.c:3: function of 101 lines\n");
finds('a file of 901 lines', "int a;\n" x 901,
      "a.c:901: file of 901 lines\n");
finds('a path of one machine', "# see /" . "work/main/x\n",
      "README:1: a path of one machine\n", 'README');
finds('ONLY in a suite', "--- config\n--- " . "ONLY\n",
      "x.t:2: --- ONLY is left in a suite\n", 'x.t');

{
    my ($out, $status) = check("b.c", "int\na(void)\n{\n" . $body x 100
                               . "}\n");
    is($out, '', 'a function of 100 lines is allowed');
}

{
    my $out = `$^X $checker 2>&1`;
    is($out, '', 'every file of the project');
}

done_testing();
