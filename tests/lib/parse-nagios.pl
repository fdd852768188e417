# Reads what a plugin printed as a monitoring system does, with the classes of
# libmonitoring-plugin-perl: fails unless the word fits the exit code and all
# figures are understood. Prints each: label value unit status.
# usage: parse-nagios.pl EXIT-CODE <OUTPUT
use strict;
use warnings;
use Monitoring::Plugin::Functions qw(:codes %ERRORS %STATUS_TEXT);
use Monitoring::Plugin::Performance use_die => 1;

my $first = <STDIN> // die "no output\n";
my ($word, $perf) = $first =~ /^(\w+): [^|]*(?:\|([^|]*))?$/
	or die "no line of a plugin: $first";
die "'$word' is not the word of exit code $ARGV[0]\n"
	unless defined $ERRORS{$word} && $ERRORS{$word} == $ARGV[0];
while (my $line = <STDIN>) {
	die "figures in the long text: $line" if $line =~ /\|/;
}
$perf //= "";
my @given = split " ", $perf;
my @read = Monitoring::Plugin::Performance->parse_perfstring($perf);
die scalar(@given) . " figures, " . scalar(@read) . " understood\n"
	unless @given == @read;
for my $p (@read) {
	printf "%s %s %s %s\n", $p->label, $p->value, $p->uom || '-',
		$STATUS_TEXT{ $p->threshold->get_status($p->value) };
}
