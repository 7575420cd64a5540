package demo_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"sekisho/demo"
)

const seed = 20140818

func fill(t *testing.T, c *demo.Cluster, members int, seed uint64) {
	t.Helper()
	if err := demo.Fill(t.Context(), c, demo.FillConfig{Members: members, Seed: seed}); err != nil {
		t.Fatal(err)
	}
}

func store(t *testing.T, c *demo.Cluster, sql string) string {
	t.Helper()
	out, err := c.SQL(t.Context(), demo.Database, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// as runs SQL as one of the store's roles.
func as(t *testing.T, c *demo.Cluster, role, sql string) (string, error) {
	t.Helper()
	conninfo, err := c.Conninfo(role, demo.Database)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "psql", "-X", "-q", "-A", "-t", "-d", conninfo, "-c", sql)
	cmd.Env = append(os.Environ(), "PGCLIENTENCODING=UTF8")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestFill(t *testing.T) {
	t.Parallel()
	const members = 2000
	c := start(t, t.TempDir())
	var last, total int
	err := demo.Fill(t.Context(), c, demo.FillConfig{Members: members, Seed: seed, Progress: func(done, of int) {
		if done < last {
			t.Errorf("progress went back from %d to %d", last, done)
		}
		last, total = done, of
	}})
	if err != nil {
		t.Fatal(err)
	}
	if last != members || total != members {
		t.Errorf("the last progress was %d of %d, want all %d", last, total, members)
	}

	t.Run("the rows are those that the generator tells", func(t *testing.T) {
		rows := strings.Split(store(t, c, "select * from member order by member_no"), "\n")
		if len(rows) != members {
			t.Fatalf("%d members, want %d", len(rows), members)
		}
		for i, row := range rows {
			m := demo.MemberAt(seed, i)
			if want := strings.Join(m.Values(), "|"); row != want {
				t.Fatalf("member %d in the store is\n%s, want\n%s", i, row, want)
			}
		}
		var passports, cards []string
		for i := range members {
			if p, ok := demo.PassportOf(seed, i); ok {
				passports = append(passports, strings.Join([]string{strconv.FormatInt(p.MemberNo, 10), p.No, p.Country, p.IssuedOn.String(), p.ExpiresOn.String()}, "|"))
			}
			if k, ok := demo.CardOf(seed, i); ok {
				cards = append(cards, strings.Join([]string{strconv.FormatInt(k.MemberNo, 10), k.No, k.Expires.String()}, "|"))
			}
		}
		if got := store(t, c, "select * from passport order by member_no"); got != strings.Join(passports, "\n") {
			t.Error("the passports differ from the generator's")
		}
		if got := store(t, c, "select * from card order by member_no"); got != strings.Join(cards, "\n") {
			t.Error("the cards differ from the generator's")
		}
	})

	t.Run("every table that is not about members has rows", func(t *testing.T) {
		for _, table := range []string{"airport", "fare", "flight", "partner", "app_setting"} {
			if store(t, c, "select count(*) > 0 from "+table) != "t" {
				t.Errorf("crm.%s is empty", table)
			}
		}
		if n, _ := strconv.Atoi(store(t, c, "select count(*) from flight")); n < 2000 {
			t.Errorf("%d flights, want thousands", n)
		}
	})

	t.Run("every table has statistics", func(t *testing.T) {
		if got := store(t, c, "select string_agg(relname, ' ') from pg_class where relnamespace = 'crm'::regnamespace and relkind = 'r' and reltuples < 0"); got != "" {
			t.Errorf("never analysed: %s", got)
		}
	})

	t.Run("roles read what they need", func(t *testing.T) {
		for _, s := range []struct {
			role, sql string
			may       bool
		}{
			{demo.CallCentre, "select count(*) from member join passport using (member_no)", true},
			{demo.CallCentre, "select count(*) from flight", true},
			{demo.CallCentre, "select * from card", false},
			{demo.CallCentre, "select * from credential", false},
			{demo.CallCentre, "update member set email = null", false},
			{demo.CallCentre, "create temp table t (n int)", false},
			{demo.CallCentre, "create table crm.t (n int)", false},
			{demo.CallCentre, "set role crm_owner", false},
			{demo.CallCentre, "select * from demo.filled", false},
			{demo.Batch, "select count(*) from card", true},
			{demo.Analyst, "select count(*) from loyalty_account", true},
			{demo.Analyst, "select * from passport", false},
			{demo.Reader, "select count(*) from passport", true},
			{demo.Reader, "select * from credential", false},
		} {
			out, err := as(t, c, s.role, s.sql)
			if s.may != (err == nil) || !s.may && !strings.Contains(out, "permission denied") {
				t.Errorf("%s: %s: %v: %s", s.role, s.sql, err, out)
			}
		}
		if got := store(t, c, "select string_agg(rolname, ' ') from pg_roles where rolname like any ('{app%,sekisho%}') and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)"); got != "" {
			t.Errorf("these roles may do too much: %s", got)
		}
	})

	t.Run("a filled store is left alone", func(t *testing.T) {
		store(t, c, "update member set email = 'touched@example.com' where member_no = (select min(member_no) from member)")
		fill(t, c, members, seed)
		if got := store(t, c, "select count(*) from member where email = 'touched@example.com'"); got != "1" {
			t.Error("filling with the same size and seed made the store anew")
		}
	})

	t.Run("another size or seed, or a fill cut short, makes the store anew", func(t *testing.T) {
		fill(t, c, 100, seed)
		if got := store(t, c, "select count(*) from member"); got != "100" {
			t.Errorf("%s members, want 100", got)
		}
		fill(t, c, 100, seed+1)
		if got, want := store(t, c, "select min(member_no) from member"), strconv.FormatInt(demo.MemberNo(seed+1, 0), 10); got != want {
			t.Errorf("the first member is %s, want %s", got, want)
		}
		store(t, c, "drop table demo.filled; delete from flight")
		fill(t, c, 100, seed+1)
		if store(t, c, "select count(*) > 0 from flight") != "t" {
			t.Error("a store without its mark was taken for filled")
		}
	})
}

func TestAFillThatCannotBe(t *testing.T) {
	for _, members := range []int{-1, 0, 20_000_001} {
		if err := demo.Fill(t.Context(), nil, demo.FillConfig{Members: members}); err == nil {
			t.Errorf("%d members were accepted", members)
		}
	}
}
