#!/bin/sh
# The gate, with a policy and budgets, beside a direct connection, PgBouncer
# (session pooling) and, if it is installed, pgaudit: point lookups by key, a
# hundred rows by key, lookups at a fixed rate, and one million rows by SELECT
# and by COPY, as they are and masked (there the others read a view that masks
# the same way). And a relay that looks at nothing, with and without a record
# before each answer: what is lost to forwarding and to the disk on this machine. Every record that leaves the gate is in a durable ledger first, so one
# durable write of this disk is measured, too. Lookups also with TLS on both sides
# of the gate and of PgBouncer. All share one machine, whose speed
# drifts: only ratios within a round mean something, and PgBouncer runs before
# and after the gate. Like the gate it makes new connections to the server for
# each run; from 256 clients on, where it would make them while the clock runs,
# it keeps them. Then the gate's memory while many gigabytes pass. As root or
# not; needs postgresql and pgbouncer.
#
#   ROUNDS=3 SECONDS_EACH=5 ROWS=1000000 CLIENTS="16 64 256" RATE=3000 GIGABYTES=10 bench/gate.sh
set -eu
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} rows=${ROWS:-1000000} gigabytes=${GIGABYTES:-10} clients=${CLIENTS:-16 64 256} rate=${RATE:-3000}
[ -z "$(ls /usr/lib/postgresql/*/lib/pgaudit.so 2>/dev/null)" ] || export SEKISHO_BENCH_PGAUDIT=1
pgbouncer=$(PATH="$PATH:/usr/sbin" command -v pgbouncer)
pgbench=$(command -v pgbench || ls /usr/lib/postgresql/*/bin/pgbench | sort -V | tail -n 1)

work=$(mktemp -d)
chmod 711 "$work"
server='' bouncers='' relays=''
finish() {
	[ -z "$bouncers" ] || kill $bouncers 2>/dev/null || true
	exec 9>&- || true
	[ -z "$server" ] || wait "$server" $relays || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

# A certificate for whoever is asked for one; the server wants a key of its own.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -keyout "$work/server.key" -out "$work/server.pem" 2>/dev/null
cp "$work/server.key" "$work/bouncer.key"
chmod 600 "$work/server.key" "$work/bouncer.key"
[ "$(id -u)" != 0 ] || chown postgres "$work/server.key" "$work/bouncer.key"
cat >"$work/hba" <<-END
	local all cluster_owner peer map=owner
	local all all scram-sha-256
	hostssl all all 127.0.0.0/8 scram-sha-256
END
chmod 644 "$work/hba" "$work/server.pem"
export SEKISHO_BENCH_TLS="$work"

echo "making a table of $rows rows" >&2
go test -c -o "$work/gate.test" ./gate
mkfifo "$work/until"
(cd gate && SEKISHO_BENCH_DIR=$work SEKISHO_BENCH_ROWS=$rows exec "$work/gate.test" -test.run '^TestBenchServer$' -test.timeout 0 ${PROFILE:+-test.cpuprofile "$PROFILE"} <"$work/until" >"$work/log" 2>&1) &
server=$!
exec 9>"$work/until"
while [ ! -s "$work/settings" ]; do
	kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
	sleep 0.2
done
. "$work/settings"

relay() { # name kind test where-the-server-is: its port comes to relay.name
	SEKISHO_BENCH_RELAY=$2 SEKISHO_BENCH_SOCKET=$4 SEKISHO_BENCH_PORT=$work/relay.$1 \
		"$work/gate.test" -test.run "^$3\$" -test.timeout 0 <"$work/until" >"$work/relay.log.$1" 2>&1 9>&- &
	relays="$relays $!"
	while [ ! -s "$work/relay.$1" ]; do
		kill -0 $! 2>/dev/null || { cat "$work/relay.log.$1" >&2; exit 1; }
		sleep 0.1
	done
}
for kind in never before beside; do
	relay $kind $kind TestBenchRelay "$server_dir/.s.PGSQL.$server_port"
done
for kind in never before; do
	relay tls-$kind $kind TestBenchSafeRelay "$server_address:$server_port"
done

# PgBouncer does not run as root. One of them makes new connections to the server
# for each client, the other keeps those that it has.
port=$((20000 + $$ % 20000))
echo '"staff" "upstream"' >"$work/users"
chmod 644 "$work/users"
as=''
[ "$(id -u)" != 0 ] || as='-u postgres'
pgbouncer() { # port lifetime where-the-server-is [settings]
	cat >"$work/pgbouncer.$1" <<-INI
		[databases]
		$database = host=$3 port=$server_port
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $1
		unix_socket_dir =
		auth_type = plain
		auth_file = $work/users
		pool_mode = session
		server_lifetime = $2
		default_pool_size = 300
		max_client_conn = 600
		ignore_startup_parameters = extra_float_digits
		${4:-}
	INI
	chmod 644 "$work/pgbouncer.$1"
	"$pgbouncer" -q $as "$work/pgbouncer.$1" 9>&- 2>>"$work/bouncer.log" &
	bouncers="$bouncers $!"
}
pgbouncer "$port" 0 "$server_dir"
pgbouncer "$((port + 1))" 3600 "$server_dir"
pgbouncer "$((port + 2))" 0 "$server_address" "client_tls_sslmode = require
client_tls_key_file = $work/bouncer.key
client_tls_cert_file = $work/server.pem
server_tls_sslmode = require"

direct="host=$server_dir port=$server_port user=staff password=upstream dbname=$database"
bounced="host=127.0.0.1 port=$port user=staff password=upstream dbname=$database"
kept="host=127.0.0.1 port=$((port + 1)) user=staff password=upstream dbname=$database"
audited="host=$server_dir port=$server_port user=audited password=upstream dbname=$database"
gate="host=$gate_host port=$gate_port user=sato password='open sesame' dbname=$database sslmode=disable"

veiled="host=$gate_host port=$gate_port user=veiled password='open sesame' dbname=$database sslmode=disable" # for whom the gate masks

safe_direct="host=$server_address port=$server_port user=staff password=upstream dbname=$database sslmode=require"
safe_audited="host=$server_address port=$server_port user=audited password=upstream dbname=$database sslmode=require"
safe_bounced="host=127.0.0.1 port=$((port + 2)) user=staff password=upstream dbname=$database sslmode=require"
safe_gate="host=127.0.0.1 port=$tls_port user=sato password='open sesame' dbname=$database sslmode=require"

cat >"$work/lookup.sql" <<SQL
\set i random(1, $rows)
select name, email from crm.bench where member_no = :i;
SQL
cat >"$work/range.sql" <<SQL
\set i random(1, $rows - 99)
select name, email from crm.bench where member_no between :i and :i + 99;
SQL
echo 'select * from crm.bench;' >"$work/all.sql"
echo 'select * from crm.bench_masked;' >"$work/view.sql"

tps() { # conninfo mode clients script
	"$pgbench" -n -M "$2" -c "$3" -j 2 -T "$seconds" -f "$work/$4.sql" "$1" 2>"$work/err" |
		sed -n 's/^tps = \([0-9.]*\).*/\1/p' | grep . || { cat "$work/err" >&2; exit 1; }
}
pace() { # conninfo: the median of the microseconds that a lookup takes, at a fixed rate
	rm -f "$work"/log.*
	(cd "$work" && "$pgbench" -n -M prepared -c 16 -j 2 -T "$seconds" -R "$rate" -l --log-prefix=log -f "$work/lookup.sql" "$1" >/dev/null 2>"$work/err") || { cat "$work/err" >&2; exit 1; }
	cat "$work"/log.* | awk '{ print $3 }' | sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}
whole() { # conninfo select|copy|masked: passes of the whole table a second
	case $2 in
	copy)
		start=$(date +%s%N)
		psql -Xq -d "$1" -c 'copy crm.bench to stdout' >/dev/null
		echo "$start $(date +%s%N)" | awk '{ printf "%.4f\n", 1e9 / ($2 - $1) }'
		;;
	masked)
		case $1 in
		"$gate") twice "$veiled" all ;;
		*) twice "$1" view ;;
		esac
		;;
	*) twice "$1" all ;;
	esac
}
twice() { # conninfo script
	"$pgbench" -n -c 1 -t 2 -f "$work/$2.sql" "$1" 2>"$work/err" | sed -n 's/^tps = \([0-9.]*\).*/\1/p' | grep . || { cat "$work/err" >&2; exit 1; }
}

for there in "$bounced" "$kept" "$safe_bounced"; do
	while ! psql -Xqd "$there" -c 'select 1' >/dev/null 2>&1; do
		kill -0 $bouncers || { cat "$work/bouncer.log" >&2; exit 1; }
		sleep 0.1
	done
done
psql -Xqd "$gate" -c 'select name from crm.bench where member_no = 1' >/dev/null
dd if=/dev/zero of="$work/dsync" bs=512 count=2000 2>/dev/null # so that no block is new
dd if=/dev/zero of="$work/dsync" bs=512 count=2000 oflag=dsync conv=notrunc 2>&1 |
	awk -F, '/copied/ { printf "%.0f\n", $(NF-1) / 2000 * 1e6 }' >"$work/flush"
echo "one durable write of 512 bytes on this disk: $(cat "$work/flush") us"

: >"$work/figures"
plain=$direct watched=$audited asked=$gate
round() { # name command…: one line, with what each of $plain, $watched, $pooled and $asked gave
	name=$1
	shift
	d=$("$@" "$plain") a=0
	[ -z "${SEKISHO_BENCH_PGAUDIT:-}" ] || a=$("$@" "$watched")
	p=$("$@" "$pooled")
	g=$("$@" "$asked")
	q=$("$@" "$pooled")
	echo "$name $d $p $q $a $g" >>"$work/figures"
}
lookups() { tps "$3" "$1" "$2" lookup; }
ranges() { tps "$1" prepared 16 range; }
passes() { whole "$2" "$1"; }
for round in $(seq "$rounds"); do
	for n in $clients; do
		pooled=$bounced
		if [ "$n" -ge 256 ]; then
			pooled=$kept
			[ "$round" != 1 ] || lookups prepared "$n" "$kept" >/dev/null # it opens them
		fi
		for mode in prepared simple; do
			round "$mode/$n" lookups $mode "$n"
		done
	done
	for kind in never before beside; do
		relay="host=127.0.0.1 port=$(cat "$work/relay.$kind") user=staff password=upstream dbname=$database sslmode=disable gssencmode=disable"
		for mode in prepared simple; do
			p=$(tps "$bounced" $mode 16 lookup)
			r=$(tps "$relay" $mode 16 lookup)
			q=$(tps "$bounced" $mode 16 lookup)
			echo "$mode $kind $p $r $q" >>"$work/relayed"
		done
	done
	for kind in never before; do
		relay="host=127.0.0.1 port=$(cat "$work/relay.tls-$kind") user=staff password=upstream dbname=$database sslmode=require channel_binding=disable gssencmode=disable"
		for mode in prepared simple; do
			p=$(tps "$safe_bounced" $mode 16 lookup)
			r=$(tps "$relay" $mode 16 lookup)
			q=$(tps "$safe_bounced" $mode 16 lookup)
			echo "tls-$mode $kind $p $r $q" >>"$work/relayed"
		done
	done
	plain=$safe_direct watched=$safe_audited pooled=$safe_bounced asked=$safe_gate
	for mode in prepared simple; do
		round "tls-$mode/16" lookups $mode 16
	done
	plain=$direct watched=$audited pooled=$bounced asked=$gate
	round ranges ranges
	round select passes select
	round copy passes copy
	round masked passes masked
	echo "$(pace "$bounced") $(pace "$gate") $(pace "$bounced")" >>"$work/paces"
done
# Medians: of what each gave, and of each round's ratios.
awk '
	function median(k,   i, j, m, t, a) {
		m = n[k]
		for (i = 1; i <= m; i++) a[i] = v[k, i]
		for (i = 2; i <= m; i++) for (j = i; j > 1 && a[j] < a[j-1]; j--) { t = a[j]; a[j] = a[j-1]; a[j-1] = t }
		return m ? a[int((m + 1) / 2)] : 0
	}
	function add(k, x) { v[k, ++n[k]] = x }
	function ratio(k) { return n[k] ? sprintf("%.2f", median(k)) : "-" }
	{
		if (!($1 in seen)) { seen[$1] = 1; names[++count] = $1 }
		p = ($3 + $4) / 2
		add($1 " d", $2); add($1 " p", p); add($1 " a", $5); add($1 " g", $6)
		add($1 " gp", $6 / p); add($1 " gd", $6 / $2)
		if ($5) add($1 " ga", $6 / $5)
	}
	END {
		printf "%-16s %10s %10s %10s %10s %16s %14s %13s\n", "", "direct", "pgbouncer", "pgaudit", "gate", "gate/pgbouncer", "gate/pgaudit", "gate/direct"
		for (i = 1; i <= count; i++) {
			w = names[i]
			printf "%-16s %10.2f %10.2f %10.2f %10.2f %16s %14s %13s\n", w, median(w " d"), median(w " p"), median(w " a"), median(w " g"), ratio(w " gp"), ratio(w " ga"), ratio(w " gd")
		}
		print "(prepared, simple: lookups a second, by so many clients, tls: with TLS on both sides; ranges: of 100 rows a second, 16 clients; select, copy, masked: passes of the whole table a second)"
	}' "$work/figures"
awk '
	{ k = $1 " " $2; v[k, ++n[k]] = $4 / (($3 + $5) / 2) }
	function median(k,   i, j, t) { for (i = 2; i <= n[k]; i++) for (j = i; j > 1 && v[k, j] < v[k, j-1]; j--) { t = v[k, j]; v[k, j] = v[k, j-1]; v[k, j-1] = t }; return v[k, int((n[k] + 1) / 2)] }
	function line(mode) { printf "%s, 16 clients, a relay that looks at nothing, of PgBouncer: %.2f; with a durable record before each answer: %.2f; made while the servers work: %.2f\n", mode, median(mode " never"), median(mode " before"), median(mode " beside") }
	function safe(mode) { printf "%s, 16 clients, TLS on both sides, a relay that looks at nothing, of PgBouncer: %.2f; with a durable record before each answer: %.2f\n", mode, median("tls-" mode " never"), median("tls-" mode " before") }
	END { line("prepared"); line("simple"); safe("prepared"); safe("simple") }' "$work/relayed"
awk -v flush="$(cat "$work/flush")" -v rate="$rate" '
	{ d[NR] = ($2 - ($1 + $3) / 2) / flush; p[NR] = ($1 + $3) / 2; g[NR] = $2 }
	function median(a,   i, j, t) { for (i = 2; i <= NR; i++) for (j = i; j > 1 && a[j] < a[j-1]; j--) { t = a[j]; a[j] = a[j-1]; a[j-1] = t }; return a[int((NR + 1) / 2)] }
	END { printf "at %d lookups a second half of them take less than %.0f us by PgBouncer and %.0f us by the gate: %.2f durable writes more\n", rate, median(p), median(g), median(d) }' "$work/paces"

# Memory: what the gate holds before, and at most while so much passes.
[ "$gigabytes" != 0 ] || exit 0
rss() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$server/status"; }
psql -Xq -d "$gate" -c 'copy crm.bench to stdout' | wc -c >"$work/pass"
pass=$(cat "$work/pass") before=$(rss) most=0 passed=0
while [ "$passed" -lt $((gigabytes * 1000000000)) ]; do
	psql -Xq -d "$gate" -c 'copy crm.bench to stdout' >/dev/null
	passed=$((passed + pass)) now=$(rss)
	[ "$now" -le "$most" ] || most=$now
done
echo "memory: $before MB before, $most MB at most while $((passed / 1000000000)) GB passed"
