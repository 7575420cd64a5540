package catalog

import (
	"slices"
	"strings"

	"sekisho/stmt"
)

// sensitive are the relations of PostgreSQL itself that hold values of users'
// tables, the texts of others' statements, or passwords.
var sensitive = map[string]bool{
	"pg_stats": true, "pg_stats_ext": true, "pg_stats_ext_exprs": true,
	"pg_statistic": true, "pg_statistic_ext_data": true,
	"pg_stat_activity": true, "pg_prepared_statements": true, "pg_cursors": true,
	"pg_largeobject": true, "pg_authid": true, "pg_shadow": true,
	"pg_user_mapping": true,

	// What a statement has locked, and how often it has looked into which table
	// or index, in this very transaction: of a join with a table of one's own
	// they tell which rows were met, though none came back.
	"pg_locks":                true,
	"pg_stat_xact_all_tables": true, "pg_stat_xact_sys_tables": true, "pg_stat_xact_user_tables": true,
}

// counters are the columns of the server's statistics that count what was
// read. They tell the same, only later.
var counters = map[string]bool{
	"seq_scan": true, "seq_tup_read": true, "last_seq_scan": true, "idx_scan": true, "idx_tup_fetch": true, "idx_tup_read": true, "last_idx_scan": true,
	"heap_blks_read": true, "heap_blks_hit": true, "idx_blks_read": true, "idx_blks_hit": true,
	"toast_blks_read": true, "toast_blks_hit": true, "tidx_blks_read": true, "tidx_blks_hit": true,
	"tup_returned": true, "tup_fetched": true, "blks_read": true, "blks_hit": true, "temp_files": true, "temp_bytes": true,
}

// counts says whether a statement shows counters of the server's statistics.
func counts(s *stmt.Statement) bool {
	for _, r := range s.Relations {
		if !strings.HasPrefix(r.Name.Name, "pg_stat_") && !strings.HasPrefix(r.Name.Name, "pg_statio_") {
			continue
		}
		if r.Renamed || slices.ContainsFunc(s.Columns, func(c stmt.Column) bool {
			last := c.Fields[len(c.Fields)-1]
			return last == "*" || last == r.Ref() || slices.ContainsFunc(c.Fields, func(f string) bool { return counters[f] })
		}) {
			return true
		}
	}
	return false
}

// never are functions that reach past the database: files of the server and
// replication. No mode lets them through.
func never(name string) bool {
	switch name {
	case "pg_read_file", "pg_read_binary_file", "pg_stat_file", "lo_import", "lo_export", "be_lo_import", "be_lo_export",
		"pg_read_file_old", "pg_drop_replication_slot", "pg_logical_emit_message":
		return true
	}
	for _, p := range []string{"pg_ls_", "pg_file_", "pg_logical_slot_", "pg_replication_", "binary_upgrade_", "pg_sync_replication"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return strings.HasSuffix(name, "_replication_slot")
}

// others says whether a function reaches into other sessions. Everybody of a
// role shares one login upstream, so that the server would let each end
// everybody else's.
func others(name string) bool {
	switch name {
	case "pg_terminate_backend", "pg_cancel_backend", "pg_log_backend_memory_contexts":
		return true
	}
	return false
}

// hidden are functions of PostgreSQL itself, and of extensions that come with
// it, that read what their arguments do not show: SQL in strings, tables by
// name, large objects, others' statements, other databases.
func hidden(name string) bool {
	switch name {
	case "ts_stat", "ts_rewrite", "loread", "lowrite", "set_config",
		"pg_prepared_statement", "pg_cursor", "pg_lock_status",
		"pg_export_snapshot", "pg_extension_config_dump", "crosstab", "connectby", "xpath_table", "pg_stat_statements":
		return true
	}
	for _, p := range []string{"query_to_xml", "table_to_xml", "cursor_to_xml", "schema_to_xml", "database_to_xml", "lo_", "dblink", "crosstab", "pg_walinspect", "pg_stat_get_"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// LargeObjects is the table of large objects. Listed as unprotected, it says
// that none of them holds anything of any person.
const LargeObjects = "pg_catalog.pg_largeobject"

// largeObject are the server's own functions for large objects. Those that read
// or write the server's files are denied.
var largeObject = map[string]bool{
	"lo_creat": true, "lo_create": true, "lo_open": true, "lo_close": true, "loread": true, "lowrite": true,
	"lo_lseek": true, "lo_lseek64": true, "lo_tell": true, "lo_tell64": true, "lo_truncate": true, "lo_truncate64": true,
	"lo_unlink": true, "lo_get": true, "lo_put": true, "lo_from_bytea": true,
}

// idle are volatile functions that are harmless beside protected data. Every
// other volatile function could carry a value away: setval, pg_notify, locks,
// and random, whose next number tells how often it was called.
var idle = map[string]bool{
	"clock_timestamp": true, "timeofday": true, "gen_random_uuid": true, "uuidv4": true, "uuidv7": true,
	"timezone":         true,                                                                                                   // of a time of day, before version 14
	"uuid_generate_v1": true, "uuid_generate_v1mc": true, "uuid_generate_v4": true, "gen_random_bytes": true, "gen_salt": true, // pgcrypto, uuid-ossp
}

// stateful are functions that are not volatile, or not said to be, and yet
// leave something behind that a later statement can read: that a transaction
// got its number, a switch of the session. Called for some rows and not for
// others, each carries away a bit of them.
var stateful = map[string]bool{
	"txid_current": true, "txid_current_if_assigned": true, "txid_current_snapshot": true,
	"pg_current_xact_id": true, "pg_current_xact_id_if_assigned": true, "pg_current_snapshot": true,
	"set_limit": true, "show_limit": true, // pg_trgm
	"isn_weak": true, // isn
}

// readsIn are functions that make a value of a type that is an argument itself:
// a number or a name that no statement needs to show. A domain's check runs
// then. The last fills in what statistics say of a column, in its type.
var readsIn = map[string]bool{
	"domain_in": true, "domain_recv": true, "array_in": true, "array_recv": true, "record_in": true, "record_recv": true,
	"range_in": true, "range_recv": true, "multirange_in": true, "multirange_recv": true,
	"pg_input_is_valid": true, "pg_input_error_info": true, // since version 16
	"pg_restore_attribute_stats": true, // since version 18
}

// serial are names that only look like types, where a column is defined.
var serial = map[string]bool{"serial": true, "serial2": true, "serial4": true, "serial8": true, "smallserial": true, "bigserial": true}

// SafeEncoding says whether a client encoding is one in which no byte of a longer character
// can be read as an ASCII character, so that the server and this program agree
// where a string ends. Names are compared as the server does. SJIS, BIG5, GBK, UHC, JOHAB, GB18030 and SHIFT_JIS_2004
// are not among them, and what is not known is not either.
func SafeEncoding(name string) bool {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	switch n := b.String(); n {
	case "utf8", "unicode", "sqlascii", "euccn", "eucjis2004", "eucjp", "euckr", "euctw", "muleinternal",
		"koi8", "koi8r", "koi8u", "win", "alt", "abc", "tcvn", "tcvn5712", "vscii",
		"win866", "win874", "windows866", "windows874":
		return true
	default:
		for _, p := range []string{"latin", "iso8859", "win125", "windows125"} {
			if rest, ok := strings.CutPrefix(n, p); ok && len(rest) <= 2 {
				return true
			}
		}
	}
	return false
}

// Setting says whether a client may give a setting this value, in SET or in
// its start-up message. The reason is a code, empty if it may.
func Setting(name string, values ...string) (reason string) {
	value := strings.ToLower(strings.Join(values, ","))
	switch strings.ToLower(name) {
	case "role", "session_authorization":
		return "role_change"
	case "standard_conforming_strings":
		if value != "on" && value != "true" && value != "yes" && value != "1" {
			return "unsafe_strings"
		}
	case "client_encoding":
		if !SafeEncoding(value) {
			return "unsafe_encoding"
		}
	case "session_preload_libraries", "local_preload_libraries", "shared_preload_libraries", "dynamic_library_path", "session_replication_role":
		return "unsafe_setting"
	}
	return ""
}
